"""Checkpoints, lists of models and addresses that are not what they should be: one sentence, never an internal error."""

import json
import socket
import threading

import pytest
import torch
from MultiverSegLib.core.errors import CheckpointError
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.models.loading import load_network
from MultiverSegLib.core.models.registry import Registry
from MultiverSegLib.core.networks import MultiverSegNet


def small():
    torch.manual_seed(0)
    return MultiverSegNet(5, 2, (4, 6)).eval()


def state(**changes):
    return {**small().state_dict(), **changes}


FIRST = "enc_blocks.0.cross.cross_conv.weight"


def with_first(change):
    return {"architecture": small().architecture, "model": state(**{FIRST: change(small().state_dict()[FIRST])})}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: with_first(lambda v: v * float("nan")), f"{FIRST} holds values that are not finite"),
        (lambda: with_first(lambda v: v + float("inf")), "not finite"),
        (lambda: with_first(lambda v: v.to_sparse()), "unusual kind"),
        (lambda: with_first(lambda v: v.to(torch.complex64)), "unusual kind"),
        (lambda: {"architecture": {"family": []}, "model": state()}, "Unknown network family"),
        (lambda: {"architecture": {"family": "multiverseg", "encoder_features": []}, "model": state()}, "can't be built"),
        (lambda: {"architecture": {"family": "multiverseg", "encoder_features": [float("inf")]}, "model": state()}, "can't be built"),
        (lambda: {"architecture": {"family": "scribbleprompt", "features": [0, -3]}, "model": state()}, "can't be built|does not fit"),
        (lambda: {"architecture": {"family": "multiverseg", "encoder_features": "ab"}, "model": state()}, "can't be built"),
        (lambda: {FIRST: torch.zeros(())}, "shapes that no known network has"),
        (lambda: {FIRST: torch.zeros(3)}, "shapes that no known network has"),
        (lambda: {FIRST: torch.zeros(0, 0, 0, 0)}, "can't be built|does not fit"),
        (lambda: {"model": {"downs.0.conv.0.weight": torch.zeros(2)}}, "does not fit"),
    ],
)
def test_foreign_checkpoints(tmp_path, content, words):
    torch.save(content(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=words) as caught:
        load_network(tmp_path / "x.pt")
    assert "\n" not in str(caught.value) and "x.pt" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"version": 1, "files": []}',
        '{"version": 1, "files": {"a": 3}}',
        '{"version": 1, "files": {"a": null}}',
        '{"version": 1, "files": {"a": {"file": 3}}}',
        '{"version": 1, "files": {"a": {}}}',
        '{"version": 1, "files": {"../a": {"file": "a.pt"}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "size": "big"}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "size": true}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "sha256": 3}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "title": []}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "architecture": 3}}}',
        '{"version": 1, "files": {"a": {"file": "a.pt", "calibration": 3}}}',
        '{"version": 1, "files": {"compact": {"file": 3}}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_mistyped_lists_of_models(tmp_path, content):
    (tmp_path / "models.json").write_text(content)
    with pytest.raises(CheckpointError, match="list of models") as caught:
        Registry(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def answering():
    """``answering(bytes)`` gives the address of a server that says just these, whatever it is asked."""
    servers = []

    def start(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/x.pt"

    yield start
    for server in servers:
        server.close()


def listed(tmp_path, url, **facts):
    folder = tmp_path / "resources"
    folder.mkdir(exist_ok=True)
    model = {"name": "far", "title": "Far", "file": "far.pt", "url": url, "architecture": small().architecture, **facts}
    (folder / "models.json").write_text(json.dumps({"version": 1, "default": "far", "models": [model]}))
    return Registry(tmp_path / "weights", folder)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nshort",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nx",
        b"HTTP/1.1 302 Found\r\nLocation: http://example.org/x.pt\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"",
    ],
    ids=lambda answer: answer[:40].decode("latin-1").strip(),
)
def test_servers_that_break_off_or_lie(tmp_path, answering, answer):
    registry = listed(tmp_path, answering(answer))
    with pytest.raises(CheckpointError) as caught:
        registry.fetch("far")
    assert "\n" not in str(caught.value) and list((tmp_path / "weights").glob("*")) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/x.pt", "not encrypted"),
        ("http://127.0.0.1.example.org/x.pt", "not encrypted"),
        ("https://exa mple/x y.pt", "can't be fetched"),
        ("https://[::1/x.pt", "not a web address"),
        ("ftp://example.org/x.pt", "not a web address"),
        ("https:///x.pt", "not a web address"),
    ],
)
def test_addresses_that_are_not_to_be_trusted_or_none(tmp_path, url, words):
    with pytest.raises(CheckpointError, match=words):
        listed(tmp_path, url).fetch("far")


def test_a_known_checksum_makes_a_plain_address_good_enough(tmp_path, answering):
    """The content is pinned, whoever sends it; here the server sends another one."""
    save_checkpoint(tmp_path / "x.pt", small())
    content = (tmp_path / "x.pt").read_bytes()
    url = answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
    with pytest.raises(CheckpointError, match="wrong SHA-256"):
        listed(tmp_path, url, sha256="0" * 64).fetch("far")
    assert listed(tmp_path, url).fetch("far").is_file()
