"""Cases from a table (CSV), as spreadsheets of any language and system write it."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...core.errors import CohortError
from ...core.notices import notice
from ...mrml import dicom, paths
from ..store.records import Case
from .files import case_of, label_records

_VOLUME_COLUMNS = ("volume", "image", "path", "file", "filename")
_LABEL_COLUMNS = ("segmentation", "label", "labels", "mask")
_ID_COLUMNS = ("case", "id", "name")
_DELIMITERS = ",;\t"


def cases_from_csv(path: Path | str, cohort_folder: Path | str, structures: Sequence[str], value: int | str | None = None) -> list[Case]:
    """A case per row: a column "volume" (or image, path, file), optionally "segmentation" (or label, mask) and "case" (or id, name).

    All further columns are kept with the case. Paths are relative to the CSV's folder. A row whose files can't be used is left out with a notice.

    Raises:
        CohortError: no such file, no volume column, or no row that can be used (with the first one's reason).
    """
    path = paths.existing_file(path, CohortError, "table")
    names, rows = _rows(path)
    volume_column, label_column, id_column = (_column(names, wanted) for wanted in (_VOLUME_COLUMNS, _LABEL_COLUMNS, _ID_COLUMNS))
    if volume_column is None or not rows:
        raise CohortError(f"{path} needs a column 'volume' and at least one row.")
    cases: list[Case] = []
    left_out: list[str] = []
    for line, row in rows:
        try:
            volume = _existing(path, row[volume_column], line)
            label = row[label_column].strip() if label_column else ""
            files = [_existing(path, label, line, labels=True)] if label else []
        except CohortError as error:
            left_out.append(str(error))
            continue
        kept = {name: cell for name, cell in row.items() if name and name not in (volume_column, label_column)}
        labels = label_records(files, cohort_folder, structures, value)
        cases.append(case_of(volume, path.parent, cohort_folder, cases, labels, row[id_column].strip() if id_column else "", kept))
    if not cases:
        raise CohortError(left_out[0])
    for reason in left_out:
        notice(f"Left out: {reason}")
    return cases


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The column names, and (line, cells by column) of every row that is not empty."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    delimiter = None
    if first.strip().lower().startswith("sep=") and len(first.strip()) <= 5:  # Excel's hint, which it believes itself
        delimiter, text = first.strip()[4:] or "\t", "\n" + rest
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text))
    lines = _read(reader, path)
    _, names = next(lines, (0, []))
    names = [name.strip() for name in names]
    rows = []
    for line, cells in lines:
        if any(cell.strip() for cell in cells[len(names) :]):
            notice(f"{path}, line {line}: there are more cells than columns; the last {len(cells) - len(names)} are left out.")
        cells += [""] * (len(names) - len(cells))
        rows.append((line, dict(zip(names, cells, strict=False))))
    return names, rows


def _read(reader, path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise CohortError(f"{path}, line {reader.line_num}: this is no CSV ({error}).") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CohortError(f"Can't read {path}: {error.strerror or error}.") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:200]:
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le", "replace").lstrip("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        notice(f"{path} is not UTF-8; it is read as Windows-1252, which Excel writes in Western Europe and America.")
        return content.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The one that occurs most often in the first line that is not empty, outside of quotes."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    bare = "".join(first.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


def _column(names: list[str], wanted: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in names if name}
    return next((by_lower[w] for w in wanted if w in by_lower), None)


def _existing(table: Path, value: str, line: int, labels: bool = False) -> Path:
    value = value.strip()
    places = [table.parent / value, table.parent / value.replace("\\", "/")] if value else []
    found = next((place for place in places if os.path.exists(place)), None)
    if found is None:
        raise CohortError(f"{table}, line {line}: there is no file {value!r} (paths are relative to the CSV's folder).")
    try:
        if labels:
            return paths.existing_file(found, CohortError, "segmentation")
        found = paths.existing(found, CohortError, "volume")
    except CohortError as error:
        raise CohortError(f"{table}, line {line}: {error}") from error
    if found.is_dir() and not any(dicom.is_dicom(file) for file in paths.files_below(found)):
        raise CohortError(f"{table}, line {line}: the folder {value} holds no DICOM images.")
    return found
