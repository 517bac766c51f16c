"""All proposals on one page to be looked through: proposals.html, one file in the report's style. Any thread; no node is touched.

The page is static: marks that are made on it become a command, ``multiverseg cohort review``, which does what they say.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core.errors import MultiverSegError
from ...mrml.plain_volume import PlainVolume
from ..store.cohort import Cohort
from ..store.files import write_atomically
from .html_report import MarkedPicture, ProposalCard, made_now, overlay_png, page_template
from .proposals import Proposal, image_of, proposals

NAME = "proposals.html"


def write_proposals_page(cohort: Cohort, path: Path | str, cards: list[ProposalCard] | None = None) -> Path:
    """Writes the page, complete or not at all.

    Args:
        cards: what ``proposal_cards`` gave, where that was done before, one by one.

    Raises:
        MultiverSegError: there is no proposal, jinja2 or matplotlib is missing, or the file can't be written.
    """
    cards = list(proposal_cards(cohort)) if cards is None else cards
    if not cards:
        raise MultiverSegError("No case has a proposal that waits for somebody: 'multiverseg propagate' makes them.")
    unread = sum(not card.acceptable for card in cards)
    lead = f"{len(cards)} {'proposal' if len(cards) == 1 else 'proposals'}, worst first"
    lead += f"; {unread} of them can't be accepted as {'it is' if unread == 1 else 'they are'}." if unread else "."
    folder = subprocess.list2cmdline([str(cohort.folder)]) if os.name == "nt" else shlex.quote(str(cohort.folder))
    page = page_template("proposals.html").render(
        title=cohort.state.name, lead=lead, proposals=cards, command=f"multiverseg cohort review {folder}", footer=made_now()
    )
    write_atomically(path, page)
    return Path(path)


def proposal_cards(cohort: Cohort, most: int | None = None, volumes: Mapping[str, PlainVolume] | None = None) -> Iterator[ProposalCard]:
    """The cards of the worst ``most`` (None: all) proposals, one after the other: most of the work, since their volumes are read and drawn.

    ``volumes``: see ``case_nodes.plain_volume``.
    """
    for row in proposals(cohort)[:most]:
        yield proposal_card(cohort, row, volumes)


def proposal_card(cohort: Cohort, row: Proposal, volumes: Mapping[str, PlainVolume] | None = None) -> ProposalCard:
    """The card of one proposal; where its volume can't be read, it says so in the picture's place."""
    several = len(cohort.structures) > 1
    picture = problem = ""
    try:
        overlay = MarkedPicture(image_of(cohort, row, volumes), {"proposal": row.outline})
        picture = base64.b64encode(overlay_png(overlay)).decode()
    except MultiverSegError as error:
        problem = str(error)
    return ProposalCard(
        key=f"{row.case}:{row.structure}" if several else row.case,
        case=row.case,
        title=row.structure if several else "",
        picture=picture,
        problem=problem,
        confidence=row.confidence,
        size=size_of(row),
        remarks=remarks_on(row),
        acceptable=row.acceptable,
    )


def size_of(row: Proposal) -> str:
    """How large a proposal is: a volume in ml, or the area of its one slice."""
    if not row.found:
        return "nothing found"
    if row.volume_ml is not None:
        return f"{row.volume_ml:.2f} ml" + (f" in {row.slices} slices" if row.slices else "")
    area = "" if row.area_mm2 is None else f", {row.area_mm2 / 100:.2f} cm²"
    return f"one slice{area}" if not row.whole else "a whole volume of unknown size"


def remarks_on(row: Proposal) -> list[str]:
    """What else is to be known of a proposal."""
    said = {
        "made with an example that was taken out: have it proposed anew": row.stale,
        "put aside to be looked at again": row.to_review,
        "its case was opened since": row.opened,
    }
    return [text for text, true in said.items() if true]
