"""What the effect does, without Qt: prompts to prediction to segment, for the segment that is selected now.

MRML is touched on the main thread only; the worker gets arrays. A result is written only if everything it was asked for is still
as it was: the same volume, in the same place and showing the same image, the same segmentation, segment and prompts, all still in the scene.

Slices are predicted one after the other, in the order in which they were asked for; on one slice the newest prompts win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ...core.errors import MultiverSegError, PromptError, SegmentationError
from ...core.prompts import Prompt, Prompts
from ...engine.slice_session import SliceSession
from ...mrml import prompt_tags
from ...mrml.slice_plane import SlicePlane
from ..shared import contexts, options, settings, torch_setup
from ..shared.counting import examples
from ..shared.views import choose_slice_node
from .accepting import Accepting
from .ask_queue import AskQueue
from .asked import Ask, AskInFlight, Target
from .held_views import HeldViews
from .prompt_display import PromptDisplay, remove_leftovers
from .surroundings import Editor, Status, result_text
from .writer import EffectWriter


class PromptPresenter(VTKObservationMixin):
    """One per effect.

    Args:
        editor: see ``Editor``.
        service: see ``service.PredictionService``.
        report: takes a ``Status``.
        later: has a function called after so many milliseconds; 0: when the event at hand is over.
    """

    def __init__(self, editor: Editor, service: Any, report: Any, later: Callable[[int, Callable[[], None]], object]) -> None:
        VTKObservationMixin.__init__(self)
        self.editor = editor
        self.service = service
        self.report = report
        self.views = HeldViews(later, self._draw)
        self.contexts = contexts.shared()
        self.display = PromptDisplay(slicer.mrmlScene)
        self._session: SliceSession | None = None
        self._session_key: Any = None
        self._slice_node: Any = None
        self._pointed = ""
        self.queue = AskQueue(self, service)
        self.accepting = Accepting(self)
        self._target: Target | None = None
        self._tag = ""  # the prompts as we left them
        self._voxels = 0  # the segment as we left it
        self._changing = False
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
        self.views.end()
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
        if not self._changing:
            self._follow()
            self._draw()

    def _draw(self) -> None:
        if self._target is not None or self.target() is None:
            self.display.show(self.prompts())

    def _follow(self) -> None:
        target = self.target()
        if target != self._target:
            self.cancel()
            self._observe(target)
            self._target, self._session, self._session_key = target, None, None
        elif self._tag != self._tag_now():
            self.cancel()
            self._session = None  # prompts were undone: the last prediction is not theirs
        self._tag = self._tag_now()

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
        known = self.contexts.provider.structure_of(target.segmentation, target.segment_id) if target is not None else ""
        return known or self.editor.option("Structure") or (target.segment.GetName() if target is not None else "")

    def point_at(self, slice_node: Any) -> None:
        """The pointer is over this view."""
        self._pointed = slice_node.GetID() or ""

    def slice_node(self) -> Any:
        """The view that a key acts on, see ``choose_slice_node``.

        Raises:
            PromptError: no slice view is shown.
        """
        node = choose_slice_node(self._slice_node, self.editor.option("Axis"), self._pointed)
        if node is None:
            raise PromptError(_("No slice view is shown: choose a layout with slices."))
        return node

    def structures(self) -> list[str]:
        """Structures that have examples."""
        return self.contexts.provider.structures()

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
        self.display.keep_preview()
        self.change_prompts(self.prompts().added(prompt), slice_node)

    def change_prompts(self, prompts: Prompts, slice_node: Any, predict: bool | None = None) -> None:
        """Give the segment selected now these prompts, as one undo step; predict: None means as the live update option says.

        While a prediction runs, a prompt on its slice belongs to the same step, and one on another slice becomes a step when it is written.
        """
        target = self.required_target()
        predicts = predict if predict is not None else self.editor.option("LiveUpdate") != "0"
        if predicts:
            self.views.hold()
        before = self.prompts()
        changed = Prompts(tuple([p for p in prompts if p not in before.items] + [p for p in before if p not in prompts.items]))
        added = tuple(p for p in prompts if p not in before.items)
        again = self.queue.take_back(changed)
        pending = again or self.busy
        if not pending:
            self.queue.problems = []
            self.editor.saveUndo()
        self._put(target, prompts)
        self._follow()
        self._slice_node = slice_node
        if not predicts:
            self._draw()
        else:
            for ask in again:
                self.queue.ask(ask)
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
        """Ask for a prediction on the slice that ``slice_node`` (None: see ``slice_node``) shows now.

        Args:
            undoable, added: see ``Ask``.

        Raises:
            MultiverSegError: nothing is selected, the slice misses the volume, or there is nothing to go by.
        """
        target = self.required_target()
        if not self.service.ready:
            raise MultiverSegError(torch_setup.diagnose().text + " " + _("The button is in the set-up box of the module MultiverSeg."))
        slice_node = slice_node or self.slice_node()
        self._slice_node = slice_node
        if not self.busy:
            self.queue.problems = []
        plane = SlicePlane.from_slice_node(target.volume, slice_node, self.image_settings())
        self.queue.ask(Ask(target, plane, slice_node, undoable, added))

    @property
    def busy(self) -> bool:
        """Whether a prediction runs or waits."""
        return self.queue.busy

    def when_answered(self, then: Callable[[str], None]) -> None:
        """See ``AskQueue.when_answered``."""
        self.queue.when_answered(then)

    # What the queue asks (see ``ask_queue.Asker``)

    def begin(self, ask: Ask) -> AskInFlight:
        """Reads what a prediction needs.

        Raises:
            MultiverSegError: there is nothing to go by, or the nodes are not usable.
        """
        self.views.hold()
        session = self._session_for(ask.target, ask.plane)
        prompts = self.prompts()
        if session.prompts != prompts:
            session.prompts = prompts
        return AskInFlight(ask, session, session.request(), ask.held(prompts), ask.target.voxels(), ask.target.state())

    def verdict(self, job: AskInFlight) -> str | None:
        """Whether a result may be written: "" yes; None: ask again, something else counts now; else why not."""
        target = job.ask.target
        if not target.alive or self.target() != target:
            return _("Another segment or volume was chosen meanwhile: nothing was written.")
        if target.state() != job.state:
            return _("The volume or the segmentation changed or moved meanwhile: nothing was written. Run (M) predicts what is shown now.")
        painted = target.voxels() != job.voxels and job.session.is_current(job.request)
        return None if painted or job.ask.held(self.prompts()) != job.held else ""

    def write(self, job: AskInFlight, outcome: Any) -> None:
        """Writes a result.

        Raises:
            MultiverSegError: the segment can't be written, or the cohort's journal can't.
        """
        self.views.hold()
        self.views.go_on_soon()
        job.session.apply(job.request, outcome)
        self._voxels = job.ask.target.voxels()
        self._last_text = result_text(outcome, self.service.description)

    def changed(self) -> None:
        """Shows what is going on."""
        self.report(self.status())
        if not self.busy:
            self.views.go_on_soon()

    def _session_for(self, target: Target, plane: SlicePlane) -> SliceSession:
        key = (target, plane, self.image_settings(), target.state())
        if self._session is None or key != self._session_key:
            if self._session is not None:
                self._session.close()
            self._session_key = key
            self._session = self.new_session(target, plane, EffectWriter(self.editor, self._save_before_write))
        self._session.predictor = self.service.predictor
        self._session.context = self._context(target)
        chosen = self.prediction_options()
        self._session.strategy, self._session.cap, self._session.threshold = chosen.strategy, chosen.cap, chosen.threshold
        return self._session

    def prediction_options(self) -> options.PredictionOptions:
        """What the options say of a prediction now."""
        return options.prediction_options(self.editor.option)

    def session_here(self) -> SliceSession:
        """The session of the slice worked on last."""
        target = self.required_target()
        return self._session_for(target, SlicePlane.from_slice_node(target.volume, self.slice_node(), self.image_settings()))

    def new_session(self, target: Target, plane: SlicePlane, writer: EffectWriter, strokes: Any = ()) -> SliceSession:
        """A session of the engine for one slice, with the options as they are now and the prompts of the target."""
        chosen = self.prediction_options()
        session = SliceSession(
            target.volume,
            target.segmentation,
            target.segment_id,
            plane,
            self.image_settings(),
            self.service.predictor,
            self._context(target),
            strategy=chosen.strategy,
            cap=chosen.cap,
            threshold=chosen.threshold,
            writer=writer,
            strokes=strokes,
            events=self.service.events,
        )
        session.prompts = prompt_tags.load(target.segmentation, target.segment_id)
        return session

    def examples(self, image: Any) -> list:
        """The examples that a prediction of ``image`` [128, 128] would get."""
        chosen = self.prediction_options()
        return list(self._context(self.required_target()).selection(image, chosen.strategy, chosen.cap))

    def _context(self, target: Target) -> Any:
        return self.contexts.provider.context_for(target.segmentation, self.structure())

    def image_settings(self):
        """The engine's image settings that the options mean."""
        target = self.required_target()
        return options.image_settings(self.editor.option, self.editor.optionNode(options.ROI_REFERENCE), target.volume)

    def _save_before_write(self) -> None:
        """A step of the editor's history, unless the newest one is what this prediction began with."""
        ask = self.queue.job.ask
        if ask.undoable and ask.target.voxels() == self._voxels:
            return
        later = {*ask.added, *(p for waiting in self.queue.waiting for p in waiting.added)}
        if not later:
            self.editor.saveUndo()
            return
        prompts = self.prompts()  # the state to return to has not got the prompts that came since
        self._put(ask.target, Prompts(tuple(p for p in prompts if p not in later)))
        self.editor.saveUndo()
        self._put(ask.target, prompts)

    def cancel(self) -> bool:
        """Drop the predictions in flight and waiting, if any; True if there was one. Nothing of them is written."""
        self.display.end_preview()
        if not self.queue.cancel():
            return False
        self.report(Status(_("Cancelled.")))
        return True

    # Accepting

    def accept(self) -> Any:
        """See ``Accepting.accept``."""
        return self.accepting.accept()

    def done(self, text: str) -> None:
        """Says what was done."""
        self.queue.problems = []
        self._last_text = text
        self.report(self.status())

    def status(self, text: str = "") -> Status:
        """What is going on, in one line; ``text``: what was done."""
        model = self.service.description or _("{model} on {device}").format(model=settings.value("Model"), device=settings.value("Device"))
        if self.queue.job is not None:
            busy = _("Predicting: {model}, {examples}…").format(model=model, examples=examples(len(self.queue.job.request.examples)))
            if self.queue.waiting:
                busy += " " + _("{count} more to come.").format(count=len(self.queue.waiting))
            if self.queue.accepting:
                busy += " " + _("Then it is accepted.")
            return Status(busy, busy=True)
        if self.queue.problems:
            return Status(" ".join(self.queue.problems), problem=True)
        return Status(text or self._last_text or model)


_SEGMENT_EVENTS = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentRemoved)


def _sources(target: Target | None) -> list[tuple[Any, int]]:
    """What tells that prompts have to be shown anew, as (object, event)."""
    if target is None:
        return []
    moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
    return [*((target.segmentation.GetSegmentation(), event) for event in _SEGMENT_EVENTS), (target.segmentation, moved)]
