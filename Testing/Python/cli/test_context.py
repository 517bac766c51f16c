"""``multiverseg context``: examples come in from files, go out as a zip, and are found again by number, case or id."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk


@pytest.fixture
def labelled(ball, tmp_path) -> tuple[Path, Path]:
    """A volume and a label map of its ball."""
    array = sitk.GetArrayFromImage(ball.image)
    label = sitk.GetImageFromArray((array > 200).astype(np.uint8))
    label.CopyInformation(ball.image)
    sitk.WriteImage(label, str(tmp_path / "label.nii.gz"))
    return ball.path, tmp_path / "label.nii.gz"


def listed(command, folder: Path) -> list[dict]:
    ran = command("context", "list", folder, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_life_of_a_context(command, labelled, tmp_path):
    folder = tmp_path / "ball context"
    for case in ("one", "two"):
        ran = command(
            "context", "add", folder, *labelled, "--structure", "ball", "--case", case, "--axis", "k", "--slice", 6 if case == "one" else 7
        )
        assert ran.code == 0 and f"added {case}, slice k=" in ran.out, ran.err
    rows = listed(command, folder)
    assert [(r["case"], r["structure"], r["axis"], r["holds"]) for r in rows] == [
        ("one", "ball", "k", "mask"),
        ("two", "ball", "k", "mask"),
    ]
    area = float(rows[0]["area"].rstrip("%")) / 100
    assert area == pytest.approx(np.pi * 9**2 / (48 * 0.9) ** 2, rel=0.15)  # the ball's share of the field of view, which is 44 mm wide

    assert command("context", "export", folder, tmp_path / "ball.zip").code == 0
    assert command("context", "import", tmp_path / "copy", tmp_path / "ball.zip").code == 0
    assert [r["id"] for r in listed(command, tmp_path / "copy")] == [r["id"] for r in rows]
    again = command("context", "import", tmp_path / "copy", tmp_path / "ball.zip")
    assert again.code == 0 and "added 0 examples; 2 in" in again.out

    assert command("context", "show", folder, "-o", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "1. one" in page

    assert command("context", "remove", folder, "one").code == 0
    assert command("context", "remove", tmp_path / "copy", "2").code == 0
    assert [r["case"] for r in listed(command, folder)] == ["two"]
    assert [r["case"] for r in listed(command, tmp_path / "copy")] == ["one"]
    head, *lines = command("context", "list", folder).out.splitlines()  # a pipe gets tab-separated values
    assert [dict(zip(head.split("\t"), line.split("\t"), strict=True))["case"] for line in lines] == ["two"]


def test_the_max_slice_is_taken_on_the_contexts_axis(command, labelled, tmp_path):
    ran = command("context", "add", tmp_path / "c", *labelled)
    assert ran.code == 0 and "slice k=6" in ran.out, ran.err


@pytest.mark.parametrize("what", ["list", "show", "export"])
def test_a_folder_that_is_no_context(command, tmp_path, what):
    arguments = [tmp_path / "x.zip"] if what == "export" else []
    ran = command("context", what, tmp_path / "nothing", *arguments)
    assert ran.code == 1 and "is not a context" in ran.error_line


def test_a_context_of_another_image_size(command, labelled, tmp_path):
    from PIL import Image

    folder = tmp_path / "c"
    command("context", "add", folder, *labelled)
    picture = next(folder.glob("image_*.png"))
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(picture)
    ran = command("context", "list", folder)
    assert ran.code == 1 and picture.name in ran.error_line


def test_an_example_that_is_not_there(command, labelled, tmp_path):
    command("context", "add", tmp_path / "c", *labelled)
    assert "no example 7" in command("context", "remove", tmp_path / "c", "7").error_line
    assert "no example ²" in command("context", "remove", tmp_path / "c", "²").error_line  # a digit to Python, and no number


def test_a_segment_is_never_guessed(command, labelled, tmp_path):
    volume, label = labelled
    array = sitk.ReadImage(str(label))
    two = sitk.GetArrayFromImage(array)
    two[6, 0, 0] = 2
    image = sitk.GetImageFromArray(two)
    image.CopyInformation(array)
    sitk.WriteImage(image, str(tmp_path / "two.nii.gz"))
    ran = command("context", "add", tmp_path / "c", volume, tmp_path / "two.nii.gz", "--structure", "liver")
    assert ran.code == 1 and "--structure" in ran.error_line
    assert not (tmp_path / "c").exists()


def test_the_suggested_window_is_stored_and_kept(command, labelled, tmp_path):
    """An MR: percentiles. A CT: the window of its body; and a second volume gets the first one's."""
    volume, label = labelled
    image = sitk.ReadImage(str(volume))
    array = sitk.GetArrayFromImage(image).astype(np.int16)
    values = np.where(array > 200, 60, -80).astype(np.int16)
    values[:, :4] = -1000  # air
    ct = sitk.GetImageFromArray(values)
    ct.CopyInformation(image)
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))

    def settings(folder, file):
        ran = command("context", "add", folder, file, label, "--window", "auto", "--case", file.stem)
        assert ran.code == 0, ran.err
        return json.loads((folder / "context.json").read_text())["examples"][-1]["settings"]

    assert settings(tmp_path / "mr", volume)["scaling"] == "percentiles"
    first = settings(tmp_path / "both", tmp_path / "ct.nrrd")
    assert first["scaling"] == "window" and first["window"] == [-80.0, 60.0]
    assert settings(tmp_path / "both", volume) == first
