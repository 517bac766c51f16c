"""The commands end to end, small: train, evaluate, bundle."""

import json

import pytest
import yaml
from MultiverSegLib.cli.main import app
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.models.checkpoints import read_checkpoint
from MultiverSegLib.training.smoke import SMOKE
from typer.testing import CliRunner


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus_folder):
    """The folder of a run of two steps, started by the command."""
    folder = tmp_path_factory.mktemp("run")
    quick = {"save_every": 2, "log_every": 1, "validate_every": 2, "validation_tasks": 2}
    stages = [{"steps": 4, "size": 32, "batch": 2, "max_context": 2}]
    settings = {**SMOKE, "model": {**SMOKE["model"], "reduce": 2}, "stages": stages, "run": quick}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = ("train", "--config", folder / "config.yaml", "--corpus", corpus_folder, "-o", folder / "run", "--accelerator", "cpu")
    stopped = invoke(*command, "--steps", 2)
    assert stopped.exit_code == 0 and "step 2/4" in stopped.output and "step 3/4" not in stopped.output
    resumed = invoke(*command)
    assert "resumed" in resumed.output and "step 4/4" in resumed.output
    return folder / "run"


def test_a_run_without_a_corpus_says_what_to_do(monkeypatch):
    monkeypatch.delenv("MULTIVERSEG_CORPUS", raising=False)
    with pytest.raises(MultiverSegError, match="--corpus"):
        invoke("train")


def test_single_fields_are_set_on_the_command_line(run, corpus_folder, tmp_path):
    command = ("train", "--config", run.parent / "config.yaml", "--corpus", corpus_folder, "-o", tmp_path, "--accelerator", "cpu")
    done = invoke(*command, "--set", "stages.0.steps=1", "--set", "sources.shapes=1")
    assert "step 1/1" in done.output
    assert read_checkpoint(tmp_path / "ema.pt")["training"]["config"]["sources"]["shapes"] == 1


def test_training_starts_from_given_weights(run, corpus_folder, tmp_path):
    command = ("train", "--config", run.parent / "config.yaml", "--corpus", corpus_folder, "-o", tmp_path, "--accelerator", "cpu")
    assert invoke(*command, "--initial", run / "ema.pt", "--steps", 1).exit_code == 0


@pytest.mark.slow
def test_evaluate_quick_prints_the_goals_and_writes_the_results(run, corpus_folder, tmp_path):
    done = invoke(
        "evaluate", "quick", "-m", run / "ema.pt", "--corpus", corpus_folder, "-o", tmp_path, "--per-dataset", 1, "--images", 1, "--jobs", 1
    )
    assert done.exit_code == 0
    assert "clicks saved by context" in done.output and "at least 36%" in done.output and "SampleCohort" in done.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["options"]["images"] == 1 and {t["dataset"] for t in results["tasks"]} == {"made3", "SampleCohort"}
    assert all(len(t["clicks_with"]["steps"]) == 1 for t in results["tasks"])


def test_evaluate_validation_measures_own_subjects_or_other_training_datasets_never_eval(run, corpus_folder, tmp_path):
    from MultiverSegLib.training.evaluation_tasks import validation_tasks

    trained = read_checkpoint(run / "ema.pt")["training"]["datasets"]
    assert trained == ["made0", "made1"]
    own, unseen = (validation_tasks(corpus_folder, str(run / "ema.pt"), flag) for flag in (False, True))
    assert {t.dataset.name for t in own} == set(trained) and {t.dataset.name for t in unseen} == {"made2"}
    assert all((t.dataset.folds[t.indices] == "val").all() for t in own)
    common = ("-m", run / "ema.pt", "--corpus", corpus_folder, "--size", 32, "--count", 2)
    for flags in ((), ("--unseen",)):
        done = invoke("evaluate", "validation", *common, *flags)
        assert done.exit_code == 0 and "click_10" in done.output and "context_0" in done.output
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({**SMOKE, "data": {"fractions": [0.6, 0.4, 0.0], "complete": ["made0"]}}))
    configured = ("--config", recipe, "--only", "made0")
    assert "1 datasets" in invoke("evaluate", "validation", *common, *configured).output
    with pytest.raises(MultiverSegError, match="is in made2"):  # of another licence
        invoke("evaluate", "validation", *common, "--config", recipe, "--only", "made2")
    for entry in (manifest := json.loads((corpus_folder / "manifest.json").read_text()))["datasets"]:
        entry.update(source_group="one hospital", file=str(corpus_folder / entry["file"]))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MultiverSegError, match="not trained on"):
        validation_tasks(tmp_path, str(run / "ema.pt"), unseen=True)


def test_bundle_packs_the_weights(run, tmp_path):
    assert invoke("bundle", tmp_path / "bundle", "-m", run / "ema.pt").exit_code == 0
    assert (tmp_path / "bundle" / "models" / "model.pt").read_bytes() == (run / "ema.pt").read_bytes()
