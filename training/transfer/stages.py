"""A transfer in stages: each goes on from the one before, stops and resumes, and leaves checkpoints that load.

Below ``out`` every stage has a folder: ``trainer`` (the ``Trainer``'s own checkpoints, ``log.jsonl``, ``skipped.txt``),
``learned.safetensors`` (what it learned, once it has ended), ``original`` (a checkpoint in LLaVA-NeXT's layout, LoRA merged
in), ``huggingface`` (the same in Hugging Face's, unless the recipe says no) and, of a stage with LoRA, ``lora`` (the
adapter in LLaVA-NeXT's layout, whose base is the stage before) and, with ``huggingface``, ``peft`` (the adapter in PEFT's
own key names, and its base in Hugging Face's layout).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import TrainingArguments
from transformers.utils import SAFE_WEIGHTS_NAME

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success, write_text
from videopath.model.architecture.network import Network
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.hub import resolve
from videopath.model.checkpoints.saving import save_original, write_json
from videopath.model.device import DTYPES
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.adapter import ADAPTER_CONFIG, ADAPTER_PREFIX, NON_LORA_FILE, stored_name
from videopath.model.lora.peft_export import export_adapter
from videopath.training.data.conversations import ConversationDataset
from videopath.training.data.instructions import read_instructions
from videopath.training.recipe import TransferRecipe, TransferStage
from videopath.training.transfer.carried_card import write_carried_card
from videopath.training.transfer.loss_model import ConversationLossModel
from videopath.training.transfer.parts import Lora, is_lora, make_trainable
from videopath.training.transfer.stage_trainer import PUPIL, SKIPPED, Say, StageTrainer
from videopath.training.transfer.start import apply_rules, load_start

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
        for number, stage in enumerate(stages[: last + 1]):
            if not (self.folder(stage) / LEARNED).is_file():
                self._fit(number, say)
            with _processes().main_process_first():
                self._write(number)
        return self.folder(stages[last]) / "original"

    def _prepared(self, number: int) -> tuple[Network, list[str]]:
        """The network as a stage finds it, and the names of what is to learn. What earlier stages learned is read."""
        network = load_start(self.recipe.start, self.recipe.seed, accept_licence=self.accept_licence)
        for stage in self.recipe.stages[:number]:
            apply_rules(network, stage.rules, self.recipe.seed)
            self._put(stage, network, make_trainable(network, stage.trains, stage.lora))
            fold(network)
        stage = self.recipe.stages[number]
        apply_rules(network, stage.rules, self.recipe.seed)
        return network, make_trainable(network, stage.trains, stage.lora)

    def _put(self, stage: TransferStage, network: Network, expected: Sequence[str]) -> None:
        """Give a network what a stage learned. Raises ``InputError`` where that belongs to another recipe."""
        tensors = load_file(self.folder(stage) / LEARNED)
        if set(tensors) != {PUPIL + name for name in expected}:
            raise InputError(
                f"What is in {self.folder(stage)} belongs to another recipe; choose another --out."
            )
        ConversationLossModel(network).load_state_dict(tensors, strict=False)

    def _write(self, number: int) -> None:
        """The checkpoints of a stage that are not there yet."""
        stage = self.recipe.stages[number]
        adapter, whole, plain = (self.folder(stage) / name for name in ("lora", "original", "huggingface"))
        adapted = not stage.lora or (adapter / "adapter_config.json").is_file()
        if not adapted or not (whole / "config.json").is_file():
            network, learning = self._prepared(number)
            self._put(stage, network, learning)
            if stage.lora and not adapted:
                write_carried_card(self.recipe, adapter, accept_licence=self.accept_licence)
                save_adapter(network, stage.lora, self._base_of(number), adapter)
            fold(network)
            write_carried_card(self.recipe, whole, accept_licence=self.accept_licence)
            save_original(network, whole, DTYPES[self.recipe.dtype])
        if self.recipe.huggingface and not plain.exists():
            convert(whole, plain)
        for_peft = self.folder(stage) / "peft"
        if self.recipe.huggingface and stage.lora and not (for_peft / ADAPTER_CONFIG).exists():
            shutil.rmtree(for_peft, ignore_errors=True)  # what a kill left of it
            export_adapter(EngineSpec(adapter, base=self._base_of(number)), for_peft)

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

    def _fit(self, number: int, say: Say) -> None:
        """Train a stage. Its network is given up afterwards: it may lie in pieces on several GPUs."""
        stage, (network, _) = self.recipe.stages[number], self._prepared(number)
        read, folder, pupil = (
            read_instructions(self.data / stage.data, self.recipe.seed),
            self.folder(stage),
            ConversationLossModel(network),
        )
        data = ConversationDataset(
            read, self.data, network.config, network.tokenizer, stage.frames, stage.on_unreadable, stage.template
        )  # fmt: skip
        if stage.compile:
            pupil.compile_layers()
        trainer = StageTrainer(pupil, stage, self.arguments(stage), data, say)
        resumed = any((folder / "trainer").glob("checkpoint-*"))
        count = sum(p.numel() for p in pupil.parameters() if p.requires_grad)
        say(
            f"Stage {stage.name}: {len(read):,} conversations, {count:,} parameters learn, on {trainer.args.device}"
            f"{', resumed' if resumed else ''}."
        )
        trainer.train(resume_from_checkpoint=resumed)
        self._tell_skipped(stage, say)
        ended = folder / "trainer" / "ended"
        trainer.save_model(str(ended))  # all processes take part: each may hold a piece
        if trainer.args.should_save:
            (ended / SAFE_WEIGHTS_NAME).replace(folder / LEARNED)
            ended.rmdir()
        trainer.accelerator.wait_for_everyone()

    def _tell_skipped(self, stage: TransferStage, say: Say) -> None:
        """Of every process, and of the runs that this one goes on from."""
        file = self.folder(stage) / "trainer" / SKIPPED
        if file.exists():
            count = len(set(file.read_text(encoding="utf-8").splitlines()))
            say(f"Stage {stage.name}: {count:,} conversations could not be read: see {file}.")

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
    adapter = {stored_name(name): tensor.contiguous() for name, tensor in learning.items() if is_lora(name)}
    others = {
        ADAPTER_PREFIX + tensor_names.to_original(name.replace(".base_layer.", ".")): tensor.clone()
        for name, tensor in learning.items()
        if not is_lora(name)
    }
    with replaced_on_success(folder / "adapter_model.safetensors") as part:
        save_file(adapter, part, metadata={"format": "pt"})
    with replaced_on_success(folder / NON_LORA_FILE) as part:
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
