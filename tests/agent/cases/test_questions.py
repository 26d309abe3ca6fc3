"""Questions about a finished case are answered, marked and kept, and change nothing that was said before."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.model_server import ScriptedServer
from fixtures.scripted import (
    BENIGN,
    CANCER,
    DESCRIPTION,
    SURE,
    TORN,
    ScriptedEngine,
    ScriptedSession,
    words_alone,
)
from pypdf import PdfReader

from videopath.agent import CaseReport, DiagnosticAgent, FollowUp, Policy
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.questions import QUESTIONS_NAME, append_question, read_questions
from videopath.agent.follow_up import reported_request
from videopath.core.errors import CaseError, InputError
from videopath.model.inference.engine import Generation

QUESTION, ANSWER = "Is there necrosis in the glands?", "Yes, there is dirty necrosis in the lumina."


class TalkingEngine(ScriptedEngine):
    """The scripted engine, which gives one answer to every question in the one-prompt form."""

    def __init__(self, *scores: dict[str, float], says: str = ANSWER, sample: str = CANCER) -> None:
        super().__init__(*scores, sample=sample)
        self.says = says
        self.seen: list[Any] = []

    def open(self, clip: Any, **options: Any) -> ScriptedSession:
        session = super().open(clip, **options)
        generate = session.generate

        def answer(question: str, *, on_token: Any = None, **settings: Any) -> Generation:
            if not question.endswith("Then, provide your answer."):
                return generate(question, on_token=on_token, **settings)
            self.seen.append((question, clip))
            for piece in self.says.split(" "):
                if on_token:
                    on_token(piece)
            return Generation(self.says, [1], [-0.5], 0.0, "eos")

        session.generate = answer  # type: ignore[method-assign]
        return session


def follow_up(question: str = QUESTION, **more: Any) -> FollowUp:
    values = {
        "question": question, "answer": ANSWER, "answered": True, "model": "scripted", "weights": "5" * 64,
        "device": "cpu", "prompt_sha256": "2" * 64, "seconds": 0.5, "asked": "2026-02-01T10:00:00.000Z", "frames": [0, 15],
    }  # fmt: skip
    return FollowUp(**(values | more))


@pytest.fixture
def library(own_home: Path) -> CaseLibrary:
    return load_case_library()


def agent_with(engine: Any, **policy: Any) -> DiagnosticAgent:
    return DiagnosticAgent.load(engine, words_alone(), policy=Policy(**{"max_looks": 0, **policy}))


def test_a_question_is_answered_on_the_cases_own_frames_and_kept(small_case: Path) -> None:
    engine, written = TalkingEngine(SURE), []
    with agent_with(engine) as agent:
        report = agent.diagnose(small_case, site="colon", case_id="done")
        files = {path: path.read_bytes() for path in report.folder.iterdir() if path.is_file()}
        asked = agent.ask("done", f"  {QUESTION} ", on_token=written.append)
        assert agent.library.questions("done") == [asked]
        after = agent.report("done")
        assert len(engine.opened) == 1, "the session of the case is still open"
    assert (asked.question, asked.answer, asked.answered) == (QUESTION, ANSWER, True)
    assert (asked.model, asked.weights, asked.device, asked.address) == ("scripted", "5" * 64, "cpu", "")
    assert asked.frames == report.video.indices
    assert len(asked.prompt_sha256) == 64
    assert asked.asked.endswith("Z")
    assert " ".join(written) == ANSWER
    assert after.questions == [asked]
    assert after.model_copy(update={"questions": []}) == report
    assert {path: path.read_bytes() for path in files} == files, "report, trace and journal stay as they are"


def test_the_question_is_about_the_look_that_the_report_rests_on(small_case: Path) -> None:
    engine = TalkingEngine(TORN, SURE, sample=BENIGN)
    with agent_with(engine, max_looks=1) as agent:
        report = agent.diagnose(small_case, site="colon", case_id="closer")
        assert [look.reported for look in report.looks] == [False, True]
        asked = agent.ask("closer", QUESTION)
    assert asked.frames == report.video.indices
    assert reported_request(report).crop == report.looks[1].crop
    first = report.model_copy(
        update={"looks": [look.model_copy(update={"reported": not look.reported}) for look in report.looks]}
    )
    assert reported_request(first).crop is None


def test_an_answer_that_does_not_fit_is_marked(small_case: Path) -> None:
    with agent_with(TalkingEngine(SURE, says=f"{DESCRIPTION}\nDiagnosis: {CANCER}")) as agent:
        agent.diagnose(small_case, site="colon", case_id="usual")
        wrong, right = (
            agent.ask("usual", "How many mitoses are there?"),
            agent.ask("usual", "Describe the glands."),
        )
        report = agent.report("usual")
    assert (wrong.answered, right.answered) == (False, True)
    assert "number" in wrong.why_not
    text = report.to_markdown()
    assert "## Questions asked afterwards" in text
    assert "Not answered: the question asks for a number" in text


def test_waiting_abstained_and_signed_cases_can_be_asked_about(small_case: Path) -> None:
    with agent_with(TalkingEngine(TORN, sample=BENIGN), review="always") as agent:
        agent.diagnose(small_case, site="colon", case_id="waits")
        assert agent.ask("waits", QUESTION).answered
        assert agent.report("waits").status == "waiting for review"
        agent.resume("waits", {"action": "edit", "diagnosis": CANCER, "reviewer": "Dr A"})
        assert agent.ask("waits", "And is the stroma desmoplastic?").question.startswith("And")
        assert [asked.question for asked in agent.library.questions("waits")][0] == QUESTION
    with agent_with(TalkingEngine(TORN, sample=BENIGN)) as agent:
        assert agent.diagnose(small_case, site="colon", case_id="abstained").abstained
        assert agent.ask("abstained", QUESTION).answered


def hashes(folder: Path) -> dict[str, str]:
    names = ("report.json", "report.md", "trace.jsonl", "calls.jsonl")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def test_a_signed_report_and_its_hash_stay_as_they_are(small_case: Path, tmp_path: Path) -> None:
    with agent_with(TalkingEngine(SURE)) as agent:
        agent.diagnose(small_case, site="colon", case_id="signed")
        agent.library.sign("signed", "Dr A")
        library, folder = agent.library, agent.library.folder("signed")

        def exports(name: str) -> dict[str, bytes]:
            written = {
                form: library.export("signed", tmp_path / f"{name}.{form}", form)
                for form in ("json", "md", "pdf")
            }
            return {form: path.read_bytes() for form, path in written.items()}

        before, exported = hashes(folder), exports("before")
        bundle = library.export("signed", tmp_path / "before.zip")
        agent.ask("signed", QUESTION)
        assert hashes(folder) == before
        assert exports("after") == exported, "not a byte differs"
        assert not list(tmp_path.glob("before-questions.*"))
        beside = (tmp_path / "after-questions.md").read_text(encoding="utf-8")
        assert QUESTION in beside
        assert ANSWER in beside
        lines = (tmp_path / "after-questions.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["question"] for line in lines] == [QUESTION]
        assert library.get("signed").questions == []
        again = library.export("signed", tmp_path / "after.zip")
        library.add_addendum("signed", "Dr B", "Deeper levels show the same.")
        assert "questions" in json.loads((folder / "report.json").read_text(encoding="utf-8"))
        assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["questions"] == []
    with zipfile.ZipFile(bundle) as then, zipfile.ZipFile(again) as now:
        assert set(now.namelist()) - set(then.namelist()) == {QUESTIONS_NAME}
        assert now.read("report.json") == then.read("report.json")
        assert now.read("report.md") == then.read("report.md")


def test_a_case_that_is_signed_later_does_not_take_its_questions_into_the_report(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    library.save(cases.report())
    library.add_question("case-1", follow_up())
    assert library.get("case-1").questions == [follow_up()]
    library.sign("case-1", "Dr A")
    folder = library.folder("case-1")
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["questions"] == []
    assert "asked afterwards" not in (folder / "report.md").read_text(encoding="utf-8")
    assert library.questions("case-1") == [follow_up()]


def test_a_bundle_holds_the_questions(library: CaseLibrary, cases: SimpleNamespace, tmp_path: Path) -> None:
    folder = library.save(cases.report())
    cases.write_evidence(folder, cases.report())
    plain = read_bundle(library.export("case-1", tmp_path / "plain.zip"))
    assert plain.questions == []
    home = str(Path.home())
    library.add_question("case-1", follow_up(f"Compare with {home}/mrs-smith.mp4"))
    bundle = read_bundle(library.export("case-1", tmp_path / "asked.zip"))
    assert bundle.problems == []
    assert [asked.question for asked in bundle.questions] == ["Compare with ~/mrs-smith.mp4"]
    assert home not in bundle.report.to_json()
    whole = read_bundle(library.export("case-1", tmp_path / "paths.zip", with_paths=True))
    assert home in whole.questions[0].question


def test_reports_of_unsigned_cases_list_the_questions(
    library: CaseLibrary, cases: SimpleNamespace, tmp_path: Path
) -> None:
    from io import StringIO

    from rich.console import Console

    from videopath.app.cli.summary import summary

    library.save(cases.report())
    library.add_question("case-1", follow_up(address="https://models.example/v1", stopped="length"))
    report = library.get("case-1")
    pdf = "\n".join(page.extract_text() for page in PdfReader(BytesIO(report.to_pdf())).pages)
    console = Console(file=StringIO(), width=200)
    console.print(summary(report))
    for text in (report.to_markdown(), pdf, console.file.getvalue()):
        assert "Questions asked afterwards" in text
        assert "They are not part of the diagnosis." in text
        assert "Is there necrosis in the glands?" in text
        assert "dirty necrosis" in text
        assert "models.example" in text
        assert "cut at the token limit" in text
    exported = CaseReport.from_json(library.export("case-1", tmp_path / "r.json", "json").read_bytes())
    assert exported.questions == report.questions
    assert not list(tmp_path.glob("*-questions.*"))


def test_a_damaged_line_hides_neither_the_report_nor_the_other_questions(
    library: CaseLibrary, cases: SimpleNamespace, tmp_path: Path
) -> None:
    folder = library.save(cases.report())
    library.add_question("case-1", follow_up())
    path = folder / QUESTIONS_NAME
    path.write_bytes(path.read_bytes() + b"{broken}\n" + b'{"question": "torn')
    library.add_question("case-1", follow_up("Another?"))
    questions = library.get("case-1").questions
    assert [asked.question for asked in questions] == [QUESTION, "", "Another?"]
    assert questions[1].why_not.startswith("Line 2 of questions.jsonl")
    bundle = read_bundle(library.export("case-1", tmp_path / "case.zip"))
    assert [asked.question for asked in bundle.questions] == [QUESTION, "Another?"]


def test_several_people_may_ask_at_once(library: CaseLibrary, cases: SimpleNamespace) -> None:
    folder = library.save(cases.report())
    with ThreadPoolExecutor(4) as people:
        list(people.map(lambda n: library.add_question("case-1", follow_up(f"Question {n}?")), range(20)))
    assert {asked.question for asked in read_questions(folder)} == {
        f"Question {number}?" for number in range(20)
    }


def test_an_answer_for_a_deleted_case_is_told_and_makes_no_folder(
    library: CaseLibrary, cases: SimpleNamespace
) -> None:
    folder = library.save(cases.report())
    library.add_question("case-1", follow_up())
    library.delete("case-1")
    with pytest.raises(CaseError, match="no case case-1"):
        library.add_question("case-1", follow_up())
    with pytest.raises(CaseError, match=r"gone.*not kept: Yes, there is"):
        append_question(folder, follow_up(), library.store.writing_questions("case-1"))
    assert not folder.exists()


def test_what_cannot_be_asked(small_case: Path, own_home: Path) -> None:
    with agent_with(TalkingEngine(SURE)) as agent:
        with pytest.raises(CaseError, match="no case nobody"):
            agent.ask("nobody", QUESTION)
        stream = agent.stream(small_case, site="colon", case_id="busy")
        next(stream)
        with pytest.raises(
            CaseError, match=r"^Another process works on case busy: ask when it has finished\.$"
        ):
            agent.ask("busy", QUESTION)
        stream.close()
        with pytest.raises(CaseError, match=r"interrupted.*cases resume busy"):
            agent.ask("busy", QUESTION)
        agent.resume("busy")
        for question, said in (("  ", "empty"), ("x" * 3000, "3,000"), ("wh\udce9t", "not valid")):
            with pytest.raises(InputError, match=said):
                agent.ask("busy", question)
        assert agent.library.questions("busy") == []
    other = TalkingEngine(SURE)
    other.info = other.info.model_copy(update={"weights_sha256": "6" * 64})
    with agent_with(other) as agent, pytest.raises(CaseError, match="ask with that model"):
        agent.ask("busy", QUESTION)
    with pytest.raises(CaseError, match="closed"):
        agent.ask("busy", QUESTION)


def test_a_served_model_is_asked_in_its_own_words_and_the_address_is_kept(
    serve: Callable[..., ScriptedServer], small_case: Path
) -> None:
    answer = {"findings": ["Crowded glands."], "diagnosis": CANCER, "rationale": "Irregular glands."}
    server, written = serve(top_logprobs=20, answer=json.dumps(answer)), []
    with agent_with(server.name, accept_uncalibrated=True) as agent:
        agent.diagnose(small_case, site="colon", case_id="served")
        server.answer = ANSWER
        asked = agent.ask("served", QUESTION, on_token=written.append)
    assert (asked.answer, asked.answered, asked.address) == (ANSWER, True, server.address)
    assert "".join(written).strip() == ANSWER
    prompt = server.chats[-1].text
    assert f"Question: {QUESTION}" in prompt
    assert "Crowded glands." in prompt, "it is told what was described before"
    assert hashlib.sha256(prompt.encode()).hexdigest() == asked.prompt_sha256


def test_a_question_that_is_stopped_leaves_nothing(small_case: Path) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with agent_with(TalkingEngine(SURE)) as agent:
        agent.diagnose(small_case, site="colon", case_id="stopped")
        with pytest.raises(KeyboardInterrupt):
            agent.ask("stopped", QUESTION, on_token=stop)
        assert agent.library.questions("stopped") == []


def test_a_video_that_was_replaced_is_not_asked_about(small_case: Path, tmp_path: Path) -> None:
    from videopath.media.synthetic import render_case

    video = tmp_path / "case.mp4"
    video.write_bytes(small_case.read_bytes())
    with agent_with(TalkingEngine(SURE)) as agent:
        agent.diagnose(video, site="colon", case_id="swapped")
        render_case(video, "benign colon tissue", seed=3, seconds=6, size=(320, 256))
        with pytest.raises(InputError, match="not the file that the case began with"):
            agent.ask("swapped", QUESTION)


def test_nano_answers_what_it_knows_and_nothing_else(nano_engine: Any, small_case: Path) -> None:
    short = Policy(max_looks=0, samples=0, answer_tokens=24)
    with DiagnosticAgent.load(nano_engine, policy=short) as agent:
        agent.diagnose(small_case, site="colon", case_id="nano")
        count = agent.ask("nano", "How many mitoses are there per high-power field?")
        diagnosis = agent.ask("nano", "What is the best diagnosis for this colon tissue?")
    assert not count.answered
    assert "Diagnosis:" in diagnosis.answer
    assert diagnosis.answered == ("not a tissue that this model knows" not in diagnosis.answer)
