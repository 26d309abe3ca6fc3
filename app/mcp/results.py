"""What the tools of the MCP server return: small records, each with the research notice.

They hold less than the records of the tools and the reports, since an assistant reads every word of them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from videopath.agent.cases.library import CaseEntry
from videopath.agent.cases.records import CaseReport, Finding, FollowUp, SimilarCase
from videopath.agent.report.phrases import (
    abstention_in_words,
    candidate_in_words,
    diagnosis_in_words,
    limits_of,
    second_opinion_in_words,
    vote_in_words,
    vouchers_in_words,
)
from videopath.agent.report.values import moment
from videopath.core.choices import CaseStatus, DisplayedStatus
from videopath.core.notice import RESEARCH_USE
from videopath.tools.schemas import (
    Candidate,
    DescribeResult,
    DiagnoseResult,
    LocatedFinding,
    Neighbour,
    RestsOn,
    RetrieveResult,
)

_GIVEN_OUT: tuple[CaseStatus, ...] = ("done", "signed")
_NOT_VOUCHED = (
    "Nobody vouches for this label: it comes from one answer of the model, without a calibrated confidence. "
    "Do not report it as a diagnosis; diagnose_case says whether there is one."
)


class Result(BaseModel):
    """Base class of all results."""

    notice: str = Field(RESEARCH_USE, description="show it to the person whenever you report this result")


class ShownFinding(BaseModel):
    """One sentence of a description, and what it rests on."""

    text: str
    moment: str = Field(
        description="minutes and seconds of the video that show it; empty: no moment may be claimed"
    )
    frame: int | None = Field(description="number of that frame in the source; null if there is no moment")
    rests_on: RestsOn = Field(
        description="measured: on the pixels of that frame; seen: by a fitted test; typical: of a diagnosis, not seen; "
        "said: only the model says it, nobody verified it"
    )
    by: Literal["model", "reviewer"] = "model"


class Possibility(BaseModel):
    """One diagnosis of a differential."""

    diagnosis: str
    probability: float
    support: list[str] = Field(description="where it comes from: the model, samples, similar cases, a list")

    @classmethod
    def of(cls, candidate: Candidate) -> Possibility:
        """Return a candidate, marked if its words are no known diagnosis."""
        return cls(
            diagnosis=candidate_in_words(candidate),
            probability=round(candidate.probability, 4),
            support=candidate.support,
        )


class TissueDescription(Result):
    """A description of a clip, without a diagnosis."""

    description: str
    findings: list[ShownFinding]
    frames: list[int] = Field(description="numbers of the frames that the model saw")
    video_sha256: str
    model: str
    weights_sha256: str
    sent_to: str = Field(description="address that frames were sent to; empty: they stayed on this machine")
    notes: list[str]


class SimilarRecord(BaseModel):
    """A record of the knowledge base."""

    id: str
    source: str
    site: str | None = Field(None, description="null if it is not known")
    diagnosis: str = Field(description="the diagnosis of that record, not of the video in question")
    description: str
    similarity: float = Field(description="mean cosine, in [-1, 1]; it is no probability of a diagnosis")
    kept: bool = Field(description="whether it fits as evidence")
    why: str = Field(description="why it was kept or dropped")

    @classmethod
    def of(cls, one: Neighbour | SimilarCase) -> SimilarRecord:
        """Return what the tool found, or what a report keeps of it."""
        return cls(
            id=one.id,
            source=one.source,
            site=one.site if isinstance(one, Neighbour) else None,
            diagnosis=one.diagnosis,
            description=one.description,
            similarity=round(one.score, 4),
            kept=one.kept,
            why=one.why,
        )


class SimilarCases(Result):
    """The records that are most like a description or a clip."""

    cases: list[SimilarRecord] = Field(description="best first")
    vote: str = Field(description="how the records with pictures voted; empty without a vote")
    excluded: int = Field(description="how many records may not be used, since they show the same case")
    notes: list[str]
    index_sha256: str


class TissueDiagnosis(Result):
    """One answer of the model; it is not the diagnosis of a case."""

    label: str
    differential: list[Possibility] = Field(description="the probabilities sum to 1; they are not calibrated")
    rationale: str = Field(description="the model's words; nobody verified them")
    question_answered: bool | None = Field(
        description="whether the label answers the question; null without one"
    )
    limits: list[str] = Field(description="what may not be claimed")
    model: str
    weights_sha256: str
    sent_to: str = Field(description="address that frames were sent to; empty: they stayed on this machine")
    notes: list[str]


class CaseFile(BaseModel):
    """A file of a case, to be read as a resource."""

    uri: str
    mime_type: str
    size: int = Field(description="bytes")
    sha256: str


class CaseOutcome(Result):
    """The outcome of a case."""

    case_id: str
    status: CaseStatus = Field(
        description="done: the agent gives the diagnosis out; abstained: it gives none out; waiting for review: a "
        "person has to decide; signed, rejected: by a person"
    )
    diagnosis: str | None = Field(
        description="null: there is no diagnosis. Then do not name one, not even the most likely label, as a diagnosis."
    )
    by: Literal["agent", "person"] | None = Field(
        description="whose diagnosis it is; null: there is no diagnosis"
    )
    most_likely: str = Field(
        description="the leading label with its limits, whether or not it is a diagnosis"
    )
    confidence: float | None = Field(
        description="calibrated, in [0, 1]; null: it was never fitted for this model"
    )
    vouchers: list[str] = Field(
        description="whether the model and the similar cases vouch for the diagnosis, a sentence each"
    )
    why_not: str = Field(description="why there is no diagnosis; empty if there is one")
    advice: list[str] = Field(description="what would help the agent")
    question: str | None
    question_answered: bool | None = Field(
        description="whether the diagnosis answers the question; null without one"
    )
    blind_diagnosis: str = Field(description="the model's diagnosis before it saw any similar case")
    changed_by_similar_cases: bool
    differential: list[Possibility] = Field(description="the probabilities sum to 1; best first")
    description: str
    findings: list[ShownFinding]
    similar_cases: list[SimilarRecord]
    second_opinion: str = Field(description="what a second model said; empty if none was asked")
    site: str | None
    video: str = Field(description="name of the file, without its folder")
    video_sha256: str
    quality: list[str] = Field(description="what the quality gate says of the frames")
    writing: str = Field(
        description="burned-in writing, such as a name: whether there is any, and what of it was filled"
    )
    sent_to: dict[str, str] = Field(
        description="model → address that frames were sent to; empty: they stayed here"
    )
    model: str
    weights_sha256: str
    files: list[CaseFile] = Field(
        description="report, trace, evidence frames and the bundle of all, as resources"
    )


class CaseText(CaseOutcome):
    """The outcome of a case, with the report that people read."""

    markdown: str


class CaseAnswer(Result):
    """The answer to a question about a case."""

    case_id: str
    question: str
    answer: str = Field(description="the model's words; nobody verified them")
    answered: bool = Field(description="whether the answer fits the question; if not, do not repeat it")
    why_not: str
    part_of_the_diagnosis: Literal[False] = False
    model: str
    frames: list[int] = Field(description="numbers of the frames that the model saw")


class CaseRow(BaseModel):
    """A case in the list."""

    case_id: str
    state: DisplayedStatus
    video: str = Field(description="name of the file, without its folder")
    site: str | None
    diagnosis: str | None = Field(description="null: there is no diagnosis")
    confidence: float | None
    model: str
    created: str
    updated: str


class CaseList(Result):
    """The cases of the library, newest first."""

    cases: list[CaseRow]
    total: int = Field(description="how many there are; more than listed if `limit` was reached")


def description_of(
    result: DescribeResult, video_sha256: str, address: str, weights: str
) -> TissueDescription:
    """Return what the describe tool found."""
    return TissueDescription(
        description=result.description,
        findings=[_located(finding) for finding in result.findings],
        frames=result.frames.indices,
        video_sha256=video_sha256,
        model=result.call.model,
        weights_sha256=weights,
        sent_to=address,
        notes=[*result.frames.notes, *result.notes],
    )


def similar_cases_of(result: RetrieveResult) -> SimilarCases:
    """Return what the retrieve tool found."""
    return SimilarCases(
        cases=[SimilarRecord.of(one) for one in result.neighbours],
        vote=vote_in_words(result.vote) if result.vote else "",
        excluded=result.excluded_count,
        notes=result.notes,
        index_sha256=result.index_sha256,
    )


def diagnosis_of(result: DiagnoseResult, address: str, weights: str) -> TissueDiagnosis:
    """Return what the diagnose tool found."""
    return TissueDiagnosis(
        label=result.label,
        differential=[Possibility.of(candidate) for candidate in result.differential],
        rationale=result.rationale,
        question_answered=result.question_answered,
        limits=[_NOT_VOUCHED],
        model=result.call.model,
        weights_sha256=weights,
        sent_to=address,
        notes=result.notes,
    )


def outcome_of(report: CaseReport, files: list[CaseFile]) -> CaseOutcome:
    """Return the outcome of a case.

    Args:
        report: The report, without the paths of files.
        files: The files of the case.
    """
    by = _whose(report)
    return CaseOutcome(
        case_id=report.case_id,
        status=report.status,
        diagnosis=report.diagnosis if by else None,
        by=by,
        most_likely=diagnosis_in_words(report),
        confidence=None if report.provenance.get("calibrated") is False else round(report.confidence, 4),
        vouchers=vouchers_in_words(report),
        why_not="" if by else _why_not(report),
        advice=report.advice,
        question=report.question,
        question_answered=report.question_answered,
        blind_diagnosis=report.blind_diagnosis,
        changed_by_similar_cases=report.changed_by_retrieval,
        differential=[Possibility.of(candidate) for candidate in report.differential],
        description=report.description,
        findings=[_found(finding) for finding in report.findings],
        similar_cases=[SimilarRecord.of(case) for case in report.similar_cases],
        second_opinion=second_opinion_in_words(report),
        site=report.site,
        video=report.video.path if report.video else "",
        video_sha256=report.video.sha256 if report.video else "",
        quality=list(report.quality.get("sentences", [])),
        writing=str(report.burned_in.get("sentence", "")),
        sent_to=report.sent_to,
        model=report.model,
        weights_sha256=str(report.provenance.get("weights", "")),
        files=files,
    )


def answer_of(case_id: str, asked: FollowUp) -> CaseAnswer:
    """Return the answer to a question about a case."""
    return CaseAnswer(
        case_id=case_id,
        question=asked.question,
        answer=asked.answer,
        answered=asked.answered,
        why_not=asked.why_not,
        model=asked.model,
        frames=asked.frames,
    )


def row_of(entry: CaseEntry) -> CaseRow:
    """Return a case for the list."""
    has_diagnosis = entry.status in _GIVEN_OUT and bool(entry.diagnosis)
    return CaseRow(
        case_id=entry.case_id,
        state=entry.state,
        video=entry.video.replace("\\", "/").rpartition("/")[2],
        site=entry.site,
        diagnosis=entry.diagnosis if has_diagnosis else None,
        confidence=entry.confidence if has_diagnosis else None,
        model=entry.model,
        created=entry.created,
        updated=entry.updated,
    )


def _whose(report: CaseReport) -> Literal["agent", "person"] | None:
    """Return whose diagnosis a report has; None if nobody gives one out."""
    if report.status not in (*_GIVEN_OUT, "abstained") or not report.diagnosis:
        return None
    if report.has_persons_diagnosis:
        return "person"
    return None if report.abstained else "agent"


def _why_not(report: CaseReport) -> str:
    if report.status == "waiting for review":
        return (
            f"A person has to decide first: `videopath cases resume {report.case_id}`, or `videopath app`. "
            "No tool of this server can decide."
        )
    if report.status == "rejected":
        return "A person rejected the case."
    limits = f" The leading label is {' and '.join(limits_of(report))}." if limits_of(report) else ""
    return (abstention_in_words(report) or f"The case is {report.status}.") + limits


def _located(finding: LocatedFinding) -> ShownFinding:
    verified = finding.rests_on in ("measured", "seen")
    has_moment = finding.moment == "named" or (verified and finding.is_located)
    return _shown(finding.text, finding.seconds, finding.frame, finding.rests_on, has_moment)


def _found(finding: Finding) -> ShownFinding:
    shown = _shown(finding.text, finding.seconds, finding.frame, finding.rests_on, finding.has_moment)
    return shown.model_copy(update={"by": finding.by})


def _shown(text: str, seconds: float, frame: int, rests_on: RestsOn, has_moment: bool) -> ShownFinding:
    return ShownFinding(
        text=text,
        moment=moment(seconds) if has_moment else "",
        frame=frame if has_moment else None,
        rests_on=rests_on,
    )
