"""Clicks along cohorts with a model whose answers are known; the figures of real models are not judged here."""

import json

import numpy as np
import pytest
from MultiverSegLib.benchmarks import cohort as bench_cohort
from MultiverSegLib.benchmarks import cohort_choices
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.evaluation.quick import EvaluationTask

from ..cohort.model import BrightModel


def disk(row, col, radius=12):
    r, c = np.indices((128, 128))
    return (r - row) ** 2 + (c - col) ** 2 <= radius**2


def task(places, dataset="A"):
    labels = np.stack([disk(*place) for place in places])
    names = np.array([f"s{n}" for n in range(len(places))])
    return EvaluationTask(dataset, f"{dataset} / disk / 2d", "", (labels * 0.9 + 0.05).astype(np.float32), labels, names)


SAME = [(40, 40)] * 5
#: The last image shows the disk where no example has it.
ODD = [*SAME, (100, 100)]


def test_a_context_that_fits_saves_the_clicks_and_an_odd_case_costs_one():
    walk = cohort_choices.Person(BrightModel(), task(ODD)).walk("most_similar", 16)
    assert walk.subjects == ("s0", "s1", "s2", "s3", "s4", "s5")
    assert walk.clicks == (1, 0, 0, 0, 0, 1)


def test_the_least_certain_case_comes_first_once_there_is_a_context():
    person = cohort_choices.Person(BrightModel(), task(ODD))
    assert person.walk("most_similar", 16, "least certain").subjects[:2] == ("s0", "s5"), "nothing is predicted there"


def test_what_was_simulated_is_not_simulated_again():
    model = BrightModel()
    person = cohort_choices.Person(model, task(SAME))
    first = person.walk("most_similar", 16)
    asked = len(model.asked)
    assert person.walk("diverse", 8) == first, "up to eight examples every strategy takes all"
    assert len(model.asked) == asked
    person.walk("most_recent", 1)
    assert len(model.asked) > asked


def test_caps_and_seed_reach_the_simulation():
    model = BrightModel()
    cohort_choices.Person(model, task(ODD)).walk("all", 2)
    assert max(model.asked) == 2


def test_the_summary_pairs_datasets_and_leaves_the_first_case_out():
    def measured(unit, base, other):
        walks = {("most_similar", 4): walk(base), ("all", 4): walk(other)}
        return cohort_choices.Measured(unit, unit, walks)

    def walk(clicks):
        return cohort_choices.Walk(tuple(f"s{n}" for n in range(len(clicks))), tuple(clicks))

    both = [measured("A", (20, 4, 4, 4), (20, 5, 5, 5)), measured("B", (20, 10, 10, 10), (20, 11, 11, 11))]
    base, other = cohort_choices.summary("strategies", both)
    assert base["clicks"][0] == 7 and base["against"] is None
    assert other["against"] == pytest.approx((1, 1, 1)), "in each dataset one click more: no chance in that"
    assert other["thirds"] == [8, 8, 8]
    table = cohort_choices.markdown("strategies", [base, other]).splitlines()
    assert table[0].startswith("| strategy | cap ") and "+1.00 (+1.00 to +1.00)" in table[3]
    assert len({line.count("|") for line in table}) == 1


def test_cases_of_a_folder_are_paired_over_its_orders():
    first = cohort_choices.Walk(("a", "b"), (1, 3))
    second = cohort_choices.Walk(("b", "a"), (5, 7))
    walks = [cohort_choices.Measured("x", "", {("file order", 16): w}) for w in (first, second)]
    assert cohort_choices._per_unit(walks, ("file order", 16), 0).tolist() == [4, 4]


def test_corpus_tasks_are_drawn_from_all_eval_datasets_by_the_seed(corpus_folder, tmp_path):
    tasks = cohort_choices.from_corpus(corpus_folder, 2, 5, seed=0)
    assert [t.dataset for t in tasks] == ["made3"] * 2, "one dataset is marked eval"
    assert len({t.name for t in tasks}) == 2 and all(len(t.images) == 6 and t.labels.any((1, 2)).all() for t in tasks)
    again, other = (cohort_choices.from_corpus(corpus_folder, 2, 5, seed=s) for s in (0, 1))
    assert all(np.array_equal(a.images, b.images) for a, b in zip(tasks, again, strict=True))
    assert not all(np.array_equal(a.images, b.images) for a, b in zip(tasks, other, strict=True))
    with pytest.raises(MultiverSegError, match="--images"):
        cohort_choices.from_corpus(corpus_folder, 2, 50, seed=0)
    with pytest.raises(MultiverSegError, match=r"manifest\.json"):
        cohort_choices.from_corpus(tmp_path, 2, 5, seed=0)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory):
    from MultiverSegLib.training.smoke import make_corpus

    return make_corpus(tmp_path_factory.mktemp("corpus"), datasets=4, images=24)


def test_the_command_prints_tables_for_folder_and_corpus(command, corpus_folder, tmp_path):
    ran = command(
        *("bench", "cohort", "--part", "orders", "--limit", 3, "--shuffles", 1, "--jobs", 1),
        *("--corpus", corpus_folder, "--tasks", 1, "--images", 2, "-o", tmp_path / "out"),
    )
    assert ran.code == 0, ran.err
    assert "orders, folder: 1 cohorts of 3 cases, 3 images, seed 0" in ran.out
    assert "orders, corpus: 1 cohorts of 1 datasets, 3 images, seed 0" in ran.out
    assert (tmp_path / "out" / "table.md").read_text() == ran.out
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["orders, corpus"]) == 3


def test_stopped_in_the_middle_it_prints_what_was_measured(monkeypatch):
    def measure_all(work, *_arguments):
        yield "orders", cohort_choices.measure(BrightModel(), work[0], "orders")
        raise KeyboardInterrupt

    monkeypatch.setattr(cohort_choices, "measure_all", measure_all)
    monkeypatch.setattr(cohort_choices, "from_trials", lambda *_: [task(SAME, ""), task(ODD, "")])
    results, tables = bench_cohort._choices(["orders"], SAME, None, (1, 1, 1, 0), "compact", "cpu", 1)
    assert len(tables) == 1 and results["orders, folder"][0]["clicks"][0] == 0.2


def test_workers_give_what_one_process_gives(corpus_folder):
    tasks = cohort_choices.from_corpus(corpus_folder, 1, 2, seed=0)
    alone, shared = ([m for _, m in cohort_choices.measure_all(tasks, ["orders"], "compact", "cpu", jobs)] for jobs in (1, 2))
    assert alone[0].walks.keys() == shared[0].walks.keys()
    assert [w.subjects for w in alone[0].walks.values()] == [w.subjects for w in shared[0].walks.values()]
