"""``python -m MultiverSegLib.cli`` is the ``multiverseg`` command."""

from .start import run

if __name__ == "__main__":
    run()
