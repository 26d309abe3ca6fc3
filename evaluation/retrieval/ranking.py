"""Metrics of ranked lists: recall, success, reciprocal rank and nDCG by trec_eval, with intervals over patients.

The metrics are those of trec_eval (Buckley and Voorhees), bound by ``pytrec_eval`` (Van Gysel and de Rijke, SIGIR 2018). All use
the first :data:`DEPTH` ranks:

- ``recall@k``: hits among the first k divided by min(k, relevant records). A diagnosis often has hundreds of records, which no list of
  k can hold; the cap makes 1 reachable. With at least k relevant records it equals precision@k.
- ``success@k``: whether at least one of the first k is relevant.
- ``mrr@10``: 1 / rank of the first relevant record; 0 if the first ten have none.
- ``ndcg@10``: Järvelin and Kekäläinen (TOIS 2002) with gain 1 for a relevant record; the ideal list has only relevant ones.

Questions about one patient, slide or field are not independent. So the 95% intervals come from a bootstrap that draws whole patients or
groups, and differences pair the same questions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from videopath.core.installing import require
from videopath.evaluation.stats.estimates import Estimate

CUTS = (1, 5, 10)
DEPTH = 10
METRICS: tuple[str, ...] = (
    *(f"recall@{cut}" for cut in CUTS),
    *(f"success@{cut}" for cut in CUTS),
    "mrr@10",
    "ndcg@10",
)


@dataclass(frozen=True)
class Ranked:
    """The values of one question, and its cluster."""

    cluster: str
    values: dict[str, float]
    """Metric → value in [0, 1]."""


def judged(
    rankings: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Collection[str]],
    clusters: Mapping[str, str],
) -> dict[str, Ranked]:
    """Return the values of each question.

    Args:
        rankings: Question → record ids, best first. Ids beyond the tenth are ignored.
        relevant: Question → ids of relevant records. Questions without one are left out.
        clusters: Question → patient, slide or field.
    """
    require("pytrec_eval", "pytrec-eval-terrier", "benchmark", "An evaluation of retrieval")
    from pytrec_eval import RelevanceEvaluator

    answerable = {question: list(ids)[:DEPTH] for question, ids in rankings.items() if relevant.get(question)}
    if not answerable:
        return {}
    evaluator = RelevanceEvaluator(
        {question: dict.fromkeys(relevant[question], 1) for question in answerable},
        {f"P.{_CUT_LIST}", f"success.{_CUT_LIST}", "recip_rank", "ndcg_cut.10"},
    )
    runs = {
        question: {name: float(DEPTH - rank) for rank, name in enumerate(ids)}
        for question, ids in answerable.items()
        if ids
    }
    measures = evaluator.evaluate(runs)
    return {
        question: Ranked(clusters[question], _values(measures.get(question, {}), len(relevant[question])))
        for question in answerable
    }


def figures(ranked: Mapping[str, Ranked], metrics: Sequence[str] = METRICS) -> dict[str, Estimate]:
    """Return metric → mean over the questions."""
    clusters = [one.cluster for one in ranked.values()]
    return {
        metric: Estimate.of([one.values[metric] for one in ranked.values()], clusters) for metric in metrics
    }


def differences(
    ranked: Mapping[str, Ranked], other: Mapping[str, Ranked], metrics: Sequence[str] = METRICS
) -> dict[str, Estimate]:
    """Return metric → mean of ``ranked`` minus ``other``, paired over the questions of both."""
    both = [question for question in ranked if question in other]
    clusters = [ranked[question].cluster for question in both]
    return {
        metric: Estimate.of(
            [ranked[question].values[metric] - other[question].values[metric] for question in both],
            clusters,
            least=-1.0,
        )
        for metric in metrics
    }


_CUT_LIST = ",".join(map(str, CUTS))


def _values(measures: Mapping[str, float], relevant: int) -> dict[str, float]:
    """Return trec_eval's values under our names; all 0 for an empty list, which trec_eval leaves out."""
    recall = {f"recall@{cut}": measures.get(f"P_{cut}", 0.0) * cut / min(cut, relevant) for cut in CUTS}
    success = {f"success@{cut}": measures.get(f"success_{cut}", 0.0) for cut in CUTS}
    return {
        **recall,
        **success,
        "mrr@10": measures.get("recip_rank", 0.0),
        "ndcg@10": measures.get("ndcg_cut_10", 0.0),
    }
