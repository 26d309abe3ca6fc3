"""Examples as token ids: the questions of one example share its visual and stand one after the other in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import Dataset

from videopath.model.architecture.network import Network
from videopath.model.prompts.questions import DIAGNOSIS_START
from videopath.model.prompts.template import END_OF_TURN, IMAGE_TOKEN_ID, build_prompt, tokenise
from videopath.training.scratch.examples import Example, ExampleMaker
from videopath.training.scratch.question_answers import QuestionAnswer

_DIAGNOSIS_WEIGHT = 3.0
"""Weight of a diagnosis token in the loss; other tokens of an answer have 1. A diagnosis is short and matters most."""


@dataclass(frozen=True)
class PackedQuestion:
    """The tokens that follow the visual: one question and its answer."""

    ids: list[int]
    weights: list[float]
    """Weight of each token in the loss; 0: not learned."""


@dataclass(frozen=True)
class PackedExample:
    """An example as the network reads it."""

    pixels: Tensor
    """float32 [N, 3, S, S]: the frames of a clip, or the tiles of an image."""
    image_size: tuple[int, int] | None
    """(width, height) of an image in pixels; None for a clip."""
    head: list[int]
    """The ids before the visual."""
    questions: tuple[PackedQuestion, ...]


class PackedExamples(Dataset[PackedExample]):
    """The first ``length`` examples of an :class:`ExampleMaker`, packed."""

    def __init__(self, maker: ExampleMaker, network: Network, length: int) -> None:
        self._maker, self._network, self._length = maker, network, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> PackedExample:
        return pack(self._maker.make(index), self._network)


def pack(example: Example, network: Network) -> PackedExample:
    """Preprocess the frames of an example and tokenise its questions."""
    height, width = example.frames.shape[1:3]
    pixels = network.prepare(example.frames, "image" if example.is_image else "video")
    ids = tokenise(network.tokenizer, build_prompt("?"))
    return PackedExample(
        pixels,
        (width, height) if example.is_image else None,
        ids[: ids.index(IMAGE_TOKEN_ID)],
        tuple(_pack_question(question, network) for question in example.questions),
    )


def _pack_question(item: QuestionAnswer, network: Network) -> PackedQuestion:
    """Only the answer and its end token are learned; the diagnosis has a higher weight."""
    prompt = tokenise(network.tokenizer, build_prompt(item.question))
    question = prompt[prompt.index(IMAGE_TOKEN_ID) + 1 :]
    before, mark, rest = item.answer.partition(DIAGNOSIS_START)
    label, line_end, after = rest.partition("\n")
    ids, weights = list(question), [0.0] * len(question)
    parts = [(before + mark, 1.0), (label + line_end, _DIAGNOSIS_WEIGHT), (after + END_OF_TURN, 1.0)]
    for text, weight in parts:
        piece = tokenise(network.tokenizer, text) if text else []
        ids += piece
        weights += [weight] * len(piece)
    return PackedQuestion(ids, weights)


def collate(examples: Sequence[PackedExample]) -> dict[str, object]:
    """Return the examples as a batch. The loss model makes the rows, because their lengths depend on the visuals."""
    return {"examples": list(examples)}
