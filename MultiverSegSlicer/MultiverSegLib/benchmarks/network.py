"""``multiverseg bench network``: the 256-feature network of this repository beside the published way to compute it.

The published way is a plain split cross convolution: all context entries at once, and the last support convolution computed although nothing
depends on it. It is written here independently of ``core.networks`` and reads the same weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

ENTRIES = (0, 1, 8, 16)
VARIANTS = ("ours", "published")
#: Goals: ours over published for 8 and 16 entries, and our peak memory with 64 entries in GB.
GOALS = {"ratio": 0.8, "peak_gb": 2.6}


def register(app: typer.Typer) -> None:
    app.command("network")(network)


def network(
    entries: Annotated[str, typer.Option(help="Context entries to measure with.", metavar="N,N,...")] = "0,1,8,16",
    large: Annotated[bool, typer.Option("--large", help="Also 64 entries: some minutes and 8 GB of memory.")] = False,
    features: Annotated[int, typer.Option(min=1, help="Width of the network; the published one has 256.")] = 256,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each variant, alternating; the fastest counts.")] = 3,
    threads: Annotated[int, typer.Option(min=0, help="Threads of each variant; 0: PyTorch's default.")] = 0,
    json_only: Annotated[bool, typer.Option("--json", help="Print only the JSON.")] = False,
) -> None:
    """The network beside the published way to compute it: seconds, memory, operations.

    Example: [bold]multiverseg bench network --entries 0,8,16[/bold]
    """
    from ..cli.console import step

    try:
        counts = [int(n) for n in entries.split(",")] + ([64] if large else [])
    except ValueError as error:
        raise typer.BadParameter("needs whole numbers, e.g. 0,8,16.", param_hint="--entries") from error
    if min(counts) < 0:
        raise typer.BadParameter("needs numbers of zero or more.", param_hint="--entries")
    with step("Measuring the network"):
        result = bench_network(counts, features=features, repeats=repeats, threads=threads)
    if not json_only:
        print_table(result)
    typer.echo(json.dumps(result, indent=2))


def bench_network(
    entries: Sequence[int] = ENTRIES, features: int = 256, size: int = 128, repeats: int = 3, threads: int = 0
) -> dict[str, Any]:
    """Measure both ways on the CPU in float32 with random weights, each in a process of its own, taking turns.

    Args:
        entries: numbers of context entries (0: the dummy entry).
        features: width of all blocks.
        size: rows and columns of the images.
        repeats: runs of each; the fastest counts.
        threads: of PyTorch; 0 leaves its default.

    Returns:
        plain values: "threads", "probes" (GFLOP/s of single operations of the network's sizes, see ``probe_rates``), "reachable_gflops" (the
        fastest thing that was measured, operations and whole passes alike) and "rows", one per number of entries, with "entries", "ratio"
        (ours / published), "difference" (largest, of the logits) and for each variant "seconds", "gflop" (counted), "rate" (fraction of the
        reachable rate) and "peak_gb". A way that did not fit into the memory has None in place of each figure.

    Raises:
        RuntimeError: a measuring process failed for another reason than memory.
    """
    with _Worker("probes", 0, features, size, threads) as worker:
        about = worker.ask("run")
    rows = [_row(n, features, size, repeats, threads) for n in entries]
    passes = [row[v]["gflop"] / row[v]["seconds"] for row in rows for v in VARIANTS if row[v]["seconds"]]
    reachable = max([*about["gflops"].values(), *passes])
    for row in rows:
        for values in (row[v] for v in VARIANTS):
            values["rate"] = round(values["gflop"] / values["seconds"] / reachable, 3) if values["seconds"] else None
    return {
        "features": features,
        "size": size,
        "goals": GOALS,
        "threads": about["threads"],
        "probes": about["gflops"],
        "reachable_gflops": round(reachable, 1),
        "rows": rows,
    }


def published_forward(state: Mapping[str, Any], target: Any, context: Any) -> Any:
    """Equation 4 with the cross convolution split as in A.1, all entries at once. Shapes as ``MultiverSegNet.forward``."""
    import torch
    from torch.nn import functional as F

    def unit(x: Any, name: str) -> Any:
        x = F.leaky_relu(F.conv2d(x, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], padding=1))
        return F.group_norm(x, 1, state[f"{name}.norml.weight"], state[f"{name}.norml.bias"])

    def each(function: Any, v: Any) -> Any:
        return function(v.flatten(0, 1)).unflatten(0, v.shape[:2])

    def block(q: Any, v: Any, name: str) -> tuple[Any, Any]:
        weight, bias = state[f"{name}.cross.cross_conv.weight"], state[f"{name}.cross.cross_conv.bias"]
        from_q = F.conv2d(q, weight[:, : q.shape[1]], bias, padding=1)
        from_v = each(lambda x: F.conv2d(x, weight[:, q.shape[1] :], padding=1), v)
        z = F.leaky_relu(from_q[:, None] + from_v)
        return unit(z.mean(1), f"{name}.target.vmapped"), each(lambda x: unit(x, f"{name}.support.vmapped"), z)

    def up(x: Any) -> Any:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)

    if context.shape[1] == 0:
        context = target.new_full((len(target), 1, *context.shape[2:]), 0.5)
    depth = len([k for k in state if k.startswith("enc_blocks") and k.endswith("cross_conv.weight")])
    q, v = block(target, context, "enc_blocks.0")
    skips = []
    for i in range(1, depth):
        skips.append((q, v))
        q, v = block(F.max_pool2d(q, 2), each(lambda x: F.max_pool2d(x, 2), v), f"enc_blocks.{i}")
    for i in range(depth - 1):
        q_skip, v_skip = skips.pop()
        q, v = block(torch.cat([up(q), q_skip], 1), torch.cat([each(up, v), v_skip], 2), f"dec_blocks.{i}")
    return F.conv2d(q, state["out_conv.conv.weight"], state["out_conv.conv.bias"])


def print_table(result: dict[str, Any]) -> None:
    """Print the figures as a table on standard error."""
    from rich.table import Table

    from ..cli.console import error_console

    title = (
        f"Network of {result['features']} features, {result['size']} x {result['size']}, float32, {result['threads']} threads; "
        f"this machine reaches {result['reachable_gflops']:.0f} GFLOP/s"
    )
    table = Table("entries", "way", title=title, title_justify="left")
    for heading in ("seconds", "ratio", "GFLOP", "of reachable rate", "peak GB"):
        table.add_column(heading, justify="right")

    def text(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    for row in result["rows"]:
        for variant in VARIANTS:
            values = row[variant]
            first = (str(row["entries"]), text(row["ratio"], ".2f")) if variant == VARIANTS[0] else ("", "")
            shown = [text(values[key], form) for key, form in (("seconds", ".2f"), ("gflop", ".0f"), ("rate", ".0%"), ("peak_gb", ".2f"))]
            table.add_row(first[0], variant, shown[0], first[1], *shown[1:])
    error_console().print(table)


def _row(entries: int, features: int, size: int, repeats: int, threads: int) -> dict[str, Any]:
    """One row of ``bench_network``, still without "rate"."""
    import numpy as np

    nothing: dict[str, Any] = {"seconds": None, "gflop": None, "rate": None, "peak_gb": None}
    row: dict[str, Any] = {"entries": entries, "ratio": None, "difference": None, **{v: dict(nothing) for v in VARIANTS}}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers = {v: stack.enter_context(_Worker(v, entries, features, size, threads)) for v in VARIANTS}
        seconds: dict[str, list[float]] = {v: [] for v in VARIANTS}
        for _ in range(repeats):
            for variant, worker in list(workers.items()):
                answer = worker.ask("run")
                if answer is None:  # it did not fit into the memory
                    del workers[variant]
                else:
                    seconds[variant].append(answer["seconds"])
        outputs = []
        for variant, worker in workers.items():
            path = Path(folder, f"{variant}.npy")
            row[variant] |= {**worker.ask(f"save {path}"), "seconds": min(seconds[variant])}
            outputs.append(np.load(path))
    if len(outputs) == 2:
        row["difference"] = float(np.abs(outputs[0] - outputs[1]).max())
        row["ratio"] = round(row["ours"]["seconds"] / row["published"]["seconds"], 3)
    return row


class _Worker:
    """A process that measures one thing, each time it is asked, and ends with the ``with`` block."""

    def __init__(self, what: str, entries: int, features: int, size: int, threads: int) -> None:
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
        command = [sys.executable, "-m", f"{__package__}.network", what, *map(str, (entries, features, size, threads))]
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 (``__exit__`` closes it)
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.terminate()
        self._process.wait()
        self._complaints.close()

    def ask(self, request: str) -> dict[str, Any] | None:
        """The answer; None if the process ran out of memory."""
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        code = self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().strip()
        if code < 0 or "allocate memory" in said or "MemoryError" in said:
            return None
        raise RuntimeError(f"Measuring the network failed: {(said.splitlines() or ['no reason given'])[-1]}")


def _serve(what: str, entries: int, features: int, size: int, threads: int) -> None:
    """What a measuring process does: one line of JSON for each line that it reads."""
    import numpy as np
    import torch

    if threads:
        torch.set_num_threads(threads)
    run = None if what == "probes" else _runner(what, entries, features, size)
    output = None
    for line in sys.stdin:
        request, _, path = line.strip().partition(" ")
        if run is None:
            answer: dict[str, Any] = {"gflops": probe_rates(features, size), "threads": torch.get_num_threads()}
        elif request == "run":
            started = time.perf_counter()
            output = run()
            answer = {"seconds": time.perf_counter() - started}
        else:
            np.save(path, output.numpy())
            peak = round(_peak_gb(), 3)  # before the operations are counted, which may need more
            answer = {"peak_gb": peak, "gflop": round(_gflop(run), 4)}
        print(json.dumps(answer), flush=True)


def _gflop(run: Callable[[], Any]) -> float:
    """Floating-point operations of a call, in thousands of millions."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def _runner(variant: str, entries: int, features: int, size: int) -> Callable[[], Any]:
    """A function that runs one forward pass of a variant; weights and inputs are the same for both."""
    import torch

    from ..core.networks import MultiverSegNet

    torch.manual_seed(0)
    net = MultiverSegNet(5, 2, [features] * 4).eval()
    target, context = torch.rand(1, 5, size, size), torch.rand(1, entries, 2, size, size)
    state = net.state_dict()

    def run() -> Any:
        with torch.no_grad():
            return net(target, context) if variant == "ours" else published_forward(state, target, context)

    return run


def probe_rates(features: int, size: int, repeats: int = 8) -> dict[str, float]:
    """How fast this machine computes the operations that the network consists of, each alone.

    A convolution library may need fewer multiplications than are counted (Winograd), and small products don't fill the machine, so no single
    operation is the limit for all others.

    Returns:
        GFLOP/s, the best of ``repeats``: 3 x 3 convolutions of ``features`` channels for one and for eight images of each level's size
        ("3x3 128 x1" ...), and products of ``features`` x ``features`` with each level's pixels ("1x1 128" ...).
    """
    import torch
    from torch.nn import functional as F

    rates = {}
    weight, matrix = torch.rand(features, features, 3, 3), torch.rand(features, features)
    for side in (max(size >> level, 1) for level in range(4)):
        calls: dict[str, Callable[[], Any]] = {}
        for images in (1, 8):
            x = torch.rand(images, features, side, side)
            calls[f"3x3 {side} x{images}"] = lambda x=x: F.conv2d(x, weight, padding=1)
        pixels = torch.rand(features, side * side)
        calls[f"1x1 {side}"] = lambda pixels=pixels: matrix @ pixels
        for name, call in calls.items():
            with torch.no_grad():
                gflop, best = _gflop(call), float("inf")
                for _ in range(repeats):
                    started = time.perf_counter()
                    call()
                    best = min(best, time.perf_counter() - started)
            rates[name] = round(gflop / best, 1)
    return rates


def _peak_gb() -> float:
    """Peak resident memory of this program in GB. Linux keeps the starting process's peak in ``ru_maxrss``, so there the program's own is read."""
    status = Path("/proc/self/status")
    if status.is_file():
        own = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if own:
            return int(own[0]) * 1024 / 1e9
    import psutil

    usage = psutil.Process().memory_info()
    if hasattr(usage, "peak_wset"):  # Windows
        return usage.peak_wset / 1e9
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))
