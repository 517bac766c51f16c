"""Accepting in the effect: the segment becomes an example of its structure, once all that was asked for is written. No Qt."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ...core.errors import MultiverSegError, SegmentationError
from ...core.prompts import Prompts
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
        presenter, library = self.presenter, self.presenter.library
        target, structure = presenter.required_target(), presenter.structure()
        if presenter.service.busy:
            raise SegmentationError(_("Slices are still being predicted: wait for them, or cancel that, before accepting."))
        elsewhere = library.case_elsewhere(target.segmentation)
        if elsewhere:
            raise SegmentationError(
                _("This segmentation belongs to case {case} of a cohort: open that case to accept it.").format(case=elsewhere)
            )
        if library.case_of(target.segmentation):
            example = library.cohort.accept(library.structure_of(target.segmentation, target.segment_id))
            presenter.refresh()
        else:
            example = presenter.session_here().accept(target.volume.GetName(), structure, max_slice_only=True)
            if len(presenter.prompts()):
                presenter.change_prompts(Prompts(), presenter.slice_node(), predict=False)
        text = _("Accepted: '{structure}' has {count} examples now.")
        presenter.done(text.format(structure=structure, count=len(library.context(structure))))
        library.notify()
        return example
