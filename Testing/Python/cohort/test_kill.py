"""A process killed at any moment leaves no half file and loses nothing that was stored."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from MultiverSegLib.cohort.store import cohort as module
from MultiverSegLib.cohort.store.cohort import Cohort, snapshot

from .helpers import paper_cohort

KILLS = 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_hundred_kills_at_random_moments(tmp_path):
    paper_cohort(tmp_path, cases=5).close()
    library = Path(module.__file__).parents[3]
    command = [sys.executable, str(Path(__file__).with_name("killed_worker.py")), str(library)]
    pause, last, behind, longest = random.Random(7), 1, set(), 0.03
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as zygote:
        for _ in range(KILLS):
            zygote.stdin.write(f"{tmp_path}\n")
            pid = int(zygote.stdout.readline())
            time.sleep(pause.uniform(0.0, longest))
            os.kill(pid, signal.SIGKILL)
            acknowledged = zygote.stdout.readline().split()
            assert "out" not in acknowledged, "the lock of a killed process must not lock out the next"
            before, last = last, max([last, *(int(a) for a in acknowledged if a.isdigit())])
            late, last = _check(tmp_path, last)
            # on a busy computer the workers get going later: kill later, so that most of them die at work
            longest = min(0.15, longest * 1.3) if last == before else max(0.03, longest * 0.95)
            behind.add(late)
        zygote.stdin.close()
    assert last > KILLS // 2, "the workers must have got to work for the test to mean anything"
    assert len(behind) > 1, "the kills should have hit between the snapshot and the journal too"


def _check(folder, acknowledged):
    """Opens the cohort as the next user would; gives how far the snapshot was behind, and the last event."""
    stored = json.loads((folder / "cohort.json").read_text())
    for path in (folder / "segmentations").glob("[!.]*.seg.nrrd"):
        head, _, body = path.read_bytes().partition(b"\n\n")
        assert int(head.split(b"sizes: ")[1].split()[0]) == len(body), f"{path.name} is half a file"
    with Cohort.open(folder) as cohort:
        assert not cohort.read_only
        assert cohort.state.seq in (acknowledged, acknowledged + 1), "an event that was stored is lost"
        for case in cohort.cases:
            assert not case.work("liver").mask_sha256 or cohort.segmentation_path(case.id).is_file()
        last = cohort.state.seq
    assert not list(folder.rglob(".writing-*")), "leftovers of the killed process"
    assert json.loads((folder / "cohort.json").read_text()) == snapshot(cohort.state)
    return last - stored["seq"], last
