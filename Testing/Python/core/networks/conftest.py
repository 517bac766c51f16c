from __future__ import annotations

import pytest
import torch


@pytest.fixture
def one_thread():
    """As the references were made: with more threads other kernels add up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
