import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from MultiverSegLib.core.context import files as context_files
from MultiverSegLib.core.context import zips
from MultiverSegLib.core.context.context_set import ContextSet, Example
from MultiverSegLib.core.errors import ContextError
from MultiverSegLib.core.imaging import ImageSettings
from MultiverSegLib.core.resources import resource_path


def example(seed=0, **options):
    rng = np.random.default_rng(seed)
    image = rng.random((128, 128), dtype=np.float32)
    mask = np.zeros((128, 128), np.uint8)
    mask[10 + seed % 50 : 40 + seed % 50, 20:60] = 1
    return Example(image, mask, **{"case": f"case {seed}", "structure": "liver", **options})


def weak(seed=0):
    prompts = np.zeros((3, 128, 128), np.float32)
    prompts[0, 5:9, 6:20], prompts[1, 64, 64], prompts[2, 1, 127] = 1, 1, 1
    return Example(np.random.default_rng(seed).random((128, 128)), None, prompts, case="weak")


def png(width, height):
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 0, 0, 0, 0) + b"\0" * 4


def picture(folder, values):
    context_files.write_png(folder / "picture.png", values)
    return (folder / "picture.png").read_bytes()


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def files_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.exists() else {}


# Examples


def test_example_keeps_what_it_was_given():
    settings = ImageSettings.ct("liver")
    matrix = np.diag([1.0, -2.0, 3.0, 1.0])
    first = example(axis="k", grid_to_ras=matrix, settings=settings, model="compact")
    assert first.image.dtype == np.float32 and first.mask.dtype == np.uint8 and first.prompts is None
    assert (first.case, first.axis, first.model, first.settings) == ("case 0", "k", "compact", settings)
    assert np.array_equal(first.grid_to_ras, matrix)
    for change in (lambda: setattr(first, "case", "other"), lambda: first.image.__setitem__((0, 0), 1), lambda: first.mask.fill(0)):
        with pytest.raises((AttributeError, ValueError)):
            change()


def test_equal_pixels_of_one_case_are_one_example():
    assert example(1) == example(1, date="2001-01-01T00:00:00")
    assert len({example(1).id, example(2).id, example(1, case="other").id, example(1, structure="spleen").id}) == 4


def test_example_does_not_follow_changes_of_its_array():
    image = np.zeros((128, 128), np.float32)
    made = Example(image, np.ones((128, 128)))
    image[:] = 1
    assert made.image.max() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"image": np.zeros((64, 64)), "mask": np.zeros((128, 128))},
        {"image": np.zeros((128, 128)), "mask": np.zeros((128, 127))},
        {"image": np.zeros((128, 128))},
        {"image": np.full((128, 128), np.nan), "mask": np.zeros((128, 128))},
        {"image": np.zeros((128, 128)), "prompts": np.zeros((2, 128, 128))},
        {"image": np.zeros((128, 128)), "mask": np.zeros((128, 128)), "grid_to_ras": np.eye(3)},
    ],
)
def test_examples_that_make_no_sense(arguments):
    with pytest.raises(ContextError):
        Example(**arguments)


def test_example_survives_pickling(tmp_path):
    stored = ContextSet(tmp_path / "c").add(example(3, grid_to_ras=np.eye(4), settings=ImageSettings()))
    twin = pickle.loads(pickle.dumps(stored))
    assert twin == stored and np.array_equal(twin.image, stored.image) and twin.settings == stored.settings


# Storage


def test_a_folder_gives_back_what_was_added(tmp_path):
    folder = tmp_path / "new" / "Leber äöü"
    context = ContextSet(folder)
    assert len(context) == 0 and not folder.exists()
    given = [example(0, grid_to_ras=np.diag([1, 2, 3, 1.0]), settings=ImageSettings.ct("bone"), axis="j"), weak(), example(2)]
    added = [context.add(e) for e in given]
    reopened = ContextSet.load(folder)
    assert [e.id for e in reopened] == [e.id for e in given] == [e.id for e in added]
    for old, now, new in zip(given, added, reopened, strict=True):
        assert np.abs(new.image - old.image).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(new.image, now.image)  # what was just added and what is read later predict the same
        assert (new.mask is None) == (old.mask is None) and (new.mask is None or np.array_equal(new.mask, old.mask))
        assert (new.prompts is None) == (old.prompts is None) and (new.prompts is None or np.array_equal(new.prompts, old.prompts))
        assert new.facts() == old.facts()


def test_whether_an_example_is_weak_is_known_without_reading_it(tmp_path, monkeypatch):
    given = [example(1), weak(2), example(3, prompts=weak(4).prompts)]
    assert [e.weak for e in given] == [False, True, False]
    context = ContextSet(tmp_path / "c")
    for entry in given:
        context.add(entry)
    stored = ContextSet(tmp_path / "c")
    monkeypatch.setattr(context_files, "read_pixels", lambda *_: pytest.fail("pictures were read"))
    assert [e.weak for e in stored] == [False, True, False]


def test_memory_and_folder_hold_the_same_pixels(tmp_path):
    in_memory, on_disk = ContextSet().add(example()), ContextSet(tmp_path / "c").add(example())
    assert np.array_equal(in_memory.image, on_disk.image)


def test_adding_twice_removing_and_moving(tmp_path):
    context = ContextSet(tmp_path / "c")
    first, second, third = (context.add(example(i)) for i in range(3))
    context.add(example(1))
    assert len(context) == 3
    context.move(third.id, 0)
    assert [e.id for e in ContextSet(tmp_path / "c")] == [third.id, first.id, second.id]
    context.move(third.id, 99)
    context.remove(first.id)
    assert [e.id for e in ContextSet(tmp_path / "c")] == [second.id, third.id]
    assert sorted(p.name for p in (tmp_path / "c").glob(f"*_{first.id}.png")) == []
    context.add(example(7))
    assert np.abs(ContextSet(tmp_path / "c").examples[0].image - example(1).image).max() < 0.003  # no name was given twice
    with pytest.raises(ContextError, match="no example"):
        context.remove(first.id)


def test_delete_touches_our_files_only(tmp_path):
    folder = tmp_path / "c"
    context = ContextSet(folder)
    context.add(example())
    (folder / "notes.txt").write_text("mine")
    (folder / "image_77.png").write_bytes(b"mine too")
    context.delete()
    assert sorted(files_of(folder)) == ["image_77.png", "notes.txt"] and len(context) == 0
    other = ContextSet(tmp_path / "d")
    other.add(example())
    other.delete()
    assert not (tmp_path / "d").exists()


def test_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(ContextError, match="other files"):
        ContextSet(tmp_path)
    assert list(files_of(tmp_path)) == ["thesis.docx"]


def test_extension_folder_is_refused():
    inside = resource_path("Models").parent.parent / "MultiverSegSlicer" / "context"
    with pytest.raises(ContextError, match="inside the extension"):
        ContextSet(inside)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no JSON"),
        ('{"format": "multiverseg-cont', "no JSON"),
        ('{"format": "some other"}', "some other program"),
        ('{"format": "multiverseg-context", "version": 99, "examples": []}', "newer version"),
        ('{"format": "multiverseg-context", "version": 1, "grid_size": 256, "examples": []}', "256"),
        ('{"format": "multiverseg-context", "version": 1, "grid_size": 128, "examples": [{"id": "x"}]}', "malformed example"),
        ('{"format": "multiverseg-context", "version": 1, "grid_size": 128, "examples": [3]}', "malformed example"),
    ],
)
def test_damaged_manifest(tmp_path, content, words):
    (tmp_path / "context.json").write_text(content)
    with pytest.raises(ContextError, match=words) as caught:
        ContextSet(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_damaged_or_resized_picture(tmp_path):
    name = ContextSet(tmp_path / "c").add(example()).id
    path = tmp_path / "c" / f"mask_{name}.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContextError, match=path.name):
        _ = ContextSet(tmp_path / "c").examples[0].mask
    path.write_bytes(png(256, 256))
    with pytest.raises(ContextError, match="256 x 256"):
        ContextSet(tmp_path / "c")
    path.unlink()
    with pytest.raises(ContextError, match="missing"):
        ContextSet(tmp_path / "c")


def test_a_failed_write_changes_nothing(tmp_path, monkeypatch):
    context = ContextSet(tmp_path / "c")
    context.add(example())
    before = files_of(tmp_path / "c")
    full = OSError(28, "No space left on device")

    def fails(*_):
        raise full

    monkeypatch.setattr(os, "fsync", fails)  # the disk is full just when the list is written
    for change in (lambda: context.add(example(1)), lambda: context.remove(example().id)):
        with pytest.raises(ContextError, match="No space left"):
            change()
        assert [e.id for e in context] == [example().id]
    monkeypatch.undo()
    assert files_of(tmp_path / "c") == before
    context.add(example(1))
    assert [e.id for e in ContextSet(tmp_path / "c")] == [example().id, example(1).id]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ContextError, match="can't be written"):
            ContextSet(tmp_path / "c").add(example())
    finally:
        tmp_path.chmod(0o700)


# Archives


def test_export_and_import(tmp_path):
    source = ContextSet(tmp_path / "a")
    source.extend([example(0, axis="i"), weak(), example(2)])
    source.export_zip(tmp_path / "a.zip")
    for target in (ContextSet(tmp_path / "b"), ContextSet()):
        target.add(example(2))
        imported = target.import_zip(tmp_path / "a.zip")
        assert [e.id for e in imported] == [e.id for e in source]
        assert [e.id for e in target] == [source.examples[2].id, source.examples[0].id, source.examples[1].id]
        assert np.array_equal(target.get(weak().id).prompts, weak().prompts)
        assert target.get(source.examples[0].id).axis == "i"
    with pytest.raises(ContextError, match="no examples"):
        ContextSet().export_zip(tmp_path / "empty.zip")


@pytest.mark.parametrize("prefix", ["", "liver task/", "a\\b\\"])
def test_bare_pairs_as_the_peer_exports_them(tmp_path, prefix):
    import SimpleITK as sitk

    grey = (np.arange(128 * 128).reshape(128, 128) % 251).astype(np.uint8)
    mask = np.zeros((128, 128), np.uint8)
    mask[3:9, 100:110] = 255
    members = {f"{prefix}readme.txt": b"hello", "__MACOSX/._image_0.png": b"junk"}
    for number, values in ((0, mask), (3, mask // 255)):
        for kind, array in (("image", grey), ("mask", values)):
            sitk.WriteImage(sitk.GetImageFromArray(np.stack([array] * 3, -1), isVector=True), str(tmp_path / "x.png"))
            members[f"{prefix}{kind}_{number}.png"] = (tmp_path / "x.png").read_bytes()
    context = ContextSet(tmp_path / "c")
    imported = context.import_zip(archive(tmp_path / "task.zip", members))
    assert len(imported) == 2
    for e in imported:
        assert np.array_equal(e.image, grey / np.float32(255)) and np.array_equal(e.mask, mask // 255)
    assert imported[0].case == "task 0"


def refused(tmp_path, members, words):
    context = ContextSet(tmp_path / "c")
    context.add(example(9))
    before = files_of(tmp_path / "c")
    with pytest.raises(ContextError, match=words) as caught:
        context.import_zip(archive(tmp_path / "bad.zip", members))
    assert "\n" not in str(caught.value)
    assert files_of(tmp_path / "c") == before and len(context) == 1
    assert sorted(p.name for p in tmp_path.iterdir() if p.name not in ("picture.png", "c")) == ["bad.zip"]


@pytest.mark.parametrize("name", ["../image_0.png", "/tmp/image_0.png", "C:\\image_0.png", "a/../../image_0.png", "..\\image_0.png"])
def test_import_refuses_paths_that_lead_outside(tmp_path, name):
    refused(tmp_path, {name: picture(tmp_path, np.zeros((128, 128)))}, "outside")


def test_import_refuses_bombs(tmp_path, monkeypatch):
    refused(
        tmp_path, {"image_0.png": picture(tmp_path, np.zeros((128, 128))), "mask_0.png": png(128, 128) + bytes(50_000_000)}, "more than"
    )
    monkeypatch.setattr(zips, "MAX_BYTES", 1000)
    refused(tmp_path, {f"image_{i}.png": png(128, 128) + bytes(500) for i in range(9)}, "more than")
    monkeypatch.setattr(zips, "MAX_FILES", 5)
    refused(tmp_path, {f"{i}.txt": b"" for i in range(6)}, "more than 5")


def test_import_refuses_other_sizes_pairs_and_files(tmp_path):
    whole = picture(tmp_path, np.zeros((128, 128)))
    refused(tmp_path, {"image_0.png": whole, "mask_0.png": png(256, 256)}, "256 x 256")
    refused(tmp_path, {"image_0.png": png(60000, 60000), "mask_0.png": whole}, "60000")
    refused(tmp_path, {"image_0.png": whole}, "mask_0.png.*nothing was imported")
    refused(tmp_path, {"image_0.png": b"GIF89a", "mask_0.png": whole}, "not a PNG")
    refused(tmp_path, {"image_0.png": whole[:60], "mask_0.png": whole}, "damaged")
    refused(tmp_path, {"holiday.jpg": b"x", "run.exe": b"x"}, "no image_N.png")
    refused(tmp_path, {"a/image_0.png": whole, "b/mask_0.png": whole}, "more than one")
    refused(tmp_path, {"context.json": b"{}", "image_0.png": whole}, "not a context")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"hello"])
def test_import_of_something_else(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ContextError, match="nothing was imported"):
        ContextSet().import_zip(tmp_path / "x.zip")
    with pytest.raises(ContextError, match="nothing was imported"):
        ContextSet().import_zip(tmp_path / "none.zip")


def test_an_exported_zip_has_plain_pictures(tmp_path):
    context = ContextSet()
    context.extend([example(0), example(1)])
    context.export_zip(tmp_path / "a.zip")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "a.zip").read_bytes())) as opened:
        assert sorted(opened.namelist()) == ["context.json", "image_0.png", "image_1.png", "mask_0.png", "mask_1.png"]
        facts = json.loads(opened.read("context.json"))["examples"]
    assert [f["case"] for f in facts] == ["case 0", "case 1"]


def test_that_an_example_shows_absence_is_known_without_its_pictures(tmp_path):
    image = np.random.default_rng(3).random((128, 128))
    marked = np.zeros((3, 128, 128))
    marked[1, 5, 5] = 1
    nothing = np.zeros((128, 128))
    made = [Example(image, nothing, case="a"), Example(image, np.eye(128), case="b"), Example(image, nothing, marked, case="c")]
    assert [e.empty for e in made] == [True, False, False]
    stored = ContextSet(tmp_path)
    stored.extend(made)
    for path in tmp_path.glob("*.png"):
        path.write_bytes(path.read_bytes()[:24])  # the heads alone
    assert [e.empty for e in ContextSet(tmp_path).examples] == [True, False, False]
