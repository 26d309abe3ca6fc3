"""The local session: a clip is encoded and prefilled once, and every answer continues from there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch

from videopath.media.clip import Clip
from videopath.model.architecture.network import Network
from videopath.model.inference.answering import (
    GrowingAnswer,
    PrefixSession,
    Speech,
    memory_error_as_engine_error,
)
from videopath.model.inference.arguments import check_generation
from videopath.model.inference.decoding import TokenSampler
from videopath.model.inference.engine import Generation
from videopath.model.inference.frame_vectors import encode_frames
from videopath.model.inference.prefix import OnFrames, Prefix
from videopath.model.inference.prefix_cache import side_by_side


class LocalSession(PrefixSession[Prefix]):
    """One clip before a local network; :class:`videopath.model.inference.engine.Session` describes the methods."""

    def __init__(self, network: Network, clip: Clip, on_frames: OnFrames | None = None) -> None:
        super().__init__(clip, network.device)
        self._network = network
        self._on_frames = on_frames
        self._prefill()

    def frame_vectors(self) -> np.ndarray:
        """Return each frame as the vision tower sees it: float32 [T, dimension], each row of length 1."""
        with self._turn():
            kept = self._with_memory(lambda prefix: prefix.frame_vectors)
            return encode_frames(self._network, self.clip.frames) if kept is None else kept.cpu().numpy()

    @property
    def _speech(self) -> Speech:
        config = self._network.config
        return Speech(self._network.tokenizer, config.eos_token_ids, config.repetition_penalty)

    def _new_prefix(self) -> Prefix:
        return Prefix(self._network, self.clip, self._on_frames)

    def _first(self, question: str) -> torch.Tensor:
        """Return the logits ``[vocabulary]`` of the first token of an answer."""
        return self._with_memory(lambda prefix: prefix.ask(question, ""))


def generate_together(
    sessions: Sequence[LocalSession], questions: Sequence[str], *, max_new_tokens: int = 256
) -> list[Generation]:
    """Answer one question in each of several sessions of one engine, greedily. Each pass adds one token to every answer.

    The answers equal those of :meth:`LocalSession.generate`, except for the rounding of larger matrix products. This needs
    memory for a copy of each session's keys and values.

    Args:
        sessions: Sessions of one engine.
        questions: One question for each session.
        max_new_tokens: Most tokens of an answer, at least 1.

    Raises:
        InputError: ``max_new_tokens`` is below 1, or a question is too long.
        EngineError: The GPU's memory is too small, or a session is busy or closed.
    """
    check_generation(max_new_tokens, 0.0, 1.0, None)
    began = time.perf_counter()
    with ExitStack() as turns:
        for session in sessions:
            turns.enter_context(session._turn())
        network = sessions[0]._network
        logits = [session._first(question) for session, question in zip(sessions, questions, strict=True)]
        prefixes = [session._prefix() for session in sessions]
        sampler = TokenSampler(0.0, 1.0, network.config.repetition_penalty)
        answers = [GrowingAnswer(sessions[0]._speech, sampler, 0, None) for _ in sessions]
        with memory_error_as_engine_error():
            _write_together(network, prefixes, answers, torch.stack(logits), max_new_tokens)
    seconds = (time.perf_counter() - began) / len(sessions)
    return [
        Generation(answer.text, answer.tokens, answer.logprobs, seconds, "eos" if answer.ended else "length")
        for answer in answers
    ]


def _write_together(
    network: Network,
    prefixes: Sequence[Prefix],
    answers: Sequence[GrowingAnswer],
    logits: torch.Tensor,
    limit: int,
) -> None:
    """Write all answers; ``logits`` ``[B, vocabulary]`` give the first tokens. Rows that have ended are ignored."""
    rooms = [min(limit, prefix.room) for prefix in prefixes]
    lengths = torch.tensor(
        [[prefix.cache.get_seq_length()] for prefix in prefixes], device=logits.device
    )  # [B, 1]
    cache = side_by_side([prefix.cache for prefix in prefixes])
    longest = cache.get_seq_length()
    positions = torch.arange(longest + limit, device=logits.device)
    seen = (positions >= longest - lengths).long()  # [B, longest + limit]: all but the padding
    for number in range(max(rooms)):
        for answer, row, room in zip(answers, logits, rooms, strict=True):
            if number < room and not answer.ended:
                answer.add(row)
        unfinished = [
            number + 1 < room and not answer.ended for answer, room in zip(answers, rooms, strict=True)
        ]
        if not any(unfinished):
            break
        last = torch.tensor([[answer.tokens[-1]] for answer in answers], device=logits.device)
        next_logits, _ = network.decode(
            network.embed_tokens(last),
            cache=cache,
            position_ids=lengths + number,
            attention_mask=seen[:, : longest + number + 1],
            logits_to_keep=1,
        )
        logits = next_logits[:, -1]
    for answer in answers:
        answer.close()
