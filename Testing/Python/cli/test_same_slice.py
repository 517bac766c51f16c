"""One box means one slice, whichever command it is given to."""

import re

import pytest
from file_cases import ball, write


@pytest.mark.parametrize("axis, name", [("k", "axial"), ("j", "coronal"), ("i", "sagittal")])
def test_segment_and_cohort_predict_take_the_slice_in_the_middle_of_a_box(command, tmp_path, axis, name):
    from MultiverSegLib.core.prompts import Box, Prompts
    from MultiverSegLib.mrml.markups import save_prompts

    image, _ = ball((40, 48, 64), (1.0, 1.0, 1.0))
    volume = write(tmp_path / "data" / "a.nrrd", image)
    save_prompts(Prompts((Box((-5.0, -1.0, 30.0), (25.0, 27.0, 22.0)),)), tmp_path / "box.mrk.json")
    done = command("segment", volume, "-p", tmp_path / "box.mrk.json", "--axis", axis, "-o", tmp_path / "o.seg.nrrd")
    assert done.code == 0, done.err
    taken = re.search(rf"slice {axis}=(\d+)", done.out).group(1)
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", f"ball:{name}")
    done = command("cohort", "predict", tmp_path / "co", "a", "--prompts", tmp_path / "box.mrk.json")
    assert done.code == 0 and f"on slice {taken}," in done.out, (taken, done.out, done.err)
