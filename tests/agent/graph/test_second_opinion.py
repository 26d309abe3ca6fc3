"""A second model diagnoses the same frames blind; what it says counts, and is told.

The scripted engine stands for an engine of one's own; what two real models do is tested with nano and a small checkpoint.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.model_server import ScriptedServer
from fixtures.scripted import BENIGN, CANCER, LOST, SURE, UNKNOWN, ScriptedEngine, words_alone

from videopath.agent import CaseReport, DiagnosticAgent, Policy
from videopath.agent.cases.records import SecondOpinion
from videopath.agent.cases.trace import read_trace
from videopath.agent.decision.verdict import BlankAnswers, Verdict, weigh
from videopath.agent.graph.addresses import addresses_of
from videopath.agent.graph.view import StateView
from videopath.agent.replay import replay
from videopath.core.errors import CaseError, EngineError, InputError
from videopath.model.calibration import DEFAULT_WEIGHTS, SECOND_OPINION, Calibration
from videopath.model.card import Card
from videopath.tools.schemas import RetrieveResult
from videopath.tools.session_pool import SessionPool

ROUND = ["describe", "diagnose_blind", "retrieve", "diagnose", "verify"]
BENIGN_SURE = {CANCER: -9.0, BENIGN: -1.0, UNKNOWN: -9.0}
CHECKED = [*ROUND[:-1], "second_opinion", "verify"]
CHILD = Path(__file__).with_name("killed_case.py")


class OwnEngine(ScriptedEngine):
    """Another scripted engine, which writes down what it is asked."""

    def __init__(self, *scores: dict[str, float], **info: Any) -> None:
        super().__init__(*scores)
        named = {"name": "own engine", "source": "own", "weights_sha256": "7" * 64}
        self.info = self.info.model_copy(update={**named, **info})
        self.asked: list[str] = []

    def open(self, clip: Any, **options: Any) -> Any:
        session = super().open(clip, **options)
        generate = session.generate

        def writing_down(question: str, **settings: Any) -> Any:
            self.asked.append(question)
            return generate(question, **settings)

        session.generate = writing_down
        return session


class FailingEngine(OwnEngine):
    """An engine that cannot open a clip."""

    def open(self, clip: Any, **options: Any) -> Any:
        raise EngineError("The server of the second model hung up.")


def agent_with(second: Any, *scores: dict[str, float], first: Any = None, **policy: Any) -> DiagnosticAgent:
    return DiagnosticAgent.load(
        first or ScriptedEngine(*(scores or (SURE,))),
        words_alone(),
        second_opinion=second,
        policy=Policy(**{"max_looks": 0, **policy}),
    )


def second_step(report: CaseReport) -> Any:
    return next(step for step in report.steps if step.name == "second_opinion")


def test_a_second_model_that_agrees_changes_nothing(small_case: Path) -> None:
    with agent_with(None) as agent:
        alone = agent.diagnose(small_case, site="colon")
    second = OwnEngine(SURE)
    with agent_with(second) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert [step.name for step in alone.steps] == ["intake", *ROUND, "report"]
    assert alone.second_opinion is None
    assert [step.name for step in report.steps] == ["intake", *CHECKED, "report"]
    opinion = report.second_opinion
    assert (opinion.model, opinion.weights, opinion.label) == ("own engine", "7" * 64, CANCER)
    assert opinion.agrees
    assert not opinion.contradicts
    assert opinion.differential[0].label == CANCER
    assert opinion.description.startswith("Crowded")
    assert opinion.rationale == "irregular glands."
    assert (report.status, report.confidence) == ("done", alone.confidence)
    step = second_step(report)
    assert step.model == "own engine"
    assert "it agrees" in step.summary
    assert step.hashes["weights"] == "7" * 64
    assert step.hashes["frames"] == report.provenance["frames"], "the same frames"
    assert report.settings.second_opinion.model == "own"


def test_the_second_model_is_blind(small_case: Path) -> None:
    second = OwnEngine(SURE)
    with agent_with(second, samples=3) as agent:
        agent.diagnose(small_case, site="colon")
    assert len(second.asked) == 2, "one description, one diagnosis, no samples"
    assert not any("Similar cases" in question for question in second.asked)


def test_another_diagnosis_is_a_reason_if_nothing_was_fitted(small_case: Path) -> None:
    with agent_with(OwnEngine(BENIGN_SURE)) as agent:
        report = agent.diagnose(small_case, site="colon")
    sentence = f"The second opinion of own engine is {BENIGN}."
    assert (report.status, report.diagnosis) == ("abstained", CANCER)
    assert report.advice[0] == sentence
    assert report.second_opinion.contradicts
    verify = next(step for step in report.steps if step.name == "verify")
    assert sentence in verify.detail["reasons"]
    assert verify.detail["features"]["contradicted"] == 1.0
    assert f"the second opinion is {BENIGN}" in verify.summary


def test_another_diagnosis_brings_a_closer_look_at_which_both_are_asked_again(small_case: Path) -> None:
    second = OwnEngine(BENIGN_SURE, SURE)
    with agent_with(second, max_looks=1) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert [step.name for step in report.steps] == ["intake", *CHECKED, "look_closer", *CHECKED, "report"]
    assert len(second.opened) == 2
    assert second.opened[0].seconds[-1] > second.opened[1].seconds[-1]
    assert [look.second_opinion for look in report.looks] == [BENIGN, CANCER]
    assert [look.reported for look in report.looks] == [False, True], "the look that settled it"
    assert (report.status, report.second_opinion.label) == ("done", CANCER)
    assert f"second opinion: {BENIGN}" in report.to_markdown()


def test_a_person_is_asked_if_closer_looks_do_not_settle_it(small_case: Path) -> None:
    with agent_with(OwnEngine(BENIGN_SURE), max_looks=1, review="uncertain") as agent:
        report = agent.diagnose(small_case, site="colon", case_id="torn")
        assert agent.pending("torn").value["reasons"] == [f"The second opinion of own engine is {BENIGN}."]
        signed = agent.resume("torn", {"action": "edit", "diagnosis": CANCER, "reviewer": "Dr A"})
    assert (report.status, signed.status) == ("waiting for review", "signed")
    assert signed.second_opinion.label == BENIGN


def test_a_revision_asks_the_second_model_only_what_is_new(small_case: Path) -> None:
    second = OwnEngine(BENIGN_SURE)
    with agent_with(second, review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="revised")
        asked = len(second.asked)
        report = agent.resume(
            "revised", {"action": "revise", "description": "Glands in a desmoplastic stroma."}
        )
        assert len(second.asked) == asked, "the frames are the same: the journal answers"
        assert report.second_opinion.label == BENIGN
        agent.resume("revised", {"action": "revise", "segment": {"start": 1.0, "end": 4.0}})
    assert len(second.asked) == asked + 2


def test_a_model_without_a_diagnosis_contradicts_nothing(small_case: Path) -> None:
    with agent_with(OwnEngine(LOST)) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert (report.status, report.second_opinion.gives_diagnosis) == ("done", False)
    assert not report.second_opinion.agrees
    assert "gives no diagnosis" in report.to_markdown()


def test_two_models_that_know_no_diagnosis_agree(small_case: Path) -> None:
    with agent_with(OwnEngine(LOST), LOST) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert report.abstained
    assert report.second_opinion.agrees
    assert not report.second_opinion.contradicts


def test_the_second_model_chooses_among_the_diagnoses_of_the_first_as_well(small_case: Path) -> None:
    second = OwnEngine(SURE, card=Card(labels={"colon": ["tubular adenoma"]}))
    with agent_with(second) as agent:
        report = agent.diagnose(small_case, site="colon")
    support = {c.label: c.support for c in report.second_opinion.differential}
    assert set(support) == {CANCER, BENIGN, "tubular adenoma"}
    assert support[BENIGN] == ["site list"], "it never sees cases"


@pytest.mark.parametrize("kind", ["asked", "loaded"])
def test_a_second_model_that_fails_never_ends_the_case(small_case: Path, tmp_path: Path, kind: str) -> None:
    second = FailingEngine(SURE) if kind == "asked" else str(tmp_path / "no-such-model")
    with agent_with(second) as agent:
        report = agent.diagnose(small_case, site="colon")
    opinion = report.second_opinion
    assert (report.status, report.diagnosis) == ("done", CANCER)
    assert opinion.failure
    assert not opinion.contradicts
    assert opinion.model == ("own engine" if kind == "asked" else second)
    assert second_step(report).summary == opinion.sentence
    assert "There is no second opinion of" in report.to_markdown()
    assert "rests on the first model alone" in report.to_markdown()


def test_an_agent_without_a_second_model_does_not_drop_the_second_opinion(small_case: Path) -> None:
    with agent_with(OwnEngine(SURE)) as agent:
        stream = agent.stream(small_case, site="colon", case_id="two")
        next(stream)
        stream.close()
    with agent_with(None) as agent, pytest.raises(CaseError, match="second opinion of own"):
        agent.resume("two")


def test_one_case_has_one_second_model(small_case: Path) -> None:
    with agent_with(OwnEngine(SURE), review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="two")
    revision = {"action": "revise", "segment": {"start": 1.0, "end": 4.0}}
    other = OwnEngine(SURE, weights_sha256="8" * 64)
    with agent_with(other, review="always") as agent, pytest.raises(CaseError, match="given by own engine"):
        agent.resume("two", revision)


def verdict_of(
    diagnosed: Any, weights: dict[str, float], label: str, values: dict[str, float] | None = None
) -> Verdict:
    """The verdict on a sure look at colon by a model with this calibration, if a second one says ``label``."""
    from videopath.agent.decision.fusion import fuse

    card = Card(labels={"colon": [CANCER, BENIGN]}, calibration=weights)
    fused = fuse(diagnosed({CANCER: 0.98, BENIGN: 0.02}), None, "colon", card)
    opinion = SecondOpinion(model="own", label=label, gives_diagnosis=True, agrees=label == CANCER)
    features = dict.fromkeys(
        ("top_probability", "margin", "samples", "neighbours", "description", "blind"), 1.0
    )
    features["contradicted"] = float(opinion.contradicts)
    blank = BlankAnswers(set, lambda labels: dict.fromkeys(labels, 0.0))
    found = RetrieveResult(query="", neighbours=[])
    return weigh(fused, found, features | (values or {}), "colon", card, Policy(), blank, opinion)


def test_a_fitted_amount_lowers_the_confidence_instead(diagnosed: Any) -> None:
    usual = verdict_of(diagnosed, DEFAULT_WEIGHTS, CANCER)
    assert not usual.reasons
    reason = verdict_of(diagnosed, DEFAULT_WEIGHTS, BENIGN)
    assert (reason.confidence, reason.reasons) == (
        usual.confidence,
        [f"The second opinion of own is {BENIGN}."],
    )
    assert reason.closer_may_help
    little = verdict_of(diagnosed, DEFAULT_WEIGHTS | {SECOND_OPINION: 1.0}, BENIGN)
    assert usual.confidence > little.confidence > 0.9
    assert not little.reasons
    much = verdict_of(diagnosed, DEFAULT_WEIGHTS | {SECOND_OPINION: 9.0}, BENIGN)
    assert much.confidence < 0.5
    assert much.reasons[-1] == f"The second opinion of own is {BENIGN}."
    assert (
        verdict_of(diagnosed, DEFAULT_WEIGHTS | {SECOND_OPINION: 9.0}, CANCER).confidence == usual.confidence
    )


def test_an_opinion_never_raises_the_confidence() -> None:
    values = {"top_probability": 0.7, "contradicted": 1.0}
    usual = Calibration(DEFAULT_WEIGHTS).confidence(values)
    assert Calibration(DEFAULT_WEIGHTS | {SECOND_OPINION: -5.0}).confidence(values) == usual


def test_a_state_of_an_earlier_version_has_no_second_opinion() -> None:
    assert StateView({"final": {}}).second is None


def test_frames_that_leave_this_machine_are_told_from_the_first_step_on(small_case: Path) -> None:
    address = "http://127.0.0.1:9/v1"
    first = ScriptedEngine(SURE)
    first.info = first.info.model_copy(update={"address": address, "scores_moments": True})
    with agent_with(OwnEngine(SURE, address="https://two.example/v1"), first=first) as agent:
        report = agent.diagnose(small_case, site="colon")
    intake, verify = report.steps[0], next(step for step in report.steps if step.name == "verify")
    assert intake.summary.endswith(f"frames leave this machine for {address} and https://two.example/v1")
    assert (
        intake.detail["sent_to"]
        == report.sent_to
        == {"scripted": address, "own engine": "https://two.example/v1"}
    )
    assert report.provenance["address"] == address
    assert f"they were sent to {address} (for scripted)" in report.to_markdown().replace("\\", "")
    blank, description = verify.detail["not_done"]
    assert "not shown a blank video" in blank
    assert "description alone" in description
    assert verify.detail["description_support"] == {}


def served_answer(diagnosis: str) -> str:
    return json.dumps(
        {"findings": ["Crowded glands."], "diagnosis": diagnosis, "rationale": "Irregular glands."}
    )


def test_one_model_is_local_and_the_other_served(
    serve: Callable[..., ScriptedServer], small_case: Path
) -> None:
    server = serve(top_logprobs=20, answer=served_answer(CANCER), weights={CANCER: 20.0})
    with agent_with(server.name) as agent:
        report = agent.diagnose(small_case, site="colon", case_id="served")
        asked = len(server.requests)
        list(agent.stream_resume("served"))
    opinion = report.second_opinion
    assert (report.status, opinion.label, opinion.agrees) == ("done", CANCER, True)
    assert (opinion.address, opinion.scoring) == (server.address, "lettered choice")
    assert list(report.sent_to.values()) == [server.address]
    assert report.steps[0].summary.endswith(f"frames leave this machine for {server.address}")
    assert report.steps[0].detail["sent_to"].keys() == {"tiny-vl"}
    assert len([one for one in server.chats if "Similar cases" in one.text]) == 0, "it is blind"
    assert asked == len(server.requests) <= 12


def test_a_server_that_breaks_down_leaves_the_case_to_the_first_model(
    serve: Callable[..., ScriptedServer], small_case: Path
) -> None:
    server = serve(top_logprobs=20, answer="I would rather not say.")
    with agent_with(server.name) as agent:
        agent._nodes.second.info  # noqa: B018 - loads it
        server.troubles += [lambda handler: handler.error(400, "No.")] * 50
        report = agent.diagnose(small_case, site="colon")
    assert (report.status, report.diagnosis) == ("done", CANCER)
    assert report.second_opinion.failure
    assert report.second_opinion.address == server.address
    assert report.sent_to, "frames were sent, whatever became of the answer"


def test_a_model_on_this_machine_sends_nothing(small_case: Path) -> None:
    with agent_with(OwnEngine(SURE)) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert report.sent_to == {}
    assert "sent_to" not in report.steps[0].detail
    assert "left this machine" not in report.to_markdown()
    assert "not_done" not in next(step for step in report.steps if step.name == "verify").detail


def test_a_served_model_is_known_by_its_name_before_anything_is_asked() -> None:
    served = SessionPool("openai:http://127.0.0.1:9/v1#qwen")
    assert addresses_of(SessionPool("nano"), served) == {"qwen": "http://127.0.0.1:9/v1"}
    assert not served.loaded
    with pytest.raises(InputError, match="address"):
        addresses_of(SessionPool("openai:ftp://x"), None)
    assert addresses_of(SessionPool("nano"), SessionPool("openai:ftp://x")) == {}


def test_a_replay_asks_both_models_again(small_case: Path, tmp_path: Path) -> None:
    first, second = ScriptedEngine(SURE), OwnEngine(BENIGN_SURE)
    with agent_with(second, first=first) as agent:
        bundle = agent.diagnose(small_case, site="colon").save_bundle(tmp_path / "case.zip")

    def again(other: Any) -> Any:
        return replay(bundle, small_case, model=first, second_opinion=other, knowledge=words_alone())

    with pytest.raises(InputError, match="second model own.*--second-opinion own"):
        again(None)
    assert again(second).same
    fields = [difference.field for difference in again(OwnEngine(SURE, weights_sha256="8" * 64)).differences]
    assert "second_opinion.label" in fields
    assert "second_opinion.weights" in fields
    assert "status" in fields


def test_a_replay_takes_no_second_model_for_a_case_without_one(
    cases: SimpleNamespace, small_case: Path, tmp_path: Path
) -> None:
    from videopath.model import open_clip

    report = cases.report()
    report.video.sha256 = open_clip(small_case, 1).sha256
    bundle = report.save_bundle(tmp_path / "case.zip")
    with pytest.raises(InputError, match="no second opinion"):
        replay(bundle, small_case, second_opinion="nano")


def test_nano_agrees_with_nano_and_nothing_is_asked_twice(nano_engine: Any, small_case: Path) -> None:
    short = Policy(max_looks=0, samples=1, description_tokens=48, answer_tokens=24)

    def run(second: Any) -> tuple[CaseReport, int]:
        with DiagnosticAgent.load(nano_engine, policy=short, second_opinion=second) as agent:
            report = agent.diagnose(small_case, site="colon")
        return report, len((report.folder / "calls.jsonl").read_bytes().splitlines())

    (alone, once), (report, twice) = run(None), run(nano_engine)
    assert report.second_opinion.label == alone.blind_diagnosis, "it answers what the first one answers blind"
    assert report.second_opinion.description == alone.description
    assert twice == once, "the same weights, frames and questions: the journal knows the answers"


@pytest.mark.slow
def test_a_case_killed_during_the_second_opinion_goes_on_there(
    small_checkpoint: Path, small_case: Path, tmp_path: Path
) -> None:
    home, case_id, point = tmp_path / "home", "killed", "call 6"  # its diagnosis
    arguments = [home, small_checkpoint, words_alone(), small_case, case_id, point, "", "nano"]
    with subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        reached = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        complaint = child.stderr.read()
    assert reached == "here\n", complaint
    policy = Policy(max_looks=0, samples=2, description_tokens=24, answer_tokens=12)
    with DiagnosticAgent.load(
        small_checkpoint, words_alone(), policy=policy, second_opinion="nano",
        device="cpu", dtype="float32", home=home,
    ) as agent:  # fmt: skip
        folder = agent.library.folder(case_id)
        trace, asked = (folder / "trace.jsonl").read_bytes(), (folder / "calls.jsonl").read_bytes()
        assert [step.name for step in read_trace(folder / "trace.jsonl")] == ["intake", *ROUND[:-1]]
        further = [step.name for step in agent.stream_resume(case_id)]
        report = agent.report(case_id)
    assert further == ["second_opinion", "verify", "report"]
    assert (folder / "trace.jsonl").read_bytes().startswith(trace)
    assert (folder / "calls.jsonl").read_bytes().startswith(asked)
    keys = [json.loads(line)["key"] for line in (folder / "calls.jsonl").read_bytes().splitlines()]
    assert len(keys) == len(set(keys)), "nothing is asked twice"
    assert report.second_opinion.model == "VideoPath-nano"
