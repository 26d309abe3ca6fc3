"""The bundled model: its size, and that it does on held-out groups what MODEL_CARD.md says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from videopath.core.errors import InputError
from videopath.evaluation.stats.estimates import Share
from videopath.evaluation.tiles.clips import Outcome, held_out, summarise, write_clip
from videopath.media.quality import attributes
from videopath.model import inspect_checkpoint, open_clip
from videopath.model.inference.engine import LocalEngine
from videopath.model.prompts import questions as ask
from videopath.training.data import corpus
from videopath.training.scratch import descriptions

_NANO = Path(__file__).resolve().parents[1] / "model" / "nano"
_PER_CLASS = 4


def test_nano_is_small_and_in_the_original_layout() -> None:
    info = inspect_checkpoint(_NANO)
    assert info.layout == "original"
    assert info.problems == []
    assert 5e6 <= info.parameters <= 20e6
    assert sum(file.stat().st_size for file in _NANO.iterdir() if file.is_file()) <= 24e6


def test_the_card_names_what_nano_was_trained_on(nano_engine: LocalEngine) -> None:
    card = nano_engine.info.card
    assert card.labels == corpus.diagnoses_by_site()
    assert card.unknown_label == corpus.UNKNOWN
    assert {"confidence.intercept", "confidence.top_probability"} <= set(card.calibration)


@pytest.mark.slow
def test_nano_reaches_its_floors_on_held_out_groups(
    nano_engine: LocalEngine, shared: Path, tmp_path: Path
) -> None:
    samples = held_out(shared / "data", "test", _PER_CLASS)
    assert len(samples) == _PER_CLASS * len(corpus.LABELS)
    right, words = [], []
    for sample in samples:
        clip = open_clip(write_clip(sample, tmp_path), frames=8)
        labels = nano_engine.info.card.labels[sample.site]
        with nano_engine.open(clip) as session:
            description = session.generate(ask.describe_question(sample.site), max_new_tokens=160).text
            question = ask.diagnose_question(sample.site, description)
            scores = session.score(
                question,
                [f" {label}\n" for label in labels],
                answer_start=ask.DIAGNOSIS_START,
                reduce="sum",
            )
        right.append(labels[int(np.argmax(scores))] == sample.diagnosis)
        words += descriptions.agreement(description, attributes.measure(clip.frames)).values()
    assert np.mean(right) >= 0.65, "a sample of 60; the whole test side is in MODEL_CARD.md"
    assert np.mean(words) >= 0.8


def test_what_nano_says_of_the_stain_follows_the_clip(nano_engine: LocalEngine, shared: Path) -> None:
    tile = next(s for s in corpus.read_tiles(shared / "data") if s.label == "lung_scc" and s.split == "test")
    clip = open_clip(tile.path)
    scale = next(scale for scale in attributes.SCALES if scale.attribute == "stain")
    density = -np.log((clip.frames + 1.0) / 256.0)
    measured, said = [], []
    for strength in (0.5, 1.0, 1.8):
        stained = np.clip(np.exp(-density * strength) * 256 - 1, 0, 255).astype(np.uint8)
        frames = np.repeat(stained, 8, 0)
        measured.append(scale.level(attributes.measure(frames).stain))
        with nano_engine.open(replace(clip, frames=frames, kind="video")) as session:
            text = session.generate(ask.describe_question("lung"), max_new_tokens=160).text
        said.append(scale.spoken_level(text))
    assert measured == [0, 1, 2]
    assert said == measured


@cache
def _outcome(right: bool, sure: float, abstained: bool = False) -> Outcome:
    final = "colon adenocarcinoma" if right else "benign colon tissue"
    names = ("top_probability", "margin", "samples", "neighbours", "description", "blind")
    return Outcome(
        path="a",
        label="colon_aca",
        site="colon",
        truth="colon adenocarcinoma",
        blind=final,
        final=final,
        confidence=sure,
        abstained=abstained,
        features=dict.fromkeys(names, sure),
        attributes={scale.attribute: right for scale in attributes.SCALES},
        seconds=1.0,
    )


def test_figures_of_an_evaluation() -> None:
    outcomes = [_outcome(True, 0.95)] * 6 + [_outcome(False, 0.35, True)] * 2
    summary = summarise(outcomes)
    assert summary.accuracy.value == 0.75
    assert summary.coverage.value == 0.75
    assert summary.accuracy_when_answered.value == 1.0
    assert summary.confusion == {
        "colon adenocarcinoma": {"colon adenocarcinoma": 6, "benign colon tissue": 2}
    }
    assert summary.calibration_error == pytest.approx(0.75 * 0.05 + 0.25 * 0.35)


def test_no_clips_are_no_figures() -> None:
    with pytest.raises(InputError, match="No clip"):
        summarise([])


def test_interval_holds_the_share() -> None:
    share = Share.of([True] * 8 + [False] * 2)
    assert share.low < share.value == 0.8 < share.high
    assert Share.of([]).count == 0
