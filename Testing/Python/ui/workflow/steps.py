"""What a person does in the panel, and what is seen then."""

import numpy as np

CENTRE = (10.0, 20.0, 30.0)


def off(r=0.0, a=0.0, s=0.0):
    """RAS at a distance (mm) from the middle of the bench's volume."""
    return (CENTRE[0] + r, CENTRE[1] + a, CENTRE[2] + s)


def centre(study, right=0.0):
    """RAS of the middle of the open case's volume, so many mm to the right."""
    from MultiverSegLib.mrml.volumes import dimensions_of, ijk_to_ras

    volume = study.cohort.desk.work.nodes.volume
    middle = (np.array(dimensions_of(volume)) - 1) // 2
    return (ijk_to_ras(volume) @ (*middle, 1))[:3] + np.array((right, 0, 0))


def click_structure(study, right=0.0):
    """A click in the middle of the open case's volume, so many mm to the right; waits for the answer."""
    point = centre(study, right)
    study.red.jump_to(point)
    study.red.click(point)
    study.settle()


def hold_click(bench, point):
    """A click whose prediction has begun and does not end before ``bench.predictor.go()``."""
    bench.predictor.hold()
    before = len(bench.predictor.calls)
    bench.red.click(point)
    bench.host.wait_until(lambda: len(bench.predictor.calls) > before, 60)


def area(study):
    """Voxels of the open case's structure."""
    return int((study.cohort.desk.work.nodes.mask("blob") > 0).sum())


def paint(study, mask):
    from MultiverSegLib.mrml import segments

    nodes = study.cohort.desk.work.nodes
    segments.set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, mask)


def case(study, case_id="p0"):
    return study.cohort.desk.cohort.case(case_id)


def statuses(study):
    """The chips of the table."""
    widget = study.cohort.table.widget
    return [widget.item(row, 1).text() for row in range(widget.rowCount)]


def status_line(bench):
    return bench.effect.self().options.statusLabel.text
