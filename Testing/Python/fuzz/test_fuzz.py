"""Mutations of valid files of every format: each is read or refused in one line, by a process that lives on.

The seeds are fixed. ``make fuzz`` runs more of them (MULTIVERSEG_FUZZ_CASES for each format, MULTIVERSEG_FUZZ_SEED).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="needs slicer-core")
pytest.importorskip("highdicom")

HERE = Path(__file__).resolve().parent
LIB = HERE.parents[2] / "MultiverSegSlicer"
CASES = int(os.environ.get("MULTIVERSEG_FUZZ_CASES", "150"))
AT_ONCE = 600  # files a process: damaged files may leave memory behind in the readers' libraries
SEED = int(os.environ.get("MULTIVERSEG_FUZZ_SEED", "0"))


def answers(jobs: list[tuple[str, Path]], reference: Path) -> dict[Path, str]:
    """What reading each file came to; a process that ended is started again behind the file it ended at."""
    said: dict[Path, str] = {}
    waiting = list(jobs)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LIB), str(HERE.parent)]), "OMP_NUM_THREADS": "1"}
    while waiting:
        process = subprocess.run(
            [sys.executable, str(HERE / "reader.py"), str(reference)],
            input="".join(f"{kind}\t{path}\n" for kind, path in waiting[:AT_ONCE]),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            errors="replace",
        )
        lines = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
        done = {Path(line["done"]): line["said"] for line in lines if "done" in line}
        begun = [Path(line["started"]) for line in lines if "started" in line]
        assert begun, process.stderr[-2000:]
        if begun[-1] not in done:
            done[begun[-1]] = f"the process ended ({process.returncode}): {process.stderr[-300:]}"
        said |= done
        waiting = [job for job in waiting if job[1] not in said]
    return said


@pytest.mark.slow
def test_every_mutated_file_is_read_or_refused(tmp_path):
    from fuzz.seeds import make_seeds, mutated

    seeds = make_seeds(tmp_path / "seeds")
    reference = seeds["volume.nrrd"]
    valid = answers([(kind, path) for kind, path in seeds.items()], reference)
    assert {kind: valid[path] for kind, path in seeds.items()} == dict.fromkeys(seeds, "read"), "the files they come from are good ones"
    jobs = []
    for kind, path in seeds.items():
        rng = random.Random(f"{kind} {SEED}")
        jobs += [(kind, mutated(kind, path, tmp_path / "mutated" / kind / str(n), rng)) for n in range(CASES)]
    said = answers(jobs, reference)
    wrong = {path: text for path, text in said.items() if text not in ("read", "refused")}
    kept = Path(os.environ["MULTIVERSEG_FUZZ_KEEP"]) if "MULTIVERSEG_FUZZ_KEEP" in os.environ else None
    for path in wrong if kept else ():
        shutil.copytree(path.parent, kept / f"{path.parent.parent.name}-{path.parent.name}", dirs_exist_ok=True)
    listing = "\n".join(f"{path.parent.parent.name} {path.parent.name}: {text}" for path, text in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(said)} files (MULTIVERSEG_FUZZ_KEEP=FOLDER keeps them):\n{listing}"
    assert set(said.values()) == {"read", "refused"}
