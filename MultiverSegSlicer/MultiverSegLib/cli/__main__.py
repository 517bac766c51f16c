"""``python -m MultiverSegLib.cli`` is the ``multiverseg`` command."""

from .main import run

run()
