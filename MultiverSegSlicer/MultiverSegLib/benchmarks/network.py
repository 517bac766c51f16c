"""``multiverseg bench network``: the 256-feature network of this repository beside the published way to compute it.

The published way is a plain split cross convolution: all context entries at once, and the last support convolution computed although nothing
depends on it. It is written here independently of ``core.networks`` and reads the same weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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
    memory: Annotated[bool, typer.Option(help="Measure the peak memory, each variant in a process of its own.")] = True,
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
        result = bench_network(counts, features=features, repeats=repeats, threads=threads, memory=memory)
    if not json_only:
        print_table(result)
    typer.echo(json.dumps(result, indent=2))


def bench_network(
    entries: Sequence[int] = ENTRIES, features: int = 256, size: int = 128, repeats: int = 3, threads: int = 0, memory: bool = True
) -> dict[str, Any]:
    """Measures both ways in one run, alternating, on the CPU in float32 with random weights.

    Args:
        entries: numbers of context entries (0: the dummy entry).
        features: width of all blocks.
        size: rows and columns of the images.
        repeats: runs of each; the fastest counts.
        threads: of PyTorch; 0 leaves its default.
        memory: also measure peak memory, each variant in a process of its own.

    Returns:
        plain values: "matmul_gflops" (the machine's rate for a 2048 x 2048 matrix product), "threads", and "rows", one per number of entries,
        with "entries", "ratio" (ours / published), "difference" (largest, of the logits) and for each variant "seconds", "gflop" (counted),
        "rate" (fraction of the matrix-product rate) and "peak_gb" (None without ``memory``).
    """
    import torch

    before = torch.get_num_threads()
    try:
        if threads:
            torch.set_num_threads(threads)
        rate = _matmul_rate()
        rows = [_row(n, features, size, repeats, rate) for n in entries]
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    if memory:
        for row in rows:
            for variant in VARIANTS:
                row[variant]["peak_gb"] = _peak_in_own_process(variant, row["entries"], features, size)
    return {"features": features, "size": size, "goals": GOALS, "threads": used, "matmul_gflops": round(rate / 1e9, 1), "rows": rows}


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
    """The figures for people, on standard error."""
    from rich.table import Table

    from ..cli.console import error_console

    title = (
        f"Network of {result['features']} features, {result['size']} x {result['size']}, float32, {result['threads']} threads; "
        f"matrix product: {result['matmul_gflops']:.0f} GFLOP/s"
    )
    table = Table("entries", "way", title=title, title_justify="left")
    for heading in ("seconds", "ratio", "GFLOP", "of matrix rate", "peak GB"):
        table.add_column(heading, justify="right")
    for row in result["rows"]:
        for variant in VARIANTS:
            values = row[variant]
            first = (str(row["entries"]), f"{row['ratio']:.2f}") if variant == VARIANTS[0] else ("", "")
            peak = "-" if values["peak_gb"] is None else f"{values['peak_gb']:.2f}"
            table.add_row(first[0], variant, f"{values['seconds']:.2f}", first[1], f"{values['gflop']:.0f}", f"{values['rate']:.0%}", peak)
    error_console().print(table)


def _row(entries: int, features: int, size: int, repeats: int, rate: float) -> dict[str, Any]:
    from torch.utils.flop_counter import FlopCounterMode

    runs = {variant: _runner(variant, entries, features, size) for variant in VARIANTS}
    seconds = {variant: float("inf") for variant in VARIANTS}
    outputs = {}
    for _ in range(repeats):
        for variant, run in runs.items():
            started = time.perf_counter()
            outputs[variant] = run()
            seconds[variant] = min(seconds[variant], time.perf_counter() - started)
    row: dict[str, Any] = {"entries": entries, "ratio": round(seconds["ours"] / seconds["published"], 3)}
    row["difference"] = float((outputs["ours"] - outputs["published"]).abs().max())
    for variant, run in runs.items():
        with FlopCounterMode(display=False) as counter:
            run()
        flop = counter.get_total_flops()
        values = {"seconds": round(seconds[variant], 4), "gflop": round(flop / 1e9, 4), "rate": round(flop / seconds[variant] / rate, 3)}
        row[variant] = {**values, "peak_gb": None}
    return row


def _runner(variant: str, entries: int, features: int, size: int) -> Any:
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


def _matmul_rate() -> float:
    """Floating-point operations per second of a 2048 x 2048 product, the best of ten."""
    import torch

    n, best = 2048, float("inf")
    a, b = torch.rand(n, n), torch.rand(n, n)
    for _ in range(11):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2 * n**3 / best


def _peak_in_own_process(variant: str, entries: int, features: int, size: int) -> float | None:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", f"{__package__}.network", variant, str(entries), str(features), str(size)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return round(float(done.stdout), 3)
    if done.returncode < 0 or "allocate memory" in done.stderr or "MemoryError" in done.stderr:
        return None  # it did not fit into the memory
    raise RuntimeError(f"Measuring the peak memory failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def _peak_gb() -> float:
    """Peak resident memory of this process in GB."""
    import psutil

    usage = psutil.Process().memory_info()
    if hasattr(usage, "peak_wset"):  # Windows
        return usage.peak_wset / 1e9
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


if __name__ == "__main__":
    _runner(sys.argv[1], *map(int, sys.argv[2:]))()
    print(_peak_gb())
