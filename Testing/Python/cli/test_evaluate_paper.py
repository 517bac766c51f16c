"""``evaluate paper``, ``compare`` and ``speed`` as a person runs them, and the same numbers from one process, two, and a Ray cluster."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import MultiverSegLib
import pytest
from MultiverSegLib.cohort.batch.engines import LocalEngine, RayEngine


@pytest.mark.slow
def test_here_in_two_processes_and_on_two_nodes_the_numbers_are_the_same(checkpoint, monkeypatch):
    ray = pytest.importorskip("ray", reason="needs the extra 'cluster'")
    from MultiverSegLib.evaluation.methods import method_spec
    from MultiverSegLib.evaluation.plan import QUICK, SEQUENCE, jobs_of
    from MultiverSegLib.evaluation.run import Here, work
    from MultiverSegLib.training.evaluation_tasks import load_tasks
    from ray.cluster_utils import Cluster

    config = replace(QUICK, images=2, simulations=2, block=1, users=("scribbles",), experiments=(SEQUENCE,))
    spec = method_spec(str(checkpoint))
    jobs = jobs_of(config, load_tasks(None, 1, 2), [spec], spec, {spec.name: (True, True)})

    def rows(engine):
        answers = {answer.key: answer.rows for answer in engine.run(jobs)}
        return [answers[job.key] for job in jobs]

    here = rows(Here())
    assert len(jobs) == 2 and here[0] != here[1]
    assert str(rows(LocalEngine(2, work))) == str(here)
    monkeypatch.setenv("PYTHONPATH", str(Path(MultiverSegLib.__file__).parents[1]) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)
        assert str(rows(RayEngine(cluster.address, work=work))) == str(here)
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
def test_a_small_run_and_its_comparison_with_itself(command, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("evaluate", "paper", "-o", "run", "-m", checkpoint, "-e", "context only", "--images", 3, "--workers", 1)
    assert ran.code == 0, ran.err
    with open("run/steps.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["context_size"] for row in rows} == {"1", "4", "16", "64"} and all(row["method"] == "small" for row in rows)
    facts = json.loads(Path("run", "configuration.json").read_text(encoding="utf-8"))
    assert facts["methods"][0]["checksums"][0][1][:16] in ran.out and Path("run", "report.html").is_file()
    ran = command("evaluate", "compare", "run", "run")
    assert ran.code == 0 and "| small | 64 | 0 |" in ran.out


def test_what_cannot_be_run_is_said_in_a_line(command, tmp_path, checkpoint):
    assert "neither a model" in command("evaluate", "paper", "-o", tmp_path / "a", "-m", "nothing.pt").error_line
    assert "Unknown experiment 'magic'" in command("evaluate", "paper", "-o", tmp_path / "a", "-m", checkpoint, "-e", "magic").error_line
    assert "is not there" in command("evaluate", "compare", tmp_path, tmp_path).error_line
    assert "Unknown user 'nobody'" in command("evaluate", "speed", "--user", "nobody").error_line


def test_radioactive_rounds_on_a_volume(command, checkpoint, tmp_path):
    ran = command("evaluate", "radioactive", "-m", checkpoint, "--count", 1, "--examples", 1, "-o", tmp_path / "rows.csv")
    assert ran.code == 0, ran.err
    assert ran.out.count("round ") == 6 and "1 volume, 1 example" in ran.out
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 7
    assert "Give both" in command("evaluate", "radioactive", "--images", tmp_path).error_line


def test_weak_examples_from_the_command(command, checkpoint, tmp_path):
    ran = command("evaluate", "weak", "-m", checkpoint, "--targets", 1, "--workers", 1, "-o", tmp_path / "weak")
    assert ran.code == 0, ran.err
    assert "| small | a box |" in ran.out and (tmp_path / "weak" / "tables.md").is_file()
