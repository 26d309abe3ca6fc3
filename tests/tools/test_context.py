"""Which records become evidence: each rule by itself, and what holds whatever the scores are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.knowledge import Hit, InstructionRecord
from videopath.tools.context import ContextRules, fit_of, neighbours_of

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
    assert fit_of([both, text, words]) == pytest.approx([(0.5 / 0.8 + 1) / 2, 1.0, 0.0])


_HITS = st.lists(
    st.tuples(
        st.floats(-1, 1), st.sampled_from("abc"), st.sampled_from(["colon", "lung", None]), st.integers(0, 3)
    ),
    max_size=30,
).map(
    lambda drawn: [
        hit(rank, score, label, text=f"text {text} of {label}", **({"site": site} if site else {}))
        for rank, (score, label, site, text) in enumerate(drawn, start=1)
    ]
)


@given(_HITS, st.sampled_from(["colon", None]), st.integers(1, 8), st.booleans())
def test_whatever_the_scores(hits, site, most, ruled) -> None:
    found = neighbours_of(hits, site, most, ContextRules() if ruled else NO_RULES)
    places = [neighbour.rank for neighbour in found]
    assert places == sorted(places)
    assert len(kept(found)) <= most
    assert all(neighbour.why for neighbour in found)
    evidence = [neighbour for neighbour in found if neighbour.kept]
    if site:
        assert all(neighbour.site in (site, None) for neighbour in evidence)
    if ruled:
        assert all(neighbour.score >= 0.25 for neighbour in evidence)
    elif any(site is None or h.record.site in (site, None) for h in hits):
        first = next(h for h in hits if site is None or h.record.site in (site, None))
        assert kept(found)[0] == first.record.id if first.rank <= most else True


def test_wrong_rules_are_refused() -> None:
    for wrong in ({"ratio": 2}, {"gap": 0}, {"least": -1}, {"unknown": 1}):
        with pytest.raises(ValueError, match="validation error"):
            ContextRules.model_validate(wrong)
