"""What trains and what does not: splits, licences, subjects."""

import json

import numpy as np
import pytest
from MultiverSegLib.training.config import AbsenceConfig
from MultiverSegLib.training.corpus import Corpus, CorpusError, fold_subjects
from MultiverSegLib.training.draws import TaskSampler, draw_slices


def test_eval_datasets_never_train_even_when_asked_by_name(corpus_folder):
    trained = Corpus.load(corpus_folder, "train", "any")
    assert {d.name for d in trained.datasets} == {"made0", "made1", "made2"}
    assert {d.name for d in Corpus.load(corpus_folder, "eval").datasets} == {"made3"}
    with pytest.raises(CorpusError, match="no dataset"):
        Corpus.load(corpus_folder, "train", "any", only=["made3"])


def test_a_dataset_with_both_marks_is_evaluation_only(corpus_folder, tmp_path):
    for path in corpus_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["datasets"][-1]["bundle"] = True
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert "made3" not in {d.name for d in Corpus.load(tmp_path).datasets}


def test_only_data_that_may_be_shipped_pass_the_default_gate(corpus_folder):
    assert {d.name for d in Corpus.load(corpus_folder).datasets} == {"made0", "made1"}


def test_no_subject_is_in_two_folds_and_files_of_a_group_share_them():
    subjects = np.array([f"p{i % 30}" for i in range(200)])
    folds = fold_subjects("group", subjects, (0.6, 0.2, 0.2))
    for subject in set(subjects):
        assert len(set(folds[subjects == subject])) == 1
    again = fold_subjects("group", subjects[::-1][:50], (0.6, 0.2, 0.2))
    assert (again == folds[::-1][:50]).all(), "a subject's fold depends on its name and group alone"
    assert set(folds) == {"train", "val", "test"}
    assert set(fold_subjects("group", np.array(["a", "b", "a"]), (0.6, 0.2, 0.2))) == {"train"}


def test_masks_survive_the_packing(corpus_folder):
    dataset = Corpus.load(corpus_folder).datasets[0]
    mask = dataset.mask(3, 1)
    assert mask.shape == (128, 128) and mask.dtype == bool and mask.sum() == dataset.areas[3, 1]


def test_tasks_hold_images_of_their_fold_view_and_label_only(corpus_folder):
    corpus = Corpus.load(corpus_folder)
    tasks = corpus.tasks("train", min_area=20)
    assert tasks
    for task in tasks:
        d = task.dataset
        assert (d.folds[task.indices] == "train").all() and (d.views[task.indices] == task.view).all()
        assert all(d.mask(i, task.label).sum() >= 20 for i in task.indices)


def test_target_and_context_come_from_different_subjects(corpus_folder):
    task = max(Corpus.load(corpus_folder).tasks("train"), key=lambda t: len(t.indices))
    subjects = task.dataset.subjects
    for seed in range(30):
        indices = draw_slices(task, 8, False, AbsenceConfig(), np.random.default_rng(seed)).indices
        assert len(indices) == 8
        assert subjects[indices[0]] not in subjects[indices[1:]]


def test_datasets_are_drawn_alike_and_then_views_and_labels(corpus_folder):
    tasks = Corpus.load(corpus_folder, licence="any").tasks("train")
    rng = np.random.default_rng(0)
    sampler = TaskSampler(tasks)
    names = [sampler.draw(rng).dataset.name for _ in range(3000)]
    counts = np.unique(names, return_counts=True)[1] / 3000
    assert len(counts) == 3 and np.abs(counts - 1 / 3).max() < 0.04


@pytest.mark.parametrize(("text", "message"), [(None, "no manifest"), ("{", "can't be read"), ("[]", "lists no datasets")])
def test_bad_corpora_are_told_in_one_line(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CorpusError, match=message):
        Corpus.load(tmp_path)


def test_a_damaged_file_is_named(corpus_folder, tmp_path):
    (tmp_path / "manifest.json").write_text((corpus_folder / "manifest.json").read_text())
    (tmp_path / "made0.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(CorpusError, match=r"made0\.npz"):
        Corpus.load(tmp_path)
