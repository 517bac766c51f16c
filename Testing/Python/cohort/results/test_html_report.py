"""The report: one file that opens anywhere, pictures that show what they are given, and no half-written page."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from MultiverSegLib.cohort.results.html_report import (
    NEGATIVE,
    POSITIVE,
    Curve,
    MarkedPicture,
    Plot,
    Report,
    ReportCase,
    overlay_png,
    render_report,
    write_report,
)
from MultiverSegLib.core.errors import MultiverSegError

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags, and fails on one that is closed out of order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def pixels(overlay: MarkedPicture) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(overlay_png(overlay))).convert("RGB")).astype(int)


def coloured(picture: np.ndarray, colour: str, tolerance: int = 40) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.abs(picture - rgb).max(-1) < tolerance


def centre(mask: np.ndarray) -> np.ndarray:
    """(row, col) as a fraction of the picture."""
    return np.argwhere(mask).mean(0) / mask.shape


@pytest.fixture
def overlay() -> MarkedPicture:
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    return MarkedPicture(np.random.default_rng(0).random((40, 60)), {"result": mask}, [(5, 50)], [(35, 10)], caption="2 clicks")


def report(overlay: MarkedPicture, **changes) -> Report:
    values = {
        "title": "A cohort",
        "figures": {"clicks": 12},
        "plots": [Plot("Clicks", "case", "clicks", [Curve("with", [1, 2], [3, 1], [2, 1], [4, 1]), Curve("without", [1, 2], [3, 4])])],
        "cases": [ReportCase("one", {"clicks": 2, "Dice": 0.91}, [overlay]), ReportCase("two", {"clicks": 0, "note": "skipped"})],
        "notes": ["Made in a test."],
    }
    return Report(**{**values, **changes})


def test_the_page_is_whole_and_refers_to_nothing_outside(overlay):
    html = render_report(report(overlay))
    page = Page(html)
    assert not page.open
    assert not re.search(r"<(script|link|iframe)", html)
    for name, value in page.attributes:
        if name in ("src", "href", "data", "xlink:href"):
            assert value.startswith(("data:image/png;base64,", "#")), value
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    assert "Research software, not for clinical decisions." in html


def test_each_case_has_its_row_and_missing_values_stay_empty(overlay):
    html = render_report(report(overlay))
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    assert [row for row in rows if row] == [["one", "2", "0.91", ""], ["two", "0", "", "skipped"]]


def test_texts_from_files_cannot_become_markup(overlay):
    evil = '<script>alert("x")</script>'
    html = render_report(report(overlay, title=evil, cases=[ReportCase(evil, {evil: evil}, [overlay])], notes=[evil]))
    assert "<script" not in html and html.count("&lt;script&gt;") >= 5
    assert not Page(html).open


def test_prompts_and_outline_appear_where_they_were(overlay):
    picture = pixels(overlay)
    assert np.allclose(centre(coloured(picture, POSITIVE)), [5.5 / 40, 50.5 / 60], atol=0.02)
    assert np.allclose(centre(coloured(picture, NEGATIVE)), [35.5 / 40, 10.5 / 60], atol=0.02)
    outline = np.argwhere(coloured(picture, "#ffb000")) / picture.shape[:2]
    assert np.allclose(outline.min(0), [10 / 40, 20 / 60], atol=0.02)
    assert np.allclose(outline.max(0), [30 / 40, 40 / 60], atol=0.02)


def test_pixels_keep_their_physical_shape(overlay):
    thick = MarkedPicture(overlay.image, pixel_mm=(3.0, 1.0))
    height, width = pixels(thick).shape[:2]
    assert height / width == pytest.approx(120 / 60, rel=0.02)


def test_a_mask_at_the_border_and_an_empty_one_are_drawn_without_complaint(overlay, recwarn):
    full = MarkedPicture(overlay.image, {"result": np.ones((40, 60)), "reference": np.zeros((40, 60))})
    pixels(full)
    assert not recwarn.list


def test_a_cohort_without_cases_still_gives_a_page():
    assert not Page(render_report(Report("Nothing yet"))).open


def test_a_failed_write_leaves_the_old_report(tmp_path, overlay, monkeypatch):
    path = write_report(tmp_path / "report.html", report(overlay))
    before = path.read_bytes()

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", disk_full)
    with pytest.raises(MultiverSegError, match="No space"):
        write_report(path, report(overlay, title="new"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_clicks_are_counted_in_whole_numbers_and_dots_stay_beside_the_mean():
    from MultiverSegLib.cohort.results.html_report import plot_svg

    plain = plot_svg(Plot("t", "x", "y", [Curve("a", [1, 2], [1, 2])]))
    dotted = plot_svg(Plot("t", "x", "y", [Curve("a", [1, 2], [1.5, 2.0], dots=[1, 2])]))
    for svg in (plain, dotted):
        assert "0.5" not in re.findall(r"<!-- ([\d.]+) -->", svg)
    assert dotted.count("opacity: 0.4") > plain.count("opacity: 0.4")
