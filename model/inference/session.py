"""The local session: a clip is encoded and prefilled once, and every answer continues from there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch

from videopath.core.choices import StopReason
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
from videopath.model.inference.engine import Generation, Request
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

    def _first(self, request: Request) -> torch.Tensor:
        """Return the logits ``[vocabulary]`` of the first token of an answer."""
        return self._with_memory(lambda prefix: prefix.ask(request.question, request.answer_start))


def answer_together(sessions: Sequence[LocalSession], requests: Sequence[Request]) -> list[Generation]:
    """Answer one request in each of several sessions of one engine. Each pass adds one token to every answer.

    The answers equal those of :meth:`LocalSession.generate`, except for the rounding of larger matrix products. This needs
    memory for a copy of each session's keys and values.

    Args:
        sessions: Sessions of one engine.
        requests: One request for each session.

    Raises:
        InputError: An option is out of range, or a question is too long.
        EngineError: The GPU's memory is too small, or a session is busy or closed.
    """
    for request in requests:
        check_generation(request.max_new_tokens, request.temperature, request.top_p, request.seed)
    began = time.perf_counter()
    with ExitStack() as turns:
        for session in sessions:
            turns.enter_context(session._turn())
        network = sessions[0]._network
        logits = [session._first(request) for session, request in zip(sessions, requests, strict=True)]
        prefixes = [session._prefix() for session in sessions]
        penalty = network.config.repetition_penalty
        answers = [
            GrowingAnswer(
                sessions[0]._speech,
                TokenSampler(request.temperature, request.top_p, penalty),
                request.seed,
                request.on_token,
            )
            for request in requests
        ]
        with memory_error_as_engine_error():
            stopped = _write_together(network, prefixes, answers, torch.stack(logits), requests)
    seconds = (time.perf_counter() - began) / len(sessions)
    return [
        Generation(answer.text, answer.tokens, answer.logprobs, seconds, reason)
        for answer, reason in zip(answers, stopped, strict=True)
    ]


def _write_together(
    network: Network,
    prefixes: Sequence[Prefix],
    answers: Sequence[GrowingAnswer],
    logits: torch.Tensor,
    requests: Sequence[Request],
) -> list[StopReason]:
    """Write all answers and return why each ended; ``logits`` ``[B, vocabulary]`` give the first tokens.

    Rows that have ended are ignored.
    """
    rooms = [
        min(request.max_new_tokens, prefix.room) for request, prefix in zip(requests, prefixes, strict=True)
    ]
    lengths = torch.tensor(
        [[prefix.cache.get_seq_length()] for prefix in prefixes], device=logits.device
    )  # [B, 1]
    cache = side_by_side([prefix.cache for prefix in prefixes])
    longest = cache.get_seq_length()
    positions = torch.arange(longest + max(rooms, default=0), device=logits.device)
    seen = (positions >= longest - lengths).long()  # [B, longest + rooms]: all but the padding
    stopped: list[StopReason | None] = [None] * len(answers)
    for number in range(max(rooms)):
        for place, (answer, request, row) in enumerate(zip(answers, requests, logits, strict=True)):
            if stopped[place] is None and request.cancelled is not None and request.cancelled():
                stopped[place] = "cancelled"
            if stopped[place] is None and number < rooms[place]:
                answer.add(row)
                stopped[place] = "eos" if answer.ended else "length" if number + 1 == rooms[place] else None
        if None not in stopped:
            break
        last = torch.tensor(
            [[answer.tokens[-1] if answer.tokens else 0] for answer in answers], device=logits.device
        )
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
    return [reason or "length" for reason in stopped]
