"""Compressed MetaImage without CompressedDataSize."""

import re

from file_cases import PROMPTS, ball, write


def test_it_is_refused(command, tmp_path):
    whole = write(tmp_path / "b.mha", ball()[0])
    (tmp_path / "a.mha").write_bytes(re.sub(rb"CompressedDataSize = \d+\n", b"", whole.read_bytes()))
    told = command("segment", tmp_path / "a.mha", *PROMPTS, "-o", tmp_path / "o.seg.nrrd")
    assert told.code == 1 and "no CompressedDataSize" in told.error_line
    whole.rename(tmp_path / "B.MHA")
    done = command("segment", tmp_path / "B.MHA", *PROMPTS, "-o", tmp_path / "o.seg.nrrd")
    assert done.code == 0, done.err
