"""What a cohort knows: structures, cases, and the work done on each structure of each case. Plain data, no files, no MRML."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.errors import CohortError
from ...core.grid import ANATOMICAL, AXES
from ...core.names import kept_by_windows, shortened
from .checking import check_fields, hints_of, shown

TODO, IN_PROGRESS, ACCEPTED, SKIPPED, NEEDS_REVIEW = STATUSES = ("todo", "in progress", "accepted", "skipped", "needs review")
_COLORS = ((0.90, 0.45, 0.30), (0.30, 0.65, 0.90), (0.45, 0.80, 0.40), (0.85, 0.75, 0.30), (0.65, 0.45, 0.85), (0.40, 0.80, 0.75))

#: What a proposal and the settings hold (see ``StructureProgress.proposal`` and ``cohort.DEFAULTS``).
_PROPOSAL = {
    "kind": str,
    "model": str,
    "examples": list[str],
    "confidence": float | None,
    "informative": float | None,
    "known": int,
    "file": str,
    "index": int,
    "seq": int,
    "area_mm2": float | None,
    "volume_ml": float | None,
    "slices": int | None,
}
_SETTINGS = {
    "model": str,
    "strategy": str,
    "cap": int | None,
    "order": str,
    "idle_after_s": float,
    "refresh_after": int,
    "names": bool,
}

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Structure:
    """What is segmented: the segment's ``name``, ``color`` (r, g, b in 0..1), ``terminology`` entry (as Slicer serializes it) and slice
    ``axis``: anatomical ("axial", "coronal", "sagittal": the nearest voxel axis of each volume) or a voxel axis "i", "j", "k".

    ``image`` is ImageSettings as JSON (empty: the default); ``value`` the label value in exported label maps.
    """

    name: str
    axis: str = "axial"
    color: tuple[float, float, float] = _COLORS[0]
    terminology: str = ""
    image: Mapping[str, Any] = field(default_factory=dict)
    value: int = 1

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise CohortError("A structure needs a name.")
        if self.axis not in (*ANATOMICAL, *AXES):
            raise CohortError(f"The axis of {self.name} must be one of {', '.join((*ANATOMICAL, *AXES))}, got {self.axis!r}.")
        object.__setattr__(self, "color", tuple(float(c) for c in self.color))

    @staticmethod
    def numbered(name: str, number: int, axis: str = "axial", image: Mapping[str, Any] | None = None) -> Structure:
        """A structure with the colour and label value of its place in the cohort (``number`` from 0)."""
        return Structure(name, axis, _COLORS[number % len(_COLORS)], image=dict(image or {}), value=number + 1)


@dataclass(frozen=True)
class Source:
    """Where a case's volume comes from: ``kind`` "file" or "dicom" (``path``: a file or a series folder, and ``series`` its instance UID),
    "sequence" (a file with frames, or a sequence in the scene), or "scene" (``path`` is the node's ID; only while that scene is open).
    ``frame`` numbers the frames of a sequence. Paths are relative to the cohort's folder where that is possible.
    """

    kind: str
    path: str
    frame: int | None = None
    series: str = ""


@dataclass(frozen=True)
class Labels:
    """An existing segmentation of ``structure``: the file, and the label ``value`` or segment name that means it ("*": every label; None: the segment of that
    name, else the only one)."""

    structure: str
    path: str
    value: int | str | None = None


@dataclass(frozen=True)
class StructureProgress:
    """The bookkeeping of one structure in one case. Areas in mm², volumes in ml, times in UTC. ``slices``: how many of them hold the structure.

    ``first_vs_accepted_dice``: agreement (Dice) of what the first prediction wrote on its slice with what was accepted there. It says how much
    was changed afterwards, nothing about how right the result is: a proposal accepted untouched has 1. ``doubt`` says why a result should be
    looked at again (an example it was predicted with was removed, say). ``absent``: accepted as not there in this volume. ``via``: how it was
    accepted where that was not in the open case ("review": from the page of proposals).
    """

    status: str = TODO
    who: str = ""
    when: str = ""
    interactions: Mapping[str, int] = field(default_factory=dict)
    model: str = ""
    context_size: int = 0
    confidence: float | None = None
    predicted_with: tuple[str, ...] = ()
    first_prediction: int | None = None
    first_vs_accepted_dice: float | None = None
    example: str = ""
    area_mm2: float | None = None
    volume_ml: float | None = None
    slices: int | None = None
    mask_sha256: str = ""
    proposal: Mapping[str, Any] = field(default_factory=dict)
    doubt: str = ""
    absent: bool = False
    via: str = ""

    @property
    def clicks(self) -> int:
        """All interactions of any kind."""
        return sum(self.interactions.values())

    @property
    def touched(self) -> bool:
        """Whether somebody or the model has begun."""
        return bool(self.interactions or self.first_prediction)

    @property
    def untouched(self) -> bool:
        """Whether it was accepted as the model gave it, without a single interaction."""
        return self.status == ACCEPTED and self.first_prediction is not None and not self.interactions


@dataclass(frozen=True)
class Case:
    """A volume of the cohort: ``id`` is its file-safe name, ``columns`` what a CSV said of it, ``works`` by structure name.

    ``note`` belongs to the status (why it was skipped, say); ``notes`` are what people wrote about the case, each with "who", "time" and "text".
    ``approved_when`` is set once a reviewer has approved what was accepted, ``approved_by`` says who, where names are recorded.
    """

    id: str
    volume: Source
    name: str = ""
    labels: tuple[Labels, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    status: str = TODO
    note: str = ""
    active_seconds: float = 0.0
    notes: tuple[Mapping[str, Any], ...] = ()
    approved_by: str = ""
    approved_when: str = ""
    works: Mapping[str, StructureProgress] = field(default_factory=dict)

    def work(self, structure: str) -> StructureProgress:
        """The bookkeeping of a structure, empty where nothing was done."""
        return self.works.get(structure, StructureProgress())

    def with_work(self, structure: str, **changes: Any) -> Case:
        return replace(self, works={**self.works, structure: replace(self.work(structure), **changes)})

    @property
    def clicks(self) -> int:
        return sum(work.clicks for work in self.works.values())

    @property
    def approved(self) -> bool:
        """Whether a reviewer has approved the case as it is."""
        return bool(self.approved_when)

    def remark(self, structure: str) -> str:
        """What there is to say of a structure in the case, in a line: why it is as it is, else the last note that somebody wrote."""
        work = self.work(structure)
        absent = "accepted as absent" if work.absent and work.status == ACCEPTED else ""
        return self.note or work.doubt or absent or (str(self.notes[-1]["text"]) if self.notes else "")

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        return self.status in (TODO, IN_PROGRESS, NEEDS_REVIEW)


def to_json(record: Structure | Case) -> dict[str, Any]:
    """Plain JSON of a structure or case; fields at their defaults are left out.

    Example:
        >>> to_json(Structure("liver", axis="coronal"))
        {'name': 'liver', 'axis': 'coronal'}
    """
    return _without_defaults(record, asdict(record))


def structure_from_json(data: Any) -> Structure:
    """Inverse of ``to_json``; CohortError for missing or unknown fields."""
    return _build(Structure, data, "structure")


def case_from_json(data: Any) -> Case:
    """Inverse of ``to_json``; CohortError for missing, unknown or mistyped fields, for statuses unknown, and for an id that is no file's name."""
    data = dict(data) if isinstance(data, Mapping) else {}
    check_id(data.get("id"))
    check_fields(data, {"labels": list, "works": Mapping[str, Any], "notes": list[Mapping[str, str]]}, "cohort.json: a case")
    data["volume"] = source_from_json(data.get("volume"))
    data["labels"] = tuple(_build(Labels, entry, "label file of a case") for entry in data.get("labels", ()))
    data["works"] = {name: _work(entry) for name, entry in data.get("works", {}).items()}
    data["notes"] = tuple(data.get("notes", ()))
    case = _build(Case, data, "case")
    if case.status not in STATUSES:
        raise CohortError(f"Case {case.id} has the unknown status {case.status!r}; known are {', '.join(STATUSES)}.")
    return case


def source_from_json(data: Any) -> Source:
    """CohortError for missing, unknown or mistyped fields."""
    return _build(Source, data, "volume of a case")


def checked_settings(data: Any) -> dict[str, Any]:
    """A cohort's settings; CohortError where one is of another type."""
    settings = dict(data) if isinstance(data, Mapping) else {}
    check_fields(settings, _SETTINGS, "cohort.json: the settings")
    return settings


def check_id(case_id: Any) -> None:
    """CohortError unless a case's id, from which the names of its files are made, is a file's name and nothing but that."""
    if not isinstance(case_id, str) or _without_path(case_id) != case_id or len(case_id.encode("utf-8")) > 200:
        raise CohortError(
            f"{shown(case_id)} can't be the id of a case: results are stored under it, so it must be letters, digits, '-', '_' and '.'."
        )


def file_safe(name: str, taken: Iterable[str] = ()) -> str:
    """``name`` as a file name on every system, different (ignoring case) from all in ``taken``.

    Example:
        >>> file_safe("liver/CT 3"), file_safe("p1", taken=["P1"])
        ('liver_CT_3', 'p1_2')
    """
    safe = shortened(_without_path(unicodedata.normalize("NFC", name)))
    safe = f"{safe}_" if kept_by_windows(safe) else safe
    used = {other.lower() for other in taken}
    candidate, number = safe, 2
    while candidate.lower() in used:
        candidate, number = f"{safe}_{number}", number + 1
    return candidate


def _without_path(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "case"


def _work(data: Any) -> StructureProgress:
    data = dict(data) if isinstance(data, Mapping) else {}
    check_fields(data, {"predicted_with": list[str], "proposal": Mapping[str, Any]}, "cohort.json: a work on a structure")
    check_fields(data.get("proposal", {}), _PROPOSAL, "cohort.json: a proposal")
    data["predicted_with"] = tuple(data.get("predicted_with", ()))
    if "saved_dice" in data:  # as the first version called it
        data.setdefault("first_vs_accepted_dice", data.pop("saved_dice"))
    return _build(StructureProgress, data, "work on a structure")


def _build(kind: type[T], data: Any, what: str) -> T:
    if not isinstance(data, Mapping):
        raise CohortError(f"cohort.json: a {what} must be an object, got {data!r}.")
    unknown = set(data) - {f.name for f in fields(kind)}
    if unknown:
        raise CohortError(f"cohort.json: a {what} has the unknown field {sorted(unknown)[0]!r}.")
    hints = hints_of(kind)
    check_fields(data, hints, f"cohort.json: a {what}")
    try:
        return kind(**data)
    except TypeError as error:
        raise CohortError(f"cohort.json: a {what} is incomplete ({error}).") from error


def _without_defaults(record: Any, data: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for entry in fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, Mapping) and value and isinstance(next(iter(value.values())), StructureProgress):
            result[entry.name] = {name: _without_defaults(work, asdict(work)) for name, work in value.items()}
        elif isinstance(value, tuple) and value and isinstance(value[0], Labels):
            result[entry.name] = [_without_defaults(label, asdict(label)) for label in value]
        elif isinstance(value, Source):
            result[entry.name] = _without_defaults(value, asdict(value))
        elif value != _default(entry):
            result[entry.name] = list(value) if isinstance(value, tuple) else data[entry.name]
    return result


def _default(entry: Any) -> Any:
    from dataclasses import MISSING

    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return entry.default
