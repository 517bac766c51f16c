"""Plain float64 references, written from equations 3 and 4 of the MultiverSeg paper and the ScribblePrompt layout; no code of ours."""

import torch
from torch.nn import functional as F


def _unit(x, state, name):
    """LN(A(Conv(x))): LayerNorm over channels and pixels of each map, written out; absent in UniverSeg."""
    x = F.conv2d(x, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], padding=1)
    x = torch.where(x > 0, x, 0.01 * x)
    if f"{name}.norml.weight" not in state:
        return x
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) / torch.sqrt(variance + 1e-5)
    return x * state[f"{name}.norml.weight"][:, None, None] + state[f"{name}.norml.bias"][:, None, None]


def _cross_block(q, entries, state, name, cross_activation):
    weight, bias = state[f"{name}.cross.cross_conv.weight"], state[f"{name}.cross.cross_conv.bias"]
    z = [F.conv2d(torch.cat([q, v], dim=1), weight, bias, padding=1) for v in entries]
    if cross_activation:
        z = [torch.where(x > 0, x, 0.01 * x) for x in z]
    return _unit(sum(z) / len(z), state, f"{name}.target.vmapped"), [_unit(x, state, f"{name}.support.vmapped") for x in z]


def _double(x):
    """Bilinear upsampling with aligned corners as two matrices: output pixel i reads input position i * (n - 1) / (2n - 1)."""

    def matrix(n):
        m = torch.zeros(2 * n, n, dtype=x.dtype)
        for i in range(2 * n):
            position = i * (n - 1) / (2 * n - 1)
            low = min(int(position), n - 1)
            m[i, low] += 1 - (position - low)
            if low + 1 < n:
                m[i, low + 1] += position - low
        return m

    return matrix(x.shape[-2]) @ x @ matrix(x.shape[-1]).T


def _halve(x):
    return x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).amax(dim=(-3, -1))


def cross_network(state, target, context, cross_activation=True):
    """target [B,Ct,H,W], context [B,N,Cc,H,W], float64 -> logits [B,1,H,W]."""
    channels = state["enc_blocks.0.cross.cross_conv.weight"].shape[1] - target.shape[1]
    n, entries = context.shape[1], list(context.unbind(1))
    if n == 0:
        entries = [torch.full((target.shape[0], channels, *target.shape[-2:]), 0.5, dtype=target.dtype)]
    depth = sum(f"enc_blocks.{i}.cross.cross_conv.weight" in state for i in range(9))
    q, skips = target, []
    for i in range(depth):
        if i:
            q, entries = _halve(q), [_halve(v) for v in entries]
        q, entries = _cross_block(q, entries, state, f"enc_blocks.{i}", cross_activation)
        skips.append((q, entries))
    skips.pop()
    for i in range(depth - 1):
        q_skip, v_skips = skips.pop()
        q = torch.cat([_double(q), q_skip], dim=1)
        entries = [torch.cat([_double(v), s], dim=1) for v, s in zip(entries, v_skips, strict=True)]
        q, entries = _cross_block(q, entries, state, f"dec_blocks.{i}", cross_activation)
    return F.conv2d(q, state["out_conv.conv.weight"], state["out_conv.conv.bias"])


def scribbleprompt_unet(state, target):
    """target [B,5,H,W] float64 -> logits [B,1,H,W]."""

    def convolve(x, name, padding=1):
        x = F.conv2d(x, state[f"{name}.conv.0.weight"], state[f"{name}.conv.0.bias"], padding=padding)
        slope = state.get(f"{name}.conv.1.weight")
        return x if slope is None else torch.where(x > 0, x, slope * x)

    x, skips = target, []
    depth = sum(f"downs.{i}.conv.0.weight" in state for i in range(9))
    for i in range(depth):
        skips.append(convolve(x, f"downs.{i}"))
        x = _halve(skips[-1])
    x = convolve(x, "bottleneck")
    for i in range(depth):
        x = convolve(torch.cat([skips.pop(), _double(x)], dim=1), f"ups.{2 * i + 1}")
    return convolve(x, "final_conv", padding=0)
