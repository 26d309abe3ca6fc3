"""The model and the agent in lmms-eval: the real harness in an environment of its own; what it calls, by itself."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from videopath.app.lmms_eval import TASKS
from videopath.app.lmms_eval.__main__ import app
from videopath.app.lmms_eval.decoding import Decoding, visual_file
from videopath.app.lmms_eval.questions import average, checked, measure, published_video
from videopath.core.errors import InputError
from videopath.evaluation.testsets.answers import Answer, asking, unanswered
from videopath.evaluation.testsets.sets import Item, read_items
from videopath.evaluation.testsets.table import measured
from videopath.knowledge.index.embedder import Embedder
from videopath.model import load_engine, open_clip

FRAMES = 4
TASK_NAMES = ("viddiag_instruct_test", "videopath_my_set")
CHOICES = ["benign colon tissue", "colon adenocarcinoma", "lung adenocarcinoma"]
ENTRIES: list[dict[str, Any]] = [
    {"question": "What is the best diagnosis?", "answer": "Diagnosis: colon adenocarcinoma.", "video_name": "one",
     "site": "colon", "diagnosis": "colon adenocarcinoma"},
    {"question": "Describe what is seen.", "answer": "Crowded, irregular glands.", "video_name": "two"},
]  # fmt: skip


class _Functions(yaml.SafeLoader):
    """YAML in which ``!function`` becomes what it names, as in the harness."""


def _named(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.ScalarNode)
    module, _, name = loader.construct_scalar(node).rpartition(".")
    return getattr(importlib.import_module(module), name)


_Functions.add_constructor("!function", _named)


def _task(path: Path) -> dict[str, Any]:
    """A task with what it includes."""
    task = yaml.load(path.read_text(), _Functions)  # noqa: S506 - a SafeLoader that knows one tag more
    included = _task(path.with_name(task.pop("include"))) if "include" in task else {}
    return {**included, **task}


def test_the_shipped_tasks_name_functions_that_exist() -> None:
    tasks = {path.name: _task(path) for path in TASKS.iterdir()}
    published = tasks["viddiag_instruct_test.yaml"]
    assert published["task"] == "viddiag_instruct_test"
    assert published["doc_to_visual"] is published_video
    assert (published["process_docs"], published["process_results"]) == (checked, measure)
    assert (
        published["generation_kwargs"]["max_new_tokens"],
        published["generation_kwargs"]["do_sample"],
    ) == (1024, False)
    assert {metric["aggregation"] for metric in published["metric_list"]} == {average}
    assert all(
        callable(task["doc_to_visual"]) for name, task in tasks.items() if name != "_videopath_template_yaml"
    )


def test_the_harness_finds_the_models_by_the_entry_point() -> None:
    (point,) = entry_points(group="lmms_eval.models", name="videopath")
    assert point.value == "videopath.app.lmms_eval:manifests"
    assert callable(point.load())


def test_a_set_becomes_a_task_in_a_folder_that_is_printed(tmp_path: Path, sample: Path) -> None:
    assert CliRunner().invoke(app, []).stdout.strip() == str(TASKS)
    path = _write_set(tmp_path, sample)
    out = tmp_path / "tasks"
    answer = CliRunner().invoke(app, ["--set", str(path), "--media", str(tmp_path), "--out", str(out)])
    assert (answer.exit_code, answer.stdout.strip()) == (0, str(out))
    assert "videopath_my_set" in answer.stderr
    assert {file.name for file in TASKS.iterdir()} < {file.name for file in out.iterdir()}
    task = _task(out / "videopath_my_set.yaml")
    assert (task["task"], task["test_split"]) == ("videopath_my_set", "test")
    lines = (out / task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
    first, second = map(json.loads, lines)
    assert task["doc_to_visual"](first) == [str(tmp_path / "one.mp4")]
    assert (first["site"], first["diagnosis"], second["diagnosis"]) == ("colon", "colon adenocarcinoma", None)
    (tmp_path / "two.mp4").unlink()
    refused = CliRunner().invoke(app, ["--set", str(path), "--media", str(tmp_path), "--out", str(out)])
    assert (refused.exit_code, "Question 2" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("settings", "decoding"),
    [
        ({}, Decoding(1024, 0.0, 1.0, ())),
        ({"max_new_tokens": 16, "temperature": 0, "top_p": None, "num_beams": 1}, Decoding(16)),
        ({"temperature": 0.7, "top_p": 0.9, "until": "\n"}, Decoding(1024, 0.7, 0.9, ("\n",))),
        ({"temperature": 0.7, "top_p": 0.9, "do_sample": False}, Decoding()),
        ({"do_sample": True, "until": ["\n\n", "<|im_end|>"]}, Decoding(1024, 1.0, 1.0, ("<|im_end|>",))),
    ],
)  # fmt: skip
def test_an_answer_is_decoded_as_the_task_says(settings: Mapping[str, Any], decoding: Decoding) -> None:
    assert Decoding.of(settings) == decoding


def test_an_answer_ends_where_the_task_says() -> None:
    assert Decoding(until=("STOP", ";")).cut(" glands; fused STOP more") == "glands"
    with pytest.raises(InputError, match="num_beams"):
        Decoding.of({"num_beams": 3})


def test_a_question_is_about_one_file(tmp_path: Path) -> None:
    with visual_file([str(tmp_path / "a.mp4")], "t") as shown:
        assert shown == tmp_path / "a.mp4"
    with visual_file([Image.new("RGBA", (40, 30), "red")], "t") as shown:
        clip = open_clip(shown)
    assert (clip.kind, clip.frames.shape, shown.exists()) == ("image", (1, 30, 40, 3), False)
    for visuals in (None, [], ["a.mp4", "b.mp4"], [{"array": 0}]):
        with pytest.raises(InputError, match="task t shows"), visual_file(visuals, "t"):
            pass


def _answer(item: Item, text: str, diagnosis: str) -> Answer:
    return unanswered(item).model_copy(update={"text": text, "diagnosis": diagnosis})


def test_answers_are_measured_as_by_the_command() -> None:
    item = Item(
        id="a", video=Path("one"), question="?", reference="crowded glands", diagnosis="colon adenocarcinoma"
    )
    doc = {
        "id": "a",
        "video": "one",
        "question": "?",
        "answer": "crowded glands",
        "diagnosis": "colon adenocarcinoma",
    }
    text = "Crowded, irregular glands.\nDiagnosis: colon adenocarcinoma"
    expected = measured([_answer(item, text, "colon adenocarcinoma")], Embedder().encode)["a"]
    found = measure(doc, [text])
    assert {name: one["score"] for name, one in found.items()} == {**expected, "answered": 1.0}
    assert {one["group"] for one in found.values()} == {"one"}
    unknown = measure(
        {**doc, "diagnosis": "tumour of our own", "group": "patient 1"},
        ["Glands.\nDiagnosis: tumor of our own."],
    )
    assert unknown["diagnosis"] == {"score": 1.0, "group": "patient 1"}
    silent = measure(doc, [""])
    assert {one["score"] for one in silent.values()} == {0.0}
    published = measure({"video_name": "one", "question": "?", "answer": "glands"}, [text])
    assert set(published) == {"answered", "rouge_l", "similarity"}
    words = measure({**doc, "attributes": '{"gland": "crowded", "stroma": "desmoplastic"}'}, [text])
    assert words["attributes"]["score"] == 0.5
    assert average([unknown["diagnosis"], silent["diagnosis"]]) == 0.5


def test_what_a_set_lacks_is_told_before_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SimpleNamespace(column_names=["question", "answer", "video_name"])
    assert checked(whole) is whole
    with pytest.raises(InputError, match="lacks the columns answer"):
        checked(SimpleNamespace(column_names=["question", "video_name"]))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    folder = tmp_path / "VidDiag_Instruct_Test" / "Test_Videos"
    folder.mkdir(parents=True)
    (folder / "one.MP4").touch()
    assert published_video({"video_name": "one"}) == [str(folder / "one.MP4")]
    with pytest.raises(InputError, match="two is not in"):
        published_video({"video_name": "two"})


# --- The real harness -----------------------------------------------------------------------------------------

HARNESS = "lmms-eval==0.7.3"
NEEDED = [
    "loguru", "datasets<6", "evaluate<1", "sacrebleu<3", "tenacity", "pytablewriter", "pytz", "av<16", "filelock<4.3",
]  # fmt: skip
"""What a run of ours needs of the harness's packages, in versions that it works with; the rest is for other tasks and models."""


@dataclass(frozen=True)
class Harness:
    """lmms-eval in its environment, and a folder with what it runs on."""

    python: Path
    folder: Path

    def run(self, *arguments: str, **environment: str) -> str:
        """A command of this environment's Python in the folder, without the network; all that it prints."""
        settings = {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.folder / "hf"),
            "VIDEOPATH_HOME": str(self.folder / "home"),
            "NO_COLOR": "1",
        }
        answer = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder, env={**os.environ, **settings, **environment}, capture_output=True, text=True,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout + answer.stderr

    def evaluate(self, model: str, tasks: str, out: str, *more: str, **environment: str) -> str:
        """A run of nano on a few frames; all that it prints."""
        return self.run(
            "-m", "lmms_eval", "eval", "--model", model,
            "--model_args", f"pretrained=nano,frames={FRAMES},device=cpu",
            "--include_path", "tasks", "--tasks", tasks, "--output_path", out, "--log_samples", *more,
            **environment,
        )  # fmt: skip

    def figures(self, out: str) -> dict[str, dict[str, Any]]:
        """By task, what the run in ``out`` found."""
        (path,) = (self.folder / out).rglob("*_results.json")
        return json.loads(path.read_text())["results"]

    def samples(self, out: str, task: str) -> list[dict[str, Any]]:
        """A task's questions and answers."""
        (path,) = (self.folder / out).rglob(f"*_samples_{task}.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Harness:
    """An environment that adds lmms-eval to this one's packages, with its own versions of some before them."""
    folder = tmp_path_factory.mktemp("lmms")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    places = {"base": str(environment), "platbase": str(environment)}
    python = Path(sysconfig.get_path("scripts", "venv", vars=places)) / "python"
    here = sysconfig.get_path("purelib")
    (Path(sysconfig.get_path("purelib", "venv", vars=places)) / "this.pth").write_text(
        f"import site; site.addsitedir({here!r})\n"
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--quiet",
        "--disable-pip-version-check",
        "install",
    ]
    found = subprocess.run([*pip, "--no-deps", HARNESS], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"{HARNESS} cannot be installed: {found.stderr.strip().splitlines()[-1]}")
    subprocess.run([*pip, *NEEDED], check=True, capture_output=True)
    _write_workplace(folder, sample)
    harness = Harness(python, folder)
    harness.run("-m", "videopath.app.lmms_eval", "--set", "my set.json", "--out", "tasks")
    return harness


def _write_set(folder: Path, video: Path) -> Path:
    for entry in ENTRIES:
        shutil.copy(video, folder / f"{entry['video_name']}.mp4")
    path = folder / "my set.json"
    path.write_text(json.dumps(ENTRIES))
    return path


def _write_workplace(folder: Path, video: Path) -> None:
    """A set of one's own, and the published one's form."""
    _write_set(folder, video)
    published = folder / "trinhvg" / "VidDiag_Instruct_Test"
    published.mkdir(parents=True)
    questions = ({key: entry[key] for key in ("question", "answer", "video_name")} for entry in ENTRIES)
    (published / "test.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    media = folder / "hf" / "VidDiag_Instruct_Test" / "Test_Videos"
    media.mkdir(parents=True)
    for entry in ENTRIES:
        shutil.copy(video, media / f"{entry['video_name']}.MP4")


@pytest.mark.slow
def test_the_model_answers_in_the_harness_as_by_itself(harness: Harness, tmp_path: Path) -> None:
    harness.evaluate("videopath", ",".join(TASK_NAMES), "model")
    items = read_items(harness.folder / "my set.json", harness.folder)
    with asking("model", load_engine("nano", device="cpu"), None, tmp_path, frames=FRAMES) as ask:
        answers = [ask(item) for item in items]
    for task in TASK_NAMES:
        assert [one["filtered_resps"] for one in harness.samples("model", task)] == [a.text for a in answers]
    figures = harness.figures("model")
    values = list(measured(answers, Embedder().encode).values())
    for metric in ("rouge_l", "similarity"):
        expected = pytest.approx(sum(value[metric] for value in values) / len(values))
        assert [figures[task][f"{metric},none"] for task in TASK_NAMES] == [expected, expected]
    assert figures["videopath_my_set"]["diagnosis,none"] == values[0]["diagnosis"]
    assert "diagnosis,none" not in figures["viddiag_instruct_test"]


@pytest.mark.slow
def test_the_agent_goes_on_in_the_harness_after_a_stop(harness: Harness) -> None:
    second = harness.folder / "two.mp4"
    whole = second.read_bytes()
    cached = ("--use_cache", "cache")
    second.write_bytes(b"no video")
    stopped = harness.evaluate(
        "videopath_agent", "videopath_my_set", "agent", *cached, LMMS_CACHE_RUN_ID="mine"
    )
    assert "InputError" in stopped
    assert not (harness.folder / "agent").exists()
    second.write_bytes(whole)
    resumed = harness.evaluate(
        "videopath_agent", "videopath_my_set", "agent", *cached, LMMS_CACHE_RUN_ID="mine"
    )
    assert "1/2 cache hits" in resumed
    first, other = harness.samples("agent", "videopath_my_set")
    assert first["filtered_resps"].endswith("\nDiagnosis: colon adenocarcinoma")
    assert "\nDiagnosis: " in other["filtered_resps"]
    figures = harness.figures("agent")["videopath_my_set"]
    assert (figures["answered,none"], figures["diagnosis,none"]) == (1.0, 1.0)


_REFUSALS = """
from videopath.core.errors import InputError
from lmms_eval.models import get_model
import sys
def told(call, *arguments):
    try: print("returned", call(*arguments))
    except InputError as error: print(error)
model, agent = get_model("videopath"), get_model("videopath_agent")
told(model.create_from_arg_string, "pretrained=nano", {"batch_size": "4"})
told(model.create_from_arg_string, "unreadable=guess")
told(agent.create_from_arg_string("device=cpu,blind=true").loglikelihood, [])
lm = model.create_from_arg_string("device=cpu,unreadable=empty")
told(lm.generate_until_multi_round, [])
lm.task_dict = {"t": {"test": [{"video": "gone.mp4"}]}}
from lmms_eval.api.instance import Instance
asked = ("What is seen?", {}, lambda doc: [doc["video"]], 0, "t", "test")
told(lambda: repr(lm.generate_until([Instance("generate_until", asked, 0, {"task": "t", "doc_id": 0, "repeats": 1})])[0].text))
"""


@pytest.mark.slow
def test_what_the_models_cannot_do_is_told_in_a_sentence(harness: Harness) -> None:
    printed = harness.run("-c", _REFUSALS)
    for sentence in (
        "--batch_size must be 1, not 4",
        "use one of: stop, empty",
        "The agent does not score given answers",
        "single questions, not dialogues",
        "t, question 0, has no answer: There is no file or folder",
        "returned ''",
    ):
        assert sentence in printed


_SCORES = """
import json
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager, get_task_dict
lm = get_model("videopath").create_from_arg_string("device=cpu,frames=4")
task = get_task_dict(["choices"], TaskManager(include_path="choices", include_defaults=False), "simple")["choices"]
lm.task_dict["choices"] = task.dataset
task.build_all_requests()
found = lm.loglikelihood(task.instances)
told = [task.process_results(doc, found[4 * place : 4 * place + 4])["acc"] for place, doc in enumerate(task.test_docs())]
print(json.dumps({"losses": found, "acc": told}))
"""
_CHOICES_TASK = """
task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: choices.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_visual: !function videopath.app.lmms_eval.questions.video
doc_to_text: question
doc_to_target: answer
doc_to_choice: choices
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.mark.slow
def test_given_answers_are_scored_as_the_harness_reads_it(harness: Harness) -> None:
    """By the harness's own task; its evaluation as a whole turns the scores of every model into texts (0.7.3)."""
    video = harness.folder / "one.mp4"
    question = ENTRIES[0]["question"]
    with load_engine("nano", device="cpu").open(open_clip(video, FRAMES)) as session:
        begun = session.generate(question, max_new_tokens=1).text
        given = [*CHOICES, begun]
        scores = dict(zip(given, session.score(question, given), strict=True))
    rising = sorted(given, key=lambda choice: scores[choice])
    assert rising[-1] == begun
    folder = harness.folder / "choices"
    folder.mkdir()
    (folder / "choices.yaml").write_text(_CHOICES_TASK)
    (folder / "choices.jsonl").write_text(
        "".join(
            json.dumps({"question": question, "video": str(video), "choices": choices, "answer": 0}) + "\n"
            for choices in (rising, rising[::-1])
        )
    )
    (line,) = [line for line in harness.run("-c", _SCORES).splitlines() if line.startswith("{")]
    found = json.loads(line)
    losses, greedy = zip(*found["losses"], strict=True)
    assert losses == pytest.approx([-scores[choice] for choice in (*rising, *rising[::-1])], abs=1e-4)
    assert [place for place, is_greedy in enumerate(greedy) if is_greedy] == [3, 4]
    assert found["acc"] == [0.0, 1.0]


@pytest.mark.slow
def test_colours_that_the_harness_s_older_pyav_cannot_convert_are_named(
    harness: Harness, shared: Path
) -> None:
    script = (
        "import sys, av; from videopath.core.errors import InputError; from videopath.model import open_clip\n"
        "try: open_clip(sys.argv[1], 2)\n"
        "except InputError as error: print(av.__version__, error)\n"
    )
    told = harness.run("-c", script, str(shared / "data/cases/hdrpq.mp4"))
    assert "PyAV before 16 cannot convert" in told
    assert "pip install --upgrade av" in told
