"""The configuration file: defaults, checks, schedule."""

import math

import pytest
from MultiverSegLib.core.resources import resource_path
from MultiverSegLib.training.augment import TASK
from MultiverSegLib.training.config import ConfigError, load_config, parse_config
from MultiverSegLib.training.optimisation import learning_rate
from MultiverSegLib.training.smoke import SMOKE

MINIMAL = {"model": {"family": "multiverseg"}, "stages": [{"steps": 10}]}


def test_defaults_are_the_papers():
    config = parse_config(MINIMAL)
    assert config.optim.name == "adam" and config.optim.lr == 1e-4 and config.optim.focal_gamma == 20
    assert config.context.max_size == 64 and config.prompts.steps == 3
    assert config.sources.real == config.sources.superpixel == 0.5 and config.sources.superpixel_scale == (1, 500)
    assert config.stages[0].batch == 2 and config.stages[0].size == 128
    assert config.data.licence == "bundle" and config.data.fractions == (0.6, 0.2, 0.2)
    assert config.augmentation_tables()["task"] == TASK


@pytest.mark.parametrize("name", ["compact.yaml", "compact-finish.yaml", "crossblock.yaml", "paper.yaml"])
def test_shipped_recipes_are_valid_and_build_their_networks(name):
    from MultiverSegLib.core.families import build_network

    config = load_config(resource_path("Training", name))
    assert config.data.licence == "bundle", "a shipped recipe trains what may be shipped"
    if name != "paper.yaml":
        network = build_network(config.model)
        assert sum(p.numel() for p in network.parameters()) * 2 < 4e6


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"stages": []}, "stages"),
        ({"optim": {"lr": -1}}, r"optim\.lr"),
        ({"optim": {"learning_rate": 1}}, r"optim\.learning_rate"),
        ({"data": {"licence": "all"}}, r"data\.licence"),
        ({"context": {"weak_share": 2}}, r"context\.weak_share"),
    ],
)
def test_mistakes_are_named(change, where):
    with pytest.raises(ConfigError, match=where):
        parse_config({**MINIMAL, **change})


def test_single_fields_are_set_after_the_file():
    path = resource_path("Training", "compact.yaml")
    config = load_config(path, ["sources.shapes=0", "stages.0.steps=7", "optim.name=adam", "augment.task.sobel_label={p: 0.5}"])
    assert config.sources.shapes == 0 and config.total_steps == 7 and config.optim.name == "adam"
    assert config.augmentation_tables()["task"]["sobel_label"]["p"] == 0.5
    assert load_config(path).sources.shapes > 0


@pytest.mark.parametrize(
    "change", ["sources.shapes", "sources.shapes.x=1", "stages.7.steps=1", "stages.first=1", "optim.lr=[", "optim.rate=1"]
)
def test_a_field_that_can_not_be_set_is_named(change):
    with pytest.raises(ConfigError, match=r"--set|optim\.rate"):
        load_config(resource_path("Training", "compact.yaml"), [change])


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="absent"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(tmp_path / "bad.yaml")


def test_stages_follow_each_other():
    config = parse_config({**MINIMAL, "stages": [{"steps": 3, "size": 64}, {"steps": 2, "size": 128}]})
    assert [config.stage_at(s).size for s in range(6)] == [64, 64, 64, 128, 128, 128] and config.total_steps == 5


def test_the_rate_warms_up_and_follows_a_cosine():
    config = parse_config({**SMOKE, "stages": [{"steps": 100}], "optim": {"lr": 1.0, "final_lr": 0.1, "warmup": 10}})
    assert learning_rate(config, 0) == pytest.approx(0.1) and learning_rate(config, 9) == pytest.approx(1.0)
    assert learning_rate(config, 55) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.5)))
    assert learning_rate(config, 100) == pytest.approx(0.1)
    assert learning_rate(parse_config(MINIMAL), 5) == 1e-4, "constant by default"


def test_augmentation_tables_can_be_changed_entry_by_entry():
    config = parse_config({**MINIMAL, "augment": {"task": {"sobel_label": {"p": 0.1}}}})
    assert config.augmentation_tables()["task"]["sobel_label"] == {"p": 0.1}
    assert config.augmentation_tables()["task"]["affine"] == TASK["affine"] and TASK["sobel_label"]["p"] == 0.5


@pytest.mark.parametrize(
    "content",
    [b"seed: \xff\xfe", b"seed: 2026-02-31", b"[" * 5000, b"? [a]\n: b", b"\x00", b"- 1", b"&a [*a]", b"!!python/object:os.system 1"],
)
def test_files_that_are_no_configuration_give_one_line(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "x.yaml" in str(caught.value) and "\n" not in str(caught.value)
