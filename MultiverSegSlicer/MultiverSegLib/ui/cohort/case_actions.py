"""What can be done about the selected case beside segmenting it: taking an acceptance or an example back, another look, prompts as an example."""

from __future__ import annotations

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED, NEEDS_REVIEW
from ...cohort.store.reviewing import add_note, approve, own_work, withdraw_approval
from ...cohort.work.labels_to_context import prompts_to_context
from ...core.errors import CohortError
from ...mrml import prompt_tags, segments
from ...mrml.volumes import dimensions_of
from ..shared.widgets import button


class CaseActions:
    """``owner``: the CohortPanel; what is done concerns the row selected in its table."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        self.reopen_button = button(
            _("Reopen"),
            _("Take the acceptance of the selected case back: it is in progress again, and no example. The result stays."),
            _("Reopen the selected case"),
        )
        self.review_button = button(
            _("Look again…"), _("Mark the selected case to be looked at again, and say why."), _("Mark the selected case for another look")
        )
        self.forget_button = button(
            _("Forget example"),
            _("Take the selected case out of the examples and mark all that was predicted with it, after asking. The result stays."),
            _("Forget the example of the selected case"),
        )
        self.prompts_button = button(
            _("Use prompts as example"),
            _("Make the prompts of the open case an example without a mask, for models that read prompts in their examples."),
            _("Use the prompts of the open case as an example"),
        )
        self.note_button = button(
            _("Note…"), _("Write a note about the selected case; earlier ones stay, and the report lists them."), _("Note about the case")
        )
        self.approve_button = button(
            _("Approve"),
            _("Approve the selected case as its reviewer. Any later change takes the approval back."),
            _("Approve the selected case, or take that back"),
        )
        self.absent_button = button(
            _("Not in this case"),
            _("Accept that the structure worked on is not in the open case: a result, and an empty example for the others."),
            _("Accept that the structure is not in the open case"),
        )
        grid = qt.QGridLayout()
        for number, (widget, action) in enumerate(
            (
                (self.reopen_button, self.reopen),
                (self.review_button, self.review),
                (self.forget_button, self.forget),
                (self.prompts_button, self.use_prompts),
                (self.note_button, self.note),
                (self.approve_button, self.approve),
                (self.absent_button, self.absent),
            )
        ):
            grid.addWidget(widget, number // 2, number % 2)
            widget.connect("clicked()", owner.doing(action))
        layout.addLayout(grid)

    def show(self) -> None:
        """Shows what can be done now."""
        cohort = self.owner.desk.cohort
        writable = cohort is not None and not cohort.read_only
        selected = self.owner.table.selected()
        for widget in (self.reopen_button, self.review_button, self.forget_button, self.note_button):
            widget.enabled = writable and selected is not None
        for widget in (self.prompts_button, self.absent_button):
            widget.enabled = writable and self.owner.desk.case_id is not None
        case = cohort.case(selected[0]) if writable and selected is not None else None
        self.approve_button.enabled = case is not None and case.status == ACCEPTED
        self.approve_button.text = _("Withdraw approval") if case is not None and case.approved else _("Approve")

    def _selected(self) -> tuple[str, str]:
        selected = self.owner.table.selected()
        if selected is None:
            raise CohortError(_("Select a case in the table first."))
        return selected

    def reopen(self) -> None:
        """Takes the acceptance of the selected row's structure back."""
        case, structure = self._selected()
        self.owner.desk.contexts.reopen(case, [structure])
        self.owner.update()
        self.owner.say(_("{case} is in progress again, and no example of {structure}.").format(case=case, structure=structure))

    def review(self) -> None:
        """Marks the selected case, with the reason that is asked for; without one nothing happens."""
        case, _structure = self._selected()
        why = str(
            qt.QInputDialog.getText(self.review_button, _("Look again"), _("Why should {case} be looked at again?").format(case=case))
        )
        if not why.strip():
            return
        desk = self.owner.desk
        if desk.case_id == case:
            desk.work.review(why.strip())
        else:
            desk.cohort.record("status", case=case, status=NEEDS_REVIEW, note=why.strip())
        self.owner.update()

    def forget(self) -> None:
        """Takes the selected case out of the examples of its structure, after asking."""
        case, structure = self._selected()
        contexts = self.owner.desk.contexts
        found = [example.id for example in contexts.get(structure).examples if example.case == case]
        if not found:
            raise CohortError(_("{case} is no example of {structure}.").format(case=case, structure=structure))
        question = _("Take {case} out of the examples of {structure}, and mark every case that was predicted with it?")
        if not slicer.util.confirmYesNoDisplay(question.format(case=case, structure=structure), _("Forget example")):
            return
        marked = sorted({other for example in found for other in contexts.remove(structure, example)})
        self.owner.update()
        self.owner.say(_("Taken out. To be looked at again: {cases}.").format(cases=", ".join(marked) or _("none")))

    def use_prompts(self) -> None:
        """Makes the open case's prompts an example of the structure that is worked on."""
        desk, structure = self.owner.desk, self.owner.structure
        nodes = desk.work.nodes
        prompts = prompt_tags.load(nodes.segmentation, nodes.segment_id(structure))
        prompts_to_context(desk.cohort, desk.case_id, prompts, structure, desk.contexts)
        self.owner.update()
        self.owner.say(
            _("The prompts of {case} are an example now; {structure} has {examples}.").format(
                case=desk.case_id, structure=structure, examples=desk.contexts.summary(structure)
            )
        )

    def note(self) -> None:
        """Writes a note about the selected case; without a text nothing happens."""
        case, _structure = self._selected()
        cohort = self.owner.desk.cohort
        question = _("Note about {case}:").format(case=case)
        known = [str(note["text"]) for note in cohort.case(case).notes]
        if known:
            question = _("So far: {notes}").format(notes=" | ".join(known)) + "\n" + question
        text = str(qt.QInputDialog.getText(self.note_button, _("Note"), question) or "")
        if text.strip():
            add_note(cohort, case, text)
            self.owner.update()

    def approve(self) -> None:
        """Approves the selected case, or takes the approval back."""
        case, _structure = self._selected()
        cohort = self.owner.desk.cohort
        if cohort.case(case).approved:
            withdraw_approval(cohort, case)
            text = _("{case} is accepted, and not approved any more.")
        else:
            approve(cohort, case)
            own = own_work(cohort.case(case))
            text = _("{case} is approved; you accepted it too, so that no second reader has seen it.") if own else _("{case} is approved.")
        self.owner.update()
        self.owner.say(text.format(case=case))

    def absent(self) -> None:
        """Accepts that the structure worked on is not in the open case; what is segmented of it is erased, after asking."""
        owner = self.owner
        owner.accepting.when_answered(self._accept_absence)

    def _accept_absence(self) -> None:
        owner, structure, work = self.owner, self.owner.structure, self.owner.desk.work
        nodes = work.nodes
        if nodes.mask(structure).any():
            question = _("Erase what is segmented of {structure} in {case}, and accept that it is not there?")
            if not slicer.util.confirmYesNoDisplay(question.format(structure=structure, case=work.case_id), _("Not in this case")):
                return
            owner.panel.editor.saveStateForUndo()
            nothing = np.zeros(dimensions_of(nodes.volume)[::-1], np.uint8)
            segments.set_segment(nodes.segmentation, nodes.segment_id(structure), nodes.volume, nothing)
        work.accept([], absent=[structure])
        owner.update()
        owner.say(_("{structure} is accepted as absent in {case}.").format(structure=structure, case=work.case_id))
        owner.steps.after_structure()
