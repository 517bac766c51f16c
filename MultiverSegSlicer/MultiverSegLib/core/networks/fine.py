"""What `CachedContextNet` adds at full resolution, for structures a few pixels wide, and its answer to "is it here at all?"."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FineFeatures(nn.Module):
    """Features of grey images [B,1,H,W] at full resolution, [B,channels,H,W]: of the image and of its local contrast."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, channels, 5, padding=2)
        self.second = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.norm = nn.GroupNorm(1, channels)

    def forward(self, image: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(torch.cat([image, local_contrast(image)], 1)), 0.01)
        return self.norm(x + F.leaky_relu(self.second(x), 0.01))


def local_contrast(image: Tensor, size: int = 9) -> Tensor:
    """How much brighter than its surroundings each pixel is, in their standard deviations; faint differences count little. [B,1,H,W]."""
    half, both = size // 2, torch.cat([image, image * image], 1)
    rows = F.avg_pool2d(both, (size, 1), 1, (half, 0), count_include_pad=False)
    mean, square = F.avg_pool2d(rows, (1, size), 1, (0, half), count_include_pad=False).split(1, 1)
    return (image - mean) / ((square - mean * mean).clamp_min(0).sqrt() + 0.05)


class Refinement(nn.Module):
    """What to add to the logits at full resolution. Begins as nothing (the last weights are zeros)."""

    def __init__(self, coarse: int, fine: int, width: int = 16) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(coarse, width, 1)
        self.fine = nn.Conv2d(fine, width, 1)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.far = nn.Conv2d(width, width, 3, padding=2, dilation=2)
        self.out = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """coarse [B,coarse,h,w] of the path's grid, fine [B,fine,H,W] -> [B,1,H,W]."""
        x = self.fine(fine) + F.interpolate(self.coarse(coarse), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        x = F.leaky_relu(x, 0.01)
        x = x + F.leaky_relu(self.near(x), 0.01)
        return self.out(x + F.leaky_relu(self.far(x), 0.01))


class PresenceHead(nn.Module):
    """Whether the structure is on the slice: a logit [B] from the path's features, the logits and what was prompted.

    Begins as "it is": older weights that never saw a slice without their structure go on as they were.
    """

    def __init__(self, deep: int, read: int, shallow: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * (deep + read + shallow) + 5, 64)
        self.out = nn.Linear(64, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, 3.0)

    def forward(self, deep: Tensor, read: Tensor, shallow: Tensor, logits: Tensor, prompts: Tensor) -> Tensor:
        """deep, read, shallow [B,C,h,w], logits [B,1,H,W], prompts [B,3,H,W] -> [B]."""
        pooled = [f(x.flatten(2), 2) for x in (deep, read, shallow) for f in (torch.mean, torch.amax)]
        flat = logits.flatten(1)
        area = torch.log1p(torch.sigmoid(flat).sum(1, keepdim=True)) * 0.2
        highest = flat.amax(1, keepdim=True).clamp(-20, 20) * 0.1
        return self.out(F.leaky_relu(self.hidden(torch.cat([*pooled, area, highest, prompts.flatten(2).amax(2)], 1)), 0.01))[:, 0]
