"""The self-tests, for CTest: `slicer_add_python_unittest` runs this file's test cases inside Slicer."""

from MultiverSegLib.ui.selftest import SelfTests  # noqa: F401
