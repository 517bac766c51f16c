"""The segmentation loss of MultiverSeg (section 5.1): soft Dice plus focal loss with gamma 20, both from MONAI; and one for empty labels."""

from __future__ import annotations

import math

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import Tensor, nn


class SegmentationLoss(nn.Module):
    """logits and labels [B, 1, H, W] -> the mean over the batch of soft Dice + ``focal_weight`` * focal.

    An empty label costs ``empty_weight`` times the logarithm of the predicted area, 1 for the whole image: the Dice loss of a large wrong
    region has next to no gradient, and focal loss hardly minds it.
    """

    def __init__(self, focal_gamma: float = 20.0, focal_weight: float = 1.0, empty_weight: float = 1.0) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")
        self.focal, self.focal_weight = FocalLoss(gamma=focal_gamma, reduction="none"), focal_weight
        self.empty_weight = empty_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.each(logits, labels).mean()

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each row, [B]."""
        loss = self.dice(logits, labels).flatten(1).mean(1)
        if self.focal_weight:
            loss = loss + self.focal_weight * self.focal(logits, labels).flatten(1).mean(1)
        return torch.where(labels.flatten(1).any(1), loss, self.empty_weight * empty_loss(logits))


def empty_loss(logits: Tensor) -> Tensor:
    """What a prediction [B, 1, H, W] costs where there is nothing, [B]: log(1 + predicted area), 1 where that is the whole image."""
    area = torch.sigmoid(logits).flatten(1).sum(1)
    return torch.log1p(area) / math.log1p(logits[0].numel())
