"""The simulated interaction with one batch: prompts, corrections and the loss of every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.networks import SliceNetwork
from .config import TrainConfig
from .losses import SegmentationLoss
from .prompts import corrections, draw_manners, initial_prompts

Answer = tuple[Tensor, Tensor | None]


def bind(network: nn.Module, image: Tensor, context: Tensor | None) -> Callable[[Tensor], Answer]:
    """``network`` as a function from targets [B,5,H,W] of these images [B,1,H,W] and this context [B,m,5,H,W] to logits [B,1,H,W] and the logit
    [B] of the structure being there (None from networks that can't say).

    A network that caches encodes context and image, and reads the one for the other, once for all targets (see
    ``core.networks.SliceNetwork``).
    """
    if not isinstance(network, SliceNetwork) or not network.encodes_images:
        return lambda target: (network(target, context), None)
    encoded = network.encode_target(image)
    readings = network.read(encoded, network.encode_context(network.empty_context(image) if context is None else context))
    if not network.says_presence:
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
