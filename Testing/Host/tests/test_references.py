"""What PySide6 loses must not end the tests' process."""

import subprocess
import sys
from pathlib import Path

EMIT = """
from Host import signals
from PySide6 import QtCore

class Source(QtCore.QObject):
    told = QtCore.Signal()

source = Source()
for _ in range(50_000):
    source.told.emit()
"""


def test_a_process_survives_many_signals():
    ran = subprocess.run([sys.executable, "-c", EMIT], cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
