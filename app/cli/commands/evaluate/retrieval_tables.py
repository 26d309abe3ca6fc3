"""The figures of ``videopath evaluate retrieval`` as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.evaluation.retrieval.context import ContextRow
    from videopath.evaluation.retrieval.effect import AnswerChange, Effect
    from videopath.evaluation.retrieval.measurement import Difference, Fit, RetrievalSummary, Row, Way
    from videopath.evaluation.stats.estimates import Share
    from videopath.knowledge import ViewWeights

_SHOWN = ("recall@1", "recall@5", "recall@10", "success@5", "mrr@10", "ndcg@10")
_GRID_ROWS = 12
_CHANGE_HEAD = ("clips", "right blind", "right after", "helped", "hurt", "unchanged", "p", "kept ones right")


def retrieval_lines(summary: RetrievalSummary) -> Iterator[str]:
    """Yield the lines of all tables of one set."""
    yield (
        f"## {summary.name}: {summary.questions:,} questions of {summary.clusters:,} patients or groups, "
        f"{summary.knowledge.records:,} records"
    )
    for way, relevance in dict.fromkeys((row.way, row.relevance) for row in summary.rows):
        rows = [row for row in summary.rows if (row.way, row.relevance) == (way, relevance)]
        questions = rows[0].figures["ndcg@10"].questions
        yield f"\n### {_way(way)}, relevant by {relevance} ({questions:,} questions)\n"
        yield from _table(
            ("view", "weights", *_SHOWN, "nDCG@10 less"),
            (_row(row, summary.differences) for row in rows),
        )
    leak = summary.leak
    yield "\n### own records among the first ten\n"
    yield from _table(
        ("nothing excluded", "near-identical frames excluded", "own names excluded"),
        [(str(leak.without), str(leak.by_frames) if leak.by_frames else "–", str(leak.by_names))],
    )
    if summary.fit:
        yield from _fit(summary.fit)


def context_lines(rows: Sequence[ContextRow]) -> Iterator[str]:
    """Yield the lines of the tables of the context rules: the evidence that they choose, and what each rule gains."""
    from videopath.evaluation.retrieval.context import METRICS

    if not rows:
        return
    questions = rows[0].figures["right"].questions
    yield f"\n### evidence chosen, site given, own patient or group excluded ({questions:,} questions)\n"
    yield from _table(
        ("rules", "kept", *METRICS),
        (
            (row.setting or "default", f"{row.kept:.2f}", *(str(row.figures[m]) for m in METRICS))
            for row in rows
        ),
    )
    yield "\n### default less other rules\n"
    yield from _table(
        ("rules", *METRICS),
        ((row.setting, *(str(row.gained[m]) for m in METRICS)) for row in rows if row.gained),
    )


def effect_lines(effects: Sequence[Effect]) -> Iterator[str]:
    """Yield the lines of the effect on the agent, by set-up and by number of similar cases kept."""
    yield "## effect on the agent\n"
    yield from _table(("set-up", *_CHANGE_HEAD), ((e.setup, *_change(e.all)) for e in effects))
    yield "\n### by the number of similar cases kept\n"
    yield from _table(
        ("set-up", "kept", *_CHANGE_HEAD),
        ((e.setup, str(count), *_change(part)) for e in effects for count, part in e.by_kept.items()),
    )


def _row(row: Row, differences: Sequence[Difference]) -> tuple[str, ...]:
    """The figures of a view, with its differences to the other views and the fusion."""
    less = [
        f"{difference.figures['ndcg@10']} ({difference.system} − {difference.less})"
        for difference in differences
        if (difference.way, difference.relevance) == (row.way, row.relevance)
        and row.system == (difference.system if difference.less == "fused" else difference.less)
    ]
    return (
        row.system,
        _weights(row.weights),
        *(str(row.figures[metric]) for metric in _SHOWN),
        "; ".join(less) or "–",
    )


def _fit(fit: Fit) -> Iterator[str]:
    yield f"\n### weights on the calibration side ({fit.questions:,} questions, nDCG@10 by diagnosis)\n"
    yield from _table(
        ("text : image : lexical", "site not given", "site given"),
        (
            (_weights(w), f"{without_site:.4f}", f"{with_site:.4f}")
            for w, without_site, with_site in fit.grid[:_GRID_ROWS]
        ),
    )


def _change(change: AnswerChange) -> tuple[str, ...]:
    return (
        str(change.clips),
        _percent(change.blind),
        _percent(change.final),
        _percent(change.helped),
        _percent(change.hurt),
        _percent(change.unchanged),
        f"{change.p:.3g}",
        _percent(change.kept_right) if change.kept_right.count else "–",
    )


def _percent(share: Share) -> str:
    return f"{share.value:.1%} ({share.low:.1%}–{share.high:.1%})"


def _weights(weights: ViewWeights) -> str:
    return f"{weights.text:g} : {weights.image:g} : {weights.lexical:g}"


def _way(way: Way) -> str:
    site = "site given" if way.site_given else "site not given"
    return f"{site}, own patient or group {'excluded' if way.excluded else 'not excluded'}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
