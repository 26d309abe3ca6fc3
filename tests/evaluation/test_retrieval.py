"""How retrieval is measured: the metrics, their intervals, the questions, and what is never an answer."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from videopath.app.cli.main import app
from videopath.core.errors import InputError
from videopath.core.jsonl import JsonLines
from videopath.evaluation.retrieval import sets as retrieval_sets
from videopath.evaluation.retrieval.context import MOST, RULES_OFF, candidates, context_rows
from videopath.evaluation.retrieval.effect import AnswerChange, EffectOutcome, setups, summarise_effect
from videopath.evaluation.retrieval.measurement import (
    FITTED,
    FUSED,
    WAYS,
    RetrievalSet,
    chosen_weights,
    evaluate_retrieval,
    fit_weights,
    leak,
    names_found,
    summarise_retrieval,
    systems,
)
from videopath.evaluation.retrieval.ranking import METRICS, differences, figures, judged
from videopath.evaluation.retrieval.sets import tile_record, wsi_base, wsi_set
from videopath.evaluation.stats.estimates import Estimate
from videopath.knowledge.query import Query, ViewWeights
from videopath.tools.context import ContextRules
from videopath.training.data import corpus

NOT_GIVEN, GIVEN, LEAKING, _ = WAYS


def test_values_of_a_ranked_list_are_those_of_their_formulas() -> None:
    values = judged({"q": ["a", "x", "b"]}, {"q": {"a", "b", "c"}}, {"q": "p"})["q"].values
    assert set(values) == set(METRICS)
    assert values["recall@1"] == values["success@1"] == values["mrr@10"] == 1.0
    assert values["recall@5"] == values["recall@10"] == pytest.approx(2 / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert values["ndcg@10"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)


def test_recall_is_capped_where_no_list_could_hold_all_relevant_records() -> None:
    relevant = {f"r{number}" for number in range(100)}
    ranked = judged({"q": [f"r{number}" for number in range(10)]}, {"q": relevant}, {"q": "p"})["q"]
    assert set(ranked.values.values()) == {1.0}


def test_only_the_first_ten_places_count() -> None:
    ranked = judged({"q": [*"abcdefghij", "relevant"]}, {"q": {"relevant"}}, {"q": "p"})["q"]
    assert set(ranked.values.values()) == {0.0}


def test_a_question_that_finds_nothing_counts_and_one_without_an_answer_does_not() -> None:
    found = judged(
        {"empty": [], "none": ["a"], "right": ["a"]},
        {"empty": {"a"}, "none": set(), "right": {"a"}},
        dict.fromkeys(("empty", "none", "right"), "p"),
    )
    assert set(found) == {"empty", "right"}
    assert figures(found)["ndcg@10"].value == 0.5
    assert judged({"none": ["a"]}, {"none": set()}, {"none": "p"}) == {}


def test_questions_of_one_patient_count_as_one_in_the_interval() -> None:
    values = [0.0, 1.0] * 50
    apart = Estimate.of(values, [str(number) for number in range(100)])
    together = Estimate.of(sorted(values), [str(number // 10) for number in range(100)])
    assert apart.value == together.value == 0.5
    assert (apart.clusters, together.clusters) == (100, 10)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert apart == Estimate.of(values, [str(number) for number in range(100)]), "always the same"
    assert (Estimate.of([1.0], ["a"]).low, Estimate.of([0.25, 0.75], ["a", "a"]).value) == (0.0, 0.5)
    with pytest.raises(InputError, match="No question"):
        Estimate.of([], [])


def test_a_difference_is_taken_question_by_question() -> None:
    clusters = {str(number): str(number) for number in range(20)}
    relevant = {question: {"a"} for question in clusters}
    first = judged({question: ["a"] for question in clusters}, relevant, clusters)
    second = judged({question: ["x", "a"] for question in clusters}, relevant, clusters)
    assert differences(first, first)["mrr@10"].value == 0.0
    found = differences(first, second)["mrr@10"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5), "no question differs from another"


REPORTS = {
    "TCGA-LUSC": "Sheets of squamous cells with keratin pearls and intercellular bridges.",
    "TCGA-LUAD": "Acinar glands with mucin and lepidic growth along alveolar walls.",
    "TCGA-THCA": "Papillae with nuclear grooves, pseudoinclusions and colloid.",
}


EXTRAS = (
    "mitoses",
    "fibrosis",
    "lymphocytes",
    "oedema",
    "haemorrhage",
    "calcification",
    "giant cells",
    "ulcers",
)


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients of each of three projects, two records each; what they say is the project's but for a word."""
    entries = [
        {
            "id": f"TCGA-{number:02d}-{project[-4:]}-01Z-00-DX1.abc-{turn}",
            "image": f"{project}/TCGA-{number:02d}-{project[-4:]}-01Z-00-DX1.abc.pt",
            "conversations": [
                {"from": "human", "value": "What is seen?"},
                {"from": "gpt", "value": f"{text} Many {extra}{'!' * turn}. Diagnosis: {project}"},
            ],
        }
        for project, text in REPORTS.items()
        for number, extra in enumerate(EXTRAS)
        for turn in (0, 1)
    ]
    path = tmp_path_factory.mktemp("text") / "conversations.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def asked(conversations: Path, cache: Path) -> RetrievalSet:
    return wsi_set(wsi_base(conversations, cache), "test", 100)


def test_no_patient_is_on_two_sides(asked: RetrievalSet) -> None:
    other = wsi_set(asked.base, "calibration", 100)
    sides = [{question.cluster for question in side.questions} for side in (asked, other)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 24
    assert sum(len(side.questions) for side in (asked, other)) == 48


def test_questions_do_not_hold_their_answer(asked: RetrievalSet) -> None:
    assert {question.diagnosis for question in asked.questions} == set(REPORTS)
    assert not [question for question in asked.questions if "TCGA" in question.text]
    assert [len(wsi_set(asked.base, "test", 1, words).questions) for words in (1, 100)] == [3, 0]


def test_an_own_patient_is_found_only_where_it_is_not_excluded_and_the_question_itself_never(
    asked: RetrievalSet,
) -> None:
    for question in asked.questions:
        excluded, leaking = (
            names_found(asked, question, ViewWeights(1, 0, 0), way) for way in (NOT_GIVEN, LEAKING)
        )
        assert question.id not in excluded + leaking
        assert not [name for name in excluded if asked.members[name].cluster == question.cluster]
        assert [name for name in leaking if asked.members[name].cluster == question.cluster]
    found = leak(asked)
    assert (found.without.value, found.by_names.value, found.by_frames) == (1.0, 0.0, None)


@pytest.mark.parametrize("weights", [ViewWeights(1, 0, 0), ViewWeights(1, 0, 0.5), ViewWeights(0, 0, 1)])
def test_what_is_kept_of_the_views_is_fused_as_the_knowledge_base_does(
    asked: RetrievalSet, weights: ViewWeights
) -> None:
    for question in asked.questions:
        query = Query(question.text, exclude=question.own)
        hits = [hit.record.id for hit in asked.base.find(query, 10, weights).hits]
        assert names_found(asked, question, weights, NOT_GIVEN) == hits


def test_a_site_with_one_diagnosis_is_no_question_where_the_site_is_given(asked: RetrievalSet) -> None:
    rows = [row for row, _ in evaluate_retrieval(asked)]
    given = next(row for row in rows if row.way == GIVEN)
    assert set(given.by_diagnosis) == {"TCGA-LUSC", "TCGA-LUAD"}
    assert {row.relevance for row in rows if row.way == GIVEN} == {"diagnosis"}
    assert {row.relevance for row in rows if row.way == NOT_GIVEN} == {"diagnosis", "site"}


def test_all_figures_of_a_set_are_plain_json(asked: RetrievalSet) -> None:
    fit = chosen_weights(fit_weights(asked), len(asked.questions))
    rows = list(evaluate_retrieval(asked, fit))
    summary = summarise_retrieval(asked, rows, fit)
    told = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert {row["system"] for row in told["rows"]} == {"text", "lexical", FUSED, FITTED}
    assert {(d["system"], d["less"]) for d in told["differences"]} == {
        (FUSED, "text"),
        (FUSED, "lexical"),
        (FITTED, FUSED),
    }
    assert told["rows"][0]["figures"]["recall@5"]["questions"] == len(asked.questions)
    assert told["knowledge"]["records"] == 48
    right = next(row for row in summary.rows if row.system == FUSED and row.way == NOT_GIVEN)
    assert right.figures["recall@10"].value > 0.9, "records of a project say the same"


def test_weights_that_rank_alike_are_tried_once_and_the_simplest_of_equals_is_chosen(
    asked: RetrievalSet,
) -> None:
    tried = [weights for weights, *_ in fit_weights(asked)]
    assert sorted((weights.text, weights.lexical) for weights in tried) == [
        (0.0, 0.25), (1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0),
    ]  # fmt: skip
    grid = [
        (ViewWeights(1, 0, 1), 0.5, 0.0),
        (ViewWeights(1, 0, 0), 0.5, 0.0),
        (ViewWeights(0, 0, 1), 0.4, 1.0),
    ]
    assert chosen_weights(grid, 3).chosen == ViewWeights(1, 0, 0)


def test_what_was_built_is_used_again(conversations: Path, cache: Path, asked: RetrievalSet) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert wsi_base(conversations, cache).info() == asked.base.info()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_a_set_without_questions_is_refused(asked: RetrievalSet) -> None:
    nothing = RetrievalSet("wsi", asked.base, asked.members, [])
    with pytest.raises(InputError, match="No question of wsi"):
        list(evaluate_retrieval(nothing))


def test_each_view_is_left_out_of_three() -> None:
    from types import SimpleNamespace

    base: Any = SimpleNamespace(image_encoder=object())
    found = systems(RetrievalSet("tiles", base, {}, []))
    assert list(found) == ["text", "image", "lexical", "text+image", "text+lexical", "image+lexical", FUSED]
    assert found["text+image"].lexical == 0
    assert found[FUSED] == ViewWeights()


def _outcome(blind: str, final: str, kept: int = 1) -> EffectOutcome:
    return EffectOutcome("starter", "a.png", "right", blind, final, kept, kept, 0.5, False)


def test_helped_and_hurt_are_told_apart() -> None:
    outcomes = [
        *[_outcome("wrong", "right")] * 5,
        *[_outcome("right", "Right.", kept=0)] * 3,
        *[_outcome("wrong", "other")] * 2,
    ]
    (effect,) = summarise_effect(outcomes)
    assert (effect.all.helped.value, effect.all.hurt.value, effect.all.unchanged.value) == (0.5, 0.0, 0.5)
    assert (effect.all.blind.value, effect.all.final.value) == (0.3, 0.8)
    assert effect.all.p == pytest.approx(2 * 0.5**5)
    assert {kept: part.clips for kept, part in effect.by_kept.items()} == {0: 3, 1: 7}
    assert effect.by_kept[0].p == 1.0
    with pytest.raises(InputError):
        AnswerChange.of([])


@pytest.fixture(scope="module")
def small_data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve groups of each of two colon classes, a tile each."""
    with (shared / "data" / "manifest.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["label"] in ("colon_aca", "colon_n")]
    first = {row["group_id"]: row for row in reversed(rows)}
    chosen = [
        row
        for label in ("colon_aca", "colon_n")
        for row in [row for row in first.values() if row["label"] == label][:12]
    ]
    data = tmp_path_factory.mktemp("data")
    with (data / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    for row in chosen:  # no links: what leads out of the folder is not looked at
        (data / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "data" / row["path"], data / row["path"])
    return data


def test_a_tile_s_record_is_always_the_same_and_names_its_group(small_data: Path) -> None:
    sample = corpus.read_tiles(small_data)[0]
    record = tile_record(sample, small_data)
    assert record == tile_record(sample, small_data)
    assert (record.group, record.diagnosis) == (sample.group, sample.diagnosis)
    assert (small_data / record.media[0].path).is_file()
    assert sample.diagnosis not in record.description


def test_a_damaged_line_of_kept_clips_is_named_and_a_half_written_one_left_out(tmp_path: Path) -> None:
    clip = retrieval_sets.SeenClip(
        tile="a", description="d", description_at_site="d", vectors=[[1.0]], fingerprints="00"
    )
    path = tmp_path / "clips.jsonl"
    path.write_text(clip.model_dump_json() + '\n{"tile": "b')
    kept = JsonLines(path)
    assert list(retrieval_sets._kept_clips(kept)) == [clip]
    kept.append(clip.model_dump_json())
    assert list(retrieval_sets._kept_clips(kept)) == [clip, clip]
    path.write_text("[]\n")
    with pytest.raises(InputError, match="Line 1"):
        list(retrieval_sets._kept_clips(kept))


@pytest.fixture
def videopath() -> Callable[..., Result]:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.mark.slow
def test_a_dozen_tiles_are_measured_with_the_real_model(
    small_data: Path, tmp_path: Path, videopath: Callable[..., Result]
) -> None:
    out, cache = tmp_path / "figures.json", tmp_path / "cache"
    arguments = ["evaluate", "retrieval", "--data", small_data, "--set", "tiles", "--cache", cache]

    answer = videopath(*arguments, "--fit", "--agent", "--out", out)

    assert answer.exit_code == 0, answer.stderr
    figures = json.loads(out.read_text())
    (tiles,) = figures["sets"]
    assert tiles["questions"] == 4
    assert tiles["knowledge"]["records"] == 24
    assert {row["system"] for row in tiles["rows"]} >= {"text", "image", "lexical", FUSED, FITTED}
    assert tiles["leak"]["without"]["value"] == 1.0
    assert tiles["leak"]["by_names"]["value"] == 0.0
    assert [row["setting"] for row in tiles["context"]] == [*RULES_OFF, "no rule"]
    assert tiles["context"][0]["gained"] is None
    assert "### default less other rules" in answer.stdout
    assert [(effect["setup"], effect["all"]["clips"]) for effect in figures["effect"]] == [
        ("none", 4),
        ("starter", 4),
        ("tiles", 4),
    ]
    assert figures["effect"][0]["by_kept"]["0"] == figures["effect"][0]["all"]
    assert "| image | 0 : 20 : 0 |" in answer.stdout
    kept = sorted(path.name for path in cache.iterdir())

    again = videopath(*arguments, "--json")

    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["sets"][0]["leak"] == tiles["leak"]
    assert sorted(path.name for path in cache.iterdir()) == kept


def test_each_rule_is_switched_off_in_turn(asked: RetrievalSet, nano_engine: Any, tmp_path: Path) -> None:
    found = dict(setups(nano_engine, asked.base, 0, tmp_path, each_rule=True))
    for agent in found.values():
        agent.close()
    assert list(found)[:3] == ["none", "starter", "starter, no least"]
    assert len(found) == 1 + 2 * (1 + len(ContextRules.model_fields)), "every rule has its switch"


def test_evidence_is_judged_with_and_without_records_of_the_true_diagnosis(asked: RetrievalSet) -> None:
    found = list(candidates(asked))
    for one in found:
        shown = [asked.members[hit.record.id] for hit in one.hits]
        assert {member.site for member in shown} == {one.question.site}
        assert one.question.cluster not in {member.cluster for member in shown}
        hidden = [hit for hit in one.hits if asked.members[hit.record.id].diagnosis != one.question.diagnosis]
        assert [hit.record.id for hit in one.hidden][: len(hidden)] == [hit.record.id for hit in hidden]
    rows = {row.setting: row for row in context_rows(asked, found)}
    unruled = rows["no rule"]
    assert unruled.kept == MOST
    by_hand = [
        np.mean([asked.members[hit.record.id].diagnosis == one.question.diagnosis for hit in one.hits[:MOST]])
        for one in found
    ]
    assert unruled.figures["right"].value == pytest.approx(np.mean(by_hand))
    of_the_lung = np.mean([one.question.site == "lung" for one in found])
    assert unruled.figures["wrong, hidden"].value == pytest.approx(of_the_lung), (
        "the thyroid has one diagnosis"
    )
    assert rows[""].figures["wrong, hidden"].value <= of_the_lung
    assert rows[""].gained is None
    for name, row in rows.items():
        if row.gained:
            less = rows[""].figures["right"].value - row.figures["right"].value
            assert row.gained["right"].value == pytest.approx(less), name
    assert context_rows(asked, []) == []


def test_the_vectors_of_texts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def encode(self: object, texts: list[str], progress: object = None) -> np.ndarray:
        asked.extend(texts)
        return np.ones((len(texts), 384), np.float32)

    monkeypatch.setattr("videopath.knowledge.index.embedder.Embedder.encode", encode)
    embedder = retrieval_sets.RememberingEmbedder()
    for _ in range(2):
        assert embedder.encode(["a"]).shape == (1, 384)
    assert embedder.encode(["a", "b"]).shape == (2, 384)
    assert asked == ["a", "a", "b"]
