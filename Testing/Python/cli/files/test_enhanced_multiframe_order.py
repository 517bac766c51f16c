"""Multi-frame DICOM: each frame has a position, a time and a slope of its own."""

import numpy as np
import pytest
from file_cases import CENTRE, PROMPTS, ball, centre_of, enhanced
from MultiverSegLib.core.errors import VolumeError
from MultiverSegLib.mrml.volume_files import load_volume, read_plain
from MultiverSegLib.mrml.volumes import array_of, ijk_to_ras

ORDERS = {
    "in order": [*range(24)],
    "reversed": [*range(23, -1, -1)],
    "interleaved": [*range(0, 24, 2), *range(1, 24, 2)],
    "three stacks": [*range(8, 16), *range(8), *range(16, 24)],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_frames_are_sorted_by_position(host, tmp_path, order):
    image, _ = ball()
    import SimpleITK as sitk

    path = enhanced(tmp_path / "a.dcm", image, order)
    for volume in (load_volume(path), read_plain(path), load_volume(tmp_path)):
        assert np.array_equal(array_of(volume), sitk.GetArrayFromImage(image))
        assert np.allclose(ijk_to_ras(volume), [[-1, 0, 0, 30], [0, -1, 0, 28], [0, 0, 3, 10], [0, 0, 0, 1]])


def test_each_frame_has_a_slope_of_its_own(host, tmp_path):
    import SimpleITK as sitk

    image, _ = ball()
    slopes = [0.25 + 0.05 * (n % 7) for n in range(24)]
    found = array_of(load_volume(enhanced(tmp_path / "a.dcm", image, ORDERS["interleaved"], slopes)))
    assert np.abs(found - sitk.GetArrayFromImage(image)).max() <= 0.5


@pytest.mark.parametrize(
    "edit, told",
    [
        (lambda d: d.PerFrameFunctionalGroupsSequence.pop(), "describes 23 of its 24 frames"),
        (lambda d: d.__delattr__("PerFrameFunctionalGroupsSequence"), "24 frames without positions"),
        (lambda d: d.PerFrameFunctionalGroupsSequence[3].__delattr__("PlanePositionSequence"), "frames without ImagePositionPatient"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:-9000]), "can't be decoded"),
        (lambda d: setattr(d, "SamplesPerPixel", 3), "colour"),
    ],
)
def test_what_is_no_volume_is_refused_in_one_line(host, tmp_path, edit, told):
    path = enhanced(tmp_path / "a.dcm", ball()[0], range(24), edit=edit)
    for read in (load_volume, read_plain):
        with pytest.raises(VolumeError, match=told) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_two_time_points_are_refused_and_interleaved_frames_segmented(command, tmp_path):
    image, _ = ball()
    enhanced(tmp_path / "two.dcm", image, [*range(24), *range(24)])
    told = command("segment", tmp_path / "two.dcm", *PROMPTS, "-o", tmp_path / "o.seg.nrrd")
    assert told.code == 1 and "one position (time points or echoes)" in told.error_line
    enhanced(tmp_path / "one" / "a.dcm", image, ORDERS["interleaved"])
    done = command("segment", tmp_path / "one" / "a.dcm", *PROMPTS, "-o", tmp_path / "o.seg.nrrd")
    assert done.code == 0 and np.allclose(centre_of(tmp_path / "o.seg.nrrd"), CENTRE, atol=1)


def test_a_dicom_seg_of_frames_in_any_order_lies_where_they_do(command, tmp_path):
    """The product's own SEG of a multi-frame image, read back by the product and by highdicom."""
    highdicom = pytest.importorskip("highdicom")
    from file_cases import mask_like

    image, inside = ball()
    enhanced(tmp_path / "data" / "ct" / "a.dcm", image, ORDERS["interleaved"])
    label = mask_like(image, inside, tmp_path / "lab.nrrd")
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert command("cohort", "accept", tmp_path / "co", "ct", "--segmentation", label).code == 0
    done = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out", "-f", "dicom-seg")
    assert done.code == 0, done.err
    written = highdicom.seg.segread(tmp_path / "out" / "ct.dcm")
    volume = written.get_volume(segment_numbers=[1], combine_segments=True)
    assert int((volume.array > 0).sum()) == inside.sum()
    places = np.argwhere(volume.array > 0) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert np.allclose(places.mean(axis=0) * [-1, -1, 1], CENTRE, atol=0.2)
    command("cohort", "init", tmp_path / "again", "--from", tmp_path / "data", "-s", "ball")
    assert command("cohort", "accept", tmp_path / "again", "ct", "--segmentation", tmp_path / "out" / "ct.dcm").code == 0
