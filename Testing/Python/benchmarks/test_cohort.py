"""The bench's measurements on small things whose answers are known; the figures themselves are not judged here."""

import math

import numpy as np
import pytest
from MultiverSegLib.benchmarks import cohort_measures as measures
from MultiverSegLib.benchmarks import cohort_trials as trials
from MultiverSegLib.benchmarks.cohort import summarized
from MultiverSegLib.core.confidence import mask_dice

from ..cohort.model import BrightModel
from ..cohort.volumes import write_cohort_files


@pytest.fixture
def loaded(host, tmp_path):
    write_cohort_files(tmp_path / "data", 4)
    return trials.load_trials(tmp_path / "data", "axial")


def test_trials_hold_the_files_labels(loaded):
    for trial in loaded:
        assert mask_dice(trial.to_voxels(trial.labels.astype(np.float32)), trial.voxels) > 0.97
        assert trial.axis == "k" and trial.spacing == pytest.approx((0.9, 0.8, 2.5))


def test_propagation_is_compared_with_the_other_ways(loaded, monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.delitem(trials._METHODS, "morphological")  # ITK takes many seconds to import
    rows = trials.propagation(BrightModel(), loaded, known=2)
    found = {(r["slices"], r["method"]): r for r in summarized(rows, ("slices", "method"))}
    assert found[1, "propagated"]["dice"] > 0.9 and found[3, "signed distance"]["dice"] > 0.7
    assert (1, "signed distance") not in found, "one slice gives nothing to interpolate between"
    assert found[5, "propagated"]["number"] == 2 and found[3, "propagated"]["clicks"] >= found[1, "propagated"]["clicks"]


def test_slices_and_calibration(loaded):
    model = BrightModel()
    assert all(row["area_share"] > 0.7 for row in trials.slices(model, loaded, known=2))
    result = trials.calibration(model, loaded, known=2)
    assert result.summary()["slices"] == len(result.dice) > 2
    assert set(result.confidences["calibrated"]) == {0.9}, "what the model says"
    assert 0 <= result.summary()["calibrated: mean error in bins"] <= 1


def test_a_simulated_person_stops_when_it_is_good_or_at_the_cap(loaded):
    image, label = loaded[0].images[5], loaded[0].labels[5]
    prediction, clicks = trials.click_until_good(BrightModel(), image, label, ())
    assert clicks == 1 and mask_dice(prediction.mask(), label) >= 0.9

    class Blind(BrightModel):
        def answer(self, image, *arguments):
            return super().answer(np.zeros_like(image), *arguments)

    assert trials.click_until_good(Blind(), image, label, ())[1] == trials.CLICKS


def test_costs_are_measured(host, tmp_path):
    chosen = measures.selection(tmp_path, count=40, repeats=1)
    assert set(chosen["milliseconds"]) >= {"diverse", "balanced"}
    assert measures.files(tmp_path, cases=5, repeats=2)["cases"] == 5
    walked = measures.commands(tmp_path, cases=6)
    assert walked["cases"] == 6 and walked["accept_s_last"] > 0 and walked["report.html MB"] > 0
    many = measures.loop(tmp_path, cases=20)
    assert many["cases"] == 20 and len(many["nodes"]) == 1


def test_summaries_leave_out_what_is_not_a_number():
    rows = [{"m": "a", "hd95": math.nan, "dice": 0.5}, {"m": "a", "hd95": 2.0, "dice": 1.0}]
    assert summarized(rows, ("m",)) == [{"m": "a", "number": 2, "hd95": 2.0, "dice": 0.75}]
