"""Relative names mean the folder the user is in, for every kind of file that is read or written."""

from __future__ import annotations

import os

import numpy as np
import pytest
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.prompts import Point, Prompts
from MultiverSegLib.mrml import markups, paths, segments, volume_files, volumes


@pytest.fixture
def here(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz", "./ct.mha", "data/ct.nrrd"])
def test_a_volume_by_a_relative_name(here, name):
    (here / "data").mkdir()
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volume_files.save_volume(volumes.new_volume(array, np.diag([1.0, 2, 3, 1]), "ct"), name)
    assert (here / name).is_file()
    np.testing.assert_array_equal(volumes.array_of(volume_files.load_volume(name)), array)
    np.testing.assert_array_equal(volume_files.read_plain(name).array, array)


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


def refused(function, path, *more) -> str:
    with pytest.raises(MultiverSegError) as caught:
        function(path, *more)
    message = str(caught.value)
    assert "\n" not in message and "damaged" not in message
    message.encode("utf-8")
    return message


@pytest.fixture
def readers(host):
    volume = volumes.new_volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "ct")
    return (volume_files.load_volume, volume_files.read_plain, lambda path: segments.load_segmentation(path, volume), markups.load_prompts)


@pytest.mark.parametrize("name", ["gone.nrrd", "no/gone.seg.nrrd", "gone.mrk.json", "gone.dcm"])
def test_a_file_that_is_not_there_is_not_called_damaged(readers, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for read in readers:
        assert "does not exist" in refused(read, name)
        assert "does not exist" in refused(read, tmp_path / name)
    assert "no file name" in refused(readers[0], "")


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "seg.nrrd", "mrk.json"])
def test_a_name_that_is_not_utf_8_is_refused_with_the_name(readers, tmp_path, ending):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller." + ending.encode())
    open(path, "wb").close()
    for read in readers:
        assert rf"M\xfcller.{ending}" in refused(read, path)
    for save in (volume_files.save_volume, lambda node, target: segments.save_segmentation(segments.new_segmentation(node), target)):
        node = volumes.new_volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "ct")
        if ending in ("nrrd", "seg.nrrd"):
            assert r"M\xfcller" in refused(lambda target, save=save, node=node: save(node, target), path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_devices_pipes_and_folders_are_no_files(readers, tmp_path):
    os.mkfifo(tmp_path / "pipe.nrrd")
    (tmp_path / "folder.nrrd").mkdir()
    for read in readers:
        assert "a device or a pipe" in refused(read, tmp_path / "pipe.nrrd")
        assert "a device or a pipe" in refused(read, "/dev/zero")
        refused(read, tmp_path / "folder.nrrd")
