"""Contexts that several processes use at once, that were damaged, or that somebody else made."""

import json
import subprocess
import sys
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from MultiverSegLib import core
from MultiverSegLib.core.context import files as context_files
from MultiverSegLib.core.context.context_set import ContextSet, Example
from MultiverSegLib.core.context.features import FeatureFile
from MultiverSegLib.core.errors import ContextError
from MultiverSegLib.core.files import os_lock

ROOT = Path(core.__file__).resolve().parents[2]


def example(seed=0, **options):
    rng = np.random.default_rng(seed)
    mask = np.zeros((128, 128), np.uint8)
    mask[10 + seed % 50 : 40 + seed % 50, 20:60] = 1
    return Example(rng.random((128, 128), dtype=np.float32), mask, **{"case": f"case {seed}", "structure": "liver", **options})


ADDER = """
import sys, numpy as np
from MultiverSegLib.core.context.context_set import ContextSet, Example
folder, first = sys.argv[1], int(sys.argv[2])
context = ContextSet(folder)  # what it holds is read before the others begin
print("ready", flush=True)
sys.stdin.readline()
for seed in range(first, first + 4):
    mask = np.zeros((128, 128)); mask[:seed + 1] = 1
    context.add(Example(np.full((128, 128), seed / 255), mask, case=f"case {seed}"))
"""


def test_processes_that_add_at_once_lose_nothing_and_mix_nothing(tmp_path):
    folder = tmp_path / "c"
    adders = [
        subprocess.Popen([sys.executable, "-c", ADDER, str(folder), str(10 * n)], cwd=ROOT, stdin=-1, stdout=-1, text=True)
        for n in range(3)
    ]
    for adder in adders:
        assert adder.stdout.readline() == "ready\n"
    for adder in adders:
        adder.stdin.write("go\n")
        adder.stdin.flush()
    for adder in adders:
        adder.communicate()
        assert adder.returncode == 0
    examples = ContextSet.load(folder).examples
    assert sorted(e.case for e in examples) == sorted(f"case {10 * n + i}" for n in range(3) for i in range(4))
    for e in examples:
        seed = int(e.case.split()[1])
        assert np.allclose(e.image, seed / 255) and e.mask.sum() == 128 * (seed + 1)


def test_a_set_that_is_open_learns_of_others(tmp_path):
    mine, yours = ContextSet(tmp_path / "c"), ContextSet(tmp_path / "c")
    first = mine.add(example(0))
    second = yours.add(example(1))
    assert [e.id for e in yours] == [first.id, second.id] and len(mine) == 1
    assert mine.refresh() and not mine.refresh() and [e.id for e in mine] == [first.id, second.id]
    assert mine.features().shape == (2, 256)
    yours.remove(first.id)
    mine.move(second.id, 0)
    assert [e.id for e in mine] == [second.id]
    with pytest.raises(ContextError, match="no example"):
        mine.remove(first.id)
    yours.delete()
    assert mine.add(example(3)).case == "case 3" and [e.case for e in ContextSet.load(tmp_path / "c")] == ["case 3"]


def test_a_reader_beside_a_writer_sees_a_whole_context(tmp_path):
    context = ContextSet(tmp_path / "c")
    context.extend([example(n) for n in range(3)])
    done = threading.Event()

    def change():
        seed = 10
        while not done.is_set():
            added = context.add(example(seed))
            context.remove(added.id)
            seed += 1

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(40):
            assert 3 <= len(ContextSet.load(tmp_path / "c")) <= 4
    finally:
        done.set()
        writer.join()


def test_pictures_of_another_case_are_not_believed(tmp_path):
    context = ContextSet(tmp_path / "c")
    one, other = context.add(example(0)), context.add(example(1))
    (tmp_path / "c" / f"mask_{one.id}.png").write_bytes((tmp_path / "c" / f"mask_{other.id}.png").read_bytes())
    again = ContextSet.load(tmp_path / "c")
    with pytest.raises(ContextError, match=f"not the ones that were accepted.*remove example {one.id}"):
        _ = again.get(one.id).mask
    assert again.get(other.id).mask is not None
    again.remove(one.id)
    assert [e.id for e in ContextSet.load(tmp_path / "c")] == [other.id]


def old_folder(folder: Path, examples, numbers=None) -> None:
    """As version 1 wrote it: pictures with numbers."""
    folder.mkdir()
    lines = []
    for number, e in zip(numbers or range(len(examples)), examples, strict=True):
        context_files.write_pixels(folder, str(number), e.pixels)
        lines.append(json.dumps({**e.facts(), "number": number, "mask": True, "prompts": False}))
    (folder / "context.json").write_text(context_files.manifest(lines, 1))


def test_folders_of_the_first_version_go_on(tmp_path):
    old = [example(0), example(1)]
    old_folder(tmp_path / "c", old)
    context = ContextSet.load(tmp_path / "c")
    new = context.add(example(2))
    again = ContextSet.load(tmp_path / "c")
    assert [e.id for e in again] == [*(e.id for e in old), new.id] and all(e.mask is not None for e in again)
    assert (tmp_path / "c" / "image_0.png").is_file() and (tmp_path / "c" / f"image_{new.id}.png").is_file()
    again.remove(old[0].id)
    assert not (tmp_path / "c" / "image_0.png").exists() and (tmp_path / "c" / "image_1.png").exists()


def test_one_number_for_two_examples_is_refused(tmp_path):
    old_folder(tmp_path / "c", [example(0), example(1)], numbers=[4, 4])
    with pytest.raises(ContextError, match="two examples with the same pictures"):
        ContextSet(tmp_path / "c")


@pytest.mark.parametrize("number", ["Infinity", "1e400", "true", '"../x"', "-1", "null", "[]", '"0123456789abcdeg"', "12345678901"])
def test_names_of_pictures_that_are_none(tmp_path, number):
    old_folder(tmp_path / "c", [example(0)])
    text = (tmp_path / "c" / "context.json").read_text()
    (tmp_path / "c" / "context.json").write_text(text.replace('"number": 0', f'"number": {number}'))
    with pytest.raises(ContextError, match="malformed example"):
        ContextSet(tmp_path / "c")


def test_deeply_nested_json_is_damage(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "context.json").write_text("[" * 100_000)
    with pytest.raises(ContextError, match="no JSON"):
        ContextSet(tmp_path / "c")


def test_features_survive_and_damaged_ones_are_computed_again(tmp_path):
    context = ContextSet(tmp_path / "c")
    context.extend([example(n) for n in range(5)])
    file = tmp_path / "c" / ".features"
    whole = file.read_bytes()
    assert len(FeatureFile(tmp_path / "c").load()) == 5
    right = context.features()
    rng = np.random.default_rng(0)
    for n in range(24):
        content = bytearray(whole)
        if n % 3:
            content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        else:
            content = content[: rng.integers(len(content))]
        file.write_bytes(content)
        again = ContextSet.load(tmp_path / "c")
        assert np.allclose(again.features(), right, atol=1e-3)
        assert len(FeatureFile(tmp_path / "c").load()) == 5  # mended


def test_features_are_appended_not_rewritten(tmp_path):
    context = ContextSet(tmp_path / "c")
    file = tmp_path / "c" / ".features"
    context.add(example(0))
    before, size = file.stat().st_ino, file.stat().st_size
    context.add(example(1))
    assert file.stat().st_ino == before and file.stat().st_size - size < 600
    (tmp_path / "c" / ".features.npz").write_bytes(b"of an older version")
    context.delete()
    assert not (tmp_path / "c").exists()


def test_many_examples_are_flushed_together_and_progress_is_told(tmp_path, monkeypatch):
    source = ContextSet()
    source.extend([example(n) for n in range(12)])
    source.export_zip(tmp_path / "a.zip")
    seen, syncs = [], []
    monkeypatch.setattr("os.sync", lambda: syncs.append(1), raising=False)
    ContextSet(tmp_path / "c").import_zip(tmp_path / "a.zip", lambda done, total: seen.append((done, total)))
    assert seen == [(n, 12) for n in range(1, 13)] and syncs == [1]


def damaged_zips(tmp_path):
    source = ContextSet()
    source.extend([example(0), example(1)])
    source.export_zip(tmp_path / "a.zip")
    whole = (tmp_path / "a.zip").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(80):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        yield bytes(content)
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(tmp_path / "b.zip", "w", method) as opened:
            opened.writestr("image_0.png", bytes(2000))
        content = bytearray((tmp_path / "b.zip").read_bytes())
        content[50:60] = bytes(10)
        yield bytes(content)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.writestr(zipfile.ZipInfo(""), b"no name")
    yield (tmp_path / "b.zip").read_bytes()


def test_damaged_zips_end_in_one_sentence(tmp_path):
    assert zlib.error.__mro__[1] is Exception  # not an OSError: it has to be named
    outcomes = set()
    for content in damaged_zips(tmp_path):
        (tmp_path / "bad.zip").write_bytes(content)
        context = ContextSet()
        try:
            context.import_zip(tmp_path / "bad.zip")
            outcomes.add("read")  # a bit that doesn't matter
        except ContextError as error:
            assert "\n" not in str(error) and "/tmp" + "/tmp" not in str(error)
            outcomes.add("refused")
            assert len(context) == 0
    assert "refused" in outcomes


def test_a_lock_that_was_deleted_is_not_held_by_two(tmp_path):
    with os_lock(tmp_path / "x"):
        (tmp_path / "x").unlink()
    with os_lock(tmp_path / "x"):
        assert (tmp_path / "x").exists()


def test_a_lock_is_no_way_to_another_file(tmp_path):
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".context.lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(ContextError, match="can't be written"):
        ContextSet(tmp_path / "c").add(example())
    assert (tmp_path / "thesis").read_text() == "mine"
