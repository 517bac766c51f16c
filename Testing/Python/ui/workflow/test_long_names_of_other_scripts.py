"""A structure can have a long name in any script."""

import pytest

from .steps import CENTRE

NAMES = {
    "cyrillic": "Левый гиппокамп с прилегающей корой (ручная разметка)",
    "japanese": "左側海馬体および海馬傍回（手動で修正した領域、第二読影者による）",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_accept(opened, name):
    opened.segmentation.GetSegmentation().GetSegment(opened.editor.currentSegmentID()).SetName(name)
    opened.red.click(CENTRE)
    opened.settle()
    opened.effect.self().accept()
    library = opened.presenter.contexts.provider
    assert len(library.context(name)) == 1 and library.structures() == [name]
    library.forget()
    assert len(library.context(name)) == 1
