"""``multiverseg context``: the accepted examples of one structure, in a folder of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.counting import counted
from ..core.errors import ContextError, SegmentationError
from .console import bar, say, table, warn, written
from .options import Window, image_settings

Folder = Annotated[Path, typer.Argument(help="Folder of the context.", metavar="DIR")]

context_app = typer.Typer(
    name="context",
    help="Look after a context: the accepted examples of one structure.\n\nExample: [bold]multiverseg context list liver-context[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    app.add_typer(context_app)


@context_app.command("list")
def list_examples(folder: Folder, as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List the examples in the order of acceptance.

    Example: [bold]multiverseg context list liver-context[/bold]
    """
    from ..core.context.context_set import ContextSet

    context = ContextSet.load(folder)
    rows = [_facts(number, example) for number, example in enumerate(context.examples, 1)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ("number", "case", "id", "structure", "axis", "holds", "area", "model", "date")
    title = f"{folder}: {counted(len(context), 'example')}"
    table(columns, [[row[key] for key in columns] for row in rows], title, keep=("id",), numbers=("number", "area"))


@context_app.command("add")
def add(
    folder: Folder,
    volume: Annotated[Path, typer.Argument(help="Volume: NRRD, NIfTI, MetaImage or DICOM.", metavar="VOLUME")],
    segmentation: Annotated[Path, typer.Argument(help="Its segmentation: .seg.nrrd or a label map.", metavar="SEGMENTATION")],
    structure: Annotated[str | None, typer.Option(help="Segment to take. Default: the context's structure, or the only segment.")] = None,
    axis: Annotated[str, typer.Option(help="auto, or the array axis the slices follow: i, j or k.")] = "auto",
    slice_: Annotated[str, typer.Option("--slice", help="max (the largest area) or a number.")] = "max",
    case: Annotated[str | None, typer.Option(help="Name of the case. Default: the volume's name.")] = None,
    window: Window = None,
) -> None:
    """Add a slice of a finished segmentation as an example; the context is created if it does not exist.

    Example: [bold]multiverseg context add liver-context ct.nrrd ct.seg.nrrd --structure liver[/bold]
    """
    from ..core.context.context_set import ContextSet
    from ..engine.make_example import example_of
    from ..mrml.axes import own_axis
    from ..mrml.headless import start
    from ..mrml.segments import load_segmentation, max_slice
    from ..mrml.slice_plane import SlicePlane
    from ..mrml.volume_files import load_volume
    from ..mrml.volumes import array_of, ijk_to_ras
    from .console import step

    if axis not in ("auto", "i", "j", "k"):
        raise typer.BadParameter("must be auto, i, j or k.", param_hint="--axis")
    if slice_ != "max" and not slice_.isdecimal():
        raise typer.BadParameter("must be max or a number from 0.", param_hint="--slice")
    context = ContextSet(folder)
    with step("Loading"):
        start()
        node = load_volume(volume)
        segments = load_segmentation(segmentation, node)
    settings = image_settings(window, context.examples, array_of(node))
    known = [e for e in context.examples if e.structure]
    structure = structure or (known[0].structure if known else None)
    segment_id, name = _find_segment(segments, structure, segmentation)
    axes = [e.axis for e in context.examples if e.axis]
    axis = axis if axis != "auto" else (axes[0] if axes else own_axis(ijk_to_ras(node)))
    index = max_slice(segments, segment_id, node, axis) if slice_ == "max" else int(slice_)
    plane = SlicePlane.from_volume(node, axis, index, settings)
    example = context.add(example_of(node, segments, segment_id, plane, settings, case or node.GetName(), structure or name))
    written.add(f"the example {example.case}")
    say(
        f"added {example.case}, slice {axis}={index}, {int(example.mask.sum())} grid pixels; {counted(len(context), 'example')} in {folder}"
    )


@context_app.command("remove")
def remove(folder: Folder, example: Annotated[str, typer.Argument(help="Id, number in the list, or case.", metavar="EXAMPLE")]) -> None:
    """Take an example out and delete its files.

    Example: [bold]multiverseg context remove liver-context 3[/bold]
    """
    from ..core.context.context_set import ContextSet

    context = ContextSet.load(folder)
    found = _find_example(context, example)
    context.remove(found.id)
    say(f"removed {found.case or found.id}; {counted(len(context), 'example')} in {folder}")


@context_app.command("show")
def show(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write.")] = Path("context.html"),
) -> None:
    """Write one page with a picture of every example.

    Example: [bold]multiverseg context show liver-context --out liver.html[/bold]
    """
    from ..cohort.results.html_report import MarkedPicture, Report, ReportCase, write_report
    from ..core.context.context_set import ContextSet
    from .console import progress

    context = ContextSet.load(folder)
    cases = []
    for number, example in progress(list(enumerate(context.examples, 1)), "Drawing"):
        facts = _facts(number, example)
        outlines = {} if example.mask is None else {"result": example.mask}
        overlay = MarkedPicture(example.image, outlines, **_drawn_prompts(example), caption=f"{facts['holds']}, {facts['date']}")
        cases.append(ReportCase(f"{number}. {example.case or example.id}", facts, [overlay]))
    structures = ", ".join(sorted({e.structure for e in context.examples if e.structure})) or "no name"
    write_report(out, Report(f"Context {folder.name}", f"{counted(len(context), 'example')} of {structures}.", cases=cases))
    say(f"wrote {out}")


@context_app.command("export")
def export(folder: Folder, archive: Annotated[Path, typer.Argument(help="Zip to write.", metavar="ZIP")]) -> None:
    """Write the context as a zip to pass on.

    Example: [bold]multiverseg context export liver-context liver.zip[/bold]
    """
    from ..core.context.context_set import ContextSet

    context = ContextSet.load(folder)
    context.export_zip(archive)
    written.add(archive)
    say(f"wrote {counted(len(context), 'example')} to {archive}")


@context_app.command("import")
def import_(
    folder: Folder, archive: Annotated[Path, typer.Argument(help="Zip of a context, or of image_N.png and mask_N.png.", metavar="ZIP")]
) -> None:
    """Add the examples of a zip; all or none.

    Example: [bold]multiverseg context import liver-context colleague.zip[/bold]
    """
    from ..core.context.context_set import ContextSet

    context = ContextSet(folder)
    before, own = len(context), sorted({e.structure for e in context.examples if e.structure})
    with bar("Importing") as show:
        imported = context.import_zip(archive, show)
    written.add(f"the examples of {archive}")
    other = sorted({e.structure for e in imported if e.structure} - set(own))
    if own and other:
        warn(f"{archive} has examples of {', '.join(other)}, the context is of {', '.join(own)}: take out what does not belong here.")
    say(f"added {counted(len(context) - before, 'example')}; {len(context)} in {folder}")


def _facts(number: int, example: Any) -> dict[str, Any]:
    mask, prompts = example.mask, example.prompts
    holds = " and ".join(filter(None, ("mask" if mask is not None else "", "prompts" if prompts is not None else "")))
    return {
        "number": number,
        "case": example.case,
        "structure": example.structure,
        "axis": example.axis,
        "holds": holds,
        "area": f"{mask.mean():.1%}" if mask is not None else "",
        "model": example.model,
        "date": example.date,
        "id": example.id,
    }


def _find_example(context: Any, text: str) -> Any:
    """By id, by case, or by number in the list, in this order.

    Raises:
        ContextError: none or several fit.
    """
    found = [e for e in context.examples if text in (e.id, e.case)]
    if not found and text.isdecimal() and 1 <= int(text) <= len(context):
        found = [context.examples[int(text) - 1]]
    if len(found) != 1:
        what = "no example" if not found else counted(len(found), "example")
        raise ContextError(f"{context.folder} has {what} {text}: give an id from 'multiverseg context list'.")
    return found[0]


def _find_segment(segmentation: Any, name: str | None, path: Path) -> tuple[str, str]:
    """(ID, name) of the segment called ``name``; the only one, if no name is given or the file has none to give (a label map).

    Raises:
        SegmentationError: no such segment, or a choice that nobody made.
    """
    from ..mrml.label_files import listed
    from ..mrml.segments import segment_ids

    names = {i: segmentation.GetSegmentation().GetSegment(i).GetName() for i in segment_ids(segmentation)}
    found = [i for i in names if names[i] == name]
    if not found and len(names) == 1 and (name is None or not path.name.lower().endswith(".seg.nrrd")):
        found = [*names]
    if not found:
        raise SegmentationError(f"{path} has the segments {listed(names.values())}: name one of them with --structure.")
    return found[0], names[found[0]]


def _drawn_prompts(example: Any) -> dict[str, Any]:
    """The prompt channels as points, for the picture."""
    import numpy as np

    if example.prompts is None:
        return {}
    return {"positive": np.argwhere(example.prompts[1] > 0.5), "negative": np.argwhere(example.prompts[2] > 0.5)}
