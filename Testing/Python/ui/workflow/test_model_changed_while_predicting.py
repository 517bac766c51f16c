"""Another model or device is chosen while a prediction runs: it is asked for again; a propagation ends and says so."""

from .steps import CENTRE, hold_click, off


def test_the_click_is_asked_for_again(opened):
    hold_click(opened, CENTRE)
    new = type(opened.predictor)()
    calls = len(opened.predictor.calls)
    opened.service_module.reset()
    opened.service._predictor = new  # what the settings would make
    opened.presenter._session.predictor = new
    opened.predictor.go()
    opened.settle()
    assert len(opened.predictor.calls) == calls and opened.holds(opened.ct, CENTRE)


def test_a_propagation_ends_and_says_so(opened):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    slices = opened.slices(opened.ct)
    before = len(opened.predictor.calls)
    opened.predictor.hold()
    opened.panel.predict.propagate()
    opened.host.wait_until(lambda: len(opened.predictor.calls) > before, 60)
    opened.service_module.reset()
    opened.predictor.go()
    opened.host.wait_until(lambda: not opened.panel.predict.busy, 60)
    assert "model or the device was changed" in opened.panel.ui.statusLabel.text
    assert opened.slices(opened.ct) == slices


def test_every_request_is_answered_once(opened):
    from MultiverSegLib.core.errors import Cancelled

    answers = []
    opened.predictor.hold()
    predictor = opened.predictor  # and not the bench, whose nodes no thread may hold
    service = opened.service_module.PredictionService(predictor)
    tickets = [service.submit(lambda request: predictor.predict(None), None, answers.append) for _ in range(3)]
    tickets[1].cancel()
    service.close()
    opened.predictor.go()
    assert len(answers) == 3 and all(isinstance(answer, Cancelled) for answer in answers)
    assert [isinstance(answer, opened.service_module.ModelChanged) for answer in answers] == [False, True, True]
