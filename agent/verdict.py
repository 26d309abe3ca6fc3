"""Whether a look is enough for a diagnosis, and what would help when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videopath.agent.confidence import confidence, is_calibrated
from videopath.agent.not_known import says_not_known
from videopath.agent.policy import Policy
from videopath.agent.state import Json, Look
from videopath.core.sites import canonical_site
from videopath.core.text import same_label
from videopath.tools.diagnose import NO_DIAGNOSIS
from videopath.tools.schemas import DiagnoseResult, RetrieveResult

if TYPE_CHECKING:
    from videopath.model.engine import Card

NEVER_MEASURED = "This model is not calibrated: how often it is right was never measured."

_WEAK = 0.5  # a feature below it speaks against the diagnosis
_CLOSE = 0.2  # margin below which two candidates are close
_FAIR = "fair"


def is_no_diagnosis(label: str, unknown_label: str | None) -> bool:
    """Whether a label says that there is no diagnosis: empty, or the model's word for tissue that it does not know."""
    return same_label(label) in {"", NO_DIAGNOSIS, same_label(unknown_label or "")}


@dataclass(frozen=True)
class Weighed:
    """What a look is worth."""

    sure: float
    """How strongly all of it speaks for the label, in [0, 1]: a probability only where ``calibrated``."""
    threshold: float
    reasons: list[str]
    """Why the agent abstains; empty: it does not."""
    calibrated: bool
    closer_may_help: bool
    """Whether another look at the video could settle it."""

    def __str__(self) -> str:
        said = f"confidence {self.sure:.2f}" if self.calibrated else "not calibrated"
        return said + (", not enough" if self.reasons else "")


def weigh(
    final: DiagnoseResult,
    values: dict[str, float],
    site: str | None,
    card: Card,
    policy: Policy,
    said_of_blank: Callable[[], set[str]],
) -> Weighed:
    """Weigh a look by its features ``values``.

    ``said_of_blank`` gives the labels of a blank video; only a model that nobody calibrated is asked, since that costs
    as much as a look.
    """
    calibrated = is_calibrated(card.calibration)
    accepted = calibrated or policy.accept_uncalibrated
    threshold = policy.threshold(card.calibration)
    reasons, may_help = no_claim(final, site, card), knows_site(site, card)
    if not (reasons or calibrated) and policy.show_blank and same_label(final.label) in said_of_blank():
        reasons, may_help = [f"The model says {final.label!r} of a blank video as well."], False
    sure = 0.0 if reasons else confidence(values, card.calibration)
    if not reasons and sure < threshold:
        reasons = [
            f"The confidence {sure:.2f} is below {threshold:.2f}, which is needed for a diagnosis."
            if calibrated
            else "Too little speaks for the diagnosis, by weights that were not fitted to this model."
        ]
    return Weighed(
        sure,
        threshold,
        [*reasons, *([] if accepted else [NEVER_MEASURED])],
        calibrated,
        closer_may_help=bool(reasons) and may_help and accepted,
    )


def no_claim(final: DiagnoseResult, site: str | None, card: Card) -> list[str]:
    """Reasons why no confidence at all can be claimed for a label, whatever the scores say."""
    label = final.label
    if final.foreign and knows_site(site, card):
        return [f"The model takes this for {final.foreign}, which is not of the {site}."]
    if label == NO_DIAGNOSIS and knows_site(site, card):
        return ["The model gave no diagnosis."]
    if says_not_known(label, card.unknown_label):
        return ["The model takes this for tissue that it does not know."]
    if not knows_site(site, card):
        return [f"The model was not trained on tissue of the {site}; it knows {_listed(list(card.labels))}."]
    if not (final.generated or card.labels):
        return ["The model wrote no diagnosis of its own."]
    if not final.leading.known_term:
        return [f"{label!r} is not a known term."]
    if card.labels and not _is_listed(label, card):
        # The confidence was calibrated on the card's diagnoses; of another it says nothing.
        return [f"How often the model is right with {label!r} was never measured."]
    return []


def _is_listed(label: str, card: Card) -> bool:
    return any(same_label(label) in map(same_label, labels) for labels in card.labels.values())


def knows_site(site: str | None, card: Card) -> bool:
    """False only for a model that names the sites it knows, and not this one."""
    return not (site and card.labels) or canonical_site(site) in card.labels


def advice(look: Look, quality: Json, site: str | None, card: Card) -> list[str]:
    """What would help, in sentences; the most useful first."""
    final = DiagnoseResult.model_validate(look["final"])
    values = look["features"]
    sentences = []
    if NEVER_MEASURED in look["reasons"]:
        sentences.append(
            "Fit its confidence with `videopath model calibrate`, decide on the case yourself, or accept such answers "
            "(--accept-uncalibrated)."
        )
    if not knows_site(site, card):
        sentences.append(f"Use a model that was trained on tissue of the {site}.")
    if not site and card.labels:
        sentences.append("Give the anatomical site: the differential then holds only diagnoses of that site.")
    if quality.get("verdict") == _FAIR:
        sentences.append("Record the slide again: " + " ".join(quality.get("sentences", [])))
    if not final.foreign and len(final.differential) > 1 and values.get("margin", 0.0) < _CLOSE:
        first, second = final.differential[:2]
        sentences.append(
            f"{first.label} and {second.label} are close: show the regions that tell them apart at high power, "
            "or add immunohistochemistry."
        )
    if values.get("samples", 1.0) < _WEAK:
        sentences.append("Repeated answers differ: a longer or steadier view of the tissue would help.")
    if not RetrieveResult.model_validate(look["retrieved"]).kept:
        sentences.append("No similar case was found: add cases of this kind to the knowledge base.")
    if values.get("description", 1.0) < _WEAK:
        sentences.append(
            "The description alone points elsewhere: have a pathologist compare it with the video."
        )
    return sentences or ["Have a pathologist look at the slide."]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
