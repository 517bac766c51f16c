"""Draws the rooms of the package and the imports between them: python Testing/draw_house.py writes Docs/pictures/house.svg.

Every box is a folder, with its files and lines; an arrow means that a file of the upper room imports one of the lower. Arrows that are
implied by others (a room that uses ``engine`` may use what ``engine`` uses) are left out.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "MultiverSegSlicer" / "MultiverSegLib"
#: Room -> (column, row, width) in boxes, row 0 at the bottom.
PLACES = {
    "core": (0, 0, 5),
    "mrml": (0, 1, 3),
    "evaluation": (4, 1, 1),
    "engine": (0, 2, 3),
    "training": (4, 2, 1),
    "cohort.store": (3, 3, 1),
    "cohort.sources": (2, 3, 1),
    "cohort.work": (1, 4, 2),
    "cohort.batch": (1, 5, 1),
    "cohort.results": (2, 5, 1),
    "ui.shared": (0, 5.6, 1),
    "ui.effect": (0, 6.6, 1),
    "ui.panel": (0, 7.6, 1),
    "ui.cohort": (1, 7.6, 1),
    "ui": (0, 8.6, 2),
    "benchmarks": (4, 5.6, 1),
    "demo": (3, 5.6, 1),
    "cli": (3, 6.6, 2),
}


def room_of(parts: tuple[str, ...]) -> str | None:
    """``("cohort", "store", "journal")`` -> ``cohort.store``."""
    return next((name for name in (".".join(parts[:2]), parts[0] if parts else "") if name in PLACES), None)


def survey() -> tuple[dict[str, tuple[int, int]], set[tuple[str, str]]]:
    """Files and lines of every room, and the pairs (room, imported room)."""
    sizes: dict[str, tuple[int, int]] = dict.fromkeys(PLACES, (0, 0))
    arrows = set()
    for file in sorted(LIB.rglob("*.py")):
        parts = file.relative_to(LIB).with_suffix("").parts
        here = room_of(parts)
        if here is None or len(parts) < 2:
            continue
        text = file.read_text(encoding="utf-8")
        if text.strip():
            files, lines = sizes[here]
            sizes[here] = files + 1, lines + text.count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = parts[: len(parts) - node.level] + tuple((node.module or "").split(".") if node.module else ())
                for alias in node.names:
                    there = room_of((*base, alias.name))
                    if there not in (None, here):
                        arrows.add((here, there))
    return sizes, arrows


def essential(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows without those that a longer way implies."""

    def reached(start: str, without: tuple[str, str]) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            room = todo.pop()
            for pair in arrows - {without}:
                if pair[0] == room and pair[1] not in seen:
                    seen.add(pair[1])
                    todo.append(pair[1])
        return seen

    return {pair for pair in arrows if pair[1] not in reached(pair[0], pair)}


def draw(path: Path) -> None:
    """Writes the picture."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "house"
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    sizes, arrows = survey()
    figure, axes = plt.subplots(figsize=(10, 9))
    colors = {"core": "#dbeafe", "mrml": "#dcfce7", "engine": "#fef9c3", "cohort": "#ffedd5", "ui": "#fce7f3"}

    def box(name: str) -> tuple[float, float, float, float]:
        column, row, width = PLACES[name]
        return column * 2.2, row * 1.2, width * 2.2 - 0.4, 0.7

    for name, (files, lines) in sizes.items():
        x, y, width, height = box(name)
        color = colors.get(name.split(".")[0], "#e5e7eb")
        axes.add_patch(FancyBboxPatch((x, y), width, height, "round,pad=0.04", facecolor=color, edgecolor="#374151", lw=0.8))
        axes.text(
            x + width / 2, y + 0.45, name.replace("ui", "ui (composer)") if name == "ui" else name, ha="center", va="center", weight="bold"
        )
        axes.text(x + width / 2, y + 0.17, f"{files} files, {lines:,} lines", ha="center", va="center", size=7, color="#374151")
    for upper, lower in sorted(essential(arrows)):
        (x1, y1, w1, h1), (x2, y2, w2, h2) = box(upper), box(lower)
        middle = (max(x1, x2) + min(x1 + w1, x2 + w2)) / 2 if min(x1 + w1, x2 + w2) > max(x1, x2) else None
        start = (middle if middle is not None else x1 + w1 / 2, y1 if y1 > y2 else y1 + h1)
        end = (middle if middle is not None else x2 + w2 / 2, y2 + h2 if y1 > y2 else y2)
        if y1 == y2:  # side by side
            start, end = ((x1, y1 + h1 / 2), (x2 + w2, y2 + h2 / 2)) if x1 > x2 else ((x1 + w1, y1 + h1 / 2), (x2, y2 + h2 / 2))
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color="#6b7280", lw=0.9, shrinkA=3, shrinkB=3))
    axes.set_xlim(-0.2, 11)
    axes.set_ylim(-0.2, 11.4)
    axes.axis("off")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose packaging.py hides the library of that name from matplotlib
    draw(ROOT / "Docs" / "pictures" / "house.svg")
