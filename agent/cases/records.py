"""What a case is made of, as plain JSON-able records.

``CaseReport`` is the result that callers hold; everything in it survives ``to_json`` and ``from_json`` unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from videopath.core.choices import CaseStatus, ReviewAction, ReviewMode, SourceKind
from videopath.core.notice import RESEARCH_USE
from videopath.core.text import has_half_characters
from videopath.media.crop import Crop
from videopath.tools.schemas import Candidate, CasesVote, ExcludedRecord, RestsOn

if TYPE_CHECKING:
    from videopath.media.clip import Clip

__all__ = [
    "Addendum",
    "Candidate",
    "CaseReport",
    "Decision",
    "Finding",
    "ExcludedRecord",
    "LookTaken",
    "RunSettings",
    "Segment",
    "SimilarCase",
    "Step",
    "VideoFacts",
    "Voucher",
    "reason_of",
]


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong with a record, after the field that it is in."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason


class Record(BaseModel):
    """A record refuses fields that it does not know, so that a misspelt one is never lost."""

    model_config = ConfigDict(extra="forbid")


class Finding(Record):
    """One sentence of the description, with the moment of the video that shows it best."""

    text: str
    seconds: float = Field(description="presentation time in the source video")
    frame: int = Field(description="frame number in the source video")
    image: str | None = Field(
        default=None, description="the frame as PNG, relative to the case folder: frames/….png"
    )
    by: Literal["model", "reviewer"] = Field(default="model", description="whose words these are")
    rests_on: RestsOn = Field(
        default="said",
        description="measured or seen on that frame; typical of a diagnosis; said by the model alone",
    )
    typical_of: str = Field(default="", description="the diagnosis that a typical sentence is a fact of")

    @property
    def was_seen(self) -> bool:
        """Whether its moment shows it: measured, seen by a fitted test, or a person's words."""
        return self.by == "reviewer" or self.rests_on in ("measured", "seen")


class SimilarCase(Record):
    """A case of the knowledge base that looks alike."""

    id: str
    source: str
    diagnosis: str
    description: str
    score: float = Field(description="mean cosine over the views with vectors, in [-1, 1]")
    kept: bool = Field(default=True, description="whether the model saw it as evidence")
    why: str = Field(default="", description="why it was kept or left out")
    rank: int = Field(default=0, description="in the fused list; 1 is the best, 0 is not known")
    ranks: dict[str, int] = Field(
        default_factory=dict,
        description="view (text, image, lexical) → its rank there, where it was found there",
    )
    scores: dict[str, float] = Field(
        default_factory=dict, description="view → its cosine, or its BM25 in the lexical view"
    )


class Voucher(Record):
    """Whether the model, by its card, or the similar cases, by what was measured on them, vouch for a diagnosis."""

    by: Literal["model", "cases"]
    probability: float | None = Field(
        default=None, description="how often it is right with such an answer; none: not known"
    )
    threshold: float = Field(default=0.0, description="probability that is needed")
    measured_on: str = Field(
        default="", description="how many cases of how many groups; empty: never measured"
    )
    reasons: list[str] = Field(default_factory=list, description="why it does not vouch; empty: it does")


class Step(Record):
    """A finished step of the graph."""

    name: str
    summary: str
    detail: dict[str, Any] = Field(default_factory=dict, description="what went in and what came out")
    started: str = Field(description="ISO 8601, UTC")
    seconds: float = Field(ge=0)
    evidence: list[str] = Field(default_factory=list, description="frames and record ids that it rests on")
    model: str | None = None
    device: str | None = None
    hashes: dict[str, str] = Field(default_factory=dict, description="SHA-256 by what was hashed")


class Segment(Record):
    """A part of the video, in seconds."""

    start: float = Field(ge=0, allow_inf_nan=False)
    end: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Segment:
        if self.end <= self.start:
            raise ValueError(
                f"the end of a segment ({self.end:g} s) must be after its start ({self.start:g} s)"
            )
        return self


class Decision(Record):
    """What a person decided at a review.

    ``accept`` and ``reject`` end the case, ``edit`` ends it with the reviewer's words in place of the agent's, and
    ``revise`` lets the agent go on from the reviewer's correction and ask again.
    """

    action: ReviewAction
    reviewer: str = ""
    diagnosis: str | None = Field(default=None, description="the reviewer's label, with ``edit``")
    description: str | None = Field(
        default=None, description="the reviewer's text, with ``edit`` or ``revise``"
    )
    findings: list[str] | None = Field(
        default=None,
        description="the reviewer's findings in place of the model's, with ``edit`` or ``revise``",
    )
    drop: list[str] = Field(
        default_factory=list, description="similar cases that the model may not see, with ``revise``"
    )
    segment: Segment | None = Field(
        default=None, description="the part of the video to look at, with ``revise``"
    )
    comment: str = ""
    interrupt_id: str | None = Field(
        default=None, description="the review that this answers; a stale one is refused"
    )
    decided: str = Field(default="", description="ISO 8601, UTC")
    confirmed: bool = Field(
        default=False, description="the person confirmed description and findings as they then stood"
    )
    changes: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description='what it changed: field → {"from": …, "to": …}; filled in by the agent',
    )

    @field_validator("findings")
    @classmethod
    def _without_blank_ones(cls, findings: list[str] | None) -> list[str] | None:
        """Each finding as one line; blank lines are none."""
        lines = [" ".join(finding.split()) for finding in findings or []]
        return None if findings is None else [line for line in lines if line]

    @field_validator("reviewer", "diagnosis", "description", "comment", "findings")
    @classmethod
    def _valid_text(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value or ""]
        if any(has_half_characters(text) for text in texts):
            raise ValueError("it has a character that is not valid text")
        return value

    @model_validator(mode="after")
    def _words_go_with_their_action(self) -> Decision:
        """No word of the reviewer is lost, and an edit or a revision without any is none."""
        words = bool(self.description) or self.findings is not None
        looks = bool(self.drop) or self.segment is not None
        if self.action == "edit":
            if looks:
                raise ValueError('dropped cases and a segment go with "revise", not with "edit"')
            if not (words or self.diagnosis):
                raise ValueError('"edit" takes a diagnosis, a description or findings of your own')
        elif self.action == "revise":
            if self.diagnosis:
                raise ValueError(
                    'with "revise" the agent diagnoses again; a diagnosis of your own goes with "edit"'
                )
            if not (words or looks):
                raise ValueError('"revise" takes a description, findings, cases to drop or a segment')
        elif words or looks or self.diagnosis:
            raise ValueError(f'"{self.action}" takes no correction: use "edit" or "revise" for it')
        return self


class Addendum(Record):
    """What a person adds to a signed case; what was signed stays as it is."""

    text: str
    reviewer: str
    added: str = Field(default="", description="ISO 8601, UTC")
    diagnosis: str | None = Field(default=None, description="another diagnosis than the one that was signed")

    @field_validator("text", "reviewer", "diagnosis")
    @classmethod
    def _valid_text(cls, value: str | None) -> str | None:
        if has_half_characters(value or ""):
            raise ValueError("it has a character that is not valid text")
        return value


class VideoFacts(Record):
    """The source and which of its frames the model saw."""

    path: str
    sha256: str
    kind: SourceKind
    reader: str
    fps: float
    duration: float = Field(description="seconds")
    width: int
    height: int
    total_frames: int
    sampling: str
    seconds: list[float] = Field(description="presentation times of the sampled frames")
    indices: list[int] = Field(description="numbers of the sampled frames in the source")

    @classmethod
    def of(cls, clip: Clip) -> VideoFacts:
        """The facts of an opened clip."""
        return cls(
            path=str(clip.path),
            sha256=clip.sha256,
            kind=clip.kind,
            reader=clip.reader,
            fps=float(clip.fps),
            duration=float(clip.duration),
            width=int(clip.width),
            height=int(clip.height),
            total_frames=int(clip.total_frames),
            sampling=clip.sampling,
            seconds=[round(float(second), 4) for second in clip.seconds],
            indices=[int(index) for index in clip.indices],
        )


class LookTaken(Record):
    """What one look at the video said."""

    diagnosis: str
    probability: float = Field(ge=0, le=1, description="of the diagnosis in the differential of this look")
    confidence: float | None = Field(default=None, description="none where it was never fitted")
    start: float | None = Field(default=None, description="first second; none: from the beginning")
    end: float | None = None
    crop: Crop | None = Field(
        default=None, description="left, top, right, bottom as parts of the frame; none: the whole frame"
    )
    reported: bool = Field(default=False, description="whether the report rests on it")
    revision: int = Field(default=0, description="how many revisions of a person came before it")


class RunSettings(Record):
    """What was asked for: enough to run the case again."""

    model: str = "nano"
    base: str | None = Field(default=None, description="what a LoRA or a projector goes with")
    knowledge: str | None = Field(
        default=None, description="folder of the knowledge base; none: the bundled starter"
    )
    frames: int | None = None
    start: float | None = None
    end: float | None = None
    sampling: str = "uniform"
    review: ReviewMode = "never"
    device: str | None = None
    dtype: str | None = None
    seed: int | None = None
    policy: dict[str, Any] = Field(default_factory=dict, description="thresholds of the policy")
    exclude: list[str] = Field(
        default_factory=list, description="sources, patients or groups whose records may not be used"
    )


class CaseReport(Record):
    """The outcome of a case: diagnosis, its evidence and every step that led to it."""

    case_id: str
    status: CaseStatus
    created: str = Field(default="", description="ISO 8601, UTC")
    video: VideoFacts | None = Field(default=None, description="none only when intake did not finish")
    site: str | None = None
    question: str | None = None
    question_answered: bool | None = Field(
        default=None,
        description="whether the diagnosis answers the question; none where none was asked or not known",
    )

    diagnosis: str = Field(default="", description="the signed-out label")
    differential: list[Candidate] = Field(default_factory=list, description="sums to 1, best first")
    confidence: float = Field(
        default=0.0, ge=0, le=1, description="calibrated; 0 where the model's confidence was never fitted"
    )
    abstained: bool = Field(
        default=False,
        description="neither the model nor the cases vouch for the diagnosis, or the looks disagree",
    )
    vouchers: list[Voucher] = Field(
        default_factory=list,
        description="the model, and the similar cases where they voted: whether each vouches for the diagnosis",
    )
    vote: CasesVote | None = Field(default=None, description="of the similar cases, by their pictures")
    rationale: str = ""
    looks: list[LookTaken] = Field(
        default_factory=list, description="what each look at the video said, in order; empty where not known"
    )
    description: str = ""
    findings: list[Finding] = Field(default_factory=list)
    similar_cases: list[SimilarCase] = Field(default_factory=list)
    excluded: list[ExcludedRecord] = Field(
        default_factory=list,
        description="the first of the records that could not be used: the case's own video, patient, group or frames",
    )
    excluded_count: int = Field(default=0, ge=0, description="how many could not be used in all")
    retrieval_notes: list[str] = Field(
        default_factory=list, description="why a view of similarity could not take part"
    )
    blind_diagnosis: str = Field(default="", description="before any similar case was seen")
    blind_known_term: bool = Field(
        default=True, description="false where it is written in words that no diagnosis is known to have"
    )
    changed_by_retrieval: bool = False

    quality: dict[str, Any] = Field(
        default_factory=dict, description="the quality gate's verdict and sentences"
    )
    burned_in: dict[str, Any] = Field(
        default_factory=dict,
        description="writing in the frames, where it was looked for: places and a sentence",
    )
    advice: list[str] = Field(default_factory=list, description="what would help when the agent abstains")
    review: list[Decision] = Field(default_factory=list)
    addenda: list[Addendum] = Field(
        default_factory=list, description="added to a signed case, in order; they overwrite nothing"
    )
    steps: list[Step] = Field(default_factory=list)
    model: str = ""
    settings: RunSettings = Field(default_factory=RunSettings)
    provenance: dict[str, Any] = Field(
        default_factory=dict,
        description="hashes of weights, video, frames, prompts and index; device and its reason; versions",
    )
    notice: str = RESEARCH_USE

    folder: Path | None = Field(
        default=None, exclude=True, description="where trace and frames are; not part of the JSON"
    )

    @property
    def has_persons_diagnosis(self) -> bool:
        """Whether the diagnosis is a person's: confidence, advice and rationale of the agent are then not of it."""
        edited = any(decision.action == "edit" and decision.diagnosis for decision in self.review)
        return self.status == "signed" or edited

    @property
    def amended_diagnosis(self) -> str | None:
        """The diagnosis of the latest addendum that gives another than the one that was signed; none: no such."""
        return next((added.diagnosis for added in reversed(self.addenda) if added.diagnosis), None)

    def to_json(self) -> str:
        """The whole report as one JSON document, indented by two, paths included; see ``without_paths``."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, folder: Path | None = None) -> CaseReport:
        """Read what ``to_json`` wrote. Raises pydantic's ``ValidationError`` when it is something else."""
        report = cls.model_validate_json(text)
        report.folder = folder
        return report

    def without_paths(self) -> CaseReport:
        """The report as it is handed on: files and folders by their names, not by where they lie on this machine."""
        from videopath.agent.cases.redaction import without_paths

        return without_paths(self)

    def to_markdown(self, *, with_paths: bool = False) -> str:
        """The report for people; ``with_paths``: it says where the files lie on this machine."""
        from videopath.agent.report.markdown import to_markdown

        return to_markdown(self if with_paths else self.without_paths())

    def to_pdf(self, *, with_paths: bool = False) -> bytes:
        """The report as a document to hand on, with the evidence frames of ``folder``; else as ``to_markdown``."""
        from videopath.agent.report.pdf import to_pdf

        return to_pdf(self if with_paths else self.without_paths())

    def save_bundle(self, path: str | Path, *, with_paths: bool = False) -> Path:
        """Write a zip with report, trace, evidence frames and a manifest of SHA-256 of everything.

        ``with_paths``: it says where the files lie on this machine; else it has their names alone.
        """
        from videopath.agent.cases.bundle import save_bundle

        return save_bundle(self, Path(path), with_paths=with_paths)
