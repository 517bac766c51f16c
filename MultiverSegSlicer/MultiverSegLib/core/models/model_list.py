"""The lists of models: ``models.json`` beside the shipped weights and beside the user's. What an entry says, and that it is well formed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

#: What a model may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ModelInfo:
    """One model of ``models.json``; the schema beside it says what each field means. ``bundled``: its file came with the extension.

    ``prompts``: kinds of prompts that the weights were trained to read (None: whatever the network has channels for). ``structures``: what they
    know by name, each {"name", "code"}, in the network's order. ``image``: how they were shown images, as fields of ``ImageSettings``; {}: by
    minimum and maximum.
    """

    name: str
    title: str
    file: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    licence: str = ""
    source: str = ""
    note: str = ""
    empty_context: str | None = None
    architecture: dict[str, Any] = field(default_factory=dict)
    training_data: str = ""
    measured: Any = None
    calibration: dict[str, Any] = field(default_factory=dict)
    bundled: bool = False
    prompts: list[str] | None = None
    structures: list[dict[str, str]] = field(default_factory=list)
    image: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.title}: {self.note}" if self.note else self.title


def read_list(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"The list of models {path} can't be read ({error}): reinstall the extension or delete the file.") from error
    if not isinstance(data, dict) or data.get("version") != 1:
        raise CheckpointError(f"The list of models {path} is of another version: update the extension.")
    return data


def rows(data: dict[str, Any], key: str, kind: type, origin: Path) -> Any:
    rows = data.get(key, kind())
    if not isinstance(rows, kind):
        raise CheckpointError(f"The list of models {origin} has no usable {key!r}: reinstall the extension or delete the file.")
    return rows


#: What the fields of a list of models hold.
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "title", "file", "licence", "source", "note", "training_data"), (str,)),
    **dict.fromkeys(("url", "sha256", "empty_context"), (str, type(None))),
    "size": (int, type(None)),
    "architecture": (dict, str),
    "calibration": (dict,),
    "bundled": (bool,),
    "prompts": (list, type(None)),
    "structures": (list,),
    "image": (dict,),
}


def model_of(data: Any) -> ModelInfo:
    known = {f.name for f in fields(ModelInfo)}
    if not isinstance(data, dict):
        raise CheckpointError(f"The list of models has a malformed entry ({str(data)[:60]}).")
    for name, kinds in _KINDS.items():
        if name in data and (not isinstance(data[name], kinds) or (name == "size" and isinstance(data[name], bool))):
            raise CheckpointError(f"The list of models has a malformed entry: {name} is {str(data[name])[:60]!r}.")
    try:
        info = ModelInfo(**{k: v for k, v in data.items() if k in known})
    except TypeError as error:
        raise CheckpointError(f"The list of models has a malformed entry ({error}).") from error
    if not NAME.fullmatch(info.name) or not info.file or Path(info.file).name != info.file or "\0" in info.file:
        raise CheckpointError(f"The list of models has an unusable name or file: {info.name[:80]!r}, {info.file[:80]!r}.")
    return info
