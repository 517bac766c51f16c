"""A small corpus in the corpus format, made up on the spot: the real one is not needed to run the tests."""

import pytest
import torch
from MultiverSegLib.training.smoke import make_corpus


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), datasets=4, images=24)


@pytest.fixture
def one_thread():
    """The order of sums decides how a short training ends."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
