"""Prompts and structures in segments' tags: they survive text, files, transforms and hardening."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.prompts import Box, Point, Prompts, Scribble
from MultiverSegLib.mrml import prompt_tags, segments, volumes

POINTS = st.tuples(*[st.floats(-500, 500)] * 3)
PROMPTS = st.one_of(
    st.builds(Point, POINTS, st.booleans()),
    st.builds(Scribble, st.lists(POINTS, min_size=1, max_size=20).map(tuple), st.booleans()),
    st.builds(Box, POINTS, st.tuples(*[st.floats(0, 100)] * 3)),
)


@given(st.lists(PROMPTS, max_size=6))
def test_prompts_survive_their_text(items):
    prompts = Prompts(tuple(items))
    text = prompt_tags.encode(prompts)
    assert "|" not in text and "\n" not in text, "a tag is cut at a bar when it is written to a file"
    back, _ = prompt_tags.decode(text)
    assert back == prompts
    for before, after in zip(prompts, back, strict=True):
        if isinstance(before, Point):
            assert np.allclose(before.position, after.position, atol=1e-3)


@pytest.mark.parametrize("text", ["", "hello", "eJwDAAAAAAE=", "|", "AAAA"])
def test_damaged_text_is_refused_in_words(text):
    with pytest.raises(PromptError, match="damaged"):
        prompt_tags.decode(text)


def test_a_damaged_tag_counts_as_no_prompts(host):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segment_id = node.GetSegmentation().AddEmptySegment()
    node.GetSegmentation().GetSegment(segment_id).SetTag(prompt_tags.TAG, "nonsense")
    assert len(prompt_tags.load(node, segment_id)) == 0
    prompt_tags.save(node, segment_id, Prompts((Point((1, 2, 3)),)))
    assert prompt_tags.load(node, segment_id) == Prompts((Point((1, 2, 3)),))
    prompt_tags.save(node, segment_id, Prompts())
    assert not node.GetSegmentation().GetSegment(segment_id).HasTag(prompt_tags.TAG)


@pytest.fixture
def placed(host):
    """A segmentation on a small volume, with a point and a box."""
    volume = volumes.new_volume(np.zeros((5, 6, 7), np.int16), np.diag([1.0, 1.0, 2.0, 1.0]), "volume")
    node = segments.new_segmentation(volume)
    segment_id = segments.add_segment(node, "x")
    prompt_tags.save(node, segment_id, Prompts((Point((1.5, 2, 3)), Box((1, 2, 3), (2, 3, 0)))))
    return volume, node, segment_id


def turned(node):
    """Puts the node under a quarter turn about S with a shift of 20 mm to the right."""
    import slicer
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for place, value in (((0, 0), 0), ((0, 1), -1), ((1, 0), 1), ((1, 1), 0), ((0, 3), 20)):
        matrix.SetElement(*place, value)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize("segmented", [False, True])
def test_prompts_follow_a_transform_and_its_hardening(placed, segmented):
    volume, node, segment_id = placed
    if segmented:
        segments.set_segment(node, segment_id, volume, np.ones((5, 6, 7), np.uint8))
    own = prompt_tags.load_own(node, segment_id)
    turned(node)
    point, box = prompt_tags.load(node, segment_id)
    assert np.allclose(point.position, (18, 1.5, 3)) and np.allclose(box.center, (18, 1, 3))
    assert np.allclose(np.abs(box.axes[0]), (0, 1, 0)) and np.allclose(box.size, (2, 3, 0))
    assert prompt_tags.load_own(node, segment_id) == own
    prompt_tags.save(node, segment_id, prompt_tags.load(node, segment_id))
    assert prompt_tags.load_own(node, segment_id) == own, "saving again changes nothing"
    node.HardenTransform()
    assert node.GetParentTransformNode() is None
    again, _ = prompt_tags.load(node, segment_id)
    assert np.allclose(again.position, (18, 1.5, 3))


def test_another_source_volume_does_not_move_them(placed):
    volume, node, segment_id = placed
    segments.set_segment(node, segment_id, volume, np.ones((5, 6, 7), np.uint8))
    before, shifted = prompt_tags.load(node, segment_id), np.diag([1.0, 1.0, 2.0, 1.0])
    shifted[0, 3] = 50
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumes.new_volume(np.zeros((5, 6, 7), np.int16), shifted, "other"))
    assert prompt_tags.load(node, segment_id) == before


def test_prompts_of_the_first_version_are_read(placed):
    import base64
    import json
    import zlib

    _, node, segment_id = placed
    text = base64.urlsafe_b64encode(zlib.compress(json.dumps(Prompts((Point((1, 2, 3)),)).to_json()).encode())).decode()
    node.GetSegmentation().GetSegment(segment_id).SetTag(prompt_tags.TAG, text)
    assert prompt_tags.load(node, segment_id) == Prompts((Point((1, 2, 3)),))


@pytest.mark.parametrize("name", ["liver", "a|b:c", "Größe 50 %", "肝臓"])
def test_a_structures_name_survives_the_file(placed, tmp_path, name):
    volume, node, segment_id = placed
    segments.set_segment(node, segment_id, volume, np.ones((5, 6, 7), np.uint8))
    prompt_tags.mark_structure(node.GetSegmentation().GetSegment(segment_id), name)
    segments.save_segmentation(node, tmp_path / "x.seg.nrrd")
    loaded = segments.load_segmentation(tmp_path / "x.seg.nrrd")
    (found,) = segments.segment_ids(loaded)
    assert prompt_tags.structure_of(loaded.GetSegmentation().GetSegment(found)) == name
    assert prompt_tags.load(loaded, found) == prompt_tags.load(node, segment_id)
