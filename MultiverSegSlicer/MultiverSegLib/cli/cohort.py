"""``multiverseg cohort``: a collection of volumes, worked through case by case; what is begun in Slicer can go on here, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..core.counting import counted
from ..core.errors import MultiverSegError
from . import cohort_care, cohort_results, cohort_review
from .cohort_results import Folder
from .console import say, step, warn, written
from .options import Boxes, Device, Negatives, Points, Wait, known_strategy, label_value, typed_prompts

commands = typer.Typer(
    help="Work through a collection of volumes.\n\nExample: multiverseg cohort init study --from scans --structure liver",
    no_args_is_help=True,
)


#: Letters of a structure's name; it is the name of folders and files too.
_LONGEST_NAME = 64

CaseId = Annotated[str, typer.Argument(help="The case's id, as in 'status'.")]
OneStructure = Annotated[str, typer.Option("--structure", "-s", help="Structure (default: the first).")]


def register(app: typer.Typer) -> None:
    cohort_care.register(commands)
    cohort_review.register(commands)
    cohort_results.register(commands)
    app.add_typer(commands, name="cohort")


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for the cohort: cohort.json, the journal and all results.")],
    structure: Annotated[
        list[str], typer.Option("--structure", "-s", help="NAME or NAME:AXIS (axial, coronal, sagittal, i, j, k); repeatable.")
    ],
    source: Annotated[Path | None, typer.Option("--from", help="Folder of volumes (NRRD, NIfTI, DICOM series; any nesting).")] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="CSV with a column 'volume' and optionally 'segmentation'; further columns are kept.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the cohort (default: the folder's).")] = "",
    labels: Annotated[str, typer.Option(help="Name rule of existing label files, e.g. '{case}_liver' (default: the usual names).")] = "",
    value: Annotated[
        str | None,
        typer.Option(help="Label value of the structure in them, or 'all' (default: the segment of its name, or the only label)."),
    ] = None,
    model: Annotated[str, typer.Option(help="Model, as in 'multiverseg models list'.")] = "compact",
    order: Annotated[str, typer.Option(help="Order of work: 'file order', 'least certain' or 'most informative'.")] = "file order",
    strategy: Annotated[str, typer.Option(help="Which examples a prediction gets.", callback=known_strategy)] = "most_similar",
    cap: Annotated[int, typer.Option(min=0, help="At most how many.")] = 16,
    window: Annotated[str, typer.Option(help="CT window preset (abdomen, liver, lung, ...) or LOW,HIGH.")] = "",
    fov: Annotated[float | None, typer.Option(help="Fixed field of view in mm (default: the whole slice).", min=1)] = None,
    names: Annotated[
        bool, typer.Option("--names/--no-names", help="Record the login name of who did what (in journal and reports), or nobody's.")
    ] = True,
) -> None:
    """Begin a cohort. Sources are only read.

    Example: multiverseg cohort init study --from scans --structure liver:axial --structure spleen
    """
    from ..cohort.sources.files import NameRule, cases_from_folder
    from ..cohort.sources.tables import cases_from_csv
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.noticing import keep
    from ..cohort.store.order import ORDERS
    from ..cohort.store.records import Structure
    from ..core.notices import noticed

    if (source is None) == (table is None):
        raise typer.BadParameter("give either --from FOLDER or --csv FILE")
    if order not in ORDERS:
        raise typer.BadParameter(f"unknown order {order!r}: one of {', '.join(ORDERS.names)}")
    structure_names = [_structure_name(entry.partition(":")[0]) for entry in structure]
    image = _image_settings(window, fov)
    structures = [
        Structure.numbered(n, i, e.partition(":")[2] or "axial", image)
        for i, (n, e) in enumerate(zip(structure_names, structure, strict=True))
    ]
    model = _model(model)
    with step("Looking for volumes"), noticed() as told:
        if source is not None:
            cases = cases_from_folder(source, folder, structure_names, NameRule(labels), label_value(value))
        else:
            cases = cases_from_csv(table, folder, structure_names, label_value(value))
    settings = {"model": model, "order": order, "strategy": strategy, "cap": cap, "names": names}
    with Cohort.create(folder, cases, structures, name, settings) as cohort:
        written.add(f"the cohort {folder}")
        keep(cohort, told)
        labelled = sum(bool(case.labels) for case in cohort.cases)
        say(f"{cohort.state.name}: {counted(len(cases), 'case')}, {labelled} of them with existing labels, in {folder}")


@commands.command()
def status(
    folder: Folder,
    json_: Annotated[bool, typer.Option("--json", help="Print cohort.json's content instead of a table.")] = False,
) -> None:
    """List the cases and how far the work has come.

    Example: multiverseg cohort status study
    """
    import json

    from ..cohort.store.cohort import Cohort, snapshot
    from ..cohort.store.order import progress as progress_of

    cohort = Cohort.open(folder, read_only=True)
    if json_:
        typer.echo(json.dumps(snapshot(cohort.state), indent=1, ensure_ascii=False))
        return
    cohort_results.print_table(cohort)
    typer.echo(str(progress_of(cohort.state)), err=not sys.stdout.isatty())


@commands.command("next")
def next_(
    folder: Folder,
    order: Annotated[str, typer.Option(help="Order of work (default: the cohort's).")] = "",
    after: Annotated[str | None, typer.Option(help="The case worked on now.")] = None,
) -> None:
    """Print the case to work on next, and its volume.

    Example: multiverseg cohort next study --order "least certain"
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.order import next_case

    cohort = Cohort.open(folder, read_only=True)
    case = next_case(cohort.state, order, after)
    if case is None:
        typer.echo("Every case is done.", err=True)
        return
    say(f"{case.id}\t{cohort.resolve(case.volume.path)}")


@commands.command()
def labels(
    folder: Folder,
    structure: OneStructure = "",
    case: Annotated[
        list[str] | None, typer.Option("--case", help="Only these cases; repeatable (default: every case with a segmentation).")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder of masks named after the cases; remembered as their labels.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="Label value in these masks, or 'all' (default: the segment of its name, or the only label).")
    ] = None,
    wait: Wait = 0,
) -> None:
    """Make examples of existing or accepted segmentations: the context, in one step.

    Example: multiverseg cohort labels study --case p01 --case p02
    """
    from ..cohort.sources.files import labels_from_folder
    from ..cohort.store.cohort import Cohort
    from ..cohort.work.labels_to_context import labels_to_context
    from ..mrml.headless import start

    start()
    with Cohort.open(folder, wait=wait) as cohort:
        cohort.check_writable()
        name = cohort.structure(structure).name
        if source is not None:
            for case_id, found in labels_from_folder(source, cohort.cases, cohort.folder, [name], label_value(value)).items():
                kept = [entry for entry in cohort.case(case_id).labels if entry.structure != name]
                cohort.record("labels", case=case_id, labels=[_plain(entry) for entry in (*kept, *found)])
        before: list[str] = []
        with step("Reading segmentations"):
            taken = labels_to_context(cohort, name, case, progress=lambda case_id: _taking(before, case_id))
    for case_id, reason in taken.left_out.items():
        warn(f"{case_id}: {reason}")
    say(f"{counted(len(taken.cases), 'example')} of {name}")


@commands.command()
def weak(
    folder: Folder,
    case: CaseId,
    prompts: Annotated[list[Path], typer.Option("--prompts", help="Markups (.mrk.json); repeatable.")],
    structure: OneStructure = "",
    wait: Wait = 0,
) -> None:
    """Make a weak example: a slice with points or boxes instead of a mask. The model must read prompts in its context, as compact does.

    Example: multiverseg cohort weak study p05 --prompts p05.mrk.json
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.cohort_contexts import Contexts
    from ..cohort.work.labels_to_context import prompts_to_context
    from ..core.prompts import Prompts
    from ..mrml import markups
    from ..mrml.headless import start

    start()
    with Cohort.open(folder, wait=wait) as cohort:
        contexts = Contexts(cohort)
        given = Prompts().extended(p for path in prompts for p in markups.load_prompts(path))
        prompts_to_context(cohort, case, given, structure, contexts)
        say(f"{cohort.structure(structure).name}: {contexts.summary(structure or cohort.structure().name)}")


@commands.command()
def predict(
    folder: Folder,
    case: CaseId,
    structure: OneStructure = "",
    prompts: Annotated[list[Path] | None, typer.Option("--prompts", help="Markups (.mrk.json); repeatable.")] = None,
    index: Annotated[
        int | None, typer.Option("--slice", help="Slice along the structure's axis (default: the prompts', the proposal's, or the middle).")
    ] = None,
    box: Boxes = None,
    point: Points = None,
    negative: Negatives = None,
    volume: Annotated[bool, typer.Option("--volume", help="Go on through the volume from there.")] = False,
    accept_it: Annotated[bool, typer.Option("--accept", help="Accept the result at once.")] = False,
    device: Device = "auto",
    wait: Wait = 0,
) -> None:
    """Predict a slice of a case, with prompts or from the context alone, optionally propagating through the volume.

    Example: multiverseg cohort predict study p03 --point 12,-30,44 --volume
    """
    from ..mrml.headless import start
    from .cohort_work import opened, predict_case

    typed = typed_prompts(box, point, negative)
    start()
    with opened(folder, case, device=device, wait=wait) as work:
        result = predict_case(work, structure, prompts or [], index, volume, typed)
        if accept_it:
            work.accept([result.structure])
            written.add(f"{case}, accepted")
        say(result.line)


@commands.command()
def accept(
    folder: Folder,
    case: CaseId,
    structure: Annotated[
        list[str] | None, typer.Option("--structure", "-s", help="Structure; may be given several times (default: all).")
    ] = None,
    segmentation: Annotated[Path | None, typer.Option(help="A segmentation made elsewhere (segments by name, or one label map).")] = None,
    proposal: Annotated[bool, typer.Option("--proposal", help="Accept the proposal as it is.")] = False,
    absent: Annotated[bool, typer.Option("--absent", help="Accept that the structures are not in this case.")] = False,
    wait: Wait = 0,
) -> None:
    """Accept a case: its result is saved, and its max slice becomes an example (with --absent an empty one).

    Example: multiverseg cohort accept study p03 --segmentation p03.seg.nrrd
    """
    from ..mrml.headless import start
    from .cohort_work import bring_in, opened

    if absent and (segmentation is not None or proposal):
        raise typer.BadParameter("--absent accepts that there is nothing: give it without --segmentation and --proposal")
    start()
    with opened(folder, case, with_model=False, wait=wait) as work:
        names = [work.cohort.structure(s).name for s in structure] if structure else [s.name for s in work.cohort.structures]
        if segmentation is not None:
            bring_in(work, segmentation, names)
        if proposal:
            for name in names:
                work.show_proposal(name)
        accepted = work.accept([], absent=names) if absent else work.accept(names if structure else None)
        written.add(f"{case}, accepted")
        how = "accepted as absent" if absent else "accepted"
        say(f"{case}: {', '.join(accepted)} {how}; the case is {work.cohort.case(case).status}")


@commands.command()
def skip(
    folder: Folder,
    case: CaseId,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    wait: Wait = 0,
) -> None:
    """Leave a case out.

    Example: multiverseg cohort skip study p07 --note "motion"
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.cohort_contexts import Contexts

    with Cohort.open(folder, wait=wait) as cohort:
        Contexts(cohort).skip(case, note)


@commands.command()
def forget(
    folder: Folder,
    case: Annotated[str, typer.Argument(help="The case whose example is bad.")],
    structure: OneStructure = "",
    wait: Wait = 0,
) -> None:
    """Take a bad example out of the context, and mark everything that was predicted with it.

    Example: multiverseg cohort forget study p02
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.cohort_contexts import Contexts

    with Cohort.open(folder, wait=wait) as cohort:
        contexts, name = Contexts(cohort), cohort.structure(structure).name
        found = [e.id for e in contexts.get(name).examples if e.case == case]
        if not found:
            raise MultiverSegError(f"The context of {name} has no example of case {case!r}.")
        doubtful = sorted({c for example in found for c in contexts.remove(name, example)})
        say(f"taken out; to be looked at again: {', '.join(doubtful) or 'nothing'}")


def _plain(entry) -> dict:
    return {key: value for key, value in vars(entry).items() if value is not None}


def _taking(before: list[str], case: str) -> None:
    """``labels_to_context`` begins a case: the one before it is done."""
    for done in before:
        written.add(f"the example of {done}")
    before[:] = [case]


def _structure_name(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise typer.BadParameter(f"{name!r} can't be the name of a structure: use printable characters.", param_hint="--structure")
    if len(name) > _LONGEST_NAME:
        raise typer.BadParameter(f"a name of {len(name)} characters is too long, at most {_LONGEST_NAME}.", param_hint="--structure")
    return name


def _model(name: str) -> str:
    """The model's name, or the absolute path of a checkpoint (the cohort is worked on from other folders too).

    Raises:
        CheckpointError: neither.
    """
    from ..core.models.registry import Registry

    registry = Registry()
    if registry.has(name):
        if not registry.available(name):
            warn(f"the weights of {name} are not here yet: 'multiverseg models fetch {name}' before the first prediction.")
        return name
    if Path(name).is_file():
        return str(Path(name).absolute())
    registry.get(name)  # says which there are
    return name


def _image_settings(window: str, fov: float | None) -> dict:
    """ImageSettings as JSON, only what differs from the default."""
    from ..core.imaging import ImageSettings

    if not window and fov is None:
        return {}
    settings = ImageSettings()
    if window and "," in window:
        low, _, high = window.partition(",")
        try:
            settings = ImageSettings(scaling="window", window=(float(low), float(high)))
        except ValueError as error:
            raise typer.BadParameter(f"--window needs a preset or LOW,HIGH, got {window!r}") from error
    elif window:
        settings = ImageSettings.ct(window)
    if fov is not None:
        settings = settings.with_(field_of_view="fixed", fov_mm=fov)
    return settings.to_json()
