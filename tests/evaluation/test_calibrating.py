"""A confidence is fitted by one command, on a set that is large and varied enough, and for these weights alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.agent import DiagnosticAgent, Policy
from videopath.core.errors import InputError
from videopath.evaluation import calibration as calibrating
from videopath.evaluation.calibration import fit_confidence
from videopath.evaluation.tiles.fitting import Trial
from videopath.media.synthetic import render_case
from videopath.model import load_engine
from videopath.model.calibration import Calibration
from videopath.model.card import Card, read_card
from videopath.model.checkpoints.conversion import convert

TRUTHS = ("benign colon tissue", "colon adenocarcinoma")


@pytest.fixture
def run() -> Callable[..., Result]:
    from videopath.app.cli.main import app

    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from videopath.media.clip import open_clip

    folder = tmp_path_factory.mktemp("pictures")
    frame = open_clip(render_case(folder / "case.mp4", seconds=1, size=(128, 128)), frames=1).frames[0]
    Image.fromarray(np.ascontiguousarray(frame)).save(folder / "case.png")
    return folder / "case.png"


def question_set(path: Path, picture: Path, count: int, **more: Any) -> Path:
    entries = [
        {
            "id": str(n), "question": "What is the best diagnosis?", "answer": f"Diagnosis: {TRUTHS[n % 2]}",
            "video_name": picture.name, "site": "colon", **more,
        }
        for n in range(count)
    ]  # fmt: skip
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


@pytest.mark.slow
def test_one_command_writes_the_calibration_into_the_card(
    small_checkpoint: Path,
    picture: Path,
    tmp_path: Path,
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = {"description_tokens": 8, "answer_tokens": 8, "samples": 0, "neighbours": 0}
    monkeypatch.setattr(calibrating, "POLICY", calibrating.POLICY.model_copy(update=short))
    folder = shutil.copytree(small_checkpoint, tmp_path / "mine")
    card = json.loads((folder / "videopath.json").read_text(encoding="utf-8"))
    (folder / "videopath.json").write_text(json.dumps({**card, "note": "kept"}), encoding="utf-8")
    questions = question_set(tmp_path / "held-out.json", picture, 30)
    done = run("model", "calibrate", folder, questions, "--media", picture.parent, "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)["calibrated_on"]
    assert (said["set"], said["questions"], said["right"]) == ("held-out.json", 30, 15)
    written = json.loads((folder / "videopath.json").read_text(encoding="utf-8"))
    assert written["calibrated_on"] == said
    assert (written["note"], written["labels"]) == ("kept", card["labels"])
    engine = load_engine(folder)
    assert Calibration(engine.info.card.calibration).is_fitted
    with DiagnosticAgent.load(engine, policy=Policy(max_looks=0, abstain_threshold=0.0)) as agent:
        report = agent.diagnose(picture, site="colon")
    assert report.provenance["calibrated"] is True
    assert "% (calibrated)" in report.to_markdown()

    converted = convert(folder, tmp_path / "converted")
    assert Calibration(load_engine(converted).info.card.calibration).is_fitted, (
        "the same network in another layout"
    )

    other = shutil.copytree(small_checkpoint, tmp_path / "other")
    shutil.copyfile(folder / "videopath.json", other / "videopath.json")
    weights = other / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert not Calibration(load_engine(other).info.card.calibration).is_fitted, (
        "a card is not that of other weights"
    )


@pytest.mark.parametrize(
    ("count", "more", "said"),
    [
        (29, {}, "at least 30"),
        (40, {"question": "How many mitoses?"}, "0 of the 40 questions of this set"),
        (40, {"answer": "Irregular glands."}, "0 of the 40 questions of this set"),
    ],
)
def test_a_set_that_is_too_small_is_refused_before_anything_is_asked(
    small_checkpoint: Path,
    picture: Path,
    tmp_path: Path,
    run: Callable[..., Result],
    count: int,
    more: Any,
    said: str,
) -> None:
    before = (small_checkpoint / "videopath.json").read_bytes()
    questions = question_set(tmp_path / "set.json", picture, count, **more)
    refused = run("model", "calibrate", small_checkpoint, questions, "--media", picture.parent)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert (small_checkpoint / "videopath.json").read_bytes() == before


def test_answers_of_one_kind_fit_nothing(trial: Callable[..., Trial]) -> None:
    with pytest.raises(InputError, match="5 of them right and 5 wrong"):
        fit_confidence([trial("adenoma", "adenoma")] * 40, Card())


@pytest.mark.parametrize("name", ["nano", None])
def test_the_bundled_card_is_not_replaced_by_accident(
    name: str | None, picture: Path, tmp_path: Path, run: Callable[..., Result]
) -> None:
    from videopath.model.card import NANO_FOLDER

    before = read_card(NANO_FOLDER)
    questions = question_set(tmp_path / "set.json", picture, 30)
    refused = run("model", "calibrate", name or NANO_FOLDER, questions, "--media", picture.parent)
    assert (refused.exit_code, "--bundled" in refused.stderr) == (2, True)
    assert read_card(NANO_FOLDER) == before
    hub = run("model", "calibrate", "some/model", questions, "--media", picture.parent)
    assert (hub.exit_code, "not a folder" in hub.stderr) == (2, True)
