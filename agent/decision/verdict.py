"""The verdict on a look: whether it is enough for a diagnosis, and what would help if it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from videopath.agent.cases.records import SecondOpinion, Voucher
from videopath.agent.decision.fusion import FusedDiagnosis
from videopath.agent.decision.not_known import says_not_known
from videopath.agent.graph.state import Json
from videopath.agent.graph.view import LookView
from videopath.agent.policy import Policy
from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import canonical_site
from videopath.model.calibration import SECOND_OPINION, Calibration
from videopath.tools.diagnose import NO_DIAGNOSIS
from videopath.tools.schemas import CasesVote, DiagnoseResult, RetrieveResult

if TYPE_CHECKING:
    from videopath.model.card import Card

NEVER_MEASURED = "This model is not calibrated: how often it is right was never measured."

_WEAK = 0.5  # a feature below it counts against the diagnosis
_CLOSE = 0.2  # two candidates with a smaller margin are close
_FAIR = "fair"


def is_no_diagnosis(label: str, unknown_label: str | None) -> bool:
    """Return whether a label is no diagnosis: empty, "no diagnosis", or the model's unknown label."""
    return normalised_label(label) in {"", NO_DIAGNOSIS, normalised_label(unknown_label or "")}


@dataclass(frozen=True)
class BlankAnswers:
    """The model's answers to a blank video. Each is computed only if it matters."""

    labels: Callable[[], set[str]]
    """Return its diagnoses, normalised. Used for a model without a calibration; costs as much as a look."""
    probabilities: Callable[[Sequence[str]], dict[str, float]]
    """Labels → the probability of each among them. Costs one pass."""


@dataclass(frozen=True)
class Verdict:
    """What a look is worth."""

    confidence: float
    """In [0, 1]; a probability only if ``calibrated``."""
    threshold: float
    """The confidence that is needed, in [0, 1]."""
    reasons: list[str]
    """Why the agent abstains; empty if it does not."""
    calibrated: bool
    closer_may_help: bool
    """Whether another look at the video could settle it."""
    vouchers: list[Voucher]
    """Whether the model, and the similar cases if they voted, vouch for the label."""

    def __str__(self) -> str:
        confidence = f"confidence {self.confidence:.2f}" if self.calibrated else "not calibrated"
        return confidence + (", not enough" if self.reasons else f", {vouched_in_words(self.vouchers)}")


def weigh(
    fused: FusedDiagnosis,
    retrieved: RetrieveResult,
    values: dict[str, float],
    site: str | None,
    card: Card,
    policy: Policy,
    blank: BlankAnswers | None,
    second: SecondOpinion | None = None,
) -> Verdict:
    """Decide whether the model or the similar cases vouch for the label of a look, and whether a second model objects.

    Another diagnosis of the second model lowers the model's confidence, if it was fitted by how much. Otherwise it is a
    reason to look closer, or to leave the case to a person.

    Args:
        fused: The diagnosis of the look.
        retrieved: Its similar cases, with their vote and with what was measured of them.
        values: The features of the look, each in [0, 1].
        site: The canonical site; None if it was not given.
        card: The model's card.
        policy: The policy of the case.
        blank: The model's answers to a blank video; None: it was not shown one.
        second: The second opinion on the look; None if the case asks for none.
    """
    verdict = _weigh_vouchers(fused, retrieved, values, site, card, policy, blank)
    fitted = Calibration(retrieved.calibration or card.calibration)
    counted = fused.basis != "cases" and fitted.is_fitted and SECOND_OPINION in fitted.parameters
    if second is None or not second.contradicts or (counted and not verdict.reasons):
        return verdict
    closer = knows_site(site, card) and (verdict.calibrated or policy.accept_uncalibrated)
    return replace(
        verdict,
        reasons=[*verdict.reasons, second.sentence],
        closer_may_help=verdict.closer_may_help or closer,
    )


def _weigh_vouchers(
    fused: FusedDiagnosis,
    retrieved: RetrieveResult,
    values: dict[str, float],
    site: str | None,
    card: Card,
    policy: Policy,
    blank: BlankAnswers | None,
) -> Verdict:
    """Return the verdict without a second opinion."""
    final = fused.final
    cases = _cases_vouch(final, retrieved.vote, policy)
    if retrieved.calibration:
        model = _both_vouch(fused, retrieved, values, policy)
        card = card.model_copy(update={"calibration": retrieved.calibration})
    else:
        model = _model_vouches(fused, retrieved, values, site, card, policy, blank)
    vouchers = [model, *([cases] if cases else [])]
    calibrated = Calibration(card.calibration).is_fitted
    if cases and fused.basis == "cases":
        unsure = [*cases.reasons, *model.reasons] if cases.reasons else []
        reasons = [*_disagreement(fused, site, card), *unsure]
        return Verdict(
            cases.probability or 0.0,
            cases.threshold,
            reasons,
            calibrated or cases.probability is not None,
            bool(reasons) and knows_site(site, card),
            vouchers,
        )
    reasons = model.reasons
    if reasons and cases and cases.reasons:
        reasons = [*reasons, f"The similar cases do not vouch for it either: {cases.reasons[0]}"]
    return Verdict(
        model.probability or 0.0,
        model.threshold,
        reasons,
        calibrated,
        bool(reasons) and knows_site(site, card) and (calibrated or policy.accept_uncalibrated),
        vouchers,
    )


def _disagreement(fused: FusedDiagnosis, site: str | None, card: Card) -> list[str]:
    """Return why the cases' label is not enough, if the model knows this label but gives another one."""
    known = set(map(normalised_label, card.labels.get(canonical_site(site), []))) if site else set()
    own = normalised_label(fused.of_model)
    if own == normalised_label(fused.final.label) or not {own, normalised_label(fused.final.label)} <= known:
        return []
    return [
        f"The model says {fused.of_model}, the similar cases {fused.final.label}; how far either is right against the "
        "other was never measured."
    ]


def _cases_vouch(final: DiagnoseResult, vote: CasesVote | None, policy: Policy) -> Voucher | None:
    """Return whether the similar cases vouch for the label; None if no case voted."""
    if vote is None:
        return None
    needed = policy.abstain_threshold or 0.0
    reasons = list(vote.reasons)
    if normalised_label(vote.diagnosis) != normalised_label(final.label):
        reasons = [f"Most of the similar cases are of another diagnosis: {vote.diagnosis}."]
    elif not reasons and (vote.probability or 0.0) < needed:
        reasons = [f"Their vote is right in {vote.probability:.2f} of such cases; {needed:.2f} is needed."]
    return Voucher(
        by="cases",
        probability=vote.probability,
        threshold=needed,
        measured_on=vote.measured_on,
        reasons=reasons,
    )


def _model_vouches(
    fused: FusedDiagnosis,
    retrieved: RetrieveResult,
    values: dict[str, float],
    site: str | None,
    card: Card,
    policy: Policy,
    blank: BlankAnswers | None,
) -> Voucher:
    """Return whether the model vouches for the label, by its card."""
    final, calibrated = fused.final, Calibration(card.calibration).is_fitted
    threshold = policy.threshold(Calibration(card.calibration), final.label)
    reasons = [*reasons_against_claim(final, site, card), *_unlike_known_tissue(retrieved, final, site, card)]
    if not reasons and policy.show_blank and blank and _is_said_of_blank(final, calibrated, blank):
        reasons = [f"The model says {final.label!r} of a blank video as well."]
    value = None if reasons else Calibration(card.calibration).confidence(values)
    if value is not None and value < threshold:
        reasons = [
            f"The confidence {value:.2f} is below {threshold:.2f}, which is needed for {final.label!r}."
            if calibrated
            else "Too little speaks for the diagnosis, by weights that were not fitted to this model."
        ]
    if not (calibrated or policy.accept_uncalibrated):
        reasons = [*reasons, NEVER_MEASURED]
    return Voucher(
        by="model",
        probability=value,
        threshold=threshold,
        measured_on="the clips of its card" if calibrated else "",
        reasons=reasons,
    )


def _is_said_of_blank(final: DiagnoseResult, calibrated: bool, blank: BlankAnswers) -> bool:
    """Return whether the label does not rest on the picture.

    For a calibrated model: it is at least as likely for a blank video. For another model: it is the answer to one.
    """
    if not calibrated:
        return normalised_label(final.label) in blank.labels()
    own = [c for c in final.differential if c.of_model is not None and not c.other_organ]
    of_label = next((c for c in own if c.label == final.label), None)
    if of_label is None or len(own) < 2:
        return False
    probabilities = blank.probabilities([candidate.label for candidate in own])
    return (of_label.of_model or 0.0) <= probabilities[final.label]


def _both_vouch(
    fused: FusedDiagnosis, retrieved: RetrieveResult, values: dict[str, float], policy: Policy
) -> Voucher:
    """Return whether the model vouches for the label, by what was measured of it together with these cases."""
    label, vote = fused.final.label, retrieved.vote
    value = Calibration(retrieved.calibration).confidence(values)
    threshold = policy.threshold(Calibration(retrieved.calibration), label)
    reasons = []
    if vote is None or normalised_label(label) not in map(normalised_label, vote.shares):
        reasons = [f"How often the model is right with {label!r} was never measured: no case here has it."]
    elif not vote.from_here:
        reasons = ["The picture is unlike the cases that the model was measured on."]
    elif value < threshold:
        reasons = [f"The confidence {value:.2f} is below {threshold:.2f}, which is needed for {label!r}."]
    return Voucher(
        by="model",
        probability=None if reasons else value,
        threshold=threshold,
        measured_on=retrieved.calibrated_on,
        reasons=reasons,
    )


def _unlike_known_tissue(
    retrieved: RetrieveResult, final: DiagnoseResult, site: str | None, card: Card
) -> list[str]:
    """Return why a calibrated model cannot vouch for this tissue; empty if it is like the tissue it was measured on.

    The tiles that the model was trained on decide, if they ship: as the voters of the knowledge base, or beside them.
    """
    known = retrieved.known_tissue or (retrieved.vote if retrieved.voters_are_known_tissue else None)
    if (
        known is None
        or known.from_here
        or not (Calibration(card.calibration).is_fitted and knows_site(site, card))
    ):
        return []
    return ["The picture is unlike the tissue that the model was measured on."]


def vouched_in_words(vouchers: Sequence[Voucher]) -> str:
    """Return who vouches: "vouched for by the model and the similar cases", or "nobody vouches for it"."""
    named = [_NAMES[voucher.by] for voucher in vouchers if not voucher.reasons]
    return f"vouched for by {' and '.join(named)}" if named else "nobody vouches for it"


_NAMES = {"model": "the model", "cases": "the similar cases"}


def reasons_against_claim(final: DiagnoseResult, site: str | None, card: Card) -> list[str]:
    """Return the reasons why nothing can be claimed for a label, whatever its confidence."""
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
        # The confidence was calibrated on the card's diagnoses, not on others.
        return [f"How often the model is right with {label!r} was never measured."]
    return []


def _is_listed(label: str, card: Card) -> bool:
    return any(normalised_label(label) in map(normalised_label, labels) for labels in card.labels.values())


def knows_site(site: str | None, card: Card) -> bool:
    """Return False only if the card names the sites that the model knows, and not this one."""
    return not (site and card.labels) or canonical_site(site) in card.labels


def advice(look: LookView, quality: Json, site: str | None, card: Card) -> list[str]:
    """Return what would help the agent, a sentence each, the most useful first."""
    final, values = look.final, look.features
    sentences = []
    if NEVER_MEASURED in look.reasons:
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
    if not look.retrieved.kept:
        sentences.append("No similar case was found: add cases of this kind to the knowledge base.")
    if values.get("description", 1.0) < _WEAK:
        sentences.append(
            "The description alone points elsewhere: have a pathologist compare it with the video."
        )
    return sentences or ["Have a pathologist look at the slide."]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
