"""Metrics against sklearn and against naive reimplementations; intervals, differences and tests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score

from videopath.core.choices import CONTROLS
from videopath.core.errors import InputError
from videopath.evaluation import kept
from videopath.evaluation.stats.estimates import Estimate
from videopath.evaluation.testsets.answers import Answer
from videopath.evaluation.testsets.document import SystemAnswers, set_facts, set_report
from videopath.evaluation.testsets.metrics import BY_NAME, Draws, draw, draw_all, mcnemar
from videopath.evaluation.testsets.summary import NOTHING, OTHER, SetReport
from videopath.evaluation.testsets.table import Table, attribute_agreement, measured, table
from videopath.model.card import Card
from videopath.model.inference.engine import EngineInfo
from videopath.tools.schemas import Candidate

TRUTHS = ("colon adenocarcinoma", "benign colon tissue", "lung adenocarcinoma")
SAID = (*TRUTHS, "follicular lymphoma", "")
INFO = EngineInfo(
    name="nano", source="nano", layout="original", weights_sha256="1" * 64, device="cpu", dtype="float32", device_reason="",
    parameters=1, licence="", frames=8, card=Card(),
)  # fmt: skip


def encode(texts: list[str]) -> np.ndarray:
    return np.array([[1.0, 0.0] if "glands" in text.lower() else [0.6, -0.8] for text in texts])


def _answer(name: str, said: str = TRUTHS[0], truth: str | None = TRUTHS[0], **more: object) -> Answer:
    whole = {
        "video": "v",
        "question": "?",
        "reference": "crowded irregular glands",
        "text": said,
        "diagnosis": said,
    }
    return Answer(id=name, truth=truth, **(whole | more))


def _answers(rows: Sequence[tuple[str, str, float, str]]) -> list[Answer]:
    return [
        _answer(str(number), said, truth, confidence=confidence, group=group)
        for number, (truth, said, confidence, group) in enumerate(rows)
    ]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(TRUTHS), st.sampled_from(SAID), st.sampled_from([0.0, 0.15, 0.5, 0.51, 0.9, 1.0]), st.sampled_from("abcde")
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


def _value(name: str, found: Table) -> float:
    return float(BY_NAME[name].value(found, np.ones((1, len(found.ids))))[0])


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_metrics_are_those_of_sklearn_and_of_the_page(rows: list[tuple[str, str, float, str]]) -> None:
    answers = _answers(rows)
    found = table(answers, encode)
    truth, said = [a.truth for a in answers], [a.said for a in answers]
    assert _value("accuracy", found) == pytest.approx(np.mean([a.right for a in answers]))
    assert _value("macro_f1", found) == pytest.approx(
        f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0)
    )
    right, sure = [a.right for a in answers], [a.confidence for a in answers]
    assert _value("brier", found) == pytest.approx(brier_score_loss(right, sure, labels=[0, 1]))
    separation = kept.separation(answers)  # type: ignore[type-var]
    assert _value("risk_area", found) == pytest.approx(separation.risk_area)
    error = sum(
        b.right.count * abs(b.right.value - b.confidence)
        for b in kept.reliability(answers)  # type: ignore[type-var]
    )
    assert _value("calibration_error", found) == pytest.approx(error / len(answers))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=5))
def test_the_error_at_70_percent_is_the_mean_over_all_orders_of_ties(drawn: list[tuple[float, bool]]) -> None:
    """Answers that share a confidence may be answered in any order; the last one may be answered in part."""
    found = table(
        _answers([(TRUTHS[0], TRUTHS[0] if right else "", sure, "a") for sure, right in drawn]), encode
    )
    wanted = 0.7 * len(drawn)
    risks = []
    for order in permutations(drawn):
        if [sure for sure, _ in order] == sorted((sure for sure, _ in drawn), reverse=True):
            parts = [min(max(wanted - place, 0.0), 1.0) for place in range(len(order))]
            risks.append(
                sum(part * (not right) for part, (_, right) in zip(parts, order, strict=True)) / wanted
            )
    assert _value("error_at_70", found) == pytest.approx(np.mean(risks))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.data())
def test_a_weight_is_worth_as_many_questions(
    rows: list[tuple[str, str, float, str]], data: st.DataObject
) -> None:
    """What the bootstrap draws twice counts as if it stood there twice; of nothing drawn there is no value."""
    found = table(_answers(rows), encode)
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    for name, measure in BY_NAME.items():
        if not measure.rows(found).all():
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            (weighted,) = measure.value(found, weights[None].astype(float))
        if weights.sum() == 0:
            assert math.isnan(weighted)
        else:
            repeated = found.take(np.repeat(np.arange(len(rows)), weights))
            assert weighted == pytest.approx(_value(name, repeated)), name


@settings(deadline=None, max_examples=20)
@given(ROWS)
def test_every_interval_holds_its_range_and_a_system_does_not_differ_from_itself(
    rows: list[tuple[str, str, float, str]],
) -> None:
    found = table(_answers(rows), encode)
    drawn = draw_all(found, Draws(found.clusters, 200))
    assert set(drawn) >= {"accuracy", "macro_f1", "brier", "risk_area", "error_at_70"}
    for one in drawn.values():
        estimate, same = one.estimate(), one.minus(one)
        assert one.facts.least <= estimate.low <= estimate.high <= (one.facts.most or math.inf)
        assert (same.value, same.clusters) == (0.0, estimate.clusters)
        if estimate.clusters > 1:
            assert (same.low, same.high) == (0.0, 0.0)


def test_whole_groups_are_drawn() -> None:
    """A hundred questions on two patients, one always right and one always wrong, say little; so do the intervals."""
    rows = [(TRUTHS[0], TRUTHS[0] if n < 50 else "", 0.5, "ab"[n >= 50]) for n in range(100)]
    found = table(_answers(rows), encode)
    estimate = draw_all(found, Draws(found.clusters))["accuracy"].estimate()
    assert (estimate.value, estimate.low, estimate.high, estimate.questions, estimate.clusters) == (
        0.5,
        0.0,
        1.0,
        100,
        2,
    )
    alone = table(_answers([(t, s, c, "a") for t, s, c, _ in rows[:50]]), encode)
    whole = draw_all(alone, Draws(alone.clusters))["accuracy"].estimate()
    assert (whole.value, whole.low, whole.high) == (1.0, 0.0, 1.0)


def test_intervals_are_those_of_scipys_bootstrap_where_it_has_one() -> None:
    rng = np.random.default_rng(0)
    rows = [(TRUTHS[0], TRUTHS[0] if rng.random() < 0.7 else "", 0.5, f"group {n // 3}") for n in range(150)]
    found = table(_answers(rows), encode)
    ours = draw_all(found, Draws(found.clusters))["accuracy"].estimate()
    scipys = Estimate.of(found["right"].tolist(), found.clusters.tolist())
    assert ours.value == pytest.approx(scipys.value)
    assert (ours.low, ours.high) == pytest.approx((scipys.low, scipys.high), abs=0.015)


def test_values_of_single_answers_by_their_definitions() -> None:
    found = measured(
        [
            _answer("same", text="Crowded irregular glands", diagnosis="Colorectal adenocarcinoma."),
            _answer("half", text="glands", diagnosis="carcinoma"),
            _answer("none", text="", diagnosis="", error="unreadable"),
            _answer("open", text="glands", truth=None),
        ],
        encode,
    )
    assert found["same"] == {"rouge_l": 1.0, "similarity": 1.0, "diagnosis": 1.0}
    assert found["half"] == {"rouge_l": pytest.approx(0.5), "similarity": 1.0, "diagnosis": 0.5}
    assert found["none"] == {"rouge_l": 0.0, "similarity": 0.0, "diagnosis": 0.0}
    assert set(found["open"]) == {"rouge_l", "similarity"}


def test_top_3_is_of_systems_with_a_differential() -> None:
    def ranked(name: str, *labels: str) -> Answer:
        return _answer(name, differential=[Candidate(label=label, probability=0.25) for label in labels])

    answers = [
        ranked("third", "a", "b", "Colorectal adenocarcinoma"),
        ranked("fourth", "a", "b", "c", "colon adenocarcinoma"),
        _answer("failed", error="unreadable"),
    ]
    assert table(answers, encode)["top3"].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(table([_answer("plain")], encode)["top3"]).all()


def test_attributes_agree_by_level_and_others_by_their_word() -> None:
    answer = _answer(
        "a",
        description="A close view of a field rich in cells. Grade HIGH.",
        attributes={"fineness": "high-power view", "cellularity": "sparsely cellular", "crowding": "crowded nuclei", "grade": "high"},
    )  # fmt: skip
    assert attribute_agreement(answer) == {
        "fineness": True,
        "cellularity": False,
        "crowding": False,
        "grade": True,
    }
    assert table([answer], encode)["attributes"].tolist() == [0.5]


def test_an_answer_that_is_missing_is_wrong_and_least_sure() -> None:
    rows = [_answer("a", confidence=0.9), _answer("b", "", confidence=None, error="unreadable")]
    found = table(rows, encode)
    assert found["confidence"].tolist() == [0.9, 0.0]
    assert found["answered"].tolist() == [1.0, 0.0]
    unsure = table([*rows, _answer("c", confidence=None)], encode)
    assert not {"brier", "risk_area", "calibration_error"} & set(draw_all(unsure, Draws(unsure.clusters, 10)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_is_the_binomial_of_those_that_differ(drawn: list[tuple[bool, bool]]) -> None:
    first, second = (
        table(_answers([(TRUTHS[0], TRUTHS[0] if pair[side] else "", 0.5, "a") for pair in drawn]), encode)
        for side in (0, 1)
    )
    found = mcnemar(first, second)
    assert found is not None
    ahead, behind = drawn.count((True, False)), drawn.count((False, True))
    changed = ahead + behind
    tail = sum(math.comb(changed, k) for k in range(min(ahead, behind) + 1)) / 2**changed
    assert (found.only_first, found.only_second) == (ahead, behind)
    assert found.p == pytest.approx(min(1.0, 2 * tail) if ahead != behind else 1.0)


def _report(**systems: list[Answer]) -> SetReport:
    first = next(iter(systems.values()))
    said = {name: SystemAnswers(found) for name, found in systems.items()}
    return set_report(set_facts("test.json", "0" * 64, first), INFO, said, encode)  # type: ignore[arg-type]


def test_the_document_holds_what_a_page_needs() -> None:
    rows = [(TRUTHS[n % 3], SAID[n % 5], 0.1 * (n % 10), f"group {n % 7}") for n in range(45)]
    other = [(truth, truth, 0.9, group) for truth, _, _, group in rows]
    report = _report(agent=_answers(rows), model=_answers(other))
    assert SetReport.model_validate_json(report.model_dump_json()) == report
    agent, model = report.systems
    assert (report.set.questions, report.set.groups, report.set.with_diagnosis) == (45, 7, 45)
    assert model.figures["accuracy"] == Estimate(1.0, 1.0, 1.0, 45, 7)
    assert model.figures["macro_f1"].value == 1.0
    assert {name: share.count for name, share in agent.by_class.items()} == dict(
        Counter(row[0] for row in rows)
    )
    assert sum(count for row in agent.confusion.values() for count in row.values()) == 45
    assert all(
        row[truth] == share.value * share.count
        for truth, row in agent.confusion.items()
        if (share := agent.by_class[truth])
    )
    assert agent.risk_coverage[-1].risk == pytest.approx(1 - agent.figures["accuracy"].value)
    assert report.comparisons[0].figures["accuracy"].value == pytest.approx(
        agent.figures["accuracy"].value - 1
    )
    assert report.comparisons[0].figures["accuracy"].high < 0
    assert report.comparisons[0].accuracy is not None
    assert report.comparisons[0].accuracy.only_first == 0


def test_answers_without_any_diagnosis_are_told_apart_from_wrong_ones() -> None:
    words = {"diagnosis": "", "text": "Pink and purple structures."}
    silent = _report(model=[_answer(str(n), **words) for n in range(3)])
    assert silent.systems[0].figures["named"].value == 0
    assert silent.systems[0].figures["coverage"].value == 1
    assert "No answer of the system model names a diagnosis (3 questions)" in silent.cautions[0]
    wrong = _report(model=[_answer(str(n), TRUTHS[1]) for n in range(3)])
    assert (wrong.systems[0].figures["named"].value, wrong.cautions) == (1, [])
    free = {"diagnosis": "", "text": "There are crowded glands. This is lung adenocarcinoma."}
    assert not _report(model=[_answer("1", **free)]).cautions
    declined = _report(agent=[_answer("1", abstained=True)])
    assert "No answer of the system agent" in declined.cautions[0]


def test_what_is_said_beyond_the_table_has_a_column_of_its_own() -> None:
    report = _report(
        agent=[_answer("a", "Warty dyskeratoma"), _answer("b", "follicular lymphoma"), _answer("c", "no diagnosis"), _answer("d", "")]
    )  # fmt: skip
    assert report.systems[0].confusion == {TRUTHS[0]: {OTHER: 1, "follicular lymphoma": 1, NOTHING: 2}}


def test_a_set_without_diagnoses_has_the_figures_of_texts_alone() -> None:
    report = _report(model=[_answer("a", truth=None, confidence=0.5)], blind=[_answer("a", truth=None)])
    assert [metric.name for metric in report.metrics] == ["rouge_l", "similarity", "coverage", "seconds"]
    assert (report.systems[0].confidence, report.systems[0].by_class, report.comparisons[0].accuracy) == (
        "",
        {},
        None,
    )


def test_systems_that_were_asked_other_questions_are_not_compared() -> None:
    with pytest.raises(InputError, match="not asked the same questions"):
        _report(agent=[_answer("a")], model=[_answer("b")])
    with pytest.raises(InputError, match="no answer"):
        _report(agent=[])


def test_a_draw_without_any_of_the_rows_counts_for_nothing() -> None:
    answers = [_answer(str(n), abstained=n > 0, group=str(n), confidence=0.5) for n in range(6)]
    found = table(answers, encode)
    measure = BY_NAME["accuracy_answered"]
    drawn = draw(measure, found, measure.rows(found), Draws(found.clusters, 300))
    assert np.isnan(drawn.values).any()
    assert drawn.estimate() == Estimate(1.0, 0.0, 1.0, 1, 1)


def test_the_page_on_evaluation_names_every_metric_and_control() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/how-to/evaluate.md").read_text(encoding="utf-8")
    assert [m.facts.label for m in BY_NAME.values() if f"| {m.facts.label} |" not in text] == []
    assert [name for name in CONTROLS if f"| `{name}` |" not in text] == []


def test_a_diagnosis_that_no_table_holds_is_shown_as_the_set_writes_it() -> None:
    answers = [
        _answer("1", "ALPHA tumour of X", "ALPHA tumour of X"),
        _answer("2", "alpha TUMOR of x", "ALPHA tumour of X"),
    ]
    (system,) = _report(model=answers).systems
    assert list(system.by_class) == ["ALPHA tumour of X"]
    assert system.confusion == {"ALPHA tumour of X": {"ALPHA tumour of X": 2}}
