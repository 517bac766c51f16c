"""MultiverSeg for 3D Slicer: interactive segmentation in context. Research software, not for clinical decisions."""

import os

__version__ = "0.1.0"

# Threads of PyTorch that wait for each other actively take the processor from whoever they wait for: beside another busy program a prediction
# took twenty times as long. Read when PyTorch is first loaded; a choice of the user's stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
