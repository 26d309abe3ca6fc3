"""The arguments and results of the tools, as plain JSON that any agent, trace or checkpoint can hold."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from videopath.core.choices import MAX_FRAMES, Sampling, Scoring, Wording, WritingRule
from videopath.core.pathology.sites import canonical_site
from videopath.media.crop import Crop
from videopath.media.masks import Masks
from videopath.media.writing.records import BurnedIn


class ToolData(BaseModel):
    """Base class that rejects unknown fields, so that a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid")

    def __str__(self) -> str:
        """Return JSON, which a chat agent that calls the tool reads."""
        return self.model_dump_json()


class ClipInput(ToolData):
    """Which frames of which video a session is opened for."""

    video: str = Field(description="path of a video, an image or a folder of frames")
    frames: int | None = Field(
        None,
        ge=1,
        le=MAX_FRAMES,
        description="how many frames to look at; by default as many as the model was trained with",
    )
    start: float | None = Field(
        None, ge=0, description="first second of the segment; by default the beginning"
    )
    end: float | None = Field(None, gt=0, description="last second of the segment; by default the end")
    crop: Crop | None = Field(
        None,
        description="left, top, right, bottom as shares of the frame in [0, 1]; by default the whole frame",
    )
    sampling: Sampling = "uniform"
    writing: WritingRule = Field(
        "mask-all",
        description="which burned-in writing is filled before anything sees the frames: mask-all; mask-personal: only "
        "what may name a person, and codes; keep: none",
    )
    masks: Masks | None = Field(None, description="a person's changes to the filled places")

    @classmethod
    def stored(cls, data: dict[str, Any]) -> Self:
        """Return the request that a case holds. Cases of before writing was filled hold no rule: it was kept."""
        return cls.model_validate(with_rule(data))

    @model_validator(mode="after")
    def _in_order(self) -> ClipInput:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(f"crop {self.crop} must be (left, top, right, bottom) within [0, 1]")
        return self


def with_rule(data: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a case's request or settings with its rule for writing, which older cases do not name."""
    return {"writing": "keep", **data}


class SiteInput(ToolData):
    """The site that the tissue comes from."""

    site: str | None = Field(None, description="anatomical site, if known")

    @field_validator("site")
    @classmethod
    def _canonical(cls, site: str | None) -> str | None:
        return canonical_site(site) if site else None


class Candidate(ToolData):
    """One diagnosis of the differential."""

    label: str
    probability: float = Field(ge=0, le=1)
    support: list[str] = Field(
        default_factory=list,
        description='where it comes from: "model", "sample", "neighbour:<id>", "cases", "site list", "unknown"',
    )
    of_model: float | None = Field(
        None, ge=0, le=1, description="its probability by the model alone; null if the model did not score it"
    )
    of_cases: float | None = Field(
        None, ge=0, le=1, description="its share of the similar cases' vote; null if no case has it"
    )
    other_organ: bool = Field(False, description="whether it names another organ than the given site")
    known_term: bool = Field(
        True, description="false if the model wrote it with words that no known diagnosis has"
    )


class Neighbour(ToolData):
    """A record that a search found, and whether it is evidence."""

    id: str
    source: str
    site: str | None
    diagnosis: str
    description: str
    score: float = Field(description="mean cosine over the text and image views, in [-1, 1]")
    kept: bool = Field(description="whether it is given to the model as evidence")
    why: str = Field(description="why it was kept or dropped")
    rank: int = Field(0, description="rank in the fused list; 1 is the best")
    ranks: dict[str, int] = Field(
        default_factory=dict,
        description="view (text, image, lexical) → rank there, for the views that found it",
    )
    scores: dict[str, float] = Field(
        default_factory=dict, description="view → cosine, or BM25 in the lexical view"
    )
    fused: float = Field(
        0.0, description="the score of the fused ranking: sum over the views of weight / (60 + rank)"
    )


class ExcludedRecord(ToolData):
    """A record that is excluded, since the case could be answered with itself."""

    id: str
    source: str
    reason: str = Field(description="source, file, patient, group or near-identical frame")
    detail: str = Field(
        description="the name that it shares with the case, or how many bits of the fingerprints differ"
    )


RestsOn = Literal["measured", "seen", "typical", "said"]
"""What a finding rests on; see :mod:`videopath.tools.evidence`."""

Moment = Literal["scored", "named", "measured", "none"]
"""How the frame of a finding was found. ``scored``: the sentence is most likely under it; ``named``: the model named its
second; ``measured``: it is the first frame on which the sentence's attributes are measured; ``none``: it was not found,
and no moment may be claimed."""


class LocatedFinding(ToolData):
    """One sentence of a description, the frame that shows it, and what it rests on."""

    text: str
    seconds: float = Field(
        description="presentation time of that frame in the source; of the middle frame if the moment is none"
    )
    frame: int = Field(description="number of that frame in the source")
    position: int = Field(description="index of that frame among the frames of the clip")
    contrast: float = Field(
        description="mean log-probability of its tokens there minus the mean over all frames; 0 with one frame, or if "
        "frames were not scored"
    )
    moment: Moment = Field("scored", description="how that frame was found; none: no moment is claimed")
    rests_on: RestsOn = Field(
        "said", description="what supports the sentence: measured, seen, typical or said"
    )
    typical_of: str = Field("", description="the diagnosis that a typical sentence belongs to")

    @property
    def is_located(self) -> bool:
        """Whether its frame was found, so that a moment may be shown."""
        return self.moment != "none"


class ModelCall(ToolData):
    """One question to the model, with its time and device."""

    prompt: str = Field(
        description="the prompt as the model read it; <image> stands for the frames. With the wording plain: the "
        "question, which the model's own chat template surrounds"
    )
    prompt_sha256: str
    seconds: float
    device: str
    model: str
    wording: Wording = Field("videopath", description="the set of prompts that the question is from")
    template_sha256: str = Field(
        "", description="SHA-256 of that set's templates, as `videopath model prompts` prints it"
    )


class FramesSeen(ToolData):
    """The frames that the model saw."""

    seconds: list[float] = Field(description="presentation times in the source")
    indices: list[int] = Field(description="numbers in the source")
    sha256: str = Field(description="SHA-256 of the frames' bytes, uint8 RGB")
    notes: list[str] = Field(
        default_factory=list, description="what the engine did differently from the request"
    )
    writing: BurnedIn | None = Field(
        None,
        description="burned-in writing that was found, and what of it was filled; never its text; null if it was kept",
    )


class DescribeResult(ToolData):
    """A description of a clip."""

    description: str
    findings: list[LocatedFinding]
    frames: FramesSeen
    mean_logprob: float | None = Field(
        description="mean log-probability of the description's tokens; null if the engine gives none"
    )
    call: ModelCall
    notes: list[str] = Field(
        default_factory=list,
        description="how the answer was read, if it was not in the form that was asked for",
    )


class CaseBallot(ToolData):
    """The vote of one patient, group or source, cast by its nearest case."""

    id: str
    group: str
    diagnosis: str
    similarity: float = Field(description="centred cosine of the pictures, in [-1, 1]")
    weight: float = Field(description="1 for the nearest case of all, less for the others")


class CasesVote(ToolData):
    """The vote of the nearest cases by their pictures, and whether they vouch for it."""

    diagnosis: str = Field(description="the leading diagnosis")
    shares: dict[str, float] = Field(
        description="diagnosis → share of the vote; the sum is 1, the largest first"
    )
    site: str = Field(description="site of the cases that voted; empty if it is not known")
    ballots: list[CaseBallot] = Field(description="the nearest first")
    nearness: float = Field(description="similarity of the nearest case")
    own: float = Field(
        description="share of the nearest pictures that are the base's own, not tissue of other organs"
    )
    probability: float | None = Field(
        description="how often such a vote is right; null if it was never measured"
    )
    from_here: bool = Field(description="whether the picture is like the cases' own")
    vouches: bool = Field(description="whether the vote is enough for a diagnosis")
    reasons: list[str] = Field(default_factory=list, description="why it is not enough, with what is missing")
    measured_on: str = Field("", description="how many cases of how many groups were measured")
    deciding: list[str] = Field(
        default_factory=list, description="records without whose votes another diagnosis would lead"
    )
    without: str = Field("", description="the diagnosis that would lead without them")


class RetrieveResult(ToolData):
    """The nearest cases, best first, with why each was kept or dropped."""

    query: str
    neighbours: list[Neighbour]
    index_sha256: str = ""
    views: list[str] = Field(
        default_factory=list, description="the views that took part: text, image, lexical"
    )
    notes: list[str] = Field(default_factory=list, description="why a view could not take part")
    excluded: list[ExcludedRecord] = Field(
        default_factory=list, description="the first of the excluded records"
    )
    excluded_count: int = Field(0, ge=0, description="how many records are excluded in total")
    vote: CasesVote | None = Field(None, description="vote of the cases with pictures; null if no case votes")
    calibration: dict[str, float] = Field(
        default_factory=dict,
        description="calibration of this model with these cases, instead of its card's; empty if it was not fitted",
    )
    calibrated_on: str = Field("", description="how many cases of how many groups it was fitted on")
    voters_are_known_tissue: bool = Field(
        False, description="whether the voters are the tiles that the model was trained on"
    )
    known_tissue: CasesVote | None = Field(
        None, description="vote of the tiles that the model was trained on, if the voters are other cases"
    )

    @property
    def kept(self) -> list[Neighbour]:
        """The neighbours that are evidence, best first."""
        return [neighbour for neighbour in self.neighbours if neighbour.kept]


class DiagnoseResult(ToolData):
    """A diagnosis with its rationale and its differential."""

    label: str = Field(
        description='the candidate with the highest score; "no diagnosis" if that names another organ than the site'
    )
    foreign: str = Field(
        "", description="the candidate with the highest score, if it names another organ than the site"
    )
    generated: str = Field(description="the diagnosis that the model wrote; empty if it wrote none")
    generated_differs: bool
    rationale: str = Field(description="the model's reasons for the diagnosis that it wrote")
    differential: list[Candidate] = Field(
        description="the probabilities sum to 1; best first, candidates of other organs last"
    )
    scores: dict[str, float] = Field(
        description="candidate → log-probability over its tokens, mean or sum as the card says; with another scoring, "
        "the log-probability of the candidate as a whole"
    )
    scoring: Scoring = Field("token probabilities", description="how the scores came about")
    samples: list[str] = Field(description="diagnoses of the sampled answers")
    answer: str = Field(description="the model's answer, unchanged")
    question_answered: bool | None = Field(
        None, description="whether the diagnosis answers the question; null if there is no question"
    )
    call: ModelCall
    notes: list[str] = Field(
        default_factory=list,
        description="what was left out for this model, and how the answer was read if it was not in the form that was "
        "asked for",
    )

    @property
    def leading(self) -> Candidate:
        """The first candidate of the differential."""
        return self.differential[0]
