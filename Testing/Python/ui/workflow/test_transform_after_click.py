"""Volume and segmentation get a transform after a click: the click goes along."""

import numpy as np

from .steps import CENTRE, off


def test_prompts_follow(opened):
    opened.red.click(CENTRE)
    opened.settle()
    matrix = np.eye(4)
    matrix[0, 3] = 20
    transform = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "t")
    transform.SetMatrixTransformToParent(opened.slicer.util.vtkMatrixFromArray(matrix))
    for node in (opened.ct, opened.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    opened.host.process_events(0.1)
    (prompt,) = opened.prompts()
    shown = np.zeros(3)
    opened.markups()[0].GetNthControlPointPositionWorld(0, shown)
    assert np.allclose(prompt.position, off(20), atol=0.6) and np.allclose(shown, prompt.position), "and is shown there"
    opened.host.show(opened.ct)
    opened.red.jump_to(off(20))
    opened.red.click(off(28))
    opened.settle()
    assert len(opened.prompts()) == 2 and opened.holds(opened.ct, CENTRE) and not opened.holds(opened.ct, off(-20))
