"""The training loop (MultiverSeg, algorithm 1) on Lightning Fabric: one process or many, resumable to the step.

Since a batch follows from (seed, rank, step), the state of a run is the weights, the optimiser, the average and the step; a run that was
killed goes on from its last checkpoint exactly as if it had never stopped.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import MultiverSegError
from ..core.families import build_network
from ..core.models.checkpoints import read_checkpoint, save_checkpoint
from ..core.networks import SliceNetwork
from .batches import Batch, BatchMaker
from .config import TrainConfig
from .corpus import Corpus
from .interaction import Interaction, Lesson
from .optimisation import EMA, copy_weights, freeze_unused, learning_rate, parameter_groups
from .plots import plot_curves, plot_samples
from .pretrained import load_imagenet_encoder
from .tally import Tally
from .validation import validate, validate_absence

STATE = "state.pt"


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
        if not isinstance(network, SliceNetwork) or network.context_channels != 5:
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
