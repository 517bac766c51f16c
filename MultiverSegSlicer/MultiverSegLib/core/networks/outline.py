"""Networks without weights, for their shapes and costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FILLING = {torch.Tensor.normal_, torch.Tensor.uniform_}


class _Unfilled(TorchFunctionMode):
    """Leaves weights as they are in place of drawing them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init" or func in _FILLING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def outline() -> Iterator[None]:
    """What is built inside has shapes and no values; nothing is allocated.

    Drawing random weights that don't exist would load PyTorch's compiler: two seconds before the first prediction; and, with a CUDA build of
    PyTorch, the LLVM of Triton beside that of Mesa's software renderer, which takes the process down.
    """
    with torch.device("meta"), _Unfilled():
        yield
