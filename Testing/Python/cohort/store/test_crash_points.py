"""Accepting, accepting again, forgetting, skipping and reopening, ended before each single step on the disk: context, results and journal agree when the
cohort is opened next, nothing that was done is lost, and the same can be done again."""

import os
import shutil

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.store.mask_delta import mask_sha256
from MultiverSegLib.cohort.work.open_case import OpenCase
from MultiverSegLib.core.context.context_set import Example
from MultiverSegLib.mrml.segments import set_segment

from ..volumes import ellipsoid, real_cohort

STEPS = ("replace", "fsync", "unlink")


class Death(BaseException):
    """The process ends here."""


class Disk:
    """Counts what changes the disk for good; from the step ``last`` on nothing more happens, as in a process that is gone."""

    def __init__(self, monkeypatch, last):
        self.count = 0
        for name in STEPS:
            monkeypatch.setattr(os, name, self._step(getattr(os, name), last))

    def _step(self, real, last):
        def step(*args, **options):
            self.count += 1
            if self.count > last:
                raise Death
            return real(*args, **options)

        return step


def paint(work, rows):
    """The structure, with some rows less: what the person corrects."""
    nodes = work.nodes
    mask = ellipsoid(0)[1]
    mask[:, :rows] = 0
    set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, mask)


def accept(cohort, rows=0):
    work = OpenCase(cohort, "p0")
    try:
        paint(work, rows)
        work.accept()
    finally:
        work.nodes.close()


def forget(cohort):
    contexts = Contexts(cohort)
    contexts.remove("blob", cohort.case("p0").work("blob").example)


ACTIONS = {
    "accept": lambda cohort: accept(cohort),
    "accept again": lambda cohort: accept(cohort, 18),
    "forget": forget,
    "skip": lambda cohort: Contexts(cohort).skip("p0"),
    "reopen": lambda cohort: Contexts(cohort).reopen("p0"),
}


@pytest.fixture
def prepared(host, tmp_path):
    """A cohort of two volumes; "accepted": the first is accepted."""
    with real_cohort(tmp_path / "todo", 2, labels=False):
        pass
    shutil.copytree(tmp_path / "todo", tmp_path / "accepted")
    with Cohort.open(tmp_path / "accepted/cohort") as cohort:
        accept(cohort)
    return tmp_path


def check(folder, with_mask=True):
    """What the next one to open the cohort finds; gives the bookkeeping of the structure and, if wanted, its voxels."""
    with Cohort.open(folder) as cohort:
        assert not cohort.read_only
        done = cohort.case("p0").work("blob")
        assert [e.id for e in Contexts(cohort).get("blob").examples] == ([done.example] if done.example else [])
        assert not list(folder.rglob(".writing-*"))
        if not with_mask:
            return done, None
        work = OpenCase(cohort, "p0")
        mask = work.nodes.mask("blob")
        if done.status == "accepted":
            assert mask_sha256(mask) == done.mask_sha256 and cohort.case("p0").work("blob").status == "accepted"
        work.close()
    return done, mask


@pytest.mark.parametrize("action", ACTIONS)
def test_an_end_at_every_step(prepared, monkeypatch, action):
    start = prepared / ("todo" if action == "accept" else "accepted")
    whole = prepared / "whole"
    shutil.copytree(start, whole)
    with Cohort.open(whole / "cohort") as cohort, monkeypatch.context() as patch:
        disk = Disk(patch, 10**9)
        ACTIONS[action](cohort)
        steps = disk.count
    accepting = action.startswith("accept")
    meant, meant_mask = check(whole / "cohort", accepting)
    assert steps > 3
    ends = set()
    for last in range(steps):
        place = prepared / f"{last}"
        shutil.copytree(start, place)
        cohort = Cohort.open(place / "cohort")
        with monkeypatch.context() as patch, pytest.raises(Death):
            Disk(patch, last)
            ACTIONS[action](cohort)
        cohort._lock.release()  # as the next one does that finds a dead process's lock
        done, mask = check(place / "cohort", accepting)
        ends.add(done.status)
        if accepting:
            before = np.zeros_like(mask) if action == "accept" else ellipsoid(0)[1]
            assert np.array_equal(mask, meant_mask) or np.array_equal(mask, before), "half of a result"
        if last % 4 == 0 and (accepting or (done.status, done.example) != (meant.status, meant.example)):
            with Cohort.open(place / "cohort") as cohort:
                ACTIONS[action](cohort)
            done, mask = check(place / "cohort", accepting)
            assert (done.status, done.example, done.mask_sha256) == (meant.status, meant.example, meant.mask_sha256)
            assert not accepting or np.array_equal(mask, meant_mask)
        shutil.rmtree(place)
    assert len(ends) > 1 or not accepting, "the end should have come before and after the journal"


def test_what_the_first_version_left_is_brought_in_line(prepared):
    """An accept that died between context and journal left its example; one that was forgotten could stay."""
    folder = prepared / "accepted/cohort"
    with Cohort.open(folder) as cohort:
        contexts = Contexts(cohort)
        example = contexts.get("blob").examples[0]
        cohort.record("example removed", structure="blob", example=example.id, source="p0")
    with Cohort.open(folder) as cohort:
        contexts = Contexts(cohort)
        assert not len(contexts.get("blob")) and "taken out" in contexts.notes[0]
        assert contexts.find("blob", example.id).case == "p0", "it is kept aside"


def test_an_imported_example_of_another_study_stays(prepared):
    folder = prepared / "accepted/cohort"
    with Cohort.open(folder) as cohort:
        context = Contexts(cohort).get("blob")
        own = context.examples[0]
        context.add(Example(1 - own.image, own.mask, case="somebody", structure="blob"))
    with Cohort.open(folder) as cohort:
        assert [e.case for e in Contexts(cohort).get("blob").examples] == ["p0", "somebody"]
