"""Closed sets of words, and the limits of what a user may ask for.

Each set is a ``Literal`` for type checkers and schemas, with its words in a tuple for checks, options and pages. The
order is the order in which people see the words. This module imports nothing, so that the command line starts fast.
"""

from __future__ import annotations

from typing import Literal, get_args

# Media

Sampling = Literal["uniform", "fps", "keyframes"]
"""How frames are chosen from a video."""
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

SourceKind = Literal["video", "image", "folder"]
"""What a clip is taken from."""

MAX_CLIP_FRAMES = 1024
"""Frames of one clip that ``open_clip`` reads at most."""
MAX_FRAMES = 512
"""Frames that a case, a tool call, an option or a setting may ask for; less than a clip can hold."""

WritingRule = Literal["mask-all", "mask-personal", "keep"]
"""Which burned-in writing is filled before anything sees a frame: all of it, only a person's data and codes, or none."""
WRITING_RULES: tuple[WritingRule, ...] = get_args(WritingRule)

WritingKind = Literal["personal", "code", "label", "drawn"]
"""What a filled place is: a person's data, a bar code or QR code, any other label, or a place that a person drew."""

MarkClass = Literal["mitosis", "gland", "necrosis", "inflammation", "vessel", "tumour", "other"]
"""What a person's mark on a frame shows; the note says more."""
MARK_CLASSES: tuple[MarkClass, ...] = get_args(MarkClass)

# Datasets

ScreenKind = Literal["slide", "title card", "talking head", "desktop", "black"]
"""What a screen recording shows; "slide" is a microscope's or a viewer's picture of tissue."""
SCREEN_KINDS: tuple[ScreenKind, ...] = get_args(ScreenKind)

BuildStage = Literal["transcript", "segments", "clips", "instructions", "set"]
"""The stages of ``videopath dataset build``, in order."""
BUILD_STAGES: tuple[BuildStage, ...] = get_args(BuildStage)

CursorRule = Literal["leave", "remove"]
"""Whether the cursor of a screen recording stays in the refined clips."""
CURSOR_RULES: tuple[CursorRule, ...] = get_args(CursorRule)

ClipProduct = Literal["keyframe clip", "case video"]
"""What a recording is cut into: short clips around one view, with weak labels, and one video per case."""

SplitSide = Literal["train", "validation", "test"]
"""The sides of a finished set; a recording is on one of them as a whole."""
SPLIT_SIDES: tuple[SplitSide, ...] = get_args(SplitSide)

FindingKind = Literal[
    "personal data",
    "leakage",
    "special token",
    "missing clip",
    "changed clip",
    "length",
    "text",
    "repeated",
    "near-duplicate",
    "language",
    "words",
]
"""What the check of a finished set finds. "words": an answer that is called blind and speaks of the narrator."""
FINDING_KINDS: tuple[FindingKind, ...] = get_args(FindingKind)

# Model

DtypeName = Literal["float32", "float16", "bfloat16"]
"""Number format of a model's weights."""
DTYPE_NAMES: tuple[DtypeName, ...] = get_args(DtypeName)

StopReason = Literal["eos", "length", "cancelled"]
"""Why an answer of the model ended."""
ScoreReduction = Literal["mean", "sum"]
"""How the log-probabilities of a label's tokens become one score."""

Wording = Literal["videopath", "plain"]
"""How a model is asked: in the words of the instruction data that VideoPath's models are trained on, or in plain
instructions with an answer in JSON, for every other model."""
WORDINGS: tuple[Wording, ...] = get_args(Wording)

Scoring = Literal["token probabilities", "lettered choice", "sampled answers"]
"""How the scores of candidates come about: from the probabilities of their own tokens, from the first token of a choice
between letters, or from the share of sampled answers that name them."""

MAX_ANSWER_TOKENS = 2048
"""Tokens of one description or answer that a case or a tool call may ask for."""

# Agent

ReviewMode = Literal["never", "uncertain", "always"]
"""When a case waits for a person."""
REVIEW_MODES: tuple[ReviewMode, ...] = get_args(ReviewMode)

ReviewAction = Literal["accept", "edit", "revise", "reject"]
"""What a person decides at a review."""
REVIEW_ACTIONS: tuple[ReviewAction, ...] = get_args(ReviewAction)

CaseStatus = Literal[
    "queued", "running", "waiting for review", "abstained", "done", "signed", "rejected", "failed"
]
"""The status of a case as the library stores it; "queued" waits for a worker."""
CASE_STATUSES: tuple[CaseStatus, ...] = get_args(CaseStatus)

DisplayedStatus = Literal[
    "queued",
    "running",
    "interrupted",
    "waiting for review",
    "abstained",
    "done",
    "signed",
    "rejected",
    "failed",
]
"""The status of a case as people see it: "interrupted" is a running case that no process works on."""
DISPLAYED_STATUSES: tuple[DisplayedStatus, ...] = get_args(DisplayedStatus)

ExportFormat = Literal["zip", "pdf", "html", "md", "json"]
"""What a case can be exported as."""
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

MAX_LOOKS = 2
"""Closer looks of one case."""
MAX_SAMPLES = 16
"""Sampled answers that are compared with a diagnosis."""
MAX_NEIGHBOURS = 50
"""Similar cases that a case looks up."""

# Knowledge

View = Literal["text", "image", "lexical"]
"""A way to search a knowledge base: by meaning, by picture, by words."""
VIEWS: tuple[View, ...] = get_args(View)

StoredView = Literal["text", "image"]
"""A view that has an index of vectors."""
STORED_VIEWS: tuple[StoredView, ...] = get_args(StoredView)

IndexKind = Literal["exact", "hnsw", "ivf", "ivfpq"]
"""How an index of vectors is organised."""
INDEX_KINDS: tuple[IndexKind, ...] = get_args(IndexKind)
IndexChoice = Literal["auto", "exact", "hnsw", "ivf", "ivfpq"]
"""An index kind, or "auto": the kind that fits the number of records."""
INDEX_CHOICES: tuple[IndexChoice, ...] = get_args(IndexChoice)

# Evaluation

SystemName = Literal["agent", "model", "blind", "cases", "colour"]
"""``agent``: the whole graph. ``model``: asked the question once. ``blind``: the agent without similar cases.
``cases``: the vote of the similar cases alone. ``colour``: six colour numbers alone, the trivial baseline."""
SYSTEMS: tuple[SystemName, ...] = get_args(SystemName)

LabSystem = Literal["agent", "model", "cases", "colour"]
"""A system that can be compared across laboratories."""
LAB_SYSTEMS: tuple[LabSystem, ...] = get_args(LabSystem)

ControlName = Literal[
    "blank", "other-video", "shuffled", "single-frame", "paraphrase", "wrong-site", "stain", "pairs"
]
"""A control of a test set: the same questions with something wrong in the video or the question."""
CONTROLS: tuple[ControlName, ...] = get_args(ControlName)

HeldOutSide = Literal["test", "calibration"]
"""Which part of the held-out data is measured."""
HELD_OUT_SIDES: tuple[HeldOutSide, ...] = get_args(HeldOutSide)

JudgeParser = Literal["strict", "published"]
"""How a judge's replies are read."""
JUDGE_PARSERS: tuple[JudgeParser, ...] = get_args(JudgeParser)

# Log

LogLevel = Literal["debug", "info", "warning", "error"]
"""From which level on the log is shown."""

# Training

OnUnreadable = Literal["stop", "skip"]
"""What happens at an entry that cannot be read."""
ON_UNREADABLE: tuple[OnUnreadable, ...] = get_args(OnUnreadable)

CheckDepth = Literal["names", "files", "frames"]
"""How far a data set is checked: its entries, also that the files exist, also that they open."""
CHECK_DEPTHS: tuple[CheckDepth, ...] = get_args(CheckDepth)

NewlinePosition = Literal["grid", "frame", "one_token", "no_token"]
"""Where LLaVA-NeXT puts its newline token among the visual tokens of a video."""
NEWLINE_POSITIONS: tuple[NewlinePosition, ...] = get_args(NewlinePosition)

TrainingTemplate = Literal["qwen_1_5", "plain"]
"""LLaVA-NeXT's names of the conversation templates that a stage trains with."""

TileLabel = Literal["diagnosis", "site"]
"""What a scratch training's tower learns to tell apart."""
