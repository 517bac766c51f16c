"""What the user can choose from a list carries its own name, title, help and needs; other packages add entries by entry points.

    STRATEGIES = Plugins("context selection", "multiverseg.selection", ContextError, [most_similar.PLUGIN, ...])
    STRATEGIES.get("most_similar").run(image, examples, 8)
    for plugin in STRATEGIES: ...                     # lists of the panel and of the command line come from here

An entry point of the group names a ``Plugin`` object. One that can't be loaded, or takes a name that is there, is left out and told in
``Plugins.problems``: a damaged package of somebody else never keeps the application from starting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from .errors import MultiverSegError


@dataclass(frozen=True)
class Plugin:
    """One entry of a list.

    Attributes:
        name: written to files and typed on the command line; never translated, never changed.
        title: what the panel shows (English; the panel translates it).
        help: one sentence on what it does.
        run: what it does; the list says with which arguments.
        needs: what it asks of its caller, in the list's own words (e.g. "features").
    """

    name: str
    title: str
    help: str
    run: Any
    needs: tuple[str, ...] = ()


Entry = TypeVar("Entry", bound=Plugin)


class Plugins(Generic[Entry]):
    """The entries of one list: ours in order, then those of installed packages.

    Args:
        kind: what an entry is, for messages: "context selection".
        group: group of entry points that adds entries.
        error: raised for an unknown name.
        own: our entries.
        entry: the class that entries of other packages must be of, for lists whose entries say more than a ``Plugin`` does.
    """

    def __init__(self, kind: str, group: str, error: type[MultiverSegError], own: Iterable[Entry], entry: type[Plugin] = Plugin) -> None:
        self.kind = kind
        self.group = group
        self._error = error
        self._own = tuple(own)
        self._entry = entry
        self._all: dict[str, Entry] | None = None
        #: One line for each entry of another package that was left out.
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries().values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the list."""
        return tuple(self._entries())

    def get(self, name: str) -> Entry:
        """The entry of this name.

        Raises:
            MultiverSegError: of the list's own class: there is none; the message names those there are.
        """
        entries = self._entries()
        if name not in entries:
            raise self._error(f"Unknown {self.kind} {name!r}: use one of {', '.join(entries)}.")
        return entries[name]

    def _entries(self) -> dict[str, Entry]:
        if self._all is None:
            entries = {plugin.name: plugin for plugin in self._own}
            for plugin in self._foreign():
                if plugin.name in entries:
                    self.problems.append(f"The {self.kind} {plugin.name!r} of another package was left out: the name is taken.")
                else:
                    entries[plugin.name] = plugin
            self._all = entries
        return self._all

    def _foreign(self) -> Iterator[Entry]:
        from importlib.metadata import entry_points

        for entry in entry_points(group=self.group):
            try:
                plugin = entry.load()
            except Exception as error:  # whatever a foreign package does when it is imported
                self.problems.append(f"The {self.kind} {entry.name!r} can't be loaded ({entry.value}): {error}.")
                continue
            if isinstance(plugin, self._entry):
                yield cast("Entry", plugin)
            else:
                kind = self._entry
                self.problems.append(f"The {self.kind} {entry.name!r} ({entry.value}) is no {kind.__name__}: see {kind.__module__}.")
