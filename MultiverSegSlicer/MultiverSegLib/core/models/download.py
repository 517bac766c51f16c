"""Weights from an address: where they may come from, how they are read, and what tells a whole file from a damaged one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import Cancelled, CheckpointError
from .model_list import ModelInfo

#: No model is larger.
MAX_BYTES = 2 << 30


def download(
    info: ModelInfo, path: Path, progress: Callable[[int, int | None], None] | None = None, cancel: Callable[[], bool] | None = None
) -> None:
    """Download a model from its address into ``path``. See ``Registry.fetch``.

    Raises:
        CheckpointError: a bad address, no connection, too much or too little came, or ``path`` can't be written.
        Cancelled: ``cancel`` gave True.
    """
    import http.client
    import urllib.error
    import urllib.request

    url = str(info.url)
    _check_address(url, info)

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, request: Any, stream: Any, code: int, message: str, headers: Any, target: str) -> Any:
            _check_address(target, info)
            return super().redirect_request(request, stream, code, message, headers, target)

    done, total = 0, None
    with path.open("wb") as stream:
        try:
            with urllib.request.build_opener(Redirects).open(url, timeout=30) as response:
                length = response.headers.get("Content-Length")
                total = int(length) if length and length.isascii() and length.isdecimal() else None
                for block in _blocks(response, cancel):
                    done += len(block)
                    if done > MAX_BYTES:
                        raise CheckpointError(f"{url} sends more than {MAX_BYTES >> 30} GB: that is not a model.")
                    try:
                        stream.write(block)
                    except OSError as error:
                        raise CheckpointError(f"{path.parent} can't be written: {error.strerror or error}.") from error
                    if progress is not None:
                        progress(done, total)
        except (http.client.HTTPException, OSError, ValueError) as error:  # URLError, time-outs and TLS are OSErrors
            reason = " ".join(str(getattr(error, "reason", "") or error).split())[:200] or type(error).__name__
            raise CheckpointError(f"{url} can't be fetched ({reason}): check the connection or give a file.") from error
    if total is not None and done != total:
        raise CheckpointError(f"The download from {url} broke off after {done} of {total} bytes: try again.")


def _blocks(response: Any, cancel: Any) -> Iterator[bytes]:
    while block := response.read(1 << 16):
        if cancel is not None and cancel():
            raise Cancelled("The download was cancelled.")
        yield block


def _check_address(url: str, info: ModelInfo) -> None:
    """Raises CheckpointError unless the content is sure to be the origin's: by https, by a checksum known beforehand, or from this computer."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError as error:
        raise CheckpointError(f"The address {url} is not a web address ({error}).") from error
    if scheme not in ("https", "http") or not host:
        raise CheckpointError(f"The address {url} is not a web address.")
    if scheme == "http" and info.sha256 is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise CheckpointError(
            f"{url} is not encrypted, and no checksum of {info.name} is known: anybody on the way could change it. Get the file yourself and add it."
        )


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def difference(path: Path, info: ModelInfo) -> str:
    """Why a file isn't the model's, "" if it is."""
    size = path.stat().st_size
    if info.size is not None and size != info.size:
        return f"{size} bytes instead of {info.size}"
    if info.sha256 is not None and sha256_of(path) != info.sha256:
        return "wrong SHA-256"
    return ""
