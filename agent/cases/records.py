"""The records of a case: plain data that becomes JSON.

``CaseReport`` is the result that callers hold. ``to_json`` and ``from_json`` keep all of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from videopath.core.choices import (
    CaseStatus,
    MarkClass,
    ReviewAction,
    ReviewMode,
    Scoring,
    SourceKind,
    StopReason,
    WritingRule,
)
from videopath.core.notice import RESEARCH_USE
from videopath.core.text import has_half_characters
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.tools.schemas import Candidate, CasesVote, ExcludedRecord, Moment, RestsOn, with_rule

if TYPE_CHECKING:
    from videopath.media.clip import Clip

__all__ = [
    "Addendum",
    "Annotation",
    "Candidate",
    "CaseReport",
    "Decision",
    "Finding",
    "ExcludedRecord",
    "FollowUp",
    "LookTaken",
    "RunSettings",
    "SecondModel",
    "SecondOpinion",
    "SecondReading",
    "Segment",
    "SimilarCase",
    "Step",
    "VideoFacts",
    "Voucher",
    "reason_of",
]


def reason_of(error: ValidationError) -> str:
    """Return the first error of a record, after the name of its field."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    reason = str(first["msg"]).removeprefix("Value error, ")
    return f"{field}: {reason}" if field else reason


class CaseData(BaseModel):
    """Base class that rejects unknown fields, so that a misspelt one is never lost."""

    model_config = ConfigDict(extra="forbid")


class Finding(CaseData):
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
        description="measured or seen on that frame, typical of a diagnosis, or only said by the model",
    )
    typical_of: str = Field(default="", description="the diagnosis that the finding is typical of")
    moment: Moment = Field(
        default="scored",
        description="how the frame was found: scored, named by the model, measured on pixels, or none: not found",
    )

    @property
    def was_seen(self) -> bool:
        """Whether its frame shows it: measured, seen by a fitted test, or a person's words."""
        return self.by == "reviewer" or self.rests_on in ("measured", "seen")

    @property
    def has_moment(self) -> bool:
        """Whether its moment is shown: the frame shows it, or the model named the frame."""
        return self.moment == "named" or (self.was_seen and self.moment != "none")


class SimilarCase(CaseData):
    """A similar case: a record of the knowledge base that was found for a case."""

    id: str
    source: str
    diagnosis: str
    description: str
    score: float = Field(description="mean cosine over the views with vectors, in [-1, 1]")
    kept: bool = Field(default=True, description="whether the model was shown it as evidence")
    why: str = Field(default="", description="why it was kept or dropped")
    rank: int = Field(default=0, description="in the fused list; 1 is the best, 0: not known")
    ranks: dict[str, int] = Field(
        default_factory=dict,
        description="view (text, image, lexical) → its rank in the views that found it",
    )
    scores: dict[str, float] = Field(
        default_factory=dict, description="view → its cosine; its BM25 score in the lexical view"
    )


class Voucher(CaseData):
    """Whether the model (by its card) or the similar cases (by their measure) vouch for a diagnosis."""

    by: Literal["model", "cases"]
    probability: float | None = Field(
        default=None, description="how often an answer like this is right; None: not known"
    )
    threshold: float = Field(default=0.0, description="the least probability that vouches")
    measured_on: str = Field(default="", description="the number of cases and groups; empty: never measured")
    reasons: list[str] = Field(default_factory=list, description="why it does not vouch; empty if it does")


class SecondOpinion(CaseData):
    """The diagnosis of a second model, which saw the same frames but neither the first one's answers nor similar cases."""

    model: str = Field(description="its name")
    weights: str = Field(default="", description="SHA-256; empty if it could not be loaded")
    device: str = ""
    address: str = Field(default="", description="where frames were sent; empty: they stayed on this machine")
    scoring: Scoring = "token probabilities"
    label: str = Field(default="", description="its diagnosis; empty if it could not answer")
    gives_diagnosis: bool = Field(
        default=False, description="whether the label is a diagnosis, and not that the model knows none"
    )
    agrees: bool = Field(default=False, description="whether the label is that of the look")
    differential: list[Candidate] = Field(default_factory=list, description="sums to 1, best first")
    rationale: str = ""
    description: str = Field(default="", description="what it saw, in its own words")
    failure: str = Field(default="", description="why it could not answer; empty if it could")

    @property
    def contradicts(self) -> bool:
        """Whether it is another diagnosis. An opinion without a diagnosis contradicts nothing."""
        return self.gives_diagnosis and not self.agrees

    @property
    def sentence(self) -> str:
        """What the second model said, in one sentence."""
        if self.failure:
            return f"There is no second opinion of {self.model}: {self.failure}"
        if not self.gives_diagnosis:
            return f"The second opinion of {self.model} gives no diagnosis."
        return f"The second opinion of {self.model} is {self.label}."


class FollowUp(CaseData):
    """A question about a finished case, with its answer. It is never part of the diagnosis."""

    question: str
    answer: str = Field(description="the model's answer, unchanged")
    answered: bool = Field(description="whether the answer fits the question")
    why_not: str = Field(default="", description="why it does not fit; empty if it does")
    model: str
    weights: str = Field(description="SHA-256")
    device: str
    address: str = Field(default="", description="where frames were sent; empty: they stayed on this machine")
    prompt_sha256: str
    seconds: float = Field(ge=0)
    stopped: StopReason = Field(default="eos", description="why the answer ended; length: at the token limit")
    asked: str = Field(description="ISO 8601, UTC")
    frames: list[int] = Field(description="numbers of the frames in the source that the model saw")


class Step(CaseData):
    """A finished step of the graph."""

    name: str
    summary: str
    detail: dict[str, Any] = Field(default_factory=dict, description="input and output of the step")
    started: str = Field(description="ISO 8601, UTC")
    seconds: float = Field(ge=0)
    evidence: list[str] = Field(
        default_factory=list, description="frames and record ids that the step rests on"
    )
    model: str | None = None
    device: str | None = None
    hashes: dict[str, str] = Field(default_factory=dict, description="name of the input → its SHA-256")


class Segment(CaseData):
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


class Annotation(CaseData):
    """What a person marked on a frame: a point, a box or a measured line, with a note."""

    seconds: float = Field(ge=0, allow_inf_nan=False, description="presentation time in the source video")
    shape: Literal["point", "box", "line"]
    place: list[float] = Field(
        description="as shares of width and height: x, y of a point; left, top, right, bottom of a box; both ends of a line"
    )
    shows: MarkClass | None = Field(
        default=None, description="what it shows, of a short list; None: not said"
    )
    note: str = ""
    author: str = ""
    pixels: float | None = Field(default=None, ge=0, description="length of a line in pixels of the source")
    micrometres: float | None = Field(
        default=None, ge=0, description="its length in µm; None if the scale is not known"
    )
    square_pixels: float | None = Field(
        default=None, ge=0, description="area of a box in pixels of the source"
    )
    square_micrometres: float | None = Field(
        default=None, ge=0, description="its area in µm²; None if the scale is not known"
    )

    @model_validator(mode="after")
    def _lies_in_the_frame(self) -> Annotation:
        expected = 2 if self.shape == "point" else 4
        if len(self.place) != expected or not all(0 <= share <= 1 for share in self.place):
            raise ValueError(f"a {self.shape} has {expected} coordinates, each in [0, 1]")
        if has_half_characters(self.note + self.author):
            raise ValueError("it has a character that is not valid text")
        return self

    @property
    def sentence(self) -> str:
        """Shape, moment, place, length or area, class and note, on one line."""
        place = ", ".join(f"{100 * share:.3g}%" for share in self.place)
        length = "" if self.pixels is None else f", {self.pixels:.0f} px"
        length += "" if self.micrometres is None else f", {self.micrometres:.3g} µm"
        length += "" if self.square_pixels is None else f", {self.square_pixels:.0f} px²"
        length += "" if self.square_micrometres is None else f", {self.square_micrometres:.4g} µm²"
        said = ", ".join(word for word in (self.shows, self.note) if word)
        note = f": {said}" if said else ""
        return f"{self.shape} at {self.seconds:.2f} s ({place}{length}){note}"


class Decision(CaseData):
    """A person's decision at a review.

    ``accept`` and ``reject`` end the case. ``edit`` ends it with the reviewer's words in place of the agent's.
    ``revise`` sends it back: the agent continues from the correction and asks again.
    """

    action: ReviewAction
    reviewer: str = ""
    diagnosis: str | None = Field(default=None, description="the reviewer's diagnosis; goes with ``edit``")
    description: str | None = Field(
        default=None, description="the reviewer's text; goes with ``edit`` or ``revise``"
    )
    findings: list[str] | None = Field(
        default=None,
        description="the reviewer's findings in place of the model's; go with ``edit`` or ``revise``",
    )
    drop: list[str] = Field(
        default_factory=list, description="ids of similar cases that are no evidence; go with ``revise``"
    )
    segment: Segment | None = Field(
        default=None, description="the part of the video to look at; goes with ``revise``"
    )
    annotations: list[Annotation] = Field(
        default_factory=list, description="what the reviewer marked on frames; goes with every action"
    )
    comment: str = ""
    interrupt_id: str | None = Field(
        default=None, description="the review that this answers; the id of an earlier review is rejected"
    )
    decided: str = Field(default="", description="ISO 8601, UTC")
    confirmed: bool = Field(
        default=False, description="whether the person confirmed description and findings"
    )
    changes: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description='field → {"from": …, "to": …}; the agent fills it in',
    )
    withdrawn: str = Field(
        default="",
        description="when this signature or rejection was withdrawn, ISO 8601, UTC; empty: it stands",
    )

    @field_validator("findings")
    @classmethod
    def _without_blank_lines(cls, findings: list[str] | None) -> list[str] | None:
        """Make each finding one line, and leave out blank ones."""
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
    def _fields_go_with_the_action(self) -> Decision:
        """Reject fields that the action does not use, and an edit or a revision without any."""
        words = bool(self.description) or self.findings is not None
        reruns = bool(self.drop) or self.segment is not None
        if self.action == "edit":
            if reruns:
                raise ValueError('dropped cases and a segment go with "revise", not with "edit"')
            if not (words or self.diagnosis):
                raise ValueError('"edit" takes a diagnosis, a description or findings of your own')
        elif self.action == "revise":
            if self.diagnosis:
                raise ValueError(
                    '"revise" takes no diagnosis, since the agent diagnoses again; use "edit" for your own'
                )
            if not (words or reruns):
                raise ValueError('"revise" takes a description, findings, cases to drop or a segment')
        elif words or reruns or self.diagnosis:
            raise ValueError(f'"{self.action}" takes no correction: use "edit" or "revise"')
        return self


class SecondReading(CaseData):
    """What another person diagnosed in a signed case. The signed report itself stays as it is."""

    reader: str
    diagnosis: str
    comment: str = ""
    read: str = Field(default="", description="ISO 8601, UTC")
    compared_with: str = Field(default="", description="the diagnosis of the signed report at that moment")
    agrees: bool = Field(description="whether both diagnoses are the same term")

    @field_validator("reader", "diagnosis", "comment")
    @classmethod
    def _valid_text(cls, value: str) -> str:
        if has_half_characters(value):
            raise ValueError("it has a character that is not valid text")
        return value


class Addendum(CaseData):
    """What a person adds to a signed case. The signed report itself stays as it is."""

    text: str
    reviewer: str
    added: str = Field(default="", description="ISO 8601, UTC")
    diagnosis: str | None = Field(default=None, description="a diagnosis that differs from the signed one")

    @field_validator("text", "reviewer", "diagnosis")
    @classmethod
    def _valid_text(cls, value: str | None) -> str | None:
        if has_half_characters(value or ""):
            raise ValueError("it has a character that is not valid text")
        return value


class VideoFacts(CaseData):
    """The source, and which of its frames the model saw."""

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
        """Return the facts of an opened clip."""
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


class LookTaken(CaseData):
    """The result of one look at the video."""

    diagnosis: str
    probability: float = Field(ge=0, le=1, description="of the diagnosis, in the differential of this look")
    confidence: float | None = Field(default=None, description="None if it was never fitted")
    start: float | None = Field(default=None, description="first second; None: the beginning")
    end: float | None = None
    crop: Crop | None = Field(
        default=None,
        description="left, top, right, bottom as shares of width and height; None: the whole frame",
    )
    reported: bool = Field(default=False, description="whether the report rests on it")
    revision: int = Field(default=0, description="how many revisions of a person came before it")
    second_opinion: str = Field(
        default="", description="the second model's diagnosis of this look; empty without one"
    )
    writing: str = Field(
        default="", description="what burned-in writing a closer look found and filled, in a sentence"
    )


class SecondModel(CaseData):
    """The model that a second opinion is asked of, as it was named."""

    model: str
    base: str | None = None
    device: str | None = None
    dtype: str | None = None


class RunSettings(CaseData):
    """The settings of a case: enough to run it again."""

    model: str = "nano"
    base: str | None = Field(default=None, description="the base checkpoint of a LoRA or a projector")
    second_opinion: SecondModel | None = Field(
        default=None, description="the model of the second opinion; None: no second opinion"
    )
    knowledge: str | None = Field(
        default=None, description="folder of the knowledge base; None: the bundled starter"
    )
    frames: int | None = None
    start: float | None = None
    end: float | None = None
    sampling: str = "uniform"
    review: ReviewMode = "never"
    device: str | None = None
    dtype: str | None = None
    seed: int | None = None
    policy: dict[str, Any] = Field(default_factory=dict, description="the policy's fields")
    exclude: list[str] = Field(
        default_factory=list, description="sources, patients or groups whose records are excluded"
    )
    crop: Crop | None = Field(
        default=None, description="the part of each frame that is looked at, as shares; None: the whole frame"
    )
    um_per_pixel: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="µm of tissue per pixel of the source; None: not known",
    )
    writing: WritingRule = Field(
        default="mask-all", description="which burned-in writing is filled before anything sees the frames"
    )
    masks: Masks | None = Field(
        default=None,
        description="a person's changes to the filled places, as shares of the frame; None: none",
    )

    @classmethod
    def stored(cls, data: dict[str, Any]) -> Self:
        """Return the settings that a case holds. Cases of before writing was filled hold no rule: it was kept."""
        return cls.model_validate(with_rule(data))


class CaseReport(CaseData):
    """The outcome of a case: diagnosis, its evidence and every step that led to it."""

    case_id: str
    status: CaseStatus
    created: str = Field(default="", description="ISO 8601, UTC")
    video: VideoFacts | None = Field(default=None, description="None if intake did not finish")
    site: str | None = None
    question: str | None = None
    question_answered: bool | None = Field(
        default=None,
        description="whether the diagnosis answers the question; None if no question was asked, or it is not known",
    )

    diagnosis: str = Field(default="", description="the label of the outcome")
    differential: list[Candidate] = Field(default_factory=list, description="sums to 1, best first")
    confidence: float = Field(
        default=0.0, ge=0, le=1, description="calibrated; 0 if the model's confidence was never fitted"
    )
    abstained: bool = Field(
        default=False,
        description="whether the agent gives no diagnosis out: nobody vouches for it, or the looks disagree",
    )
    vouchers: list[Voucher] = Field(
        default_factory=list,
        description="whether the model, and the similar cases if they voted, vouch for the diagnosis",
    )
    vote: CasesVote | None = Field(
        default=None, description="the vote of the similar cases, by their pictures"
    )
    rationale: str = ""
    looks: list[LookTaken] = Field(
        default_factory=list, description="the result of each look, in order; empty if not known"
    )
    description: str = ""
    findings: list[Finding] = Field(default_factory=list)
    similar_cases: list[SimilarCase] = Field(default_factory=list)
    excluded: list[ExcludedRecord] = Field(
        default_factory=list,
        description="the first of the excluded records: those of the case's own video, patient, group or frames",
    )
    excluded_count: int = Field(default=0, ge=0, description="the number of all excluded records")
    retrieval_notes: list[str] = Field(
        default_factory=list, description="why a view could not take part in the search"
    )
    blind_diagnosis: str = Field(default="", description="the diagnosis before any similar case was seen")
    blind_known_term: bool = Field(default=True, description="whether the blind diagnosis is a known term")
    changed_by_retrieval: bool = False
    second_opinion: SecondOpinion | None = Field(
        default=None, description="what a second model said of the same frames; None: it was not asked"
    )
    sent_to: dict[str, str] = Field(
        default_factory=dict,
        description="model → the address that frames were sent to; empty: no frame left this machine",
    )

    quality: dict[str, Any] = Field(
        default_factory=dict, description="verdict and sentences of the quality gate"
    )
    burned_in: dict[str, Any] = Field(
        default_factory=dict,
        description="burned-in writing: the rule, the places with kind, reason, seconds and whether they were filled, and "
        "a sentence; never its text; empty if it was not looked for",
    )
    advice: list[str] = Field(
        default_factory=list, description="what would help; empty unless the agent abstains"
    )
    review: list[Decision] = Field(default_factory=list)
    addenda: list[Addendum] = Field(
        default_factory=list, description="additions to the signed case, in order"
    )
    second_readings: list[SecondReading] = Field(
        default_factory=list, description="independent readings after the signature, in order"
    )
    questions: list[FollowUp] = Field(
        default_factory=list,
        description="questions asked afterwards; in exports only, since they are kept beside the report",
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
        default=None, exclude=True, description="the folder of trace and frames; not part of the JSON"
    )

    @model_validator(mode="before")
    @classmethod
    def _rule_of_earlier_versions(cls, data: Any) -> Any:
        """Give the settings of a report of before writing was filled their rule: it was kept."""
        settings = data.get("settings") if isinstance(data, dict) else None
        return {**data, "settings": with_rule(settings)} if isinstance(settings, dict) else data

    @property
    def shows_writing(self) -> bool:
        """Whether the frames of the case may show writing: it was kept, or a rule left some of it."""
        left = any(not writing.get("filled") for writing in self.burned_in.get("writings", []))
        return left or self.settings.writing == "keep"

    @property
    def standing_review(self) -> list[Decision]:
        """The decisions that nobody has withdrawn."""
        return [decision for decision in self.review if not decision.withdrawn]

    @property
    def has_persons_diagnosis(self) -> bool:
        """Whether the diagnosis is a person's. The agent's confidence, advice and rationale then belong to its own."""
        edited = any(decision.action == "edit" and decision.diagnosis for decision in self.standing_review)
        return self.status == "signed" or edited

    @property
    def amended_diagnosis(self) -> str | None:
        """The diagnosis of the latest addendum that has one; None if no addendum has."""
        return next((addendum.diagnosis for addendum in reversed(self.addenda) if addendum.diagnosis), None)

    def to_json(self) -> str:
        """Return the whole report as one JSON document, with whole paths; see :meth:`without_paths`."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, folder: Path | None = None) -> CaseReport:
        """Read a report that :meth:`to_json` wrote.

        Args:
            text: The JSON document.
            folder: The case folder, with trace and frames.

        Raises:
            pydantic.ValidationError: The text is not a report.
        """
        report = cls.model_validate_json(text)
        report.folder = folder
        return report

    def without_paths(self) -> CaseReport:
        """Return a copy to hand on, with the names of files and folders instead of their whole paths."""
        from videopath.agent.cases.redaction import without_paths

        return without_paths(self)

    def to_markdown(self, *, with_paths: bool = False) -> str:
        """Return the report for people as Markdown.

        Args:
            with_paths: Write whole paths, not only the names of files and folders.
        """
        from videopath.agent.report.markdown import to_markdown

        return to_markdown(self if with_paths else self.without_paths())

    def to_pdf(self, *, with_paths: bool = False) -> bytes:
        """Return the report as a PDF with the evidence frames of ``folder``.

        Args:
            with_paths: Write whole paths, not only the names of files and folders.
        """
        from videopath.agent.report.pdf import to_pdf

        return to_pdf(self if with_paths else self.without_paths())

    def to_html(self, *, with_paths: bool = False) -> str:
        """Return the report as one HTML file without scripts, with the evidence frames of ``folder`` in it.

        Args:
            with_paths: Write whole paths, not only the names of files and folders.
        """
        from videopath.agent.report.html import to_html

        return to_html(self if with_paths else self.without_paths())

    def save_bundle(self, path: str | Path, *, with_paths: bool = False) -> Path:
        """Write the bundle: a zip with report, trace, evidence frames, and a manifest of their SHA-256.

        Args:
            path: The zip file to write.
            with_paths: Write whole paths, not only the names of files and folders.

        Returns:
            The path of the zip file.
        """
        from videopath.agent.cases.bundle import save_bundle

        return save_bundle(self, Path(path), with_paths=with_paths)
