"""Which records become evidence: each rule by itself, and what holds whatever the scores are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.knowledge import Hit, InstructionRecord
from videopath.knowledge.query import ViewWeights
from videopath.tools.context import ContextRules, fit_of, neighbours_of, ranks_in_words

OFF = {"least": 0.0, "ratio": 0.0, "gap": 1.0, "copy_words": 2.0, "rival": 2.0}
NO_RULES = ContextRules(**OFF)


def only(**rules: float) -> ContextRules:
    return ContextRules(**{**OFF, **rules})


def hit(rank: int, score: float, diagnosis: str = "a", text: str = "", **fields: str) -> Hit:
    about = {"source": f"s{rank}", "description": text or f"words of number {rank * 7919}", **fields}
    record = InstructionRecord(id=f"r{rank}", question="q", diagnosis=diagnosis, **about)
    return Hit(
        record=record, score=score, rank=rank, ranks={"text": rank}, scores={"text": score}, fused=1 / rank
    )


def kept(neighbours) -> list[str]:
    return [neighbour.id for neighbour in neighbours if neighbour.kept]


def why(neighbours, record_id: str) -> str:
    return next(neighbour.why for neighbour in neighbours if neighbour.id == record_id)


def test_how_many_follows_the_scores() -> None:
    scores = [0.8, 0.78, 0.75, 0.4, 0.2]
    hits = [hit(rank, score) for rank, score in enumerate(scores, start=1)]
    assert len(kept(neighbours_of(hits, None, 5, NO_RULES))) == 5
    found = neighbours_of(hits, None, 5, only(ratio=0.75))
    assert kept(found) == ["r1", "r2", "r3"]
    assert why(found, "r4") == "too far: 0.50 of the best fit, 0.75 is needed"
    assert kept(neighbours_of(hits, None, 5, only(least=0.3))) == ["r1", "r2", "r3", "r4"]
    by_gap = neighbours_of(hits, None, 5, only(gap=0.2))
    assert kept(by_gap) == ["r1", "r2", "r3"]
    assert "behind a gap" in why(by_gap, "r4")
    assert kept(neighbours_of(hits, None, 2, NO_RULES)) == ["r1", "r2"]


def test_copies_collapse_into_the_best() -> None:
    text = "Crowded glands with dark nuclei and necrosis"
    hits = [
        hit(1, 0.9, text=text),
        hit(2, 0.89, text=text + "."),
        hit(3, 0.88, text=text, diagnosis="b"),
        hit(4, 0.87, source="s1"),
        hit(5, 0.86, patient="P"),
        hit(6, 0.85, patient="P"),
    ]
    found = neighbours_of(hits, None, 9, only(copy_words=0.8))
    assert kept(found) == ["r1", "r3", "r5"]
    assert why(found, "r2") == why(found, "r4") == "nearly the same as r1"
    assert len(kept(neighbours_of(hits, None, 9, NO_RULES))) == 6


def test_a_rival_is_kept_where_it_is_close() -> None:
    hits = [hit(rank, 0.9 - rank / 1000) for rank in range(1, 8)] + [hit(8, 0.89, "b")]
    found = neighbours_of(hits, None, 3, only(rival=0.95))
    assert kept(found) == ["r1", "r2", "r8"]
    assert [neighbour.id for neighbour in found] == ["r1", "r2", "r3", "r8"]
    assert "a second diagnosis" in why(found, "r8")
    assert kept(neighbours_of(hits, None, 3, NO_RULES)) == ["r1", "r2", "r3"]
    assert kept(neighbours_of([*hits[:7], hit(8, 0.5, "b")], None, 3, only(rival=0.95))) == ["r1", "r2", "r3"]


def test_fit_is_judged_in_every_view_with_vectors() -> None:
    both = hit(1, 0.5).model_copy(update={"scores": {"text": 0.5, "image": 0.9, "lexical": 40.0}})
    text = hit(2, 0.8).model_copy(update={"scores": {"text": 0.8}})
    words = hit(3, 0.0).model_copy(update={"scores": {"lexical": 50.0}})
    assert fit_of([both, text, words]) == pytest.approx([(0.5 / 0.8 + 20) / 21, 1.0, 0.0])
    weighed = fit_of([both, text, words], weights=ViewWeights(text=1.0, image=0.25))
    assert weighed == pytest.approx([(0.5 / 0.8 + 0.25) / 1.25, 1.0, 0.0])
    assert fit_of([both, text, words], weights=ViewWeights(image=0.0))[0] == pytest.approx(0.5 / 0.8)


def test_the_one_that_fits_best_is_kept_wherever_it_stands() -> None:
    hits = [hit(rank, 0.5) for rank in range(1, 6)] + [hit(6, 0.6)]
    found = neighbours_of(hits, None, 3, NO_RULES)
    assert kept(found) == ["r1", "r2", "r6"]
    assert why(found, "r3") == "enough others fit"
    assert kept(neighbours_of(hits, None, 1, ContextRules())) == ["r6"]


def test_a_rival_counts_though_another_rule_left_it_out() -> None:
    hits = [hit(1, 0.8), hit(2, 0.79, "b"), hit(3, 0.2)]
    assert kept(neighbours_of(hits, None, 3, only(gap=0.005))) == ["r1"]
    assert kept(neighbours_of(hits, None, 3, only(gap=0.005, rival=0.95))) == ["r1", "r2"]
    assert kept(neighbours_of(hits, None, 3, only(ratio=1.0, rival=0.95))) == ["r1", "r2"]
    assert kept(neighbours_of(hits, None, 1, only(rival=0.95))) == ["r1"], "there is no room for a second"


def test_where_nothing_is_alike_no_rule_makes_it_so() -> None:
    hits = [hit(1, 0.0), hit(2, 0.0, "b")]
    assert kept(neighbours_of(hits, None, 1, NO_RULES)) == ["r1"]
    assert kept(neighbours_of(hits, None, 2, ContextRules())) == []
    assert neighbours_of([], "colon", 3) == []


def test_ranks_in_words() -> None:
    assert ranks_in_words({"image": 1, "text": 3}) == "text 3, image 1, lexical –"
    assert ranks_in_words({}) == ""


def found_in_both(rank: int, scores: dict[str, float], **fields: str) -> Hit:
    plain = hit(rank, max(scores.values(), default=0.0), **fields)
    return plain.model_copy(update={"scores": scores, "ranks": dict.fromkeys(scores, rank)})


_COSINE = st.floats(-1, 1)
_HITS = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={"text": _COSINE, "image": _COSINE}),
        st.sampled_from("abc"),
        st.sampled_from(["colon", "lung", ""]),
        st.integers(0, 3),
    ),
    max_size=30,
).map(
    lambda drawn: [
        found_in_both(
            rank, scores, diagnosis=label, text=f"text {text} of {label}", **({"site": site} if site else {})
        )
        for rank, (scores, label, site, text) in enumerate(drawn, start=1)
    ]
)
_RULES = st.builds(
    ContextRules,
    least=st.sampled_from([0.0, 0.25, 0.6]),
    ratio=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
    gap=st.sampled_from([0.01, 0.15, 1.0]),
    copy_words=st.sampled_from([0.8, 2.0]),
    rival=st.sampled_from([0.5, 0.95, 2.0]),
)
_SITES = st.sampled_from(["colon", None])
_MOST = st.integers(1, 8)


@given(_HITS, _SITES, _MOST, _RULES)
def test_whatever_the_scores_and_the_rules(
    hits: list[Hit], site: str | None, most: int, rules: ContextRules
) -> None:
    found = neighbours_of(hits, site, most, rules)
    places = [neighbour.rank for neighbour in found]
    assert places == sorted(set(places)), "in the order of the hits, each once"
    assert set(range(1, min(most, len(hits)) + 1)) <= set(places)
    assert all(neighbour.why for neighbour in found)
    evidence = [neighbour for neighbour in found if neighbour.kept]
    assert len(evidence) <= most
    assert all(neighbour.site in (site, None) for neighbour in evidence if site)
    cosines = [
        [neighbour.scores[view] for view in ("text", "image") if view in neighbour.scores]
        for neighbour in evidence
    ]
    assert all(max(of_it, default=0.0) >= rules.least for of_it in cosines if rules.least)


@given(_HITS, _SITES, _MOST, _RULES)
def test_what_fits_best_is_evidence_if_anything_is(
    hits: list[Hit], site: str | None, most: int, rules: ContextRules
) -> None:
    fits = dict(zip([h.rank for h in hits], fit_of(hits, site), strict=True))
    found = neighbours_of(hits, site, most, rules)
    evidence = [neighbour for neighbour in found if neighbour.kept]
    if evidence:
        best = max(fits[neighbour.rank] for neighbour in evidence)
        left = [neighbour for neighbour in found if neighbour.why == "enough others fit"]
        assert all(fits[neighbour.rank] <= best for neighbour in left)
    alone = neighbours_of(hits, site, 1, rules)
    assert sum(neighbour.kept for neighbour in alone) == bool(evidence)


@given(_HITS, _SITES, st.integers(2, 8), _RULES)
def test_one_diagnosis_alone_means_that_no_other_is_close(
    hits: list[Hit], site: str | None, most: int, rules: ContextRules
) -> None:
    fits = dict(zip([h.rank for h in hits], fit_of(hits, site), strict=True))
    evidence = [neighbour for neighbour in neighbours_of(hits, site, most, rules) if neighbour.kept]
    labels = {neighbour.diagnosis for neighbour in evidence}
    if len(labels) != 1 or rules.rival > 1:
        return
    needed = rules.rival * max(fits[neighbour.rank] for neighbour in evidence)
    for other in hits:
        near = max((other.scores.get(view, 0.0) for view in ("text", "image")), default=0.0)
        if other.record.site in (site, None) or site is None:
            close = fits[other.rank] >= needed and (not rules.least or near >= rules.least)
            assert other.record.diagnosis in labels or not close


@given(_HITS, _SITES, _MOST, _RULES)
def test_a_rule_that_is_off_gives_no_reason(
    hits: list[Hit], site: str | None, most: int, rules: ContextRules
) -> None:
    said = {
        "least": "too far: similarity",
        "ratio": "of the best fit, ",
        "gap": "behind a gap",
        "copy_words": "nearly the same as",
        "rival": "a second diagnosis",
    }
    for name, words in said.items():
        found = neighbours_of(hits, site, most, rules.model_copy(update={name: OFF[name]}))
        assert not any(words in n.why and "is needed" in n.why for n in found if name == "ratio")
        assert not any(words in n.why for n in found if name != "ratio")
    everything = neighbours_of(hits, site, max(1, len(hits)), NO_RULES)
    assert all(n.kept or n.why.startswith("from another site") for n in everything)


def test_wrong_rules_are_refused() -> None:
    for wrong in ({"ratio": 2}, {"gap": 0}, {"least": -1}, {"unknown": 1}):
        with pytest.raises(ValueError, match="validation error"):
            ContextRules.model_validate(wrong)
