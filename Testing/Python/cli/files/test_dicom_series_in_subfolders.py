"""One series whose files lie in several folders."""

from file_cases import ball, mask_like, series, voxels_of


def test_the_whole_series_is_one_case(command, tmp_path):
    image, inside = ball()
    series(tmp_path / "data" / "p1", image, name=lambda k: f"{k // 13:02d}/IM{k:03d}")
    label = mask_like(image, inside, tmp_path / "lab.nrrd")
    done = command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert "1 case" in done.out
    assert command("cohort", "accept", tmp_path / "co", "p1", "--segmentation", label).code == 0
    assert command("cohort", "export", tmp_path / "co", "-o", tmp_path / "out").code == 0
    assert voxels_of(tmp_path / "out" / "p1.nii.gz") == 2353


def test_links_to_folders_are_followed_once(command, tmp_path):
    series(tmp_path / "store" / "p1", ball()[0])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "patient").symlink_to(tmp_path / "store" / "p1", target_is_directory=True)
    (tmp_path / "data" / "round").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data" / "gone.nrrd").symlink_to(tmp_path / "nowhere.nrrd")
    done = command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert done.code == 0 and "1 case" in done.out and "gone.nrrd is left out: the link leads nowhere" in done.err
