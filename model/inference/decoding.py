"""From logits to tokens to text: repetition penalty, sampling, and decoding piece by piece."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class TokenSampler:
    """Chooses the next token."""

    temperature: float
    """0 takes the most probable token. Above 0, logits are divided by it and a token is drawn."""
    top_p: float
    """A token is drawn from the fewest tokens that together have at least this probability (Holtzman 2019)."""
    repetition_penalty: float
    """Positive logits of tokens in the answer are divided by it, negative ones multiplied (CTRL, Keskar 2019)."""

    def choose(self, logits: Tensor, answer: list[int], generator: torch.Generator) -> int:
        """Return the next token after ``answer``; ``logits`` is float32 ``[vocabulary]`` and is not changed."""
        logits = self._penalised(logits, answer)
        if self.temperature == 0:
            return int(logits.argmax())
        probabilities = (logits / self.temperature).softmax(-1).cpu()  # one generator for all devices
        return int(torch.multinomial(self._nucleus(probabilities), 1, generator=generator))

    def _penalised(self, logits: Tensor, answer: list[int]) -> Tensor:
        if self.repetition_penalty == 1 or not answer:
            return logits
        seen = torch.tensor(sorted(set(answer)), device=logits.device)
        scores = logits[seen]
        scores = torch.where(scores < 0, scores * self.repetition_penalty, scores / self.repetition_penalty)
        return logits.index_copy(0, seen, scores)

    def _nucleus(self, probabilities: Tensor) -> Tensor:
        """Return the probabilities with zero outside the nucleus, not normalised."""
        if self.top_p >= 1:
            return probabilities
        ordered, order = probabilities.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered
        return probabilities.index_fill(0, order[before >= self.top_p], 0.0)


class TextStream:
    """Decodes tokens one by one and returns text as soon as its last character is complete.

    A character of several bytes may be split over several tokens. Tokenizers like Llama's write the space before a word
    only if another word stands before it, and decode single bytes only when their row ends. All pieces together equal
    ``tokenizer.decode(tokens, skip_special_tokens=True)``.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []  # the tokens of the last piece
        self._before_text = ""
        self._pending: list[int] = []

    def push(self, token: int) -> str:
        """Return the text that this token completes; empty while a character is incomplete."""
        self._pending.append(token)
        if _BYTE.fullmatch(str(self._tokenizer.convert_ids_to_tokens(token))):
            return ""
        text = self._decode()
        if text.endswith(_UNFINISHED):
            return ""
        self._forget(text)
        return text

    def flush(self) -> str:
        """Return the rest of the text; incomplete characters become U+FFFD."""
        text = self._decode()
        self._forget(text)
        return text

    def _forget(self, text: str) -> None:
        if text:
            self._before, self._before_text = self._pending, self._text(self._pending)
        self._pending = []

    def _decode(self) -> str:
        return self._text(self._before + self._pending)[len(self._before_text) :]

    def _text(self, tokens: list[int]) -> str:
        return str(
            self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )
