"""The order of conversations: batches of one modality and of similar lengths, as LLaVA-NeXT groups them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from videopath.training.data.instructions import Instruction

_WINDOW = 50  # batches within which conversations are sorted by length


def grouped_order(instructions: Sequence[Instruction], batch: int, seed: int, epoch: int) -> list[int]:
    """Return the indices of all conversations, each once, in runs of one modality.

    Args:
        instructions: The conversations.
        batch: Length of a run. What does not fill a run comes at the end, mixed.
        seed: Another seed gives another order.
        epoch: Each epoch has its own order.
    """
    rng = np.random.default_rng([seed, epoch])
    by_modality: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(instructions)).tolist():
        by_modality[instructions[index].modality].append(index)
    whole: list[list[int]] = []
    rest: list[int] = []
    for _, indices in sorted(by_modality.items()):
        for start in range(0, len(indices), _WINDOW * batch):
            window = sorted(indices[start : start + _WINDOW * batch], key=lambda n: instructions[n].words)
            runs = [window[at : at + batch] for at in range(0, len(window), batch)]
            whole += [run for run in runs if len(run) == batch]
            rest += [index for run in runs if len(run) < batch for index in run]
    return [index for number in rng.permutation(len(whole)) for index in whole[number]] + rest


class GroupedSampler(Sampler[int]):
    """:func:`grouped_order` as a sampler. Seed and epoch alone decide the order, so a resumed run has the same."""

    def __init__(self, instructions: Sequence[Instruction], batch: int, seed: int) -> None:
        self._instructions, self._batch, self._seed, self._epoch = instructions, batch, seed, 0

    def __len__(self) -> int:
        return len(self._instructions)

    def __iter__(self) -> Iterator[int]:
        return iter(grouped_order(self._instructions, self._batch, self._seed, self._epoch))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the ``Trainer`` calls this before each one, also in a resumed run."""
        self._epoch = epoch
