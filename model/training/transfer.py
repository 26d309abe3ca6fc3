"""A transfer in stages: each goes on from the one before, stops and resumes, and leaves checkpoints that load.

Below ``out`` every stage has a folder: ``trainer`` (the ``Trainer``'s own checkpoints, with ``log.jsonl``),
``learned.safetensors`` (what it learned, once it has ended), ``original`` (a checkpoint in LLaVA-NeXT's layout, LoRA merged
in), ``huggingface`` (the same in Hugging Face's, unless the recipe says no) and, of a stage with LoRA, ``lora`` (the
adapter in LLaVA-NeXT's layout, whose base is the stage before).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainingArguments

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success, write_text
from videopath.model import lora as adapters
from videopath.model import names
from videopath.model.convert import convert
from videopath.model.device import DTYPES
from videopath.model.hub import resolve
from videopath.model.network import Network
from videopath.model.save import save_original, write_json
from videopath.model.training.batches import Conversations
from videopath.model.training.instructions import read_instructions
from videopath.model.training.parts import Lora, choose, is_lora
from videopath.model.training.pupil import Pupil
from videopath.model.training.recipe import TransferRecipe, TransferStage
from videopath.model.training.stage_trainer import Say, StageTrainer, learned
from videopath.model.training.start import begin, ruled

_PUPIL = "network.model."  # before every name of a pupil's tensors
LEARNED = "learned.safetensors"


@dataclass(frozen=True)
class Transfer:
    """Where a transfer reads and writes, and whom it tells."""

    recipe: TransferRecipe
    data: Path
    out: Path
    say: Say
    accept_licence: bool = False

    def folder(self, stage: TransferStage) -> Path:
        """A stage's own folder."""
        return self.out / stage.name

    def run(self, only: int | None = None) -> Path:
        """Train the stages that are not done, or number ``only`` alone (from 0); the folder of the last checkpoint.

        Raises ``InputError`` where a stage before ``only`` is not done.
        """
        stages = self.recipe.stages
        last = len(stages) - 1 if only is None else only
        if not 0 <= last < len(stages):
            raise InputError(f"There is no stage {only}: the recipe has 0 to {len(stages) - 1}.")
        self._check(stages[:last] if only is not None else (), stages[last])
        say = self.say if _processes().is_main_process else _nothing
        network = begin(self.recipe.start, self.recipe.seed, accept_licence=self.accept_licence)
        for number, stage in enumerate(stages[: last + 1]):
            ruled(network, stage.rules)
            pupil = Pupil(network)
            learning = choose(network, stage.trains, stage.lora)
            done = self.folder(stage) / LEARNED
            if not done.is_file():
                self._fit(stage, pupil, say)
            _put(pupil, load_file(done), learning)
            with _processes().main_process_first():
                self._write(number, stage, network)
        return self.folder(stages[last]) / "original"

    def _write(self, number: int, stage: TransferStage, network: Network) -> None:
        """The checkpoints of a stage that are not there yet; the network is left without adapters."""
        adapter, whole = self.folder(stage) / "lora", self.folder(stage) / "original"
        if stage.lora and not (adapter / "adapter_config.json").is_file():
            save_adapter(network, stage.lora, self._base_of(number), adapter)
        fold(network)
        if not (whole / "config.json").is_file():
            save_original(network, whole, DTYPES[self.recipe.dtype])
        if self.recipe.huggingface and not (self.folder(stage) / "huggingface").exists():
            convert(whole, self.folder(stage) / "huggingface")

    def _check(self, before: Sequence[TransferStage], stage: TransferStage) -> None:
        missing = [one.name for one in before if not (self.folder(one) / LEARNED).is_file()]
        if missing:
            raise InputError(
                f"Stage {stage.name} goes on from {missing[0]}, which is not done in {self.out}: train it first."
            )

    def _base_of(self, number: int) -> Path:
        """The checkpoint that a stage's adapter belongs to: that of the stage before, or that of the start."""
        if number:
            return self.folder(self.recipe.stages[number - 1]) / "original"
        return resolve(str(self.recipe.start.checkpoint), accept_licence=self.accept_licence)

    def _fit(self, stage: TransferStage, pupil: Pupil, say: Say) -> None:
        read = read_instructions(self.data / stage.data, self.recipe.seed)
        network, folder = pupil.network, self.folder(stage)
        data = Conversations(
            read,
            self.data,
            network.config,
            network.tokenizer,
            stage.frames,
            stage.on_unreadable,
            stage.template,
        )
        trainer = StageTrainer(pupil, stage, self.arguments(stage), data, say)
        resumed = any((folder / "trainer").glob("checkpoint-*"))
        count = sum(p.numel() for p in pupil.parameters() if p.requires_grad)
        say(
            f"Stage {stage.name}: {len(read):,} conversations, {count:,} parameters learn, on {trainer.args.device}"
            f"{', resumed' if resumed else ''}."
        )
        trainer.train(resume_from_checkpoint=resumed)
        if trainer.skipped:
            write_text(folder / "skipped.txt", "\n".join(trainer.skipped) + "\n")
            say(
                f"Stage {stage.name}: {len(trainer.skipped)} conversations could not be read: see skipped.txt."
            )
        if trainer.args.should_save:
            state = learned(
                trainer.accelerator.unwrap_model(trainer.model),
                trainer.accelerator.get_state_dict(trainer.model),
            )
            with replaced_on_success(folder / LEARNED) as part:
                save_file(state, part)
        trainer.accelerator.wait_for_everyone()

    def arguments(self, stage: TransferStage) -> TrainingArguments:
        """A stage's numbers as the ``Trainer`` takes them: AdamW, cosine to 0, one warm-up."""
        return TrainingArguments(
            output_dir=str(self.folder(stage) / "trainer"),
            num_train_epochs=stage.epochs,
            max_steps=stage.steps or -1,
            per_device_train_batch_size=stage.batch,
            gradient_accumulation_steps=stage.accumulate,
            learning_rate=stage.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=stage.warmup,
            weight_decay=stage.weight_decay,
            bf16=stage.bf16,
            use_cpu=not torch.cuda.is_available(),
            activation_checkpointing=stage.gradient_checkpointing,
            activation_checkpointing_kwargs={"use_reentrant": False},
            torch_compile=stage.compile,
            seed=self.recipe.seed,
            logging_steps=stage.log_every,
            save_steps=stage.save_every,
            save_total_limit=stage.keep,
            dataloader_num_workers=stage.workers,
            ddp_find_unused_parameters=False,
            remove_unused_columns=False,
            label_names=["labels"],
            report_to=[],
            disable_tqdm=True,
        )


def _nothing(sentence: str) -> None:
    """Of several processes one speaks."""


def _processes() -> PartialState:
    return PartialState(cpu=not torch.cuda.is_available())


def _put(pupil: Pupil, tensors: Mapping[str, Tensor], expected: Sequence[str]) -> None:
    """Give a pupil what a stage learned. Raises ``InputError`` where that belongs to another recipe."""
    if set(tensors) != {_PUPIL + name for name in expected}:
        raise InputError("What an earlier stage learned belongs to another recipe; choose another --out.")
    pupil.load_state_dict(tensors, strict=False)


def fold(network: Network) -> None:
    """Merge every adapter into its layer, in float32, and take it away."""
    for name, module in list(network.model.named_modules()):
        if isinstance(module, LoraLayer):
            assert isinstance(module, torch.nn.Module)
            module.merge()  # type: ignore[attr-defined] # of the mixed-in layer class
            parent, _, last = name.rpartition(".")
            setattr(network.model.get_submodule(parent), last, module.get_base_layer())


def save_adapter(network: Network, settings: Lora, base: Path, folder: Path) -> None:
    """Write a network's adapters and what else learned in LLaVA-NeXT's LoRA layout; ``base`` is the checkpoint below it."""
    folder.mkdir(parents=True, exist_ok=True)
    learning = {n: p.detach().cpu() for n, p in network.model.named_parameters() if p.requires_grad}
    adapter = {
        adapters.stored_name(name): tensor.contiguous() for name, tensor in learning.items() if is_lora(name)
    }
    others = {
        adapters.PREFIX + names.to_original(name.replace(".base_layer.", ".")): tensor.clone()
        for name, tensor in learning.items()
        if not is_lora(name)
    }
    with replaced_on_success(folder / "adapter_model.safetensors") as part:
        save_file(adapter, part, metadata={"format": "pt"})
    with replaced_on_success(folder / adapters.NON_LORA) as part:
        torch.save(others, part)
    write_json(folder / "config.json", network.config.to_original())
    write_json(folder / "generation_config.json", network.config.generation_config())
    targets = sorted({name.split(".lora_")[0].rpartition(".")[2] for name in adapter})
    write_text(
        folder / "adapter_config.json",
        json.dumps(
            {
                "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base), "bias": "none",
                "r": settings.rank, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout,
                "target_modules": targets,
            },
            indent=2,
        )
        + "\n",
    )  # fmt: skip
