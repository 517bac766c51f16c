"""Draws Docs/pictures/heart.gif and heart.png: six hearts of the second sample cohort, by the clicks of a simulated radiologist, as the window shows them.

Inside Slicer (the pictures of the repository):  Slicer --additional-module-paths MultiverSegSlicer --python-script Testing/make_animation.py [FOLDER]
On the test host (for a look):                   python Testing/make_animation.py FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from make_screenshots import ROOT, Studio, dismiss_the_error_badge, in_slicer, note, taken_in

STRUCTURE = "left ventricle"
HEARTS = 6
GOOD_ENOUGH = 0.9  # Dice of the slice, as in the demo
WIDTH = 820


class Film:
    """Grabs the window into frames with a caption, and writes them as one GIF."""

    def __init__(self, studio: Studio, scratch: Path) -> None:
        self.studio, self.scratch = studio, scratch
        self.frames, self.seconds = [], []

    def shoot(self, caption: str, seconds: float) -> None:
        from PIL import Image, ImageDraw, ImageFont

        path = self.scratch / "frame.png"
        if in_slicer():
            dismiss_the_error_badge(self.studio.host)
        self.studio.host.process_events(0.2)
        self.studio.host.render()
        self.studio.host.grab(path)
        window = Image.open(path).convert("RGB")
        window = window.resize((WIDTH, round(window.height * WIDTH / window.width)), Image.Resampling.LANCZOS)
        frame = Image.new("RGB", (WIDTH, window.height + 34), "white")
        frame.paste(window, (0, 34))
        ImageDraw.Draw(frame).text((10, 7), caption, "black", ImageFont.load_default(17))
        self.frames.append(frame)
        self.seconds.append(seconds)

    def write(self, path: Path) -> None:
        from PIL import Image

        # one palette for all frames, so that what does not change stays the same to the pixel, and costs nothing
        sheet = Image.new("RGB", (WIDTH, self.frames[0].height * len(self.frames)))
        for n, frame in enumerate(self.frames):
            sheet.paste(frame, (0, n * frame.height))
        palette = sheet.quantize(160)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=[round(1000 * s) for s in self.seconds], loop=0, optimize=False
        )
        note(path, taken_in())
        print(f"{path} {path.stat().st_size // 1024} kB, {sum(self.seconds):.0f} s")


def take_hearts(folder: Path, scratch: Path) -> None:
    import slicer
    from MultiverSegLib.cohort.sources.files import cases_from_folder
    from MultiverSegLib.cohort.store.cohort import Cohort
    from MultiverSegLib.cohort.store.records import Structure
    from MultiverSegLib.cohort.work.case_nodes import reference_mask
    from MultiverSegLib.evaluation.protocols import CenterClicks
    from MultiverSegLib.evaluation.simulate import fast_dice
    from MultiverSegLib.mrml import segments

    studio = Studio(folder, scratch)
    host, film = studio.host, Film(studio, scratch)
    cases = cases_from_folder(ROOT / "Resources" / "SampleHeart", scratch / "cohort", [STRUCTURE])
    cohort = Cohort.create(scratch / "cohort", cases, [Structure.numbered(STRUCTURE, 0, "axial")], name="hearts")
    panel = studio.panel = host.open_module("MultiverSegSlicer").panel
    for name in ("setup", "inputs", "context", "predict", "prompts", "editor"):
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    panel.ui.cohortCollapsibleButton.collapsed = False
    panel.cohort.take(cohort)
    red, user, clicks = host.view("Red"), CenterClicks(seed=0), 0
    for number in range(HEARTS):
        desk = panel.cohort.desk
        nodes, case = desk.work.nodes, cohort.case(desk.case_id)
        studio.effect = panel.editor.activeEffect().self()
        studio.settle()
        truth = reference_mask(cohort, case, STRUCTURE, nodes.volume) > 0
        proposed = segments.get_segment(nodes.segmentation, nodes.segment_id(STRUCTURE), nodes.volume) > 0
        k = int((proposed if proposed.any() else truth).sum((1, 2)).argmax())
        nodes.segmentation.GetDisplayNode().SetOpacity2DFill(0.35)
        red.jump_to(studio.ras(nodes.volume, (truth.shape[2] / 2, truth.shape[1] / 2, k)))
        user.reset()

        def found(nodes=nodes, k=k):
            return segments.get_segment(nodes.segmentation, nodes.segment_id(STRUCTURE), nodes.volume)[k] > 0

        if found().any():
            film.shoot(f"Heart {number + 1}: proposed from the hearts before, no click yet", 1.3)
        elif number == 0:
            film.shoot("Twenty hearts. The first is segmented by hand: click into the ventricle", 1.8)
        here = 0
        while fast_dice(found(), truth[k]) < GOOD_ENOUGH and here < 12:
            if here == 0 and not found().any():
                user.first(truth[k])
            else:
                user.correct(truth[k], found())
            for click in user.last:
                row, column = click.points[0]
                red.click(studio.ras(nodes.volume, (column, row, k)), ctrl=not click.positive)
            studio.settle()
            here += 1
            film.shoot(f"Heart {number + 1}: {'one click' if here == 1 else f'{here} clicks'}", 1.2)
        clicks += here
        print(f"{case.id}: {here} clicks, Dice {fast_dice(found(), truth[k]):.2f}")
        if number == HEARTS - 1:
            break
        panel.cohort.steps.accept_and_next()
        ahead = panel.cohort.ahead.background
        host.wait_until(lambda ahead=ahead: not ahead.busy, 120)
    panel.ui.predictCollapsibleButton.collapsed = False
    panel.ui.propagateButton.click()
    host.wait_until(lambda: panel.ui.propagateButton.enabled, 120)
    studio.settle()
    nodes.segmentation.CreateClosedSurfaceRepresentation()
    nodes.segmentation.GetDisplayNode().SetVisibility3D(True)
    host.process_events(0.5)
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    view.resetFocalPoint()
    view.resetCamera()
    film.shoot(f"Propagate: the whole ventricle. {HEARTS} hearts, {clicks} clicks. Not for clinical decisions", 3.0)
    studio.picture("heart")
    film.write(folder / "heart.gif")
    panel.cohort.put_away()
    host.check()
    host.close()


def main() -> int:
    """0 when the pictures were made; what goes wrong is printed, and gives 1."""
    import traceback

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Docs" / "pictures"
    try:
        with tempfile.TemporaryDirectory(prefix="MultiverSeg-") as scratch:
            take_hearts(folder, Path(scratch))
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    if in_slicer():
        import slicer

        slicer.util.exit(main())
    else:
        sys.exit(main())
