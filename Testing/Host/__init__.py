"""A test host for Slicer's scripted modules: runs a module's unmodified files without the Slicer application.

Qt is PySide6 (off-screen) under PythonQt's rules, MRML is real (the slicer-core wheel), views are rendered by Mesa. A test writes::

    from Host import start_host

    host = start_host()
    module = host.load_module("MultiverSegSlicer/MultiverSegSlicer.py")     # emits startupCompleted()
    panel = host.open_module("MultiverSegSlicer")                           # the Python widget, entered
    view = host.view("Red")
    view.click(ras=(12, -4, 30))                                            # real interactor events
    view.click(ras=(20, -4, 30), ctrl=True)
    view.drag([(0, 0, 30), (10, 5, 30)])                                    # RAS points; xy=True for pixels
    view.key("b")                                                           # Qt first (shortcuts), then the interactor
    host.process_events()
    host.grab("panel.png", panel.parent)                                    # or without a widget: the whole window
    host.check()                                                            # no exception in a slot, no VTK error, no unknown name
    host.close()

`host.dialogs` answers modal dialogs (`answers`) and keeps what they said (`shown`); `host.exceptions`, `host.messages` (VTK),
`host.installs`, `host.requests`; `host.torch("missing")` and `host.pytorch_extension(True)` for the first-run cases. Every name
that the host offers is listed with its place in Slicer's, CTK's or PythonQt's source (`citations.all_names`).
"""

from .requirements import missing_requirements

__all__ = ["missing_requirements", "start_host"]


def start_host(**options):
    """Start the host (see `host.Host` for the options); one at a time, `close` it before the next."""
    missing = missing_requirements()
    if missing:
        raise RuntimeError("The test host needs: " + "; ".join(missing))
    from .host import Host

    return Host(**options)
