"""Simulated prompts for training, on batches and on any device (MultiverSeg 3.3 and 5.3, ScribblePrompt's procedures).

Labels are [B, 1, H, W] with values 0/1; prompts are [B, 3, H, W] (box, positive, negative). Whatever is drawn stays inside the region it is
drawn for: positives in the label, negatives outside, corrections in the error region. Randomness comes from torch's global generator
(and, for centre clicks, from none), so a seeded step draws the same prompts again.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..evaluation.protocols import distance_inside, largest_component


def erode(x: Tensor) -> Tensor:
    """3x3 erosion of [B, 1, H, W]; outside the image counts as background."""
    return 1 - F.max_pool2d(F.pad(1 - x, (1, 1, 1, 1), value=1.0), 3, stride=1)


def dilate(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def random_clicks(weights: Tensor, counts: Tensor) -> Tensor:
    """Up to ``counts`` [B] (<= 5) distinct pixels drawn in proportion to ``weights`` [B, 1, H, W]; empty where there is no weight."""
    b, _, h, w = weights.shape
    flat = weights.flatten(1)
    # Gumbel top-k is multinomial sampling without replacement that accepts rows with too little weight.
    keys = torch.where(
        flat > 0, flat.clamp_min(1e-20).log() - torch.log(-torch.log(torch.rand_like(flat).clamp(1e-7, 1 - 1e-7))), -torch.inf
    )
    best = keys.topk(5, dim=1)
    rank = torch.arange(5, device=weights.device)[None]
    keep = (rank < counts[:, None]) & torch.isfinite(best.values)
    return torch.zeros_like(flat).scatter_(1, best.indices, keep.to(flat)).view(b, 1, h, w)


def center_clicks(region: Tensor) -> Tensor:
    """One pixel at the maximum of the distance transform of the largest component of each ``region`` [B, 1, H, W]."""
    clicks = torch.zeros_like(region)
    for index, mask in enumerate(region[:, 0].cpu().numpy() > 0.5):
        if mask.any():
            deepest = int(distance_inside(largest_component(mask)).argmax())
            clicks[index, 0, deepest // mask.shape[1], deepest % mask.shape[1]] = 1
    return clicks


def border_clicks(region: Tensor, counts: Tensor) -> Tensor:
    """Random clicks near the inner border of the region."""
    inner = erode(erode(erode(region)))
    return random_clicks(region - inner, counts)


def _smooth(b: int, channels: int, cells: int, like: Tensor) -> Tensor:
    coarse = torch.randn(b, channels, cells, cells, device=like.device)
    return F.interpolate(coarse, size=like.shape[-2:], mode="bilinear", align_corners=True)


def _finish_scribble(line: Tensor, region: Tensor) -> Tensor:
    """Warps a line by a smooth field, breaks it by smooth noise, keeps it inside; falls back to a random pixel where nothing is left."""
    b, _, h, w = line.shape
    warp = _smooth(b, 2, 6, line).permute(0, 2, 3, 1) * (torch.rand(b, 1, 1, 1, device=line.device) * 0.08)
    eye = torch.eye(2, 3, device=line.device).expand(b, 2, 3)
    warped = F.grid_sample(line, F.affine_grid(eye, [b, 1, h, w], align_corners=False) + warp, mode="nearest", align_corners=False) * region
    broken = warped * (_smooth(b, 1, 9, line) < torch.rand(b, 1, 1, 1, device=line.device) * 1.5)
    for candidate in (warped, line * region, random_clicks(region, torch.ones(b, dtype=torch.long, device=line.device))):
        empty = broken.flatten(1).sum(1) == 0
        broken = torch.where(empty[:, None, None, None], candidate, broken)
    thick = (torch.rand(b, 1, 1, 1, device=line.device) < 0.3).to(line)
    return torch.maximum(broken, dilate(broken) * thick) * region


def line_scribbles(region: Tensor) -> Tensor:
    """A straight stroke between two random pixels of the region, warped and broken."""
    b, _, h, w = region.shape
    ends = []
    for _ in range(2):
        index = random_clicks(region, torch.ones(b, dtype=torch.long, device=region.device)).flatten(1).argmax(1)
        ends.append(torch.stack([index // w, index % w], 1).float())
    t = torch.linspace(0, 1, 2 * max(h, w), device=region.device)[None, :, None]
    points = (ends[0][:, None] * (1 - t) + ends[1][:, None] * t).round().long()
    flat = torch.zeros(b, h * w, device=region.device).scatter_(1, points[..., 0] * w + points[..., 1], 1.0)
    return _finish_scribble(flat.view(b, 1, h, w), region)


def centerline_scribbles(region: Tensor) -> Tensor:
    """The region's soft skeleton (erosion minus opening, level by level), warped and broken."""
    skeleton, left = torch.zeros_like(region), region
    for _ in range(max(region.shape[-2:]) // 2):
        opened = dilate(erode(left)) * left
        skeleton = torch.maximum(skeleton, left - opened)
        left = erode(left)
        if not left.any():
            break
    return _finish_scribble(skeleton, region)


def contour_scribbles(region: Tensor) -> Tensor:
    """A contour of the region, one to four pixels inside it, warped and broken."""
    depth = torch.randint(0, 4, (region.shape[0], 1, 1, 1), device=region.device)
    ring, left = torch.zeros_like(region), region
    for level in range(4):
        inner = erode(left)
        ring = torch.where(depth == level, left - inner, ring)
        left = inner
    return _finish_scribble(ring, region)


def _span(occupied: Tensor, jitter: float | None) -> Tensor:
    """From the first to the last occupied index of each row of [B, length], both ends moved unless ``jitter`` is None."""
    index = torch.arange(occupied.shape[1], device=occupied.device)[None].float()
    low = torch.where(occupied, index, torch.inf).amin(1)
    high = torch.where(occupied, index, -torch.inf).amax(1)
    if jitter is not None:
        reach = ((high - low) * jitter).clamp_min(1.0)
        low = low + (torch.rand_like(low) * 2 - 1) * reach
        high = torch.maximum(high + (torch.rand_like(high) * 2 - 1) * reach, low)
    return (index >= low[:, None].round()) & (index <= high[:, None].round())


def boxes(label: Tensor, jitter: float = 0.1) -> Tensor:
    """The filled bounding box of each label, each side moved by up to ``jitter`` of the box's size (at least a pixel); zeros for none.

    A box that its jitter moved off the label (small or scattered ones) is the bounding box itself.
    """
    rows, cols = label.amax(3)[:, 0] > 0, label.amax(2)[:, 0] > 0
    exact, moved = ((_span(rows, j)[:, :, None] & _span(cols, j)[:, None, :])[:, None].to(label) for j in (None, jitter))
    return torch.where((moved * label).flatten(1).any(1)[:, None, None, None], moved, exact)


CLICKS = (random_clicks, border_clicks)
SCRIBBLES = (line_scribbles, centerline_scribbles, contour_scribbles)


def draw(region: Tensor, counts: Tensor, kind: int) -> Tensor:
    """``counts`` [B] prompts of one kind in ``region``: 0 centre click, 1 random clicks, 2 border clicks, 3..5 scribbles (one stroke each
    for up to three). Rows with a count of zero stay empty."""
    some = (counts > 0).to(region)[:, None, None, None]
    if kind == 0:
        extra = random_clicks(region, (counts - 1).clamp_min(0))
        return torch.maximum(center_clicks(region), extra) * some
    if kind in (1, 2):
        return CLICKS[kind - 1](region, counts)
    return SCRIBBLES[kind - 3](region) * some


#: Shares of the kinds of ``draw``: the evaluation's centre clicks and centerlines are the most frequent ones.
KIND_WEIGHTS = (0.34, 0.20, 0.08, 0.11, 0.18, 0.09)


def _draw_each(region: Tensor, counts: Tensor, kinds: Tensor) -> Tensor:
    """As ``draw``, with a kind of its own (``kinds`` [B]) for each row."""
    out = torch.zeros_like(region)
    for kind in kinds.unique().tolist():
        rows = (kinds == kind) & (counts > 0)
        if rows.any():
            out[rows] = draw(region[rows], counts[rows], kind)
    return out


#: How somebody works through one image: changing between all kinds of prompts, or as one of the two evaluation protocols does.
MIXED, CLICKS_ONLY, SCRIBBLES_ONLY = range(3)


def draw_manners(count: int, click_share: float, scribble_share: float, device: torch.device | str = "cpu") -> Tensor:
    """[count] of MIXED, CLICKS_ONLY and SCRIBBLES_ONLY with these shares."""
    chance = torch.rand(count, device=device)
    return torch.where(chance < click_share, CLICKS_ONLY, torch.where(chance < click_share + scribble_share, SCRIBBLES_ONLY, MIXED))


def _kinds(manners: Tensor) -> Tensor:
    """A kind of prompt (see ``draw``) for each row: the manner's own, or a random one."""
    random = torch.multinomial(torch.tensor(KIND_WEIGHTS, device=manners.device), len(manners), replacement=True)
    return torch.where(manners == CLICKS_ONLY, 0, torch.where(manners == SCRIBBLES_ONLY, 4, random))


def initial_prompts(label: Tensor, absent: Tensor, box_share: float = 0.3, manners: Tensor | None = None) -> Tensor:
    """The first step's prompts [B, 3, H, W]: 1-3 positive and 0-3 negative clicks or scribbles, a box, or both; in the manner of a protocol
    one centre click, or a positive and a negative centerline.

    Args:
        absent: bool [B]; these rows get no prompt at all (their context must do).
        box_share: share of rows with a box; a third of these has nothing else.
        manners: [B], see ``draw_manners``; all mixed where not given.
    """
    b, device = len(label), label.device
    manners = torch.full((b,), MIXED, device=device) if manners is None else manners
    with_box = torch.rand(b, device=device) < box_share
    only_box = with_box & (torch.rand(b, device=device) < 1 / 3)
    marks = (~only_box & ~absent).long()
    single = (torch.rand(b, device=device) < 0.5) | (manners != MIXED)
    positive = torch.where(single, 1, torch.randint(1, 4, (b,), device=device)) * marks
    negative = torch.where(single, (manners == SCRIBBLES_ONLY).long(), torch.randint(0, 4, (b,), device=device)) * marks
    box = boxes(label) * (with_box & ~absent).to(label)[:, None, None, None]
    return torch.cat([box, _draw_each(label, positive, _kinds(manners)), _draw_each(1 - label, negative, _kinds(manners))], 1)


def corrections(label: Tensor, prediction: Tensor, prompts: Tensor, manners: Tensor | None = None, box_share: float = 0.0) -> Tensor:
    """``prompts`` with 1-3 corrections added in the error region of ``prediction`` [B, 1, H, W] (values 0/1).

    In the manner of a protocol it is one centre click on the largest error, or one centerline; otherwise half of the rows get such a
    click, the others clicks or scribbles anywhere in it. A share ``box_share`` of the rows that are wrong somewhere get a box in place of
    these, in place of an earlier box too.
    """
    b, device = len(label), label.device
    manners = torch.full((b,), MIXED, device=device) if manners is None else manners
    missed, excess = label * (1 - prediction), prediction * (1 - label)
    weight = torch.stack([missed.flatten(1).sum(1), excess.flatten(1).sum(1)], 1)
    on_missed = torch.rand(b, device=device) * weight.sum(1) < weight[:, 0]
    region = torch.where(on_missed[:, None, None, None], missed, excess)
    boxed = (torch.rand(b, device=device) < box_share) & (weight.sum(1) > 0)
    center = (manners == CLICKS_ONLY) | ((manners == MIXED) & (torch.rand(b, device=device) < 0.5))
    counts = torch.where(center | (manners == SCRIBBLES_ONLY), 1, torch.randint(1, 4, (b,), device=device)) * ~boxed
    drawn = _draw_each(region, counts, torch.where(center, 0, _kinds(manners)))
    sign = on_missed.to(label)[:, None, None, None]
    after = torch.maximum(prompts, torch.cat([torch.zeros_like(drawn), drawn * sign, drawn * (1 - sign)], 1))
    if boxed.any():
        after[boxed, :1] = boxes(label[boxed])
    return after


def weak_prompts(label: Tensor) -> Tensor:
    """Weak annotations of context entries (WS-ICL): 1-5 points, a box, or a scribble, as [B, 3, H, W]."""
    b, device = len(label), label.device
    kind = torch.multinomial(torch.tensor([0.4, 0.35, 0.25], device=device), b, replacement=True)
    box = boxes(label, 0.05) * (kind == 1).to(label)[:, None, None, None]
    points = random_clicks(label, torch.randint(1, 6, (b,), device=device)) * (kind == 0).to(label)[:, None, None, None]
    scribbled = kind == 2
    marks = points
    if scribbled.any():
        marks = points.clone()
        marks[scribbled] = draw(label[scribbled], torch.ones(int(scribbled.sum()), dtype=torch.long, device=device), 4)
    return torch.cat([box, marks, torch.zeros_like(marks)], 1)


def noisy_masks(masks: Tensor) -> Tensor:
    """Masks as a model predicts them: here grown, there shrunk by a pixel or two, as a smooth field says. [B, 1, H, W] 0/1 in and out."""
    field = _smooth(len(masks), 1, 8, masks)
    grown, shrunk = dilate(masks), erode(masks)
    noisy = torch.where(field > 0.7, grown, torch.where(field < -0.7, shrunk, masks))
    noisy = torch.where(field > 1.5, dilate(grown), torch.where(field < -1.5, erode(shrunk), noisy))
    return torch.where(noisy.flatten(1).any(1)[:, None, None, None], noisy, masks)


def wrong_masks(masks: Tensor) -> Tensor:
    """Masks as a model predicts them where it fails and nobody corrects it: large parts missing, others added beside the structure.
    [B, 1, H, W] 0/1 in and out; a mask of which nothing would be left stays as it is."""
    reach = max(masks.shape[-1] // 8, 1)
    around = F.max_pool2d(masks, 2 * reach + 1, stride=1, padding=reach)
    missing, added = (_smooth(len(masks), 1, 5, masks) for _ in range(2))
    wrong = torch.maximum(masks * (missing > -0.3), around * (added > 0.5))
    return torch.where(wrong.flatten(1).any(1)[:, None, None, None], wrong, masks)
