"""The lettered choice: the same options in several orders, so that the answer does not depend on where an option stands.

Options are sorted before orders are made, so the order in which a caller gives them has no effect at all. Each option
stands on average in the middle of the list: half of the orders are the reverse of the others. What remains is an effect
of the letters and places of single orders; :class:`ChoiceResult` says how far the orders are apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHER_FORM = "Answer with one letter only, whatever form is asked for above."

LogProbs = dict[str, float]
"""Option → natural-log probability; the probabilities sum to 1."""


@dataclass(frozen=True)
class ChoiceResult:
    """The answer to a choice that was asked in several orders."""

    log_probabilities: LogProbs
    order_effect: float
    """The largest distance between two orders, in [0, 1]: half of the sum of the differences of all probabilities."""


def distinct_options(candidates: Sequence[str]) -> list[str]:
    """Return the distinct candidates without spaces around them, in an order that does not depend on the caller's."""
    return sorted({candidate.strip() for candidate in candidates}, key=lambda text: (text.casefold(), text))


def balanced_orders(count: int, orders: int) -> list[list[int]]:
    """Return different orders of ``count`` options: evenly spaced rotations, each followed by its reverse.

    Args:
        count: Number of options, at least 1.
        orders: Number of orders, at least 1; with few options there are fewer.
    """
    rotations = math.ceil(orders / 2)
    rows: list[list[int]] = []
    for number in range(rotations):
        shift = number * count // rotations
        rotated = [(place + shift) % count for place in range(count)]
        rows += [rotated, rotated[::-1]]
    distinct = list(dict.fromkeys(map(tuple, rows)))
    return [list(row) for row in distinct[:orders]]


def choice_text(question: str, options: Sequence[str], answer_start: str = "") -> str:
    """Return the question for a choice between lettered options.

    Args:
        question: The question that the options answer.
        options: At most 26 options, in the order in which they are shown.
        answer_start: Text that the answer begins with; the options continue it.
    """
    start = answer_start.strip()
    asked = f'The answer begins with "{start}". Which option continues it best?' if start else ""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, "", asked or "Which of these is the best answer?", *lines, _OTHER_FORM])


def letter_probabilities(alternatives: Mapping[str, float], count: int) -> list[float] | None:
    """Return the probability of each of the first ``count`` letters among the alternatives of a token.

    Args:
        alternatives: Token → natural-log probability, of the most probable tokens at a place.
        count: Number of options.

    Returns:
        Probabilities that are not normalised, so their sum says how far the model answered with a letter at all. A letter
        that is not among the alternatives gets the most that it can have: as much as the least probable alternative,
        and no more than what all alternatives leave. ``None`` if no letter is among them.
    """
    masses = dict.fromkeys(LETTERS[:count], 0.0)
    for token, logprob in alternatives.items():
        letter = _letter_of(token)
        if letter in masses:
            masses[letter] += math.exp(logprob)
    if not any(masses.values()):
        return None
    rest = max(1.0 - sum(math.exp(logprob) for logprob in alternatives.values()), 1e-9)
    floor = min(rest, *(math.exp(logprob) for logprob in alternatives.values()))
    floor = max(floor, 1e-9)
    return [mass or floor for mass in masses.values()]


def _letter_of(token: str) -> str:
    return token.strip().strip("*([\"'`.:)]").strip()


def combined(orders: Sequence[LogProbs]) -> ChoiceResult:
    """Return the mean of the log-probabilities of several orders, normalised."""
    if not orders:
        raise ValueError("no order was answered")
    options = list(orders[0])
    mean = {option: sum(order[option] for order in orders) / len(orders) for option in options}
    distances = [
        sum(abs(math.exp(one[option]) - math.exp(other[option])) for option in options) / 2
        for number, one in enumerate(orders)
        for other in orders[:number]
    ]
    return ChoiceResult(normalised(mean), max(distances, default=0.0))


def normalised(log_weights: Mapping[str, float]) -> LogProbs:
    """Return log-weights moved by a constant, so that the probabilities sum to 1."""
    highest = max(log_weights.values())
    total = highest + math.log(sum(math.exp(weight - highest) for weight in log_weights.values()))
    return {option: weight - total for option, weight in log_weights.items()}


def in_rounds(
    options: Sequence[str], limit: int, ask: Callable[[Sequence[str]], ChoiceResult]
) -> ChoiceResult:
    """Ask a choice between any number of options, though at most ``limit`` can be asked about at once.

    Groups of similar size are asked first. The best of each group go into a final round. An option that stays behind keeps
    its ratio to the best of its group (Luce's choice axiom).

    Args:
        options: Distinct options.
        limit: Most options of one question, at least 2.
        ask: Asks about at most ``limit`` options.
    """
    if len(options) <= limit:
        return ask(options)
    count = math.ceil(len(options) / limit)
    groups = [ask(options[number::count]) for number in range(count)]
    kept = max(1, limit // count)
    ranked = [
        sorted(group.log_probabilities, key=group.log_probabilities.__getitem__, reverse=True)
        for group in groups
    ]
    finalists = [option for option in options if any(option in best[:kept] for best in ranked)]
    final = in_rounds(finalists, limit, ask)
    weights = dict(final.log_probabilities)
    for group, best in zip(groups, ranked, strict=True):
        offset = final.log_probabilities[best[0]] - group.log_probabilities[best[0]]
        for option in best[kept:]:
            weights[option] = group.log_probabilities[option] + offset
    effect = max(final.order_effect, *(group.order_effect for group in groups))
    return ChoiceResult(normalised({option: weights[option] for option in options}), effect)
