"""What is measured on held-out atlas slides: abstention, and the organ and category that the model writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from videopath.app.cli.main import app
from videopath.core.errors import InputError
from videopath.evaluation.tiles.atlas import AtlasOutcome, held_out_slides, summarise_slides
from videopath.training.data import corpus


def _outcome(written: str, site_given: bool = False, abstained: bool = True) -> AtlasOutcome:
    return AtlasOutcome(
        path="a.mp4",
        site="colon",
        site_given=site_given,
        truth="benign lesion of the colon",
        written=written,
        final=written,
        confidence=0.0,
        abstained=abstained,
    )


@pytest.mark.parametrize(
    ("written", "organ", "category"),
    [
        ("benign lesion of the colon", True, True),
        ("Benign lesion of the  colon.", True, True),
        ("malignant tumour of the colon", True, False),
        ("benign lesion of the skin", False, True),
        ("colon adenocarcinoma", True, False),
        ("lung adenocarcinoma", False, False),
        (corpus.UNKNOWN, False, False),
        ("", False, False),
    ],
)
def test_organ_and_category_of_what_was_written(written: str, organ: bool, category: bool) -> None:
    outcome = _outcome(written)
    assert (outcome.right_organ, outcome.right_category) == (organ, category)


def test_the_two_ways_of_asking_are_told_apart() -> None:
    summary = summarise_slides(
        [
            _outcome("benign lesion of the colon"),
            _outcome("malignant tumour of the colon"),
            _outcome("colon adenocarcinoma", site_given=True, abstained=False),
        ]
    )
    without, given = summary.without_site, summary.with_site
    assert (without.organ.value, without.category.value, without.both.value) == (1.0, 0.5, 0.5)
    assert (without.abstained.value, without.abstained.count) == (1.0, 2)
    assert (given.abstained.value, given.both.value, given.organ.count) == (0.0, 0.0, 1)


def test_only_clips_of_the_asked_side_are_taken(shared: Path, tmp_path: Path) -> None:
    slides = {side: held_out_slides(shared / "data", side) for side in ("train", "calibration", "test")}
    cases = [{slide.group for slide in found} for found in slides.values()]
    assert len(slides["test"]) == 12
    assert sum(len(found) for found in cases) == len(set.union(*cases)), "no case on two sides"
    (tmp_path / "slides.csv").write_bytes((shared / "data" / "slides.csv").read_bytes())
    with pytest.raises(InputError, match="no clip of the slides on the test side"):
        held_out_slides(tmp_path, "test")


@pytest.fixture
def videopath() -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.mark.slow
def test_a_slide_is_evaluated_without_and_with_its_site(
    shared: Path, tmp_path: Path, videopath: Callable[..., Result]
) -> None:
    with (shared / "data" / "slides.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:3]  # one for each side
    with (tmp_path / "slides.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "videos").symlink_to(shared / "data" / "videos")
    (slide,) = held_out_slides(tmp_path, "test")
    out = tmp_path / "outcomes.jsonl"

    answer = videopath("evaluate", "--data", tmp_path, "--set", "atlas", "--looks", 0, "--out", out, "--json")

    assert answer.exit_code == 0, answer.stderr
    outcomes = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(o["path"], o["site_given"]) for o in outcomes] == [
        (slide.path.name, False),
        (slide.path.name, True),
    ]
    atlas = json.loads(answer.stdout)["atlas"]
    assert atlas["with_site"]["both"]["count"] == 1
    assert atlas["without_site"]["abstained"]["value"] == outcomes[0]["abstained"]


def test_calibration_needs_the_tiles(tmp_path: Path, videopath: Callable[..., Result]) -> None:
    answer = videopath("evaluate", "--data", tmp_path, "--set", "atlas", "--calibrate")
    assert answer.exit_code == 2
    assert "--calibrate" in answer.stderr
