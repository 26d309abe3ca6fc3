"""What a sentence of a description rests on."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from videopath.media.quality.attributes import (
    SCALES,
    Attributes,
    MeasuredFrame,
    bright_share,
    is_measured,
    measure,
    measure_frames,
    nuclear_radius,
)
from videopath.model.calibration import SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS
from videopath.model.card import Card
from videopath.tools.describe import DescribeTool
from videopath.tools.evidence import is_tested, with_evidence
from videopath.tools.schemas import LocatedFinding

DENSE = Attributes(cellularity=0.5, crowding=0.7, eosin=0.05, open_space=0.02, stain=0.7, fineness=0.3)
SPARSE = Attributes(cellularity=0.05, crowding=0.2, eosin=0.05, open_space=0.4, stain=0.2, fineness=0.3)
FACT = "Keratin pearls and dyskeratotic cells are found."
CARD = Card(typical={"squamous cell carcinoma": [FACT]})


def finding(text: str, position: int = 0, contrast: float = 0.5) -> LocatedFinding:
    return LocatedFinding(text=text, seconds=0.0, frame=0, position=position, contrast=contrast)


def judged(text: str, *frames: Attributes, card: Card = CARD, margin: float | None = None) -> LocatedFinding:
    measured = [MeasuredFrame(frame, frame, 2.0, 0.0) for frame in frames]
    return with_evidence([finding(text)], measured, card, None if margin is None else [margin])[0]


def test_what_is_measured_is_seen_at_a_frame_that_shows_it() -> None:
    text = "A close view of a field rich in cells, with crowded nuclei."
    assert judged(text, DENSE).rests_on == "measured"
    later = judged(text, SPARSE, SPARSE, DENSE)
    assert (later.rests_on, later.position) == ("measured", 2)
    assert judged(text, SPARSE).rests_on == "said"
    half = "A close view of a field rich in cells, with nuclei lying apart."  # one of two is wrong
    assert judged(half, DENSE).rests_on == "said"


def test_structure_is_measured_only_if_it_does_not_hang_on_the_stain_or_on_a_bound() -> None:
    text = "It is rich in cells."
    assert is_measured(text, MeasuredFrame(DENSE, DENSE, 2.0, 0.0))
    assert not is_measured(text, MeasuredFrame(DENSE, SPARSE, 2.0, 0.0))  # only because the stain is dark
    assert not is_measured(
        text, MeasuredFrame(replace(DENSE, cellularity=0.31), DENSE, 2.0, 0.0)
    )  # the bound is 0.30
    assert is_measured(
        "It has a strong stain.", MeasuredFrame(DENSE, SPARSE, 2.0, 0.0)
    )  # that is the stain itself


def test_large_nuclei_fill_their_neighbourhood_so_nothing_is_said_of_crowding() -> None:
    frame = np.full((112, 112, 3), 235, np.uint8)
    assert nuclear_radius(frame) == 0
    for x, y in ((30, 30), (80, 80)):
        cv2.circle(frame, (x, y), 14, (70, 40, 120), -1)
    radius = nuclear_radius(frame)
    assert 5 < radius < 14
    assert not is_measured("It has crowded nuclei.", MeasuredFrame(DENSE, DENSE, radius, 0.0))
    assert is_measured("It has crowded nuclei.", MeasuredFrame(DENSE, DENSE, 3.0, 0.0))


def test_open_space_in_tinted_light_is_not_few() -> None:
    frame = np.full((112, 112, 3), (205, 214, 220), np.uint8)  # grey glass, as in smears
    frame[30:60, 20:90] = (90, 60, 130)
    assert measure(frame[None]).open_space == 0
    assert bright_share(frame) > 0.7
    tinted = MeasuredFrame(DENSE, DENSE, 2.0, bright_share(frame))
    assert not is_measured("It has few open spaces.", tinted)
    assert is_measured("It has few open spaces.", MeasuredFrame(DENSE, DENSE, 2.0, 0.05))


def test_a_fact_of_the_diagnosis_is_called_so() -> None:
    found = judged(FACT, DENSE)
    assert (found.rests_on, found.typical_of) == ("typical", "squamous cell carcinoma")
    assert judged(FACT.upper().removesuffix("."), DENSE).rests_on == "typical"


def test_other_sentences_are_said_unless_a_fitted_test_says_that_they_were_seen() -> None:
    text = "There is no neoplastic growth."
    assert judged(text, DENSE).rests_on == "said"
    assert not is_tested(CARD)
    fitted = CARD.model_copy(update={"calibration": {SEEN_OVER_FRAMES: 0.2, SEEN_OVER_STAND_INS: 1.0}})
    assert is_tested(fitted)
    assert judged(text, DENSE, card=fitted, margin=1.5).rests_on == "seen"
    assert judged(text, DENSE, card=fitted, margin=0.5).rests_on == "said"
    assert judged(FACT, DENSE, card=fitted, margin=9.0).rests_on == "typical"


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.attribute)
def test_every_word_of_a_scale_is_measured(scale) -> None:  # noqa: ANN001
    for level, words in enumerate(scale.words):
        bounds = (
            scale.bounds[0] * 0.8,
            *[(a + b) / 2 for a, b in zip(scale.bounds, scale.bounds[1:], strict=False)],
            scale.bounds[-1] * 1.2,
        )
        frame = Attributes(**{**DENSE.__dict__, scale.attribute: bounds[level]})
        assert all(is_measured(f"It shows {word}.", MeasuredFrame(frame, frame, 2.0, 0.0)) for word in words)


def test_nano_says_what_can_be_measured_and_what_cannot(nano_engine: object, tmp_path) -> None:  # noqa: ANN001
    from videopath.media.synthetic import render_case
    from videopath.model import open_clip

    video = render_case(tmp_path / "case.mp4", seconds=1, size=(160, 120))
    found = DescribeTool(engine=nano_engine).invoke({"video": str(video), "site": "colon", "frames": 4})
    kinds = {finding.rests_on for finding in found.findings}
    assert kinds <= {"measured", "typical", "said"}
    measured = measure_frames(open_clip(video, 4).frames)
    for one in found.findings:
        if one.rests_on == "measured":
            assert is_measured(one.text, measured[one.position])
            assert one.frame == found.frames.indices[one.position]


def test_words_that_a_model_was_never_taught_are_none_of_its_labels() -> None:
    from videopath.tools.answers.labels import is_in_vocabulary

    card = Card(
        labels={"colon": ["adenoma"]}, unknown_label="not known", vocabulary=["benign lesion of the skin"]
    )
    for label in ("Adenoma", "not known", "benign lesion of the skin."):
        assert is_in_vocabulary(label, card)
    assert not is_in_vocabulary("malignant tumour of the cell carcinoma", card)
    assert is_in_vocabulary("anything", Card(labels={"colon": ["adenoma"]}))
