"""A saved scene is added to an open one: no segmentation is made or chosen in the middle of the import."""

from .steps import CENTRE


def test_second_scene(opened, tmp_path):
    import slicer

    opened.red.click(CENTRE)
    opened.settle()
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    opened.host.process_events(0.05)
    opened.host.wait_until(lambda: opened.panel.parameters.sourceVolume is not None and opened.effect is not None)
    found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert len(found) == 2, [node.GetID() for node in found]
    assert opened.effect is not None and opened.mask(opened.panel.parameters.sourceVolume).any()


def test_what_is_chosen_in_one_go_is_shown_afterwards(opened):
    other = opened.volume("MR")
    opened.slicer.mrmlScene.StartState(opened.slicer.vtkMRMLScene.BatchProcessState)
    opened.panel.parameters.sourceVolume = other
    assert opened.editor.sourceVolumeNode() is opened.ct
    opened.slicer.mrmlScene.EndState(opened.slicer.vtkMRMLScene.BatchProcessState)
    assert opened.editor.sourceVolumeNode() is other
