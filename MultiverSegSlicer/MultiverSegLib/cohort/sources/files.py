"""Cases from what lies on the disk: a folder of any nesting, DICOM series, a CSV. Sources are only read."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import CohortError
from ..store.cohort import relative_path
from ..store.records import Case, Labels, Source, file_safe

VOLUME_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd")
_SEQUENCE_SUFFIXES = (".seq.nrrd", ".seq.nhdr")
_LABEL_FOLDERS = {"label", "labels", "labelstr", "labelsts", "mask", "masks", "seg", "segs", "segmentation", "segmentations", "annotations"}
_IMAGE_FOLDERS = {"image", "images", "imagestr", "imagests", "volume", "volumes", "scans", "img"}
_LABEL_ENDING = re.compile(r"^(?P<case>.+?)[-_. ](?:seg|segmentation|label|labels|mask|gt)$", re.IGNORECASE)
_CHANNEL_ENDING = re.compile(r"_0000$")
_VOLUME_COLUMNS = ("volume", "image", "path", "file", "filename")
_LABEL_COLUMNS = ("segmentation", "label", "labels", "mask")
_NOT_IMAGES = {"SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG"}


@dataclass(frozen=True)
class NameRule:
    """How a label file is found for a volume: ``pattern`` is a file name with ``{case}`` for the volume's stem, e.g. "{case}_liver".

    Without a pattern the usual ways count: the same name in a folder called labels, labelsTr, masks, segmentations ...; or beside the volume
    with _seg, -label, _mask, _gt or .seg.nrrd appended.
    """

    pattern: str = ""

    def __post_init__(self) -> None:
        if self.pattern and "{case}" not in self.pattern:
            raise CohortError(f"The rule for label files must contain {{case}}, got {self.pattern!r}.")

    def label_of(self, path: Path) -> str | None:
        """The stem of the volume that ``path`` is a label file of, or None where it is no label file."""
        stem, suffix = split_name(path)
        if self.pattern:
            before, _, behind = self.pattern.partition("{case}")
            match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(behind)}", stem)
            return match.group(1) if match else None
        ending = _LABEL_ENDING.match(stem)
        if ending:
            return ending.group("case")
        in_label_folder = bool({p.lower() for p in path.parent.parts[-2:]} & _LABEL_FOLDERS)
        return stem if suffix == ".seg.nrrd" or in_label_folder else None


def split_name(path: Path) -> tuple[str, str]:
    """Stem and volume suffix ("" where it is none): ``ct.nii.gz`` -> ("ct", ".nii.gz")."""
    for suffix in VOLUME_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)], path.name[-len(suffix) :].lower()
    return path.stem, ""


def cases_from_folder(
    folder: Path | str, cohort_folder: Path | str, structures: Sequence[str], rule: NameRule | None = None, value: int | str | None = None
) -> list[Case]:
    """Every volume and DICOM series below ``folder``, in path order, with its existing labels where the rule finds any.

    Args:
        structures: whose labels the files are: one label file serves all of them, by value 1, 2, 3 ... or, in a .seg.nrrd, by segment name.
        value: the label value (or segment name) of a single structure; None takes every non-zero voxel of it.

    Raises:
        CohortError: no such folder, or no volume in it.
    """
    folder, rule = Path(folder).absolute(), rule or NameRule()
    if not folder.is_dir():
        raise CohortError(f"There is no folder {folder}.")
    volumes, labels, others = _sorted_files(folder, Path(cohort_folder).absolute(), rule)
    cases: list[Case] = []
    stems = Counter(_stem(path) for path in volumes)
    for path in volumes:
        files = _labels_for(path, folder, labels, alone=stems[_stem(path)] == 1)
        cases.append(_case(path, folder, cohort_folder, cases, _label_records(files, cohort_folder, structures, value)))
    for series, files in _dicom_series(others).items():
        name = "_".join(files[0].parent.relative_to(folder).parts) or series[-12:]
        identity = file_safe(name, (c.id for c in cases))
        source = Source("dicom", relative_path(files[0].parent, cohort_folder), series=series)
        cases.append(Case(identity, source, name, _label_records(labels.get(name, []), cohort_folder, structures, value)))
    if not cases:
        raise CohortError(f"No volumes (NRRD, NIfTI, MetaImage, DICOM) were found below {folder}.")
    return cases


def cases_from_csv(path: Path | str, cohort_folder: Path | str, structures: Sequence[str], value: int | str | None = None) -> list[Case]:
    """A case per row: a column "volume" (or image, path, file), perhaps "segmentation" (or label, mask) and "case" (or id, name).

    All further columns are kept with the case. Paths are relative to the CSV's folder.

    Raises:
        CohortError: no such file, no volume column, or a named file is missing (with its line).
    """
    path = Path(path).absolute()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(f"Can't read {path}: {error}.") from error
    rows = list(csv.DictReader(text.splitlines(), delimiter=_delimiter(text)))
    names = list(rows[0]) if rows else []
    volume_column = _column(names, _VOLUME_COLUMNS)
    if volume_column is None:
        raise CohortError(f"{path} needs a column 'volume' and at least one row.")
    label_column, id_column = _column(names, _LABEL_COLUMNS), _column(names, ("case", "id", "name"))
    cases: list[Case] = []
    for number, row in enumerate(rows, start=2):
        volume = _existing(path, row[volume_column], number)
        label = (row.get(label_column) or "").strip() if label_column else ""
        files = [_existing(path, label, number)] if label else []
        kept = {k: v or "" for k, v in row.items() if k not in (None, volume_column, label_column)}
        name = (row.get(id_column) or "").strip() if id_column else ""
        cases.append(_case(volume, path.parent, cohort_folder, cases, _label_records(files, cohort_folder, structures, value), name, kept))
    return cases


def labels_from_folder(
    folder: Path | str, cases: Iterable[Case], cohort_folder: Path | str, structures: Sequence[str], value: int | str | None = None
) -> dict[str, tuple[Labels, ...]]:
    """Label files in a folder of masks for the cases they are named after (the case's id or name, with or without _seg and the like).

    Raises:
        CohortError: no such folder, or no file in it belongs to a case.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise CohortError(f"There is no folder {folder}.")
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in _files(folder, Path(cohort_folder).absolute() / "nothing to skip"):
        stem, suffix = split_name(path)
        if suffix:
            ending = _LABEL_ENDING.match(stem)
            by_stem[ending.group("case") if ending else stem].append(path)
    found = {}
    for case in cases:
        stems = {case.id, case.name, split_name(Path(case.volume.path))[0]}
        files = [file for stem in stems for file in by_stem.get(_CHANNEL_ENDING.sub("", stem), by_stem.get(stem, []))]
        if files:
            found[case.id] = _label_records(sorted(set(files)), cohort_folder, structures, value)
    if not found:
        raise CohortError(f"No label file below {folder} is named after a case of the cohort.")
    return found


def _sorted_files(folder: Path, skip: Path, rule: NameRule) -> tuple[list[Path], dict[str, list[Path]], list[Path]]:
    """Volumes, label files by the stem of their volume, and everything that may be DICOM."""
    volumes, labels, others = [], defaultdict(list), []
    for path in _files(folder, skip):
        suffix = split_name(path)[1]
        if not suffix:
            if path.suffix.lower() in ("", ".dcm", ".ima"):
                others.append(path)
            continue
        stem = rule.label_of(path)
        if stem is None:
            volumes.append(path)
        else:
            labels[stem].append(path)
    return volumes, labels, others


def _files(folder: Path, skip: Path) -> Iterator[Path]:
    """All files below ``folder``, sorted; without hidden ones and what a cohort in ``skip`` has written itself."""
    own = {skip / name for name in ("segmentations", "prompts", "proposals", "context")}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and not own & set(path.parents):
            yield path


def _stem(volume: Path) -> str:
    """The name that label files share: without suffix and without nnU-Net's channel number."""
    return _CHANNEL_ENDING.sub("", split_name(volume)[0])


def _labels_for(volume: Path, root: Path, labels: dict[str, list[Path]], alone: bool) -> list[Path]:
    """The label files of a volume: of the same stem and in the same place; anywhere if both the file and the volume's stem are ``alone``."""
    stem = _stem(volume)
    found = labels.get(stem, []) or labels.get(split_name(volume)[0], [])
    place = _without_role(volume.parent.relative_to(root))
    same = [f for f in found if _without_role(f.parent.relative_to(root)) == place]
    return same or (found if alone and len(found) == 1 else [])


def _without_role(folder: Path) -> tuple[str, ...]:
    return tuple(part for part in folder.parts if part.lower() not in _LABEL_FOLDERS | _IMAGE_FOLDERS)


def _label_records(
    files: Iterable[Path], cohort_folder: Path | str, structures: Sequence[str], value: int | str | None
) -> tuple[Labels, ...]:
    """One file for several structures: by value in their order, by name in a .seg.nrrd. Several files: those with the structure's name in theirs."""
    files, records = list(files), []
    for number, structure in enumerate(structures, start=1):
        own = [f for f in files if file_safe(structure).lower() in f.name.lower()] if len(files) > 1 else []
        for file in own or files[:1]:
            wanted = value if len(structures) == 1 else (structure if split_name(file)[1] == ".seg.nrrd" else number)
            records.append(Labels(structure, relative_path(file, cohort_folder), None if own and len(structures) > 1 else wanted))
    return tuple(records)


def _case(
    path: Path,
    root: Path,
    cohort_folder: Path | str,
    others: Iterable[Case],
    labels: tuple[Labels, ...],
    name: str = "",
    columns: dict[str, str] | None = None,
) -> Case:
    sequence = path.name.lower().endswith(_SEQUENCE_SUFFIXES)
    kind = "dicom" if path.is_dir() else "sequence" if sequence else "file"
    stem = path.name if path.is_dir() else split_name(path)[0]
    taken = {c.id.lower() for c in others}
    base = name or stem
    if file_safe(base).lower() in taken and not name and path.parent != root:
        base = f"{path.parent.name}_{stem}"
    identity = file_safe(base, taken)
    return Case(identity, Source(kind, relative_path(path, cohort_folder), 0 if sequence else None), base, labels, columns or {})


def _dicom_series(files: list[Path]) -> dict[str, list[Path]]:
    """Image series by their instance UID, in the order of their first file. Needs pydicom only where a file may be DICOM."""
    series: dict[str, list[Path]] = {}
    candidates = [f for f in files if _looks_like_dicom(f)]
    if not candidates:
        return series
    import pydicom

    for path in candidates:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "Modality"])
        except (pydicom.errors.InvalidDicomError, OSError, ValueError):
            continue
        if "SeriesInstanceUID" in header and header.get("Modality") not in _NOT_IMAGES:
            series.setdefault(str(header.SeriesInstanceUID), []).append(path)
    return series


def _looks_like_dicom(path: Path) -> bool:
    try:
        with open(path, "rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _delimiter(text: str) -> str:
    first = text.splitlines()[0] if text.strip() else ""
    return max(",;\t", key=first.count)


def _column(names: list[str], wanted: tuple[str, ...]) -> str | None:
    by_lower = {n.strip().lower(): n for n in names if n}
    return next((by_lower[w] for w in wanted if w in by_lower), None)


def _existing(csv_path: Path, value: str | None, line: int) -> Path:
    path = csv_path.parent / (value or "").strip()
    if not (value or "").strip() or not path.exists():
        raise CohortError(f"{csv_path}, line {line}: there is no file {value!r} (paths are relative to the CSV's folder).")
    return path.absolute()
