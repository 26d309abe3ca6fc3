"""In which order conversations are learned: a batch is of one modality and of similar lengths, as LLaVA-NeXT groups them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from videopath.training.data.instructions import Instruction

_WINDOW = 50  # batches within which conversations are sorted by length


def grouped_order(instructions: Sequence[Instruction], batch: int, seed: int, epoch: int) -> list[int]:
    """Every place once. Runs of ``batch`` places have one modality, but for what is left over of each at the end."""
    rng = np.random.default_rng([seed, epoch])
    by_modality: dict[str, list[int]] = defaultdict(list)
    for place in rng.permutation(len(instructions)).tolist():
        by_modality[instructions[place].modality].append(place)
    whole: list[list[int]] = []
    left: list[int] = []
    for _, places in sorted(by_modality.items()):
        for start in range(0, len(places), _WINDOW * batch):
            window = sorted(places[start : start + _WINDOW * batch], key=lambda n: instructions[n].words)
            runs = [window[at : at + batch] for at in range(0, len(window), batch)]
            whole += [run for run in runs if len(run) == batch]
            left += [place for run in runs if len(run) < batch for place in run]
    return [place for number in rng.permutation(len(whole)) for place in whole[number]] + left


class GroupedSampler(Sampler[int]):
    """:func:`grouped_order`, another one in each epoch; the same for the same seed, whoever asks and when."""

    def __init__(self, instructions: Sequence[Instruction], batch: int, seed: int) -> None:
        self._instructions, self._batch, self._seed, self._epoch = instructions, batch, seed, 0

    def __len__(self) -> int:
        return len(self._instructions)

    def __iter__(self) -> Iterator[int]:
        return iter(grouped_order(self._instructions, self._batch, self._seed, self._epoch))

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, also of a run that goes on."""
        self._epoch = epoch
