"""What each finding rests on: measured, seen, typical, or only said.

A finding is *measured* if it names attributes that can be measured on pixels, and each of them is clearly so on its
frame; words for structure must also hold when the frame is brought to the usual stain. It is
*typical* if the model's card lists it as a fact of a diagnosis, so it follows from what the model takes the tissue for. It
is *seen* if it is more likely on its frame than on the clip's other frames, on a blank clip and on foreign tissue, by
margins that were fitted for this model. Every other finding is *said*: the model wrote it, and nothing supports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.media.quality.scales import MeasuredFrame, is_measured, names_attributes
from videopath.model.calibration import Calibration, SeenMargins
from videopath.tools.schemas import LocatedFinding

if TYPE_CHECKING:
    from videopath.model.card import Card


def with_evidence(
    findings: Sequence[LocatedFinding],
    frames: Sequence[MeasuredFrame],
    card: Card,
    margins: Sequence[float] | None = None,
) -> list[LocatedFinding]:
    """Return the findings with what each rests on.

    Args:
        findings: Findings with their frames. A measured finding moves to the first frame that shows it if its own frame
            does not, or if it has none.
        frames: What is measured on each frame of the clip.
        card: The model's card: its typical sentences and its fitted margins.
        margins: For each finding, by how many nats per token it is more likely on the clip than on any stand-in;
            ``None`` if that was not scored, so no finding counts as seen.
    """
    seen_margins = Calibration(card.calibration).seen_margins
    known = {normalised_label(text): diagnosis for diagnosis, texts in card.typical.items() for text in texts}
    return [
        _grounded(finding, frames, known.get(normalised_label(finding.text)), margin, seen_margins)
        for finding, margin in zip_longest(findings, margins or ())
    ]


def is_tested(card: Card) -> bool:
    """Return whether the model's card has the margins from which a sentence counts as seen."""
    return Calibration(card.calibration).seen_margins is not None


def _grounded(
    finding: LocatedFinding,
    frames: Sequence[MeasuredFrame],
    typical_of: str | None,
    margin: float | None,
    seen_margins: SeenMargins | None,
) -> LocatedFinding:
    if typical_of:
        return finding.model_copy(update={"rests_on": "typical", "typical_of": typical_of})
    if names_attributes(finding.text):
        matching = [position for position, frame in enumerate(frames) if is_measured(finding.text, frame)]
        if not matching:
            return finding
        if finding.is_located and finding.position in matching:
            return finding.model_copy(update={"rests_on": "measured"})
        update = {"rests_on": "measured", "position": matching[0], "moment": "measured"}
        return finding.model_copy(update=update)
    seen = (
        margin is not None
        and seen_margins is not None
        and finding.moment == "scored"
        and finding.contrast >= seen_margins.frames
        and margin >= seen_margins.stand_ins
    )
    return finding.model_copy(update={"rests_on": "seen"}) if seen else finding
