"""What the host needs from the machine, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import lru_cache

_DEBIAN = "apt-get install libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libxkbcommon0 libdbus-1-3 libfontconfig1"
_RENDER = """
import os
os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
import vtk
window = vtk.vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(8, 8)
window.AddRenderer(vtk.vtkRenderer())
window.Render()
print("supported" if window.SupportsOpenGL() else "unsupported")
"""


@lru_cache(maxsize=1)
def missing_requirements() -> tuple[str, ...]:
    """One sentence per missing thing, saying what to install; empty when the host can start."""
    missing = []
    if importlib.util.find_spec("slicer") is None:
        missing.append("slicer-core (pip install 'slicer-core>=5.12.4,<5.14')")
    if importlib.util.find_spec("PySide6") is None:
        missing.append("PySide6 (pip install PySide6-Essentials)")
        return tuple(missing)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        from PySide6 import QtGui, QtUiTools, QtWidgets  # noqa: F401
    except ImportError as error:
        missing.append(f"Qt's system libraries ({error}; on Debian: {_DEBIAN})")
    if sys.platform.startswith("linux") and not missing:
        try:
            done = subprocess.run([sys.executable, "-c", _RENDER], capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            done = None
        if done is None or done.returncode != 0 or "unsupported" in done.stdout or "supported" not in done.stdout:
            missing.append(f"off-screen OpenGL (Mesa's EGL; on Debian: {_DEBIAN})")
    return tuple(missing)
