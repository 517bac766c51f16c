"""Accepts cases without a model, for the tests of what comes out of a cohort."""

from MultiverSegLib.cohort.work.case_nodes import CaseNodes
from MultiverSegLib.mrml import segments


def accept(cohort, case, masks):
    """Accepts masks [k, j, i] by structure as the result of a case."""
    nodes = CaseNodes(cohort, case)
    for name, mask in masks.items():
        segments.set_segment(nodes.segmentation, nodes.segment_id(name), nodes.volume, mask)
    nodes.save()
    nodes.close()
    for name in masks:
        cohort.record("accepted", case=case, structure=name, example="")
