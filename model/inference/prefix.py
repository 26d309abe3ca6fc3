"""The prefix of a clip: its visual tokens, and the cache of the part that all its prompts share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from videopath.core.errors import InputError
from videopath.media.clip import Clip
from videopath.model.architecture.layout import pool
from videopath.model.architecture.network import Network
from videopath.model.inference.frame_vectors import frame_vectors
from videopath.model.inference.packing import Packing
from videopath.model.inference.prefix_cache import PrefixCache
from videopath.model.prompts.template import IMAGE_TOKEN_ID, build_prompt, text_ids, tokenise

_FRAMES_AT_ONCE = 8  # in the vision tower, whose activations need the most memory
OnFrames = Callable[[int, int], None]
"""Called with (frames encoded, all frames). If it raises, the encoding stops."""

_LOGITS_AT_ONCE = 1 << 28  # numbers; texts and single frames are scored in groups with at most so many logits


class Prefix:
    """The head (system sentence, user header) and the visual block of a clip, encoded and prefilled once.

    A prompt is ``head · visual block · tail``. Prompts differ only in the tail, which holds the question: about 100 of
    6,800 tokens for 32 frames of the 7B model. The last tail stays prefilled, too.
    """

    def __init__(self, network: Network, clip: Clip, on_frames: OnFrames | None = None) -> None:
        self._network = network
        self._head, _ = _prompt_ids(network, "", "")
        block, self._frame_blocks, self.frame_vectors = _visual_blocks(network, clip, on_frames)
        self.length = len(self._head) + len(block)
        if self.length >= network.config.max_length:
            raise InputError(
                f"The {len(clip)} frames need {self.length} tokens, but the model reads at most "
                f"{network.config.max_length}. Use fewer frames."
            )
        self._cache = PrefixCache()
        self._decode([*self._head, IMAGE_TOKEN_ID], [block])
        self._tail: list[int] = []
        self._tail_logits = torch.empty(0)

    def ask(self, question: str, answer_start: str) -> Tensor:
        """Put the prompt's tail after the prefix, in place of the last one.

        Returns:
            Logits ``[vocabulary]`` of the first token of the answer.

        Raises:
            InputError: The prompt is longer than the context.
        """
        tail = self._tail_of(question, answer_start, self.length)
        if tail != self._tail:
            self._tail = []  # if the next line fails, the cache holds no complete tail
            self._cache.rewind(self.length)
            self._tail_logits = self._decode(tail)
            self._tail = tail
        self._cache.rewind(self.length + len(tail))
        return self._tail_logits

    def step(self, token: int) -> Tensor:
        """Append a token of the answer; return the logits ``[vocabulary]`` of the next one."""
        return self._decode([token])

    @property
    def cache(self) -> PrefixCache:
        """Keys and values of the last prompt."""
        return self._cache

    @property
    def room(self) -> int:
        """How many more tokens fit into the context."""
        return self._network.config.max_length - self._cache.get_seq_length()

    @property
    def penalised(self) -> Sequence[int]:
        """Nothing: the repetition penalty covers the answer alone."""
        return ()

    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Return the log-probabilities of each text's tokens after the prompt, ``[tokens]``."""
        first = self.ask(question, answer_start)[None, None]
        past = self.length + len(self._tail)
        packings = self._packings(texts, past)
        return [logprobs[0] for packing in packings for logprobs in self._score_packed(first, past, packing)]

    def _score_packed(self, first: Tensor, past: int, packing: Packing) -> list[Tensor]:
        """Score after the cached prompt of ``past`` tokens; ``first`` are its last logits ``[1, 1, vocabulary]``."""
        if not packing.inputs:
            return packing.log_probabilities(first)
        embeds = self._network.embed(packing.inputs, [])
        rest, _ = self._network.decode(
            embeds,
            cache=self._cache,
            position_ids=packing.positions(past, 0, embeds.device),
            attention_mask=packing.mask(past, 0, embeds.dtype, embeds.device),
        )
        self._cache.rewind(past)
        return packing.log_probabilities(torch.cat([first, rest], dim=1))

    def score_frames(self, question: str, answer_start: str, texts: Sequence[str]) -> list[Tensor]:
        """Return the log-probabilities of each text's tokens with a single frame as visual block, ``[frames, tokens]``."""
        before = len(self._head) + self._frame_blocks.shape[1]
        tail = self._tail_of(question, answer_start, before)
        logprobs: list[Tensor] = []
        for packing in self._packings(texts, before + len(tail)):
            at_once = max(1, self._at_once // (1 + len(packing.inputs)))
            parts = [self._score_group(blocks, tail, packing) for blocks in self._frame_blocks.split(at_once)]
            logprobs += [torch.cat(rows) for rows in zip(*parts, strict=True)]
        return logprobs

    def _score_group(self, blocks: Tensor, tail: list[int], packing: Packing) -> list[Tensor]:
        """Score after each of ``blocks`` ``[frames, N, hidden]``, one row for each frame, without a cache."""
        embed = self._network.embed
        ends = embed(self._head, []), embed(tail + packing.inputs, [])
        rows = torch.cat(
            [ends[0].expand(len(blocks), -1, -1), blocks, ends[1].expand(len(blocks), -1, -1)], dim=1
        )
        context = rows.shape[1] - len(packing.inputs)
        logits, _ = self._network.decode(
            rows,
            position_ids=packing.positions(0, context, rows.device),
            attention_mask=packing.mask(0, context, rows.dtype, rows.device),
            use_cache=False,
            logits_to_keep=1 + len(packing.inputs),
        )
        return packing.log_probabilities(logits)

    def _tail_of(self, question: str, answer_start: str, before: int) -> list[int]:
        tail = _prompt_ids(self._network, question, answer_start)[1]
        limit = self._network.config.max_length
        if before + len(tail) >= limit:
            raise InputError(
                f"The question has {len(tail)} tokens and the clip {before}, but the model reads at most {limit} "
                "together. Shorten the question or use fewer frames."
            )
        return tail

    @property
    def _at_once(self) -> int:
        """Number of positions with logits in memory at the same time."""
        return max(1, _LOGITS_AT_ONCE // len(self._network.tokenizer))

    def _packings(self, texts: Sequence[str], before: int) -> list[Packing]:
        """Pack the texts in their order, as many in one pass as fit into memory and into the context."""
        room = self._network.config.max_length - before
        groups: list[list[list[int]]] = []
        held = limit = min(room, self._at_once)
        for number, text in enumerate(texts):
            tokens = text_ids(self._network.tokenizer, text)
            if not tokens:
                raise InputError(f"A text to score must not be empty; number {number} of {len(texts)} is.")
            if len(tokens) > room:
                raise InputError(
                    f"A text to score has {len(tokens)} tokens, but only {room} fit after the question. Shorten it."
                )
            held += len(tokens)
            if held > limit:
                groups.append([])
                held = len(tokens)
            groups[-1].append(tokens)
        return [Packing(group) for group in groups]

    def _decode(self, ids: list[int], visuals: Sequence[Tensor] = ()) -> Tensor:
        """Append to the cache; return the logits ``[vocabulary]`` of the last position."""
        embeds = self._network.embed(ids, list(visuals))
        logits, _ = self._network.decode(embeds, cache=self._cache, logits_to_keep=1)
        return logits[0, -1]


def _prompt_ids(network: Network, question: str, answer_start: str) -> tuple[list[int], list[int]]:
    """Return head and tail of a prompt: the tokens before and after the visual block."""
    ids = tokenise(network.tokenizer, build_prompt(question, answer_start=answer_start))
    position = ids.index(IMAGE_TOKEN_ID)
    return ids[:position], ids[position + 1 :]


def _visual_blocks(
    network: Network, clip: Clip, on_frames: OnFrames | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the clip's visual block, the block of each single frame, and the vectors of the frames.

    Shapes: ``[N, hidden]``, ``[T, M, hidden]`` and ``[T, dimension]``. An image has no vectors, because its tiles are
    not the whole frame.
    """
    if clip.kind == "image":
        height, width = clip.frames.shape[1:3]
        block = network.image_embeds(network.prepare(clip.frames, "image"), (width, height))
        return block, block[None], None
    groups, vectors = [], []
    for start in range(0, len(clip), _FRAMES_AT_ONCE):
        frames = clip.frames[start : start + _FRAMES_AT_ONCE]
        depths = network.encode_at_depths(network.prepare(frames, "video"))
        groups.append(pool(network.project(depths[-1]), network.config.pool_mode))
        vectors.append(frame_vectors(depths))
        if on_frames:
            on_frames(min(start + _FRAMES_AT_ONCE, len(clip)), len(clip))
    pooled = torch.cat(groups)
    alone = torch.stack([network.pooled_layout(frame[None]) for frame in pooled])
    return network.pooled_layout(pooled), alone, torch.cat(vectors)
