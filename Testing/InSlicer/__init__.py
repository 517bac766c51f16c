"""The real application behind the interface of the test host, so that the UI tests of `Testing/Python/ui` run inside Slicer.

`Testing/run_ui_tests_in_slicer.py` runs them; README.md says how and what differs from the test host. To use the same hands in a
script of one's own, inside Slicer::

    from InSlicer import start_host

    host = start_host()
    panel = host.open_module("MultiverSegSlicer").panel
    host.view("Green").click((12, -4, 30))
    host.close()
"""

__all__ = ["missing_requirements", "start_host"]


def missing_requirements() -> tuple[str, ...]:
    """Empty inside Slicer; one sentence elsewhere."""
    try:
        import PythonQt  # noqa: F401  (only the application has it)
        import slicer
    except ImportError:
        return ("the 3D Slicer application (start this with `Slicer --python-script`)",)
    return () if slicer.util.mainWindow() is not None else ("the main window of 3D Slicer (start it without `--no-main-window`)",)


def start_host(**options):
    """Take the running application into the tests' hands (see `application.Application`); one at a time, `close` it before the next."""
    missing = missing_requirements()
    if missing:
        raise RuntimeError("This needs: " + "; ".join(missing))
    from .application import Application

    return Application(**options)
