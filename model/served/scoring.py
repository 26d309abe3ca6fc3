"""How candidates are scored by a server: four ways, of which the probe of its abilities chooses one.

Each way returns the natural-log probability of each candidate. They are not comparable: a calibration that was fitted on
one way is not used for another.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from videopath.core.choices import ScoreReduction, Scoring
from videopath.core.errors import EngineError
from videopath.model.served.choice import (
    LETTERS,
    ChoiceResult,
    LogProbs,
    balanced_orders,
    choice_text,
    combined,
    distinct_options,
    in_rounds,
    letter_probabilities,
    normalised,
)
from videopath.model.served.connection import RequestRejected
from videopath.model.served.replies import ChatReply, Choice, PromptToken, SystemOneReply

_log = logging.getLogger(__name__)

_END = "R"
"""Sent after a candidate that ends with a line break, since chat templates cut spaces off the end of a message."""
_SAMPLES = 4  # answers of each order, if the server gives several at once
_FEWEST_SAMPLES = 3  # in all, if it does not: a case has two scores, and at most twelve requests
_SAMPLE_TOKENS = 16
_SAMPLE_SEED = 2000
_SMOOTHING = 0.5  # added to the count of each option
_SYSTEM_ONE_ORDERS = 4  # of one request
SYSTEM_ONE_PICTURES = 4
"""Pictures that ``/systemone`` takes."""
LEAST_LETTER_MASS = 0.1
"""Probability of all letters together, below which a model did not answer with a letter."""

_A = TypeVar("_A")
_B = TypeVar("_B")


class Asker(Protocol):
    """What a scorer needs of a session: its frames stand before each text."""

    def chat(self, text: str, *, prefix: str = "", **options: Any) -> ChatReply:
        """Ask a question. ``prefix``: the beginning of the answer, which the server continues."""

    def system_one(self, text: str, questions: dict[str, dict[str, Any]]) -> SystemOneReply:
        """Ask typed questions about at most four of the frames."""

    def together(self, call: Callable[[_A], _B], values: Sequence[_A]) -> list[_B]:
        """Call with each value, several at a time."""

    def note(self, sentence: str) -> None:
        """Add a sentence to the session's notes, once."""


class Scorer(Protocol):
    """A way to score candidates."""

    @property
    def scoring(self) -> Scoring:
        """How the scores come about, in the words of the trace."""

    @property
    def name(self) -> str:
        """What exactly is done, for the hash of the engine."""

    def score(
        self, asker: Asker, question: str, candidates: Sequence[str], start: str, reduce: ScoreReduction
    ) -> list[float]:
        """Return the natural-log probability of each candidate."""


@dataclass(frozen=True)
class TokenProbabilities:
    """The probabilities of a candidate's own tokens, from vLLM's ``prompt_logprobs``: one request a candidate.

    The server cannot use its prefix cache for these requests.
    """

    scoring: Scoring = "token probabilities"
    name: str = "prompt_logprobs"

    def score(
        self, asker: Asker, question: str, candidates: Sequence[str], start: str, reduce: ScoreReduction
    ) -> list[float]:
        """Return the mean or the sum of the log-probabilities of each candidate's tokens."""

        def ask(candidate: str) -> float:
            end = _END if candidate != candidate.rstrip() else ""
            reply = asker.chat(
                question, prefix=start + candidate + end, max_tokens=1, temperature=0.0, prompt_logprobs=1
            )
            logprobs = tail_logprobs(reply.prompt_logprobs, candidate, end)
            return sum(logprobs) / (len(logprobs) if reduce == "mean" else 1)

        distinct = list(dict.fromkeys(candidates))
        scores = dict(zip(distinct, asker.together(ask, distinct), strict=True))
        return [scores[candidate] for candidate in candidates]


def tail_logprobs(prompt: Sequence[dict[str, PromptToken] | None], candidate: str, end: str) -> list[float]:
    """Return the log-probabilities of a candidate's tokens at the end of a prompt.

    Tokens are matched by their letters, without spaces: servers differ in where they put a space. A token that holds the
    border between the text before and the candidate belongs to the candidate. The candidate's own line break belongs to
    it too, if it is a token of its own.

    Args:
        prompt: The prompt's tokens.
        candidate: The candidate, at the end of the prompt.
        end: Text after the candidate.

    Raises:
        EngineError: The prompt does not end with these texts.
    """
    after, wanted, letters = len(_squeezed(end)), _squeezed(candidate), ""
    logprobs: list[float] = []
    for place in reversed(prompt):
        if len(letters) >= after + len(wanted):
            break
        token = _own_token(place)
        text = _squeezed(token.decoded_token or "")
        behind = len(letters)
        letters = text + letters
        if (text and len(letters) > after) or (not text and behind == after and end):
            logprobs.append(token.logprob)
    tail = letters[: len(letters) - after] if after else letters
    if not logprobs or (wanted.isascii() and not tail.endswith(wanted)):
        raise EngineError("The server's prompt_logprobs do not end with the answer that was sent.")
    return logprobs


def _own_token(place: dict[str, PromptToken] | None) -> PromptToken:
    """Return the prompt's own token among those that are reported: the one of the lowest rank."""
    if not place:
        raise EngineError("The server's prompt_logprobs do not end with the answer that was sent.")
    return max(place.values(), key=lambda token: token.rank or 0)


def _squeezed(text: str) -> str:
    return "".join(text.split())


@dataclass(frozen=True)
class LetteredChoice:
    """The probabilities of the first token of a lettered choice: one request an order."""

    top_logprobs: int
    orders: int
    scoring: Scoring = "lettered choice"

    @property
    def name(self) -> str:
        """What exactly is done."""
        return f"top_logprobs {self.top_logprobs}, {self.orders} orders"

    def score(
        self, asker: Asker, question: str, candidates: Sequence[str], start: str, reduce: ScoreReduction
    ) -> list[float]:
        """Return the log-probability of each candidate as the choice."""

        def ask(options: Sequence[str]) -> ChoiceResult:
            def answer(order: Sequence[int]) -> LogProbs:
                shown = [options[place] for place in order]
                reply = asker.chat(
                    choice_text(question, shown, start),
                    max_tokens=1,
                    temperature=0.0,
                    logprobs=True,
                    top_logprobs=self.top_logprobs,
                )
                return by_letters(reply.first, shown, asker)

            return combined(asker.together(answer, balanced_orders(len(options), self.orders)))

        return _chosen(asker, candidates, min(self.top_logprobs, len(LETTERS)), ask)


def first_alternatives(choice: Choice) -> dict[str, float]:
    """Return token → log-probability of the most probable first tokens of an answer; empty if the server gives none.

    Different tokens with the same text are one alternative.
    """
    if not choice.tokens:
        return {}
    first = choice.tokens[0]
    alternatives: dict[str, float] = {}
    for one in first.top_logprobs:
        before = alternatives.get(one.token)
        alternatives[one.token] = one.logprob if before is None else float(np.logaddexp(before, one.logprob))
    return {first.token: first.logprob} | alternatives


def by_letters(choice: Choice, shown: Sequence[str], asker: Asker) -> LogProbs:
    """Return the log-probability of each option that was shown, from the first token of the answer."""
    alternatives = first_alternatives(choice)
    masses = letter_probabilities(alternatives, len(shown)) if alternatives else None
    if masses is None or sum(masses) < LEAST_LETTER_MASS:
        asker.note("The model did not answer a choice with a letter, so scores of this clip say little.")
    if masses is None:
        return normalised(dict.fromkeys(shown, 0.0))
    return normalised({option: math.log(mass) for option, mass in zip(shown, masses, strict=True)})


@dataclass(frozen=True)
class SystemOneChoice:
    """The probabilities of a lettered choice from ``/systemone`` of ``transformers serve``: one request for all orders."""

    orders: int = _SYSTEM_ONE_ORDERS
    scoring: Scoring = "lettered choice"

    @property
    def name(self) -> str:
        """What exactly is done."""
        return f"systemone, {self.orders} orders, {SYSTEM_ONE_PICTURES} pictures"

    def score(
        self, asker: Asker, question: str, candidates: Sequence[str], start: str, reduce: ScoreReduction
    ) -> list[float]:
        """Return the log-probability of each candidate as the choice."""
        begins = f'The answer begins with "{start.strip()}". ' if start.strip() else ""
        instructions = f"{begins}Which of these {'continues it best' if begins else 'is the best answer'}?"

        def ask(options: Sequence[str]) -> ChoiceResult:
            orders = balanced_orders(len(options), self.orders)
            shown = [[options[place] for place in order] for order in orders]
            questions = {
                f"order {number}": {
                    "type": "choice",
                    "instructions": instructions,
                    "criteria": dict.fromkeys(order, None),
                }
                for number, order in enumerate(shown)
            }
            answers = asker.system_one(question, questions).answers
            return combined(
                [
                    _floored(answers[name].probabilities if name in answers else {}, options)
                    for name in questions
                ]
            )

        return _chosen(asker, candidates, len(LETTERS), ask)


def _floored(probabilities: dict[str, float], options: Sequence[str]) -> LogProbs:
    if missing := [option for option in options if option not in probabilities]:
        raise EngineError(f"The server's choice has no probability for {missing[0]!r}.")
    return normalised({option: math.log(max(probabilities[option], 1e-9)) for option in options})


@dataclass
class SampledAnswers:
    """The share of sampled answers that choose each option, with half an answer added to each option.

    Several answers come with one request if the server can do that.
    """

    orders: int
    scoring: Scoring = "sampled answers"
    _answers: int = field(default=_SAMPLES, init=False)  # of a request

    @property
    def name(self) -> str:
        """What exactly is done."""
        return f"sampled answers, {self.orders} orders"

    def score(
        self, asker: Asker, question: str, candidates: Sequence[str], start: str, reduce: ScoreReduction
    ) -> list[float]:
        """Return the log of each candidate's share."""

        def ask(options: Sequence[str]) -> ChoiceResult:
            orders = balanced_orders(len(options), self.orders)

            def answers(number: int) -> list[str | None]:
                shown = [options[place] for place in orders[number % len(orders)]]
                choices = self._sampled(asker, choice_text(question, shown, start), _SAMPLE_SEED + number)
                return [chosen_option(choice.text, shown) for choice in choices]

            votes = asker.together(answers, range(len(orders)))
            while sum(map(len, votes)) < _FEWEST_SAMPLES:
                votes.append(answers(len(votes)))
            if not any(vote for each in votes for vote in each):
                asker.note("No sampled answer named a candidate, so scores of this clip say nothing.")
            shares = [_shares(votes[number :: len(orders)], options) for number in range(len(orders))]
            together = _shares(votes, options)
            return ChoiceResult(together, combined(shares).order_effect)

        return _chosen(asker, candidates, len(LETTERS), ask)

    def _sampled(self, asker: Asker, text: str, seed: int) -> list[Choice]:
        options: dict[str, Any] = {
            "max_tokens": _SAMPLE_TOKENS,
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": seed,
        }
        if self._answers > 1:
            try:
                choices = asker.chat(text, n=self._answers, **options).choices
            except RequestRejected:
                self._answers = 1
            else:
                if len(choices) == 1:
                    self._answers = 1
                return choices
        return asker.chat(text, **options).choices


def chosen_option(answer: str, shown: Sequence[str]) -> str | None:
    """Return the option that an answer chooses, by its letter or by its words; ``None`` if it is not clear."""
    text = answer.strip()
    letter = re.match(r"[\s*(\[\"'`]*([A-Z])(?![A-Za-z0-9'])", text)
    if letter and LETTERS.index(letter[1]) < len(shown):
        return shown[LETTERS.index(letter[1])]
    named = [option for option in shown if option.casefold() in text.casefold()]
    longest = [
        one
        for one in named
        if not any(one != other and one.casefold() in other.casefold() for other in named)
    ]
    if len(longest) == 1:
        return longest[0]
    letters = set(re.findall(r"(?<![A-Za-z0-9'])([B-Z])(?![A-Za-z0-9'])", text))
    places = [LETTERS.index(letter) for letter in letters if LETTERS.index(letter) < len(shown)]
    return shown[places[0]] if len(places) == 1 and not longest else None


def _shares(votes: Sequence[Sequence[str | None]], options: Sequence[str]) -> LogProbs:
    counts = Counter(vote for each in votes for vote in each if vote is not None)
    return normalised({option: math.log(counts[option] + _SMOOTHING) for option in options})


def _chosen(
    asker: Asker, candidates: Sequence[str], limit: int, ask: Callable[[Sequence[str]], ChoiceResult]
) -> list[float]:
    """Return the score of each candidate; those that differ only by spaces around them have the same score."""
    options = distinct_options(candidates)
    if len(options) < 2:
        return [0.0] * len(candidates)
    result = in_rounds(options, max(limit, 2), ask)
    _log.debug("Choice between %d options: orders differ by up to %.2f.", len(options), result.order_effect)
    return [result.log_probabilities[candidate.strip()] for candidate in candidates]
