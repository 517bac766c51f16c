"""Signals: who is called, in which order, and what a wrong call gives."""

import pytest
from MultiverSegLib.core.signal import Signal


def test_everything_connected_is_called_in_order_and_once():
    ticked, heard = Signal("seconds"), []
    for name in "abc":
        ticked.connect(lambda seconds, name=name: heard.append((name, seconds)))
    ticked.connect(heard.append)
    ticked.connect(heard.append)
    ticked.emit(3)
    assert heard == [("a", 3), ("b", 3), ("c", 3), 3]


def test_what_is_disconnected_is_not_called_any_more_even_by_the_emit_under_way():
    done, heard = Signal(), []

    def second():
        heard.append("second")

    def first():
        heard.append("first")
        done.disconnect(second)

    done.connect(first)
    done.connect(second)
    done.emit()
    done.disconnect(first)
    done.disconnect(first)
    done.emit()
    assert heard == ["first"]


def test_two_objects_have_signals_of_their_own():
    one, other, heard = Signal(), Signal(), []
    one.connect(lambda: heard.append("one"))
    other.emit()
    assert heard == []


def test_the_number_of_values_is_checked_where_they_are_emitted():
    with pytest.raises(TypeError, match=r"\(case, structure\), got 1"):
        Signal("case", "structure").emit("p1")


def test_an_error_reaches_the_emitter():
    failed = Signal()
    failed.connect(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failed.emit()
