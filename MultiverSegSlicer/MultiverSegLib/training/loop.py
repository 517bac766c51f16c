"""The training loop (MultiverSeg, algorithm 1) on Lightning Fabric: one process or many, resumable to the step.

Since a batch follows from (seed, rank, step), the state of a run is the weights, the optimiser, the average and the step; a run that was
killed goes on from its last checkpoint exactly as if it had never stopped.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import MultiverSegError
from ..core.models.checkpoints import read_checkpoint, save_checkpoint
from ..core.networks import build_network
from .batches import SOURCES, Batch, BatchMaker
from .config import TrainConfig
from .corpus import Corpus
from .losses import SegmentationLoss
from .pretrained import load_imagenet_encoder
from .prompts import corrections, draw_manners, initial_prompts

STATE = "state.pt"


class EMA:
    """Exponential moving average of a network's weights; the decay warms up so that early weights are forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for name, value in network.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay) if value.is_floating_point() else self.weights[name].copy_(value)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of ``step``: linear warm-up, then a cosine from ``lr`` to ``lr * final_lr`` at the last step."""
    o = config.optim
    progress = min(max(step - o.warmup, 0) / max(config.total_steps - o.warmup, 1), 1.0)
    rate = o.lr * (o.final_lr + (1 - o.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
    return rate * min((step + 1) / o.warmup, 1.0) if o.warmup else rate


def freeze_unused(network: nn.Module, size: int = 32) -> None:
    """Parameters that no output depends on (the last block's support convolution) stop asking for gradients; DDP would wait for them."""
    target, context = torch.zeros(1, network.target_channels, size, size), torch.zeros(1, 1, network.context_channels, size, size)
    logits, present = bind(network, target[:, :1], context)(target)
    (logits.sum() + (0 if present is None else present.sum())).backward()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None


def copy_weights(network: nn.Module, weights: dict[str, Tensor], name: str = "The checkpoint") -> None:
    """Takes over the weights that fit by name and shape; parts that the network has and the checkpoint lacks stay as they are.

    Raises:
        MultiverSegError: less than half of the network's weights are there.
    """
    own = network.state_dict()
    fitting = {k: v.float() for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if 2 * len(fitting) < len(own):
        raise MultiverSegError(f"{name} fits {len(fitting)} of {len(own)} weights of the network: give a checkpoint of this architecture.")
    network.load_state_dict({**own, **fitting})


def parameter_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """The trained parameters; those of a pretrained encoder learn at ``encoder_share`` of the rate."""
    encoder = {id(p) for p in network.encoder.parameters()} if hasattr(network, "encoder") else set()
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in encoder], "share": 1.0},
        {"params": [p for p in trained if id(p) in encoder], "share": config.optim.encoder_share},
    ]
    return [g for g in groups if g["params"]]


Answer = tuple[Tensor, Tensor | None]


def bind(network: nn.Module, image: Tensor, context: Tensor | None) -> Callable[[Tensor], Answer]:
    """``network`` as a function from targets [B,5,H,W] of these images [B,1,H,W] and this context [B,m,5,H,W] to logits [B,1,H,W] and the logit
    [B] of the structure being there (None from networks that can't say).

    A network that caches encodes context and image, and reads the one for the other, once for all targets (see
    ``core.networks.CachingNetwork``).
    """
    if not hasattr(network, "decode"):
        return lambda target: (network(target, context), None)
    encoded = network.encode_target(image)
    readings = network.read(encoded, network.encode_context(network.empty_context(image) if context is None else context))
    if not hasattr(network, "decode_with_presence"):
        return lambda target: (network.decode(target, encoded, readings), None)
    return lambda target: network.decode_with_presence(target, encoded, readings)


class Lesson(NamedTuple):
    """What an interaction gives to learn from: ``losses`` [steps], and per step what went in (targets) and came out (logits), the losses of the
    rows [steps,B] and the logits of presence [steps,B] or None; without gradients but for ``losses``."""

    losses: Tensor
    inputs: list[Tensor]
    outputs: list[Tensor]
    each: Tensor
    present: Tensor | None


class Interaction(nn.Module):
    """The simulated interaction with one batch, as one forward pass, so that several processes exchange gradients once."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.options = network, config.prompts
        self.loss = SegmentationLoss(config.optim.focal_gamma, config.optim.focal_weight, config.absence.loss_weight)
        self.presence_weight = config.absence.presence_weight

    def forward(self, image: Tensor, label: Tensor, context: Tensor | None, before: int = 0, previous: Tensor | None = None) -> Lesson:
        """image, label [B,1,H,W], context [B,m,5,H,W] or None; an empty label says that the structure is not there.

        Args:
            before: so many steps are done first without learning from them, so that it also learns what to do with many prompts.
            previous: logits [B,1,H,W] to begin with, zeros for rows without any.
        """
        predict = bind(self.network, image, context)
        options = self.options
        known = torch.full((len(label),), context is not None, device=label.device)
        if previous is not None:
            known = known | previous.flatten(1).any(1)
        absent = known & (torch.rand(len(label), device=label.device) < options.absent_share)
        manners = draw_manners(len(label), options.click_share, options.scribble_share, label.device)
        prompts = initial_prompts(label, absent, options.box_share, manners)
        logits = torch.zeros_like(label) if previous is None else previous
        there = label.flatten(1).amax(1)
        losses, inputs, outputs, each, present = [], [], [], [], []
        for step in range(-before, options.steps):
            if step > -before:
                prompts = corrections(label, (logits > 0).to(label), prompts, manners, options.later_box_share)
            target = torch.cat([image, prompts, logits], 1)
            if step < 0:
                with torch.no_grad():
                    logits, _ = predict(target)
                continue
            output, presence = predict(target)
            rows = self.loss.each(output, label)
            each.append(rows.detach())
            if presence is not None:
                rows = rows + self.presence_weight * F.binary_cross_entropy_with_logits(presence, there, reduction="none")
                present.append(presence.detach())
            losses.append(rows.mean())
            logits = output.detach()
            inputs.append(target)
            outputs.append(logits)
        return Lesson(torch.stack(losses), inputs, outputs, torch.stack(each), torch.stack(present) if present else None)


class Tally:
    """How the rows of the last steps went: the first step's loss by source and by whether the structure is there, and how often the answer to
    that was right (at a probability of one half)."""

    GROUPS = tuple(f"{source}_{state}" for source in SOURCES for state in ("present", "absent"))

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, lesson: Lesson, batch: Batch) -> None:
        there = batch.label.flatten(1).any(1).tolist()
        losses = lesson.each[0].tolist()
        for row, source in enumerate(batch.sources):
            state = "present" if there[row] else "absent"
            self.values.setdefault(f"{source}_{state}", []).append(losses[row])
            if lesson.present is not None:
                self.values.setdefault(f"said_{state}", []).append(float((lesson.present[0, row] > 0).item() == there[row]))

    def row(self) -> dict[str, float]:
        """Means by group, NaN where nothing was seen, and shares of right answers."""
        return {g: _mean(self.values.get(g, ())) for g in (*self.GROUPS, "said_present", "said_absent")}

    def text(self) -> str:
        if not any(name.endswith("_absent") for name in self.values):
            return ""
        parts = ("present", "absent")
        losses = [_mean([v for s in SOURCES for v in self.values.get(f"{s}_{p}", ())]) for p in parts]
        right = [_mean(self.values.get(f"said_{p}", ())) for p in parts]
        return f"present {losses[0]:.3f} ({right[0]:.0%} seen)  absent {losses[1]:.3f} ({right[1]:.0%} seen)"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


class Trainer:
    """Trains one configuration in one folder: ``state.pt``, ``log.csv``, ``curves.png``, ``samples.png`` and the averaged weights ``ema.pt``.

    Args:
        folder: where everything is written; a run found there goes on.
        cache: folder for superpixel maps (default: beside the run).
        devices, nodes, accelerator: as Lightning Fabric takes them.
    """

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        folder: str | Path,
        cache: str | Path | None = None,
        accelerator: str = "auto",
        devices: int = 1,
        nodes: int = 1,
        say: Callable[[str], None] = print,
    ) -> None:
        from lightning_fabric import Fabric

        self.config, self.corpus, self.folder, self.say = config, corpus, Path(folder), say
        self.folder.mkdir(parents=True, exist_ok=True)
        self.many = devices * nodes > 1
        self.fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            precision=config.run.precision,
            strategy="ddp" if self.many else "auto",
        )
        self.fabric.launch()
        torch.manual_seed(config.run.seed)
        network = build_network(config.model)
        if getattr(network, "context_channels", 0) != 5:
            raise MultiverSegError("The training needs a network with context_channels: 5 (image, mask, box, positive, negative).")
        freeze_unused(network)
        if self.fabric.device.type == "cpu":
            network.to(memory_format=torch.channels_last)
        if config.run.initial:
            copy_weights(network, read_checkpoint(config.run.initial)["model"], config.run.initial)
        elif config.run.imagenet:
            load_imagenet_encoder(network)
        optimiser_class = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optim.name]
        optimiser = optimiser_class(parameter_groups(network, config), lr=config.optim.lr, weight_decay=config.optim.weight_decay)
        self.module = network
        self.interaction, self.optimiser = self.fabric.setup(Interaction(network, config), optimiser)
        self.ema = EMA(network, config.optim.ema)
        self.step, self.seconds, self.tally = 0, 0.0, Tally()
        self._resume()
        if self.fabric.global_rank == 0:
            self.batches = BatchMaker(config, corpus, cache or self.folder / "cache", self.fabric.device)
        self.fabric.barrier()
        if self.fabric.global_rank != 0:
            self.batches = BatchMaker(config, corpus, cache or self.folder / "cache", self.fabric.device)

    def train(self, until: int | None = None) -> float:
        """Runs to the last step (or to ``until``); returns the last logged mean loss."""
        # Focal loss with gamma 20 makes denormal gradients, which cost a CPU a hundred times more. The switch is the whole process's.
        torch.set_flush_denormal(self.fabric.device.type == "cpu")
        try:
            return self._train(until)
        finally:
            torch.set_flush_denormal(False)

    def _train(self, until: int | None) -> float:
        last = min(self.config.total_steps, until or self.config.total_steps)
        run, sums, since = self.config.run, [], time.perf_counter()
        mean = float("nan")
        while self.step < last:
            began = time.perf_counter()
            batch = self.batches.make(self.step, self.fabric.global_rank)
            made = time.perf_counter()
            lesson = self._step(batch)
            self.step += 1
            self.seconds += time.perf_counter() - began
            sums.append([*lesson.losses.detach().tolist(), made - began, len(batch.label)])
            self.tally.add(lesson, batch)
            if self.step % run.log_every == 0 or self.step == last:
                mean = self._log(torch.tensor(sums), time.perf_counter() - since)
                sums, since = [], time.perf_counter()
            if self.step % run.validate_every == 0 or self.step == last:
                self._validate()
                since = time.perf_counter()
            if self.step % run.save_every == 0 or self.step == last:
                self.save()
        return mean

    def _step(self, batch: Batch) -> Lesson:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.step) * group["share"]
        lesson = self.interaction(batch.image, batch.label, batch.context, batch.before, batch.previous)
        self.fabric.backward(lesson.losses.sum())
        if self.config.optim.clip is not None:
            self.fabric.clip_gradients(self.interaction, self.optimiser, max_norm=self.config.optim.clip, error_if_nonfinite=False)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.ema.update(self.module)
        return lesson

    def _log(self, sums: Tensor, seconds: float) -> float:
        means = sums.mean(0)
        steps = self.config.prompts.steps
        row = {
            "step": self.step,
            "loss": float(means[:steps].sum()),
            **{f"loss_{i + 1}": float(means[i]) for i in range(steps)},
            "lr": learning_rate(self.config, self.step - 1),
            "samples_per_second": float(sums[:, -1].sum()) * self.fabric.world_size / max(seconds, 1e-9),
            "data_share": float(sums[:, -2].sum()) / max(seconds, 1e-9),
        }
        self._write("log.csv", row)
        self._write("sources.csv", {"step": self.step, **self.tally.row()})
        self.say(
            f"step {self.step}/{self.config.total_steps}  loss {row['loss']:.4f}  lr {row['lr']:.2e}  "
            f"{row['samples_per_second']:.1f} samples/s  data {row['data_share']:.0%}  {self.tally.text()}"
        )
        self.tally = Tally()
        return row["loss"]

    def _write(self, name: str, row: dict[str, Any]) -> None:
        if self.fabric.global_rank:
            return
        path = self.folder / name
        new = not path.exists()
        with path.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, row)
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
        if self.config.run.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            with SummaryWriter(str(self.folder / "tensorboard")) as board:
                for key, value in row.items():
                    if key != "step":
                        board.add_scalar(f"{Path(name).stem}/{key}", value, self.step)

    def _validate(self) -> None:
        """Scores the averaged weights on the validation subjects and keeps the best ones as ``best.pt``."""
        from .validation import validate, validate_absence

        if not self.config.run.validation_tasks or self.fabric.global_rank:
            return
        network = self.averaged()
        began = time.perf_counter()
        data, count, size = self.config.data, self.config.run.validation_tasks, self.config.stages[-1].size
        tasks = self.corpus.tasks("val", data.min_area, 3, data.complete, self.config.absence.min_gap)
        row = validate(network, [t for t in tasks if t.dataset.picked], count, size, self.fabric.device)
        if not row:
            return
        if self.config.absence.share:
            row |= validate_absence(network, tasks, 2 * count, size, self.fabric.device)
        if "absent_said" in row:  # the mean of both kinds counts as much as a tenth of the rest
            row["score"] = 0.9 * row["score"] + 0.05 * (row["absent_said"] + 1 - row["present_missed"])
        best = row["score"] > self._best_score()
        self._write("validation.csv", {"step": self.step, **row, "seconds": time.perf_counter() - began})
        self.say("validation  " + "  ".join(f"{k} {v:.3f}" for k, v in row.items()))
        if best:
            self.export(self.folder / "best.pt", network)

    def _best_score(self) -> float:
        """Of the validations so far."""
        path = self.folder / "validation.csv"
        if not path.is_file():
            return -1.0
        with path.open() as stream:
            return max((float(row["score"]) for row in csv.DictReader(stream)), default=-1.0)

    def averaged(self) -> nn.Module:
        """A copy of the network with the averaged weights, in evaluation mode."""
        network = build_network(self.module.architecture)
        network.load_state_dict(self.ema.weights)
        return network.to(self.fabric.device).eval()

    def export(self, path: Path, network: nn.Module | None = None) -> Path:
        """Writes weights as the extension loads them (fp16), with what they were trained on."""
        return save_checkpoint(path, network or self.averaged(), training=self.description())

    def description(self) -> dict[str, Any]:
        """Plain values for the checkpoint and the model card."""
        return {
            "steps": self.step,
            "hours": round(self.seconds / 3600, 2),
            "licence_gate": self.config.data.licence,
            "datasets": [d.name for d in self.corpus.datasets],
            "unlabelled": sorted(self.corpus.unlabelled),
            "config": self.config.model_dump(mode="json"),
        }

    def save(self) -> None:
        """Writes the state and the averaged weights atomically: a kill at any time leaves the older ones."""
        if self.fabric.global_rank == 0:
            state = {
                "step": self.step,
                "seconds": self.seconds,
                "model": self.module.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "ema": self.ema.weights,
                "ema_count": self.ema.count,
            }
            temporary = self.folder / f".{STATE}.{os.getpid()}"
            torch.save(state, temporary)
            os.replace(temporary, self.folder / STATE)
            self.export(self.folder / "ema.pt")
            self._plots()
        self.fabric.barrier()

    def _plots(self) -> None:
        from .plots import plot_curves, plot_samples

        plot_curves(self.folder)
        plot_samples(self.averaged(), self.batches, self.config, self.folder / "samples.png")

    def _resume(self) -> None:
        path = self.folder / STATE
        if not path.is_file():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self.module.load_state_dict(state["model"])
        except RuntimeError as error:
            raise MultiverSegError(
                f"{path} is a run of another architecture: give another folder, or the run's own configuration."
            ) from error
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema.weights = {k: v.to(self.fabric.device) for k, v in state["ema"].items()}
        self.ema.count, self.step, self.seconds = state["ema_count"], state["step"], state["seconds"]
        for name in ("log.csv", "sources.csv", "validation.csv"):
            _drop_rows_after(self.folder / name, self.step)
        self.say(f"resumed {self.folder} at step {self.step}")


def _drop_rows_after(path: Path, step: int) -> None:
    """Rows that a killed run logged after its last checkpoint will be logged again."""
    if path.is_file():
        lines = path.read_text().splitlines()
        kept = [line for line in lines[1:] if line and line.split(",")[0].isdigit() and int(line.split(",")[0]) <= step]
        path.write_text("\n".join([lines[0], *kept]) + "\n")
