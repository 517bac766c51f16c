"""The training configuration: one YAML file, checked by pydantic. Every field has a default from the paper or from `compact`'s recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import MultiverSegError


class ConfigError(MultiverSegError):
    """The training configuration can't be read or has a wrong value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataConfig(_Section):
    """Which real images train."""

    licence: Literal["bundle", "any"] = Field("bundle", description="bundle: only datasets whose licence lets the weights be shipped")
    unlabelled: bool = True
    only: list[str] | None = Field(None, description="names of datasets; null: all that pass the gates")
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    min_area: int = Field(20, ge=1, description="labelled pixels (of 128 x 128) an image must have to count for a task")
    dataset_power: float = Field(0.0, ge=0, le=1, description="datasets are drawn in proportion to images ** power; 0: all alike (B.1)")
    most_images: int = Field(10**9, ge=1, description="a dataset counts as having no more than these images when datasets are drawn")
    favour: dict[str, float] = Field(default_factory=dict, description="how many times more often than that a dataset is drawn")
    volumes: bool = Field(False, description="the slices of the corpus' 3D volumes too")
    complete: list[str] = Field(
        default_factory=list, description="datasets that draw every structure wherever it is, so that an empty mask means that it is absent"
    )


class SourceConfig(_Section):
    """Shares of the sources of tasks; they are normalised."""

    real: float = Field(0.5, ge=0)
    superpixel: float = Field(0.5, ge=0, description="synthetic tasks from real images (p_synth of the paper)")
    shapes: float = Field(0.0, ge=0, description="fully synthetic images and labels")
    superpixel_scale: tuple[float, float] = (1.0, 500.0)
    superpixel_maps: int = Field(2, ge=1, description="superpixel maps kept for each image")


class ContextConfig(_Section):
    """The context of a target."""

    max_size: int = Field(64, ge=0, description="sizes are drawn from U[0, max_size]")
    empty_share: float = Field(0.0, ge=0, le=1, description="share of batches without context, beside those that draw size 0")
    weak_share: float = Field(0.2, ge=0, le=1, description="entries that carry prompts in place of a mask, in mixed batches")
    all_weak_share: float = Field(0.1, ge=0, le=1, description="batches whose entries all carry prompts only")
    both_share: float = Field(0.2, ge=0, le=1, description="masks that come with the prompts they were made with")
    noisy_share: float = Field(0.15, ge=0, le=1, description="masks made imperfect, as predicted ones are")
    wrong_share: float = Field(0.0, ge=0, le=1, description="masks made grossly wrong, as accepted failures are")


class AbsenceConfig(_Section):
    """Slices without the structure, and slices of volumes."""

    share: float = Field(0.0, ge=0, le=1, description="targets without their structure, where something tells what it is")
    foreign_share: float = Field(0.15, ge=0, le=1, description="of these, images of another dataset in place of the same one's")
    min_gap: float = Field(1.5, ge=0, description="mm beyond a structure's end from where its absence is certain")
    entry_share: float = Field(0.25, ge=0, le=1, description="examples that show the absence, in the half of the contexts that have any")
    widest_share: float = Field(0.0, ge=0, le=1, description="contexts made of each volume's widest slice, as accepted cases give them")
    own_share: float = Field(0.0, ge=0, le=1, description="contexts with slices of the target's own volume, as confirmed ones are")
    neighbour_share: float = Field(0.0, ge=0, le=1, description="targets that begin with a neighbouring slice's mask as previous logits")
    reach: int = Field(3, ge=1, description="how many slices away that neighbour may be")
    loss_weight: float = Field(1.0, ge=0, description="of a mask where there is none, beside the loss of the others")
    presence_weight: float = Field(0.5, ge=0, description="of the answer to whether the structure is there")


class PromptConfig(_Section):
    """The simulated interaction with a target."""

    steps: int = Field(3, ge=1, description="steps that the network learns from")
    long_share: float = Field(0.0, ge=0, le=1, description="share of batches whose interaction began before these steps")
    long_steps: int = Field(7, ge=1, description="up to this many steps earlier (drawn from 1 to this)")
    click_share: float = Field(0.2, ge=0, le=1, description="interactions of single centre clicks alone, as the evaluation protocol's")
    scribble_share: float = Field(0.1, ge=0, le=1, description="interactions of centerline scribbles alone, as the evaluation protocol's")
    absent_share: float = Field(0.4, ge=0, le=1, description="targets without prompts in the first step, where there is context")
    box_share: float = Field(0.25, ge=0, le=1, description="targets with a box among the first prompts")
    later_box_share: float = Field(0.0, ge=0, le=1, description="corrections that are a box")


class StageConfig(_Section):
    """A stretch of the training at one resolution."""

    steps: int = Field(ge=1)
    size: int = Field(128, ge=16)
    batch: int = Field(2, ge=1, description="targets per process and step")
    max_context: int | None = Field(None, description="overrides context.max_size in this stage")


class OptimConfig(_Section):
    name: Literal["adam", "adamw"] = "adam"
    lr: float = Field(1e-4, gt=0)
    final_lr: float = Field(1.0, gt=0, le=1, description="the last rate as a share of lr; the way there is a cosine (1: constant)")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    weight_decay: float = 0.0
    clip: float | None = Field(None, description="largest gradient norm")
    focal_gamma: float = Field(20.0, ge=0)
    focal_weight: float = Field(1.0, ge=0)
    encoder_share: float = Field(1.0, ge=0, description="rate of an encoder with ImageNet weights, as a share of lr")
    ema: float = Field(0.999, ge=0, lt=1)


class RunConfig(_Section):
    seed: int = 0
    save_every: int = Field(500, ge=1)
    log_every: int = Field(20, ge=1)
    validate_every: int = Field(500, ge=1)
    validation_tasks: int = Field(40, ge=0)
    precision: str = "32-true"
    tensorboard: bool = False
    imagenet: bool = Field(False, description="start a cached network's encoder from ImageNet weights (a pip package)")
    initial: str | None = Field(None, description="a checkpoint whose weights the training starts from")


class TrainConfig(_Section):
    """The whole configuration. ``model`` is the description that ``core.families.build_network`` takes."""

    model: dict[str, Any]
    stages: list[StageConfig] = Field(min_length=1)
    data: DataConfig = DataConfig()
    sources: SourceConfig = SourceConfig()
    context: ContextConfig = ContextConfig()
    absence: AbsenceConfig = AbsenceConfig()
    prompts: PromptConfig = PromptConfig()
    optim: OptimConfig = OptimConfig()
    run: RunConfig = RunConfig()
    augment: dict[Literal["synthetic", "within_task", "task"], dict[str, dict[str, Any]]] = Field(
        default_factory=dict, description="changes to the tables 4, 5a and 5b, e.g. {task: {sobel_label: {p: 0.1}}}"
    )

    @model_validator(mode="after")
    def _checks(self) -> TrainConfig:
        if self.sources.real + self.sources.superpixel + self.sources.shapes <= 0:
            raise ValueError("sources: at least one share must be above 0")
        self.augmentation_tables()
        return self

    @property
    def total_steps(self) -> int:
        return sum(s.steps for s in self.stages)

    def stage_at(self, step: int) -> StageConfig:
        """The stage that step ``step`` (from 0) belongs to."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]

    def augmentation_tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Tables 4, 5a and 5b with this configuration's changes."""
        from . import augment

        tables = {}
        for name in ("synthetic", "within_task", "task"):
            table = {k: dict(v) for k, v in getattr(augment, name.upper()).items()}
            for operation, changes in self.augment.get(name, {}).items():
                if operation not in table or set(changes) - set(table[operation]):
                    raise ValueError(
                        f"augment.{name}.{operation}: {changes} does not fit table entries {table.get(operation, list(table))}"
                    )
                table[operation].update(changes)
            tables[name] = table
        return tables


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Reads a YAML file and then sets single fields: ``changes`` are "section.field=value", the value in YAML.

    Raises:
        ConfigError: one line that names the file and the first wrong field.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError, TypeError) as error:  # not UTF-8, no such day, nested too deeply
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path} can't be read as YAML: {reason}.") from error
    for change in changes:
        _change(data, change)
    return parse_config(data, str(path))


def _change(data: Any, change: str) -> None:
    import yaml

    keys, equals, text = change.partition("=")
    *way, last = keys.split(".")
    try:
        value = yaml.safe_load(text)
        for key in way:
            data = data[int(key)] if isinstance(data, list) else data.setdefault(key, {})
        data[int(last) if isinstance(data, list) else last] = value
    except (yaml.YAMLError, AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {change}: give section.field=value, e.g. sources.shapes=0 or stages.0.steps=300.") from error
    if not equals:
        raise ConfigError(f"--set {change}: the value is missing, e.g. sources.shapes=0.")


def parse_config(data: Any, name: str = "The configuration") -> TrainConfig:
    """A checked configuration from plain values; raises ConfigError."""
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "top level"
        raise ConfigError(f"{name}: {where}: {first['msg']} ({error.error_count()} such).") from error
