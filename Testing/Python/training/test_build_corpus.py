"""From image and mask files to a dataset, read back by the corpus reader."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cli.main import app
from MultiverSegLib.training.build_corpus import DatasetInfo, build_dataset, pair_files, split_subjects
from MultiverSegLib.training.corpus import Corpus, CorpusError
from typer.testing import CliRunner


def write(path, array, spacing=None, direction=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 3 and array.shape[-1] == 3)
    if spacing:
        image.SetSpacing(spacing)
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def flat_images(folder, n=10, colour=False):
    """PNG pictures whose object is bright, 60 rows by 90 columns."""
    for i in range(n):
        mask = np.zeros((60, 90), np.uint8)
        mask[10 + i : 40, 20:50] = 1
        picture = (60 + 120 * mask).astype(np.uint8)
        write(folder / "images" / f"p{i:02}_a.png", np.stack([picture] * 3, -1) if colour else picture)
        write(folder / "masks" / f"p{i:02}_a_mask.png", mask)
    return folder / "images", folder / "masks"


@pytest.mark.parametrize("colour", [False, True])
def test_png_images_become_a_dataset(tmp_path, colour):
    images, masks = flat_images(tmp_path, colour=colour)
    entry = build_dataset(images, masks, tmp_path / "corpus", DatasetInfo("Plain", "CC BY 4.0", bundle=True, labels={1: "block"}))
    assert entry["n_images"] == 10 and entry["license"] == "CC BY 4.0" and entry["bundle"] is True
    dataset = Corpus.load(tmp_path / "corpus").datasets[0]
    assert dataset.images.shape == (10, 128, 128) and dataset.label_names == ("block",)
    mask, image = dataset.mask(0, 0), dataset.images[0]
    assert image[mask].min() > image[~mask].max() - 80 and image[mask].mean() > 200
    rows, cols = np.nonzero(mask)
    # 90 columns fill the width; 60 rows are padded to a square: (30 rows, 30 columns) become squares of equal pixels.
    assert np.ptp(cols) + 1 == pytest.approx(30 / 90 * 128, abs=2) and np.ptp(rows) + 1 == pytest.approx(30 / 90 * 128, abs=2)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_volumes_give_the_largest_and_the_middle_slice_of_each_axis(tmp_path, suffix):
    mask = np.zeros((20, 40, 30), np.uint8)
    mask[4:8, 10:30, 5:20] = 1
    mask[5, 8:32, 3:22] = 1  # the largest axial slice of label 1
    mask[15, 5:15, 10:20] = 2  # label 2 lives on one axial slice
    image = (mask * 100 + np.arange(40)[None, :, None]).astype(np.int16)
    for i in range(3):
        write(tmp_path / "i" / f"case{i}{suffix}", image, spacing=(1.0, 1.0, 2.5))
        write(tmp_path / "m" / f"case{i}{suffix}", mask, spacing=(1.0, 1.0, 2.5))
    build_dataset(tmp_path / "i", tmp_path / "m", tmp_path / "c", DatasetInfo("Vol", "CC0", bundle=True, labels={1: "one", 2: "two"}))
    dataset = Corpus.load(tmp_path / "c").datasets[0]
    assert set(dataset.views) == {"axial", "coronal", "sagittal"}
    with np.load(tmp_path / "c" / "Vol.npz") as archive:
        names = archive["names"].tolist()
    axial = {int(n.split()[-1]) for n in names if "case0 axial" in n}
    assert axial == {5, 15}, "largest of each label; the middle slice (10) shows none and is left out"
    coronal = next(i for i, n in enumerate(names) if "coronal" in n and dataset.areas[i, 0])
    rows, cols = np.nonzero(dataset.mask(coronal, 0))
    assert np.ptp(cols) + 1 == pytest.approx(15 / 50 * 128, rel=0.35) and rows.mean() > 64, "mm, not voxels; the feet are below"


def test_the_files_axes_do_not_matter(tmp_path):
    mask = np.zeros((12, 30, 30), np.uint8)
    mask[3:6, 5:12, 18:27] = 1
    image = (mask * 90 + 10).astype(np.int16)
    write(tmp_path / "i" / "a.nrrd", image)
    write(tmp_path / "m" / "a.nrrd", mask)
    write(tmp_path / "i" / "b.nrrd", image[:, ::-1, ::-1].copy(), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    write(tmp_path / "m" / "b.nrrd", mask[:, ::-1, ::-1].copy(), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    build_dataset(tmp_path / "i", tmp_path / "m", tmp_path / "c", DatasetInfo("Axes", "CC0", bundle=True))
    d = Corpus.load(tmp_path / "c").datasets[0]
    for view in ("axial", "coronal", "sagittal"):
        a, b = (next(i for i in np.flatnonzero(d.views == view) if d.subjects[i] == s and d.areas[i, 0]) for s in "ab")
        assert (d.mask(a, 0) == d.mask(b, 0)).mean() > 0.99


def test_subjects_are_split_60_20_20_and_stay_together(tmp_path):
    subjects = [f"s{i // 3}" for i in range(300)]
    folds = split_subjects(subjects, (0.6, 0.2, 0.2), seed=1)
    assert [(folds == f).sum() for f in ("train", "val", "test")] == [180, 60, 60]
    for s in set(subjects):
        assert len({f for f, t in zip(folds, subjects, strict=True) if t == s}) == 1
    assert (folds == split_subjects(subjects, (0.6, 0.2, 0.2), seed=1)).all()
    assert (folds != split_subjects(subjects, (0.6, 0.2, 0.2), seed=2)).any()


def test_the_reader_takes_the_builds_folds(tmp_path):
    images, masks = flat_images(tmp_path)
    build_dataset(images, masks, tmp_path / "c", DatasetInfo("P", "CC0", bundle=True))
    dataset = Corpus.load(tmp_path / "c").datasets[0]
    assert sorted(np.unique(dataset.folds, return_counts=True)[1].tolist()) == [2, 2, 6]


def test_datasets_are_added_and_replaced_in_the_manifest(tmp_path):
    images, masks = flat_images(tmp_path, n=3)
    for name, licence in (("A", "CC0"), ("B", "CC BY 4.0"), ("A", "MIT")):
        build_dataset(images, masks, tmp_path / "c", DatasetInfo(name, licence))
    datasets = json.loads((tmp_path / "c" / "manifest.json").read_text())["datasets"]
    assert {d["file"]: d["license"] for d in datasets} == {"A.npz": "MIT", "B.npz": "CC BY 4.0"}


def test_mistakes_are_told_in_one_line(tmp_path):
    images, masks = flat_images(tmp_path, n=2)
    info = DatasetInfo("X", "CC0")
    with pytest.raises(CorpusError, match="not a folder"):
        build_dataset(tmp_path / "nowhere", masks, tmp_path / "c", info)
    with pytest.raises(CorpusError, match="any of the labels"):
        build_dataset(images, masks, tmp_path / "c", DatasetInfo("X", "CC0", labels={7: "seven"}))
    with pytest.raises(CorpusError, match="names the file"):
        build_dataset(images, masks, tmp_path / "c", DatasetInfo("../x", "CC0"))
    write(images / "lonely.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(CorpusError, match=r"lonely.*has no mask"):
        build_dataset(images, masks, tmp_path / "c", info)
    write(masks / "lonely.png", np.zeros((9, 8), np.uint8))
    with pytest.raises(CorpusError, match="must match"):
        build_dataset(images, masks, tmp_path / "c", info)
    (images / "lonely.png").write_bytes(b"no png")
    with pytest.raises(CorpusError, match="can't be read"):
        build_dataset(images, masks, tmp_path / "c", info)


def test_the_command_builds_and_lists(tmp_path):
    images, masks = flat_images(tmp_path, n=4)
    arguments = [
        "corpus",
        "build",
        str(images),
        str(masks),
        "-o",
        str(tmp_path / "c"),
        "--name",
        "Cmd",
        "--licence",
        "CC BY 4.0",
        "--bundle",
    ]
    done = CliRunner().invoke(app, [*arguments, "--label", "1=block", "--subject-pattern", r"^(p\d+)"])
    assert done.exit_code == 0, done.output
    assert "4 slices of 4 subjects" in done.output
    listed = CliRunner().invoke(app, ["corpus", "list", str(tmp_path / "c")])
    assert listed.exit_code == 0 and "Cmd" in listed.output and "block" in listed.output
    assert CliRunner().invoke(app, [*arguments, "--label", "liver"]).exit_code == 2


def refused(tmp_path, mask, suffix=".png", image=None) -> str:
    write(tmp_path / "i" / f"a{suffix}", np.ones(mask.shape[:2], np.uint8) if image is None else image)
    write(tmp_path / "m" / f"a{suffix}", mask)
    with pytest.raises(CorpusError) as caught:
        build_dataset(tmp_path / "i", tmp_path / "m", tmp_path / "c", DatasetInfo("X", "CC0"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "mask, suffix, told",
    [
        (np.full((20, 20), 0.3, np.float32), ".nrrd", "holds fractions"),
        (np.zeros((20, 20), np.uint8), ".png", "every pixel is 0"),
        (np.eye(20, dtype=np.uint8) * 255, ".jpg", "JPEG"),
        (
            np.stack([np.eye(20, dtype=np.uint8) * 255, np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)], -1),
            ".png",
            "colour image",
        ),
        (np.arange(400, dtype=np.int16).reshape(20, 20), ".nrrd", "400 different values"),
        (np.ones((20, 21), np.uint8), ".png", "must match"),
    ],
)
def test_masks_that_are_no_masks(tmp_path, mask, suffix, told):
    assert told in refused(tmp_path, mask, suffix, np.ones((20, 20), np.uint8))


def test_an_image_of_four_dimensions_is_refused(tmp_path):
    four = sitk.JoinSeries([sitk.Image([5, 5, 5], sitk.sitkUInt8) + 1] * 2)
    for part in "im":
        (tmp_path / part).mkdir()
        sitk.WriteImage(four, str(tmp_path / part / "a.nii.gz"))
    with pytest.raises(CorpusError, match="4 dimensions"):
        build_dataset(tmp_path / "i", tmp_path / "m", tmp_path / "c", DatasetInfo("X", "CC0"))


def test_hidden_files_channels_and_segmentations_of_slicer_are_paired(tmp_path):
    picture = np.eye(20, dtype=np.uint8)
    for name in ("a_0000.nrrd", "a_0001.nrrd", "b.nrrd", "c.nrrd"):
        write(tmp_path / "i" / name, picture * 100)
    (tmp_path / "i" / "._a.nrrd").write_bytes(b"hidden")
    for name in ("a.nrrd", "b.seg.nrrd", "c_mask.nrrd"):
        write(tmp_path / "m" / name, picture)
    (tmp_path / "m" / "._a.nrrd").write_bytes(b"hidden")
    assert [(i.name, m.name) for i, m in pair_files(tmp_path / "i", tmp_path / "m")] == [
        ("a_0000.nrrd", "a.nrrd"),
        ("b.nrrd", "b.seg.nrrd"),
        ("c.nrrd", "c_mask.nrrd"),
    ]
