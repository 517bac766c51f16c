"""What is learned and how fast: the averaged weights, the learning rate, which parameters take part and where they start."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import MultiverSegError
from ..core.networks.cached import CachedContextNet
from .config import TrainConfig
from .interaction import bind


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
    encoder = {id(p) for p in network.encoder.parameters()} if isinstance(network, CachedContextNet) else set()
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) not in encoder], "share": 1.0},
        {"params": [p for p in trained if id(p) in encoder], "share": config.optim.encoder_share},
    ]
    return [g for g in groups if g["params"]]
