"""The benchmarks page: what it says without an evaluation, with one, with several and with a damaged one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videopath.app.figures.sections import sections
from videopath.evaluation.kept import Evaluation, list_evaluations, save_evaluation
from videopath.evaluation.lab import LabAnswer, LabCase, save_lab_report, summarise_lab
from videopath.evaluation.testsets.summary import save_set_report
from videopath.evaluation.tiles.clips import Outcome
from videopath.media.quality.attributes import SCALES
from videopath.model.calibration import FEATURES

_TRUTHS = {"colon_n": "benign colon tissue", "colon_aca": "colon adenocarcinoma"}


def _kept(
    home: Path, clips: int = 40, *, created: str = "2026-01-31T14:25:01.250Z", model: str = "nano"
) -> Path:
    rng = np.random.default_rng(3)
    outcomes = []
    for number in range(clips):
        label = list(_TRUTHS)[number % 2]
        confidence = float(rng.uniform())
        said = _TRUTHS[label] if rng.uniform() < 0.4 + 0.6 * confidence else _TRUTHS["colon_n"]
        outcomes.append(
            Outcome(
                path=f"{number}.png",
                label=label,
                site="colon",
                truth=_TRUTHS[label],
                blind=said,
                final=said,
                confidence=confidence,
                abstained=confidence < 0.3,
                features=dict.fromkeys(FEATURES, 0.5),
                attributes={scale.attribute: True for scale in SCALES},
                seconds=1.0,
            )
        )
    facts = {"weights_sha256": "0" * 64, "version": "0.1.0", "split": "test", "looks": 2, "created": created}
    return save_evaluation(Evaluation(model=model, outcomes=outcomes, **facts), home)


def test_without_an_evaluation_it_says_how_to_make_one(app: Callable[..., Any]) -> None:
    test = app("benchmarks").run()
    assert "no evaluation" in test.info[0].value
    assert [code.value for code in test.code] == [
        "videopath evaluate --data DIR",
        "videopath evaluate SET",
        "videopath evaluate lab --base CASES.csv",
    ]


def test_an_evaluation_is_drawn(app: Callable[..., Any], own_home: Path) -> None:
    _kept(own_home)
    test = app("benchmarks").run()
    assert not test.exception
    assert {metric.label for metric in test.metric} >= {"accuracy", "answered", "accuracy if answered"}
    assert len(test.get("arrow_vega_lite_chart")) + len(test.get("vega_lite_chart")) == 4
    assert list(test.table[0].value["system"]) == ["agent", "model"]
    assert list(test.table[1].value["class"]) == list(_TRUTHS.values())
    assert "40 clips" in test.caption[0].value


def test_a_laboratory_is_shown_with_all_systems(app: Callable[..., Any], own_home: Path) -> None:
    case = LabCase(path=Path("a.png"), site="colon", diagnosis="adenoma", group="g1")
    answers = [
        LabAnswer(
            case=case.model_copy(update={"group": f"g{number}"}),
            foreign=False,
            said={"agent": "adenoma", "model": "mucosa", "cases": "adenoma", "colour": "mucosa"},
            sure=dict.fromkeys(("agent", "model", "cases", "colour"), 0.9),
            answered=dict.fromkeys(("agent", "model", "cases", "colour"), True),
            vouched=["cases"],
            seconds=1.0,
        )
        for number in range(12)
    ]
    report = summarise_lab([case], answers, False, "<b>lab</b>.csv", "nano", "tower:nano")
    save_lab_report(report, own_home)
    test = app("benchmarks").run()
    assert not test.exception
    assert "1 cases of 1 groups as knowledge, 12 of other groups asked" in test.caption[0].value
    assert list(test.table[0].value["system"]) == ["agent", "model", "cases", "colour"]
    assert list(test.table[1].value["agent less"]) == ["model", "cases", "colour"]
    assert list(test.table[1].value["right of as many answers"])[1].replace("\\", "").startswith("+0.000")
    assert any("helped 12, hurt 0" in text.value for text in test.text)


def test_one_of_several_is_chosen(app: Callable[..., Any], own_home: Path) -> None:
    older = _kept(own_home, 10, model="older")
    _kept(own_home, 20, created="2026-02-01T00:00:00.000Z", model="newer")
    test = app("benchmarks").run()
    assert "20 clips" in test.caption[0].value
    test.selectbox(key="evaluation").set_value(older).run()
    assert "10 clips" in test.caption[0].value


def test_a_damaged_evaluation_is_told(app: Callable[..., Any], own_home: Path) -> None:
    _kept(own_home).write_text("{")
    test = app("benchmarks").run()
    assert not test.exception
    assert "is not an evaluation" in test.text[0].value


def test_one_clip_is_enough(app: Callable[..., Any], own_home: Path) -> None:
    _kept(own_home, 1)
    assert not app("benchmarks").run().exception


def test_an_evaluation_on_a_test_set_is_drawn(
    app: Callable[..., Any], own_home: Path, made_set_report: Callable[..., Any]
) -> None:
    report = made_set_report("agent", "model")
    save_set_report(report, own_home)
    test = app("benchmarks").run()
    assert not test.exception
    assert [heading.value for heading in test.header] == [section.title for section in sections(report)]
    assert "45 questions of 9 groups" in test.caption[0].value
    assert list(test.table[0].value.columns) == ["metric", "agent", "model"]
    accuracy = report.systems[1].figures["accuracy"]
    (row,) = [row for row in test.table[0].value.itertuples() if "accuracy ↑" in row.metric]
    assert row.model.startswith(f"{accuracy.value:.3f}".replace(".", "\\."))
    plots = {figure.key for section in sections(report) for figure in section.plots}
    assert plots >= {"classes", "confusion-agent", "confusion-model", "risk", "calibration-model"}
    assert len(test.get("arrow_vega_lite_chart")) + len(test.get("vega_lite_chart")) == len(plots)
    assert [button.proto.label for button in test.get("download_button")] == [
        "Download the figures", "Download the HTML report"
    ]  # fmt: skip


def test_both_kinds_of_evaluation_are_offered_the_last_one_first(
    app: Callable[..., Any], own_home: Path, made_set_report: Callable[..., Any]
) -> None:
    clips = _kept(own_home, 10)
    made = made_set_report("model", created="2026-02-01T00:00:00.000Z", model="<b>*name*</b>")
    kept = save_set_report(made, own_home)
    test = app("benchmarks").run()
    assert not test.exception
    assert test.selectbox(key="evaluation").value == kept
    assert "\\<b\\>\\*name\\*" in test.caption[0].value
    test.selectbox(key="evaluation").set_value(clips).run()
    assert "10 clips" in test.caption[0].value
    kept.write_text("{}")
    test.selectbox(key="evaluation").set_value(kept).run()
    assert not test.exception
    assert "is not a report on a test set" in test.text[0].value


@pytest.mark.slow
def test_what_evaluate_leaves_is_shown(
    app: Callable[..., Any], own_home: Path, shared: Path, tmp_path: Path, videopath: Callable[..., Any]
) -> None:
    with (shared / "data" / "manifest.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] == "colon_aca"]
    groups = {row["group_id"]: row for row in rows}
    data = tmp_path / "data"
    data.mkdir()
    with (data / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(list(groups.values())[:12])
    (data / "tiles").symlink_to(shared / "data" / "tiles")

    answer = videopath("evaluate", "--data", data, "--looks", 0, "--per-class", 2)

    assert answer.exit_code == 0, answer.stderr
    (kept,) = list_evaluations(own_home)
    assert kept.name in answer.stderr.replace("\n", "")
    test = app("benchmarks").run()
    assert not test.exception
    assert "VideoPath\\-nano" in test.caption[0].value
    assert "2 clips of the test side" in test.caption[0].value
