"""A cohort of three volumes, open in the panel."""

import pytest

from ...cohort.volumes import real_cohort


@pytest.fixture
def study(bench, tmp_path):
    """The module open, with a cohort of three volumes at its first case; ``study.cohort`` is the cohort's part of the panel."""
    real_cohort(tmp_path / "s", 3, model="disc").close()
    bench.folder = tmp_path / "s" / "cohort"
    bench.open()
    bench.cohort = bench.panel.cohort
    bench.host.dialogs.answers.append(str(bench.folder))
    bench.cohort.open_button.click()
    bench.red = bench.host.view("Red")
    yield bench
    bench.predictor.go()
    bench.cohort.put_away()
