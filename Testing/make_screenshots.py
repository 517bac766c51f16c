"""Takes the pictures of the documentation, inside Slicer:

Slicer --testing --no-splash --additional-module-paths MultiverSegSlicer --python-script Testing/make_screenshots.py [FOLDER]

The folder is Docs/pictures if none is given. The predictions are the bundled model's, whose checksum is noted beside the pictures
(sources.json) with the name of the application. ``python Testing/make_screenshots.py`` takes the same pictures on the test host
(Testing/Host), to try the script; those are not for the documentation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Testing at the end: its packaging.py must not hide the library of that name
sys.path[:] = [str(ROOT / "MultiverSegSlicer"), *(p for p in sys.path if Path(p).resolve() != ROOT / "Testing"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402

#: What each picture was made of: a test compares it with the model that is shipped.
SOURCES = "sources.json"
HOST = "test host"


def in_slicer() -> bool:
    import InSlicer

    return not InSlicer.missing_requirements()


def taken_in() -> str:
    """Where a picture is taken: "Slicer 5.12.3", or the test host."""
    if not in_slicer():
        return HOST
    import slicer

    return f"Slicer {slicer.app.applicationVersion}"


class Studio:
    """The application, or the test host, with our module, a cohort of sample volumes, and hands."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if in_slicer():
            from InSlicer import start_host

            self.host = start_host(size=(1290, 940))
        else:
            from Host import start_host

            self.host = start_host(size=(1180, 860), panel_width=420, segment_editor=True)
        import qt

        qt.QSettings.setPath(qt.QSettings.NativeFormat, qt.QSettings.UserScope, str(scratch))
        self.host.load_module(ROOT / "MultiverSegSlicer" / "MultiverSegSlicer.py")
        from MultiverSegLib.ui.shared import settings

        settings.set_value("ContextsFolder", str(scratch / "contexts"))

    def load(self, number: int):
        """(volume, middle of its reference label, mask): sample case ``number``, shown at the middle of its structure."""
        import slicer
        from MultiverSegLib.mrml.volume_files import load_volume

        cohort = ROOT / "Resources" / "SampleCohort"
        path = sorted((cohort / "images").glob("*.nii.gz"))[number]
        volume = load_volume(path)
        volume.CreateDefaultDisplayNodes()
        label = load_volume(cohort / "labels" / path.name, labelmap=True)
        mask = slicer.util.arrayFromVolume(label) > 0
        slicer.mrmlScene.RemoveNode(label)
        self.host.show(volume)
        return volume, self.ras(volume, middle_of(mask)), mask

    def corner(self, volume, mask, sign: int):
        """A corner of the box around the structure on its largest sagittal slice, a voxel outside of it."""
        i = largest(mask)
        k, j = np.nonzero(mask[:, :, i])
        return self.ras(volume, (i, j.min() - 1, k.min() - 1) if sign < 0 else (i, j.max() + 1, k.max() + 1))

    def along(self, volume, mask):
        """Points along the structure on its largest sagittal slice, from front to back."""
        i = largest(mask)
        rows = [(j, np.flatnonzero(mask[:, j, i])) for j in np.flatnonzero(mask[:, :, i].any(0))]
        return [self.ras(volume, (i, j, k[len(k) // 2])) for j, k in rows[2:-2:3]]

    def ras(self, volume, ijk):
        from MultiverSegLib.mrml.volumes import ijk_to_ras

        return tuple(float(v) for v in (ijk_to_ras(volume) @ (*ijk, 1))[:3])

    def open(self, volume, structure: str):
        """Our module with ``volume`` chosen, the sagittal view at work, results outlined more than filled."""
        self.panel = self.host.open_module("MultiverSegSlicer").panel
        self.panel.parameters.structure = structure
        self.panel.parameters.axis = "sagittal"
        self.panel.parameters.sourceVolume = volume
        for name in ("setup", "inputs", "predict", "prompts"):
            getattr(self.panel.ui, f"{name}CollapsibleButton").collapsed = name != "inputs"
        self.host.process_events(0.1)
        self.effect = self.panel.editor.activeEffect().self()
        outlined(self.panel.editor.segmentationNode())
        return self.panel

    def settle(self) -> None:
        self.host.wait_until(lambda: self.effect.presenter.status().busy is False, 120)
        self.host.process_events(0.2)

    def picture(self, name: str, widget=None, shown=None) -> None:
        """Grab the window, or a widget; ``shown``: what the panel must be scrolled to."""
        if shown is not None:
            _scroll_to(shown)
        if in_slicer():
            dismiss_the_error_badge(self.host)
        path = self.folder / f"{name}.png"
        self.host.process_events(0.2)
        self.host.render()
        self.host.grab(path, widget)
        keep(path, taken_in())


def largest(mask) -> int:
    """The sagittal slice (array axis i) with most of a mask [k, j, i]."""
    return int(mask.sum((0, 1)).argmax())


def middle_of(mask) -> tuple[int, int, int]:
    """(i, j, k) of the voxel nearest to the centre of the mask on its largest sagittal slice."""
    i = largest(mask)
    inside = np.argwhere(mask[:, :, i])
    k, j = inside[np.argmin(((inside - inside.mean(0)) ** 2).sum(1))]
    return i, int(j), int(k)


def outlined(segmentation) -> None:
    """What lies below a result is to be seen in the picture."""
    segmentation.GetDisplayNode().SetOpacity2DFill(0.25)


def _scroll_to(widget) -> None:
    """Scroll the module's panel to a widget; the test host's panel does not scroll."""
    area = widget.parent()
    while area is not None and area.className() != "QScrollArea":
        area = area.parent()
    if area is not None:
        area.ensureWidgetVisible(widget, 0, 0)


def dismiss_the_error_badge(host) -> None:
    """What is in the application's log is printed here; the button that points at it is no part of the pictures."""
    import slicer

    for text in host.criticals:
        print("Slicer's log:", text)
    dock = slicer.util.mainWindow().errorLogDockWidget()
    dock.show()
    dock.hide()


def keep(path: Path, taken_in: str) -> None:
    """Makes a new picture small and notes where it was taken and with which weights."""
    from PIL import Image

    Image.open(path).convert("RGB").save(path, optimize=True)  # in all its colours: fewer give blotches
    note(path, taken_in)


def note(path: Path, taken_in: str) -> None:
    """Writes down beside a picture where it was taken and with which weights."""
    import json

    from MultiverSegLib.core.models.registry import Registry

    notes = path.parent / SOURCES
    known = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    registry = Registry()
    known[path.name] = {"model": registry.default, "sha256": registry.get(registry.default).sha256, "taken in": taken_in}
    notes.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")
    print(f"{path} {path.stat().st_size // 1024} kB")


def take_demo(folder: Path, scratch: Path) -> None:
    """What ``make demo`` finds: its curves with the range over the orders, and the first cases' slices."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from MultiverSegLib.cohort.results.html_report import draw_overlay, draw_plot
    from MultiverSegLib.core.sample_cohorts import SAMPLE_COHORTS
    from MultiverSegLib.demo.page import plots
    from MultiverSegLib.demo.run import DemoRun, find_cases

    run = DemoRun(
        find_cases(SAMPLE_COHORTS["hippocampus"].path), scratch, "auto", None, "hippocampus", "compact", "cpu", "most_similar", 16, 0
    )
    run.start()
    for _ in run.results():
        pass
    for walk in run.further_orders(7):
        print(walk)
    print(run.saving())
    figure = Figure(figsize=(9, 5.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subfigures(2, 1, height_ratios=(3, 1.9))
    for axes, plot in zip(upper.subplots(1, 2), plots(run), strict=True):
        draw_plot(axes, plot)
        axes.set_xlabel("case (clicks: mean of the last five cases)" if "per case" in plot.title else "case")
    for axes, outcome in zip(lower.subplots(1, 4), run.with_context, strict=False):
        draw_overlay(axes, outcome.overlay)
        axes.set_aspect(outcome.overlay.pixel_mm[0] / outcome.overlay.pixel_mm[1])
        axes.set_title(outcome.overlay.caption.replace(": ", ":\n", 1).replace("click, ", "click,\n", 1), fontsize=7)
    figure.savefig(folder / "demo.png")
    keep(folder / "demo.png", "demo")


def dice(studio, volume, mask) -> float:
    from MultiverSegLib.mrml import segments

    found = segments.get_segment(studio.panel.editor.segmentationNode(), studio.panel.segment_id(), volume) > 0
    i = np.flatnonzero(found.any((0, 1)))
    if not len(i):
        return 0.0
    one, other = found[:, :, i[0]], mask[:, :, i[0]]
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def take(folder: Path, scratch: Path) -> None:
    import slicer

    studio = Studio(folder, scratch)
    host = studio.host
    with host.torch("missing"):
        host.open_module("MultiverSegSlicer")
        studio.picture("first-run", slicer.modules.multiversegslicer.widgetRepresentation())
    volume, middle, mask = studio.load(0)
    panel = studio.open(volume, "hippocampus")
    sagittal = host.view("Yellow")
    sagittal.jump_to(middle)
    sagittal.click(middle)
    studio.settle()
    studio.picture("click", shown=studio.effect.options.widget)
    print("one click: Dice", round(dice(studio, volume, mask), 2))
    sagittal.drag(studio.along(volume, mask))
    studio.effect.setTool("box")
    sagittal.drag([studio.corner(volume, mask, -1), studio.corner(volume, mask, 1)])
    studio.settle()
    sagittal.click(tuple(np.add(middle, (0, 0, 9))), ctrl=True)
    studio.settle()
    print("corrected: Dice", round(dice(studio, volume, mask), 2))
    studio.picture("effect", shown=studio.effect.options.widget)
    studio.picture("options", studio.effect.options.widget)
    studio.effect.accept()
    for number in range(1, 5):
        volume, middle, mask = studio.load(number)
        studio.open(volume, "hippocampus")
        sagittal.jump_to(middle)
        panel.ui.predictSliceButton.click()
        studio.settle()
        print(f"case {number}, no prompt: Dice", round(dice(studio, volume, mask), 2))
        if number == 4:
            break
        sagittal.click(middle)
        studio.settle()
        studio.effect.accept()
    panel.ui.inputsCollapsibleButton.collapsed = True
    host.process_events(0.1)
    studio.picture("panel", shown=panel.ui.contextCollapsibleButton)
    panel.ui.editorCollapsibleButton.collapsed = True
    host.process_events(0.1)
    studio.picture("context", panel.ui.contextCollapsibleButton)
    host.check()
    host.close()


def take_cohort(folder: Path, scratch: Path) -> None:
    """The cohort's table, gallery and map of uncertainty, half-way through the sample cohort."""
    studio = Studio(folder, scratch)
    host = studio.host
    from MultiverSegLib.cohort.sources.files import cases_from_folder
    from MultiverSegLib.cohort.store.cohort import Cohort
    from MultiverSegLib.cohort.store.records import Structure
    from MultiverSegLib.cohort.work.case_nodes import reference_mask
    from MultiverSegLib.mrml.masks import EVERY_LABEL
    from MultiverSegLib.mrml.segments import set_slice

    cases = cases_from_folder(ROOT / "Resources" / "SampleCohort", scratch / "cohort", ["hippocampus"], value=EVERY_LABEL)[:12]
    cohort = Cohort.create(scratch / "cohort", cases, [Structure.numbered("hippocampus", 0, "sagittal")], name="hippocampi")
    panel = studio.panel = host.open_module("MultiverSegSlicer").panel
    for name in ("setup", "inputs", "context", "predict", "prompts", "editor"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    panel.ui.cohortCollapsibleButton.collapsed = False
    panel.cohort.take(cohort)
    sagittal = host.view("Yellow")
    for number in range(6):
        desk = panel.cohort.desk
        nodes, case = desk.work.nodes, cohort.case(desk.case_id)
        if number == 3:
            panel.cohort.steps.skip()
            continue
        mask = reference_mask(cohort, case, "hippocampus", nodes.volume) > 0
        middle = studio.ras(nodes.volume, middle_of(mask))
        outlined(nodes.segmentation)
        sagittal.jump_to(middle)
        studio.effect = panel.editor.activeEffect().self()
        sagittal.click(middle)
        studio.settle()
        # the user corrects by hand
        set_slice(nodes.segmentation, nodes.segment_id("hippocampus"), nodes.volume, mask[:, :, largest(mask)], "i", largest(mask))
        panel.cohort.steps.accept_and_next()
    ahead = panel.cohort.ahead.background
    host.wait_until(lambda: not ahead.busy and ahead.standing().done == ahead.standing().total > 0, 300)
    host.render()
    panel.uncertainty.check.checked = True
    host.process_events(0.3)
    studio.picture("cohort")
    panel.cohort.put_away()
    host.check()
    host.close()


def main() -> int:
    """0 when every picture was taken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "Docs" / "pictures")
    parser.add_argument("--only", choices=("effect", "cohort", "demo"), help="only the pictures of this part")
    arguments = parser.parse_args()
    for part, function in (("effect", take), ("cohort", take_cohort), ("demo", take_demo)):
        if arguments.only == part or (arguments.only is None and not (part == "demo" and in_slicer())):
            with tempfile.TemporaryDirectory(prefix="MultiverSeg-") as scratch:
                function(arguments.folder, Path(scratch))
    return 0


def main_in_slicer() -> int:
    """The same; what goes wrong ends Slicer with 1."""
    import traceback

    try:
        return main()
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    if in_slicer():
        import slicer

        slicer.util.exit(main_in_slicer())
    else:
        sys.exit(main())
