"""Works on a cohort until it is killed. Says what is safely stored, one event number a line, before it goes on.

Run as a zygote: it imports once, then forks a worker for each line "FOLDER" it reads and prints the worker's process number.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.files import save_with
from MultiverSegLib.cohort.store.mask_delta import pack_bits

HEAD = "NRRD0004\ntype: uint8\ndimension: 1\nsizes: {}\nencoding: raw\n\n"


def result(number):
    """A file whose head says how long it must be."""
    return HEAD.format(20_000 + number).encode() + bytes(20_000 + number)


def work(folder, acks):
    cohort = Cohort.open(folder)
    if cohort.read_only:
        os.write(acks, b"locked out\n")
        os._exit(3)
    for number in range(1_000_000):
        case = cohort.cases[number % len(cohort.cases)].id
        events = (
            ("opened", {"case": case}),
            ("prompt", {"case": case, "structure": "liver", "op": "add", "prompts": [], "counts": {"positive point": 1}}),
            (
                "predicted",
                {"case": case, "structure": "liver", "examples": ["e"], "model": "m", "confidence": 0.5, "mask": pack_bits([1] * 64)},
            ),
            ("accepted", {"case": case, "structure": "liver", "example": "e", "mask_sha256": str(20_000 + number)}),
        )
        for kind, fields in events:
            if kind == "accepted":
                save_with(cohort.segmentation_path(case), lambda target, n=number: Path(target).write_bytes(result(n)))
            event = cohort.record(kind, **fields)
            os.write(acks, f"{event['seq']}\n".encode())


def main():
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            work(line.strip(), writer)
        os.close(writer)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        with os.fdopen(reader) as acks:
            print(" ".join(acks.read().split()) or "-", flush=True)


if __name__ == "__main__":
    main()
