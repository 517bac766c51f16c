"""The loss against its formulas, written out."""

import torch
from MultiverSegLib.training.losses import SegmentationLoss


def test_soft_dice_plus_focal_with_gamma_20():
    torch.manual_seed(0)
    logits, label = torch.randn(3, 1, 16, 16) * 3, (torch.rand(3, 1, 16, 16) > 0.6).float()
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * label).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + label.sum((1, 2, 3)) + 1)
    pt = torch.where(label > 0, p, 1 - p)
    focal = -((1 - pt) ** 20) * pt.log()
    expected = dice.mean() + focal.mean()
    assert torch.allclose(SegmentationLoss()(logits, label), expected, atol=1e-5)


def test_right_answers_cost_nothing_and_wrong_ones_do():
    label = (torch.rand(2, 1, 8, 8) > 0.5).float()
    loss = SegmentationLoss()
    assert loss((label - 0.5) * 40, label) < 1e-3 < 1 < loss((0.5 - label) * 40, label)
