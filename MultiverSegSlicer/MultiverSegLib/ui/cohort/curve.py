"""The curve of interactions per case as Slicer's own plot: a table, a series for each structure and a chart."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED
from ...core.errors import CohortError

NAME = "MultiverSeg cohort"


def update_curve(cohort):
    """Makes or refreshes the chart node: accepted cases in the order of acceptance against their interactions. Returns the chart."""
    chart = _node("vtkMRMLPlotChartNode", NAME)
    table = _node("vtkMRMLTableNode", NAME + " table")
    done = [case for case in cohort.cases if case.status == ACCEPTED]
    done.sort(key=lambda case: max((work.when for work in case.works.values()), default=""))
    names = [structure.name for structure in cohort.structures]
    table.RemoveAllColumns()
    _column(table, "case", range(1, len(done) + 1))
    chart.RemoveAllPlotSeriesNodeIDs()
    for name in names:
        _column(table, name, [case.work(name).clicks for case in done])
        series = _node("vtkMRMLPlotSeriesNode", f"{NAME} {name}")
        series.SetName(name)
        series.SetAttribute("MultiverSeg", f"{NAME} {name}")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("case")
        series.SetYColumnName(name)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetColor(*cohort.structure(name).color)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(_("Interactions a case"))
    chart.SetXAxisTitle(_("case, in the order of acceptance"))
    chart.SetYAxisTitle(_("interactions"))
    return chart


def show_curve(cohort) -> None:
    """Refreshes the chart and shows it in a layout with a plot.

    Raises:
        CohortError: fewer than two cases are accepted: a line needs two points, and Slicer complains about each series otherwise.
    """
    if sum(case.status == ACCEPTED for case in cohort.cases) < 2:
        raise CohortError(_("The curve begins with the second accepted case."))
    chart = update_curve(cohort)
    slicer.modules.plots.logic().ShowChartInLayout(chart)


def remove_curve() -> None:
    """Takes the nodes of the curve out of the scene."""
    for node in list(slicer.util.getNodesByClass("vtkMRMLNode")):
        if (node.GetAttribute("MultiverSeg") or "").startswith(NAME):
            slicer.mrmlScene.RemoveNode(node)


def _node(kind: str, key: str):
    for node in slicer.util.getNodesByClass(kind):
        if node.GetAttribute("MultiverSeg") == key:
            return node
    node = slicer.mrmlScene.AddNewNodeByClass(kind, key)
    node.SetAttribute("MultiverSeg", key)
    node.SetSaveWithScene(False)
    return node


def _column(table, name: str, values) -> None:
    import vtk

    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(float(value))
    table.AddColumn(column)
