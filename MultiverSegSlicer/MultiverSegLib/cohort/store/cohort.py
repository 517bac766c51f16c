"""The cohort in its folder: opened, changed by events, saved after each. The same files for Slicer and for the command line.

    cohort.json                     what there is and what was done (a snapshot of the journal)
    journal.jsonl                   every event
    cohort.lock                     who has it open for writing
    segmentations/<case>.seg.nrrd   results, one segment a structure
    prompts/<case>.<structure>.mrk.json
    proposals/<case>.seg.nrrd       predictions that nobody accepted yet
    context/<structure>/            the accepted examples

Sources are read, never written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from textwrap import indent
from typing import Any

from ...core.errors import CohortError
from ...core.files import remove_leftovers
from ...core.names import structure_folder
from .checking import check_fields
from .events import check_event
from .files import read_json, write_atomically
from .journal import Event, Journal
from .lock import CohortLock, Holder, login_name
from .records import Case, Structure, case_from_json, checked_settings, file_safe, structure_from_json, to_json
from .reducer import State, after

VERSION = 1
DEFAULTS: dict[str, Any] = {
    "model": "compact",
    "strategy": "most_similar",
    "cap": 16,
    "order": "file order",
    "idle_after_s": 60.0,
    "refresh_after": 4,
    "names": True,
}
_FOLDERS = ("segmentations", "prompts", "proposals", "context")
_NOT_SAVED_AT_ONCE = ("prompt", "edited", "predicted", "command", "active", "proposed", "noticed")


class Cohort:
    """An open cohort. Use ``create`` or ``open``; close it (or use ``with``) to give the lock back.

    ``state`` is immutable; every change goes through ``record``, which appends to the journal first. Where somebody else holds the
    cohort it is ``read_only`` and ``holder`` says who.
    """

    def __init__(self, folder: Path, state: State, journal: Journal, lock: CohortLock | None, holder: Holder | None) -> None:
        self.folder = folder
        self.state = state
        self.journal = journal
        self.holder = holder
        self._lock = lock
        self._texts: dict[str, tuple[Case, str]] = {}
        self._context_folders: dict[str, Path] = {}
        self.reconciled = False  # the contexts with the journal, see ``contexts.Contexts``

    @classmethod
    def create(
        cls,
        folder: Path | str,
        cases: Iterable[Case],
        structures: Iterable[Structure],
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        who: str = "",
    ) -> Cohort:
        """Begins a cohort in ``folder``.

        Raises:
            CohortError: there is one already, no case or structure is given, or a folder that results would go to is in use.
        """
        folder, cases, structures = Path(folder).absolute(), list(cases), list(structures)
        _check_new(folder, cases, structures)
        who = (who or login_name()) if (settings or {}).get("names", DEFAULTS["names"]) else ""
        lock = CohortLock(folder / "cohort.lock", who)
        holder = lock.acquire()
        if holder is not None:
            raise CohortError(f"{folder} is being set up by {holder}.")
        cohort = cls(folder, State(), _journal(folder, who), lock, None)
        try:
            cohort.record(
                "created",
                name=name or folder.name,
                settings={**DEFAULTS, **(settings or {})},
                structures=[to_json(s) for s in structures],
                cases=[to_json(c) for c in cases],
            )
        except BaseException:
            cohort._give_up_creating()
            raise
        return cohort

    @classmethod
    def open(cls, folder: Path | str, who: str = "", read_only: bool = False, wait: float = 0.0) -> Cohort:
        """Opens the cohort in ``folder`` (or the folder of a given cohort.json); read-only if someone else holds it.

        Args:
            wait: seconds to wait for somebody else to give it back.

        Raises:
            CohortError: no cohort there, damaged, or of a newer version.
        """
        folder = Path(folder).absolute()
        folder = folder.parent if folder.name == "cohort.json" else folder
        if not (folder / "cohort.json").is_file() and not (folder / "journal.jsonl").is_file():
            raise CohortError(f"There is no cohort in {folder}: begin one with `multiverseg cohort init`.")
        lock, holder = None, None
        if not read_only:
            lock = CohortLock(folder / "cohort.lock")  # nobody's name before it is known whether names are wanted
            holder = lock.acquire(wait)
            lock = None if holder else lock
        try:
            journal = _journal(folder, "")
            cohort = cls(folder, _load(folder, journal), journal, lock, holder)
            if cohort.setting("names"):
                journal.who = who or login_name()
            if lock:
                if journal.who:
                    lock.sign(journal.who)
                for place in (folder, *(folder / name for name in _FOLDERS), *(folder / "context").glob("*/")):
                    if not place.is_symlink():  # what others write in a folder of theirs is not ours to delete
                        remove_leftovers(place)
        except BaseException:
            if lock:
                lock.release()
            raise
        return cohort

    @property
    def read_only(self) -> bool:
        return self._lock is None

    @property
    def cases(self) -> list[Case]:
        """The cases in file order."""
        return list(self.state.cases.values())

    @property
    def structures(self) -> list[Structure]:
        return list(self.state.structures.values())

    def case(self, case_id: str) -> Case:
        return self.state.case(case_id)

    def structure(self, name: str = "") -> Structure:
        """The named structure; the first one without a name."""
        return self.state.structure(name or next(iter(self.state.structures)))

    def setting(self, name: str) -> Any:
        return self.state.settings.get(name, DEFAULTS.get(name))

    def record(self, kind: str, /, **fields: Any) -> Event:
        """Makes something happen: checks that it can, appends it to the journal, changes ``state``, saves the snapshot.

        Raises:
            CohortError: read-only, taken over by someone else, an unknown case or structure, or the disk refuses.
        """
        self.check_writable()
        after(self.state, {"seq": 0, "time": "", "who": "", "event": kind, **fields})
        event = self.journal.append(kind, **fields)
        self.state = after(self.state, event)
        if kind not in _NOT_SAVED_AT_ONCE:
            self.save()
        return event

    def check_writable(self) -> None:
        """CohortError if changes can't be stored, saying who holds the cohort."""
        if self._lock is None:
            by = f"held by {self.holder}" if self.holder else "opened for reading only"
            hint = f" (if nobody works on it any more, delete {self.folder / 'cohort.lock'})" if self.holder else ""
            raise CohortError(f"The cohort {self.folder} is {by}: nothing can be changed in it{hint}.")
        if not self._lock.held:
            raise CohortError(f"The cohort {self.folder} was taken over by {self._lock.holder()}: close it and open it again.")

    def add_cases(self, cases: Iterable[Case]) -> None:
        """Appends cases.

        Raises:
            CohortError: an id is taken.
        """
        cases = list(cases)
        for case in cases:
            if case.id in self.state.cases:
                raise CohortError(f"The cohort has a case {case.id!r} already.")
        self.record("cases", cases=[to_json(case) for case in cases])

    def save(self) -> None:
        """Writes cohort.json (each ``record`` of more than a stroke does it already)."""
        write_atomically(self.folder / "cohort.json", self._text())

    def refresh(self) -> bool:
        """Reads what the holder has added meanwhile (read-only cohorts); whether there was anything."""
        before = self.state.seq
        self.state = _load(self.folder, self.journal) if self.read_only else self.state
        return self.state.seq != before

    def close(self) -> None:
        """Saves and gives the lock back. A second call does nothing."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if lock.held:
                self.save()
        finally:
            lock.release()

    def __enter__(self) -> Cohort:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resolve(self, path: str) -> Path:
        """The place of a stored path; a path with a drive's letter stays as it is, so that a message names what was stored."""
        if os.name != "nt" and PureWindowsPath(path).drive:
            return Path(path)
        return Path(os.path.normpath(self.folder / path))

    def segmentation_path(self, case_id: str) -> Path:
        return self.folder / "segmentations" / f"{case_id}.seg.nrrd"

    def prompts_path(self, case_id: str, structure: str) -> Path:
        return self.folder / "prompts" / f"{case_id}.{self._file_name(structure)}.mrk.json"

    def proposal_path(self, case_id: str, structure: str) -> Path:
        return self.folder / "proposals" / f"{case_id}.{self._file_name(structure)}.seg.nrrd"

    def context_folder(self, structure: str) -> Path:
        """The folder of a structure's context; no two structures share one, not even where case does not count."""
        self.state.structure(structure)
        for name in self.state.structures:
            if name not in self._context_folders:
                taken = [place.name for place in self._context_folders.values()]
                self._context_folders[name] = structure_folder(self.folder / "context", name, taken)
        return self._context_folders[structure]

    def _give_up_creating(self) -> None:
        """Leaves nothing behind that would say that there is a cohort."""
        try:
            (self.folder / "cohort.json").unlink(missing_ok=True)
            self.journal.path.unlink(missing_ok=True)
        finally:
            if self._lock is not None:
                self._lock.release()
            self._lock = None

    def _text(self) -> str:
        """``snapshot`` as JSON. A case is turned into text once, not at every change of another: cases are never changed in place."""
        for case in self.cases:
            if case is not self._texts.get(case.id, (None,))[0]:
                self._texts[case.id] = case, indent(_dumped(to_json(case)), "  ")
        head = _dumped({**snapshot(replace(self.state, cases={})), "cases": [0]})
        return head.replace("\n  0\n", "\n" + ",\n".join(self._texts[case.id][1] for case in self.cases) + "\n") + "\n"

    def _file_name(self, structure: str) -> str:
        names: dict[str, str] = {}
        for name in self.state.structures:
            names[name] = file_safe(name, names.values())
        self.state.structure(structure)
        return names[structure]


def relative_path(path: Path | str, folder: Path | str) -> str:
    """``path`` as stored in a cohort in ``folder``: relative with forward slashes, absolute only on another drive.

    Example:
        >>> relative_path("/data/scans/p1.nrrd", "/data/study")
        '../scans/p1.nrrd'
    """
    path = Path(path).absolute()
    try:
        return Path(os.path.relpath(path, Path(folder).absolute())).as_posix()
    except ValueError:
        return path.as_posix()


def _dumped(data: Any) -> str:
    """NaN is refused because other programs can't read it."""
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)


def snapshot(state: State) -> dict[str, Any]:
    """cohort.json's content (Resources/Schemas/cohort.schema.json)."""
    return {
        "version": VERSION,
        "name": state.name,
        "seq": state.seq,
        "settings": dict(state.settings),
        "structures": [to_json(s) for s in state.structures.values()],
        "cases": [to_json(c) for c in state.cases.values()],
    }


def _journal(folder: Path, who: str) -> Journal:
    return Journal(folder / "journal.jsonl", who, check=check_event)


def _load(folder: Path, journal: Journal) -> State:
    state = State()
    if (folder / "cohort.json").is_file():
        state = _from_snapshot(read_json(folder / "cohort.json"), folder / "cohort.json")
    begun = state.seq
    for event in journal.events(after=begun):
        state = after(state, event)
    if len(journal) < begun:
        raise CohortError(f"{journal.path} ends at event {len(journal)}, but cohort.json knows {begun}: restore the journal from a copy.")
    return state


def _from_snapshot(data: Any, path: Path) -> State:
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        raise CohortError(f"{path} is not a cohort of MultiverSeg.")
    if isinstance(data["version"], bool) or data["version"] > VERSION:
        raise CohortError(f"{path} was written by a newer version (format {data['version']}, known {VERSION}): update the extension.")
    try:
        structures = [structure_from_json(s) for s in data["structures"]]
        cases = [case_from_json(c) for c in data["cases"]]
        check_fields(data, {"name": str, "seq": int, "settings": Mapping[str, Any]}, "cohort.json")
        state = State(data["name"], data["seq"], checked_settings(data["settings"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CohortError(f"{path} is damaged ({error!r}): restore it from a copy.") from error
    except CohortError as error:
        raise CohortError(f"{path} is damaged: {str(error).removeprefix('cohort.json: ')} Restore it from a copy.") from error
    return replace(state, structures={s.name: s for s in structures}, cases={c.id: c for c in cases})


def _check_new(folder: Path, cases: list[Case], structures: list[Structure]) -> None:
    journal = _journal(folder, "")
    if (folder / "cohort.json").exists() or journal.path.is_symlink() or journal.foreign or len(journal):
        raise CohortError(f"There is a cohort in {folder} already: open it, or choose another folder.")
    for place in _FOLDERS:
        if (folder / place).is_dir() and any((folder / place).iterdir()):
            raise CohortError(f"{folder / place} has files in it, which a cohort could overwrite: choose another folder for the cohort.")
    if not cases:
        raise CohortError("No volumes were found for the cohort.")
    if not structures:
        raise CohortError("A cohort needs at least one structure to segment.")
    if len({c.id for c in cases}) < len(cases) or len({s.name for s in structures}) < len(structures):
        raise CohortError("Two cases or two structures have the same name.")
