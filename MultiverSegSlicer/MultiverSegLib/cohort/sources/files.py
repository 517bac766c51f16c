"""Cases from what lies on the disk: a folder of any nesting, DICOM series. Sources are only read."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import CohortError
from ...core.notices import notice
from ...mrml import dicom, paths
from ...mrml.label_files import listed
from ..store.cohort import relative_path
from ..store.records import Case, Labels, Source, file_safe

VOLUME_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd")
_SEQUENCE_SUFFIXES = (".seq.nrrd", ".seq.nhdr")
_LABEL_FOLDERS = {"label", "labels", "labelstr", "labelsts", "mask", "masks", "seg", "segs", "segmentation", "segmentations", "annotations"}
_IMAGE_FOLDERS = {"image", "images", "imagestr", "imagests", "volume", "volumes", "scans", "img"}
_LABEL_ENDING = re.compile(r"^(?P<case>.+?)[-_. ](?:seg|dseg|segmentation|label|labels|mask|gt)$", re.IGNORECASE)
_CHANNEL_ENDING = re.compile(r"_0000$")


@dataclass(frozen=True)
class NameRule:
    """How a label file is found for a volume: ``pattern`` is a file name with ``{case}`` for the volume's stem, e.g. "{case}_liver".

    Without a pattern the usual ways count: the same name in a folder called labels, labelsTr, masks, segmentations ...; or beside the volume
    with _seg, -label, _mask, _gt, _dseg (BIDS) or .seg.nrrd appended; or, of the only volume in its place, a file called like the structure in
    such a folder (TotalSegmentator).
    """

    pattern: str = ""

    def __post_init__(self) -> None:
        if self.pattern and "{case}" not in self.pattern:
            raise CohortError(f"The rule for label files must contain {{case}}, got {self.pattern!r}.")

    def label_of(self, path: Path) -> str | None:
        """The stem of the volume that ``path`` is a label file of, or None where it is no label file.

        Args:
            path: relative to the folder that is looked through, so that its own name means nothing.
        """
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

    Notices tell what was left out: names that are not UTF-8, links that lead nowhere, label files that belong to no volume or to several.

    Args:
        structures: whose labels the files are: one label file serves all of them, by value 1, 2, 3 ... or, in a .seg.nrrd, by segment name.
        value: the label value (or segment name) of a single structure; None: the segment of its name, else the only one.

    Raises:
        CohortError: no such folder, or no volume in it.
    """
    folder = existing_folder(folder)
    found = _Found.below(folder, Path(os.path.abspath(cohort_folder)), rule or NameRule())
    series = _dicom_series(found.others)
    cases: list[Case] = []
    for path in found.volumes:
        labels = found.labels_for(path)
        records = label_records(labels, cohort_folder, structures, value)
        cases.append(case_of(path, folder, cohort_folder, cases, records or found.named_records(path, structures, cohort_folder)))
    parents = {uid: Path(os.path.commonpath([file.parent for file in files])) for uid, files in series.items()}
    shared = Counter(parents.values())
    for uid, parent in parents.items():
        name = "_".join(parent.relative_to(folder).parts) or uid[-12:]
        files = found.take(name)
        if files and shared[parent] > 1:
            notice(
                f"{parent} holds {shared[parent]} DICOM series: {listed(f.name for f in files)} is given to none of them. Use a table (CSV)."
            )
            files = []
        source = Source("dicom", relative_path(parent, cohort_folder), series=uid)
        records = label_records(files, cohort_folder, structures, value)
        if shared[parent] == 1:
            records = records or found.named_records(parent / "series", structures, cohort_folder, parent)
        cases.append(Case(file_safe(name, (c.id for c in cases)), source, name, records))
    if not cases:
        raise CohortError(f"No volumes (NRRD, NIfTI, MetaImage, DICOM) were found below {folder}.")
    if found.unused:
        names = listed(path.relative_to(folder) for path in sorted(found.unused))
        notice(f"{len(found.unused)} label files below {folder} belong to no volume: {names}.")
    return cases


def existing_folder(folder: Path | str) -> Path:
    """The absolute path of a folder that can be read.

    Raises:
        CohortError: there is none.
    """
    if not os.path.isdir(folder):
        raise CohortError(f"There is no folder {paths.shown(folder)}.")
    return paths.existing(folder, CohortError, "volumes")


def labels_from_folder(
    folder: Path | str, cases: Iterable[Case], cohort_folder: Path | str, structures: Sequence[str], value: int | str | None = None
) -> dict[str, tuple[Labels, ...]]:
    """Label files in a folder of masks for the cases they are named after (the case's id or name, with or without _seg and the like).

    Raises:
        CohortError: no such folder, or no file in it belongs to a case.
    """
    folder = existing_folder(folder)
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
            found[case.id] = label_records(sorted(set(files)), cohort_folder, structures, value)
    if not found:
        raise CohortError(f"No label file below {folder} is named after a case of the cohort.")
    return found


@dataclass
class _Found:
    """What lies below ``root``: volumes, label files by the stem of their volume, and everything that may be DICOM."""

    root: Path
    volumes: list[Path] = field(default_factory=list)
    labels: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    others: list[Path] = field(default_factory=list)
    unused: set[Path] = field(default_factory=set)
    stems: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @staticmethod
    def below(root: Path, skip: Path, rule: NameRule) -> _Found:
        found = _Found(root)
        for path in _files(root, skip):
            if not split_name(path)[1]:
                if path.suffix.lower() in ("", ".dcm", ".ima") or path.suffix[1:].isdecimal():
                    found.others.append(path)
                continue
            stem = rule.label_of(path.relative_to(root))
            if stem is None:
                found.volumes.append(path)
            else:
                found.labels[stem].append(path)
                found.unused.add(path)
        found.stems = Counter(_stem(path) for path in found.volumes)
        found.places = Counter(found.place(path.parent) for path in found.volumes)
        return found

    def place(self, folder: Path) -> tuple[str, ...]:
        """Where a file belongs, whatever role its folder's name gives it: images/a and labels/a are one place."""
        return tuple(part for part in folder.relative_to(self.root).parts if part.lower() not in _LABEL_FOLDERS | _IMAGE_FOLDERS)

    def take(self, stem: str) -> list[Path]:
        """The label files of a stem; they have found their volume."""
        files = self.labels.get(stem, [])
        self.unused -= set(files)
        return files

    def labels_for(self, volume: Path) -> list[Path]:
        """The label files of a volume: of the same stem and in the same place; anywhere if both the file and the volume's stem are alone.

        Else, in the same place, those whose stem is the beginning of this volume's name alone (BIDS: sub-01_dseg beside sub-01_T1w).
        """
        stem, place = _stem(volume), self.place(volume.parent)
        found = self.labels.get(stem, []) or self.labels.get(split_name(volume)[0], [])
        same = [f for f in found if self.place(f.parent) == place]
        chosen = same or (found if self.stems[stem] == 1 and len(found) == 1 else [])
        if not chosen:
            for start in (start for start in self.labels if stem.startswith(f"{start}_") and start not in self.stems):
                rivals = [v for v in self.volumes if self.place(v.parent) == place and _stem(v).startswith(f"{start}_")]
                files = [f for f in self.labels[start] if self.place(f.parent) == place]
                if len(rivals) == 1:
                    chosen += files
        self.unused -= set(chosen)
        return chosen

    def named_records(
        self, volume: Path, structures: Sequence[str], cohort_folder: Path | str, place: Path | None = None
    ) -> tuple[Labels, ...]:
        """Label files called like the structures, in a label folder beside the only volume of its place."""
        here = self.place(place or volume.parent)
        if self.places[here] > (1 if place is None else 0):
            return ()
        records = []
        for structure in structures:
            keys = {file_safe(structure).lower(), structure.lower()}
            files = [f for s, fs in self.labels.items() if s.lower() in keys for f in fs if self.place(f.parent) == here]
            if len(files) == 1:
                self.unused -= set(files)
                records.append(Labels(structure, relative_path(files[0], cohort_folder), None))
        return tuple(records)


def _files(folder: Path, skip: Path) -> Iterator[Path]:
    """All files below ``folder``, sorted; without hidden ones and what a cohort in ``skip`` has written itself."""
    own = {skip / name for name in ("segmentations", "prompts", "proposals", "context")}
    for path in paths.files_below(folder):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not own & set(path.parents):
            yield path


def _stem(volume: Path) -> str:
    """The name that label files share: without suffix and without nnU-Net's channel number."""
    return _CHANNEL_ENDING.sub("", split_name(volume)[0])


def label_records(
    files: Iterable[Path], cohort_folder: Path | str, structures: Sequence[str], value: int | str | None
) -> tuple[Labels, ...]:
    """One file for several structures: by value in their order, by name in a .seg.nrrd. Several files: those with the structure's name in theirs."""
    files, records = list(files), []
    for number, structure in enumerate(structures, start=1):
        if len(files) > 1:
            file = _own_file(files, structure)
            if file is not None:
                records.append(Labels(structure, relative_path(file, cohort_folder), value if len(structures) == 1 else None))
            continue
        for file in files:
            by_name = split_name(file)[1] in (".seg.nrrd", "")  # what is no volume is a DICOM SEG
            wanted = value if len(structures) == 1 else (structure if by_name else number)
            records.append(Labels(structure, relative_path(file, cohort_folder), wanted))
    return tuple(records)


def _own_file(files: list[Path], structure: str) -> Path | None:
    """The file of several that is a structure's: its name ends with the structure's, or alone has it somewhere; None with a notice."""
    name = file_safe(structure).lower()
    holding = [f for f in files if name in f.name.lower() or name == f.parent.name.lower()]
    ending = [f for f in holding if re.search(rf"(^|[-_. ]){re.escape(name)}$", _without_label_ending(f).lower())]
    chosen = ending if len(ending) == 1 else holding
    if len(chosen) == 1:
        return chosen[0]
    few = "none has" if not chosen else "several have"
    notice(f"{listed(sorted(f.name for f in files))}: {few} the name of the structure {structure}, so none is taken for it.")
    return None


def _without_label_ending(path: Path) -> str:
    stem = split_name(path)[0]
    ending = _LABEL_ENDING.match(stem)
    return ending.group("case") if ending else stem


def case_of(
    path: Path,
    root: Path,
    cohort_folder: Path | str,
    others: Iterable[Case],
    labels: tuple[Labels, ...],
    name: str = "",
    columns: Mapping[str, str] | None = None,
) -> Case:
    """The case of one volume, with an id that none of the ``others`` has."""
    sequence = path.name.lower().endswith(_SEQUENCE_SUFFIXES)
    kind = "dicom" if path.is_dir() else "sequence" if sequence else "file"
    stem = path.name if path.is_dir() else split_name(path)[0]
    taken = {c.id.lower() for c in others}
    base = name or stem
    if file_safe(base).lower() in taken and not name and path.parent != root:
        base = f"{path.parent.name}_{stem}"
    identity = file_safe(base, taken)
    return Case(identity, Source(kind, relative_path(path, cohort_folder), 0 if sequence else None), base, labels, columns or {})


def _dicom_series(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Image series by their instance UID, in the order of their first file. Needs pydicom only where a file may be DICOM."""
    series: dict[str, list[Path]] = {}
    for path in files:
        header = dicom.read_header(path) if dicom.is_dicom(path) else None
        if header is not None and "SeriesInstanceUID" in header and str(header.get("Modality", "")) not in dicom.NOT_IMAGES:
            series.setdefault(str(header.SeriesInstanceUID), []).append(path)
    return series
