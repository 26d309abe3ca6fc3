"""The prefix of a clip before a model of another family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from videopath.core.errors import InputError
from videopath.model.families.family import Positions
from videopath.model.families.forked_cache import forked
from videopath.model.families.network import CacheUse, FamilyNetwork
from videopath.model.families.prompting import FramePrompts
from videopath.model.inference.prefix_cache import PrefixCache

_LOGITS_AT_ONCE = 1 << 28  # numbers; texts are scored in groups with at most so many logits


class FamilyPrefix(ABC):
    """A clip before a model; an ``AnsweringPrefix``. :func:`new_prefix` chooses the kind."""

    def __init__(self, network: FamilyNetwork, prompts: FramePrompts) -> None:
        self._network = network
        self._prompts = prompts
        self._tokens: list[int] = []  # of the last prompt
        self._answered = 0  # tokens of the answer that were fed

    @abstractmethod
    def ask(self, question: str, answer_start: str) -> Tensor:
        """Return the logits ``[vocabulary]`` of the first token of the answer."""

    @abstractmethod
    def step(self, token: int) -> Tensor:
        """Append a token of the answer; return the logits ``[vocabulary]`` of the next one."""

    @abstractmethod
    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Return the log-probabilities of each text's tokens after the prompt, ``[tokens]``."""

    @property
    def room(self) -> int:
        """How many more tokens fit into the context."""
        return self._network.max_length - len(self._tokens) - self._answered

    @property
    def penalised(self) -> Sequence[int]:
        """The whole prompt: transformers' repetition penalty covers it, and the model's penalty was chosen for that."""
        return self._tokens if self._network.speech.repetition_penalty != 1 else ()

    def score_frames(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Return the log-probabilities of each text's tokens with a single frame as the clip, ``[frames, tokens]``."""
        rows = []
        for place in range(len(self._prompts)):
            alone = new_prefix(self._network, self._prompts.alone(place))
            rows.append(alone.score(question, answer_start, texts))
        return [torch.stack(own) for own in zip(*rows, strict=True)]

    def _prompt(self, question: str, answer_start: str) -> list[int]:
        tokens, limit = self._prompts.tokens(question, answer_start), self._network.max_length
        if len(tokens) >= limit:
            raise InputError(
                f"The question and the {len(self._prompts)} frames have {len(tokens)} tokens, but the model reads at most "
                f"{limit}. Shorten the question or use fewer frames."
            )
        return tokens

    def _continuations(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts to score after the last prompt."""
        found = [self._network.processor.continuation(text) for text in texts]
        for number, tokens in enumerate(found):
            if not tokens:
                raise InputError(f"A text to score must not be empty; number {number} of {len(texts)} is.")
            if len(tokens) > self.room:
                raise InputError(
                    f"A text to score has {len(tokens)} tokens, but only {self.room} fit after the question. Shorten it."
                )
        return found


class _PrefilledPrefix(FamilyPrefix):
    """The tokens up to the last picture are prefilled once; every prompt continues from there. The last one stays, too."""

    def __init__(self, network: FamilyNetwork, prompts: FramePrompts, cache: Cache) -> None:
        super().__init__(network, prompts)
        self._length = prompts.beginning
        self._positions, _ = network.begin(prompts, prompts.ids[: self._length], cache)
        self._logits = torch.empty(0)

    def ask(self, question: str, answer_start: str) -> Tensor:
        """Put the prompt after the pictures, in place of the last one."""
        tokens = self._prompt(question, answer_start)
        if tokens != self._tokens:
            self._tokens = []  # if the next line fails, the cache holds no complete prompt
            self._logits = self._prefilled(tokens[self._length :])
            self._tokens = tokens
        self._answered = 0
        return self._logits

    @abstractmethod
    def _prefilled(self, tail: list[int]) -> Tensor:
        """Put what follows the pictures into the cache; return the logits ``[vocabulary]`` of its last token."""

    def _fed(self, rows: list[list[int]], past: int, cache: Cache, *, all_logits: bool = False) -> Tensor:
        """Feed rows of tokens after a cache of ``past`` tokens; return logits ``[rows, tokens or 1, vocabulary]``."""
        return self._network.proceed(rows, past, cache, self._positions, all_logits=all_logits)


class RewoundPrefix(_PrefilledPrefix):
    """For caches of keys and values: each prompt and each answer overwrites the one before."""

    def __init__(self, network: FamilyNetwork, prompts: FramePrompts) -> None:
        self._cache = PrefixCache()
        super().__init__(network, prompts, self._cache)

    def step(self, token: int) -> Tensor:
        """Append a token of the answer."""
        past = len(self._tokens) + self._answered
        self._cache.rewind(past)
        self._answered += 1
        return self._fed([[token]], past, self._cache)[0, -1]

    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Score all texts as one padded batch, or as few as fit into memory."""
        first = self.ask(question, answer_start)
        self._cache.rewind(len(self._tokens))
        groups = self._groups(self._continuations(texts))
        return [logprobs for group in groups for logprobs in self._score_group(first, group)]

    def _prefilled(self, tail: list[int]) -> Tensor:
        self._cache.rewind(self._length)
        return self._fed([tail], self._length, self._cache)[0, -1]

    def _score_group(self, first: Tensor, group: list[list[int]]) -> list[Tensor]:
        """Score texts in one pass; padding stands behind a text, where nothing before it sees it."""
        longest = max(map(len, group))
        if longest == 1:
            return [_log_probabilities(first[None], tokens) for tokens in group]
        rows = [[*tokens[:-1], *[0] * (longest - len(tokens))] for tokens in group]
        logits = self._fed(rows, len(self._tokens), forked(self._cache), all_logits=True)
        return [
            _log_probabilities(torch.cat([first[None], own[: len(tokens) - 1]]), tokens)
            for own, tokens in zip(logits, group, strict=True)
        ]

    def _groups(self, texts: list[list[int]]) -> Iterator[list[list[int]]]:
        """Divide texts, in their order, into groups with few enough logits."""
        limit = max(1, _LOGITS_AT_ONCE // self._network.vocabulary)
        group: list[list[int]] = []
        for tokens in texts:
            if group and (len(group) + 1) * max(len(tokens), *map(len, group)) > limit:
                yield group
                group = []
            group.append(tokens)
        if group:
            yield group


class CopiedPrefix(_PrefilledPrefix):
    """For caches with states that forget, as of linear attention: each prompt and each answer continues a copy."""

    def __init__(self, network: FamilyNetwork, prompts: FramePrompts) -> None:
        self._beginning = network.own_cache()
        self._asked = self._writing = self._beginning
        super().__init__(network, prompts, self._beginning)

    def step(self, token: int) -> Tensor:
        """Append a token of the answer."""
        if self._answered == 0:
            self._writing = deepcopy(self._asked)
        past = len(self._tokens) + self._answered
        self._answered += 1
        return self._fed([[token]], past, self._writing)[0, -1]

    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Score each text in its own copy of the cache."""
        first = self.ask(question, answer_start)
        return [self._score_one(first, tokens) for tokens in self._continuations(texts)]

    def _prefilled(self, tail: list[int]) -> Tensor:
        self._asked = deepcopy(self._beginning)
        return self._fed([tail], self._length, self._asked)[0, -1]

    def _score_one(self, first: Tensor, tokens: list[int]) -> Tensor:
        rows = [first[None]]
        if len(tokens) > 1:
            logits = self._fed([tokens[:-1]], len(self._tokens), deepcopy(self._asked), all_logits=True)
            rows.append(logits[0])
        return _log_probabilities(torch.cat(rows), tokens)


class WholePrompts(FamilyPrefix):
    """Every prompt is computed from its first picture on, for models whose cache cannot go back."""

    _cache: Cache
    _positions: Positions

    def ask(self, question: str, answer_start: str) -> Tensor:
        """Compute the whole prompt."""
        self._tokens = self._prompt(question, answer_start)
        self._cache = self._network.own_cache()
        self._positions, logits = self._network.begin(self._prompts, self._tokens, self._cache)
        self._answered = 0
        return logits[0, -1]

    def step(self, token: int) -> Tensor:
        """Append a token of the answer."""
        past = len(self._tokens) + self._answered
        self._answered += 1
        return self._network.proceed([[token]], past, self._cache, self._positions)[0, -1]

    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Score each text on its own, with the whole prompt before it."""
        self._tokens, self._answered = self._prompt(question, answer_start), 0
        return [self._score_one(tokens) for tokens in self._continuations(texts)]

    def _score_one(self, tokens: list[int]) -> Tensor:
        row = [*self._tokens, *tokens[:-1]]
        _, logits = self._network.begin(self._prompts, row, None, keep=len(tokens))
        return _log_probabilities(logits[0], tokens)


def new_prefix(network: FamilyNetwork, prompts: FramePrompts) -> FamilyPrefix:
    """Prefill the frames, unless the model's cache cannot be used again."""
    kinds: dict[CacheUse, Callable[[FamilyNetwork, FramePrompts], FamilyPrefix]] = {
        "rewound": RewoundPrefix,
        "copied": CopiedPrefix,
        "none": WholePrompts,
    }
    return kinds[network.cache_use](network, prompts)


def _log_probabilities(logits: Tensor, tokens: list[int]) -> Tensor:
    """Return the log-probabilities ``[tokens]`` of tokens, each predicted by a row of logits ``[tokens, vocabulary]``."""
    chosen = torch.tensor(tokens, device=logits.device)[:, None]
    return logits.gather(-1, chosen)[:, 0] - logits.logsumexp(-1)
