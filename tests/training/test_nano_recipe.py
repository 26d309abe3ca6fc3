"""The training of nano: data on the right side, texts that follow the picture, packing, a whole small run."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import InputError, KnowledgeError
from videopath.core.files import sha256_file
from videopath.core.pathology.answers import parse_answer
from videopath.knowledge import starter_records, write_records
from videopath.media.quality import attributes
from videopath.media.quality.attributes import Attributes
from videopath.model import load_engine, open_clip
from videopath.model.architecture.network import Network, new_network
from videopath.training.data import corpus
from videopath.training.recipe import ScratchRecipe, load_recipe
from videopath.training.scratch import descriptions, views
from videopath.training.scratch.examples import ExampleMaker
from videopath.training.scratch.language_stage import LanguageLossModel
from videopath.training.scratch.loaded_corpus import LoadedCorpus, read_similar_cases
from videopath.training.scratch.packing import pack
from videopath.training.scratch.stages import llava_config, train
from videopath.training.scratch.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer

_SMALL = {
    "vision": {
        "image_size": 56,
        "patch_size": 14,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "text": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "rope_theta": 1000000.0,
    },
    "pinpoints": [[56, 112], [112, 56], [112, 112]],
    "evidence": None,
    "tokenizer_size": 400,
}


@pytest.fixture(scope="module")
def small_recipe() -> ScratchRecipe:
    kinds = ("tower", "language", "joint", "tower", "language")
    stages = [
        {"name": f"{kind}-{n}", "trains": kind, "steps": 2, "batch": 2, "learning_rate": 1e-3}
        for n, kind in enumerate(kinds)
    ]
    return ScratchRecipe.model_validate({**load_recipe("nano").model_dump(), **_SMALL, "stages": stages})


@pytest.fixture(scope="module")
def small_network(small_recipe: ScratchRecipe) -> Network:
    tokenizer = train_tokenizer(descriptions.every_sentence(), 400)
    ends = tuple(tokenizer.convert_tokens_to_ids([TURN_END, END_OF_TEXT]))
    return new_network(llava_config(small_recipe, ends), tokenizer)


def test_no_group_stands_on_two_sides(shared: Path) -> None:
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    slides = corpus.read_atlas(shared / "data")
    for sample in [
        *corpus.read_tiles(shared / "data"),
        *slides,
        *corpus.read_atlas_tiles(shared / "data", slides),
    ]:
        sides[sample.label.split(":")[0] if sample.weak else sample.label, sample.group].add(sample.split)
    assert len(sides) == 1240  # more would mean that a group is finer than a smear or a block of one slide
    assert all(len(split) == 1 for split in sides.values())


def test_every_class_is_on_every_side(shared: Path) -> None:
    seen = {(sample.label, sample.split) for sample in corpus.read_tiles(shared / "data")}
    assert seen == {(label, split) for label in corpus.LABELS for split in ("train", "calibration", "test")}


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.csv"):
        corpus.read_tiles(tmp_path)


_VALUES = st.builds(Attributes, *[st.floats(0, 1, width=32) for _ in attributes.NAMES])


@given(
    measured=_VALUES,
    diagnosis=st.sampled_from([d for _, d in corpus.LABELS.values()]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_description_names_the_measured_levels(measured: Attributes, diagnosis: str, seed: int) -> None:
    text = descriptions.describe(diagnosis, measured, np.random.default_rng(seed))
    assert all(descriptions.agreement(text, measured).values())
    assert diagnosis.lower() not in text.lower()


def test_measured_attributes_follow_the_picture() -> None:
    glass = np.full((1, 64, 64, 3), 245, np.uint8)
    purple = np.full((1, 64, 64, 3), (90, 50, 140), np.uint8)
    assert attributes.measure(glass).open_space == pytest.approx(1.0)
    assert attributes.measure(purple).open_space == pytest.approx(0.0)
    assert attributes.measure(purple).stain > attributes.measure(glass).stain


@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 12),
    height=st.integers(40, 300),
    width=st.integers(40, 300),
)
@settings(max_examples=80, deadline=None)
def test_camera_stays_on_the_field(seed: int, frames: int, height: int, width: int) -> None:
    boxes = views.camera_path(height, width, frames, np.random.default_rng(seed))
    assert len(boxes) == frames
    for left, top, right, bottom in boxes:
        assert -1e-6 <= left < right <= width + 1e-6
        assert -1e-6 <= top < bottom <= height + 1e-6


def test_tokenizer_has_the_form_of_qwen2() -> None:
    tokenizer = train_tokenizer(descriptions.every_sentence(), 400)
    assert tokenizer("\n")["input_ids"] == [198]
    text = "Diagnosis: naïve 12 µm\nRationale: …"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("<|im_start|><|im_end|><|endoftext|>")["input_ids"]) == 3


@pytest.mark.slow
def test_examples_repeat_and_ask_what_the_agent_asks(small_data: Path) -> None:
    maker = ExampleMaker(LoadedCorpus.read(small_data, "train", None), 56, seed=3)
    for index in range(30):
        first, again = maker.make(index), maker.make(index)
        assert np.array_equal(first.frames, again.frames)
        assert first.questions == again.questions
        assert len(first.questions) == 3
        assert any("Similar cases" in item.question for item in first.questions)
        for item in first.questions:
            assert ("Do not give a diagnosis" in item.question) == (not parse_answer(item.answer).diagnosis)


@pytest.mark.slow
def test_turns_packed_in_one_row_do_not_see_each_other(small_data: Path, small_network: Network) -> None:
    example = pack(
        ExampleMaker(LoadedCorpus.read(small_data, "train", None), 56, seed=3).make(0), small_network
    )
    model = LanguageLossModel(small_network, frozen_tower=True).eval()
    with torch.no_grad():
        together = model([example])["loss"].item()
        alone = [
            model([dataclasses.replace(example, questions=(question,))])["loss"].item()
            for question in example.questions
        ]
    weights = [sum(question.weights) for question in example.questions]
    assert together == pytest.approx(np.average(alone, weights=weights), abs=1e-4)


@pytest.mark.slow
def test_small_run_makes_a_checkpoint_that_answers(
    small_data: Path, small_recipe: ScratchRecipe, tmp_path: Path
) -> None:
    messages: list[str] = []
    folder = train(small_recipe, small_data, tmp_path / "run", messages.append)
    card = json.loads((folder / "videopath.json").read_text())
    assert card["labels"]["colon"] == ["benign colon tissue", "colon adenocarcinoma"]
    tile = next(sample.path for sample in corpus.read_tiles(small_data))
    with load_engine(str(folder)).open(open_clip(tile)) as session:
        assert session.generate("What is this?", max_new_tokens=4).tokens


@pytest.mark.slow
def test_finished_stages_need_no_data_and_what_follows_them_is_the_same(
    small_data: Path, small_recipe: ScratchRecipe, tmp_path: Path
) -> None:
    out, last = tmp_path / "run", small_recipe.stages[-1]
    folder = train(small_recipe, small_data, out, lambda _: None)
    weights = sha256_file(folder / "model.safetensors")
    messages: list[str] = []
    assert train(small_recipe, tmp_path / "gone", out, messages.append) == folder
    assert not any("Stage" in line for line in messages), "finished stages are not run again"
    assert sha256_file(folder / "model.safetensors") == weights

    shutil.rmtree(out / last.name)
    train(small_recipe, small_data, out, messages.append)
    assert [line.split(":")[0] for line in messages if "Stage" in line] == [f"Stage {last.name}"]
    assert sha256_file(folder / "model.safetensors") == weights


def test_unknown_recipe_is_named() -> None:
    with pytest.raises(InputError, match="'giant'"):
        load_recipe("giant")


def test_wrong_recipe_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\nsteps: 3\n")
    with pytest.raises(InputError, match="wrong"):
        load_recipe(str(path))


def test_older_recipes_name_the_starter_by_its_file(tmp_path: Path) -> None:
    recipe = load_recipe("nano")
    assert isinstance(recipe, ScratchRecipe)
    assert recipe.evidence == "starter"
    shipped = files("videopath.training").joinpath("recipes", "nano.yaml").read_text(encoding="utf-8")
    older = tmp_path / "older.yaml"
    older.write_text(
        shipped.replace("evidence: starter", "evidence: videopath.knowledge:starter/records.jsonl")
    )
    assert "records.jsonl" in older.read_text()
    assert load_recipe(str(older)) == recipe


def test_similar_cases_are_the_starters_or_those_of_a_file(tmp_path: Path) -> None:
    cases = read_similar_cases("starter")
    assert len(cases) == len(starter_records())
    own = tmp_path / "own.jsonl"
    write_records(own, [*starter_records()[:2], starter_records()[2].model_copy(update={"diagnosis": ""})])
    assert read_similar_cases(str(own)) == cases[:2]
    with pytest.raises(KnowledgeError, match="gone"):
        read_similar_cases(str(tmp_path / "gone.jsonl"))


def test_the_texts_of_the_tokenizer_come_in_one_order() -> None:
    script = "from videopath.training.scratch.question_wordings import every_wording; print(every_wording())"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True,
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(texts) == 1
