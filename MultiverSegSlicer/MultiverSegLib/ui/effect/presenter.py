"""What the effect does, without Qt: prompts to prediction to segment, for the segment that is selected now.

MRML is touched on the main thread only; the worker gets arrays. A result is written only if everything it was asked for is still
as it was: the same volume, in the same place and showing the same image, the same segmentation, segment and prompts, all still in the scene.

Slices are predicted one after the other, in the order in which they were asked for; on one slice the newest prompts win.
"""

from __future__ import annotations

from collections.abc import Callable
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
from ..shared.service import ModelChanged
from .asked import Ask, Job, Target
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
        self._waiting: list[Ask] = []
        self._when_answered: Callable[[str], None] | None = None
        self._target: Target | None = None
        self._tag = ""  # the prompts as we left them
        self._voxels = 0  # the segment as we left it
        self._changing = False
        self._last_text = ""
        self._problems: list[str] = []

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
        """Follow the editor: another segment, volume or scene, an undo, a removed segment, a transform. Shows the prompts of what is selected."""
        if self._changing:
            return
        target = self.target()
        if target != self._target:
            self.cancel()
            self._observe(target)
            self._target, self._session, self._session_key = target, None, None
        elif self._tag != self._tag_now():
            self.cancel()
            self._session = None  # prompts were undone: the last prediction is not theirs
        self._tag = self._tag_now()
        self.display.show(self.prompts())

    def _tag_now(self) -> str:
        return prompt_tags.text_of(self._target.segmentation, self._target.segment_id) if self._target is not None else ""

    def _observe(self, target: Target | None) -> None:
        for source, event in _sources(self._target):
            if self.hasObserver(source, event, self.refresh):
                self.removeObserver(source, event, self.refresh)
        for source, event in _sources(target):
            self.addObserver(source, event, self.refresh)

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
        """The cohort's structure that the segment stands for; else the one that the options name, else the segment's name."""
        target = self.target()
        known = self.library.structure_of(target.segmentation, target.segment_id) if target is not None else ""
        return known or self.editor.option("Structure") or (target.segment.GetName() if target is not None else "")

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
        """Give the segment selected now these prompts, as one undo step; predict: None means as the live update option says.

        While a prediction runs, a prompt on its slice belongs to the same step, and one on another slice becomes a step when it is written.
        """
        target = self.required_target()
        before, prompts = self.prompts(), prompt_tags.normalized(prompts)
        changed = Prompts(tuple([p for p in prompts if p not in before.items] + [p for p in before if p not in prompts.items]))
        added = tuple(p for p in prompts if p not in before.items)
        again = self._take_back(changed)
        pending = again or self.busy
        if not pending:
            self._problems = []
            self.editor.saveUndo()
        self._put(target, prompts)
        self.refresh()
        self._slice_node = slice_node
        if predict if predict is not None else self.editor.option("LiveUpdate") != "0":
            self._ask_again(again)
            self.predict(slice_node, undoable=not pending, added=added if pending else ())

    def _put(self, target: Target, prompts: Prompts) -> None:
        """Writes the prompts; whoever observes the segment sees a change that is ours."""
        before, self._changing = self._changing, True
        try:
            prompt_tags.save(target.segmentation, target.segment_id, prompts)
        finally:
            self._changing = before
        self._tag = prompt_tags.text_of(target.segmentation, target.segment_id)
        self._voxels = target.voxels()

    def clear(self) -> bool:
        """Remove the prompts of the slice worked on last (all, if none was). The segment stays. False if there were none."""
        prompts = self.prompts()
        kept = Prompts()
        if self._slice_node is not None and self._slice_node.GetScene() is not None:
            plane = SlicePlane.from_slice_node(self.required_target().volume, self._slice_node, self.image_settings())
            kept = Prompts(tuple(p for p in prompts if not plane.holds(p)))
        if kept == prompts:
            return False
        self.change_prompts(kept, self._slice_node, predict=False)
        self.report(self.status(_("Prompts cleared.")))
        return True

    # Predicting

    def predict(self, slice_node: Any = None, undoable: bool = False, added: tuple[Prompt, ...] = ()) -> None:
        """Ask for a prediction on the slice that ``slice_node`` (None: the one worked on last, or the first view's) shows now.

        Args:
            undoable, added: see ``Ask``.

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
        if not self.busy:
            self._problems = []
        plane = SlicePlane.from_slice_node(target.volume, slice_node, self.image_settings())
        self._ask(Ask(target, plane, slice_node, undoable, added))

    @property
    def busy(self) -> bool:
        """Whether a prediction runs or waits."""
        return self._job is not None or bool(self._waiting)

    def when_answered(self, then: Callable[[str], None]) -> None:
        """Calls ``then`` once everything that was asked for is written: with "", or with the reason why something was not."""
        if not self.busy:
            then("")
            return
        self._when_answered = then

    def _ask(self, ask: Ask) -> None:
        for older in [a for a in self._waiting if a.plane == ask.plane]:
            self._waiting.remove(older)
            ask = ask.merged(older)
        if self._job is not None and self._job.ask.plane == ask.plane:
            job, self._job = self._job, None
            job.cancel()
            ask = ask.merged(job.ask)
        if self._job is not None:
            self._waiting.append(ask)
            self.report(self.status())
        else:
            self._start(ask)

    def _ask_again(self, asks: list[Ask]) -> None:
        for ask in asks:
            self._ask(ask)

    def _take_back(self, changed: Prompts) -> list[Ask]:
        """Drops what was asked for on slices that these prompts touch; gives it."""
        again = [ask for ask in self._waiting if ask.held(changed)]
        self._waiting = [ask for ask in self._waiting if ask not in again]
        if self._job is not None and self._job.ask.held(changed):
            job, self._job = self._job, None
            job.cancel()
            again.insert(0, job.ask)
        return again

    def _start(self, ask: Ask) -> None:
        session = self._session_for(ask.target, ask.plane)
        prompts = self.prompts()
        if session.prompts != prompts:
            session.prompts = prompts
        request = session.request()
        job = Job(ask, session, request, ask.held(prompts), ask.target.voxels(), ask.target.state())
        self._job = job
        job.ticket = self.service.submit(session.run, request, lambda outcome: self._finished(job, outcome))
        self.report(self.status())

    def _session_for(self, target: Target, plane: SlicePlane) -> SliceSession:
        key = (target, plane, self.image_settings(), target.state())
        if self._session is None or key != self._session_key:
            if self._session is not None:
                self._session.close()
            self._session_key = key
            self._session = self.new_session(target, plane, EffectWriter(self.editor, self._save_before_write))
        self._session.predictor = self.service.predictor
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
        """A step of the editor's history, unless the newest one is what this prediction began with."""
        ask = self._job.ask
        if ask.undoable and ask.target.voxels() == self._voxels:
            return
        later = {*ask.added, *(p for waiting in self._waiting for p in waiting.added)}
        if not later:
            self.editor.saveUndo()
            return
        prompts = self.prompts()  # the state to return to has not got the prompts that came since
        self._put(ask.target, Prompts(tuple(p for p in prompts if p not in later)))
        self.editor.saveUndo()
        self._put(ask.target, prompts)

    def _finished(self, job: Job, outcome: Any) -> None:
        if job is not self._job:
            return
        if isinstance(outcome, ModelChanged):
            self._job = None
            self._go_on(lambda: self._start(job.ask))
            return
        if isinstance(outcome, Exception):
            self._end(_("Cancelled.") if isinstance(outcome, Cancelled) else str(outcome) or type(outcome).__name__)
            return
        target = job.ask.target
        if not target.alive or self.target() != target:
            self.cancel()
        elif target.state() != job.state:
            self._end(
                _("The volume or the segmentation changed or moved meanwhile: nothing was written. Run (M) predicts what is shown now.")
            )
        elif job.ask.held(self.prompts()) != job.held or (target.voxels() != job.voxels and job.session.is_current(job.request)):
            self._job = None
            self._go_on(lambda: self._start(job.ask))  # painted meanwhile: that counts, ask again
        else:
            self._go_on(lambda: self._write(job, outcome))
            self._end()

    def _write(self, job: Job, outcome: Any) -> None:
        job.session.apply(job.request, outcome)
        self._voxels = job.ask.target.voxels()
        self._last_text = result_text(outcome, self.service.description)

    def _go_on(self, step: Callable[[], None]) -> None:
        """A step that nobody waits for in a call: what goes wrong becomes a problem to show."""
        try:
            step()
        except MultiverSegError as error:
            self._problems.append(str(error))
            if self._job is None:
                self._end()

    def _end(self, problem: str = "") -> None:
        """A prediction is over: begin the next one, or say what came of all."""
        self._job = None
        if problem:
            self._problems.append(problem)
        if self._waiting:
            self._go_on(lambda: self._start(self._waiting.pop(0)))
            return
        self.report(self.status())
        then, self._when_answered = self._when_answered, None
        if then is not None:
            then(" ".join(self._problems))

    def poll(self) -> None:
        """Take finished predictions from the worker. Called by a timer on the main thread."""
        self.service.poll()

    def cancel(self) -> bool:
        """Drop the predictions in flight and waiting, if any; True if there was one. Nothing of them is written."""
        self.display.end_preview()
        if not self.busy:
            return False
        job, self._job, self._waiting = self._job, None, []
        if job is not None:
            job.cancel()
        text = _("Cancelled.")
        self.report(Status(text))
        then, self._when_answered = self._when_answered, None
        if then is not None:
            then(text)
        return True

    # Accepting

    def accept(self) -> Any:
        """The case is done: the segment's largest slice becomes an example of the structure, and the prompts go.

        What was asked for before is written first; until then nothing is accepted, and None is given.

        Raises:
            MultiverSegError: nothing is segmented, a propagation runs, or the segmentation is that of a case that isn't open.
        """
        if self.busy:
            self.when_answered(self._accept_now)
            self.report(self.status())
            return None
        return self._accept()

    def _accept_now(self, problem: str) -> None:
        if problem:
            self.report(Status(_("Not accepted: {reason}").format(reason=problem), problem=True))
            return
        try:
            self._accept()
        except MultiverSegError as error:
            self.report(Status(str(error), problem=True))

    def _accept(self) -> Any:
        target = self.required_target()
        if self.service.busy:
            raise SegmentationError(_("Slices are still being predicted: wait for them, or cancel that, before accepting."))
        elsewhere = self.library.case_elsewhere(target.segmentation)
        if elsewhere:
            raise SegmentationError(
                _("This segmentation belongs to case {case} of a cohort: open that case to accept it.").format(case=elsewhere)
            )
        slice_node = self._slice_node or first_slice_node()
        structure = self.structure()
        if self.library.case_of(target.segmentation):
            example = self.library.cohort.accept(self.library.structure_of(target.segmentation, target.segment_id))
            self.refresh()
        else:
            plane = SlicePlane.from_slice_node(target.volume, slice_node, self.image_settings())
            example = self._session_for(target, plane).accept(target.volume.GetName(), structure, max_slice_only=True)
            if len(self.prompts()):
                self.change_prompts(Prompts(), slice_node, predict=False)
        self._problems = []
        self._last_text = _("Accepted: '{structure}' has {count} examples now.").format(
            structure=structure, count=len(self.library.context(structure))
        )
        self.report(self.status())
        self.library.notify()
        return example

    def status(self, text: str = "") -> Status:
        """What is going on, in one line; ``text``: what was done."""
        model = self.service.description or _("{model} on {device}").format(model=settings.value("Model"), device=settings.value("Device"))
        if self._job is not None:
            busy = _("Predicting: {model}, {count} examples…").format(model=model, count=len(self._job.request.examples))
            if self._waiting:
                busy += " " + _("{count} more to come.").format(count=len(self._waiting))
            if self._when_answered is not None:
                busy += " " + _("Then it is accepted.")
            return Status(busy, busy=True)
        if self._problems:
            return Status(" ".join(self._problems), problem=True)
        return Status(text or self._last_text or model)


_SEGMENT_EVENTS = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentRemoved)


def _sources(target: Target | None) -> list[tuple[Any, int]]:
    """What tells that prompts have to be shown anew, as (object, event)."""
    if target is None:
        return []
    moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
    return [*((target.segmentation.GetSegmentation(), event) for event in _SEGMENT_EVENTS), (target.segmentation, moved)]


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
