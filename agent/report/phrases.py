"""The sentences of a report, in one place for all writers (Markdown, PDF, page, terminal)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from videopath.agent.cases.records import (
    CaseReport,
    ExcludedRecord,
    Finding,
    FollowUp,
    LookTaken,
    SecondOpinion,
    Voucher,
)
from videopath.core.choices import CaseStatus
from videopath.core.clock import minute
from videopath.core.pathology.labels import normalised_label
from videopath.media.crop import Crop
from videopath.tools.answers.answerable_questions import asks_for_diagnosis
from videopath.tools.diagnose import NO_DIAGNOSIS
from videopath.tools.schemas import Candidate, CasesVote, DiagnoseResult

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseEntry
    from videopath.media.writing.records import BurnedIn

KEPT = (
    "Burned-in writing was not masked, as asked: the model, the evidence frames and everyone who sees this case see the "
    "frames as they are."
)
"""Stands in each report of a case that was started with the rule ``keep``."""
NOT_CALIBRATED = "not calibrated"
NOT_A_TERM = "not a known term"
STATUS_IN_WORDS: dict[CaseStatus, str] = {
    "queued": "waiting for a worker",
    "running": "not finished",
    "waiting for review": "waiting for a person's review",
    "abstained": "abstained",
    "done": "done",
    "signed": "signed by a person",
    "rejected": "rejected by a person",
    "failed": "failed",
}
BALLOT_COLUMNS = ("case", "patient, group or source", "diagnosis", "similarity", "weight")
_NAMED_DECIDING = 3  # deciding cases that are named; more are counted
_NAMED_EXCLUDED = 5  # records that could not be used, by name; more are counted


def outcome_title(report: CaseReport) -> str:
    """Return the title of the label at the head of a report."""
    if not report.abstained or report.has_persons_diagnosis:
        return "Diagnosis"
    nothing = report.diagnosis == NO_DIAGNOSIS or NOT_A_TERM in limits_of(report)
    return "Not signed out" if nothing else "Leading candidate, not vouched for"


def diagnosis_in_words(report: CaseReport) -> str:
    """Return the label at the head of a report with its limits; a person's label has none."""
    limits = limits_of(report)
    return report.diagnosis + (f" ({'; '.join(limits)})" if limits and report.diagnosis else "")


def limits_of(report: CaseReport) -> list[str]:
    """Return what limits the agent's label, in a few words each; a person's label has no limits."""
    if report.has_persons_diagnosis:
        return []
    limits = {
        NOT_A_TERM: not _is_known(report, report.diagnosis),
        NOT_CALIBRATED: report.provenance.get("calibrated") is False,
    }
    return [limit for limit, holds in limits.items() if holds]


def marked(report: CaseReport, label: str) -> str:
    """Return a label of the agent, marked if it is not a known term."""
    return label if _is_known(report, label) else f"{label} ({NOT_A_TERM})"


def blind_in_words(report: CaseReport) -> str:
    """Return the blind diagnosis, marked if it is not a known term."""
    return report.blind_diagnosis if report.blind_known_term else f"{report.blind_diagnosis} ({NOT_A_TERM})"


def _is_known(report: CaseReport, label: str) -> bool:
    same = [
        candidate
        for candidate in report.differential
        if normalised_label(candidate.label) == normalised_label(label)
    ]
    return all(candidate.known_term for candidate in same)


def candidate_in_words(candidate: Candidate) -> str:
    """Return the label of a candidate, marked if it is not a known term."""
    return candidate.label if candidate.known_term else f"{candidate.label} ({NOT_A_TERM})"


def by_organ(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Return the candidates of the given site, and those of other organs."""
    return [c for c in candidates if not c.other_organ], [c for c in candidates if c.other_organ]


def other_organs_in_words(candidates: Sequence[Candidate]) -> str:
    """Return the number of candidates of other organs, with their share of the probability."""
    count, share = len(candidates), sum(candidate.probability for candidate in candidates)
    return f"{count} candidate{'s' if count > 1 else ''} of other organs ({share:.1%} together)"


def choice_in_words(result: DiagnoseResult) -> str:
    """Return the summary of a diagnosis, for its step."""
    best, count = result.leading, len(result.differential)
    summary = f"{candidate_in_words(best)} ({best.probability:.0%} of {count} candidates"
    if result.foreign:
        summary = f"{result.label} (taken for {result.foreign}, of another organ; {count} candidates"
    return summary + (f"; the model wrote {_generated(result)})" if result.generated_differs else ")")


def label_in_words(result: DiagnoseResult) -> str:
    """Return the label of a diagnosis, marked if it is not a known term."""
    return candidate_in_words(result.leading) if result.label == result.leading.label else result.label


def _generated(result: DiagnoseResult) -> str:
    same = (c for c in result.differential if normalised_label(c.label) == normalised_label(result.generated))
    return next(map(candidate_in_words, same), result.generated) or NO_DIAGNOSIS


def abstention_in_words(report: CaseReport) -> str:
    """Return why the agent abstained; empty if it did not."""
    if not report.abstained:
        return ""
    if report.provenance.get("calibrated") is False:
        return "The agent abstained: nobody fitted the confidence of its model."
    vouched = any(not voucher.reasons for voucher in report.vouchers)
    if vouched and report.second_opinion is not None and report.second_opinion.contradicts:
        return "The agent abstained: a second model gives another diagnosis."
    return "The agent abstained: neither its model nor the similar cases vouch for a diagnosis."


def confidence_in_words(report: CaseReport) -> str:
    """Return the agent's confidence; no number if the model's confidence was never fitted.

    Reports of early versions do not record whether it was fitted: they get the number alone.
    """
    calibrated = report.provenance.get("calibrated")
    if calibrated is False:
        return "none, since this model is not calibrated"
    return f"{report.confidence:.0%}" + (" (calibrated)" if calibrated else "")


def left_out_sentences(report: CaseReport) -> list[str]:
    """Return what the search for similar cases left out, and why; empty if it used everything."""
    names = report.settings.exclude
    excluded = f"Asked to be left out: {', '.join(names)}." if names else ""
    return [
        sentence for sentence in (excluded, excluded_sentence(report), *report.retrieval_notes) if sentence
    ]


def excluded_sentence(report: CaseReport) -> str:
    """Return which records could not be used, and why; empty if all could."""
    count = report.excluded_count
    if not count:
        return ""
    named = "; ".join(f"{record.id} ({_shared(record)})" for record in report.excluded[:_NAMED_EXCLUDED])
    more = count - min(_NAMED_EXCLUDED, len(report.excluded))
    records = f"{count} record{'s' if count > 1 else ''} of the knowledge base could not be used"
    return f"{records}, since the case could be answered with itself: {named}" + (
        f"; and {more} more." if more > 0 else "."
    )


def _shared(record: ExcludedRecord) -> str:
    """Return what a record shares with the case."""
    return f"{record.reason if ' ' in record.reason else f'same {record.reason}'}: {record.detail}"


def basis_in_words(finding: Finding) -> str:
    """Return what a finding rests on."""
    if finding.by == "reviewer":
        return "the reviewer's words"
    if finding.rests_on == "typical":
        return f"typical of {finding.typical_of}, not seen"
    if finding.rests_on == "said" and finding.moment == "named":
        return "said by the model, which named the moment; not verified"
    return _BASIS[finding.rests_on]


_BASIS = {
    "measured": "measured on the frame",
    "seen": "seen on the frame",
    "said": "said by the model, not verified",
}


def vouchers_in_words(report: CaseReport) -> list[str]:
    """Return whether the model and the similar cases vouch for the diagnosis, a sentence each; empty if not known."""
    return [_voucher_in_words(voucher, report.advice) for voucher in report.vouchers]


def _voucher_in_words(voucher: Voucher, advice: Sequence[str]) -> str:
    """Return whether a voucher vouches; its reasons are left out if the report's advice has them."""
    who = {"model": "The model", "cases": "The similar cases"}[voucher.by]
    vouch = {"model": "vouches", "cases": "vouch"}[voucher.by]
    measured = f"; measured on {voucher.measured_on}" if voucher.measured_on else ""
    if voucher.reasons:
        not_vouch = {"model": "does not vouch", "cases": "do not vouch"}[voucher.by]
        new = [reason for reason in voucher.reasons if not any(reason in sentence for sentence in advice)]
        return f"{who} {not_vouch} for it{': ' if new else '.'}{' '.join(new)}"
    return f"{who} {vouch} for it: such an answer is right in {voucher.probability or 0:.2f} of the cases{measured}."


def vote_in_words(vote: CasesVote) -> str:
    """Return what the similar cases voted, which of them decided, and the result without these."""
    result = f"The similar cases say {vote.diagnosis} ({vote.shares[vote.diagnosis]:.2f} of the vote)."
    if not vote.deciding:
        return result
    named, more = vote.deciding[:_NAMED_DECIDING], len(vote.deciding[_NAMED_DECIDING:])
    listed = _listed([*named, f"{more} more"] if more else named)
    decided = f" {listed} {'decides' if len(vote.deciding) == 1 else 'decide'} it"
    return (
        result
        + decided
        + (f"; without, it would be {vote.without}." if vote.without else "; no other voted.")
    )


def vote_in_short(vote: CasesVote) -> str:
    """Return the summary of a vote, for its step."""
    return f"they vote for {vote.diagnosis} ({vote.shares[vote.diagnosis]:.2f} of {len(vote.ballots)} votes)"


def writing_in_short(found: BurnedIn) -> str:
    """Return what intake did about burned-in writing, for its step; empty if it found none and would have filled it."""
    count, filled = len(found.writings), sum(writing.filled for writing in found.writings)
    if found.rule == "keep":
        return f"; WRITING WAS KEPT: {_places(count)} found, {filled or 'nothing'} filled"
    reasons = sorted({w.reason for w in found.writings if w.filled and w.kind != "label"})
    because = f" ({', '.join(reasons)})" if reasons else ""
    return f"; writing was filled in {filled} of {_places(count)}{because}" if count else ""


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count or 'no'} places"


def writing_sentences(report: CaseReport) -> list[str]:
    """Return what was found and filled of burned-in writing, a sentence each; empty if there was none to fill."""
    found = report.burned_in
    sentences = [KEPT] if found.get("rule") == "keep" else []
    if found.get("writings"):
        sentences.append(found["sentence"])
    for number, look in enumerate(report.looks, 1):
        if look.writing:
            sentences.append(f"Look {number}: {look.writing}")
    return sentences


def ballots_in_words(vote: CasesVote) -> list[tuple[str, str, str, str, str]]:
    """Return a row for each ballot, as :data:`BALLOT_COLUMNS`."""
    return [(b.id, b.group, b.diagnosis, f"{b.similarity:.2f}", f"{b.weight:.2f}") for b in vote.ballots]


def shares_in_words(candidate: Candidate) -> tuple[str, str]:
    """Return a candidate's probability by the model and its share of the cases' vote; "–" if it has none."""
    return tuple(
        "–" if share is None else f"{share:.1%}" for share in (candidate.of_model, candidate.of_cases)
    )  # type: ignore[return-value]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def second_opinion_in_words(report: CaseReport) -> str:
    """Return what the second model said and what it means for the diagnosis; empty without a second opinion."""
    opinion = report.second_opinion
    if opinion is None:
        return ""
    return " ".join([opinion.sentence, *_meaning_of(opinion, report.abstained)])


def second_opinion_in_outcome(report: CaseReport) -> str:
    """Return the second opinion for the outcome; empty if the advice has it already, or without one."""
    opinion = report.second_opinion
    is_told = opinion is None or opinion.sentence in report.advice
    return "" if is_told else second_opinion_in_words(report)


def _meaning_of(opinion: SecondOpinion, abstained: bool) -> list[str]:
    if opinion.failure:
        return ["The diagnosis rests on the first model alone."]
    if opinion.contradicts:
        effect = "" if abstained else ", which lowered the confidence"
        return [f"It is another diagnosis than the agent's{effect}."]
    return ["It agrees with the agent."] if opinion.agrees else []


def second_opinion_rows(report: CaseReport) -> list[tuple[str, str]]:
    """Return who gave the second opinion and how, as names and values; empty without one."""
    opinion = report.second_opinion
    if opinion is None:
        return []
    rows = [
        ("model", opinion.model),
        ("weights", opinion.weights),
        ("device", opinion.device),
        ("scores by", opinion.scoring if opinion.differential else ""),
        ("its description", opinion.description),
        ("its rationale", opinion.rationale),
    ]
    return [(name, value) for name, value in rows if value]


def sent_away_sentence(sent_to: Mapping[str, str]) -> str:
    """Return where the frames of a case were sent; empty if they stayed on this machine.

    Args:
        sent_to: Model → address.
    """
    if not sent_to:
        return ""
    addresses = _listed([f"{address} (for {model})" for model, address in sent_to.items()])
    return f"Frames of this case left this machine: they were sent to {addresses}."


def follow_up_in_words(asked: FollowUp) -> str:
    """Return what was answered to a question, and why that does not count as an answer if it does not."""
    if asked.answered:
        return asked.answer
    return f"Not answered: {asked.why_not}" + (f" The model wrote: {asked.answer}" if asked.answer else "")


def follow_up_source(asked: FollowUp) -> str:
    """Return who answered a question, when and on which device, in a few words."""
    sent = f", sent to {asked.address}" if asked.address else ""
    cut = ", cut at the token limit" if asked.stopped == "length" else ""
    return f"{minute(asked.asked)} UTC, {asked.model} on {asked.device}, {asked.seconds:.1f} s{sent}{cut}"


def looks_in_words(report: CaseReport) -> list[str]:
    """Return the result of each look, a line each; empty if there is only one look."""
    if len(report.looks) < 2:
        return []
    return [f"Look {number}, {_look_in_words(report, look)}" for number, look in enumerate(report.looks, 1)]


def _look_in_words(report: CaseReport, look: LookTaken) -> str:
    confidence = "" if look.confidence is None else f", confidence {look.confidence:.0%}"
    used = "; the report rests on it" if look.reported else ""
    if look.second_opinion:
        used += f"; second opinion: {look.second_opinion}"
    return f"{_part_in_words(look, report.settings.crop)}: {marked(report, look.diagnosis)} ({look.probability:.0%} of its differential{confidence}{used})"


def _part_in_words(look: LookTaken, crop: Crop | None) -> str:
    """Return the part of the video; ``crop`` is the part of the frame that the whole case looks at."""
    part = "the whole video" if look.start is None and look.end is None else _span(look)
    return part + (", a part of the picture" if look.crop and look.crop != crop else "")


def _span(look: LookTaken) -> str:
    until = "the end" if look.end is None else f"{look.end:.1f} s"
    return f"{look.start or 0.0:.1f} s to {until}"


def question_in_words(report: CaseReport) -> str:
    """Return the question, and why it was not answered if it was not; empty if no question was asked."""
    if not report.question or report.question_answered is not False:
        return report.question or ""
    asks = asks_for_diagnosis(report.question)
    why = (
        "there is no diagnosis to sign out"
        if asks
        else "VideoPath gives a diagnosis, and this asks for something else"
    )
    return f"{report.question} – not answered: {why}"


def listed_confidence(entry: CaseEntry) -> str:
    """Return the agent's confidence, for a list of cases; empty if there is no diagnosis of the agent."""
    if entry.confidence is not None:
        return f"{entry.confidence:.0%}" if entry.diagnosis else ""
    return NOT_CALIBRATED if entry.diagnosis and entry.status != "signed" else ""
