"""The README's first commands: files named as one names them."""

from file_cases import PROMPTS, ball, mask_like, voxels_of, write


def test_names_relative_to_the_current_folder(command, tmp_path, monkeypatch):
    image, inside = ball()
    write(tmp_path / "ct.nii.gz", image)
    mask_like(image, inside, tmp_path / "lab.nii.gz")
    monkeypatch.chdir(tmp_path)
    done = command("segment", "ct.nii.gz", *PROMPTS, "-o", "o.seg.nrrd")
    assert done.code == 0 and "slice k=12" in done.out and 400 < voxels_of(tmp_path / "o.seg.nrrd") < 500
    done = command("context", "add", "ctx", "./ct.nii.gz", "lab.nii.gz", "--structure", "ball")
    assert done.code == 0 and "slice k=12" in done.out and "1764 grid pixels" in done.out
    told = command("segment", "gone.nii.gz", *PROMPTS, "-o", "o.seg.nrrd")
    assert told.code == 1 and "gone.nii.gz does not exist" in told.error_line


def test_the_result_never_replaces_what_is_read(command, tmp_path):
    from file_cases import segmentation

    _, inside = ball()
    path = segmentation(tmp_path / "v.seg.nrrd", [inside], ["x"])
    content = path.read_bytes()
    assert command("segment", path, *PROMPTS, "-o", path).code == 2
    assert path.read_bytes() == content
    image, inside = ball()
    write(tmp_path / "data" / "a.nii.gz", image)
    label = mask_like(image, inside, tmp_path / "lab.nrrd")
    command("cohort", "init", tmp_path / "co", "--from", tmp_path / "data", "-s", "ball")
    assert command("cohort", "accept", tmp_path / "co", "a", "--segmentation", label).code == 0
    content = (tmp_path / "data" / "a.nii.gz").read_bytes()
    told = command("cohort", "export", tmp_path / "co", "-o", tmp_path / "data")
    assert told.code == 1 and "is a file that the cohort reads" in told.error_line
    assert (tmp_path / "data" / "a.nii.gz").read_bytes() == content
