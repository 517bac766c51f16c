"""``multiverseg segment --structure`` with a model that knows structures by their names: neither prompt nor context."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.networks.verse import Verse


@pytest.fixture(scope="module")
def heart(tmp_path_factory):
    """A small network that was taught nothing; its two structures get different answers."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = Verse(("left atrium", "ventricle"), 4, 64, (8, 8, 16, 16), 32, 4, 16, 8, 4, clicks="learned")
        for value in made.parameters():
            if value.ndim > 1:
                value.data = torch.randn(value.shape) * (1.4 / value[0].numel() ** 0.5)
    return save_checkpoint(tmp_path_factory.mktemp("heart") / "heart.pt", made.eval(), half=False)


@pytest.fixture
def segment(command, heart, tmp_path, ball):
    return lambda *options: command("segment", ball.path, "-o", tmp_path / "out.seg.nrrd", "--model", heart, *options)


def test_a_known_structure_needs_neither_prompt_nor_context(segment, heart, ball, tmp_path, host):
    from MultiverSegLib.core.predicting import Query, Request
    from MultiverSegLib.core.predictors import open_predictor
    from MultiverSegLib.mrml.slice_plane import SlicePlane
    from MultiverSegLib.mrml.volume_files import load_volume

    ran = segment("--structure", "Left Atrium", "--axis", "k")
    assert ran.code == 0, ran.err
    assert "asked for by its name: left atrium" in ran.out and "examples: 0" in ran.out
    index = int(ran.out.split("slice k=")[1].split()[0])
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))) > 0
    assert set(np.flatnonzero(written.any((1, 2)))) <= {index}
    volume = load_volume(ball.path)
    plane = SlicePlane.from_volume(volume, "k", index, None, 64)
    answer = open_predictor(heart, "cpu").predict(Request(plane.sample(volume, None), query=Query("left atrium")))
    assert np.array_equal(written[index], plane.paste(answer.probability, volume).mask)


def test_an_unknown_structure_is_refused_with_those_that_are_known(segment):
    assert "does not know 'spleen': it knows left atrium, ventricle." in segment("--structure", "spleen").error_line


def test_without_a_name_it_says_what_can_be_asked_for(segment):
    ran = segment()
    assert ran.code == 2 and "left atrium, ventricle" in " ".join(ran.err.split())


def test_a_box_alone_is_not_read(segment, ball):
    corners = ball.ras(2, 2, ball.center_ijk[2]), ball.ras(8, 8, ball.center_ijk[2])
    line = segment("--structure", "left atrium", "--box", ",".join(corners)).error_line
    assert "reads no boxes" in line and "points" in line


def test_a_name_that_the_model_does_not_know_still_names_what_clicks_mean(segment, ball):
    ran = segment("--structure", "lesion", "--point", ball.ras(*ball.center_ijk))
    assert ran.code == 0 and "asked for" not in ran.out, ran.err


def test_a_model_without_names_wants_prompts(command, checkpoint, ball, tmp_path):
    ran = command("segment", ball.path, "-o", tmp_path / "out.seg.nrrd", "--model", checkpoint, "--structure", "liver")
    assert ran.code == 2 and "nothing to go by" in " ".join(ran.err.split())


def test_a_checkpoint_cut_short(command, heart, ball, tmp_path):
    (tmp_path / "cut.pt").write_bytes(heart.read_bytes()[:2000])
    ran = command("segment", ball.path, "-o", tmp_path / "out.seg.nrrd", "--model", tmp_path / "cut.pt", "--structure", "left atrium")
    assert "cut.pt" in ran.error_line and not (tmp_path / "out.seg.nrrd").exists()
