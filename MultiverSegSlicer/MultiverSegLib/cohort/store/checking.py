"""Whether data from a file have the types that they should have; what does not fit is told in one sentence."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from ...core.errors import CohortError

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is of a type: ``str``, ``float`` (finite), unions, ``tuple[T, ...]``, ``list[T]``, ``Mapping[K, V]``, ``Any``.

    Records within records fit: they are checked where they are made.

    Example:
        >>> fits(3, float), fits("3", float), fits([1, 2], list[int]), fits(True, int)
        (True, False, True, False)
    """
    if hint is Any or is_dataclass(hint):
        return True
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in inner)
    if origin in (tuple, list):
        return isinstance(value, (list, tuple)) and (not inner or _all_fit(value, inner))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def check_fields(data: Mapping[str, Any], hints: Mapping[str, Any], what: str) -> None:
    """CohortError that names the first field of ``data`` that doesn't fit; fields without a hint are let through."""
    for name, value in data.items():
        if name in hints and not fits(value, hints[name]):
            raise CohortError(f"{what}: the field {name!r} must be {_readable(hints[name])}, got {shown(value)}.")


@lru_cache
def hints_of(record: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields."""
    constructor: Any = getattr(record, "__init__")  # noqa: B009
    return get_type_hints(record, constructor.__globals__)  # its module's names, also when that was loaded anew meanwhile


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _all_fit(values: Any, inner: tuple[Any, ...]) -> bool:
    if (len(inner) == 2 and inner[1] is Ellipsis) or len(inner) == 1:
        return all(fits(value, inner[0]) for value in values)
    return len(values) == len(inner) and all(fits(value, hint) for value, hint in zip(values, inner, strict=True))


def _readable(hint: Any) -> str:
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_readable(part) for part in inner)
    if origin in (tuple, list):
        return "a list"
    return "an object" if origin is Mapping else _NAMES.get(hint, "an object")
