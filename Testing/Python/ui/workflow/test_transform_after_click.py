"""Volume and segmentation get a transform after a click: the click goes along."""

import numpy as np

from .steps import CENTRE, off


def shown(bench):
    """Where the first prompt is drawn."""
    (node,) = bench.markups()
    position = np.zeros(3)
    node.GetNthControlPointPositionWorld(0, position)
    return position


def test_prompts_follow(opened):
    opened.red.click(CENTRE)
    opened.settle()
    matrix = np.eye(4)
    matrix[0, 3] = 20
    transform = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "t")
    transform.SetMatrixTransformToParent(opened.slicer.util.vtkMatrixFromArray(matrix))
    for node in (opened.ct, opened.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    (prompt,) = opened.prompts()
    assert np.allclose(prompt.position, off(20), atol=0.6)
    opened.host.wait_until(lambda: np.allclose(shown(opened), prompt.position))  # and is shown there
    opened.host.show(opened.ct)
    opened.red.jump_to(off(20))
    opened.red.click(off(28))
    opened.settle()
    assert len(opened.prompts()) == 2 and opened.holds(opened.ct, CENTRE) and not opened.holds(opened.ct, off(-20))
