"""The segmentation loss of MultiverSeg (section 5.1): soft Dice plus focal loss with gamma 20, both from MONAI."""

from __future__ import annotations

from monai.losses import DiceLoss, FocalLoss
from torch import Tensor, nn


class SegmentationLoss(nn.Module):
    """logits and labels [B, 1, H, W] -> the mean over the batch of soft Dice + ``focal_weight`` * focal."""

    def __init__(self, focal_gamma: float = 20.0, focal_weight: float = 1.0) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)
        self.focal, self.focal_weight = FocalLoss(gamma=focal_gamma), focal_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = self.dice(logits, labels)
        return loss + self.focal_weight * self.focal(logits, labels) if self.focal_weight else loss
