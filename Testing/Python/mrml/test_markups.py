"""Markups as Slicer makes them and as its files hold them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.prompts import Box, Point, Prompts, Scribble
from MultiverSegLib.mrml.markups import load_prompts, save_prompts
from MultiverSegLib.mrml.prompt_markups import prompts_from_markups, prompts_to_markups
from volume_cases import rotation, vtk_matrix

MOVE = np.eye(4)
MOVE[:3, :3], MOVE[:3, 3] = rotation([1, 2, 3], 40), [10, -20, 30]


def new(kind: str, name: str = "F"):
    return slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", name)


def under(node, matrix: np.ndarray):
    above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    above.SetMatrixTransformToParent(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(above.GetID())
    return node


def moved(point) -> np.ndarray:
    return (MOVE @ [*point, 1])[:3]


@pytest.mark.parametrize(
    "label, description, positive",
    [
        ("F-1", "", True),
        ("", "", True),
        ("neg-1", "", False),
        ("Negative 3", "", False),
        ("  -", "", False),
        ("-2", "", False),
        ("F-1", "neg", False),
        ("F-1", "- background", False),
        ("renegade", "not neg", True),
        ("pos-1", "positive", True),
    ],
)
def test_the_sign_of_a_point(host, label, description, positive):
    node = new("Fiducial")
    node.AddControlPoint([1, 2, 3], label)
    node.SetNthControlPointDescription(0, description)
    assert prompts_from_markups(node) == Prompts((Point((1, 2, 3), positive),))


def test_points_that_are_not_placed_are_left_out(host):
    node = new("Fiducial")
    for n in range(3):
        node.AddControlPoint([n, n, n])
    node.UnsetNthControlPointPosition(1)
    assert [p.position[0] for p in prompts_from_markups(node)] == [0, 2]
    assert len(prompts_from_markups(new("ROI"))) == len(prompts_from_markups(new("Curve"))) == 0


def test_parent_transforms_count_for_every_kind(host):
    corners = [(0.0, 0, 0), (10, 0, 0), (10, 8, 3), (2, 9, 4)]
    fiducial, curve, closed, line = (under(new(kind), MOVE) for kind in ("Fiducial", "Curve", "ClosedCurve", "Line"))
    for node in (fiducial, curve, closed):
        for corner in corners:
            node.AddControlPoint(corner)
    for corner in corners[:2]:
        line.AddControlPoint(corner)
    assert np.allclose([p.position for p in prompts_from_markups(fiducial)], [moved(c) for c in corners], rtol=0, atol=6e-4)
    curve.SetCurveTypeToLinear()
    (stroke,) = prompts_from_markups(curve)
    assert np.allclose(stroke.points, [moved(c) for c in corners], rtol=0, atol=6e-4)
    assert not stroke.filled
    assert np.allclose(prompts_from_markups(line).items[0].points, [moved(c) for c in corners[:2]], rtol=0, atol=6e-4)
    (outline,) = prompts_from_markups(closed)
    assert outline.filled
    points = np.array(outline.points)
    assert len(points) > 20  # the drawn spline, not its corners
    for corner in corners:
        assert np.linalg.norm(points - moved(corner), axis=1).min() < 1e-3


@pytest.mark.parametrize("kind", ["Curve", "ClosedCurve", "Line"])
@pytest.mark.parametrize("where", ["name", "label", "description", None])
def test_the_sign_of_a_curve(host, kind, where):
    node = new(kind, "negative stroke" if where == "name" else "stroke")
    for n in range(2 if kind == "Line" else 4):
        node.AddControlPoint([n, n * n, 0])
        node.SetNthControlPointLabel(n, "p")
    if where == "label":
        node.SetNthControlPointLabel(1, "neg")
    if where == "description":
        node.SetNthControlPointDescription(1, "-")
    assert prompts_from_markups(node).items[0].positive == (where is None)


def test_a_turned_roi_under_a_transform_is_the_same_box(host):
    roi = under(new("ROI"), MOVE)
    roi.SetSize(4, 6, 8)
    roi.SetCenter(1, 2, 3)
    turned = np.eye(4)
    turned[:3, :3], turned[:3, 3] = rotation([0, 1, 1], 25), [1, 2, 3]
    roi.SetAndObserveObjectToNodeMatrix(vtk_matrix(turned))
    (box,) = prompts_from_markups(roi)
    assert np.allclose(box.center, moved((1, 2, 3)))
    assert np.allclose(box.size, (4, 6, 8))
    random = np.random.default_rng(0).uniform(-8, 8, (300, 3)) + box.center
    ours = (np.abs((random - box.center) @ np.array(box.axes).T) <= np.array(box.size) / 2).all(axis=1)
    assert [bool(roi.IsPointInROIWorld(p)) for p in random] == ours.tolist()
    assert 0 < ours.sum() < 300


def test_a_stretched_roi_is_stretched(host):
    roi = under(new("ROI"), np.diag([2.0, 3.0, 1.0, 1.0]))
    roi.SetSize(4, 6, 8)
    roi.SetCenter(1, 2, 3)
    (box,) = prompts_from_markups(roi)
    assert np.allclose(box.center, (2, 6, 3))
    assert np.allclose(np.abs(np.array(box.axes).T) @ box.size, (8, 18, 8))


coordinate = st.floats(-300, 300).map(lambda v: round(v, 3))
vector = st.tuples(coordinate, coordinate, coordinate)
prompt = st.one_of(
    st.builds(Point, vector, st.booleans()),
    st.builds(
        Scribble,
        st.lists(vector, min_size=3, max_size=6, unique=True).map(tuple),
        st.booleans(),
        st.sampled_from([0.0, 2.5, 1e-3]),
        st.booleans(),
    ),
    st.builds(Box, vector, st.tuples(*[st.floats(0, 90).map(lambda v: round(v, 3))] * 3).filter(any)),
)


@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(prompts=st.lists(prompt, min_size=1, max_size=6))
def test_prompts_survive_their_file(host, tmp_path, prompts):
    host.scene.Clear(0)
    save_prompts(Prompts(tuple(prompts)), tmp_path / "p.mrk.json")
    loaded = load_prompts(tmp_path / "p.mrk.json")
    for left in ("vtkMRMLMarkupsNode", "vtkMRMLDisplayNode", "vtkMRMLStorageNode"):
        assert host.scene.GetNumberOfNodesByClass(left) == 0
    assert [type(p) for p in loaded] == [type(p) for p in prompts]
    for got, given_one in zip(loaded, prompts, strict=True):
        for name, value in vars(given_one).items():
            assert np.allclose(np.array(getattr(got, name), float), np.array(value, float), atol=1e-3)


def test_turned_boxes_survive_their_file(host, tmp_path):
    box = Box((1, 2, 3), (4, 5, 6), tuple(map(tuple, rotation([1, 1, 0], 33))))
    save_prompts(Prompts((box,)), tmp_path / "p.mrk.json")
    (got,) = load_prompts(tmp_path / "p.mrk.json")
    assert np.allclose(got.center, box.center)
    assert np.allclose(got.size, box.size)
    assert np.allclose(np.abs(np.array(got.axes) @ np.array(box.axes).T), np.eye(3), atol=1e-4)


@pytest.mark.parametrize("system, sign", [("LPS", -1), ("RAS", 1)])
def test_both_coordinate_systems_of_the_format(host, tmp_path, system, sign):
    data = {
        "markups": [
            {
                "type": "Fiducial",
                "coordinateSystem": system,
                "controlPoints": [{"label": "neg-1", "position": [1.0, 2.0, 3.0]}, {"label": "x", "position": [4.0, 5.0, 6.0]}],
            }
        ]
    }
    (tmp_path / "p.mrk.json").write_text(json.dumps(data))
    assert load_prompts(tmp_path / "p.mrk.json") == Prompts((Point((sign, 2 * sign, 3), False), Point((4 * sign, 5 * sign, 6))))


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("none.mrk.json", None, "does not exist"),
        ("p.txt", "hello", "no markups file"),
        ("p.mrk.json", "{not json", "no markups file"),
        ("p.mrk.json", '{"a": 1}', "no markups file"),
        ("p.mrk.json", "[1, 2]", "no markups file"),
        ("p.mrk.json", '{"markups": []}', "holds no markups"),
        ("p.mrk.json", '{"markups": [{"type": "Plane"}]}', "holds a Plane"),
    ],
)
def test_files_that_are_no_prompts(host, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(PromptError, match=told) as caught:
        load_prompts(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_can_not_be_written(host, tmp_path):
    one = Prompts((Point((1, 2, 3)),))
    for prompts, path, told in (
        (Prompts(), tmp_path / "p.mrk.json", "no prompts"),
        (one, tmp_path / "p.json", "must end with"),
        (one, tmp_path / "none" / "p.mrk.json", "can't be written"),
    ):
        with pytest.raises(PromptError, match=told):
            save_prompts(prompts, path)
    with pytest.raises(PromptError, match="no prompt"):
        prompts_from_markups(new("Plane"))


def test_prompts_become_nodes_that_slicer_shows(host):
    prompts = Prompts((Point((1, 2, 3)), Point((4, 5, 6), False), Box((0, 0, 0), (2, 2, 2)), Point((7, 8, 9))))
    nodes = prompts_to_markups(prompts, "liver")
    assert [node.GetClassName() for node in nodes] == ["vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsROINode", "vtkMRMLMarkupsFiducialNode"]
    assert all(node.GetDisplayNode() for node in nodes)
    assert nodes[0].GetNthControlPointLabel(1) == "neg-2"


def document(**changes):
    points = [{"label": "a", "position": [1.0, 2, 3]}, {"label": "b", "position": [4.0, 5, 6]}]
    return {"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points, **changes}]}


@pytest.mark.parametrize("odd", [[1], ["x"], [None], [[]], {"a": 1}, 7, [{"name": 3, "value": "x"}]])
def test_what_else_a_file_holds_does_not_reach_the_reader(host, tmp_path, odd):
    """Measurements that are no objects end the process in MRML's reader."""
    (tmp_path / "p.mrk.json").write_text(json.dumps(document(measurements=odd, display=odd, associatedNodeID=odd)))
    assert len(load_prompts(tmp_path / "p.mrk.json")) == 2


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"controlPoints": [{"position": [1, 2, 3]}, {"position": "x"}]}, "control point 2 of markup 1"),
        ({"controlPoints": [{"position": [1, 2]}]}, "position of control point 1"),
        ({"controlPoints": [{"position": [1, 2, float("nan")]}]}, "position of control point 1"),
        ({"controlPoints": [5]}, "control point 1"),
        ({"controlPoints": 5}, "control points of markup 1"),
        ({"coordinateSystem": "IJK"}, "must be LPS or RAS"),
        ({"coordinateUnits": "inch"}, "must be mm"),
        ({"type": "ROI", "center": [1, 2, 3], "size": [1, 2, "x"]}, "size of markup 1"),
        ({"type": "ROI", "center": [1, 2, 3], "size": [1, 2, -3]}, "size of markup 1"),
        ({"type": "ROI", "center": [1, 2, 3], "size": [1, 2, 3], "orientation": [0] * 9}, "orientation of markup 1"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_not_dropped(host, tmp_path, changes, told):
    (tmp_path / "p.mrk.json").write_text(json.dumps(document(**changes)))
    with pytest.raises(PromptError, match=told):
        load_prompts(tmp_path / "p.mrk.json")


def test_points_that_are_not_placed_yet_are_left_out(host, tmp_path):
    points = [{"position": [1, 2, 3]}, {"positionStatus": "undefined"}, {"position": None, "positionStatus": "preview"}]
    (tmp_path / "p.mrk.json").write_text(json.dumps(document(controlPoints=points)))
    assert len(load_prompts(tmp_path / "p.mrk.json")) == 1


def test_deep_nesting_and_broken_point_lists_are_one_line(host, tmp_path):
    (tmp_path / "deep.mrk.json").write_text("[" * 100_000 + "]" * 100_000)
    (tmp_path / "p.fcsv").write_text("# Markups fiducial file version = 5.2\n1,x,2,3,0,0,0,1,1,1,0,F-1,,\n")
    for name, told in (("deep.mrk.json", "nested too deeply"), ("p.fcsv", "line 2: the position")):
        with pytest.raises(PromptError, match=told):
            load_prompts(tmp_path / name)
