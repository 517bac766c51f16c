"""Accepting in the effect: the segment becomes an example of its structure, once all that was asked for is written. No Qt."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ...core.errors import MultiverSegError, SegmentationError
from ...core.prompts import Prompts
from ..shared.counting import examples
from .surroundings import Status


class Accepting:
    """``presenter``: the PromptPresenter whose segment it is."""

    def __init__(self, presenter: Any) -> None:
        self.presenter = presenter

    def accept(self) -> Any:
        """The case is done: the segment's largest slice becomes an example of the structure, and the prompts go.

        What was asked for before is written first; until then nothing is accepted, and None is given.

        Raises:
            MultiverSegError: nothing is segmented, a propagation runs, or the segmentation is that of a case that isn't open.
        """
        if self.presenter.busy:
            self.presenter.when_answered(self._answered)
            self.presenter.changed()
            return None
        return self._accept()

    def _answered(self, problem: str) -> None:
        try:
            if problem:
                raise SegmentationError(_("Not accepted: {reason}").format(reason=problem))
            self._accept()
        except MultiverSegError as error:
            self.presenter.report(Status(str(error), problem=True))

    def _accept(self) -> Any:
        presenter, contexts = self.presenter, self.presenter.contexts
        target, structure = presenter.required_target(), presenter.structure()
        if presenter.service.busy:
            raise SegmentationError(_("Slices are still being predicted: wait for them, or cancel that, before accepting."))
        example = contexts.provider.accept(target.segmentation, target.segment_id, structure, presenter.session_here)
        presenter.refresh()
        if len(presenter.prompts()):
            presenter.change_prompts(Prompts(), presenter.slice_node(), predict=False)
        text = _("Accepted: '{structure}' has {examples} now.")
        presenter.done(text.format(structure=structure, examples=examples(len(contexts.provider.context(structure)))))
        contexts.changed.emit()
        return example
