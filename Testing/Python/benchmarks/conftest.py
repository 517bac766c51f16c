"""The command and the volumes that the tests of ``cli`` use."""

from ..cli.conftest import ball, checkpoint, command

__all__ = ["ball", "checkpoint", "command"]
