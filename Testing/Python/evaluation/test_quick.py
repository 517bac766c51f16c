"""The quick evaluation with models whose figures are known beforehand."""

import copy
import json

import numpy as np
import pytest
import SimpleITK as sitk
from fakes import FakePredictor
from MultiverSegLib.core.context.example import Example
from MultiverSegLib.evaluation.pictures import plot_failures
from MultiverSegLib.evaluation.protocols import POSITIVE
from MultiverSegLib.evaluation.quick import GOALS, EvaluationTask, Options, annotate, evaluate_task, markdown, save, summarise
from scipy import ndimage

N = 12


def disk(row, col, radius):
    r, c = np.indices((128, 128))
    return (r - row) ** 2 + (c - col) ** 2 <= radius**2


def task(dataset="A", name="A / disk / 2d"):
    labels = np.stack([disk(40 + 3 * i, 64, 14) for i in range(N)])
    images = labels * 0.8 + np.linspace(0.01, 0.1, N)[:, None, None]
    return EvaluationTask(dataset, name, "made up", images.astype(np.float32), labels, np.array([f"s{i}" for i in range(N)]), "CC0")


class Thresholder(FakePredictor):
    """Segments bright pixels, but only knows that brightness counts from a context with masks; else paints a small disk at each click."""

    def answer(self, image, prompts, previous, examples):
        if any(e.mask is not None and e.mask.any() for e in examples):
            return np.where(image > 0.5, 5.0, -5.0)
        mask = np.zeros(image.shape, bool)
        for row, col in np.argwhere(prompts[POSITIVE] > 0) if prompts is not None else []:
            mask |= disk(row, col, 9)
        return np.where(mask & (image > 0.5), 5.0, -5.0)


OPTIONS = Options(images=8, targets=4)


@pytest.fixture(scope="module")
def result():
    return evaluate_task(Thresholder(), task(), OPTIONS)


def test_a_model_that_learns_from_context_needs_no_prompt_with_it(result):
    assert result["clicks_with"]["steps"] == [0] * 8 and result["scribbles_with"]["steps"] == [0] * 8
    assert min(result["clicks_without"]["steps"]) >= 2
    assert result["context_1"] == result["context_16"] == [1.0] * 4
    assert result["weak_boxes"] == result["weak_points"] == [0.0] * 4, "masks are what it knows"
    assert all(d == 0 for d in result["clicks_with"]["hd95"]) and result["clicks_with"]["failures"] == 0


def test_results_follow_from_the_seed(result):
    again = evaluate_task(Thresholder(), task(), OPTIONS)
    assert np.array_equal(again.pop("worst")["label"], result["worst"]["label"])
    assert json.dumps(again) == json.dumps({k: v for k, v in result.items() if k != "worst"})


def test_the_summary_averages_images_then_datasets_and_prints_every_goal(result):
    other = copy.deepcopy(result)
    other["dataset"] = "B"
    for key in ("clicks_without", "clicks_with"):
        other[key]["steps"] = [10] * 8
    summary = summarise([result, other])
    per_image = np.mean(result["clicks_without"]["steps"])
    assert summary["datasets"]["A"]["clicks per 18 images, without context"][0] == pytest.approx(18 * per_image)
    assert summary["datasets"]["B"]["clicks saved by context"] == (0, 0, 0)
    assert summary["overall"]["clicks per 18 images, without context"][0] == pytest.approx(9 * (per_image + 10))
    assert summary["overall"]["clicks saved by context"][0] == pytest.approx(100 * (1 - 10 / (per_image + 10)))
    text = markdown(summary)
    assert all(name in text for name in GOALS) and "| A |" in text and "| B |" in text
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert "| met |" in lines["Dice from 16 examples, no prompt"]
    assert "not met" in lines["Dice with boxes for masks, share"]


def test_everything_is_saved(result, tmp_path):
    summary = summarise([result])
    save(tmp_path, "made up", OPTIONS, [result], summary, 1.0)
    assert {p.name for p in tmp_path.iterdir()} == {"results.json", "table.md", "steps.png", "failures.png"}
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["options"]["seed"] == 0 and stored["tasks"][0]["task"] == "A / disk / 2d"


def test_failures_are_pictured_only_where_the_licence_allows_it(result, tmp_path):
    assert result["worst"]["with"].dice == min(result["clicks_with"]["dice"]) or result["worst"]["with"].dice > 0.99
    assert result["worst"]["with"].unprompted.shape == (128, 128) and result["worst"]["without"].unprompted is None
    closed = {**result, "dataset": "B", "worst": {**result["worst"], "licence": ""}}
    plot_failures([closed], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    heights = []
    for number, results in enumerate(([result, closed], [result, {**result, "dataset": "C"}])):
        plot_failures(results, tmp_path / f"{number}.png")
        heights.append(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{number}.png"))).shape[0])
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.05)


def test_contexts_never_show_the_targets_subject():
    shared = task()
    shared = EvaluationTask("A", "A / disk / 2d", "", shared.images, shared.labels, np.array([f"s{i % 6}" for i in range(N)]))
    by_image = {shared.images[i].tobytes(): shared.subjects[i] for i in range(N)}

    checking = Thresholder()
    import MultiverSegLib.evaluation.quick as quick

    sizes = quick.CONTEXT_SIZES
    quick.CONTEXT_SIZES = (1, 2, 4)
    try:
        quick._from_context_alone(checking, shared, OPTIONS, np.random.default_rng(0))
    finally:
        quick.CONTEXT_SIZES = sizes
    alone = [request for request in checking.seen if request.prompts is None and len(request.examples) == 4]
    assert len(alone) >= OPTIONS.targets
    for request in alone:
        assert all(by_image[e.image.tobytes()] != by_image[request.image.tobytes()] for e in request.examples)


def test_weak_annotations_are_boxes_of_the_largest_components_or_points():
    label = disk(30, 30, 10) | disk(80, 80, 6) | disk(110, 20, 1)
    rng = np.random.default_rng(0)
    boxes = annotate(label, "boxes", rng, count=2)
    expected = np.zeros((128, 128))
    expected[20:41, 20:41] = expected[74:87, 74:87] = 1
    assert (boxes[0] == expected).all() and not boxes[1:].any()
    points = annotate(label, "points", rng)
    assert points[1].sum() == 5 and not (points[1] * ~label).any() and not points[[0, 2]].any()
    assert annotate(disk(5, 5, 0), "points", rng)[1].sum() == 1
    assert ndimage.label(boxes[0])[1] == 2


def test_evaluation_tasks_come_from_eval_datasets_and_the_sample_cohort(tmp_path):
    from MultiverSegLib.training.evaluation_tasks import SAMPLE_COHORT, load_tasks
    from MultiverSegLib.training.smoke import make_corpus

    folder = make_corpus(tmp_path, datasets=3, images=24)
    tasks = load_tasks(folder, per_dataset=2, images=8)
    assert {t.dataset for t in tasks} == {"made2", SAMPLE_COHORT}
    again = load_tasks(folder, per_dataset=2, images=8)
    assert [t.name for t in tasks] == [t.name for t in again]
    for t in tasks:
        assert t.images.min() >= 0 and t.images.max() <= 1 and t.labels.any((1, 2)).all() and len(t.images) > 8
        Example(t.images[0], t.labels[0].astype(np.uint8))
    cohort = load_tasks(None, images=18)
    assert {t.dataset for t in cohort} == {SAMPLE_COHORT}
    assert all(len(set(t.subjects)) == len(t.subjects) == 20 for t in cohort), "one max slice a case"
