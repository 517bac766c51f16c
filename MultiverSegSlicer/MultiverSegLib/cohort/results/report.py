"""A cohort's report: report.html (pictures, curve, table), report.csv, and the methods paragraph for a paper. Any thread; no node is touched."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...core.effort import SOURCE, estimated_seconds
from ...core.errors import Cancelled, MultiverSegError
from ...core.notices import notice
from ...core.prompts import Prompts
from ...mrml.masks import plain_mask
from ...mrml.plain_volume import PlainVolume
from ...mrml.slice_plane import SlicePlane
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.effort import WINDOW, Effort, minutes, untouched_along
from ..store.files import write_atomically
from ..store.order import progress
from ..store.records import ACCEPTED, SKIPPED, TODO, Case, StructureProgress
from ..store.reviewing import own_work
from ..work.case_nodes import plain_volume
from .html_report import Curve, MarkedPicture, Plot, ProposalCard, Report, ReportCase, write_report
from .proposals import proposals
from .proposals_page import proposal_cards

_PICTURES = 200
PROPOSED = "proposed"
#: Where the examples of a context come from.
ORIGINS = ("from results", "from existing labels", "from prompts only")
LIMITS = (
    "Research software, not for clinical decisions. The model segments slices at 128 x 128 pixels; details finer than a pixel of that grid are "
    "lost, and structures or modalities far from its training data may be segmented badly. {checked} A proposal was looked at by nobody."
)
_UNCHECKED = "An accepted result was accepted by one person and not checked by a second one."
_CHECKED = "A result was accepted by one person; where it is not approved by another one, it was not checked by a second."
#: So many proposals are shown in the report; the page of proposals shows all.
_PROPOSALS = 24


def write_cohort_report(
    cohort: Cohort,
    folder: Path | str,
    progress: Callable[[str, int, int], None] = lambda case, done, total: None,
    cancel: Callable[[], bool] = lambda: False,
    volumes: Mapping[str, PlainVolume] | None = None,
) -> list[Path]:
    """Writes report.html, report.csv and methods.txt into ``folder`` and gives their paths.

    Args:
        progress: called before each case (or proposal) with its id, the number of those done and that of all.
        cancel: asked before each; once it says yes, nothing is written.
        volumes: the voxels of cases that are in the scene, for a thread (see ``case_nodes.plain_volume``).

    Raises:
        Cancelled: ``cancel`` said so.
        MultiverSegError: nothing was done yet, or jinja2 or matplotlib is missing.
        CohortError: the folder can't be written.
    """
    if not any(work.touched or work.status == ACCEPTED for case in cohort.cases for work in case.works.values()):
        raise MultiverSegError("Nothing was done in this cohort yet: there is nothing to report.")
    folder, total = Path(folder), len(cohort.cases) + min(_PROPOSALS, len(proposals(cohort)))
    cases: list[ReportCase] = []
    cards: list[ProposalCard] = []
    for case in report_cases(cohort, volumes):
        if cancel():
            raise Cancelled("Cancelled.")
        cases.append(case)
        progress(case.name, len(cases), total)
    for card in proposal_cards(cohort, _PROPOSALS, volumes):
        if cancel():
            raise Cancelled("Cancelled.")
        cards.append(card)
        progress(card.case, len(cases) + len(cards), total)
    write_atomically(folder / "report.csv", table_csv(cohort))
    write_atomically(folder / "methods.txt", methods_paragraph(cohort) + "\n")
    return [write_report(folder / "report.html", build_report(cohort, cases, cards)), folder / "report.csv", folder / "methods.txt"]


def limits(cohort: Cohort) -> str:
    """What a reader of the report has to know."""
    return LIMITS.format(checked=_CHECKED if any(case.approved for case in cohort.cases) else _UNCHECKED)


def report_cases(cohort: Cohort, volumes: Mapping[str, PlainVolume] | None = None) -> Iterator[ReportCase]:
    """The page's rows, one after the other: most of the work, since their pictures are drawn. ``volumes``: see ``write_cohort_report``."""
    for number, case in enumerate(_in_order(cohort)):
        yield _report_case(cohort, case, number < _PICTURES, volumes)


def build_report(cohort: Cohort, cases: list[ReportCase] | None = None, cards: list[ProposalCard] | None = None) -> Report:
    """The page's content; ``cases``: its rows, ``cards``: its proposals, where they are made already."""
    done = progress(cohort.state)
    accepted = [case for case in cohort.cases if case.status == ACCEPTED]
    figures: dict[str, Any] = {
        "cases": len(cohort.cases),
        "accepted": len(accepted),
        "skipped": sum(case.status == SKIPPED for case in cohort.cases),
        "proposed, not looked at": sum(_state(case) == PROPOSED for case in cohort.cases),
    }
    if done.clicks_per_case is not None:
        figures["interactions a case"] = f"{done.clicks_per_case:.1f}"
        figures["active seconds a case"] = f"{done.seconds_per_case:.0f}"
        effort = Effort.of(accepted)
        figures["accepted untouched"] = effort.percent
        figures["minutes of interaction, estimated"] = minutes(effort.estimated_s)
        figures["minutes of active work, measured"] = minutes(effort.active_s)
    approved = sum(case.approved for case in accepted)
    if approved:
        figures["approved by a reviewer"] = f"{approved} of {len(accepted)}"
    saved = [w.first_vs_accepted_dice for c in accepted for w in c.works.values() if w.first_vs_accepted_dice is not None]
    if saved:
        figures["agreement (Dice)"] = f"{np.mean(saved):.3f}"
    origins = example_origins(cohort)
    for structure in cohort.structures:
        figures[f"context of {structure.name}"] = (
            _listed([f"{origins[structure.name][what]} {what}" for what in ORIGINS if origins[structure.name][what]]) or "empty"
        )
    models = sorted({w.model for c in cohort.cases for w in c.works.values() if w.model})
    return Report(
        title=cohort.state.name,
        lead=f"Done: {done}. Model: {', '.join(models) or cohort.setting('model')}. MultiverSeg for 3D Slicer {__version__}.",
        figures=figures,
        plots=_plots(cohort),
        cases=list(report_cases(cohort)) if cases is None else cases,
        notes=[methods_paragraph(cohort), *_case_notes(cohort), limits(cohort)],
        proposals=list(proposal_cards(cohort, _PROPOSALS)) if cards is None else cards,
        proposal_count=len(proposals(cohort)),
    )


def table_csv(cohort: Cohort) -> str:
    """One row per case and structure, with all bookkeeping and the columns of the cohort's own table."""
    kinds = sorted({kind for c in cohort.cases for w in c.works.values() for kind in w.interactions})
    columns = list(dict.fromkeys(name for case in cohort.cases for name in case.columns))
    head = ["case", "structure", "status", "who", "when", "interactions", *kinds, "active_seconds", "model", "context_size", "confidence"]
    head += ["agreement", "slices", "area_mm2", "volume_ml", "note", "estimated_seconds", "untouched", "absent"]
    head += ["approved_by", "approved_when", "notes"]
    head += [f"table: {column}" if column in head else column for column in columns]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([no_formula(cell) for cell in head])
    for case in cohort.cases:
        for structure in cohort.structures:
            w = case.work(structure.name)
            row = [case.id, structure.name, _state(case), w.who, w.when, w.clicks, *(w.interactions.get(k, 0) for k in kinds)]
            row += [
                case.active_seconds,
                w.model,
                w.context_size,
                w.confidence,
                w.first_vs_accepted_dice,
                w.slices,
                w.area_mm2,
                None if w.slices == 1 else w.volume_ml,
                case.note or w.doubt,
                estimated_seconds(w.interactions),
                *("yes" if is_so else "" for is_so in (w.untouched, w.absent)),
                case.approved_by,
                case.approved_when,
                " | ".join(str(note["text"]) for note in case.notes),
            ]
            writer.writerow([no_formula(v) for v in (*row, *(case.columns.get(c, "") for c in columns))])
    return out.getvalue()


def no_formula(cell: Any) -> Any:
    """What a spreadsheet shows as it is: texts that it would take for a formula get an apostrophe before them, numbers stay numbers."""
    if cell is None:
        return ""
    if not isinstance(cell, str) or not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def example_origins(cohort: Cohort) -> dict[str, Counter[str]]:
    """Of each structure, how many examples of its context came from where (``ORIGINS``)."""
    accepted: set[tuple[str, str]] = set()
    origins: dict[str, str] = {}
    for event in cohort.journal.events():
        place = (event.get("case", ""), event.get("structure", ""))
        if event["event"] == "accepted":
            accepted.add(place)
        elif event["event"] == "example added":
            of_labels = "from results" if place in accepted else "from existing labels"
            origins[event["example"]] = "from prompts only" if event.get("origin") == "prompts" else of_labels
    contexts = Contexts(cohort)
    return {s.name: Counter(origins.get(e.id, "from results") for e in contexts.get(s.name).examples) for s in cohort.structures}


def _state(case: Case) -> str:
    """The status, and of a case that nobody has begun whether there is a proposal."""
    return PROPOSED if case.status == TODO and any(w.proposal for w in case.works.values()) else case.status


def methods_paragraph(cohort: Cohort) -> str:
    """What a paper's methods section would say about how these segmentations were made, from the journal's facts."""
    accepted = [case for case in cohort.cases if case.status == ACCEPTED]
    works = [case.work(s.name) for case in accepted for s in cohort.structures]
    people = sorted({w.who for w in works if w.who})
    models = sorted({w.model for w in works if w.model}) or [cohort.setting("model")]
    kinds: Counter[str] = Counter()
    for work in works:
        kinds.update(work.interactions)
    names = _listed([f"{s.name} (on {s.axis} slices)" for s in cohort.structures])
    text = (
        f"{names[0].upper()}{names[1:]} {'was' if len(cohort.structures) == 1 else 'were'} segmented in {len(accepted)} of {len(cohort.cases)} volumes with MultiverSeg for "
        f"3D Slicer {__version__}, an in-context segmentation network (MultiverSeg, Wong et al., arXiv:2412.15058; model {_listed(models)}) that "
        "takes a slice, prompts, and slices segmented before as input; each accepted case joined this context"
        f" (at most {cohort.setting('cap')} examples per prediction, selected by the strategy {cohort.setting('strategy').replace('_', ' ')})."
    )
    text += _origins_sentence(cohort)
    single = sum(w.slices == 1 for w in works)
    if single:
        what = "each result is" if single == len(works) else f"{single} of {len(works)} results are"
        text += f" Of the volumes not all slices were segmented: {what} a single slice, of which an area is given and no volume."
    if people:
        text += f" {'One reader' if len(people) == 1 else f'{len(people)} readers'} ({_listed(people)}) accepted or corrected every result."
    proposed = sum(_state(case) == PROPOSED for case in cohort.cases)
    if proposed:
        text += (
            f" {proposed} further volume{'s have' if proposed > 1 else ' has'} a proposal that nobody has accepted; nothing here counts it."
        )
    if works and accepted:
        what = _listed([f"{number} {_plural(kind, number)}" for kind, number in sorted(kinds.items())]) or "no interaction"
        seconds = np.mean([case.active_seconds for case in accepted])
        text += f" This took {what} in all, {sum(kinds.values()) / len(accepted):.1f} a case, and {seconds:.0f} s of active work a case on average."
        effort = Effort.of(accepted)
        text += (
            f" The interactions would take {minutes(effort.estimated_s)} minutes ({SOURCE}); {minutes(effort.active_s)} minutes of active work were"
            f" measured. {effort.percent} of the results were accepted as the model gave them, without any interaction."
        )
    text += _second_look(cohort, accepted, works)
    saved = [w.first_vs_accepted_dice for w in works if w.first_vs_accepted_dice is not None]
    if saved:
        text += f" The agreement of the first prediction with what was accepted from it was a Dice of {np.mean(saved):.2f} (SD {np.std(saved):.2f}, n = {len(saved)}), which tells how much was corrected, not how accurate the results are."
    left = [c for c in cohort.cases if c.status == SKIPPED]
    if left:
        reasons = _listed(sorted({c.note for c in left if c.note}))
        text += f" {'One volume was' if len(left) == 1 else f'{len(left)} volumes were'} left out{f' ({reasons})' if reasons else ''}."
    return text


def _second_look(cohort: Cohort, accepted: list[Case], works: list[StructureProgress]) -> str:
    """Absence, and reviewers' approvals."""
    text = ""
    absent = [w for w in works if w.absent]
    if absent:
        text += f" {len(absent)} of the results {'says' if len(absent) == 1 else 'say'} that the structure is not in the volume."
    approved = [case for case in accepted if case.approved]
    if approved:
        text += f" {len(approved)} of the {len(accepted)} accepted cases {'was' if len(approved) == 1 else 'were'} approved by a reviewer"
        names = sorted({case.approved_by for case in approved if case.approved_by})
        text += f" ({_listed(names)})" if names else ""
        own = sum(own_work(case) for case in approved)
        text += f", {own} of them by the person who had accepted it." if own else "."
    return text


def _case_notes(cohort: Cohort) -> list[str]:
    """The notes about cases, a paragraph each."""
    written = [(case.id, note) for case in cohort.cases for note in case.notes]
    return [
        f"{case}, {_moment(note['time'])}{', ' + note['who'] if note['who'] and cohort.setting('names') else ''}: {note['text']}"
        for case, note in written
    ]


def _moment(when: str) -> str:
    return when[:16].replace("T", " ")


def _origins_sentence(cohort: Cohort) -> str:
    """Which of the context's examples were not made by this work."""
    parts = []
    for name, origins in example_origins(cohort).items():
        others = [f"{origins[what]} {what}" for what in ORIGINS[1:] if origins[what]]
        if others:
            parts.append(f"{_listed(others)} among {sum(origins.values())} of {name}")
    return f" Not all examples of the context are accepted results: {_listed(parts)}." if parts else ""


def _plots(cohort: Cohort) -> list[Plot]:
    """Interactions and first Dice along the cohort, in the order of acceptance."""
    done = [case for case in _in_order(cohort) if case.status == ACCEPTED]
    if not done:
        return []
    x = list(range(1, len(done) + 1))
    clicks = [Curve(s.name, x, [c.work(s.name).clicks for c in done]) for s in cohort.structures]
    plots = [Plot("Interactions a case", "case, in the order of acceptance", "interactions", clicks)]
    along = [(s.name, *untouched_along(done, s.name)) for s in cohort.structures]
    note = f"Percent of the last {WINDOW} results that were accepted as the model gave them; the dots are the single cases."
    curves = [Curve(name, x, share, dots=single) for name, share, single in along]
    plots.append(Plot("Accepted untouched", "case, in the order of acceptance", "%", curves, note, top=100))
    first = [
        Curve(s.name, [n for n, c in zip(x, done, strict=True) if c.work(s.name).first_vs_accepted_dice is not None], dice)
        for s in cohort.structures
        if (dice := [value for c in done if (value := c.work(s.name).first_vs_accepted_dice) is not None])
    ]
    if first:
        note = (
            "Dice of each first prediction with what was accepted from it (1: accepted as it was). It does not say whether either is right."
        )
        plots.append(Plot("Agreement", "case, in the order of acceptance", "Dice", first, note, top=1))
    return plots


def _in_order(cohort: Cohort) -> list[Case]:
    """Accepted cases in the order of acceptance, then the others."""
    accepted = [c for c in cohort.cases if c.status == ACCEPTED]
    accepted.sort(key=lambda case: max((w.when for w in case.works.values()), default=""))
    return accepted + [c for c in cohort.cases if c.status != ACCEPTED]


def _report_case(cohort: Cohort, case: Case, with_pictures: bool, volumes: Mapping[str, PlainVolume] | None) -> ReportCase:
    values: dict[str, Any] = {"status": _state(case)}
    for structure in cohort.structures:
        w, prefix = case.work(structure.name), f"{structure.name}: " if len(cohort.structures) > 1 else ""
        worked = w.touched or w.status == ACCEPTED
        values[f"{prefix}interactions"] = w.clicks if worked else ""
        values[f"{prefix}agreement (Dice)"] = _text(w.first_vs_accepted_dice, 3)
        values[f"{prefix}area (mm²)"] = _text(w.area_mm2, 1)
        one = "absent" if w.absent else "one slice" if w.slices == 1 else ""
        values[f"{prefix}volume (ml)"] = one or _text(w.volume_ml, 2)
        values[f"{prefix}context"] = w.context_size if worked else ""
        if cohort.setting("names"):
            values[f"{prefix}who"] = w.who
        values[f"{prefix}when"] = _moment(w.when)
    if any(other.approved for other in cohort.cases):
        values["approved"] = (case.approved_by or "yes") if case.approved else ""
    values["active s"] = f"{case.active_seconds:.0f}" if case.active_seconds else ""
    values["note"] = case.note
    return ReportCase(case.id, values, _pictures(cohort, case, volumes) if with_pictures else ())


def _pictures(cohort: Cohort, case: Case, volumes: Mapping[str, PlainVolume] | None) -> list[MarkedPicture]:
    """The accepted max slice of each structure with its prompts; none where the files are gone."""
    done = [s for s in cohort.structures if case.work(s.name).status == ACCEPTED and not case.work(s.name).absent]
    if not done:
        return []
    try:
        volume = plain_volume(cohort, case, volumes)
        return [_picture(cohort, case, structure, volume).drawn() for structure in done]
    except MultiverSegError as error:
        notice(f"The report has no picture of case {case.id}: {error}")
        return []


def _picture(cohort: Cohort, case: Case, structure: Any, volume: Any) -> MarkedPicture:
    from ..work.labels_to_context import example_of_mask

    example = example_of_mask(volume, plain_mask(volume, cohort.segmentation_path(case.id), structure=structure.name), structure, case.id)
    matrix, mask = example.grid_to_ras, example.mask
    assert matrix is not None and mask is not None  # it was made of a mask in a volume
    plane = SlicePlane(matrix, _thickness(matrix, volume))
    outlines = {"result": mask > 0}
    events = list(cohort.journal.events(case=case.id))
    prompts = [Prompts.from_json(e["prompts"]) for e in events if e.get("structure") == structure.name and "prompts" in e]
    slices = case.work(structure.name).slices
    extent = "" if slices is None else "the only slice segmented" if slices == 1 else f"the largest of {slices} slices"
    caption = ", ".join(filter(None, (structure.name if len(cohort.structures) > 1 else "", extent)))
    return MarkedPicture(example.image, outlines, caption=caption, **_drawn(prompts[-1] if prompts else Prompts(), plane))


def _thickness(grid_to_ras: np.ndarray, volume: Any) -> float:
    from ...mrml.volumes import ijk_to_ras

    return float(np.abs(ijk_to_ras(volume)[:3, :3].T @ np.asarray(grid_to_ras)[:3, 2]).max())


def _drawn(prompts: Prompts, plane: SlicePlane) -> dict[str, Any]:
    """The prompts on the plane, in grid coordinates, as a MarkedPicture wants them."""
    drawn: dict[str, list] = {"positive": [], "negative": [], "scribbles": [], "boxes": []}
    for prompt in prompts:
        if not plane.holds(prompt):
            continue
        if prompt.bounds:
            rows, cols = np.nonzero(plane.rasterize([prompt])[prompt.channel])
            drawn["boxes"].append((rows.min(), cols.min(), rows.max(), cols.max()))
            continue
        outline = prompt.outline()
        points = [plane.to_grid(p)[:2] for p in outline.points]
        if len(points) > 1:
            drawn["scribbles"].append((points + points[: outline.closed], prompt.positive))
        else:
            drawn["positive" if prompt.positive else "negative"].append(points[0])
    return drawn


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _plural(kind: str, number: int) -> str:
    return kind if number == 1 else f"{kind}es" if kind.endswith("x") else f"{kind}s"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
