"""Whether a look is enough for a diagnosis, and what would help when it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videopath.agent.state import Json, Look
from videopath.core.sites import SITES, canonical_site
from videopath.tools.diagnose import NO_DIAGNOSIS, same_label
from videopath.tools.schemas import DiagnoseResult, RetrieveResult

if TYPE_CHECKING:
    from videopath.model.engine import Card

_WEAK = 0.5  # a feature below it speaks against the diagnosis
_CLOSE = 0.2  # margin below which two candidates are close
_FAIR = "fair"


def is_no_diagnosis(label: str, unknown_label: str | None) -> bool:
    """Whether a label says that there is no diagnosis: empty, or the model's word for tissue that it does not know."""
    return same_label(label) in {"", NO_DIAGNOSIS, same_label(unknown_label or "")}


def no_claim(label: str, site: str | None, card: Card) -> list[str]:
    """Reasons why no confidence at all can be claimed for a label, whatever the scores say."""
    if label == NO_DIAGNOSIS:
        return ["The model gave no diagnosis."]
    if card.unknown_label and same_label(label) == same_label(card.unknown_label):
        return ["The model takes this for tissue that it does not know."]
    if not knows_site(site, card):
        return [f"The model was not trained on tissue of the {site}; it knows {_listed(list(card.labels))}."]
    if site and (named := sites_of(label, card)) and canonical_site(site) not in named:
        return [f"The diagnosis is one of the {_listed(named)}, but the tissue is said to be of the {site}."]
    if card.labels and not _is_listed(label, card):
        # The confidence was calibrated on the card's diagnoses; of another it says nothing.
        return [f"How often the model is right with {label!r} was never measured."]
    return []


def sites_of(label: str, card: Card) -> list[str]:
    """The sites that a label belongs to by the card or by its own words; empty where neither names one."""
    label = same_label(label)
    named = label.rpartition(" of the ")[2]
    if named in SITES:
        return [named]
    return [site for site, labels in card.labels.items() if label in map(same_label, labels)]


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
    if not knows_site(site, card):
        sentences.append(f"Use a model that was trained on tissue of the {site}.")
    if not site and card.labels:
        sentences.append("Give the anatomical site: the differential then holds only diagnoses of that site.")
    if quality.get("verdict") == _FAIR:
        sentences.append("Record the slide again: " + " ".join(quality.get("sentences", [])))
    if len(final.differential) > 1 and values.get("margin", 0.0) < _CLOSE:
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
