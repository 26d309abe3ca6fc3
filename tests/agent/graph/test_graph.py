"""Routing, abstention and review, by a scripted engine: its answers are given, everything else is real.

(No model at hand would give exactly these answers; what a real model does is in ``test_resume.py``.)
"""

from __future__ import annotations

import importlib
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fixtures.scripted import (
    BENIGN,
    CANCER,
    DESCRIPTION,
    LOST,
    SURE,
    TORN,
    UNKNOWN,
    ScriptedEngine,
    words_alone,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from videopath.agent import DiagnosticAgent, Policy, Progress
from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.trace import read_trace
from videopath.agent.graph.builder import build_graph
from videopath.agent.graph.steps import RunContext
from videopath.core.errors import CaseError, InputError
from videopath.model.card import Card
from videopath.tools.answers.organs import sites_of


def agent_with(
    *scores: dict[str, float], sample: str = CANCER, review: Any = "never", **policy: Any
) -> DiagnosticAgent:
    return DiagnosticAgent.load(
        ScriptedEngine(*scores, sample=sample), words_alone(), review=review, policy=Policy(**policy)
    )


def names(agent: DiagnosticAgent, case_id: str) -> list[str]:
    return [step.name for step in read_trace(agent.library.folder(case_id) / "trace.jsonl")]


ROUND = ["describe", "diagnose_blind", "retrieve", "diagnose", "verify"]


def test_a_clear_case_goes_straight_to_its_report(small_case: Path) -> None:
    heard: list[Progress] = []
    with agent_with(SURE) as agent:
        steps = list(agent.stream(small_case, site="large bowel", case_id="clear", on_progress=heard.append))
        report = agent.report("clear")
    assert [step.name for step in steps] == ["intake", *ROUND, "report"]
    assert report.steps == steps == read_trace(report.folder / "trace.jsonl")
    assert (report.status, report.diagnosis, report.site) == ("done", CANCER, "colon")
    assert not report.abstained
    assert not report.advice
    assert report.confidence > 0.9
    assert sum(candidate.probability for candidate in report.differential) == pytest.approx(1)
    assert report.blind_diagnosis == CANCER
    assert not report.changed_by_retrieval
    assert [finding.text for finding in report.findings] == DESCRIPTION.replace(". ", ".|").split("|")
    assert {finding.frame for finding in report.findings} == {report.video.indices[1]}
    assert all((report.folder / finding.image).is_file() for finding in report.findings)
    assert report.provenance["notes"] == ["half the frames"]
    assert len(report.provenance["weights"]) == len(report.provenance["knowledge"]["index"]) == 64
    assert {step.name for step in steps if "prompt" in step.hashes} == {
        "describe",
        "diagnose_blind",
        "diagnose",
    }
    assert [p.step for p in heard if p.kind == "started"] == [step.name for step in steps]
    assert {step.device for step in steps} == {"cpu"}
    assert DESCRIPTION in [p.text for p in heard if p.kind == "token"]
    assert type(report).from_json(report.to_json()).model_dump() == report.model_dump()


def test_an_unclear_case_is_looked_at_twice_more_and_then_abstained_on(small_case: Path) -> None:
    with agent_with(TORN, sample=BENIGN) as agent:
        report = agent.diagnose(small_case, site="colon", case_id="torn")
        requests = [step.detail["request"] for step in report.steps if step.name == "look_closer"]
        clips = agent._nodes.sessions.engine.opened
    closer = ["look_closer", *ROUND]
    assert [step.name for step in report.steps] == ["intake", *ROUND, *closer, "report"] or [
        step.name for step in report.steps
    ] == ["intake", *ROUND, *closer, *closer, "report"]
    assert report.abstained
    assert report.status == "abstained"
    assert report.confidence < 0.5
    assert any("close" in sentence for sentence in report.advice)
    assert any("differ" in sentence for sentence in report.advice)
    first = requests[0]
    left, top, right, bottom = first["crop"]
    assert (right - left, bottom - top) == pytest.approx((0.5, 0.5))
    assert first["end"] - first["start"] == pytest.approx(6 / 4, abs=0.01)
    assert clips[1].frames.shape[1:3] == (128, 160), "cut from the native frame"


def test_a_closer_look_that_settles_the_case_is_the_one_reported(small_case: Path) -> None:
    with agent_with(LOST, SURE) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert [step.name for step in report.steps].count("look_closer") == 1
    assert (report.diagnosis, report.status) == (CANCER, "done")


def test_tissue_that_the_model_does_not_know_is_abstained_on(small_case: Path) -> None:
    with agent_with(LOST, max_looks=0) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert (report.abstained, report.confidence, report.diagnosis) == (True, 0.0, UNKNOWN)


def test_a_site_that_the_model_was_not_trained_on_is_abstained_on_at_once(small_case: Path) -> None:
    with agent_with(SURE) as agent:
        report = agent.diagnose(small_case, site="thyroid")
    assert [step.name for step in report.steps] == ["intake", *ROUND, "report"], "no closer look helps"
    assert report.abstained
    assert report.confidence == 0
    assert "thyroid" in " ".join(report.advice)


def test_a_diagnosis_of_another_site_than_the_one_given_is_abstained_on(small_case: Path) -> None:
    with agent_with({"benign lung tissue": 0.0}, sample="benign lung tissue") as agent:
        report = agent.diagnose(small_case, site="colon")
    assert (report.diagnosis, report.abstained, report.confidence) == ("no diagnosis", True, 0.0)
    assert report.advice[0] == "The model takes this for benign lung tissue, which is not of the colon."


@pytest.mark.parametrize("site", ["colon", None])
def test_a_diagnosis_that_was_never_measured_is_abstained_on(small_case: Path, site: str | None) -> None:
    label = "benign lesion of the colon"
    with agent_with({label: 0.0}, sample=label) as agent:
        report = agent.diagnose(small_case, site=site)
    assert (report.diagnosis, report.abstained, report.confidence) == (label, True, 0.0)
    assert "never measured" in report.advice[0]


@pytest.mark.parametrize(
    ("label", "sites"),
    [
        ("Colon adenocarcinoma.", ["colon"]),
        ("malignant tumour of the bone marrow", ["bone marrow"]),
        ("tumour of the unknown kind", []),
        ("lymphoma", []),
    ],
)
def test_which_sites_a_label_names(label: str, sites: list[str]) -> None:
    assert sites_of(label, Card(labels={"colon": [BENIGN, CANCER]})) == sites


@pytest.mark.parametrize(
    ("mode", "scores", "asked"),
    [("always", SURE, True), ("uncertain", SURE, False), ("uncertain", TORN, True), ("never", TORN, False)],
)
def test_when_a_person_is_asked(small_case: Path, mode: str, scores: dict[str, float], asked: bool) -> None:
    with agent_with(scores, sample=BENIGN if scores is TORN else CANCER, review=mode, max_looks=0) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert (report.status == "waiting for review") == asked


def test_a_decision_counts_once_and_only_for_the_review_that_waits(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        waiting = agent.diagnose(small_case, site="colon", case_id="seen")
        pending = agent.pending("seen")
        assert waiting.status == "waiting for review"
        assert pending.value["diagnosis"] == waiting.diagnosis == CANCER
        assert agent.resume("seen").status == "waiting for review", "no decision: it goes on waiting"
        with pytest.raises(CaseError, match="earlier review"):
            agent.resume("seen", {"action": "accept", "interrupt_id": "0" * 32})
        for unusable in (
            {"action": "approve"},
            {"action": "edit"},
            {"action": "accept", "diagnosis": "polyp"},
        ):
            with pytest.raises(CaseError, match="not usable"):
                agent.resume("seen", unusable)
        edit = {
            "action": "edit",
            "reviewer": "Dr A",
            "diagnosis": "tubular adenoma",
            "comment": "No invasion.",
            "interrupt_id": pending.id,
        }
        report = agent.resume("seen", edit)
        with pytest.raises(CaseError, match="does not wait"):
            agent.resume("seen", edit)
        assert names(agent, "seen") == ["intake", *ROUND, "review", "report"]
        assert agent.resume("seen").model_dump() == report.model_dump(), "a finished case stays as it is"
    assert (report.status, report.diagnosis) == ("signed", "tubular adenoma")
    assert report.review[0].comment == "No invasion."
    assert report.review[0].decided
    step = next(step for step in report.steps if step.name == "review")
    assert step.detail["changes"] == {"diagnosis": {"from": CANCER, "to": "tubular adenoma"}}


def test_a_rejected_case_says_so(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="no")
        report = agent.resume("no", {"action": "reject", "reviewer": "Dr A", "comment": "wrong slide"})
    assert (report.status, agent.library.entry("no").status) == ("rejected", "rejected")


def test_a_person_who_revised_is_asked_again_whatever_the_policy_says(small_case: Path) -> None:
    segment = {"action": "revise", "segment": {"start": 1.0, "end": 5.0}}
    with agent_with(TORN, SURE, sample=BENIGN, review="uncertain", max_looks=0) as agent:
        agent.diagnose(small_case, site="colon", case_id="torn")
        sure = agent.resume("torn", segment)
        assert (sure.status, sure.abstained, sure.diagnosis) == ("waiting for review", False, CANCER)
        assert agent.resume("torn", {"action": "accept"}).status == "signed"


def test_what_a_person_asked_for_counts_even_where_an_earlier_look_was_surer(small_case: Path) -> None:
    segment = {"action": "revise", "segment": {"start": 1.0, "end": 5.0}}
    with agent_with(SURE, TORN, sample=BENIGN, review="always") as agent:
        first = agent.diagnose(small_case, site="colon", case_id="sure")
        then = agent.resume("sure", segment)
        assert then.confidence < first.confidence
        assert then.video.seconds[0] >= 1.0
        assert names(agent, "sure").count("look_closer") == 0, "from here on the person chooses where to look"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"site": "elbow"}, "elbow"),
        ({"question": "  "}, "empty"),
        ({"question": "x" * 100_000}, "100,000"),
        ({"question": "wh\udce9t"}, "not valid"),
        ({"sampling": "random"}, "sampling"),
        ({"start": 4.0, "end": 2.0}, "segment"),
    ],
)
def test_bad_input_leaves_no_case_behind(
    small_case: Path, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with agent_with(SURE) as agent:
        with pytest.raises(InputError, match=said):
            agent.diagnose(small_case, case_id="bad", **more)
        with pytest.raises(InputError, match="no file"):
            agent.diagnose(small_case.with_name("absent.mp4"), case_id="bad")
        if sys.platform == "linux":  # other systems have no such names
            with pytest.raises(InputError, match="Rename it"):
                agent.diagnose(shutil.copy(small_case, tmp_path / "caf\udce9.mp4"), case_id="bad")
        assert agent.library.list() == []
        assert not agent.library.folder("bad").exists()


def test_an_unknown_case_and_a_taken_id_are_refused(small_case: Path) -> None:
    with agent_with(SURE) as agent:
        with pytest.raises(CaseError, match="no case"):
            agent.resume("absent")
        agent.diagnose(small_case, case_id="one")
        with pytest.raises(CaseError, match="already"):
            agent.diagnose(small_case, case_id="one")


def test_a_closed_agent_says_so_before_anything_is_kept(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="waits")
    for use in (
        lambda: agent.diagnose(small_case, site="colon", case_id="late"),
        lambda: agent.begin(small_case, site="colon", case_id="late"),
        lambda: agent.resume("waits"),
        lambda: agent.resume("waits", {"action": "accept"}),
        lambda: agent.pending("waits"),
    ):
        with pytest.raises(CaseError, match="agent is closed"):
            use()
    agent.close()
    assert [(entry.case_id, entry.status) for entry in agent.library.list()] == [
        ("waits", "waiting for review")
    ]
    assert agent.report("waits").status == "waiting for review", "what is on disk can be read"


@pytest.mark.parametrize("word", ["typo", "", None])
def test_an_unknown_review_mode_is_told_with_those_there_are(word: Any) -> None:
    with pytest.raises(InputError, match="never, uncertain, always"):
        DiagnosticAgent.load(review=word)


def test_a_case_is_not_resumed_with_another_model(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        stream = agent.stream(small_case, site="colon", case_id="mine")
        assert [next(stream).name for _ in range(2)] == ["intake", "describe"]
        stream.close()
    other = ScriptedEngine(SURE)
    other.info = other.info.model_copy(update={"weights_sha256": "6" * 64, "name": "other"})
    with DiagnosticAgent.load(other) as agent, pytest.raises(CaseError, match="started with"):
        agent.resume("mine")


def test_a_review_is_answered_without_the_model(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        waiting = agent.diagnose(small_case, site="colon", case_id="later")
    with DiagnosticAgent.load("no/such-model", knowledge="/no/such/folder") as agent:
        assert agent.resume("later").status == "waiting for review"
        signed = agent.resume("later", {"action": "accept", "reviewer": "Dr A"})
    assert signed.status == "signed"
    assert signed.provenance == waiting.provenance, "nothing of what was used is forgotten"
    assert len(signed.provenance["knowledge"]["index"]) == 64


def test_an_interrupt_ends_the_case_between_two_tokens_and_it_goes_on(small_case: Path) -> None:
    said: list[str] = []

    def interrupted(progress: Progress) -> None:
        if progress.kind == "token":
            said.append(progress.step)
            raise KeyboardInterrupt

    with agent_with(SURE) as agent:
        with pytest.raises(KeyboardInterrupt):
            agent.diagnose(small_case, site="colon", case_id="stopped", on_progress=interrupted)
        assert said == ["describe"], "the rest of the answer was not waited for"
        assert agent.library.entry("stopped").status == "running"
        assert names(agent, "stopped") == ["intake"]
        assert [step.name for step in agent.stream_resume("stopped")] == [*ROUND, "report"]


def test_the_first_step_is_told_before_the_model_is_loaded(
    small_case: Path, small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    monkeypatch.setattr(
        "videopath.model.inference.loading.load_engine", lambda spec: loads.append(spec.model) or 1 / 0
    )
    with DiagnosticAgent.load(small_checkpoint) as agent:
        stream = agent.stream(small_case, site="colon")
        step = next(stream)
        assert (step.name, len(step.detail["facts"]["indices"]), loads) == ("intake", 4, [])
        with pytest.raises(ZeroDivisionError):
            next(stream)


def test_the_graph_gives_a_case_an_id_where_there_is_none(small_case: Path) -> None:
    with agent_with(SURE) as agent:
        end = build_graph(agent._nodes).invoke({"video": str(small_case)})
        assert agent.library.get(end["case_id"]).status == "done"


def test_checkpoints_hold_plain_json_and_no_frames(small_case: Path) -> None:
    with agent_with(SURE, review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="plain")
        values = agent.graph.get_state({"configurable": {"thread_id": "plain"}}).values
        assert json.loads(json.dumps(values)) == values
        with sqlite3.connect(agent.library.home / "checkpoints.sqlite") as database:
            kinds = {kind for (kind,) in database.execute("SELECT DISTINCT type FROM checkpoints")}
            largest = database.execute("SELECT max(length(checkpoint)) FROM checkpoints").fetchone()[0]
    assert kinds == {"msgpack"}
    assert largest < small_case.stat().st_size + 100_000


def kept(agent: DiagnosticAgent) -> tuple[set[str], int]:
    """The cases that have checkpoints, and how many pages their file has."""
    with closing(sqlite3.connect(agent.library.home / "checkpoints.sqlite")) as database:
        cases = database.execute(
            "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes"
        ).fetchall()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    return {case for (case,) in cases}, pages


def test_checkpoints_of_finished_cases_are_not_kept(small_case: Path) -> None:
    with agent_with(SURE) as agent:
        first = agent.diagnose(small_case, site="colon", case_id="case-0")
        cases, pages = kept(agent)
        assert cases == set()
        for number in range(1, 5):
            agent.diagnose(small_case, site="colon", case_id=f"case-{number}")
        assert kept(agent) == (set(), pages), "the space of the first is that of the others"
        assert agent.pending("case-0") is None
        assert list(agent.stream_resume("case-0")) == []
        assert agent.resume("case-0") == first
        with pytest.raises(CaseError, match="does not wait"):
            agent.resume("case-0", {"action": "accept"})
    with agent_with(SURE, review="always") as agent:
        for case_id in ("accepted", "rejected", "waiting"):
            agent.diagnose(small_case, site="colon", case_id=case_id)
        agent.resume("accepted", {"action": "accept"})
        agent.resume("rejected", {"action": "reject"})
        assert kept(agent)[0] == {"waiting"}
        assert agent.resume("waiting").status == "waiting for review"


def test_a_case_killed_after_its_report_is_finished(
    small_case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = CaseLibrary.save

    def killed(library: CaseLibrary, report: Any) -> None:
        save(library, report)
        raise KeyboardInterrupt

    with agent_with(SURE) as agent:
        with monkeypatch.context() as patched:
            patched.setattr(CaseLibrary, "save", killed)
            with pytest.raises(KeyboardInterrupt):
                agent.diagnose(small_case, site="colon", case_id="last")
        assert (agent.library.entry("last").status, kept(agent)[0]) == ("done", {"last"})
        report = agent.report("last")
        assert list(agent.stream_resume("last")) == []
        assert (agent.report("last"), kept(agent)[0]) == (report, set())


def test_the_graph_is_the_one_of_the_design() -> None:
    with agent_with(SURE) as agent:
        drawn = agent.graph.get_graph()
    edges = {(edge.source, edge.target) for edge in drawn.edges}
    assert edges == {
        ("__start__", "intake"),
        ("intake", "describe"),
        ("describe", "diagnose_blind"),
        ("diagnose_blind", "retrieve"),
        ("retrieve", "diagnose"),
        ("diagnose", "verify"),
        ("diagnose", "second_opinion"),
        ("second_opinion", "verify"),
        ("verify", "look_closer"),
        ("verify", "review"),
        ("verify", "report"),
        ("look_closer", "describe"),
        ("review", "report"),
        ("review", "describe"),
        ("review", "retrieve"),
        ("review", "diagnose"),
        ("report", "__end__"),
    }


def test_langgraph_json_names_a_graph_that_opens() -> None:
    root = Path(__file__).resolve().parents[3]
    entry = json.loads((root / "langgraph.json").read_text(encoding="utf-8"))["graphs"]["videopath"]
    file, _, name = entry.partition(":")
    assert (root / file).is_file()
    module = importlib.import_module(
        "videopath." + file.removeprefix("./").removesuffix(".py").replace("/", ".")
    )
    assert "verify" in getattr(module, name)().get_graph().nodes


def test_the_graph_runs_by_itself_from_a_video_and_a_site(small_case: Path) -> None:
    with agent_with(SURE) as agent:
        config: Any = {"configurable": {"thread_id": "own"}}
        end = agent.graph.invoke({"video": str(small_case), "site": "colon"}, config)
        assert end["looks"][0]["final"]["label"] == CANCER
        assert agent.library.get("own").status == "done"


def test_what_the_model_does_not_know_is_not_accepted_as_a_diagnosis(small_case: Path) -> None:
    with agent_with(LOST, max_looks=0, review="uncertain") as agent:
        waiting = agent.diagnose(small_case, site="colon", case_id="unknown")
        assert (waiting.status, waiting.diagnosis) == ("waiting for review", UNKNOWN)
        for decision in (
            {"action": "accept", "reviewer": "Dr. A"},
            {"action": "edit", "reviewer": "Dr. A", "description": "Ganglion cells."},
        ):
            with pytest.raises(CaseError, match="give the diagnosis that you sign"):
                agent.resume("unknown", decision)
        written = {"action": "edit", "reviewer": "Dr. A", "diagnosis": "ganglioneuroma"}
        assert agent.resume("unknown", written).diagnosis == "ganglioneuroma"


def test_a_malformed_decision_is_asked_for_again_by_the_graph_itself(
    small_case: Path, own_home: Path
) -> None:
    with agent_with(SURE, review="always") as agent:
        thread: Any = {"configurable": {"thread_id": "served"}}
        graph = build_graph(agent._nodes, InMemorySaver())
        inputs: Any = {"video": str(small_case), "site": "colon", "case_id": "served"}
        agent.library.start("served", str(small_case), "colon", "scripted")
        graph.invoke(inputs, thread, context=RunContext())
        for wrong in ({"action": "sign"}, "yes", {"action": "revise"}):
            graph.invoke(Command(resume=wrong), thread, context=RunContext())
            (waiting,) = graph.get_state(thread).interrupts
            assert waiting.value["diagnosis"] == CANCER
            assert waiting.value["error"].startswith("The ")
        graph.invoke(Command(resume={"action": "accept", "reviewer": "Dr. A"}), thread, context=RunContext())
        assert not graph.get_state(thread).interrupts
        assert agent.report("served").status == "signed"


def test_the_graph_says_what_goes_in_and_out(own_home: Path) -> None:
    with agent_with(SURE) as agent:
        assert agent.graph.get_input_jsonschema()["required"] == ["video"]
        assert {"looks", "steps", "review"} <= set(agent.graph.get_output_jsonschema()["properties"])
        assert agent.graph.get_context_jsonschema()["type"] == "object"
