"""One differential out of the model's and the cases', and who vouches for its first label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videopath.agent.decision.confidence import features
from videopath.agent.decision.fusion import fuse
from videopath.agent.decision.verdict import BlankAnswers, Verdict, weigh
from videopath.agent.policy import Policy
from videopath.evaluation.tiles.fitting import Trial, fit_calibration
from videopath.evaluation.tiles.grounding import fit_seen_margins
from videopath.media.synthetic import render_case
from videopath.model.calibration import (
    DEFAULT_WEIGHTS,
    FUSION_OF_CASES,
    FUSION_OF_MODEL,
    SEEN_OVER_FRAMES,
    SEEN_OVER_STAND_INS,
    Calibration,
)
from videopath.model.card import Card
from videopath.tools.schemas import CasesVote, DiagnoseResult, RetrieveResult

Diagnosed = Callable[..., DiagnoseResult]
Voted = Callable[..., CasesVote]

CALIBRATION = {**DEFAULT_WEIGHTS, "abstain_threshold": 0.6}
LISTED = Card(labels={"colon": ["adenoma", "mucosa"]}, unknown_label="not known", calibration=CALIBRATION)
FUSING = LISTED.model_copy(
    update={"calibration": {**CALIBRATION, FUSION_OF_MODEL: 0.3, FUSION_OF_CASES: 1.0}}
)


def weighed(
    final: DiagnoseResult,
    vote: CasesVote | None,
    card: Card,
    site: str | None = "colon",
    policy: Policy | None = None,
    of_blank: float = 0.0,
    **found: object,
) -> Verdict:
    retrieved = RetrieveResult.model_validate({"query": "", "neighbours": [], "vote": vote, **found})
    fused = fuse(final, vote, site, card)
    values = features(fused.final, final, [], 0.9, vote)
    return weigh(
        fused,
        retrieved,
        values,
        site,
        card,
        policy or Policy(),
        BlankAnswers(labels=set, probabilities=lambda labels: dict.fromkeys(labels, of_blank)),
    )


def test_the_cases_can_overrule_a_hesitant_model(diagnosed: Diagnosed, voted: Voted) -> None:
    fused = fuse(
        diagnosed({"adenoma": 0.6, "mucosa": 0.4}), voted({"mucosa": 0.95, "adenoma": 0.05}), "colon", FUSING
    )
    assert (fused.basis, fused.by, fused.final.label) == ("fused", "by the cases", "mucosa")
    first = fused.final.differential[0]
    assert (first.of_model, first.of_cases) == (0.4, 0.95)
    assert sum(candidate.probability for candidate in fused.final.differential) == pytest.approx(1)
    assert "cases" in first.support


def test_a_sure_model_stands_against_a_divided_vote(diagnosed: Diagnosed, voted: Voted) -> None:
    fused = fuse(
        diagnosed({"adenoma": 0.99, "mucosa": 0.01}),
        voted({"mucosa": 0.55, "adenoma": 0.45}),
        "colon",
        FUSING,
    )
    assert (fused.final.label, fused.by) == ("adenoma", "by the model")


def test_without_fitted_weights_nothing_is_fused_and_who_disagrees_abstains(
    diagnosed: Diagnosed, voted: Voted
) -> None:
    final = diagnosed({"adenoma": 0.9, "mucosa": 0.1})
    against = voted({"mucosa": 0.95, "adenoma": 0.05})
    found = weighed(final, against, LISTED)
    assert fuse(final, against, "colon", LISTED).final.label == "mucosa"
    assert found.reasons[0].startswith("The model says adenoma, the similar cases mucosa")
    assert weighed(final, voted({"adenoma": 0.95, "mucosa": 0.05}), LISTED).reasons == []
    vote = voted({"mucosa": 0.95, "adenoma": 0.05}, vouches=False, reasons=["They are too few."])
    fused = fuse(diagnosed({"adenoma": 0.6, "mucosa": 0.4}), vote, "colon", LISTED)
    assert (fused.basis, fused.final.label) == ("model", "adenoma")
    assert [candidate.of_cases for candidate in fused.final.differential] == [0.05, 0.95]


def test_a_laboratory_has_diagnoses_of_its_own(diagnosed: Diagnosed, voted: Voted) -> None:
    vote = voted({"villous adenoma": 0.9, "tubular adenoma": 0.1})
    found = weighed(diagnosed({"adenoma": 0.99, "mucosa": 0.01}), vote, LISTED)
    fused = fuse(diagnosed({"adenoma": 0.99, "mucosa": 0.01}), vote, "colon", LISTED)
    assert (fused.basis, fused.final.label) == ("cases", "villous adenoma")
    assert (found.reasons, found.confidence, found.calibrated) == ([], 0.96, True)
    assert [(v.by, bool(v.reasons)) for v in found.vouchers] == [("model", True), ("cases", False)]
    assert "vouched for by the similar cases" in str(found)


def test_at_a_site_that_the_model_does_not_know_the_cases_answer(diagnosed: Diagnosed, voted: Voted) -> None:
    vote = voted({"osteosarcoma": 0.9, "bone": 0.1}, site="bone")
    assert weighed(diagnosed({"not known": 1.0}), vote, LISTED, "bone").reasons == []
    doubt = "Add cases of 2 more patients."
    unsure = voted({"osteosarcoma": 0.9, "bone": 0.1}, site="bone", vouches=False, reasons=[doubt])
    found = weighed(diagnosed({"not known": 1.0}), unsure, LISTED, "bone")
    assert found.reasons[0] == doubt
    assert any("was not trained on tissue of the bone" in reason for reason in found.reasons)


def test_a_model_that_nobody_calibrated_is_vouched_for_by_the_cases(
    diagnosed: Diagnosed, voted: Voted
) -> None:
    free = Card()
    vote = voted({"adenoma": 0.9, "mucosa": 0.1})
    found = weighed(diagnosed({"adenoma": 0.7, "carcinoma": 0.3}), vote, free)
    assert (found.reasons, found.calibrated, found.confidence) == ([], True, 0.96)
    alone = weighed(diagnosed({"adenoma": 0.7, "carcinoma": 0.3}), None, free)
    assert not alone.calibrated
    assert any("never measured" in reason for reason in alone.reasons)


def test_a_model_does_not_vouch_for_tissue_unlike_its_own(diagnosed: Diagnosed, voted: Voted) -> None:
    final = diagnosed({"adenoma": 0.99, "mucosa": 0.01})
    like = voted({"adenoma": 0.9, "mucosa": 0.1}, vouches=False, reasons=["x"])
    unlike = like.model_copy(update={"from_here": False})
    assert weighed(final, like, LISTED, voters_are_known_tissue=True).reasons == []
    found = weighed(final, unlike, LISTED, voters_are_known_tissue=True)
    assert found.reasons[0] == "The picture is unlike the tissue that the model was measured on."
    assert weighed(final, like, LISTED, known_tissue=unlike).reasons[0] == found.reasons[0]


def test_a_label_that_is_as_likely_of_nothing_is_not_vouched_for(diagnosed: Diagnosed) -> None:
    final = diagnosed({"adenoma": 0.95, "mucosa": 0.05})
    assert weighed(final, None, LISTED, of_blank=0.9).reasons == []
    found = weighed(final, None, LISTED, of_blank=0.96)
    assert found.reasons == ["The model says 'adenoma' of a blank video as well."]
    assert weighed(final, None, LISTED, of_blank=0.96, policy=Policy(show_blank=False)).reasons == []


def test_a_diagnosis_may_need_more_confidence_than_others(diagnosed: Diagnosed) -> None:
    final = diagnosed({"adenoma": 0.95, "mucosa": 0.05})
    usual = weighed(final, None, LISTED)
    strict = LISTED.model_copy(update={"calibration": {**CALIBRATION, "abstain_threshold.adenoma": 0.999}})
    assert usual.reasons == []
    assert any(
        "0.999" in r or "1.00, which is needed for 'adenoma'" in r
        for r in weighed(final, None, strict).reasons
    )
    assert weighed(final, None, strict, policy=Policy(abstain_threshold=0.5)).reasons == []


def test_a_users_threshold_holds_for_the_cases_too(diagnosed: Diagnosed, voted: Voted) -> None:
    vote = voted({"villous adenoma": 0.9, "tubular adenoma": 0.1})
    found = weighed(diagnosed({"adenoma": 1.0}), vote, LISTED, policy=Policy(abstain_threshold=0.99))
    assert any("0.96 of such cases; 0.99 is needed" in reason for reason in found.reasons)


def trials(trial: Callable[..., Trial], helpful: bool) -> list[Trial]:
    """A model that is right in 70%, and cases that are right in 95% of them, or in half."""
    rng = np.random.default_rng(4)
    found = []
    for number in range(160):
        truth = ("adenoma", "mucosa")[number % 2]
        other = "mucosa" if truth == "adenoma" else "adenoma"
        said = truth if rng.random() < 0.7 else other
        seen = truth if rng.random() < (0.95 if helpful else 0.5) else other
        vote = {seen: 0.9, ("mucosa" if seen == "adenoma" else "adenoma"): 0.1}
        found.append(trial(truth, said, rng.uniform(0.55, 0.95), f"group {number // 4}", vote))
    return found


def test_weights_are_fitted_to_what_helps(trial: Callable[..., Trial]) -> None:
    card = LISTED.model_copy(update={"calibration": {}})
    helped = fit_calibration(trials(trial, helpful=True), card)
    assert helped[FUSION_OF_CASES] > 2 * helped[FUSION_OF_MODEL]
    assert helped["confidence.cases"] >= 0
    assert fit_calibration(trials(trial, helpful=False), card)[FUSION_OF_CASES] < 0.3
    known = card.model_copy(update={"calibration": helped})
    answers = [(t, t.fused(known)) for t in trials(trial, helpful=True)]
    right = np.mean([answer.label == t.truth for t, answer in answers])
    assert right > 0.9 > np.mean([t.final.label == t.truth for t, _ in answers])


def test_a_diagnosis_that_is_taken_for_another_is_not_given_out(trial: Callable[..., Trial]) -> None:
    rng = np.random.default_rng(0)
    always = [trial("adenoma", "adenoma", rng.uniform(0.9, 0.99), f"a{n}") for n in range(60)]
    mantle = [trial("mantle", "mucosa", rng.uniform(0.9, 0.99), f"m{n}") for n in range(12)]
    mucosa = [trial("mucosa", "mucosa", rng.uniform(0.85, 0.95), f"b{n}") for n in range(30)]
    calibration = fit_calibration([*always, *mantle, *mucosa], LISTED.model_copy(update={"calibration": {}}))
    needed = Policy().threshold(Calibration(calibration), "mucosa")
    assert needed > Policy().threshold(Calibration(calibration), "adenoma")


def test_answers_that_are_all_right_do_not_make_a_model_sure_of_itself(trial: Callable[..., Trial]) -> None:
    answers = [trial("adenoma", "adenoma", group=str(n)) for n in range(40)]
    calibration = fit_calibration(answers, Card())
    assert 0.9 < Calibration(calibration).confidence(answers[0].features(answers[0].final)) < 0.99


def test_a_sentence_is_seen_where_it_is_preferred_more_than_wrong_ones_are(
    trial: Callable[..., Trial], nano_engine: object, tmp_path: Path
) -> None:
    from videopath.tools.session_pool import SessionPool

    video = render_case(tmp_path / "case.mp4", seconds=1, size=(96, 96))
    told = {
        "adenoma": tuple(f"Gland {n} is crowded." for n in range(9)),
        "mucosa": tuple(f"Crypt {n} is straight." for n in range(9)),
    }
    trials = [
        replace(trial(name, name, group=f"{name} {n}"), video=str(video), sentences=sentences)
        for name, sentences in told.items()
        for n in range(2)
    ]
    found = fit_seen_margins(SessionPool(nano_engine), trials)
    assert set(found) == {SEEN_OVER_FRAMES, SEEN_OVER_STAND_INS}
    assert fit_seen_margins(SessionPool(nano_engine), trials[:2]) == {}  # of one diagnosis alone
