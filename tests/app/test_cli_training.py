"""``videopath dataset check`` and ``videopath train``: what they say, refuse and leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import Result

Run = Callable[..., Result]


def said(name: str, **shown: str) -> dict[str, Any]:
    question = ("<image>\n" if shown else "") + "What is seen?"
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "Crowded irregular glands."}]
    return {"id": name, **shown, "conversations": turns}


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    """Two images and a text."""
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((70, 90, 3), 120, np.uint8)).save(tmp_path / name)
    path = tmp_path / "data.json"
    path.write_text(json.dumps([said("1", image="a.png"), said("2", image="b.png"), said("3")]))
    return path


def test_a_good_set_is_counted(conversations: Path, videopath: Run) -> None:
    answer = videopath("dataset", "check", conversations, "--model", "nano", "--depth", "frames")
    assert answer.exit_code == 0, answer.stderr
    assert "3 conversations (2 image, 1 text), 3 questions with answers." in answer.stdout
    assert "Text tokens per conversation" in answer.stdout
    assert "No problems found." in answer.stdout
    found = json.loads(videopath("dataset", "check", conversations, "--json").stdout)
    assert (found["conversations"], found["problems"], found["tokens"]) == (3, [], {})
    assert found["words"] == {"least": 6, "median": 7, "largest": 7}
    of_folder = videopath("dataset", "check", conversations.parent)
    assert of_folder.exit_code == 2
    assert "has no instructions.json" in of_folder.stderr
    conversations.rename(conversations.parent / "instructions.json")
    assert json.loads(videopath("dataset", "check", conversations.parent, "--json").stdout) == found


def test_all_that_is_wrong_is_named_at_once(conversations: Path, videopath: Run) -> None:
    (conversations.parent / "b.png").write_bytes(b"no image")
    wrong = {"id": "4", "conversations": []}
    entries = [*json.loads(conversations.read_text()), wrong, said("1", image="gone.png"), said("3")]
    conversations.write_text(json.dumps(entries))
    answer = videopath("dataset", "check", conversations, "--depth", "frames", "--json")
    assert answer.exit_code == 1
    found = json.loads(answer.stdout)
    assert len(found["problems"]) == 3
    for place, word in (("2", "b.png is not an image"), ("4", "no question"), ("5", "gone.png is missing")):
        assert any(f"Conversation {place} " in told and word in told for told in found["problems"])
    assert any("'1' occurs 2 times" in told for told in found["warnings"])
    assert any("1 conversations repeat others word for word" in told for told in found["warnings"])
    by_files = json.loads(videopath("dataset", "check", conversations, "--json").stdout)
    assert len(by_files["problems"]) == 2, "a file that is there is not opened"
    by_names = json.loads(videopath("dataset", "check", conversations, "--depth", "names", "--json").stdout)
    assert len(by_names["problems"]) == 1


@pytest.mark.parametrize("content", ["{", "[{]", "", "datasets: 3"])
def test_a_file_that_is_no_data_is_refused_in_one_sentence(
    tmp_path: Path, videopath: Run, content: str
) -> None:
    path = tmp_path / ("mix.yaml" if content.startswith("datasets") else "data.json")
    path.write_text(content)
    answer = videopath("dataset", "check", path)
    assert answer.exit_code in (1, 2)
    assert path.name in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_recipe_of_ones_own_is_trained_and_goes_on(
    conversations: Path, small_checkpoint: Path, tmp_path: Path, videopath: Run
) -> None:
    stage = {
        "name": "images", "data": "data.json", "trains": ["projector"], "steps": 2, "learning_rate": 1e-3, "workers": 0,
        "bf16": False,
    }  # fmt: skip
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        yaml.safe_dump(
            {
                "kind": "transfer",
                "name": "mine",
                "start": {"checkpoint": str(small_checkpoint)},
                "stages": [stage],
            }
        )
    )
    arguments = (
        "train",
        "--recipe",
        recipe,
        "--data",
        tmp_path,
        "--out",
        tmp_path / "run",
        "--set",
        "stages.0.steps=3",
    )
    answer = videopath(*arguments)
    assert answer.exit_code == 0, answer.stderr
    folder = tmp_path / "run" / "images" / "original"
    assert answer.stdout.strip() == str(folder)
    assert "step 3 of 3" in answer.stderr
    assert json.loads(videopath("model", "info", folder, "--json").stdout)["layout"] == "original"
    again = videopath(*arguments)
    assert (again.exit_code, "--resume" in again.stderr) == (2, True)
    assert videopath(*arguments, "--resume").stdout.strip() == str(folder)
    planned = videopath(*arguments, "--dry-run", "--gpus", "1")
    assert planned.exit_code == 0, planned.stderr
    assert "projector" in planned.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--recipe", "vidrip-7b"], "--data"),
        (["--recipe", "giant"], "giant"),
        (["--recipe", "nano", "--dry-run"], "transfers"),
        (["--recipe", "vidrip-7b", "--set", "stages.0.batch=none"], "stages.0.batch"),
        (["--recipe", "vidrip-7b", "--data", ".", "--stage", "7"], "no stage 7"),
    ],
)
def test_what_train_cannot_do_is_said(videopath: Run, options: list[str], word: str) -> None:
    answer = videopath("train", *options)
    assert answer.exit_code == 2
    assert word in answer.stderr.replace("\n", "")
    assert "Traceback" not in answer.stderr


def test_the_published_recipe_says_what_it_needs(videopath: Run) -> None:
    answer = videopath("train", "--recipe", "vidrip-7b", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert "8,030,346,528" in answer.stdout
    assert "decoder by LoRA 322,961,408" in " ".join(answer.stdout.split())
