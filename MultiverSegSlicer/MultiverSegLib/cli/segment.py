"""``multiverseg segment``: one prediction on a slice of a real volume, from prompts, from a context, or from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import ContextError, PromptError, SegmentationError
from ..core.prompts import Prompts, Scribble
from .console import say, written
from .options import (
    AcceptedCase,
    Boxes,
    Cap,
    ContextFolder,
    Device,
    Model,
    Negatives,
    Points,
    Strategy,
    Threshold,
    Window,
    image_settings,
    typed_prompts,
)

DEFAULT_STRUCTURE = "structure"


def register(app: typer.Typer) -> None:
    app.command("segment")(segment)


def segment(
    volume: Annotated[Path, typer.Argument(help="Volume: NRRD, NIfTI, MetaImage, a DICOM file or a folder with one DICOM series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Result, a .seg.nrrd on the volume's own voxel grid.")],
    prompts: Annotated[
        list[Path] | None, typer.Option("--prompts", "-p", help="Markups (.mrk.json): points, ROIs, curves. Repeatable.")
    ] = None,
    scribbles: Annotated[
        list[Path] | None, typer.Option(help="Painted strokes (.seg.nrrd); segments called neg... or -... are negative.")
    ] = None,
    box: Boxes = None,
    point: Points = None,
    negative: Negatives = None,
    structure: Annotated[
        str | None,
        typer.Option(help="Name of the segment; a structure that the model knows by its name needs no prompt. Default: the context's."),
    ] = None,
    axis: Annotated[str, typer.Option(help="auto, or the array axis the slices follow: i, j or k.")] = "auto",
    slice_: Annotated[str, typer.Option("--slice", help="auto, max (largest area in --segmentation) or a number.")] = "auto",
    segmentation: Annotated[Path | None, typer.Option(help="A segmentation to go on with: its slice is the previous prediction.")] = None,
    context: ContextFolder = None,
    accept: Annotated[bool, typer.Option("--accept", help="Add the result to the context.")] = False,
    case: AcceptedCase = None,
    model: Model = "compact",
    device: Device = "auto",
    threshold: Threshold = 0.5,
    strategy: Strategy = "most_similar",
    cap: Cap = 16,
    window: Window = None,
    whole: Annotated[bool, typer.Option("--volume", help="All slices: prompts may lie on any, a box bounds the slices.")] = False,
) -> None:
    """Predict a structure on one slice of a volume, or on all with --volume, and write it as a segmentation.

    Points are positive unless their label or description begins with "neg" or "-"; ROIs are boxes; open curves are scribbles of the
    same rule, closed curves are filled. Slices are counted from 0 in the order of the file.

    Examples:

    [bold]multiverseg segment ct.nrrd --prompts liver.mrk.json -o liver.seg.nrrd[/bold]

    [bold]multiverseg segment ct.nrrd --volume --prompts liver.mrk.json -o liver.seg.nrrd[/bold]

    [bold]multiverseg segment next.nrrd --context liver --axis k --slice 41 --accept -o next.seg.nrrd[/bold]

    [bold]multiverseg segment heart.nrrd --structure "left ventricle" --model verse-cardiac -o heart.seg.nrrd[/bold]
    """
    if accept and context is None:
        raise typer.BadParameter("--accept needs a --context folder to add the result to.")
    if not str(output).lower().endswith(".seg.nrrd"):
        raise typer.BadParameter("the name must end with .seg.nrrd.", param_hint="--output")
    if axis not in ("auto", "i", "j", "k"):
        raise typer.BadParameter("must be auto, i, j or k.", param_hint="--axis")
    if slice_ not in ("auto", "max") and not slice_.isdecimal():
        raise typer.BadParameter("must be auto, max or a number from 0.", param_hint="--slice")
    if slice_ == "max" and segmentation is None:
        raise typer.BadParameter("max needs a --segmentation to look at.", param_hint="--slice")
    if whole and (scribbles or segmentation or accept or slice_ != "auto"):
        raise typer.BadParameter(
            "takes no --scribbles, --segmentation, --slice or --accept: those are about one slice.", param_hint="--volume"
        )
    from ..mrml.paths import same_file

    if any(same_file(output, source) for source in (volume, *(scribbles or []))):
        raise typer.BadParameter("is one of the files that are read: give the result another name.", param_hint="--output")
    typed = typed_prompts(box, point, negative)
    if not (typed or prompts or scribbles or context or segmentation):
        _check_known(model, structure, whole)
    SegmentRun(
        volume=volume,
        output=output,
        prompts=typed,
        prompt_files=prompts or [],
        scribble_files=scribbles or [],
        segmentation=segmentation,
        context=context,
        structure=structure,
        axis=axis,
        slice=slice_,
        accept=accept,
        case=case,
        model=model,
        device=device,
        threshold=threshold,
        strategy=strategy,
        cap=cap,
        window=window,
        whole=whole,
    ).run()


def _check_known(model: str, structure: str | None, whole: bool) -> None:
    """Refuses a job with neither prompt nor example, unless the model knows the structure by its name.

    Raises:
        MultiverSegError: it does not; the message lists those it knows.
    """
    from ..core.predictors import capabilities_of

    able = capabilities_of(model)
    if structure and able.structures and not whole:
        able.structure(structure)
        return
    known = f", or the --structure that it is asked for ({', '.join(s.name for s in able.structures)})" if able.structures else ""
    raise typer.BadParameter(f"give --prompts, --scribbles, --box, --point or a --context{known}: there is nothing to go by.")


@dataclass
class SegmentRun:
    """The command's work, with its options resolved step by step."""

    volume: Path
    output: Path
    prompts: Prompts
    prompt_files: list[Path]
    scribble_files: list[Path]
    segmentation: Path | None
    context: Path | None
    structure: str | None
    axis: str
    slice: str
    accept: bool
    case: str | None
    model: str
    device: str
    threshold: float
    strategy: str
    cap: int
    window: str | None
    whole: bool = False
    plane: Any = None
    _strokes: list[Any] = field(default_factory=list)

    def run(self) -> None:
        """Load, predict, write, and only then add to the context."""
        from ..cohort.store.files import save_with
        from ..engine.slice_session import SliceSession
        from ..mrml.headless import start
        from ..mrml.segments import save_segmentation
        from .console import step

        with step("Loading the volume"):
            start()
            self._load()
        with step("Loading the model"):
            predictor = self._make_predictor()
        if self.plane is None:
            with step(f"Looking for the {self.structure}"):
                self.plane = self._found_plane(predictor)
        if self.whole:
            self._run_volume(predictor)
            return
        session = SliceSession(
            self.volume_node,
            self.segmentation_node,
            self.segment_id,
            self.plane,
            self.settings,
            predictor,
            self.examples,
            strategy=self.strategy,
            cap=self.cap,
            threshold=self.threshold,
            strokes=self._strokes,
        )
        session.prompts = self.prompts
        with step("Predicting"):
            prediction = session.predict()
        self._describe(session, prediction)
        with step("Writing"):
            save_with(self.output, lambda path: save_segmentation(self.segmentation_node, path))
        written.add(self.output)
        say(f"wrote {self.output}")
        if self.accept:
            example = session.accept(self.case or self.volume_node.GetName(), self.structure)
            say(f"added {example.case} to the context {self.context} (examples: {len(self.examples.examples)})")

    def _run_volume(self, predictor: Any) -> None:
        from ..cohort.store.files import save_with
        from ..engine.volume_from_prompts import segment_volume
        from ..engine.volume_propagation import Limits
        from ..mrml.segments import get_segment, save_segmentation
        from .console import NOTICE, step, warn

        nodes = (self.volume_node, self.segmentation_node, self.segment_id)
        examples = self.examples.examples if self.examples is not None else ()
        with step("Predicting"):
            results = segment_volume(
                *nodes,
                self.axis,
                self.settings,
                predictor,
                self.prompts,
                examples,
                self.strategy,
                self.cap,
                Limits(threshold=self.threshold),
            )
        shown = sorted(n for n, result in results.items() if result.area)
        voxels = int(get_segment(self.segmentation_node, self.segment_id, self.volume_node).sum())
        where = f"slices {self.axis}={shown[0]} to {shown[-1]}" if shown else "no slice"
        say(f"{self.volume_node.GetName()}: {where}")
        say(f"{self.structure}: {voxels} voxels ({predictor.description})")
        say(NOTICE)
        if not voxels:
            warn("the result is empty: give another prompt, or a lower --threshold.")
        with step("Writing"):
            save_with(self.output, lambda path: save_segmentation(self.segmentation_node, path))
        written.add(self.output)
        say(f"wrote {self.output}")

    # --- preparing

    def _load(self) -> None:
        from ..mrml.markups import load_prompts
        from ..mrml.volume_files import load_volume

        self.volume_node = load_volume(self.volume)
        for file in self.prompt_files:
            self.prompts = self.prompts.extended(load_prompts(file))
        self._load_strokes()
        self._load_context()
        self._load_segmentation()
        self._choose_plane()

    def _load_strokes(self) -> None:
        from ..engine.slice_session import Strokes
        from ..mrml.segments import load_segmentation, segment_ids

        for file in self.scribble_files:
            node = load_segmentation(file, self.volume_node)
            for segment_id in segment_ids(node):
                name = node.GetSegmentation().GetSegment(segment_id).GetName().strip().lower()
                self._strokes.append(Strokes(node, segment_id, positive=not name.startswith(("neg", "-"))))

    def _load_context(self) -> None:
        from ..core.context.context_set import ContextSet
        from ..mrml.volumes import array_of

        if self.context is not None and not self.accept and not self.context.exists():
            raise ContextError(f"The context {self.context} does not exist: check its path, or begin it with --accept.")
        self.examples = ContextSet(self.context) if self.context is not None else None
        accepted = self.examples.examples if self.examples is not None else ()
        self.structure = self.structure or next((e.structure for e in accepted if e.structure), DEFAULT_STRUCTURE)
        self.settings = image_settings(self.window, accepted, array_of(self.volume_node))

    def _load_segmentation(self) -> None:
        from ..mrml.segments import add_segment, load_segmentation, new_segmentation, segment_ids

        if self.segmentation is None:
            self.segmentation_node = new_segmentation(self.volume_node)
            self.segment_id = add_segment(self.segmentation_node, self.structure)
            return
        self.segmentation_node = load_segmentation(self.segmentation, self.volume_node)
        named = segment_ids(self.segmentation_node, self.structure)
        self.segment_id = named[0] if named else add_segment(self.segmentation_node, self.structure)
        if not named and self.slice == "max":
            raise SegmentationError(
                f"{self.segmentation} has no segment called {self.structure}: name one of its segments with --structure."
            )

    def _choose_plane(self) -> None:
        from ..mrml.axes import axis_number, axis_of_prompts, slice_of_prompts
        from ..mrml.extent import check_inside
        from ..mrml.slice_plane import SlicePlane
        from ..mrml.volumes import dimensions_of, ijk_to_ras

        matrix, dimensions = ijk_to_ras(self.volume_node), dimensions_of(self.volume_node)
        check_inside(self.prompts, matrix, dimensions, self.volume_node.GetName())
        painted = self._painted_voxels()
        if self.axis == "auto":
            strokes = [Scribble(tuple(map(tuple, voxels @ matrix[:3, :3].T + matrix[:3, 3]))) for voxels in painted]
            pointed = self.prompts.extended(strokes)
            self.axis = (None if pointed else self._axis_of_context()) or axis_of_prompts(pointed, matrix)
        number = axis_number(self.axis)
        if self.slice.isdecimal():
            index = int(self.slice)
        elif self.slice == "auto" and self.prompts:
            index = slice_of_prompts(self.prompts, matrix, dimensions, self.axis)
        elif self.slice == "auto" and painted:
            index = _most_frequent(painted[0][:, number])
        else:
            index = self._max_slice()
            if index is None and self.examples is None:
                return  # a structure that the model knows by its name: where it is, the model says
            index = dimensions[number] // 2 if index is None else index
        self.plane = SlicePlane.from_volume(self.volume_node, self.axis, index, self.settings)
        if not self.whole:
            self._check_prompts()

    def _found_plane(self, predictor: Any) -> Any:
        """The slice that shows the structure best, for a model that knows it by its name.

        Raises:
            PromptError: it is on none of the slices.
        """
        from ..engine.find_known import find_known
        from ..mrml.axes import axis_number
        from ..mrml.slice_plane import SlicePlane
        from ..mrml.volumes import dimensions_of

        def plane(index: int) -> Any:
            return SlicePlane.from_volume(self.volume_node, self.axis, index, self.settings, predictor.capabilities.size)

        count = dimensions_of(self.volume_node)[axis_number(self.axis)]
        found = find_known(lambda index: plane(index).sample(self.volume_node, self.settings), count, predictor)
        if found is None:
            raise PromptError(
                f"{predictor.capabilities.model} finds no {self.structure} along {self.axis} in {self.volume_node.GetName()}: "
                "try another --axis, or click on it with --point."
            )
        return plane(found.index)

    def _painted_voxels(self) -> list[Any]:
        """Indices (i, j, k) of the voxels of each painted segment, [n, 3]; positive segments first.

        Raises:
            PromptError: strokes were given, but none is inside of the volume.
        """
        import numpy as np

        from ..mrml.segments import get_segment

        strokes = sorted(self._strokes, key=lambda stroke: not stroke.positive)
        found = [np.argwhere(get_segment(s.segmentation, s.segment_id, self.volume_node))[:, ::-1] for s in strokes]
        found = [voxels for voxels in found if len(voxels)]
        if self._strokes and not found:
            raise PromptError(f"{self.scribble_files[0]} has no painted voxel inside of the volume: paint on this volume.")
        return found

    def _axis_of_context(self) -> str | None:
        accepted = self.examples.examples if self.examples is not None else ()
        axes = [e.axis for e in accepted if e.axis in ("i", "j", "k")]
        return max(set(axes), key=axes.count) if axes else None

    def _max_slice(self) -> int | None:
        from ..mrml.segments import max_slice
        from ..mrml.writing import is_empty

        if self.slice == "auto" and is_empty(self.segmentation_node, self.segment_id):
            return None
        return max_slice(self.segmentation_node, self.segment_id, self.volume_node, self.axis)

    def _check_prompts(self) -> None:
        from .console import warn

        held = sum(self.plane.holds(prompt) for prompt in self.prompts)
        where = f"slice {self.plane.axis}={self.plane.index}"
        if len(self.prompts) and not held:
            raise PromptError(
                f"None of the {len(self.prompts)} prompts lies on {where}: check --axis and --slice, and that they belong to this volume."
            )
        if held < len(self.prompts):
            warn(f"{len(self.prompts) - held} of {len(self.prompts)} prompts do not lie on {where} and are not used.")

    def _make_predictor(self) -> Any:
        from ..core.asking import for_structure
        from ..core.predictors import open_predictor

        return for_structure(open_predictor(self.model, self.device), self.structure or "")

    # --- telling

    def _describe(self, session: Any, prediction: Any) -> None:
        from ..mrml.segments import get_segment
        from .console import NOTICE, warn

        voxels = int(get_segment(self.segmentation_node, self.segment_id, self.volume_node).sum())
        counts = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in self.prompts.counts().items())
        painted = f"{len(self._strokes)} painted segments" if self._strokes else ""
        say(f"{self.volume_node.GetName()}: slice {self.plane.axis}={self.plane.index}")
        if (asked := session.predictor.capabilities.asked) is not None:
            say(f"asked for by its name: {asked.name}")
        say(f"prompts: {', '.join(filter(None, (counts, painted))) or 'none'}; examples: {prediction.n_context}")
        say(
            f"{self.structure}: {voxels} voxels, confidence {prediction.confidence:.2f}, {prediction.seconds:.2f} s ({session.predictor.description})"
        )
        say(NOTICE)
        if not voxels:
            warn("the result is empty: give another prompt, or a lower --threshold.")


def _most_frequent(values: Any) -> int:
    import numpy as np

    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
