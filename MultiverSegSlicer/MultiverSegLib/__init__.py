"""MultiverSeg for 3D Slicer: interactive segmentation in context. Research software, not for clinical decisions."""

__version__ = "0.1.0"
