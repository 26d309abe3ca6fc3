"""The lessons of nano's transfer: conversations for every stage, of the training side only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from videopath.app.cli.main import app
from videopath.core.errors import InputError
from videopath.model import load_engine, nano, open_clip
from videopath.training.data import corpus
from videopath.training.data.instructions import read_instructions
from videopath.training.recipe import ScratchRecipe, TransferRecipe, load_recipe
from videopath.training.scratch.tower_stage import TowerData
from videopath.training.transfer.lessons import LESSONS, count_examples, write_lessons
from videopath.training.transfer.stages import Transfer
from videopath.training.validation import check_dataset

SHARE = 0.002


@pytest.fixture(scope="module")
def lessons(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lessons") / "all"
    written = list(write_lessons(small_data, out, size=56, share=SHARE))
    assert len(written) == count_examples(SHARE)
    return out


def test_every_stage_has_conversations_without_a_problem(lessons: Path) -> None:
    modalities = {
        "words": "text",
        "captions": "image",
        "images": "image",
        "clips": "video",
        "videos": "video",
    }
    assert [lesson.name for lesson in LESSONS] == list(modalities)
    for name, modality in modalities.items():
        *_, findings = check_dataset(lessons / f"{name}.json", lessons, "frames", None, 4096)
        assert findings.problems == []
        assert set(findings.by_modality) == {modality}


def test_clips_have_the_frames_that_their_stage_says(lessons: Path) -> None:
    for lesson in LESSONS[3:]:
        clips = {item.video for item in read_instructions(lessons / f"{lesson.name}.json")}
        lengths = {len(list((lessons / str(clip)).iterdir())) for clip in clips}
        assert lengths
        assert lengths <= set(lesson.frames)
        assert open_clip(lessons / str(min(map(str, clips))), 4).frames.shape == (4, 56, 56, 3)


def test_the_same_seed_writes_the_same_conversations(lessons: Path, small_data: Path, tmp_path: Path) -> None:
    list(write_lessons(small_data, tmp_path / "again", size=56, share=SHARE, workers=1))
    list(write_lessons(small_data, tmp_path / "other", size=56, share=SHARE, seed=9))
    name = "images.json"
    texts = [(folder / name).read_text() for folder in (lessons, tmp_path / "again", tmp_path / "other")]
    assert texts[0] == texts[1] != texts[2]


def test_only_the_training_side_is_read(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[corpus.Sample] = []
    usual = corpus.load_images

    def watched(samples: Any, longest: int = 400) -> Any:
        read.extend(samples)
        return usual(samples, longest)

    monkeypatch.setattr(corpus, "load_images", watched)
    list(write_lessons(small_data, tmp_path / "out", size=56, share=0.001))
    assert read
    assert {sample.split for sample in read} == {"train"}


def test_the_transfer_learns_from_them(lessons: Path, tmp_path: Path) -> None:
    one_step = [f"stages.{n}.{change}" for n in range(5) for change in ("steps=1", "batch=2", "workers=0")]
    start = Path(nano.__file__).parent
    recipe = load_recipe("nano-transfer", [f"start.checkpoint={start}", *one_step])
    assert isinstance(recipe, TransferRecipe)
    assert [stage.name for stage in recipe.stages] == ["words", "projector", "images", "clips", "videos"]
    folder = Transfer(recipe, lessons, tmp_path / "run", lambda _: None).run()
    clip = next((lessons / "videos").iterdir())
    with load_engine(str(folder), device="cpu").open(open_clip(clip, 4)) as session:
        assert session.generate("What is the best diagnosis for this tissue?", max_new_tokens=8).text


def test_a_general_tower_learns_sites_and_no_diagnosis(small_data: Path) -> None:
    recipe = load_recipe("nano-start")
    assert isinstance(recipe, ScratchRecipe)
    assert [(stage.trains, stage.tells) for stage in recipe.stages] == [("tower", "site")]
    data = TowerData.read(small_data, "site")
    tiles = data.classes[: data.tile_classes]
    assert tiles == list(corpus.diagnoses_by_site())
    assert all(name.startswith("atlas:") for name in data.classes[data.tile_classes :])
    assert len(data.images) == len(data.targets)


def test_the_command_writes_them_and_refuses_a_folder_that_is_not_empty(
    small_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["dataset", "lessons", "--data", str(small_data), "--out", str(out)]
    answer = CliRunner().invoke(app, [*command, "--share", str(SHARE)])
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.strip() == str(out)
    assert len(json.loads((out / "videos.json").read_text())) == 3 * round(1500 * SHARE)
    with pytest.raises(InputError, match="not empty"):
        list(write_lessons(small_data, out))
