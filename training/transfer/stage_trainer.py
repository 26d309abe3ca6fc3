"""HF ``Trainer`` for one stage: rates by part, batches of one modality, checkpoints of what learns, a log of every step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import SAFE_WEIGHTS_NAME

from videopath.core.files import replaced_on_success
from videopath.core.jsonl import JsonLines
from videopath.training.data.conversations import ConversationDataset, collate
from videopath.training.data.grouped_sampler import GroupedSampler
from videopath.training.recipe import TransferStage
from videopath.training.transfer.loss_model import ConversationLossModel
from videopath.training.transfer.parts import Part, optimiser_groups

Say = Callable[[str], None]
LOG = "log.jsonl"
SKIPPED = "skipped.txt"
BOARD = "tensorboard"
PUPIL = "network.model."
"""Before the name of every tensor of a pupil."""


class StageTrainer(Trainer):
    """Trains a :class:`Pupil` whose learning parameters are chosen already."""

    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        pupil: ConversationLossModel,
        stage: TransferStage,
        arguments: TrainingArguments,
        data: ConversationDataset,
        say: Say,
    ) -> None:
        assert arguments.output_dir is not None
        self._stage = stage
        self._skipped_file = Path(arguments.output_dir) / SKIPPED
        self.skipped: list[str] = []
        """Why conversations were left out, since this process began; also in ``skipped.txt`` of all, at once."""
        log = StageLog(stage.name, Path(arguments.output_dir) / LOG, pupil, self.skipped, say)
        super().__init__(
            model=pupil, args=arguments, train_dataset=data, data_collator=collate, callbacks=[log]
        )
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, *_: object) -> torch.optim.Optimizer:
        """AdamW with a group for each part and kind of parameter."""
        if self.optimizer is None:
            stage, pupil = self._stage, self.model
            assert pupil is not None
            named = {name.partition(PUPIL)[2]: p for name, p in pupil.named_parameters()}
            rates: dict[Part, float] = dict.fromkeys(get_args(Part), stage.learning_rate)
            rates["tower"] = stage.tower_learning_rate or stage.learning_rate
            self.optimizer = torch.optim.AdamW(
                optimiser_groups(named, rates, stage.weight_decay), lr=stage.learning_rate
            )
        return self.optimizer

    def compute_loss(self, model: Any, inputs: dict[str, Any], *others: Any, **named: Any) -> Any:
        """The pupil's own; what could not be read is counted."""
        skipped: list[str] = inputs.pop("skipped", [])
        if skipped:
            self.skipped += skipped
            self._skipped_file.parent.mkdir(parents=True, exist_ok=True)
            with self._skipped_file.open("a", encoding="utf-8") as told:
                told.write("".join(f"{sentence}\n" for sentence in skipped))
        return super().compute_loss(model, inputs, *others, **named)

    def _get_train_sampler(self, *_: object) -> GroupedSampler:
        arguments = self.args
        step = (
            arguments.per_device_train_batch_size
            * arguments.gradient_accumulation_steps
            * arguments.world_size
        )
        assert isinstance(self.train_dataset, ConversationDataset)
        return GroupedSampler(self.train_dataset.instructions, step, arguments.seed)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """A checkpoint holds what learns: the rest is where the stage began."""
        folder = Path(output_dir or self.args.output_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        if self.args.should_save:
            pupil = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
            with replaced_on_success(folder / SAFE_WEIGHTS_NAME) as part:
                save_file(learned(pupil, state_dict), part, metadata={"format": "pt"})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """What does not learn is not in a checkpoint: nothing to warn of."""


def learned(pupil: ConversationLossModel, state: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that learn, by the names of :class:`Pupil`; ``state`` where it was gathered from several processes."""
    state = state or pupil.state_dict()
    names = [name for name, parameter in pupil.named_parameters() if parameter.requires_grad]
    return {name: state[name].detach().cpu().contiguous() for name in names}


class StageLog(TrainerCallback):
    """Says how far a stage is, and keeps every figure as a JSON line and, where it is installed, for TensorBoard.

    Tokens and what was skipped are this process's.
    """

    def __init__(
        self, name: str, path: Path, pupil: ConversationLossModel, skipped: list[str], say: Say
    ) -> None:
        self._name, self._pupil, self._skipped, self._say = name, pupil, skipped, say
        self._file = JsonLines(path)
        self._since = (time.monotonic(), 0, 0)  # when the run began, at which step, how many tokens ago
        self._board: Any = None  # a SummaryWriter

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._since = (time.monotonic(), state.global_step, self._pupil.tokens)
        if state.is_world_process_zero:
            self._forget_after(state.global_step)
        if state.is_world_process_zero and tensorboard_is_here():
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self._file.path.parent / BOARD), purge_step=state.global_step + 1)

    def _forget_after(self, step: int) -> None:
        """Drop what a stopped run wrote behind its last checkpoint: those steps come again."""
        lines = self._file.read()
        if lines:
            self._file.replace(line for line in lines if json.loads(line)["step"] <= step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._board is not None:
            self._board.close()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        begun, first, tokens = self._since
        seconds = max(time.monotonic() - begun, 1e-9)
        rate = (self._pupil.tokens - tokens) / seconds
        done = state.global_step - first
        left = seconds / max(1, done) * (state.max_steps - state.global_step)
        line = {
            "stage": self._name, "step": state.global_step, "steps": state.max_steps, **logs,
            "tokens_per_second": round(rate, 1), "skipped": len(self._skipped), "seconds": round(seconds, 2),
        }  # fmt: skip
        self._file.append(json.dumps(line))
        if self._board is not None:
            for name in sorted(line.keys() - {"stage", "step", "steps"}):
                self._board.add_scalar(f"train/{name}", line[name], state.global_step)
            self._board.flush()
        told = f", {len(self._skipped)} conversations skipped" if self._skipped else ""
        self._say(
            f"Stage {self._name}: step {state.global_step:,} of {state.max_steps:,}, loss {logs['loss']:.4f}, "
            f"{rate:,.0f} tokens/s, about {_clock(left)} left{told}."
        )


def tensorboard_is_here() -> bool:
    """Whether curves are written for TensorBoard, an extra."""
    return find_spec("tensorboard") is not None


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
