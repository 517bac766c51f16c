"""Reads the files named on standard input, one a line (kind, tab, path), and answers each with one line. Run as a process of its own: a reader that
ends the process, hangs or takes all memory is then seen by the one that started it."""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from pathlib import Path

#: Seconds and bytes that one small file may take.
SECONDS, BYTES = 10, 3 << 30


def main() -> None:
    from MultiverSegLib.core.errors import MultiverSegError
    from MultiverSegLib.mrml.headless import start

    host = start()
    from MultiverSegLib.mrml import markups, segments, volume_files

    reference = volume_files.load_volume(sys.argv[1])
    nodes = host.scene.GetNumberOfNodes()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if Path("/proc/self/statm").exists() else 0
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))
    for line in sys.stdin:
        kind, _, path = line.rstrip("\n").partition("\t")
        print(json.dumps({"started": path}), flush=True)
        signal.alarm(SECONDS)  # ends the process: the handler is the system's own
        begun = time.perf_counter()
        try:
            read(kind, path, reference)
            said = "read"
        except MultiverSegError as error:
            said = "refused" if "\n" not in str(error) and str(error).strip() else f"a message of several lines: {error}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        signal.alarm(0)
        left = host.scene.GetNumberOfNodes() - nodes
        if left:
            said = f"{left} nodes left in the scene"
            nodes = host.scene.GetNumberOfNodes()
        host.messages.clear()
        print(json.dumps({"done": path, "said": said, "seconds": time.perf_counter() - begun}), flush=True)
    _ = markups, segments


def read(kind: str, path: str, reference) -> None:
    """As the commands read such a file, and a little further: a slice is sampled, a segment counted."""
    from MultiverSegLib.mrml import markups, volume_files, volumes
    from MultiverSegLib.mrml.axes import own_axis
    from MultiverSegLib.mrml.masks import EVERY_LABEL, load_mask
    from MultiverSegLib.mrml.slice_plane import SlicePlane

    family = kind.partition(".")[0]
    if family == "volume":
        plain = volume_files.read_plain(path)
        volume = volume_files.load_volume(path)
        try:
            axis = own_axis(volumes.ijk_to_ras(volume))
            SlicePlane.from_volume(volume, axis, 0).sample(volume)
            same = volumes.array_of(volume).shape == plain.array.shape
        finally:
            volumes.remove_node(volume)
        if not same:
            raise AssertionError("the two readers differ")
    elif family in ("labels", "segments"):
        load_mask(reference, path, EVERY_LABEL)
    elif family == "prompts":
        markups.load_prompts(path)
    else:
        from MultiverSegLib.cohort.sources.tables import cases_from_csv

        cases_from_csv(path, Path(path).parent / "cohort", ["x"])


if __name__ == "__main__":
    main()
