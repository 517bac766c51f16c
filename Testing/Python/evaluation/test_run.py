"""Runs in a folder: the rows' table, killed and resumed runs, refused folders, pictures that may not be shown."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.evaluation import compare
from MultiverSegLib.evaluation.figures import draw_all
from MultiverSegLib.evaluation.in_context import draw_contexts
from MultiverSegLib.evaluation.pages import cases_of, markdown, publish, sheets_of
from MultiverSegLib.evaluation.plan import EXPERIMENTS, SEQUENCE, Config, jobs_of, placed
from MultiverSegLib.evaluation.run import run, work_with
from MultiverSegLib.evaluation.table import read_table

from .made_up import SPEC, Painter, task

TASKS = [task("A / disk / axial"), task("B / disk / axial", 7), task("B / disc / axial", 6, licence="")]
SMALL = Config(
    images=4, simulations=2, block=3, users=("clicks",), contexts=("binary",), experiments=(SEQUENCE,), seed=3
)  # fmt: skip
WIDE = replace(
    SMALL, experiments=EXPERIMENTS, contexts=("binary", "truth"), users=("clicks", "realistic clicks"), sizes=(1, 2), targets=2, draws=1,
    corrected_sizes=(1,), corrected_steps=2, yardstick_sizes=(0, 2), orders=2, order_draws=1, cycle_size=2, images=3, simulations=1,
)  # fmt: skip


class Engine:
    """Works in this process; raises KeyboardInterrupt at the ``fatal``-th prediction."""

    def __init__(self, fatal: int = 0) -> None:
        self.method = Painter()
        self.left = fatal
        if fatal:
            predict = self.method.predict
            self.method.predict = lambda queries: (self._count(), predict(queries))[1]

    def _count(self):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def run(self, jobs):
        for job in jobs:
            yield work_with(job, self.method, self.method)


def jobs(folder, config=SMALL, tasks=TASKS):
    return placed(jobs_of(config, tasks, [SPEC], SPEC, {"made up": (True, True)}), str(folder), "cpu")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide")
    rows = run(folder, jobs(folder, WIDE), TASKS, WIDE, Engine())
    return folder, read_table(rows)


@pytest.mark.parametrize("fatal", [3, 14])
def test_a_killed_run_resumes_to_the_same_table(tmp_path, fatal):
    whole = run(tmp_path / "whole", jobs(tmp_path / "whole"), TASKS, SMALL, Engine())
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        run(folder, jobs(folder), TASKS, SMALL, Engine(fatal))
    done = []
    again = run(folder, jobs(folder), TASKS, SMALL, Engine(), progress=lambda n, total: done.append((n, total)))
    assert again.read_bytes() == whole.read_bytes()
    assert done[-1] == (2, 2) and not list((folder / "states").iterdir())
    run(folder, jobs(folder), TASKS, SMALL, Engine(1))  # nothing is left to do


def test_a_killed_block_loses_one_image_at_most(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, jobs(tmp_path), TASKS, SMALL, Engine(9))
    (state,) = (tmp_path / "states").iterdir()
    with np.load(state) as stored:
        before = int(stored["done"])
    engine = Engine()
    next(engine.run([j for j in jobs(tmp_path) if state.stem == j.key]))
    sizes = {len(q.context) for q in engine.method.asked}
    assert before >= 1 and min(sizes) == before, "the images that were done are not worked again"


def test_other_options_or_other_data_need_another_folder(tmp_path):
    run(tmp_path, jobs(tmp_path), TASKS, SMALL, Engine())
    other = replace(SMALL, seed=4)
    with pytest.raises(MultiverSegError, match="another evaluation"):
        run(tmp_path, jobs(tmp_path, other), TASKS, other, Engine())
    tasks = [replace(TASKS[0], images=TASKS[0].images * 0.5), *TASKS[1:]]
    with pytest.raises(MultiverSegError, match="another evaluation"):
        run(tmp_path, jobs(tmp_path, SMALL, tasks), tasks, SMALL, Engine())


def test_unknown_words_are_named():
    with pytest.raises(MultiverSegError, match="Unknown user 'thoughts'"):
        jobs_of(replace(SMALL, users=("thoughts",)), TASKS, [SPEC], SPEC, {"made up": (True, True)})


def test_a_method_takes_part_where_it_can():
    def experiments(reads):
        return {j.experiment for j in jobs_of(WIDE, TASKS, [SPEC], SPEC, {"made up": reads})}

    assert experiments((True, True)) == set(EXPERIMENTS)
    assert experiments((True, False)) == {"sequence", "yardsticks"}
    assert experiments((False, True)) == {"bootstrapped", "context only", "cycle"}


def test_contexts_of_one_draw_grow_and_are_of_other_subjects():
    subjects = TASKS[0].subjects
    draws = draw_contexts(0, subjects, 3, 2, (1, 2, 4), seed=1)
    assert len(draws) == 3 * 2 * 3
    for one, two, four in zip(draws[::3], draws[1::3], draws[2::3], strict=True):
        assert four.entries[:2] == two.entries and two.entries[:1] == one.entries and one.target == four.target
        assert subjects[one.target] not in subjects[list(four.entries)]


def test_the_table_names_everything(wide):
    folder, table = wide
    assert set(table.values("experiment")) == set(EXPERIMENTS) and table.values("dataset") == ["A", "B"]
    assert set(table.values("label")) == {"disk", "disc"} and set(table.values("axis")) == {"axial"}
    facts = json.loads((folder / "configuration.json").read_text())
    assert facts["config"]["seed"] == 3 and facts["versions"]["torch"] and facts["methods"][0]["name"] == "made up"
    cycle = table.where(experiment="cycle")
    assert (cycle["predictions"] == 3).all() and np.isfinite(cycle["cycle"]).all()


def test_the_page_shows_every_table_and_figure_and_only_images_that_may_be_shown(wide):
    folder, table = wide
    cases = cases_of(folder, table, jobs(folder, WIDE), TASKS)
    assert {c.rank for c in cases} == {"best", "median", "worst"} and not any("disc" in c.title for c in cases)
    text = publish(folder, table, cases)
    page = (folder / "report.html").read_text()
    for sheet in sheets_of(table):
        assert sheet.title in text and sheet.title in page
    assert "### Cost" in text and "hours on 64" in page
    names = [d.name for d in draw_all(table)]
    assert len(names) == len(set(names)) and {"steps", "totals", "context-size", "bootstrapped", "dice-by-steps"} <= set(names)
    for name in names:
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 2000 and (folder / "figures" / f"{name}.png").stat().st_size > 2000
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)


def test_compared_with_itself_nothing_differs(wide):
    folder, _ = wide
    sheets = compare.compare(folder, folder)
    assert [s.title for s in sheets] == ["Sequences", "From the context alone"]
    assert all(cell.startswith("0") for cell in sheets[1].rows[0][2:]), sheets[1].rows
    assert "| total steps |" in markdown(sheets)
    with pytest.raises(MultiverSegError, match="no method 'none'"):
        compare.compare(folder, folder, ["none"])
