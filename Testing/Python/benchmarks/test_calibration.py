"""The command on a made-up corpus: what it prints is what the registry reads."""

import json

import pytest
from MultiverSegLib.core.calibration import Calibration
from MultiverSegLib.core.models.checkpoints import read_checkpoint
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.predictors import open_predictor
from MultiverSegLib.core.resources import resource_path


def test_the_command_prints_the_line_for_the_list_of_models(command, tmp_path):
    pytest.importorskip("matplotlib")
    from MultiverSegLib.training.smoke import make_corpus

    corpus = make_corpus(tmp_path / "corpus", datasets=3, images=80)
    unknown = command("bench", "calibration", "--corpus", corpus, "--tasks", 2, "--targets", 1)
    assert unknown.code and "trained on" in unknown.error_line, "what it was not trained on has no validation subjects"
    known = read_checkpoint(Registry().path("compact"))["training"]["datasets"][0]
    (corpus / "made0.npz").rename(corpus / f"{known}.npz")
    manifest = corpus / "manifest.json"
    manifest.write_text(manifest.read_text().replace("made0", known))
    ran = command("bench", "calibration", "--corpus", tmp_path / "corpus", "--tasks", 2, "--targets", 1, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    entry = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert json.loads("{" + ran.out.strip().splitlines()[-1] + "}") == {"calibration": entry}
    assert entry["sha256"] == Registry().get("compact").sha256
    Calibration.from_json(entry)
    assert "| without prompts |" in ran.out and (tmp_path / "out" / "reliability.png").stat().st_size > 1000
    assert "Traceback" not in ran.err
    missing = command("bench", "calibration")
    assert missing.code and "--corpus" in missing.error_line


def test_a_calibration_counts_only_for_the_weights_it_was_fitted_on(tmp_path):
    folder = tmp_path / "Models"
    folder.mkdir()
    shipped = json.loads(resource_path("Models", "models.json").read_text())
    entry = next(m for m in shipped["models"] if m["name"] == "compact")
    (folder / entry["file"]).write_bytes(resource_path("Models", entry["file"]).read_bytes())
    curve = Calibration((0.5, 0.1), (0.6, 0.2))
    for sha256, expected in ((entry["sha256"], curve), ("0" * 64, Calibration())):
        entry["calibration"] = {"sha256": sha256, **curve.to_json()}
        (folder / "models.json").write_text(json.dumps(shipped))
        assert open_predictor("compact", registry=Registry(tmp_path / "user", folder)).calibration == expected
