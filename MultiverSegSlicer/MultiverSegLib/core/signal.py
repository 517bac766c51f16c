"""Signals: an object says that something happened, whoever it concerns has connected a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Belongs to the object whose event it is; each object has its own.

        class Clock:
            def __init__(self):
                self.ticked = Signal("seconds")

        clock.ticked.connect(print)
        clock.ticked.emit(3)

    Args:
        arguments: the names of what is passed on, in order.
    """

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self._connected: list[Callable[..., object]] = []

    def connect(self, function: Callable[..., object]) -> None:
        """Have ``function`` called at each ``emit``, after those connected before. Connected twice, it is called once."""
        if function not in self._connected:
            self._connected.append(function)

    def disconnect(self, function: Callable[..., object]) -> None:
        """Call it no more. Nothing happens if it is not connected."""
        if function in self._connected:
            self._connected.remove(function)

    def emit(self, *values: Any) -> None:
        """Call what is connected, in the caller's thread. What one of the functions raises ends the call and is raised here."""
        if len(values) != len(self.arguments):
            raise TypeError(f"This signal passes on ({', '.join(self.arguments)}), got {len(values)} values.")
        for function in tuple(self._connected):
            if function in self._connected:  # an earlier one may have disconnected it
                function(*values)
