"""Which sentences of a description were seen, and which were only said.

A sentence is *measured* where it names attributes that can be measured on the pixels, and each is as it is measured on the
frame that it is shown with. It is *typical* where the model's card lists it as a fact of a diagnosis: it follows from what
the model takes the tissue for. It was *seen* where it is more likely on that frame than on the clip's others, than on a blank
frame and than on another clip's tissue, by margins that were fitted for this model. Anything else was *said* by the model,
and nobody verified it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.media.quality.scales import Attributes, is_measured, names_attributes
from videopath.tools.schemas import LocatedFinding

if TYPE_CHECKING:
    from videopath.model.inference.engine import Card

OVER_FRAMES, OVER_STAND_INS = "seen.frames", "seen.stand_ins"
"""Keys of a card's calibration: by how much a sentence has to be more likely, in nats a token."""


def with_evidence(
    findings: Sequence[LocatedFinding],
    frames: Sequence[Attributes],
    card: Card,
    margins: Sequence[float] | None = None,
) -> list[LocatedFinding]:
    """The findings with what each rests on; a measured one at the first frame that shows it.

    ``frames``: what is measured on each frame; ``margins``: by how much each finding is more likely on the clip
    than on a blank one and on foreign tissue, in nats a token; none where that was not asked.
    """
    known = {normalised_label(text): diagnosis for diagnosis, texts in card.typical.items() for text in texts}
    return [
        _judged(finding, frames, known.get(normalised_label(finding.text)), margin, card.calibration)
        for finding, margin in zip_longest(findings, margins or ())
    ]


def is_tested(card: Card) -> bool:
    """Whether the model's card says by how much a sentence has to be more likely to be called seen."""
    return {OVER_FRAMES, OVER_STAND_INS} <= card.calibration.keys()


def _judged(
    finding: LocatedFinding,
    frames: Sequence[Attributes],
    typical_of: str | None,
    margin: float | None,
    calibration: dict[str, float],
) -> LocatedFinding:
    if typical_of:
        return finding.model_copy(update={"rests_on": "typical", "typical_of": typical_of})
    if names_attributes(finding.text):
        shown = [place for place, frame in enumerate(frames) if is_measured(finding.text, frame)]
        if not shown:
            return finding
        at = finding.position if finding.position in shown else shown[0]
        return finding.model_copy(update={"rests_on": "measured", "position": at})
    seen = (
        margin is not None
        and finding.contrast >= calibration[OVER_FRAMES]
        and margin >= calibration[OVER_STAND_INS]
    )
    return finding.model_copy(update={"rests_on": "seen"}) if seen else finding
