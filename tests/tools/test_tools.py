"""The tools alone, around a real (random, small) model and the real starter knowledge."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from videopath.core.errors import InputError
from videopath.knowledge import InstructionRecord, KnowledgeBase
from videopath.model import load_engine
from videopath.model.inference.engine import Generation
from videopath.tools import DescribeTool, DiagnoseTool, RetrieveTool, toolkit
from videopath.tools.describe import split_sentences
from videopath.tools.diagnose import clean_label, sampled_labels, softmax
from videopath.tools.journal import Journal
from videopath.tools.schemas import ClipInput, Neighbour
from videopath.tools.session_pool import Recording, SessionPool


@pytest.fixture(scope="module")
def engine(small_checkpoint: Path):
    return load_engine(small_checkpoint, device="cpu", dtype="float32")


@pytest.fixture
def pool(engine):
    pool = SessionPool(engine)
    yield pool
    pool.close()


def neighbour(diagnosis: str, score: float, kept: bool = True) -> Neighbour:
    return Neighbour(
        id=f"r-{diagnosis}",
        source="s",
        site="colon",
        diagnosis=diagnosis,
        description=f"{diagnosis} glands",
        score=score,
        kept=kept,
        why="",
    )


def test_nothing_is_loaded_before_the_first_call() -> None:
    code = (
        "import sys; from videopath.tools import toolkit; tools = toolkit('nano'); "
        "assert [t.name for t in tools] == ['describe_tissue', 'retrieve_similar_cases', 'diagnose_tissue']; "
        "assert all(t.tool_call_schema.model_json_schema()['properties'] for t in tools); "
        "heavy = {'torch', 'transformers', 'faiss', 'sentence_transformers', 'cv2'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_describe_locates_every_sentence(pool: SessionPool, small_case: Path) -> None:
    result = DescribeTool(sessions=pool).invoke(
        {"video": str(small_case), "site": "colon", "max_new_tokens": 40}
    )
    assert [finding.text for finding in result.findings] == split_sentences(result.description)
    for finding in result.findings:
        assert result.frames.indices[finding.position] == finding.frame
        assert result.frames.seconds[finding.position] == finding.seconds
        assert finding.contrast >= 0
    assert len(result.frames.indices) == 4


def test_a_long_description_has_a_moment_for_each_sentence(
    pool: SessionPool, small_case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = [f"Gland {number} is crowded." for number in range(29)] + [f"It is {'very ' * 120}dark."]
    answer = Generation(" ".join(sentences), [1], [-0.5], 0.0, "eos")
    monkeypatch.setattr("videopath.model.inference.session.LocalSession.generate", lambda *_, **__: answer)
    result = DescribeTool(sessions=pool).invoke({"video": str(small_case), "site": "colon"})
    assert [finding.text for finding in result.findings] == sentences
    assert any(finding.contrast > 0 for finding in result.findings[-6:]), "scored like the first ones"


def test_a_tool_takes_an_engine_by_name_or_folder_and_nano_by_default(small_checkpoint: Path) -> None:
    assert DescribeTool().sessions.name == "nano"
    assert DiagnoseTool(engine=small_checkpoint).sessions.name == str(small_checkpoint)
    assert toolkit(small_checkpoint)[0].sessions.frames == 4, "known from its card, nothing is loaded"


def test_a_finding_is_at_the_frame_that_scores_it_best(pool: SessionPool, small_case: Path) -> None:
    tool = DescribeTool(sessions=pool)
    result = tool.invoke({"video": str(small_case), "site": "colon", "max_new_tokens": 40})
    from videopath.model.prompts.questions import describe_question

    session = pool.open(ClipInput(video=str(small_case)))
    scores = session.score_moments(describe_question("colon"), [finding.text for finding in result.findings])
    assert [row.index(max(row)) for row in scores] == [finding.position for finding in result.findings]


def test_diagnose_gathers_candidates_and_says_where_they_come_from(
    pool: SessionPool, small_case: Path
) -> None:
    result = DiagnoseTool(sessions=pool).invoke(
        {
            "video": str(small_case),
            "site": "colon",
            "description": "Crowded glands.",
            "neighbours": [neighbour("tubular adenoma", 0.8), neighbour("lymphoma", 0.1, kept=False)],
            "samples": 2,
            "max_new_tokens": 16,
        }
    )
    support = {candidate.label: candidate.support for candidate in result.differential}
    assert sum(candidate.probability for candidate in result.differential) == pytest.approx(1)
    probabilities = [candidate.probability for candidate in result.differential]
    assert probabilities == sorted(probabilities, reverse=True)
    assert result.label == result.differential[0].label == max(result.scores, key=result.scores.__getitem__)
    assert support["tubular adenoma"] == ["neighbour:r-tubular adenoma"]
    assert "lymphoma" not in support
    assert support["colon adenocarcinoma"] == ["site list"]
    assert "lung adenocarcinoma" not in support
    assert support["not a tissue that this model knows"] == ["unknown"]
    assert len(result.samples) == 2
    assert result.generated_differs == (result.generated.casefold() != result.label.casefold())


@pytest.mark.parametrize(
    ("text", "stopped", "label"),
    [
        (" benign lesion of the colon\nRationale: bland", "length", "benign lesion of the colon"),
        (" benign lesion of the men", "length", ""),
        (" benign lesion of the colon", "eos", "benign lesion of the colon"),
    ],
)
def test_a_sampled_label_is_whole_or_none(text: str, stopped: str, label: str) -> None:
    class Scripted:
        def generate(self, question: str, **settings: object) -> Generation:
            return Generation(text, [1], [-0.1], 0.0, stopped)

    assert sampled_labels(Scripted(), "?", 1) == [label]


def test_one_prefill_serves_all_tools(engine, small_case: Path) -> None:
    opened = []

    class Counting:
        info = engine.info

        def open(self, clip, **settings):
            opened.append(clip)
            return engine.open(clip, **settings)

    describe, _, diagnose = toolkit(Counting())
    asked = {"video": str(small_case), "site": "colon"}
    text = describe.invoke({**asked, "max_new_tokens": 8}).description
    diagnose.invoke({**asked, "description": text, "max_new_tokens": 8})
    describe.invoke({**asked, "max_new_tokens": 8})
    assert len(opened) == 1


def _called(engine, name: str, arguments: dict[str, object], in_background: bool = False):
    """What LangGraph's own ``ToolNode``, as it comes, makes of a model's tool call."""
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(toolkit(engine)))
    graph.set_entry_point("tools")
    call = {"name": name, "args": arguments, "id": "call-1", "type": "tool_call"}
    asked = {"messages": [AIMessage("", tool_calls=[call])]}
    graph = graph.compile()
    end = asyncio.run(graph.ainvoke(asked)) if in_background else graph.invoke(asked)
    return end["messages"][-1]


@pytest.mark.parametrize("in_background", [False, True], ids=["invoke", "ainvoke"])
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("describe_tissue", {"video": "no-such.mp4"}, "no-such.mp4"),
        ("diagnose_tissue", {"video": __file__, "description": "Glands."}, Path(__file__).name),
        ("retrieve_similar_cases", {"description": "Glands.", "site": "elbow"}, "elbow"),
    ],
)
def test_a_model_that_calls_a_tool_is_told_its_error(
    engine, name: str, arguments: dict[str, object], said: str, in_background: bool
) -> None:
    answer = _called(engine, name, arguments, in_background)
    assert (answer.type, answer.status, answer.tool_call_id, answer.name) == ("tool", "error", "call-1", name)
    assert said in answer.content
    tool = next(tool for tool in toolkit(engine) if tool.name == name)
    with pytest.raises(InputError, match=re.escape(said)):  # in Python it is raised
        tool.invoke(arguments)
    with pytest.raises(InputError, match=re.escape(said)):
        asyncio.run(tool.ainvoke(arguments))


def test_a_model_that_calls_a_tool_gets_its_result(engine, small_case: Path) -> None:
    answer = _called(engine, "describe_tissue", {"video": str(small_case), "max_new_tokens": 4})
    assert (answer.status, answer.tool_call_id) == ("success", "call-1")
    assert "description" in answer.content


def test_the_best_neighbour_stands_last_in_the_prompt(
    pool: SessionPool, small_case: Path, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "calls.jsonl")
    DiagnoseTool(sessions=Recording(pool, journal)).invoke(
        {
            "video": str(small_case),
            "description": "Glands.",
            "neighbours": [neighbour("best", 0.9), neighbour("worst", 0.7), neighbour("middle", 0.8)],
            "max_new_tokens": 4,
        }
    )
    first = json.loads(journal.path.read_text(encoding="utf-8").splitlines()[0])
    question = first["call"]["arguments"]["question"]
    assert question.index("- worst") < question.index("- middle") < question.index("- best")


def test_retrieve_keeps_what_fits_and_says_why(tmp_path: Path) -> None:
    records = [
        ("a", "case-1", "colon", "Crowded irregular glands with necrosis.", "colon adenocarcinoma"),
        ("b", "case-2", "colon", "Crowded irregular glands and dirty necrosis.", "colon adenocarcinoma"),
        ("c", "case-3", "colon", "Granulomas, giant cells.", "Crohn disease"),
        ("d", "case-4", "lung", "Crowded irregular glands with necrosis.", "lung adenocarcinoma"),
    ]
    base = KnowledgeBase.build(
        tmp_path / "base",
        [
            InstructionRecord(id=i, source=s, site=site, question="?", description=text, diagnosis=label)
            for i, s, site, text, label in records
        ],
    )
    result = RetrieveTool(knowledge=base).invoke(
        {
            "description": "Crowded irregular glands with necrosis.",
            "site": "colon",
            "exclude_sources": ["/videos/case-1.mp4"],
            "k": 4,
        }
    )
    judged = {n.id: (n.kept, n.why) for n in result.neighbours}
    assert "a" not in judged, "the video's own case"
    assert judged["b"][0]
    assert not judged["c"][0]
    assert "too far" in judged["c"][1]
    assert judged["d"] == (False, "from another site: lung")
    assert [n.score for n in result.kept] == sorted((n.score for n in result.kept), reverse=True)


def test_retrieve_from_the_starter_knowledge() -> None:
    result = RetrieveTool().invoke({"description": "Atypical glands invade the stroma.", "site": "colon"})
    assert result.kept
    assert {n.site for n in result.kept} == {"colon"}
    assert json.loads(str(result))["query"] == "Atypical glands invade the stroma."


NO_TISSUE = (
    "Quarterly invoice, payable within thirty days.",
    "The train to the coast leaves from platform four at noon.",
    "Install the package in a new virtual environment.",
    "T1 N0 M0.",
    "Grade II.",
    "Not applicable.",
    "The committee will meet again in the autumn to discuss the budget.",
    "Press the button twice to restart the recorder.",
)


@pytest.mark.parametrize("text", NO_TISSUE)
def test_a_text_that_describes_no_tissue_has_no_similar_cases(text: str) -> None:
    result = RetrieveTool().invoke({"description": text, "k": 3})
    assert len(result.neighbours) == 3
    assert not result.kept
    assert all(found.why.startswith("too far: similarity") for found in result.neighbours)


def test_the_journal_answers_without_the_model(pool: SessionPool, small_case: Path, tmp_path: Path) -> None:
    from videopath.core.files import sha256_file

    class Untouchable(SessionPool):
        def session(self, request):
            raise AssertionError("the model was asked again")

    journal, sha = tmp_path / "calls.jsonl", sha256_file(small_case)
    asked = {"video": str(small_case), "site": "colon", "max_new_tokens": 12}
    first = DescribeTool(sessions=Recording(pool, Journal(journal), sha)).invoke(asked)
    lines = journal.read_bytes()
    with journal.open("ab") as stream:
        stream.write(b'{"key": "torn')
    silent = Recording(Untouchable(pool.engine), Journal(journal), sha)
    again = DescribeTool(sessions=silent).invoke(asked)
    assert again.model_dump(exclude={"call"}) == first.model_dump(exclude={"call"})
    assert journal.read_bytes().startswith(lines)  # reading writes nothing: the torn line stays


@given(st.text())
def test_sentences_lose_nothing_but_space_and_repeats(text: str) -> None:
    sentences = split_sentences(text)
    words = " ".join(sentences).split()
    assert set(words) == set(text.split())
    assert len(sentences) == len(set(sentences))


def test_sentences_are_not_cut_at_abbreviations_and_decimals() -> None:
    text = "Nuclei of ca. 12 µm, e.g. Langhans cells. Glands take 3.5 mm. Stroma is scant."
    assert split_sentences(text) == [
        "Nuclei of ca. 12 µm, e.g. Langhans cells.",
        "Glands take 3.5 mm.",
        "Stroma is scant.",
    ]


@given(st.lists(st.floats(-1e4, 0), min_size=1, max_size=20), st.floats(0.05, 20))
def test_softmax_is_a_distribution_in_the_order_of_the_scores(
    scores: list[float], temperature: float
) -> None:
    probabilities = softmax(scores, temperature)
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[scores.index(max(scores))] == max(probabilities)


@given(st.text())
def test_a_label_is_one_short_printable_line(text: str) -> None:
    label = clean_label(text)
    assert len(label) <= 120
    assert label.isprintable()
    assert label == label.strip()
    assert "<image>" not in label
