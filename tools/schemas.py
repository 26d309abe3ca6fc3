"""What the tools take and give: plain JSON, so that any agent, trace or checkpoint can hold it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from videopath.core.choices import MAX_FRAMES, Sampling
from videopath.core.pathology.sites import canonical_site
from videopath.media.crop import Crop


class Record(BaseModel):
    """A record refuses fields that it does not know, so that a misspelt one is never lost."""

    model_config = ConfigDict(extra="forbid")

    def __str__(self) -> str:
        """JSON: what a chat agent that calls the tool reads."""
        return self.model_dump_json()


class ClipInput(Record):
    """Which frames of which video: what a session is opened for."""

    video: str = Field(description="path of a video, an image or a folder of frames")
    frames: int | None = Field(
        None, ge=1, le=MAX_FRAMES, description="frames to look at; none: what the model was trained with"
    )
    start: float | None = Field(
        None, ge=0, description="first second of the segment; none: from the beginning"
    )
    end: float | None = Field(None, gt=0, description="last second of the segment; none: to the end")
    crop: Crop | None = Field(
        None, description="left, top, right, bottom as parts of the frame in [0, 1]; none: the whole frame"
    )
    sampling: Sampling = "uniform"

    @model_validator(mode="after")
    def _in_order(self) -> ClipInput:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(f"crop {self.crop} must be (left, top, right, bottom) within [0, 1]")
        return self


class SiteInput(Record):
    """Where the tissue comes from."""

    site: str | None = Field(None, description="anatomical site, if known")

    @field_validator("site")
    @classmethod
    def _canonical(cls, site: str | None) -> str | None:
        return canonical_site(site) if site else None


class Candidate(Record):
    """A diagnosis of the differential."""

    label: str
    probability: float = Field(ge=0, le=1)
    support: list[str] = Field(
        default_factory=list,
        description='where it comes from: "model", "sample", "neighbour:<id>", "cases", "site list", "unknown"',
    )
    of_model: float | None = Field(
        None, ge=0, le=1, description="its probability by the model alone; none: the model did not weigh it"
    )
    of_cases: float | None = Field(
        None, ge=0, le=1, description="its share of the similar cases' vote; none: no case has it"
    )
    other_organ: bool = Field(
        False, description="whether it names another organ than the site that was given"
    )
    known_term: bool = Field(
        True, description="false for what the model wrote in words that no diagnosis is known to have"
    )


class Neighbour(Record):
    """A case of the knowledge base near a description."""

    id: str
    source: str
    site: str | None
    diagnosis: str
    description: str
    score: float = Field(description="mean cosine over the views with vectors, in [-1, 1]")
    kept: bool = Field(description="whether it is given to the model as evidence")
    why: str = Field(description="why it was kept or dropped")
    rank: int = Field(0, description="in the fused list; 1 is the best")
    ranks: dict[str, int] = Field(
        default_factory=dict,
        description="view (text, image, lexical) → its rank there, where it was found there",
    )
    scores: dict[str, float] = Field(
        default_factory=dict, description="view → its cosine, or its BM25 in the lexical view"
    )
    fused: float = Field(0.0, description="by which it is ranked: sum over the views of weight / (60 + rank)")


class LeftOut(Record):
    """A record that may not be seen, since the case could be answered with itself."""

    id: str
    source: str
    reason: str = Field(description="source, file, patient, group or near-identical frame")
    detail: str = Field(description="the name that it shares, or how many bits of the fingerprints differ")


RestsOn = Literal["measured", "seen", "typical", "said"]
"""What a finding rests on: measured on the frame; seen, by a fitted test; typical of a diagnosis; said by the model alone."""


class LocatedFinding(Record):
    """One sentence of a description with the frame under which the model finds it most likely, and what it rests on."""

    text: str
    seconds: float = Field(description="presentation time of that frame in the source")
    frame: int = Field(description="number of that frame in the source")
    position: int = Field(description="place of that frame among the frames looked at")
    contrast: float = Field(
        description="its mean log-probability there minus the mean over all frames; 0 with one frame"
    )
    rests_on: RestsOn = Field("said", description="see :mod:`videopath.tools.evidence`")
    typical_of: str = Field("", description="the diagnosis that a typical sentence is a fact of")


class ModelCall(Record):
    """What one question to the model was and cost."""

    prompt: str = Field(description="as the model read it; <image> stands for the frames")
    prompt_sha256: str
    seconds: float
    device: str
    model: str


class FramesSeen(Record):
    """Which frames the model saw."""

    seconds: list[float] = Field(description="presentation times in the source")
    indices: list[int] = Field(description="numbers in the source")
    sha256: str = Field(description="of the frames' bytes, uint8 RGB")
    notes: list[str] = Field(default_factory=list, description="what the engine did differently than asked")


class DescribeResult(Record):
    """A description of a clip."""

    description: str
    findings: list[LocatedFinding]
    frames: FramesSeen
    mean_logprob: float = Field(description="mean log-probability of the description's tokens")
    call: ModelCall


class CaseBallot(Record):
    """The vote of one patient, group or source: that of its nearest case."""

    id: str
    group: str
    diagnosis: str
    similarity: float = Field(description="centred cosine of the pictures, in [-1, 1]")
    weight: float = Field(description="1 for the nearest of all, less for the others")


class CasesVote(Record):
    """What the nearest cases say by their pictures, and whether they vouch for it."""

    diagnosis: str = Field(description="the one that leads")
    shares: dict[str, float] = Field(description="diagnosis → its share; sums to 1, the largest first")
    site: str = Field(description="of the cases that voted; empty where it is not known")
    ballots: list[CaseBallot] = Field(description="the nearest first")
    nearness: float = Field(description="similarity of the nearest case")
    own: float = Field(description="share of the nearest places that are not those of other organs' tissue")
    probability: float | None = Field(description="how often such a vote is right; none: never measured")
    from_here: bool = Field(description="whether the picture is like the cases' own")
    vouches: bool = Field(description="whether the vote is enough for a diagnosis")
    reasons: list[str] = Field(default_factory=list, description="why it is not, with what is missing")
    measured_on: str = Field("", description="how many cases of how many groups it was measured on")
    deciding: list[str] = Field(
        default_factory=list, description="records without whose votes another diagnosis would lead"
    )
    without: str = Field("", description="the diagnosis that would lead without them")


class RetrieveResult(Record):
    """The nearest cases, best first, with why each was kept or dropped."""

    query: str
    neighbours: list[Neighbour]
    index_sha256: str = ""
    views: list[str] = Field(default_factory=list, description="which took part: text, image, lexical")
    notes: list[str] = Field(default_factory=list, description="why a view could not take part")
    excluded: list[LeftOut] = Field(
        default_factory=list, description="the first of those that may not be seen"
    )
    excluded_count: int = Field(0, ge=0, description="how many may not be seen in all")
    vote: CasesVote | None = Field(None, description="of the cases with pictures; none where nobody votes")
    calibration: dict[str, float] = Field(
        default_factory=dict,
        description="of this model with these cases, in the place of its card's; empty: never fitted",
    )
    calibrated_on: str = Field("", description="how many cases of how many groups that was fitted on")
    voters_are_known_tissue: bool = Field(
        False, description="whether those who voted are the tiles that the model was trained on"
    )
    known_tissue: CasesVote | None = Field(
        None, description="of the tiles that the model was trained on, where the cases are others"
    )

    @property
    def kept(self) -> list[Neighbour]:
        """Those that are evidence, best first."""
        return [neighbour for neighbour in self.neighbours if neighbour.kept]


class DiagnoseResult(Record):
    """A diagnosis with its rationale and the differential that it was chosen from."""

    label: str = Field(
        description='the candidate with the highest score; "no diagnosis" where it is of another organ than the site'
    )
    foreign: str = Field("", description="the candidate of another organ that has the highest score of all")
    generated: str = Field(
        description="the diagnosis that the model wrote by itself; empty when it wrote none"
    )
    generated_differs: bool
    rationale: str = Field(description="the model's reasons for the diagnosis that it wrote")
    differential: list[Candidate] = Field(description="sums to 1, best first, those of other organs last")
    scores: dict[str, float] = Field(
        description="candidate → log-probability, mean or sum as the model card says"
    )
    samples: list[str] = Field(description="diagnoses of the sampled answers")
    answer: str = Field(description="the model's answer as it wrote it")
    question_answered: bool | None = Field(
        None, description="whether a diagnosis answers the question; none where none was asked"
    )
    call: ModelCall

    @property
    def leading(self) -> Candidate:
        """The first candidate of the differential."""
        return self.differential[0]
