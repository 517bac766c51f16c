"""Which slices count, and how: by hand."""

import math

import pytest
from MultiverSegLib.evaluation.absence import ABSENT, BORDER, PRESENT, Said, count, zones


def test_slices_count_from_two_mm_and_one_slice_beyond_an_end():
    shown = [False] * 4 + [True] * 7 + [False] * 4
    thin = zones(shown, 1.0)
    assert thin == [ABSENT] * 3 + [BORDER] + [BORDER] * 2 + [PRESENT] * 3 + [BORDER] * 2 + [BORDER] + [ABSENT] * 3
    thick = zones(shown, 8.0)
    assert thick == [ABSENT] * 4 + [BORDER] + [PRESENT] * 5 + [BORDER] + [ABSENT] * 4
    assert zones(shown, 0.5).count(ABSENT) == 2 and zones(shown, 0.5).count(PRESENT) == 0


def test_a_label_that_reaches_the_volumes_end_has_none_there():
    assert zones([True] * 4 + [False] * 3, 2.0) == [PRESENT] * 3 + [BORDER] + [ABSENT] * 3
    assert zones([False] * 3, 1.0) == [ABSENT] * 3 and zones([True] * 3, 1.0) == [PRESENT] * 3


def test_shares_are_means_over_cases():
    said = [Said("a", ABSENT, False, True), Said("a", ABSENT, False, False), Said("b", ABSENT, False, True)]
    said += [Said("a", PRESENT, True, False), Said("b", PRESENT, True, True), Said("b", BORDER, True, True)]
    figures = count(said)
    assert figures["absent called absent"][0] == pytest.approx(0.75)
    assert figures["present called absent"][0] == pytest.approx(0.5)
    assert figures["border called rightly"][0] == 0
    assert math.isnan(count([])["absent called absent"][0])
