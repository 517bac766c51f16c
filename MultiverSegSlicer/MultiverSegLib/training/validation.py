"""Model selection: a fixed set of interactions on the validation subjects of the training datasets. Evaluation datasets play no part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .batches import rescale
from .corpus import Task
from .interaction import bind
from .prompts import center_clicks


def validation_set(tasks: Sequence[Task], count: int, context: int, size: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """``count`` (images [context + 1, H, W], labels) groups, spread over the tasks; the same for the same seed."""
    rng = np.random.default_rng(seed)
    order = list(rng.permutation(len(tasks)))
    groups = []
    for i in range(count if tasks else 0):
        task = tasks[order[i % len(tasks)]]
        chosen = rng.permutation(task.indices)[: context + 1]
        chosen = np.concatenate([chosen, rng.choice(chosen[1:], context + 1 - len(chosen))]) if len(chosen) <= context else chosen
        images = torch.from_numpy(task.dataset.pictures(chosen, rng)).float()[None] / 255
        masks = torch.from_numpy(np.stack([task.dataset.mask(j, task.label) for j in chosen])).float()[None]
        if size != images.shape[-1]:
            images, masks = (F.interpolate(x, size=(size, size), mode="area") for x in (images, masks))
        groups.append((rescale(images[0]), (masks[0] >= 0.5).float()))
    return [g for g in groups if g[1][0].any()]


def absence_set(tasks: Sequence[Task], count: int, context: int, size: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """As ``validation_set``, from tasks with known absence: in every second group the target does not show the structure. The context comes from
    other subjects where there are any."""
    rng = np.random.default_rng(seed)
    usable = [t for t in tasks if len(t.absent)]
    order = rng.permutation(len(usable))
    groups = []
    for i in range(count if usable else 0):
        task = usable[order[i // 2 % len(usable)]]
        target = int(rng.choice(task.absent if i % 2 else task.indices))
        subjects = task.dataset.subjects
        others = task.indices[subjects[task.indices] != subjects[target]]
        others = others if len(others) else task.indices[task.indices != target]
        chosen = np.concatenate([[target], rng.choice(others, context, replace=len(others) < context)])
        images = torch.from_numpy(task.dataset.pictures(chosen, rng)).float()[None] / 255
        masks = torch.from_numpy(np.stack([task.dataset.mask(j, task.label) for j in chosen])).float()[None]
        if size != images.shape[-1]:
            images, masks = (F.interpolate(x, size=(size, size), mode="area") for x in (images, masks))
        groups.append((rescale(images[0]), (masks[0] >= 0.5).float()))
    return groups


@torch.no_grad()
def validate_absence(
    network: nn.Module, tasks: Sequence[Task], count: int, size: int, device: torch.device | str = "cpu", context: int = 5
) -> dict[str, float]:
    """From ``context`` examples alone: the share of slices without the structure that are called so (``absent_said``), and of slices with it
    (``present_missed``); the same for masks without a pixel; the Dice where it is there. Empty where no task knows of absence.

    A network that can't say whether the structure is there says so by an empty mask.
    """
    groups = absence_set(tasks, count, context, size)
    said, empty, right, there = [], [], [], []
    for start in range(0, len(groups), 8):
        images, labels = (torch.stack(x).to(device) for x in zip(*groups[start : start + 8], strict=True))
        image, label = images[:, :1], labels[:, :1]
        entries = torch.stack([images[:, 1:], labels[:, 1:]], 2)
        entries = torch.cat([entries, entries.new_zeros(*entries.shape[:2], 3, *entries.shape[3:])], 2)
        logits, present = bind(network, image, entries)(torch.cat([image, torch.zeros_like(label).expand(-1, 4, -1, -1)], 1))
        nothing = ~(logits > 0).flatten(1).any(1)
        said.append(nothing if present is None else present < 0)
        empty.append(nothing)
        there.append(label.flatten(1).any(1))
        right.append(soft_free_dice(logits, label))
    if not groups:
        return {}
    called, blank, dice, present_there = (torch.cat(x) for x in (said, empty, right, there))
    return {
        "absent_said": float(called[~present_there].float().mean()),
        "present_missed": float(called[present_there].float().mean()),
        "absent_empty": float(blank[~present_there].float().mean()),
        "present_empty": float(blank[present_there].float().mean()),
        "present_dice": float(dice[present_there].mean()),
    }


def soft_free_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Dice [B] of thresholded logits and labels [B, 1, H, W]."""
    mask = (logits > 0).to(label)
    return (2 * (mask * label).flatten(1).sum(1) + 1e-6) / (mask.flatten(1).sum(1) + label.flatten(1).sum(1) + 1e-6)


#: Centre clicks after which the Dice is measured, without and with context.
CLICKS = {"click": (1, 5, 10), "context": (0, 1, 5, 10)}


@torch.no_grad()
def validate(
    network: nn.Module, tasks: Sequence[Task], count: int, size: int, device: torch.device | str = "cpu", context: int = 5
) -> dict[str, float]:
    """Mean Dice over ``count`` groups of ``tasks`` on a grid of ``size`` after 1, 5 and 10 centre clicks without context, and after 0, 1, 5 and
    10 with ``context`` examples; ``score`` is the mean of these. Empty where there are no tasks."""
    groups = validation_set(tasks, count, context, size)
    scores: dict[str, list[Tensor]] = {}
    for start in range(0, len(groups), 8):
        images, labels = (torch.stack(x).to(device) for x in zip(*groups[start : start + 8], strict=True))
        image, label = images[:, :1], labels[:, :1]
        entries = torch.stack([images[:, 1:], labels[:, 1:]], 2)
        entries = torch.cat([entries, entries.new_zeros(*entries.shape[:2], 3, *entries.shape[3:])], 2)
        for name, measured in CLICKS.items():
            predict = bind(network, image, entries if name == "context" else None)
            logits, prompts = torch.zeros_like(label), torch.zeros(len(label), 3, *label.shape[2:], device=device)
            for click in range(max(measured) + 1):
                if click:
                    prompts = torch.maximum(prompts, _center_click(label, (logits > 0).to(label)))
                if click or name == "context":
                    logits, _ = predict(torch.cat([image, prompts, logits], 1))
                if click in measured:
                    scores.setdefault(f"{name}_{click}", []).append(soft_free_dice(logits, label))
    row = {key: float(torch.cat(values).mean()) for key, values in scores.items()}
    return {**row, "score": float(np.mean(list(row.values())))} if row else {}


def _center_click(label: Tensor, mask: Tensor) -> Tensor:
    """[B,3,H,W] with one click in the centre of the larger kind of error of each ``mask`` [B,1,H,W]."""
    missed, excess = label * (1 - mask), mask * (1 - label)
    on_missed = (missed.flatten(1).sum(1) >= excess.flatten(1).sum(1))[:, None, None, None]
    click = center_clicks(torch.where(on_missed, missed, excess))
    return torch.cat([torch.zeros_like(click), click * on_missed, click * ~on_missed], 1)
