"""What the effect does, without Qt: prompts to prediction to segment, for the segment that is selected now.

MRML is touched on the main thread only; the worker gets arrays. A result is written only if everything it was asked for is still
as it was: the same volume, segmentation, segment and prompts, all still in the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ...core.errors import Cancelled, MultiverSegError, PromptError, SegmentationError
from ...core.prompts import Prompt, Prompts
from ...engine.slice_session import SliceSession
from ...mrml import prompt_tags
from ...mrml.slice_plane import SlicePlane
from ..shared import options, settings, torch_setup
from ..shared import user_contexts as contexts
from .prompt_display import PromptDisplay, remove_leftovers
from .writer import EffectWriter


class Editor(Protocol):
    """What the presenter needs of the Segment Editor; the effect provides it."""

    def editorNode(self) -> Any: ...

    def option(self, name: str) -> str: ...

    def optionNode(self, name: str) -> Any: ...

    def saveUndo(self) -> None: ...

    def modify(self, segmentation: Any, segment_id: str, labelmap: Any, remove: bool) -> None: ...


@dataclass(frozen=True)
class Status:
    """One line for the user."""

    text: str = ""
    busy: bool = False
    problem: bool = False


@dataclass(frozen=True)
class Target:
    """What a prediction is for."""

    volume: Any
    segmentation: Any
    segment_id: str

    @property
    def segment(self) -> Any:
        return self.segmentation.GetSegmentation().GetSegment(self.segment_id)

    @property
    def alive(self) -> bool:
        """Whether all of it is still in one scene."""
        scene = self.segmentation.GetScene()
        return scene is not None and self.volume.GetScene() is scene and self.segment is not None

    def voxels(self) -> int:
        """A number that changes when somebody writes the segment's voxels."""
        labelmap = self.segment.GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
        return labelmap.GetMTime() if labelmap is not None else 0


@dataclass(frozen=True)
class Job:
    """One prediction in flight. ``undoable``: the state before it is the newest in the editor's history already."""

    target: Target
    session: SliceSession
    request: Any
    prompts: Prompts
    voxels: int
    undoable: bool


class PromptPresenter(VTKObservationMixin):
    """One per effect. ``editor``: see ``Editor``; ``service``: see ``service.PredictionService``; ``report``: takes a ``Status``."""

    def __init__(self, editor: Editor, service: Any, report: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.editor = editor
        self.service = service
        self.report = report
        self.library = contexts.shared()
        self.display = PromptDisplay(slicer.mrmlScene)
        self._session: SliceSession | None = None
        self._session_key: Any = None
        self._slice_node: Any = None
        self._job: Job | None = None
        self._target: Target | None = None
        self._last_text = ""

    # Life

    def activate(self) -> None:
        scene = slicer.mrmlScene
        remove_leftovers(scene)
        self.display = PromptDisplay(scene)
        self.addObserver(scene, scene.StartCloseEvent, self._on_scene_close)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._on_node_removed)
        self.addObserver(self.editor.editorNode(), vtk.vtkCommand.ModifiedEvent, self.refresh)
        self.refresh()

    def deactivate(self) -> None:
        """Cancel, take the markups away, stop observing. The prompts stay with their segment."""
        self.cancel()
        self._forget()
        self.removeObservers()

    def _forget(self) -> None:
        self.display.clear()
        if self._session is not None:
            self._session.close()
        self._observe(None)
        self._session, self._session_key, self._slice_node, self._target = None, None, None, None

    def _on_scene_close(self, caller, event) -> None:
        self.cancel()
        self._forget()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_removed(self, caller, event, node) -> None:
        """The volume or segmentation worked on leaves the scene: what was asked for them must not be written, their prompts go."""
        if self._target is not None and node in (self._target.volume, self._target.segmentation):
            self.cancel()
            self._forget()

    def refresh(self, caller: Any = None, event: Any = None) -> None:
        """Follow the editor: another segment, volume or scene, an undo, a removed segment. Shows the prompts of what is selected now."""
        target = self.target()
        if target != self._target:
            self.cancel()
            self._observe(target)
            self._target, self._session, self._session_key = target, None, None
        prompts = self.prompts()
        if self._job is not None and prompts != self._job.prompts:
            self.cancel()
        if self._session is not None and self._session.prompts != prompts:
            self._session = None  # prompts were undone or cleared: the last prediction is not theirs
        self.display.show(prompts)

    def _observe(self, target: Target | None) -> None:
        if self._target is not None:
            segmentation = self._target.segmentation.GetSegmentation()
            for event in _SEGMENT_EVENTS:
                if self.hasObserver(segmentation, event, self.refresh):
                    self.removeObserver(segmentation, event, self.refresh)
        if target is not None:
            segmentation = target.segmentation.GetSegmentation()
            for event in _SEGMENT_EVENTS:
                self.addObserver(segmentation, event, self.refresh)

    # What is selected now

    def target(self) -> Target | None:
        """The volume, segmentation and segment that the editor has now; None if one of them is missing."""
        node = self.editor.editorNode()
        if node is None or node.GetScene() is None or node.GetScene().IsClosing():
            return None
        volume, segmentation, segment_id = node.GetSourceVolumeNode(), node.GetSegmentationNode(), node.GetSelectedSegmentID()
        if volume is None or segmentation is None or not segment_id:
            return None
        target = Target(volume, segmentation, segment_id)
        return target if target.alive else None

    def prompts(self) -> Prompts:
        """The prompts of the segment selected now."""
        target = self.target()
        return prompt_tags.load(target.segmentation, target.segment_id) if target is not None else Prompts()

    def structure(self) -> str:
        """The structure that the options name, else the segment's name."""
        target = self.target()
        return self.editor.option("Structure") or (target.segment.GetName() if target is not None else "")

    def structures(self) -> list[str]:
        """Structures that have examples."""
        return self.library.structures()

    def required_target(self) -> Target:
        target = self.target()
        if target is None:
            raise SegmentationError(_("Choose a source volume and select a segment first: that is where the prediction goes."))
        return target

    # Prompts

    def preview(self, gesture) -> None:
        """Draw the gesture in progress."""
        box = gesture.tool == "box"
        if box or not gesture.is_click:
            self.display.preview(gesture.corners() if box else gesture.points, gesture.positive, box)

    def end_preview(self) -> None:
        """The gesture is over, or was given up."""
        self.display.end_preview()

    def add_prompt(self, prompt: Prompt, slice_node: Any) -> None:
        """Add a prompt to the segment selected now and, with live update, predict."""
        self.end_preview()
        self.change_prompts(self.prompts().added(prompt), slice_node)

    def change_prompts(self, prompts: Prompts, slice_node: Any, predict: bool | None = None) -> None:
        """Give the segment selected now these prompts, as one undo step; predict: None means as the live update option says."""
        target = self.required_target()
        prompts = prompt_tags.normalized(prompts)
        merged = self._job is not None and self._job.undoable and self._job.target == target
        if not merged:
            self.editor.saveUndo()
        job, self._job = self._job, None
        if job is not None:
            job.session.cancel()
        if self._session is not None:
            self._session.prompts = prompts  # so that refresh does not take them for an undo
        prompt_tags.save(target.segmentation, target.segment_id, prompts)
        self.refresh()
        self._slice_node = slice_node
        if predict if predict is not None else self.editor.option("LiveUpdate") != "0":
            self.predict(slice_node, undoable=True)

    def clear(self) -> bool:
        """Remove the prompts of the slice worked on last (all, if none was). The segment stays. False if there were none."""
        prompts = self.prompts()
        kept = Prompts()
        if self._slice_node is not None and self._slice_node.GetScene() is not None:
            plane = SlicePlane.from_slice_node(self.required_target().volume, self._slice_node, self.image_settings())
            kept = Prompts(tuple(p for p in prompts if not plane.holds(p)))
        if kept == prompts:
            return False
        self.cancel()
        self.change_prompts(kept, self._slice_node, predict=False)
        self.report(Status(_("Prompts cleared.")))
        return True

    # Predicting

    def predict(self, slice_node: Any = None, undoable: bool = False) -> None:
        """Ask for a prediction on the slice that ``slice_node`` (None: the one worked on last, or the first view's) shows now.

        Raises:
            MultiverSegError: nothing is selected, the slice misses the volume, or there is nothing to go by.
        """
        target = self.required_target()
        if not torch_setup.installed():
            raise MultiverSegError(torch_setup.diagnose().text + " " + _("The button is in the set-up box of the module MultiverSeg."))
        slice_node = slice_node or self._slice_node or first_slice_node()
        if slice_node is None:
            raise PromptError(_("No slice view is shown: choose a layout with slices."))
        self._slice_node = slice_node
        session = self._session_for(target, slice_node)
        if session.prompts != self.prompts():
            session.prompts = self.prompts()
        request = session.request()
        job = Job(target, session, request, session.prompts, target.voxels(), undoable)
        self._job = job
        self.service.submit(session.run, request, lambda outcome: self._finished(job, outcome))
        self.report(self.status())

    def _session_for(self, target: Target, slice_node: Any) -> SliceSession:
        image_settings = self.image_settings()
        plane = SlicePlane.from_slice_node(target.volume, slice_node, image_settings)
        key = (target, plane, image_settings)
        if self._session is None or key != self._session_key:
            if self._session is not None:
                self._session.close()
            self._session_key = key
            self._session = self.new_session(target, plane, EffectWriter(self.editor, self._save_before_write))
        self._session.context = self._context(target)
        self._session.strategy = self.editor.option("Selection")
        self._session.cap = int(self.editor.option("Cap"))
        self._session.threshold = float(self.editor.option("Threshold"))
        return self._session

    def new_session(self, target: Target, plane: SlicePlane, writer: EffectWriter, strokes: Any = ()) -> SliceSession:
        """A session of the engine for one slice, with the options as they are now and the prompts of the target."""
        session = SliceSession(
            target.volume,
            target.segmentation,
            target.segment_id,
            plane,
            self.image_settings(),
            self.service.predictor,
            self._context(target),
            strategy=self.editor.option("Selection"),
            cap=int(self.editor.option("Cap")),
            threshold=float(self.editor.option("Threshold")),
            writer=writer,
            strokes=strokes,
        )
        session.prompts = prompt_tags.load(target.segmentation, target.segment_id)
        return session

    def examples(self, image: Any) -> list:
        """The examples that a prediction of ``image`` [128, 128] would get."""
        return list(self._context(self.required_target()).selection(image, self.editor.option("Selection"), int(self.editor.option("Cap"))))

    def _context(self, target: Target) -> Any:
        return self.library.context_for(target.segmentation, self.structure())

    def image_settings(self):
        """The engine's image settings that the options mean."""
        target = self.required_target()
        return options.image_settings(self.editor.option, self.editor.optionNode(options.ROI_REFERENCE), target.volume)

    def _save_before_write(self) -> None:
        if not self._job.undoable or self._job.target.voxels() != self._job.voxels:
            self.editor.saveUndo()

    def _finished(self, job: Job, outcome: Any) -> None:
        if job is not self._job:
            return
        if isinstance(outcome, Exception):
            self._job = None
            if isinstance(outcome, Cancelled):
                self.report(Status(_("Cancelled.")))
            else:
                self.report(Status(str(outcome) or type(outcome).__name__, problem=True))
            return
        if not job.target.alive or self.target() != job.target or self.prompts() != job.prompts:
            self.cancel()
            return
        if job.target.voxels() != job.voxels and job.session.is_current(job.request):
            self._job = None
            self.predict(self._slice_node)  # painted meanwhile: that counts, ask again
            return
        try:
            job.session.apply(job.request, outcome)
        finally:
            self._job = None
        self._last_text = result_text(outcome, self.service.description)
        self.report(self.status())

    def poll(self) -> None:
        """Take finished predictions from the worker. Called by a timer on the main thread."""
        self.service.poll()

    def cancel(self) -> bool:
        """Drop the prediction in flight, if any; True if there was one. Nothing of it is written."""
        self.display.end_preview()
        job, self._job = self._job, None
        if job is None:
            return False
        job.session.cancel()
        self.service.cancel()
        self.report(Status(_("Cancelled.")))
        return True

    # Accepting

    def accept(self) -> Any:
        """The case is done: the segment's largest slice becomes an example of the structure, and the prompts go."""
        self.cancel()
        target = self.required_target()
        slice_node = self._slice_node or first_slice_node()
        if self.library.case_of(target.segmentation):
            example = self.library.accept_case(self.structure())
        else:
            example = self._session_for(target, slice_node).accept(target.volume.GetName(), self.structure(), max_slice_only=True)
        if len(self.prompts()):
            self.change_prompts(Prompts(), slice_node, predict=False)
        self._last_text = _("Accepted: '{structure}' has {count} examples now.").format(
            structure=self.structure(), count=len(self.library.context(self.structure()))
        )
        self.report(self.status())
        self.library.notify()
        return example

    def status(self) -> Status:
        """What is going on, in one line."""
        model = self.service.description or _("{model} on {device}").format(model=settings.value("Model"), device=settings.value("Device"))
        if self._job is not None:
            return Status(_("Predicting: {model}, {count} examples…").format(model=model, count=len(self._job.request.examples)), busy=True)
        return Status(self._last_text or model)


_SEGMENT_EVENTS = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentRemoved)


def first_slice_node() -> Any:
    """The slice node of the first slice view in the layout; None without one."""
    manager = slicer.app.layoutManager()
    names = manager.sliceViewNames() if manager is not None else ()
    return manager.sliceWidget(names[0]).mrmlSliceNode() if names else None


def result_text(prediction: Any, model: str) -> str:
    """E.g. "compact on CPU, 3 examples, 0.08 s, confidence 92 %"."""
    text = _("{model}, {count} examples, {seconds:.2f} s, confidence {confidence:.0f} %").format(
        model=model, count=prediction.n_context, seconds=prediction.seconds, confidence=100 * prediction.confidence
    )
    return f"{text}. {prediction.notice}" if prediction.notice else text
