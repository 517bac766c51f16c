import http.server
import json
import os
import pickle
import threading
from pathlib import Path

import jsonschema
import pytest
import torch
from MultiverSegLib.core.errors import Cancelled, CheckpointError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.models.checkpoints import read_checkpoint, save_checkpoint
from MultiverSegLib.core.models.download import sha256_of
from MultiverSegLib.core.models.loading import load_network
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.networks import MultiverSegNet, ScribblePromptUNet
from MultiverSegLib.core.resources import resource_path


def small(seed=0, channels=2):
    torch.manual_seed(seed)
    return MultiverSegNet(5, channels, (4, 6)).eval()


def state_of(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Bomb:
    """Pickled code: would leave a file if it ran."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


# Files


def test_saved_network_comes_back_in_half_precision(tmp_path):
    network = small()
    path = save_checkpoint(tmp_path / "deep" / "x.pt", network, training={"steps": 3})
    loaded = load_network(path)
    assert not loaded.training and loaded.architecture == network.architecture
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, network.state_dict()[name].half().float())
    assert read_checkpoint(path)["training"] == {"steps": 3}
    assert path.stat().st_size < save_checkpoint(tmp_path / "y.pt", network, half=False).stat().st_size
    assert [p.name for p in path.parent.iterdir()] == ["x.pt"]


@pytest.mark.parametrize("network", [small(), small(channels=5), ScribblePromptUNet(5, (4, 4)), MultiverSegNet(1, 2, (4, 4), norm=None)])
def test_every_family_saves_and_loads(tmp_path, network):
    assert load_network(save_checkpoint(tmp_path / "x.pt", network)).architecture == network.architecture


def test_public_layouts_are_recognised(tmp_path):
    for name, wrap in (
        ("multiverseg", lambda s: {"model": s}),
        ("universeg", lambda s: {"model": s}),
        ("universeg", dict),
        ("scribbleprompt", dict),
    ):
        network = build_network(name)
        torch.save(wrap(network.state_dict()), tmp_path / "public.pt")
        loaded = load_network(tmp_path / "public.pt")
        assert loaded.architecture == network.architecture
        assert torch.equal(next(loaded.parameters()), next(network.parameters()))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "neither a model"),
        (cut, "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_text("<html>Sign in</html>"), "damaged"),
        (lambda path: torch.save([1, 2], path), "no network weights"),
        (lambda path: torch.save({"model": {"a": 1}}, path), "no network weights"),
        (lambda path: torch.save({"model": {}}, path), "no network weights"),
        (lambda path: torch.save({"layer.weight": torch.zeros(3)}, path), "unknown architecture"),
        (lambda path: torch.save({"architecture": {"family": "new"}, "model": state_of(small())}, path), "Unknown network family"),
        (lambda path: torch.save({"architecture": [1], "model": state_of(small())}, path), "malformed architecture"),
        (
            lambda path: torch.save({"architecture": MultiverSegNet(5, 2, (4, 8)).architecture, "model": state_of(small())}, path),
            "does not fit",
        ),
        (
            lambda path: torch.save({"model": {k: v for k, v in state_of(small()).items() if k != "out_conv.conv.bias"}}, path),
            "out_conv.conv.bias",
        ),
        (
            lambda path: torch.save({"architecture": small().architecture, "model": {**state_of(small()), "more": torch.zeros(1)}}, path),
            "more is",
        ),
    ],
)
def test_unusable_files_give_one_clear_line(tmp_path, spoil, words):
    path = save_checkpoint(tmp_path / "x.pt", small())
    spoil(path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_network(path)
    assert "\n" not in str(caught.value) and "x.pt" in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("save", "words"), [(torch.save, "for safety"), (lambda o, p: Path(p).write_bytes(pickle.dumps(o)), "damaged|for safety")]
)
def test_code_in_a_checkpoint_is_not_run(tmp_path, save, words):
    path, trace = tmp_path / "evil.pt", tmp_path / "ran"
    save({"architecture": small().architecture, "model": state_of(small()), "extra": Bomb(trace)}, path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_network(path)
    assert not trace.exists() and "\n" not in str(caught.value)
    with pytest.raises(CheckpointError):
        Registry(tmp_path / "weights").add_file(path)
    assert not trace.exists() and not (tmp_path / "weights").exists()


def test_a_huge_architecture_allocates_nothing(tmp_path):
    huge = {"family": "multiverseg", "encoder_features": [100_000] * 4}
    torch.save({"architecture": huge, "model": state_of(small())}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_network(tmp_path / "x.pt")


# The registry


@pytest.fixture
def resources(tmp_path):
    """A shipped list with one bundled and one downloadable model."""
    folder = tmp_path / "resources"
    path = save_checkpoint(folder / "little.pt", small(1))
    models = [
        {
            "name": "little",
            "title": "Little",
            "file": "little.pt",
            "bundled": True,
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
        },
        {"name": "far", "title": "Far", "file": "far.pt", "url": None, "architecture": small().architecture},
    ]
    (folder / "models.json").write_text(json.dumps({"version": 1, "default": "little", "models": models}))
    return folder


@pytest.fixture
def served(tmp_path, resources):
    """The downloadable model on a real web server; ``served(content)`` changes what it gives; gives the requests it has seen."""
    state = {"content": save_checkpoint(tmp_path / "origin.pt", small(2)).read_bytes(), "cut": 0, "seen": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state["seen"].append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(state["content"])))
            self.end_headers()
            self.wfile.write(state["content"][: len(state["content"]) - state["cut"]])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    data = json.loads((resources / "models.json").read_text())
    data["models"][1]["url"] = f"http://127.0.0.1:{server.server_port}/far.pt"
    (resources / "models.json").write_text(json.dumps(data))
    yield state
    server.shutdown()
    server.server_close()


def test_shipped_list_follows_its_schema():
    models = json.loads(resource_path("Models", "models.json").read_text(encoding="utf-8"))
    schema = json.loads(resource_path("Models", "models.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(models, schema)
    registry = Registry()
    assert {"multiverseg-v1", "scribbleprompt-v1"} <= {m.name for m in registry.list()}
    assert registry.get("multiverseg-v1").empty_context == "scribbleprompt-v1"
    for model in registry.list():
        assert build_network(model.architecture).architecture
        if model.bundled:
            assert registry.verify(model.name).stat().st_size == model.size


def test_bundled_model_is_there_and_verified(tmp_path, resources):
    registry = Registry(tmp_path / "weights", resources)
    assert registry.default == "little" and registry.available("little") and not registry.available("far")
    assert torch.equal(next(load_network("little", registry).parameters()), next(small(1).parameters()).half().float())
    content = (resources / "little.pt").read_bytes()
    (resources / "little.pt").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="wrong SHA-256"):
        registry.path("little")
    assert not (tmp_path / "weights").exists()


def test_unknown_and_absent_models(tmp_path, resources):
    registry = Registry(tmp_path / "weights", resources)
    with pytest.raises(CheckpointError, match="Unknown model 'x'"):
        registry.get("x")
    with pytest.raises(CheckpointError, match="not here: give its weights as a file"):
        load_network("far", registry)
    with pytest.raises(CheckpointError, match="No address is known"):
        registry.fetch("far")


def test_nothing_is_contacted_unless_asked(tmp_path, resources, served):
    registry = Registry(tmp_path / "weights", resources)
    registry.list(), registry.available("far"), str(registry.get("far"))
    for ask in (registry.path, registry.verify, lambda name: load_network(name, registry)):
        with pytest.raises(CheckpointError, match="fetch it"):
            ask("far")
    assert served["seen"] == [] and not (tmp_path / "weights").exists()


def test_fetch(tmp_path, resources, served):
    registry = Registry(tmp_path / "weights", resources)
    steps = []
    path = registry.fetch("far", progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(served["content"]), len(served["content"]))
    assert path.read_bytes() == served["content"] and load_network("far", registry).architecture == small().architecture
    registry.fetch("far")
    assert len(served["seen"]) == 1
    assert Registry(tmp_path / "weights", resources).available("far")


def test_truncated_file_is_noticed_and_fetched_again(tmp_path, resources, served):
    path = Registry(tmp_path / "weights", resources).fetch("far")
    cut(path)
    registry = Registry(tmp_path / "weights", resources)
    with pytest.raises(CheckpointError, match="damaged"):
        load_network("far", registry)
    assert registry.fetch("far").read_bytes() == served["content"] and len(served["seen"]) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        lambda s: s.update(cut=100),
        lambda s: s.update(content=b"<html>busy</html>"),
        lambda s: s.update(content=s["content"][:-50]),
        lambda s: s.update(content=s["other"]),
    ],
)
def test_a_broken_download_never_replaces_a_good_file(tmp_path, resources, served, trouble):
    served["other"] = save_checkpoint(tmp_path / "other.pt", ScribblePromptUNet(5, (4, 4))).read_bytes()
    registry = Registry(tmp_path / "weights", resources)
    good = registry.fetch("far")
    before = tree(tmp_path / "weights")
    trouble(served)
    registry.available = lambda name: False  # as if it were asked to fetch anew
    with pytest.raises(CheckpointError) as caught:
        registry.fetch("far")
    assert "\n" not in str(caught.value) and ".writing-" not in str(caught.value)
    assert tree(tmp_path / "weights") == before and Registry(tmp_path / "weights", resources).path("far") == good


def test_a_broken_first_download_leaves_nothing(tmp_path, resources, served):
    served["cut"] = 10
    registry = Registry(tmp_path / "weights", resources)
    with pytest.raises(CheckpointError):
        registry.fetch("far")
    with pytest.raises(Cancelled):
        registry.fetch("far", cancel=lambda: True)
    assert tree(tmp_path / "weights") == {} and not registry.available("far")
    served["cut"] = 0
    assert registry.fetch("far").is_file()


@pytest.mark.parametrize(("published", "words"), [({"sha256": "0" * 64}, "wrong SHA-256"), ({"size": 7}, "instead of 7")])
def test_published_size_and_checksum_are_checked(tmp_path, resources, served, published, words):
    data = json.loads((resources / "models.json").read_text())
    data["models"][1] |= published
    (resources / "models.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=words):
        Registry(tmp_path / "weights", resources).fetch("far")
    assert tree(tmp_path / "weights") == {}


def test_no_connection(tmp_path, resources):
    data = json.loads((resources / "models.json").read_text())
    for url, words in (("http://127.0.0.1:9/x.pt", "can't be fetched"), ("file:///etc/passwd", "not a web address")):
        data["models"][1]["url"] = url
        (resources / "models.json").write_text(json.dumps(data))
        with pytest.raises(CheckpointError, match=words):
            Registry(tmp_path / "weights", resources).fetch("far")


def test_weights_from_file(tmp_path, resources):
    registry = Registry(tmp_path / "weights", resources)
    given = save_checkpoint(tmp_path / "My weights.pt", small(5))
    assert registry.add_file(given) == "far"  # fits the model whose weights are missing
    given.unlink()
    assert Registry(tmp_path / "weights", resources).available("far")
    mine = save_checkpoint(tmp_path / "My weights (2).pt", small(6, channels=5))
    assert registry.add_file(mine) == registry.add_file(mine) == "My-weights-2"
    again = Registry(tmp_path / "weights", resources)
    assert [m.name for m in again.list()] == ["little", "far", "My-weights-2"]
    assert load_network("My-weights-2", again).context_channels == 5
    assert again.get("far").title == "Far" and again.get("far").sha256
    again.clear()
    assert [m.name for m in Registry(tmp_path / "weights", resources).list()] == ["little", "far"] and tree(tmp_path / "weights") == {}


def test_clear_deletes_our_files_only(tmp_path, resources):
    registry = Registry(tmp_path / "weights", resources)
    registry.add_file(save_checkpoint(tmp_path / "x.pt", small()))
    (tmp_path / "weights" / "thesis.txt").write_text("mine")
    registry.clear()
    assert [str(p) for p in tree(tmp_path / "weights")] == ["thesis.txt"]


def test_add_file_refuses_and_changes_nothing(tmp_path, resources):
    registry = Registry(tmp_path / "weights", resources)
    other = save_checkpoint(tmp_path / "sp.pt", ScribblePromptUNet(5, (4, 4)))
    fits = save_checkpoint(tmp_path / "x.pt", small())
    for path, name, words in (
        (other, "far", "another kind"),
        (fits, "little", "comes with the extension"),
        (fits, "../x", "model's name"),
        (tmp_path / "none.pt", None, "does not exist"),
    ):
        with pytest.raises(CheckpointError, match=words):
            registry.add_file(path, name)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"version": 2}', '{"version": 1, "models": [{"name": "a", "title": "a", "file": "../a"}]}']
)
def test_damaged_list_of_models(tmp_path, content):
    (tmp_path / "models.json").write_text(content)
    with pytest.raises(CheckpointError, match="list of models"):
        Registry(tmp_path / "weights", tmp_path)


def test_folder_can_be_chosen_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIVERSEG_MODELS", str(tmp_path / "here"))
    assert Registry().folder == tmp_path / "here"
    monkeypatch.delenv("MULTIVERSEG_MODELS")
    assert Registry().folder.name == "models"
