"""The bench measures every stage on a small volume; how fast a machine is, no test can say."""

from __future__ import annotations

import json


def test_the_stages_from_prompt_to_segment(command, checkpoint):
    ran = command("bench", "--size", "40,32,16", "--repeats", 1, "--model", checkpoint, "--features", 4)
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    stages = result["stages"]
    assert result["volume"] == [40, 32, 16] and result["goal_ms"] == 200
    parts = ["sample", "rasterize", *(f"predict, {n} examples" for n in (0, 8, 16)), "paste and write"]
    wholes = [f"prompt to updated segment, {n} examples" for n in (0, 8, 16)]
    assert list(stages) == [*parts, *wholes, "next prompt on the same slice, 8 examples"]
    assert all(0 < stage["best_ms"] <= stage["median_ms"] for stage in stages.values())
    assert result["geometry"]["steps"]["array_round_trip"]["median_ms"] > 0 and result["geometry"]["ratio"] > 0
    assert [row["entries"] for row in result["network"]["rows"]] == [8, 16]
    assert all(row["ratio"] > 0 and row["ours"]["peak_gb"] > 0 for row in result["network"]["rows"])
    assert "prompt to updated segment" in ran.err, "the table is for people, on standard error"


def test_only_json_when_asked(command, checkpoint):
    ran = command("bench", "--size", "40,32,16", "--repeats", 1, "--model", checkpoint, "--stages-only", "--json")
    assert ran.code == 0 and "sample" not in ran.err and json.loads(ran.out)["stages"]


def test_the_geometry_alone(command):
    ran = command("bench", "geometry", "--size", "40,32,16", "--repeats", 1)
    assert ran.code == 0, ran.err
    assert {"sample", "rasterize", "write", "array_round_trip"} <= set(json.loads(ran.out)["steps"])
    assert "array round trip" in ran.err
