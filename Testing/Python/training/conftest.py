"""A small corpus in the corpus format, made up on the spot: the real one is not needed to run the tests."""

import pytest
from MultiverSegLib.training.smoke import make_corpus


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), datasets=4, images=24)
