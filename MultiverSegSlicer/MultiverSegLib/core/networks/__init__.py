"""The networks, one implementation each; needs torch. ``core.families`` builds them from descriptions and recognises their checkpoints."""

from .multiverseg import MultiverSegNet
from .network import Network, SliceNetwork
from .outline import outline
from .scribbleprompt import ScribblePromptUNet

__all__ = ["MultiverSegNet", "Network", "ScribblePromptUNet", "SliceNetwork", "outline"]
