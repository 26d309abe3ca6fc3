"""Controls: what they show and ask, and that they tell a system that looks from one that guesses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videopath.core.choices import CONTROLS, ControlName
from videopath.core.errors import InputError
from videopath.evaluation.testsets.answers import Answer, Ask, Header, answer_all, one_by_one, unanswered
from videopath.evaluation.testsets.controls import (
    MEANINGS,
    PAIRS,
    asking_changed,
    changed_items,
    control_report,
    paraphrased,
    rivals,
)
from videopath.evaluation.testsets.pairs import (
    nearest_pairs,
    pairs_report,
    read_pairs,
    see_videos,
    write_pairs,
)
from videopath.evaluation.testsets.sets import Item
from videopath.evaluation.testsets.summary import ControlReport, Pair
from videopath.media.clip import open_clip

FRAMES = 4
HEADER = Header(set="s", set_sha256="0" * 64, system="model", model="m", weights_sha256="1" * 64)
DIAGNOSES = ("benign colon tissue", "colon adenocarcinoma")
QUESTION = "What is the best diagnosis for this colon tissue?"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Eight clips of two diagnoses: the malignant ones are dark, and every frame of a clip is darker than the one before."""
    home = tmp_path_factory.mktemp("clips")
    made = []
    for number in range(8):
        dark = number % 2
        folder = home / f"clip{number}"
        folder.mkdir()
        for frame in range(FRAMES):
            level = 200 - 90 * dark - 4 * number - frame
            Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(folder / f"{frame}.png")
        made.append(
            Item(id=str(number), video=folder, question=QUESTION, reference="Glands.", site="colon", diagnosis=DIAGNOSES[dark],
                 group=f"patient {number}")
        )  # fmt: skip
    return made


def _says(diagnosis: Callable[[Item, np.ndarray], str]) -> Ask:
    """A system that looks at the real files and names a diagnosis."""

    def ask(item: Item) -> Answer:
        frames = open_clip(item.video, FRAMES).frames
        said = diagnosis(item, frames)
        if not said:
            raise InputError("This shows nothing.")
        return unanswered(item).model_copy(update={"text": said, "diagnosis": said})

    return ask


def _by_brightness(item: Item, frames: np.ndarray) -> str:
    mean = float(frames.mean())
    return "" if mean > 250 else DIAGNOSES[mean < 140]


SEER = _says(_by_brightness)
GUESSER = _says(lambda item, frames: DIAGNOSES[int(item.id) % 2])
"""Knows the set's answers by heart and never looks."""
PRIOR = _says(lambda item, frames: DIAGNOSES[1])


def _report(control: ControlName, items: Sequence[Item], ask: Ask, folder: Path) -> ControlReport:
    score = list(answer_all(items, one_by_one(ask), HEADER, folder / "answers.jsonl"))
    changed = changed_items(control, items)
    under = answer_all(
        [one.item for one in changed],
        asking_changed(changed, one_by_one(ask), FRAMES),
        HEADER.model_copy(update={"control": control}),
        folder / f"{control}.jsonl",
    )
    return control_report(control, "model", score, list(under), lambda texts: np.ones((len(texts), 1)))


def test_who_looks_is_told_from_who_knows_the_answers_by_heart(items: list[Item], tmp_path: Path) -> None:
    for control, accuracy, declined in (("blank", 0.0, 1.0), ("other-video", 0.0, 0.0)):
        looked = _report(control, items, SEER, tmp_path / "seer")  # type: ignore[arg-type]
        assert (looked.score.value, looked.under.value, looked.difference.value) == (1.0, accuracy, -1.0)
        assert (looked.same_answer.value, looked.declined.value) == (0.0, declined)
        assert looked.difference.high == -1.0
        learnt = _report(control, items, GUESSER, tmp_path / "guesser")  # type: ignore[arg-type]
        assert (learnt.score.value, learnt.under.value, learnt.same_answer.value) == (1.0, 1.0, 1.0)
        assert (learnt.questions, learnt.metric) == (8, "accuracy")


@pytest.mark.parametrize("control", ["shuffled", "single-frame", "paraphrase"])
def test_who_needs_no_order_and_no_other_frame_answers_as_before(
    items: list[Item], tmp_path: Path, control: ControlName
) -> None:
    report = _report(control, items, SEER, tmp_path)
    assert (report.under.value, report.same_answer.value, report.difference.value) == (1.0, 1.0, 0.0)


def test_who_reads_the_order_falls_where_it_is_gone(items: list[Item], tmp_path: Path) -> None:
    """Right only while the frames grow darker from one to the next."""

    def in_order(item: Item, frames: np.ndarray) -> str:
        levels = frames.mean(axis=(1, 2, 3))
        return (item.diagnosis or "") if (np.diff(levels) < 0).all() else "follicular lymphoma"

    for control in ("shuffled", "single-frame"):
        report = _report(control, items, _says(in_order), tmp_path)  # type: ignore[arg-type]
        assert (report.score.value, report.under.value) == (1.0, 0.0)


def test_what_is_shown(items: list[Item]) -> None:
    shown: dict[str, np.ndarray] = {}

    def look(item: Item) -> Answer:
        assert (item.video.name, item.group) == (items[0].video.name, "patient 0")
        shown[control] = open_clip(item.video, FRAMES).frames
        return unanswered(item)

    for control in ("blank", "shuffled", "single-frame"):
        changed = changed_items(control, items[:1])  # type: ignore[arg-type]
        asking_changed(changed, one_by_one(look), FRAMES)([changed[0].item])
    original = open_clip(items[0].video, FRAMES).frames
    assert (shown["blank"] == 255).all()
    assert shown["blank"].shape == original.shape
    order = [int(np.abs(frame.astype(int) - original).sum((1, 2, 3)).argmin()) for frame in shown["shuffled"]]
    assert sorted(order) == [0, 1, 2, 3] != order
    assert (shown["single-frame"] == original[2]).all()


def test_the_other_video_is_another_patients_of_another_diagnosis_and_always_the_same(
    items: list[Item],
) -> None:
    changed = changed_items("other-video", items)
    by_video = {item.video: item for item in items}
    for before, after in zip(items, changed, strict=True):
        other = by_video[after.item.video]
        assert other.diagnosis != before.diagnosis
        assert (after.item.group, after.item.diagnosis) == (before.group, before.diagnosis)
    assert changed_items("other-video", items) == changed
    assert changed_items("other-video", items[::2]) == []


def test_the_wrong_site_stands_in_the_question_too(items: list[Item]) -> None:
    lung = items[0].model_copy(
        update={"id": "l", "site": "lung", "question": "What is this Pulmonary tissue?"}
    )
    changed = [one.item for one in changed_items("wrong-site", [*items, lung])]
    assert {item.site for item in changed[:-1]} == {"lung"}
    assert changed[0].question == "What is the best diagnosis for this lung tissue?"
    assert (changed[-1].site, changed[-1].question) == ("colon", "What is this colon tissue?")
    (alone,) = changed_items("wrong-site", items[:1])
    assert alone.item.site not in ("colon", None)
    assert changed_items("wrong-site", [items[0].model_copy(update={"site": None})]) == []


@given(st.text(min_size=1, max_size=60))
def test_a_paraphrase_is_another_question(question: str) -> None:
    item = Item(id="1", video=Path("v"), question=question, reference="r")
    assert paraphrased(item) != question


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (QUESTION, "Which diagnosis fits best for this colon tissue?"),
        ("What is the most likely diagnosis?", "Which diagnosis is it?"),
        ("What does the video show?", "What can be seen in the video?"),
        ("Describe the findings.", "Give a description of the findings."),
        ("Is it malignant?", "Answer as a pathologist who looks at this video would: Is it malignant?"),
    ],
)
def test_usual_openings_are_said_otherwise(question: str, words: str) -> None:
    item = Item(id="1", video=Path("v"), question=question, reference="r")
    assert paraphrased(item) == words
    assert paraphrased(item.model_copy(update={"paraphrase": "Mine?"})) == "Mine?"


def test_rivals_are_of_another_patient_and_diagnosis_at_the_same_site(items: list[Item]) -> None:
    base = items[1]  # colon adenocarcinoma

    def other(**changes: object) -> Item:
        return base.model_copy(update={"id": "x", "group": "other", "video": Path("other"), **changes})

    for changes, allowed in (
        ({"diagnosis": DIAGNOSES[0]}, True),
        ({"diagnosis": DIAGNOSES[0], "site": None}, True),
        ({"diagnosis": DIAGNOSES[0], "group": base.group}, False),
        ({"diagnosis": DIAGNOSES[0], "video": base.video}, False),
        ({"diagnosis": DIAGNOSES[0], "site": "lung"}, False),
        ({"diagnosis": "Colorectal adenocarcinoma"}, False),
        ({"diagnosis": "carcinoma"}, False),
        ({"diagnosis": None}, False),
    ):
        found = rivals([base, other(**changes)])
        assert found.tolist() == [[False, allowed], [allowed, False]], changes


class _Brightness:
    """An encoder to which two pictures are alike where they are as bright."""

    name, sha256, dimension = "brightness", "2" * 64, 2

    def encode(self, frames: np.ndarray) -> np.ndarray:
        angle = frames.mean(axis=(1, 2, 3)) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_near_identical_cases_are_each_others_nearest(items: list[Item], tmp_path: Path) -> None:
    broken = items[0].model_copy(update={"id": "b", "video": tmp_path / "gone.mp4"})
    vectors = dict(see_videos([*items, broken], _Brightness(), FRAMES))
    assert vectors[broken.video] is None
    pairs = nearest_pairs([*items, broken], vectors)
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("1", "6")
    ]  # the brightest dark one, the darkest bright one
    assert {pairs[0].first_diagnosis, pairs[0].second_diagnosis} == set(DIAGNOSES)
    write_pairs(tmp_path / "pairs.json", "a" * 64, "b" * 64, pairs)
    assert read_pairs(tmp_path / "pairs.json", "a" * 64, "b" * 64) == pairs
    assert read_pairs(tmp_path / "pairs.json", "a" * 64, "c" * 64) is None
    assert read_pairs(tmp_path / "none.json", "a" * 64, "b" * 64) is None
    assert nearest_pairs(items[::2], vectors) == []


def test_both_of_a_pair_are_seldom_right_by_guessing(items: list[Item], tmp_path: Path) -> None:
    pairs = [
        Pair(first=str(n), second=str(n + 1), first_diagnosis=DIAGNOSES[0], second_diagnosis=DIAGNOSES[1], similarity=0.9)
        for n in range(0, 8, 2)
    ]  # fmt: skip
    looked, guessed = (
        pairs_report(
            "model", pairs, list(answer_all(items, one_by_one(ask), HEADER, tmp_path / f"{n}.jsonl")), items
        )
        for n, ask in enumerate((SEER, PRIOR))
    )
    assert (looked.both_right.value, looked.same_answer.value, looked.chance) == (1.0, 0.0, 0.25)
    assert looked.p == pytest.approx(0.25**4)
    assert (guessed.both_right.value, guessed.same_answer.value, guessed.p) == (0.0, 1.0, 1.0)
    with pytest.raises(InputError, match="make a pair"):
        pairs_report("model", [], [], items)


def test_without_diagnoses_texts_are_compared(items: list[Item], tmp_path: Path) -> None:
    bare = [item.model_copy(update={"diagnosis": None, "site": None}) for item in items]
    report = _report("blank", bare, _says(lambda item, frames: f"Brightness {frames.mean():.0f}."), tmp_path)
    assert (report.metric, report.same_answer.value) == ("similarity", 0.0)
    assert changed_items("other-video", bare) == changed_items("wrong-site", bare) == []


def test_every_control_says_what_it_means() -> None:
    assert set(MEANINGS) == set(CONTROLS)
    assert PAIRS in CONTROLS
