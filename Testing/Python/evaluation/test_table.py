"""Averages and yardsticks against numbers worked out by hand."""

import numpy as np
import pytest
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.evaluation.measures import Line, area_under, changes, order_effects, rank_correlation, summary_row, yardsticks
from MultiverSegLib.evaluation.table import Table, clicks_to, dice_after, hierarchical, interval, read_table


def table(rows):
    """Rows of (method, user, dataset, label, subject, simulation, position, dices by step); further columns are the same for all."""
    columns = {}
    for method, user, dataset, label, subject, simulation, position, dices in rows:
        for step, dice in enumerate(dices):
            row = {"experiment": "sequence", "method": method, "user": user, "context": "binary", "dataset": dataset, "modality": "MRI"}
            row |= {"axis": "axial", "label": label, "subject": subject, "simulation": simulation, "order": 0, "position": position}
            row |= {"image": position, "context_size": 0, "step": step, "last": int(step == len(dices) - 1), "dice": dice, "hd95": 1.0}
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
    return Table({name: np.array(values) for name, values in columns.items()})


def test_a_subject_a_label_and_a_dataset_count_once():
    t = table(
        [
            ("m", "clicks", "A", "liver", "p1", 0, 1, [0.2]),
            ("m", "clicks", "A", "liver", "p1", 0, 2, [0.4]),
            ("m", "clicks", "A", "liver", "p2", 0, 3, [0.9]),
            ("m", "clicks", "A", "spleen", "p1", 0, 4, [1.0]),
            ("m", "clicks", "B", "liver", "q", 0, 5, [0.0]),
            ("m", "clicks", "B", "liver", "r", 0, 6, [np.nan]),
        ]
    )
    liver = ((0.2 + 0.4) / 2 + 0.9) / 2
    assert hierarchical(t, t["dice"]) == pytest.approx([((liver + 1.0) / 2 + 0.0) / 2])
    assert hierarchical(t, t["dice"], keep=("dataset",)) == pytest.approx([(liver + 1.0) / 2, 0.0])


def test_a_group_with_nothing_to_average_is_nan():
    t = table([("m", "clicks", "A", "x", "p", 0, 1, [np.nan]), ("m", "clicks", "B", "x", "p", 0, 1, [0.5])])
    assert np.isnan(hierarchical(t, t["dice"], keep=("dataset",))[0])


def test_intervals():
    mean, low, high, deviation = interval(np.array([1.0, 2, 3, 4] * 25))
    assert mean == 2.5 and low < 2.5 < high and deviation == pytest.approx(np.sqrt(1.25 / 100), rel=0.15)
    assert interval(np.array([7.0]))[0] == 7 and np.isnan(interval(np.array([7.0]))[1])


def test_clicks_to_a_target_and_dice_after_n():
    t = table([("m", "clicks", "A", "x", "p", 0, 1, [0.5, 0.82, 0.91]), ("m", "clicks", "A", "x", "q", 0, 2, [0.96])])
    assert clicks_to(t, 0.8, 20)[1].tolist() == [1, 0] and clicks_to(t, 0.95, 20)[1].tolist() == [20, 0]
    assert dice_after(t, 1)[1].tolist() == [0.82, 0.96], "a finished image keeps its Dice"
    assert area_under(Line("", [0, 1, 2], [0.0, 1.0, 1.0], [], [])) == pytest.approx(0.75)


def test_yardsticks_row():
    t = table([("m", "clicks", "A", "x", "p", 0, 1, [0.5, 0.82, 0.91]), ("m", "clicks", "A", "x", "q", 0, 2, [0.5, 0.96])])
    t = Table({**t.columns, "experiment": np.full(len(t), "yardsticks")})
    ((user, method, size, values),) = yardsticks(t)
    assert (user, method, size) == ("clicks", "m", 0)
    assert values["NoC80"] == 1 and values["NoC90"] == 1.5 and values["NoC95"] == 10.5 and values["never at 90 %"] == 0
    assert values["area under Dice(n)"] == pytest.approx(((0.5 + 0.89) / 2 + (0.89 + 0.935) / 2) / 2)


def test_table_seven_counts_steps_and_failures_of_a_sequence():
    rows = [("m", "clicks", d, "x", f"p{p}", 0, p, [0.1] * (p + 1) + [0.95 if p < 3 else 0.5]) for d in "AB" for p in (1, 2, 3)]
    values = summary_row(table(rows))
    assert values["total steps"][0] == pytest.approx(2 + 3 + 4) and values["failures"][0] == pytest.approx(1)
    assert values["Dice %"][0] == pytest.approx(100 * (0.95 + 0.95 + 0.5) / 3) and values["HD95 px"][0] == 1


def test_saved_steps_are_paired_by_task_and_simulation():
    rows = [("with", "clicks", d, "x", "p", 0, 1, [0.1] * n) for d, n in (("A", 3), ("B", 11))]
    rows += [("without", "clicks", d, "x", "p", 0, 1, [0.1] * n) for d, n in (("A", 5), ("B", 11))]
    assert changes(table(rows), "clicks", "with", "without")[0] == pytest.approx((50 + 0) / 2)
    with pytest.raises(MultiverSegError, match="in common"):
        changes(table(rows), "clicks", "with", "other")


def test_order_effects_are_the_spread_within_a_set():
    t = table([("m", "clicks", "A", "x", "p", 0, p, [0.1] * n) for p, n in ((1, 3), (2, 5))])
    order = np.where(t["position"] == 2, 1, 0)
    t = Table({**t.columns, "experiment": np.full(len(t), "orders"), "order": order, "position": np.ones(len(t), int)})
    ((method, within, between),) = order_effects(t)
    assert method == "m" and within == pytest.approx(1.0) and np.isnan(between)


def test_rank_correlation():
    assert rank_correlation(np.array([1, 2, 3]), np.array([10, 20, 15])) == pytest.approx(0.5)
    assert np.isnan(rank_correlation(np.array([1, 1]), np.array([1, 2])))


def test_what_is_no_table_is_named(tmp_path):
    with pytest.raises(MultiverSegError, match="is not there"):
        read_table(tmp_path)
    (tmp_path / "steps.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MultiverSegError, match="has no column"):
        read_table(tmp_path)
