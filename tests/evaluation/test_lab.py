"""A laboratory's own cases: one half is the knowledge base, the other is asked, and nobody is on both sides."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.core.errors import InputError
from videopath.evaluation.lab import LabAnswer, LabCase, halves, read_cases, summarise_lab
from videopath.evaluation.stats.estimates import equal_coverage
from videopath.media.synthetic import render_slide

ENTITIES = {"gland tumour": "colon adenocarcinoma", "quiet mucosa": "benign colon tissue"}


@pytest.fixture
def run() -> Callable[..., Result]:
    from videopath.app.cli.main import app

    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def manifest(folder: Path, patients: int, tiles: int = 1, site: str = "colon") -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "organ", "diagnosis", "group_id"))
        for name, entity in ENTITIES.items():
            for patient in range(patients):
                for number in range(tiles):
                    file = f"{name}-{patient}-{number}.png".replace(" ", "-")
                    slide = render_slide(entity, patient * 10 + number, 224, 224, scale=1.2)
                    Image.fromarray(slide).save(folder / file)
                    rows.writerow((file, site, name, f"{name} {patient}"))
    return path


def case(diagnosis: str, group: str) -> LabCase:
    return LabCase(path=Path(f"{group}.png"), site="colon", diagnosis=diagnosis, group=group)


def answer(
    right: bool,
    answered: bool = True,
    model_right: bool = False,
    model_sure: float = 0.5,
    group: str = "g",
    foreign: bool = False,
) -> LabAnswer:
    said = {"agent": "a" if right else "b", "model": "a" if model_right else "b", "cases": "a", "colour": "b"}
    return LabAnswer(
        case=case("a", group),
        foreign=foreign,
        said=said,
        sure={"agent": 0.9, "model": model_sure, "cases": 0.9, "colour": 0.5},
        answered={"agent": answered, "model": True, "cases": True, "colour": True},
        vouched=["cases"] if answered else [],
        seconds=1.0,
    )


def test_halves_share_no_group_and_hold_every_diagnosis() -> None:
    cases = [case(d, f"{d}{n // 2}") for d in ("a", "b", "c") for n in range(11)]
    for seed in range(5):
        first, second = halves(cases, seed)
        assert not {c.group for c in first} & {c.group for c in second}
        assert {c.diagnosis for c in first} == {c.diagnosis for c in second} == {"a", "b", "c"}
        assert sorted(map(str, (*first, *second))) == sorted(map(str, cases))


def test_a_manifest_with_other_names_is_read_and_what_is_missing_is_told(tmp_path: Path) -> None:
    found = read_cases(manifest(tmp_path, 2))
    assert {(c.site, c.group) for c in found} >= {("colon", "gland tumour 0")}
    (tmp_path / "short.csv").write_text("path,diagnosis\nx.png,a\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no column 'site'"):
        read_cases(tmp_path / "short.csv")
    (tmp_path / "gone.csv").write_text("path,site,diagnosis,group\nx.png,colon,a,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names x\.png"):
        read_cases(tmp_path / "gone.csv")


def test_figures_count_what_was_given_out() -> None:
    found = [answer(True, group=str(n)) for n in range(8)]
    found += [
        answer(False, group="8"),
        answer(False, answered=False, group="9"),
        answer(False, answered=False, foreign=True),
    ]
    report = summarise_lab(
        [case("a", "x")], found, stain=False, name="lab.csv", model="m", encoder="tower:nano"
    )
    agent = report.own["agent"]
    assert agent.answered.value == pytest.approx(0.9)
    assert agent.right_of_answered
    assert agent.right_of_answered.value == pytest.approx(8 / 9)
    assert agent.signed_wrongly.value == pytest.approx(0.1)
    assert report.foreign_answered
    assert report.foreign_answered.value == 0.0
    assert (report.mcnemar.only_first, report.mcnemar.only_second) == (8, 0)


def test_equal_coverage_lets_the_model_keep_its_surest() -> None:
    given, right = np.array([True] * 5 + [False] * 5), np.array([True] * 5 + [False] * 5)
    sure, groups = np.array([0.9] * 5 + [0.1] * 5), np.arange(10).astype(str)
    found = equal_coverage(given, right, sure, right, groups)
    assert found
    assert (found.value, found.low, found.high) == (0, 0, 0)
    none_right = equal_coverage(given, right, sure, ~right, groups)
    assert none_right
    assert (none_right.value, none_right.high) == (1, 1), "a difference of shares is never above 1"
    assert equal_coverage(~given & given, right, sure, right, groups) is None


@pytest.mark.slow
def test_the_command_measures_a_laboratory(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    path = manifest(folder, 12)
    out = tmp_path / "answers.jsonl"
    done = run("evaluate", "lab", "--base", path, "--looks", "0", "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["base_cases"], report["questions"]) == (12, 12)
    assert set(report["own"]) == {"agent", "model", "cases", "colour"}
    assert report["own"]["cases"]["right"]["value"] > 0.7
    assert len(out.read_text(encoding="utf-8").splitlines()) == 12


def test_a_group_on_both_sides_is_refused(run: Callable[..., Result], tmp_path: Path) -> None:
    path = manifest(tmp_path, 2)
    refused = run("evaluate", "lab", "--base", path, "--query", path)
    assert (refused.exit_code, "groups stand in the base and among the questions" in refused.stderr) == (
        2,
        True,
    )
