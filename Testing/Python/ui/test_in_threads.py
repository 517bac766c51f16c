"""What goes to a thread holds no node and no widget; ``bench`` looks at that in every test of this folder."""

from functools import partial

import pytest

from .conftest import CENTRE
from .in_threads import of_the_application

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_a_click_and_a_propagation_are_looked_at(opened):
    opened.red.click(CENTRE)
    opened.settle()
    opened.panel.ui.propagateButton.click()
    opened.host.wait_until(lambda: not opened.panel.predict.busy, 120)
    assert opened.requests == 2 and len(opened.predictor.calls) > 2


def test_whatever_holds_a_node_or_a_widget_is_found(opened):
    class Held:
        def __init__(self, what):
            self.what = what

        def method(self):
            pass

    for what in (opened.ct, opened.panel.ui.propagateButton):
        for work in (lambda what=what: what, partial(print, [{"a": what}]), Held(what).method, (lambda held: lambda: held)(Held(what))):
            assert len(of_the_application(work)) >= 1, work
    assert of_the_application(partial(print, [1, "a"], Held(None).method)) == []
