"""Checkpoints as the programs of others write them: prefixes, training states, parts that nobody reads."""

from __future__ import annotations

import os

import pytest
import torch
from MultiverSegLib.core.errors import CheckpointError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.imaging import ImageSettings
from MultiverSegLib.core.models.checkpoints import read_checkpoint
from MultiverSegLib.core.models.loading import load_network
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.networks.neuroverse3d import Neuroverse3D
from MultiverSegLib.core.networks.verse import Verse
from MultiverSegLib.core.predictors import open_predictor

UNREAD = (
    "backbone.down4.blocks.0.conv1.weight",
    "sem_seg_head.pixel_decoder.input_proj.3.0.weight",
    "sem_seg_head.predictor.decoder_norm.bias",
)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def lightning(network: torch.nn.Module, **more) -> dict:
    """What Lightning 2.2 writes."""
    return {
        "epoch": 3,
        "global_step": 70,
        "pytorch-lightning_version": "2.2.3",
        "state_dict": {f"net.{name}": value for name, value in network.state_dict().items()},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(9)}}}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"nb_inner_channels": [4, 6, 8], "lr": 1e-5},
        **more,
    }


def distributed(network: torch.nn.Module) -> dict:
    """What a script under DistributedDataParallel writes, left-overs in the network included."""
    state = {**network.state_dict(), **{name: torch.ones(3) for name in UNREAD}}
    return {
        "model": {f"module.{name}": value for name, value in state.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(1000)}}},
        "scheduler": {"last_epoch": 74},
        "epoch": 74,
    }


def small_verse() -> Verse:
    return Verse(3, 4, 256, (8, 8, 16, 16), 32, 8, 16, 8, 4)


@pytest.mark.parametrize(
    "network",
    [Neuroverse3D((4, 6, 8)), Neuroverse3D((4, 4, 6), convolutions=1), Neuroverse3D((4, 6), fold=2, norm="group1", context_channels=5)],
)
def test_a_lightning_file_is_read_without_its_training(tmp_path, network):
    torch.save(lightning(network), tmp_path / "x.ckpt")
    loaded = load_network(tmp_path / "x.ckpt")
    assert loaded.architecture == network.architecture and not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())
    content = read_checkpoint(tmp_path / "x.ckpt")
    assert content["hyper_parameters"]["lr"] == 1e-5
    assert not {"optimizer_states", "callbacks", "loops", "lr_schedulers", "state_dict"} & set(content)


def test_a_distributed_file_is_read_without_what_nobody_reads(tmp_path):
    network = small_verse()
    torch.save(distributed(network), tmp_path / "x.pth")
    loaded = load_network(tmp_path / "x.pth")
    assert loaded.architecture == network.architecture
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())
    assert set(read_checkpoint(tmp_path / "x.pth")) == {"architecture", "model", "epoch"}
    image, clicks = torch.rand(1, 1, 64, 64), torch.tensor([[[3.0, 4, 1]]])
    with torch.no_grad():
        assert torch.equal(loaded(image, None, clicks), network.eval()(image, None, clicks))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda c: {**c, "model": {k: v for k, v in c["model"].items() if "down3" not in k}}, "does not fit .*down3"),
        (lambda c: {**c, "model": {k: v for k, v in c["model"].items() if "query_feat" not in k}}, "unknown architecture"),
        (lambda c: {**c, "model": {k: v for k, v in c["model"].items() if not k.endswith("level_embed.weight")}}, "level_embed"),
        (lambda c: {**c, "model": {**c["model"], "module.sem_seg_head.predictor.more": torch.ones(1)}}, "more is"),
    ],
)
def test_a_network_with_parts_missing_is_said_in_one_sentence(tmp_path, content, words):
    torch.save(content(distributed(small_verse())), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=words) as caught:
        load_network(tmp_path / "x.pth")
    assert "\n" not in str(caught.value) and "x.pth" in str(caught.value)


@pytest.mark.parametrize("make", [lambda: lightning(Neuroverse3D((4, 6))), lambda: distributed(small_verse())])
def test_a_file_cut_short_or_with_code_is_said_in_one_sentence(tmp_path, make):
    path, trace = tmp_path / "x.ckpt", tmp_path / "ran"
    torch.save(make(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(CheckpointError, match=r"x\.ckpt is damaged"):
        load_network(path)
    torch.save({**make(), "hyper_parameters": Bomb(trace)}, path)
    with pytest.raises(CheckpointError, match="for safety"):
        load_network(path)
    assert not trace.exists()


@pytest.fixture
def shelf(tmp_path):
    """A registry with two models of one layout, as boxes and points are published."""
    import json

    layout = Neuroverse3D((4, 6)).architecture
    common = {"bundled": False, "url": None, "size": None, "sha256": None, "licence": "none", "source": "x", "architecture": layout}
    models = [{"name": f"w-{kind}", "title": kind, "file": f"{kind}.ckpt", "prompts": [kind], **common} for kind in ("box", "point")]
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "models.json").write_text(json.dumps({"version": 1, "default": "w-box", "models": models}))
    return Registry(tmp_path / "weights", tmp_path / "list")


def test_files_that_look_alike_are_told_apart_by_name_or_asked_for(tmp_path, shelf):
    for name in ("point.ckpt", "download.ckpt"):
        torch.save(lightning(Neuroverse3D((4, 6))), tmp_path / name)
    with pytest.raises(CheckpointError, match="w-box or w-point") as caught:
        shelf.add_file(tmp_path / "download.ckpt")
    assert "\n" not in str(caught.value) and not (tmp_path / "weights").exists()
    assert shelf.add_file(tmp_path / "point.ckpt") == "w-point"
    assert shelf.add_file(tmp_path / "download.ckpt", "w-box") == "w-box"
    assert shelf.get("w-box").prompts == ["box"]


def test_the_shipped_entries_fit_the_published_files():
    registry = Registry()
    with torch.device("meta"):
        for name, preset in (("wsicl-box", "neuroverse3d"), ("wsicl-point", "neuroverse3d"), ("verse-cardiac", "verse")):
            info = registry.get(name)
            assert info.url is None and "research" in (info.note + info.licence).lower()
            assert build_network(info.architecture).architecture == build_network(preset).architecture
    heart = registry.get("verse-cardiac")
    assert len(heart.structures) == 6 and ImageSettings(**heart.image).percentiles == (0, 98)


@pytest.mark.parametrize(("network", "dims", "named"), [(Neuroverse3D((4, 6)), 3, False), (small_verse(), 2, True)])
def test_a_file_is_opened_as_what_it_is(tmp_path, network, dims, named):
    torch.save({"model": network.state_dict()}, tmp_path / "x.pt")
    for model in (network, tmp_path / "x.pt"):
        able = open_predictor(model, "cpu").capabilities
        assert (able.dims, bool(able.structures)) == (dims, named)
