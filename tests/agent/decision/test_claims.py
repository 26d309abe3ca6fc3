"""What is claimed, by a scripted engine: its answers are given, everything else is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videopath.agent import CaseReport, DiagnosticAgent, Policy
from videopath.agent.cases.library import load_case_library
from videopath.agent.report.phrases import listed_confidence
from videopath.app.cli.summary import summary
from videopath.core.errors import CaseError
from videopath.model.calibration import DEFAULT_WEIGHTS
from videopath.model.card import Card
from videopath.model.inference.engine import EngineInfo, Generation

CANCER, BENIGN, UNKNOWN = "colon adenocarcinoma", "benign colon tissue", "not a tissue that this model knows"
LABELS = {"colon": [BENIGN, CANCER], "lung": ["benign lung tissue", "lung adenocarcinoma"]}
DESCRIPTION = "Crowded, irregular glands with necrosis. Nuclei are dark and stratified."

Says = Callable[[np.ndarray], str]
"""What the model writes of frames, uint8 [T,H,W,3]."""


def always(label: str) -> Says:
    return lambda _: label


def looks(label: str, blank: str = "nothing to see") -> Says:
    """A model that tells a blank video from tissue."""
    return lambda frames: blank if frames.min() == 255 else label


class Torn:
    """Says one thing, not too surely, of the whole picture of 320 × 256, and another of a part of it."""

    def __init__(self, whole: str, part: str) -> None:
        self.whole, self.part = whole, part

    def __call__(self, frames: np.ndarray) -> str:
        if frames.min() == 255:
            return "nothing to see"
        return self.whole if frames.shape[1] == 256 else self.part


class Engine:
    """Writes what it is told to, and takes it for the likeliest."""

    def __init__(
        self, says: Says, *, calibrated: bool = False, labels: Any = None, listed: bool = True
    ) -> None:
        self.says, self.opened = says, 0
        card = Card(
            labels=(labels or LABELS) if listed else {},
            unknown_label=UNKNOWN if listed else None,
            calibration=DEFAULT_WEIGHTS if calibrated else {},
        )
        self.info = EngineInfo(
            name="scripted", source="scripted", layout="none", weights_sha256="5" * 64, device="cpu",
            dtype="float32", device_reason="scripted", parameters=0, licence="none", frames=4, card=card,
        )  # fmt: skip

    def open(self, clip: Any, **_: Any) -> Session:
        self.opened += 1
        return Session(self, clip)


class Session:
    def __init__(self, engine: Engine, clip: Any) -> None:
        self.engine, self.label, self.clip, self.notes = engine, engine.says(clip.frames), clip, []

    def generate(self, question: str, on_token: Any = None, **_: Any) -> Generation:
        text = (
            DESCRIPTION if question.startswith("Describe") else f" {self.label}\nRationale: irregular glands."
        )
        return Generation(text=text, tokens=[1], logprobs=[-0.5], seconds=0.0, stopped="eos")

    def score(self, question: str, candidates: Sequence[str], **_: Any) -> list[float]:
        torn = isinstance(self.engine.says, Torn) and self.clip.frames.shape[1] == 256
        rival = -2.0 if torn else -9.0
        return [-1.0 if candidate.strip() == self.label else rival for candidate in candidates]

    def score_moments(self, question: str, texts: Sequence[str], **_: Any) -> list[list[float]]:
        return [[0.0 for _ in self.clip.frames] for _ in texts]

    def close(self) -> None: ...


def terminal(report: CaseReport) -> str:
    from rich.console import Console

    console = Console(file=StringIO(), width=400)
    console.print(summary(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


def pdf_text(report: CaseReport) -> str:
    from io import BytesIO

    from pypdf import PdfReader

    pages = PdfReader(BytesIO(report.to_pdf())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def writers(report: CaseReport) -> dict[str, str]:
    """The report by each writer that needs no browser."""
    return {"markdown": report.to_markdown(), "terminal": terminal(report), "pdf": pdf_text(report)}


def diagnosed(
    engine: Engine,
    video: Path,
    knowledge: Path | None = None,
    *,
    site: str | None = "colon",
    question: str | None = None,
    **policy: Any,
) -> CaseReport:
    settings = Policy(**{"max_looks": 0, "neighbours": 0, "samples": 0, **policy})
    with DiagnosticAgent.load(engine, knowledge, policy=settings) as agent:
        return agent.diagnose(video, question, site)


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ({}, "abstained"),
        ({"review": "uncertain"}, "waiting for review"),
        ({"review": "always"}, "waiting for review"),
        ({"accept_uncalibrated": True}, "done"),
    ],
)
def test_a_model_that_nobody_calibrated_waits_or_abstains(
    small_case: Path, policy: dict[str, Any], status: str
) -> None:
    report = diagnosed(Engine(looks(CANCER)), small_case, **policy)
    assert (report.status, report.diagnosis, report.confidence) == (status, CANCER, 0.0)
    for name, text in writers(report).items():
        assert f"{CANCER} (not calibrated)" in text.replace("\\", ""), name
    assert report.abstained == ("accept_uncalibrated" not in policy)
    (entry,) = load_case_library().list()
    assert listed_confidence(entry) == "not calibrated"
    verified = next(step for step in report.steps if step.name == "verify")
    assert "not calibrated" in verified.summary
    assert verified.detail["confidence"] is None


def test_a_calibrated_model_needs_no_permission(small_case: Path) -> None:
    engine = Engine(looks(CANCER), calibrated=True)
    report = diagnosed(engine, small_case)
    assert (report.status, engine.opened) == ("done", 2)
    assert "not calibrated" not in report.to_markdown()
    blind = diagnosed(Engine(always(CANCER), calibrated=True), small_case)
    assert (blind.status, blind.confidence) == ("abstained", 0.0)
    assert "blank video" in blind.advice[0]


def test_what_a_model_says_of_a_blank_video_as_well_is_no_diagnosis(small_case: Path) -> None:
    engine = Engine(always(CANCER))
    report = diagnosed(engine, small_case, accept_uncalibrated=True)
    assert (report.status, engine.opened) == ("abstained", 2)
    assert "blank video" in report.advice[0]
    diagnosed(engine, small_case, accept_uncalibrated=True)
    assert engine.opened == 3, "it is asked of a blank video once"


def test_a_person_may_sign_what_waits(small_case: Path) -> None:
    with DiagnosticAgent.load(
        Engine(looks(CANCER)), review="uncertain", policy=Policy(max_looks=0, samples=0, neighbours=0)
    ) as agent:
        agent.diagnose(small_case, site="colon", case_id="waits")
        assert agent.pending("waits").value["confidence"] is None
        with pytest.raises(CaseError, match="give the diagnosis that you sign"):
            agent.resume("waits", {"action": "accept", "reviewer": "Dr. A"})
        signed = agent.resume("waits", {"action": "edit", "reviewer": "Dr. A", "diagnosis": CANCER})
        assert agent.library.entry("waits").confidence is None
    assert signed.status == "signed"
    head = signed.to_markdown().split("### What the agent said")[0]
    assert "not calibrated" not in head, "the diagnosis is now the person's"


@pytest.mark.parametrize(
    "label", ["Diagnosis: Diagnosis: Diagnosis:", "<image>", "this tissue", "93%", "..."]
)
def test_a_label_that_is_no_diagnosis_is_never_one(small_case: Path, words_alone: Path, label: str) -> None:
    engine = Engine(looks(label), listed=False)
    report = diagnosed(engine, small_case, accept_uncalibrated=True)
    assert (report.status, report.diagnosis) == ("abstained", "no diagnosis")
    assert label not in [candidate.label for candidate in report.differential]
    with_neighbours = diagnosed(
        Engine(looks(label), listed=False), small_case, words_alone, accept_uncalibrated=True, neighbours=5
    )
    assert with_neighbours.status == "abstained", "a similar case's diagnosis is not the model's"


@pytest.mark.parametrize("listed", [True, False])
def test_no_candidate_of_another_organ_leads_or_is_called_the_likeliest(
    small_case: Path, listed: bool
) -> None:
    foreign = "lung adenocarcinoma"
    report = diagnosed(Engine(looks(foreign), calibrated=True, listed=listed), small_case)
    assert (report.status, report.diagnosis) == ("abstained", "no diagnosis")
    first, *_ = report.differential
    assert not first.other_organ
    assert [c.label for c in report.differential if c.other_organ] == [foreign]
    assert report.differential[-1].label == foreign
    assert sum(candidate.probability for candidate in report.differential) == pytest.approx(1)
    assert report.blind_diagnosis == "no diagnosis"
    for name, text in writers(report).items():
        assert "Leading candidate" not in text, name
        assert "1 candidate of other organs" in text, name
        head, _, folded = text.partition("1 candidate of other organs")
        assert foreign in folded, name
        assert foreign not in head.partition("Differential")[2], name
    assert "which is not of the colon" in report.advice[0]
    assert CaseReport.from_json(report.to_json()).differential == report.differential


@pytest.mark.parametrize("label", ["tumour of the pitary", "benign lesion of the adder"])
def test_words_that_do_not_exist_are_marked_and_no_diagnosis(small_case: Path, label: str) -> None:
    report = diagnosed(Engine(looks(label), listed=False), small_case, site=None, accept_uncalibrated=True)
    assert report.status == "abstained"
    assert not report.differential[0].known_term
    for name, text in writers(report).items():
        plain = text.replace("\\", "")
        assert f"{label} (not a known term" in plain, name
        assert plain.count(label) <= plain.count(f"{label} (not a known term") + 1, (
            f"{name}: once in the reason"
        )
        assert "Leading candidate" not in text, name
    known = diagnosed(
        Engine(looks("angiomyolipoma"), listed=False), small_case, site=None, accept_uncalibrated=True
    )
    assert known.differential[0].known_term


def test_what_a_knowledge_base_calls_a_diagnosis_is_a_known_term(small_case: Path, tmp_path: Path) -> None:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

    record = InstructionRecord(
        id="r1", source="s1", question="?", description="Pale cells.", diagnosis="zzyzoma", licence="CC0"
    )
    base = KnowledgeBase.build(tmp_path / "base", [record])
    settings = Policy(max_looks=0, samples=0, neighbours=0, accept_uncalibrated=True)
    with DiagnosticAgent.load(Engine(looks("zzyzoma"), listed=False), base, policy=settings) as agent:
        assert agent.diagnose(small_case).differential[0].known_term


@pytest.mark.parametrize(("review", "status"), [("never", "abstained"), ("uncertain", "waiting for review")])
def test_a_closer_look_that_contradicts_the_first_is_shown_and_lowers_the_confidence(
    small_case: Path, review: str, status: str
) -> None:
    policy = {"max_looks": 1, "abstain_threshold": 0.8, "review": review}
    report = diagnosed(Engine(Torn(CANCER, BENIGN), calibrated=True), small_case, **policy)
    first, second = report.looks
    assert (first.diagnosis, second.diagnosis, second.reported) == (CANCER, BENIGN, True)
    assert (report.diagnosis, report.status) == (BENIGN, status)
    assert second.confidence > 0.8, "by itself it would have been enough"
    assert report.confidence <= (second.confidence + 0.4) / 2
    assert report.advice[0] == f"The looks at the video disagree: {CANCER}, then {BENIGN}."
    for name, text in writers(report).items():
        plain = " ".join(text.replace("\\", "").split())
        assert f"Look 1, the whole video: {CANCER}" in plain, name
        assert f"a part of the picture: {BENIGN}" in plain, name
    assert CaseReport.from_json(report.to_json()).looks == report.looks


def test_looks_that_disagree_are_not_accepted_and_who_finds_the_case_held_keeps_their_words(
    small_case: Path,
) -> None:
    policy = Policy(max_looks=1, abstain_threshold=0.8, neighbours=0, samples=0, review="uncertain")
    with DiagnosticAgent.load(Engine(Torn(CANCER, BENIGN), calibrated=True), policy=policy) as agent:
        assert agent.diagnose(small_case, site="colon", case_id="torn").status == "waiting for review"
        accept = {"action": "accept", "reviewer": "Dr. A"}
        for way in (agent.check, agent.resume):
            with pytest.raises(CaseError, match="give the diagnosis that you sign"):
                way("torn", accept)
        written = {"action": "edit", "reviewer": "Dr. A", "diagnosis": CANCER, "comment": "seen twice"}
        with (
            agent.library.working("torn"),
            pytest.raises(CaseError, match=f"works on case.*diagnosis: {CANCER}; comment: seen twice"),
        ):
            agent.resume("torn", written)
        assert agent.resume("torn", written).status == "signed"


def test_looks_that_agree_lower_nothing(small_case: Path) -> None:
    policy = {"max_looks": 1, "abstain_threshold": 0.8}
    report = diagnosed(Engine(Torn(CANCER, CANCER), calibrated=True), small_case, **policy)
    assert (report.status, len(report.looks)) == ("done", 2)
    assert report.confidence == report.looks[1].confidence


def test_one_look_is_not_told_twice(small_case: Path) -> None:
    report = diagnosed(Engine(looks(CANCER), calibrated=True), small_case)
    assert len(report.looks) == 1
    assert "Look 1" not in report.to_markdown()


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("How many mitoses?", False),
        ("What is the grade, and is there perineural invasion?", False),
        ("What is the best diagnosis for this tissue?", True),
        ("Is this benign or malignant?", True),
        (None, None),
    ],
)
def test_a_question_that_was_not_answered_is_said_to_be_open(
    small_case: Path, question: str | None, answered: bool | None
) -> None:
    report = diagnosed(Engine(looks(CANCER), calibrated=True), small_case, question=question)
    assert (report.status, report.question_answered) == ("done", answered)
    for name, text in writers(report).items():
        assert ("not answered" in text) == (answered is False), name
    assert CaseReport.from_json(report.to_json()).question_answered == answered


@pytest.mark.parametrize("label", ["follicular", "Crowded irregular glands with dark nuclei", "small cell"])
def test_words_that_do_not_say_what_it_is_are_no_term(small_case: Path, label: str) -> None:
    report = diagnosed(Engine(looks(label), listed=False), small_case, site=None, accept_uncalibrated=True)
    assert (report.status, report.differential[0].known_term) == ("abstained", False)
