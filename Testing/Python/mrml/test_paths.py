"""Relative names mean the folder the user is in, for every kind of file that is read or written."""

from __future__ import annotations

import numpy as np
import pytest
from MultiverSegLib.core.prompts import Point, Prompts
from MultiverSegLib.mrml import markups, paths, segments, volumes


@pytest.fixture
def here(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "./ct.mha", "data/ct.nrrd"])
def test_a_volume_by_a_relative_name(here, name):
    (here / "data").mkdir()
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volumes.save_volume(volumes.new_volume(array, np.diag([1.0, 2, 3, 1]), "ct"), name)
    assert (here / name).is_file()
    np.testing.assert_array_equal(volumes.array_of(volumes.load_volume(name)), array)
    np.testing.assert_array_equal(volumes.read_plain(name).array, array)


def test_a_segmentation_and_prompts_by_relative_names(here):
    volume = volumes.new_volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "ct")
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[1, 1:3, 2:4] = 1
    segmentation = segments.new_segmentation(volume)
    segment = segments.add_segment(segmentation, "liver")
    segments.set_segment(segmentation, segment, volume, mask)
    segments.save_segmentation(segmentation, "liver.seg.nrrd")
    again = segments.load_segmentation("liver.seg.nrrd", volume)
    np.testing.assert_array_equal(segments.get_segment(again, segments.segment_ids(again)[0], volume), mask)
    markups.save_prompts(Prompts([Point((1.0, 2.0, 1.0), True)]), "liver.mrk.json")
    assert len(markups.load_prompts("liver.mrk.json")) == 1


def test_the_home_folder_is_meant_by_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert paths.absolute("~/ct.nrrd") == tmp_path / "ct.nrrd"
