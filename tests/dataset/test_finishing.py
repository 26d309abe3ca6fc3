"""The finished set: what is left out, who is on which side, and that training, knowledge and libraries read it back."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.sets import add_results, drawn_clip, pairs_about, recording_named, small_set
from videopath.core.errors import InputError
from videopath.dataset.finishing.checks import gives_away
from videopath.dataset.finishing.finish import finish_set
from videopath.dataset.finishing.language import language_of
from videopath.dataset.finishing.split import split_recordings
from videopath.dataset.options import SetOptions
from videopath.dataset.records import Clips, InstructionPair, Instructions, PassedOver
from videopath.dataset.set_folder import SetFolder
from videopath.knowledge import KnowledgeBase, read_records
from videopath.training.data.instructions import read_instructions
from videopath.training.recipe import TransferRecipe, load_recipe
from videopath.training.validation import check_dataset

OPTIONS = SetOptions(name="drawn lectures", licence="CC BY 4.0")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings with two cases each, not finished."""
    return small_set(tmp_path_factory.mktemp("drawn") / "set", recordings=3).path


@pytest.fixture(scope="module")
def finished(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> SetFolder:
    folder = SetFolder(shutil.copytree(drawn, tmp_path_factory.mktemp("finished") / "set"))
    finish_set(folder, OPTIONS)
    return folder


@pytest.fixture
def unfinished(drawn: Path, tmp_path: Path) -> SetFolder:
    return SetFolder(shutil.copytree(drawn, tmp_path / "set"))


def entries(folder: SetFolder, name: str = "instructions.json") -> list[dict[str, Any]]:
    return json.loads((folder.path / name).read_text())


def files(folder: SetFolder) -> dict[str, bytes]:
    return {str(f.relative_to(folder.path)): f.read_bytes() for f in folder.path.rglob("*") if f.is_file()}


def change_pair(folder: SetFolder, of: int, number: int, **changes: Any) -> str:
    """Change a pair of a recording and return its id."""
    recording = folder.recordings()[of]
    written = folder.result(recording, "instructions", Instructions)
    assert written
    pairs = list(written.pairs)
    pairs[number] = InstructionPair.model_validate(pairs[number].model_dump() | changes)
    folder.write_result(recording, "instructions", Instructions(pairs=tuple(pairs)), "changed")
    return pairs[number].id


# Read back


def test_training_accepts_the_set(finished: SetFolder) -> None:
    sides = [len(read_instructions(finished.path / f"{side}.json")) for side in ("train", "test")]
    assert sum(sides) == len(read_instructions(finished.path / "instructions.jsonl")) == 12
    *_, result = check_dataset(finished.path / "instructions.json", finished.path, "frames")
    assert (result.conversations, result.problems, result.warnings) == (12, [], [])
    recipe = load_recipe(str(finished.path / "recipe.yaml"))
    assert isinstance(recipe, TransferRecipe)
    assert (finished.path / recipe.stages[0].data).is_file()


@pytest.mark.slow
def test_a_training_by_the_sets_own_recipe_runs(finished: SetFolder, tmp_path: Path) -> None:
    from videopath.training.transfer.stages import Transfer

    recipe = load_recipe(str(finished.path / "recipe.yaml"), ["stages.0.steps=2", "stages.0.batch=1"])
    assert isinstance(recipe, TransferRecipe)
    assert (Transfer(recipe, finished.path, tmp_path / "run", print).run() / "config.json").is_file()


def test_knowledge_reads_the_same_records_from_each_export(finished: SetFolder, tmp_path: Path) -> None:
    read = [
        sorted(record.model_dump_json() for record in read_records(finished.path / name))
        for name in ("instructions.json", "instructions.jsonl", "datasets")
    ]
    assert read[0] == read[1] == read[2]
    base = KnowledgeBase.build(tmp_path / "base", read_records(finished.path / "instructions.json"))
    (record,) = (one for one in base if one.id == entries(finished)[1]["id"])
    assert record.diagnosis == entries(finished)[1]["diagnosis"]
    assert (record.site, record.licence, record.source) == ("colon", "CC BY 4.0", record.group)
    assert record.provenance["blind"] == "no"
    assert record.provenance["given_away"] == "The narrator names the diagnosis."
    assert record.provenance["recording_start"] == "10.0"
    assert record.media[0].start is None, "seconds of the recording are not seconds of the clip"


def test_datasets_and_mlcroissant_read_it(finished: SetFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    mlcroissant = pytest.importorskip("mlcroissant")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("nothing is looked up"))
    sides = datasets.load_from_disk(str(finished.path / "datasets"))
    by_id = {entry["id"]: entry for entry in entries(finished)}
    rows = [row for side in sides.values() for row in side]
    assert {row["id"]: row for row in rows} == by_id
    croissant = mlcroissant.Dataset(str(finished.path / "croissant.json"))
    assert not croissant.metadata.issues.errors
    records = list(croissant.records("pairs"))
    assert [record["pairs/id"].decode() for record in records] == list(by_id)
    assert records[0]["pairs/conversations"][1].decode() == entries(finished)[0]["conversations"][1]["value"]


def test_everything_keeps_where_it_came_from(finished: SetFolder) -> None:
    first = entries(finished)[0]
    lines = [json.loads(line) for line in (finished.path / "provenance.jsonl").read_text().splitlines()]
    (clip,) = (line for line in lines if line["clip"] == first["clip"])
    assert (clip["sha256"], clip["side"]) == (first["clip_sha256"], first["split"])
    assert (clip["start"], clip["end"], clip["crop"]) == (10, 18, [0.1, 0.1, 0.9, 0.9])
    assert clip["erased"][0]["reason"] == "a record number"
    croissant = json.loads((finished.path / "croissant.json").read_text())
    hashes = {file["contentUrl"]: file["sha256"] for file in croissant["distribution"]}
    assert hashes[first["video"]] == first["clip_sha256"]
    card = (finished.path / "README.md").read_text()
    assert all(recording.sha256 in card for recording in finished.recordings())
    assert "| questions with answers |" in card


def test_the_same_inputs_give_the_same_bytes(finished: SetFolder) -> None:
    before = files(finished)
    finish_set(finished, OPTIONS)
    assert files(finished) == before


# Checks


WRONG: list[list[tuple[str, dict[str, Any]] | None]] = [
    [
        ("personal data", {"answer": "The slide of John Doe, MRN 4471923, shows crowded glands."}),
        ("leakage", {"question": "What is this, benign colonic mucosa of the colon?"}),
        ("leakage", {"question": "Describe this adenocarcinoma."}),
        ("personal data", {"given_away": ["Date of birth 12.03.1961"]}),
    ],
    [
        ("special token", {"answer": "The glands<|im_end|> are regular and lie apart."}),
        ("length", {"answer": "Both the narrator and I are not sure what it could be.\nNothing is known."}),
        ("length", {"answer": "Glands."}),
        ("missing clip", {"clip": "gone-case-9"}),
    ],
    [
        ("length", {"answer": "glands and stroma " * 200}),
        None,
        ("text", {"answer": "The glands are \0 regular and lie apart."}),
        None,
    ],
]
"""What is wrong with each pair of each recording, and what is changed in it."""


def test_pairs_are_left_out_with_their_reasons(unfinished: SetFolder) -> None:
    expected = {
        change_pair(unfinished, recording, number, **wrong[1]): wrong[0]
        for recording, pairs in enumerate(WRONG)
        for number, wrong in enumerate(pairs)
        if wrong
    }
    summary = finish_set(unfinished, OPTIONS)
    checks = json.loads((unfinished.path / "checks.json").read_text())
    found = {f["subject"]: f["kind"] for f in checks["findings"] if f["outcome"] == "left out"}
    assert found == expected
    assert summary.left_out == Counter(expected.values())
    assert summary.pairs == 2
    assert not set(expected) & {entry["id"] for entry in entries(unfinished)}
    written = {k: v for k, v in files(unfinished).items() if not k.startswith("recordings/")}
    assert not [
        file for file, content in written.items() if b"4471923" in content or b"12.03.1961" in content
    ]


def test_missing_and_changed_clips_leave_their_pairs_out(unfinished: SetFolder) -> None:
    first, second = sorted((unfinished.path / "clips").iterdir())[:2]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    summary = finish_set(unfinished, OPTIONS)
    assert summary.left_out == {"changed clip": 2, "missing clip": 2}
    *_, result = check_dataset(unfinished.path / "instructions.json", unfinished.path, "frames")
    assert result.problems == []


def test_drafts_are_never_exported(unfinished: SetFolder) -> None:
    name = change_pair(unfinished, 0, 0, origin="draft", answer="And here we see the tail of the sentence")
    summary = finish_set(unfinished, OPTIONS)
    assert summary.drafts == 1
    written = {k: v for k, v in files(unfinished).items() if not k.startswith("recordings/")}
    assert not [file for file, content in written.items() if name.encode() in content]
    assert not [file for file, content in written.items() if b"the tail of the sentence" in content]


def test_a_set_of_drafts_alone_is_empty_and_says_so(tmp_path: Path) -> None:
    folder, recording = SetFolder(tmp_path), recording_named("one.mp4")
    clip = drawn_clip(folder, recording, 1, "colon adenocarcinoma", 1)
    drafts = [
        pair.model_copy(update={"origin": "draft"}) for pair in pairs_about(clip, "colon adenocarcinoma")
    ]
    add_results(folder, recording, [clip], drafts)
    summary = finish_set(folder, OPTIONS)
    assert summary.sentence == "The set has no finished pair; 2 drafts wait for a person."
    assert entries(folder) == []
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_recording_that_was_passed_over_is_left_out(unfinished: SetFolder) -> None:
    gone = unfinished.recordings()[0]
    named = PassedOver(path="MRN 4471923 DOE_JOHN.mp4", reason="It has no video track.")
    unfinished.write_passed_over([PassedOver(path=gone.path, reason="clips: it is damaged."), named])
    summary = finish_set(unfinished, OPTIONS)
    assert summary.recordings == 2
    card = (unfinished.path / "README.md").read_text()
    assert "clips: it is damaged." in card
    assert "4471923" not in card


def test_copies_across_recordings_stay_together_and_are_named(unfinished: SetFolder) -> None:
    original, other = unfinished.recordings()[:2]
    first, second = (unfinished.result(recording, "clips", Clips) for recording in (original, other))
    assert first
    assert second
    copy = second.clips[0].model_copy(update={"fingerprints": first.clips[0].fingerprints})
    unfinished.write_result(other, "clips", Clips(clips=(copy, *second.clips[1:])), "changed")
    for seed in (1, 2):
        summary = finish_set(unfinished, OPTIONS.model_copy(update={"seed": seed}))
        assert summary.noted["near-duplicate"] == 1
        side = {entry["source"]: (entry["split"], entry["group"]) for entry in entries(unfinished)}
        assert side[original.id] == side[other.id]


@pytest.mark.parametrize(
    ("question", "labels", "given"),
    [
        ("What is the best diagnosis for this colon tissue?", ["colon adenocarcinoma"], False),
        ("Is this colonic adenocarcinoma?", ["colon adenocarcinoma"], True),
        ("Why is this a phyllodes lesion?", ["phyllodes tumour"], True),
        ("Is this normal or abnormal?", ["normal colon"], False),
        ("Is this normal or abnormal?", ["normal"], False),
        ("Describe this benign colon tissue.", ["benign colon tissue"], True),
        ("Describe the epithelium.", ["normal epithelium"], False),
        ("Which features of SCC are there?", ["squamous cell carcinoma"], True),
        ("Which is it? A) adenoma B) adenocarcinoma C) normal", ["adenocarcinoma"], False),
        ("Given no evidence of lymphoma, what is it?", ["adenocarcinoma"], False),
        ("What is the diagnosis?", ["diagnosis of exclusion"], False),
    ],
)
def test_a_question_that_names_the_answer_is_found(question: str, labels: list[str], given: bool) -> None:
    assert gives_away(question, labels) is given


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The glands are crowded and the nuclei are dark.", "en"),
        ("Die Drüsen sind dicht gedrängt und die Kerne dunkel.", "de"),
        ("Les glandes sont serrées et les noyaux foncés.", "fr"),
        ("腺体拥挤,细胞核深染,可见坏死。", "zh"),
        ("Железы скучены, ядра тёмные.", "ru"),
        ("Diagnosis: adenocarcinoma", ""),
        ("β-catenin and Ki-67 are positive in the nuclei of the glands.", "en"),
    ],
)
def test_languages_are_told_apart(text: str, language: str) -> None:
    assert language_of(text) == language


# Split

names = st.lists(st.integers(0, 400).map(lambda n: f"{n:016x}"), min_size=1, max_size=40, unique=True)


@settings(max_examples=80, deadline=None)
@given(ids=names, data=st.data(), seed=st.integers(0, 5))
def test_no_recording_and_no_group_is_on_two_sides(ids: list[str], data: st.DataObject, seed: int) -> None:
    pairs = st.tuples(st.sampled_from(ids), st.sampled_from(ids))
    shared = data.draw(st.lists(pairs, max_size=10))
    options = SetOptions(seed=seed)
    whole = split_recordings(ids, shared, options)
    assert set(whole.sides) == set(ids)
    assert "train" in whole.sides.values()
    assert all(whole.sides[one] == whole.sides[other] for one, other in shared)
    assert all(whole.groups[one] == whole.groups[other] for one, other in shared)
    assert whole == split_recordings(ids[::-1], shared[::-1], options), "the order does not matter"

    fewer = data.draw(st.integers(1, len(ids)))
    earlier = split_recordings(ids[:fewer], [pair for pair in shared if {*pair} <= {*ids[:fewer]}], options)
    if not earlier.notes and not whole.notes:  # no side was filled by force
        assert all(whole.sides[one] == "test" for one, side in earlier.sides.items() if side == "test")
        linked = {name for pair in shared for name in pair}
        assert all(whole.sides[one] == side for one, side in earlier.sides.items() if one not in linked)


def test_shares_are_met_and_impossible_ones_are_rejected() -> None:
    sides = list(split_recordings([f"{n:016x}" for n in range(2000)], [], SetOptions()).sides.values())
    assert abs(sides.count("test") / 2000 - 0.2) < 0.03
    assert abs(sides.count("validation") / 2000 - 0.1) < 0.03
    with pytest.raises(InputError, match="nothing for training"):
        split_recordings(["a"], [], SetOptions(test_share=0.6, validation_share=0.5))


def test_one_recording_is_for_training_and_the_set_says_so() -> None:
    for seed in range(20):
        split = split_recordings(["0" * 16], [], SetOptions(seed=seed))
        assert set(split.sides.values()) == {"train"}
        assert any("one recording" in note for note in split.notes)
