"""What a cohort's report says about results, and what it does not: labels, single slices, proposals, names, formulas."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from MultiverSegLib.cohort.batch.jobs import propagate, run_job
from MultiverSegLib.cohort.results.report import no_formula
from MultiverSegLib.cohort.store.cohort import Cohort

from ..cohort.volumes import ellipsoid, write, write_cohort_files

STRUCTURE = r"a$\foo$"


class InThisProcess:
    def __init__(self, predictor):
        self.predictor = predictor

    def run(self, jobs):
        yield from (run_job(job, self.predictor) for job in jobs)


@pytest.fixture
def study(tmp_path, command, checkpoint):
    write_cohort_files(tmp_path / "scans", 4)
    rows = [f"scans/images/p{n}.nrrd,{value},x" for n, value in enumerate(("=1+1", "+1+1", "-5", "@a"))]
    (tmp_path / "cases.csv").write_text("\n".join(["volume,comment,status", *rows]) + "\n")
    study = tmp_path / "study"
    ran = command("cohort", "init", study, "--csv", tmp_path / "cases.csv", "-s", STRUCTURE, "--model", checkpoint)
    assert ran.code == 0, ran.err
    return study


def test_the_report_says_what_is_what(study, command, tmp_path, checkpoint, host):
    from MultiverSegLib.core.predictors import open_predictor

    ids = [case.id for case in Cohort.open(study, read_only=True).cases]
    masks = tmp_path / "masks"
    write(masks / f"{ids[1]}.nrrd", ellipsoid(1)[1])
    ran = command("cohort", "labels", study, "--from", masks)
    assert ran.code == 0, ran.err
    command("cohort", "accept", study, ids[0], "--segmentation", tmp_path / "scans/labels/p0.nrrd")
    one_slice = ellipsoid(2)[1].copy()
    largest = int(one_slice.sum((1, 2)).argmax())
    one_slice[np.arange(len(one_slice)) != largest] = 0
    write(tmp_path / "one.nrrd", one_slice)
    ran = command("cohort", "accept", study, ids[2], "--segmentation", tmp_path / "one.nrrd")
    assert ran.code == 0, ran.err
    with Cohort.open(study) as cohort:
        outcome = propagate(cohort, InThisProcess(open_predictor(checkpoint, "cpu")))
    assert ids[3] in outcome.proposed

    assert command("cohort", "report", study).code == 0
    rows = {row["case"]: row for row in csv.DictReader((study / "report.csv").read_text().splitlines())}
    whole, labelled, slice_, proposed = (rows[case] for case in ids)
    assert whole["status"] == slice_["status"] == "accepted" and proposed["status"] == labelled["status"] == "proposed"
    assert int(whole["slices"]) > 1 and float(whole["volume_ml"]) > 0
    assert slice_["slices"] == "1" and slice_["volume_ml"] == "" and float(slice_["area_mm2"]) > 0
    assert [rows[case]["comment"] for case in ids] == ["'=1+1", "'+1+1", "-5", "'@a"]
    assert whole["table: status"] == "x"

    methods = (study / "methods.txt").read_text()
    assert "1 from existing labels among 3" in methods and "1 of 2 results are a single slice" in methods
    assert "2 further volumes have a proposal that nobody has accepted" in methods
    page = (study / "report.html").read_text()
    assert "one slice" in page and "the largest of" in page and "the only slice segmented" in page
    assert "2 from results and 1 from existing labels" in page and STRUCTURE in page
    state = json.loads(command("cohort", "status", study, "--json").out)
    assert state["cases"][2]["works"][STRUCTURE]["slices"] == 1


def test_what_a_spreadsheet_would_run_is_text():
    assert [no_formula(v) for v in ("=cmd|calc", "  =1", "-1+1", "@x", "\t=1")] == ["'=cmd|calc", "'  =1", "'-1+1", "'@x", "'\t=1"]
    assert [no_formula(v) for v in ("-5", "+1.5e3", -5, 0.5, None, "", "plain", "a=b")] == ["-5", "+1.5e3", -5, 0.5, "", "", "plain", "a=b"]


def test_a_dollar_sign_is_no_formula():
    from MultiverSegLib.cohort.results.html_report import Curve, Plot, plot_svg

    curves = [Curve(name, [1, 2], [1, 2]) for name in (STRUCTURE, "b$")]
    assert plot_svg(Plot("$\\bar", "$x", "y$_", curves)).startswith("<svg")
