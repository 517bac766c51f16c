"""Undo works after the scene was closed and a saved one loaded, whether our module was left meanwhile or not."""

import numpy as np
import pytest

from .steps import CENTRE, off

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("leave", [False, True], ids=["module stays open", "module left and entered again"])
def test_undo(opened, tmp_path, leave):
    import slicer

    opened.red.click(CENTRE)
    opened.settle()
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    opened.host.process_events(0.05)
    opened.host.wait_until(lambda: opened.panel.parameters.sourceVolume is not None and opened.effect is not None)
    opened.ct = slicer.util.getNode("CT")
    if leave:
        opened.host.open_module("SegmentEditor")
        opened.widget = opened.host.open_module("MultiverSegSlicer")
    before = opened.mask(opened.ct).copy()
    opened.red.jump_to(CENTRE)
    opened.red.click(off(8))
    opened.settle()
    assert opened.mask(opened.ct).sum() > before.sum()
    opened.editor.undo()
    opened.host.wait_until(lambda: len(opened.prompts()) == 1)
    assert np.array_equal(before, opened.mask(opened.ct))
