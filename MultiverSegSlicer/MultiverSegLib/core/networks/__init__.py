"""The networks, one implementation each; needs torch. Every network is ``forward(target, context) -> logits`` (see ``Network``)."""

from .build import PRESETS, CachingNetwork, Network, build_network
from .multiverseg import MultiverSegNet
from .outline import outline
from .scribbleprompt import ScribblePromptUNet

__all__ = ["PRESETS", "CachingNetwork", "MultiverSegNet", "Network", "ScribblePromptUNet", "build_network", "outline"]
