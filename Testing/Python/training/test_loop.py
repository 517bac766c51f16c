"""The loop: it learns, it resumes to the step, it survives a kill, two processes train one network."""

import csv
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import MultiverSegLib
import numpy as np
import pytest
import torch
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.models.checkpoints import read_checkpoint
from MultiverSegLib.core.models.loading import load_network
from MultiverSegLib.training.config import parse_config
from MultiverSegLib.training.corpus import Corpus
from MultiverSegLib.training.interaction import Interaction
from MultiverSegLib.training.loop import Trainer
from MultiverSegLib.training.optimisation import EMA, freeze_unused
from MultiverSegLib.training.smoke import SMOKE, run_smoke

CROSSBLOCK = {"family": "multiverseg", "target_channels": 5, "context_channels": 5, "encoder_features": [4, 6, 8]}


def config(steps=6, **sections):
    quiet = {"save_every": 2, "log_every": 2, "validate_every": 1000, "validation_tasks": 0}
    stages = [{"steps": steps, "size": 32, "batch": 2, "max_context": 2}]
    return parse_config({**SMOKE, "stages": stages, "sources": {"real": 0.6, "shapes": 0.4, "superpixel": 0}, "run": quiet, **sections})


def trainer(folder, corpus_folder, settings):
    corpus = Corpus.load(corpus_folder, fractions=settings.data.fractions)
    return Trainer(settings, corpus, folder, accelerator="cpu", say=lambda text: None)


def weights(folder):
    return torch.load(folder / "state.pt", weights_only=True)


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("model", [SMOKE["model"], CROSSBLOCK], ids=["cached", "crossblock"])
def test_a_stopped_run_goes_on_exactly_where_it_was(tmp_path, corpus_folder, model):
    settings = config(model=model)
    trainer(tmp_path / "straight", corpus_folder, settings).train()
    trainer(tmp_path / "stopped", corpus_folder, settings).train(until=4)
    assert weights(tmp_path / "stopped")["step"] == 4
    trainer(tmp_path / "stopped", corpus_folder, settings).train()
    a, b = weights(tmp_path / "straight"), weights(tmp_path / "stopped")
    assert a["step"] == b["step"] == 6
    assert same(a["model"], b["model"]) and same(a["ema"], b["ema"]) and a["ema_count"] == b["ema_count"]


RUN = """
    import sys
    sys.path.insert(0, {library!r})
    from MultiverSegLib.training.config import parse_config
    from MultiverSegLib.training.corpus import Corpus
    from MultiverSegLib.training.loop import Trainer
    settings = parse_config({settings!r})
    corpus = Corpus.load({corpus!r}, fractions=settings.data.fractions)
    Trainer(settings, corpus, {folder!r}, accelerator="cpu", devices={devices}, say=lambda text: print(text, flush=True)).train()
"""


def script(tmp_path, folder, corpus_folder, settings, devices=1):
    library = str(Path(MultiverSegLib.__file__).parent.parent)
    path = tmp_path / f"run_{folder.name}.py"
    values = {"library": library, "settings": settings.model_dump(mode="json"), "corpus": str(corpus_folder), "folder": str(folder)}
    path.write_text(textwrap.dedent(RUN).format(**values, devices=devices))
    return [sys.executable, str(path)]


def test_a_run_killed_with_kill_9_goes_on_and_ends_the_same(tmp_path, corpus_folder, one_thread):
    settings = config(steps=400)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "killed"
    process = subprocess.Popen(script(tmp_path, folder, corpus_folder, settings), env=environment, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (folder / "state.pt").exists() and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    killed_at = weights(folder)["step"]
    assert 2 <= killed_at < 400 and killed_at % 2 == 0

    target = killed_at + 3
    trainer(folder, corpus_folder, settings).train(until=target)
    trainer(tmp_path / "straight", corpus_folder, settings).train(until=target)
    assert same(weights(folder)["model"], weights(tmp_path / "straight")["model"])
    with (folder / "log.csv").open() as stream:
        steps = [int(row["step"]) for row in csv.DictReader(stream)]
    assert steps == sorted(set(steps)), "no step is logged twice"


def test_two_processes_train_one_network(corpus_folder, tmp_path, one_thread):
    """What DDP must compute, by hand: one step from the mean gradient of the two ranks' batches."""
    run = {"save_every": 2, "log_every": 1, "validate_every": 1000, "validation_tasks": 0}
    settings = config(steps=1, optim={"name": "adamw", "lr": 1e-3, "clip": None, "ema": 0.9}, run=run)
    one = trainer(tmp_path / "by-hand", corpus_folder, settings)
    one.optimiser.zero_grad()
    for rank in (0, 1):
        batch = one.batches.make(0, rank)
        losses = one.interaction(batch.image, batch.label, batch.context).losses
        (losses.sum() / 2).backward()
    for group in one.optimiser.param_groups:
        group["lr"] = 1e-3
    one.optimiser.step()
    expected = {k: v.clone() for k, v in one.module.state_dict().items()}

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_PORT": str(20001 + os.getpid() % 20000)}
    command = script(tmp_path, tmp_path / "ddp", corpus_folder, settings, 2)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    state = weights(tmp_path / "ddp")
    assert state["step"] == 1
    for name, value in state["model"].items():
        assert torch.allclose(value, expected[name], atol=2e-5), name
    trainer(tmp_path / "one", corpus_folder, settings).train()
    assert not same(state["model"], weights(tmp_path / "one")["model"]), "the second process's batches count too"
    with (tmp_path / "ddp" / "log.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 1, "one process writes the log"


def test_smoke_training_learns_and_writes_everything(tmp_path):
    first, last = run_smoke(tmp_path, accelerator="cpu", say=lambda text: None)
    assert last < first
    written = {path.name for path in tmp_path.iterdir()}
    assert {"state.pt", "ema.pt", "best.pt", "log.csv", "validation.csv", "curves.png", "samples.png"} <= written
    content = read_checkpoint(tmp_path / "ema.pt")
    assert content["training"]["datasets"] == ["made0"] and content["training"]["licence_gate"] == "bundle"
    network = load_network(tmp_path / "ema.pt")
    assert network(torch.rand(1, 5, 64, 64), torch.rand(1, 2, 5, 64, 64)).shape == (1, 1, 64, 64)
    assert torch.tensor(1e-40) > 0  # the process has its denormal numbers back


def test_the_average_follows_its_formula():
    network = torch.nn.Linear(2, 2)
    average = EMA(network, 0.5)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    average.update(network)
    decay = min(0.5, 2 / 11)
    assert torch.allclose(average.weights["weight"], decay * start + (1 - decay) * (start + 1))


def test_unused_parameters_are_frozen_and_no_others():
    network = build_network(CROSSBLOCK)
    freeze_unused(network)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen and all(name.startswith("dec_blocks.1.support") for name in frozen)


def test_encoding_once_gives_the_same_losses_as_encoding_at_each_step():
    settings = config()
    network = build_network(settings.model)
    image, label = torch.rand(3, 1, 32, 32), (torch.rand(3, 1, 32, 32) > 0.7).float()
    context = torch.rand(3, 2, 5, 32, 32)
    interaction = Interaction(network, settings)
    for entries in (context, None):
        torch.manual_seed(0)
        losses, inputs, outputs, *_ = interaction(image, label, entries)
        for x, y in zip(inputs, outputs, strict=True):
            assert torch.allclose(network(x, entries), y, atol=1e-5)
        assert losses.shape == (3,)


def test_steps_before_are_done_but_not_learned_from():
    settings = config(prompts={"click_share": 1.0, "scribble_share": 0.0, "absent_share": 0.0, "box_share": 0.0})
    network = build_network(settings.model)
    image, label = torch.rand(3, 1, 32, 32), (torch.rand(3, 1, 32, 32) > 0.7).float()
    interaction = Interaction(network, settings)
    seen = {}
    for before in (0, 6):
        torch.manual_seed(0)
        losses, inputs, *_ = interaction(image, label, None, before)
        assert losses.shape == (3,) and losses.requires_grad
        seen[before] = inputs[0]
    assert (seen[6][:, 1:4] >= seen[0][:, 1:4]).all(), "prompts pile up"
    added = (seen[6] - seen[0])[:, 2:4].flatten(1).sum(1)
    assert added.max() > 1 and added.max() <= 6, "one click a step, some of them on the same pixel"
    assert not seen[0][:, 4].any() and seen[6][:, 4].any() and not seen[6].requires_grad


def test_a_run_of_another_architecture_is_refused(tmp_path, corpus_folder):
    trainer(tmp_path, corpus_folder, config(steps=2)).train()
    with pytest.raises(MultiverSegError, match="another architecture"):
        trainer(tmp_path, corpus_folder, config(steps=2, model=CROSSBLOCK))


def test_a_finer_network_starts_from_a_coarser_ones_weights(tmp_path, corpus_folder):
    """Progressive resolution: train on half the grid, then add the full-resolution finish; it begins with the coarse prediction."""
    first = trainer(tmp_path / "coarse", corpus_folder, config(steps=2))
    first.train()
    coarse = load_network(tmp_path / "coarse" / "ema.pt")
    fine_settings = config(steps=1, model={**SMOKE["model"], "reduce": 2}, run={"initial": str(tmp_path / "coarse" / "ema.pt")})
    fine = trainer(tmp_path / "fine", corpus_folder, fine_settings).module.eval()
    small, context = torch.rand(1, 5, 32, 32), torch.rand(1, 1, 5, 32, 32)

    def enlarged(x):
        return torch.nn.functional.interpolate(x.flatten(0, -4), scale_factor=2, mode="nearest").unflatten(0, x.shape[:-3])

    with torch.no_grad():
        expected = torch.nn.functional.interpolate(coarse(small, context), scale_factor=2, mode="bilinear", align_corners=False)
        assert torch.allclose(fine(enlarged(small), enlarged(context)), expected, atol=1e-4)
    with pytest.raises(MultiverSegError, match="fits"):
        trainer(tmp_path / "other", corpus_folder, config(steps=1, model=CROSSBLOCK, run={"initial": str(tmp_path / "coarse" / "ema.pt")}))


def test_the_best_weights_are_those_of_the_best_validation(tmp_path, corpus_folder):
    """Weights that mark everything score better than those that mark nothing; a score's rounding in the table must not hide the best."""
    quiet = {"save_every": 100, "log_every": 100, "validate_every": 1, "validation_tasks": 2}
    training = trainer(tmp_path, corpus_folder, config(steps=9, run=quiet))
    best = []
    for step, bias in enumerate((-100.0, 100.0, 100.0, -100.0), start=1):
        training.ema.weights["out.bias"].fill_(bias)
        training.ema.decay = 1.0
        training.train(until=step)
        best.append(float(read_checkpoint(tmp_path / "best.pt")["model"]["out.bias"]))
    with (tmp_path / "validation.csv").open() as stream:
        scores = [float(row["score"]) for row in csv.DictReader(stream)]
    assert scores[0] < scores[1] > scores[3] and np.sign(best).tolist() == [-1, 1, 1, 1]


def test_networks_without_prompt_channels_in_the_context_are_refused(tmp_path, corpus_folder):
    with pytest.raises(MultiverSegError, match="context_channels"):
        trainer(tmp_path, corpus_folder, config(model={**CROSSBLOCK, "context_channels": 2}))
