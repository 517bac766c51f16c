"""A file name in Latin-1 bytes, from an old disk or archive."""

import os

from file_cases import PROMPTS, ball, write


def test_one_line_names_the_file_and_nothing_is_left_behind(command, tmp_path):
    image, _ = ball()
    write(tmp_path / "data" / "x.nii.gz", image)
    bad = os.fsencode(tmp_path / "data") + b"/M\xfcller.nii.gz"
    os.rename(os.fsencode(tmp_path / "data" / "x.nii.gz"), bad)
    told = command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert told.code == 1 and "No volumes" in told.error_line and r"M\xfcller.nii.gz is left out" in told.err
    assert not (tmp_path / "co").exists()
    write(tmp_path / "data" / "b.nii.gz", image)
    done = command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert done.code == 0 and "1 case" in done.out and r"M\xfcller.nii.gz is left out" in done.err
    told = command("segment", os.fsdecode(bad), *PROMPTS, "-o", tmp_path / "o.seg.nrrd")
    assert told.code == 1 and r"M\xfcller.nii.gz can't be used: its name is not UTF-8" in told.error_line
    out = os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.seg.nrrd")
    told = command("segment", tmp_path / "data" / "b.nii.gz", *PROMPTS, "-o", out)
    assert told.code == 1 and r"\xfc.seg.nrrd can't be used" in told.error_line


def test_no_argument_may_be_such_a_name(command, tmp_path):
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/K\xf6ln")
    write(tmp_path / "data" / "b.nii.gz", ball()[0])
    for line in (
        ("cohort", "init", bad, "--from", tmp_path / "data", "-s", "ball"),
        ("context", "list", bad),
        ("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "K\udcf6ln"),
    ):
        told = command(*line)
        assert told.code == 1 and r"K\xf6ln can't be used: its name is not UTF-8" in told.error_line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]
