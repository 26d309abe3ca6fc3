"""What the answer would be without one of the similar cases."""

from __future__ import annotations

import pytest

from videopath.agent.decision.fusion import fuse
from videopath.agent.decision.without import answer_without
from videopath.knowledge.voting.vote import Ballot, shares_of
from videopath.model.card import Card
from videopath.tools.schemas import Candidate, CaseBallot, CasesVote, DiagnoseResult, ModelCall

_VOTES = {"a": ("adenoma", 1.0), "b": ("carcinoma", 0.7), "c": ("adenoma", 0.2)}


def _vote(*ids: str) -> CasesVote:
    ballots = [
        CaseBallot(id=name, group=name, diagnosis=_VOTES[name][0], similarity=0.9, weight=_VOTES[name][1])
        for name in ids
    ]
    shares = shares_of([Ballot(**ballot.model_dump()) for ballot in ballots], ["adenoma", "carcinoma"])
    return CasesVote(
        diagnosis=next(iter(shares)), shares=shares, site="colon", ballots=ballots, nearness=0.9, own=1.0,
        probability=None, from_here=True, vouches=True,
    )  # fmt: skip


def _differential(vote: CasesVote, fitted: dict[str, float]) -> list[Candidate]:
    of_model = [Candidate(label="adenoma", probability=0.45), Candidate(label="carcinoma", probability=0.55)]
    call = ModelCall(prompt="", prompt_sha256="", seconds=0.0, device="cpu", model="m")
    result = DiagnoseResult(
        label="carcinoma", generated="carcinoma", generated_differs=False, differential=of_model,
        rationale="", scores={}, samples=[], answer="", call=call,
    )  # fmt: skip
    return fuse(result, vote, "colon", Card(), fitted).final.differential


def test_a_fused_answer_without_a_case_is_that_of_a_fusion_of_the_others() -> None:
    fitted = {"fusion.model": 0.8, "fusion.cases": 1.3}
    said = answer_without(
        _vote("a", "b", "c"), _differential(_vote("a", "b", "c"), fitted), ["a"], "fused", 1.3
    )
    expected = _differential(_vote("b", "c"), fitted)[0]
    assert said is not None
    assert (said.cases, said.answer) == ("carcinoma", expected.label)
    assert said.probability == pytest.approx(expected.probability)


def test_where_the_model_leads_its_answer_stays() -> None:
    differential = [Candidate(label="carcinoma", probability=0.55, of_model=0.55)]
    said = answer_without(_vote("a", "b"), differential, ["b"], "model", None)
    assert said is not None
    assert (said.answer, said.probability, said.cases) == ("carcinoma", 0.55, "adenoma")


def test_where_the_cases_lead_the_others_answer() -> None:
    said = answer_without(
        _vote("a", "b"), [Candidate(label="adenoma", probability=0.6)], ["a"], "cases", None
    )
    assert said is not None
    assert said.answer == said.cases == "carcinoma"


def test_without_the_only_case_nobody_votes() -> None:
    said = answer_without(_vote("a"), [Candidate(label="adenoma", probability=1.0)], ["a"], "cases", None)
    assert said is not None
    assert (said.cases, said.answer) == ("", "")


def test_a_case_without_a_vote_changes_no_vote() -> None:
    assert answer_without(_vote("a"), [], ["b"], "fused", 1.0) is None
