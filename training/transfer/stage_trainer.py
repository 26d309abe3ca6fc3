"""The HF ``Trainer`` of one stage: learning rates by part, batches of one modality, checkpoints of trained tensors, a log."""

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
"""Receives one sentence about the progress."""
LOG_FILE = "log.jsonl"
SKIPPED_FILE = "skipped.txt"
TENSORBOARD_FOLDER = "tensorboard"
NETWORK_PREFIX = "network.model."
"""Stands before the name of each of the network's tensors in a loss model."""


class StageTrainer(Trainer):
    """Trains a :class:`ConversationLossModel`. Its trainable parameters must be set before."""

    optimizer: torch.optim.Optimizer | None

    def __init__(
        self,
        loss_model: ConversationLossModel,
        stage: TransferStage,
        arguments: TrainingArguments,
        data: ConversationDataset,
        say: Say,
    ) -> None:
        """Set up the trainer.

        Args:
            loss_model: The network with its loss.
            stage: Its learning rates and weight decay are used.
            arguments: The numbers of the stage, and the folder for checkpoints and logs.
            data: The conversations.
            say: Receives a sentence at each log step.
        """
        assert arguments.output_dir is not None
        self._stage = stage
        self._skipped_file = Path(arguments.output_dir) / SKIPPED_FILE
        self.skipped: list[str] = []
        """Why conversations were skipped in this process; ``skipped.txt`` has those of all processes."""
        log = StageLog(stage.name, Path(arguments.output_dir) / LOG_FILE, loss_model, self.skipped, say)
        super().__init__(
            model=loss_model, args=arguments, train_dataset=data, data_collator=collate, callbacks=[log]
        )
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, *_: object) -> torch.optim.Optimizer:
        """Make AdamW with a group for each part and kind of parameter."""
        if self.optimizer is None:
            stage, loss_model = self._stage, self.model
            assert loss_model is not None
            named = {name.partition(NETWORK_PREFIX)[2]: p for name, p in loss_model.named_parameters()}
            rates: dict[Part, float] = dict.fromkeys(get_args(Part), stage.learning_rate)
            rates["tower"] = stage.tower_learning_rate or stage.learning_rate
            self.optimizer = torch.optim.AdamW(
                optimiser_groups(named, rates, stage.weight_decay), lr=stage.learning_rate
            )
        return self.optimizer

    def compute_loss(self, model: Any, inputs: dict[str, Any], *others: Any, **named: Any) -> Any:
        """Return the loss of the model, and write down the conversations that were skipped."""
        skipped: list[str] = inputs.pop("skipped", [])
        if skipped:
            self.skipped += skipped
            self._skipped_file.parent.mkdir(parents=True, exist_ok=True)
            with self._skipped_file.open("a", encoding="utf-8") as stream:
                stream.write("".join(f"{sentence}\n" for sentence in skipped))
        return super().compute_loss(model, inputs, *others, **named)

    def _get_train_sampler(self, *_: object) -> GroupedSampler:
        arguments = self.args
        step_size = (
            arguments.per_device_train_batch_size
            * arguments.gradient_accumulation_steps
            * arguments.world_size
        )
        assert isinstance(self.train_dataset, ConversationDataset)
        return GroupedSampler(self.train_dataset.instructions, step_size, arguments.seed)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write a checkpoint of the trainable tensors; the others are those of the stage's start."""
        folder = Path(output_dir or self.args.output_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        if self.args.should_save:
            loss_model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
            with replaced_on_success(folder / SAFE_WEIGHTS_NAME) as part:
                save_file(trained_tensors(loss_model, state_dict), part, metadata={"format": "pt"})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Say nothing about missing tensors: a checkpoint has only the trainable ones."""


def trained_tensors(
    loss_model: ConversationLossModel, state: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Return the trainable tensors, on the CPU.

    Args:
        loss_model: Gives the names and, without ``state``, the tensors.
        state: The tensors if they were gathered from several processes.
    """
    state = state or loss_model.state_dict()
    names = [name for name, parameter in loss_model.named_parameters() if parameter.requires_grad]
    return {name: state[name].detach().cpu().contiguous() for name in names}


class StageLog(TrainerCallback):
    """Reports the progress of a stage: as sentences, as JSON lines and, if it is installed, for TensorBoard.

    Tokens and skipped conversations are those of this process.
    """

    def __init__(
        self, name: str, path: Path, loss_model: ConversationLossModel, skipped: list[str], say: Say
    ) -> None:
        self._name, self._loss_model, self._skipped, self._say = name, loss_model, skipped, say
        self._file = JsonLines(path)
        self._since = (time.monotonic(), 0, 0)  # start of the run: clock, step, tokens
        self._board: Any = None  # a SummaryWriter

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._since = (time.monotonic(), state.global_step, self._loss_model.tokens)
        if state.is_world_process_zero:
            self._drop_after(state.global_step)
        if state.is_world_process_zero and has_tensorboard():
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(
                str(self._file.path.parent / TENSORBOARD_FOLDER), purge_step=state.global_step + 1
            )

    def _drop_after(self, step: int) -> None:
        """Drop the lines that a stopped run wrote after its last checkpoint: those steps run again."""
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
        rate = (self._loss_model.tokens - tokens) / seconds
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
        skipped = f", {len(self._skipped)} conversations skipped" if self._skipped else ""
        self._say(
            f"Stage {self._name}: step {state.global_step:,} of {state.max_steps:,}, loss {logs['loss']:.4f}, "
            f"{rate:,.0f} tokens/s, about {_clock(left)} left{skipped}."
        )


def has_tensorboard() -> bool:
    """Return whether TensorBoard is installed, which the extra ``training`` does."""
    return find_spec("tensorboard") is not None


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
