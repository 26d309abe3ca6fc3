"""A transfer in stages. Each continues from the one before, can be stopped and resumed, and leaves checkpoints.

Every stage has a folder below ``out``:

- ``trainer``: the checkpoints of the HF ``Trainer``, ``log.jsonl`` and ``skipped.txt``
- ``learned.safetensors``: the trained tensors, once the stage has ended
- ``original``: a checkpoint in LLaVA-NeXT's layout, with LoRA merged
- ``huggingface``: the same in Hugging Face's layout, unless the recipe says no
- ``lora``, for a stage with LoRA: the adapter in LLaVA-NeXT's layout; its base is the stage before
- ``peft``, for a stage with LoRA and ``huggingface``: the adapter with PEFT's own key names, and its base in Hugging
  Face's layout
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
from videopath.training.transfer.stage_trainer import NETWORK_PREFIX, SKIPPED_FILE, Say, StageTrainer
from videopath.training.transfer.start import apply_rules, load_start

LEARNED_FILE = "learned.safetensors"


@dataclass(frozen=True)
class Transfer:
    """The recipe, the folders and the progress messages of one transfer."""

    recipe: TransferRecipe
    data: Path
    """The folder that conversations, images and videos are relative to."""
    out: Path
    say: Say
    accept_licence: bool = False

    def folder(self, stage: TransferStage) -> Path:
        """Return the folder of a stage."""
        return self.out / stage.name

    def run(self, only: int | None = None) -> Path:
        """Train the stages that are not finished, or only one stage.

        Args:
            only: The number of the one stage, from 0; None: all stages.

        Returns:
            The folder of the last stage's checkpoint, in LLaVA-NeXT's layout.

        Raises:
            InputError: There is no such stage, a stage before it is not finished, the data cannot be read, or ``out``
                belongs to another recipe.
            ModelError: The start cannot be loaded.
        """
        stages = self.recipe.stages
        last = len(stages) - 1 if only is None else only
        if not 0 <= last < len(stages):
            raise InputError(f"There is no stage {only}: the recipe has 0 to {len(stages) - 1}.")
        self._check_finished(stages[:last] if only is not None else (), stages[last])
        say = self.say if _processes().is_main_process else _say_nothing
        for number, stage in enumerate(stages[: last + 1]):
            if not (self.folder(stage) / LEARNED_FILE).is_file():
                self._fit(number, say)
            with _processes().main_process_first():
                self._write_checkpoints(number)
        return self.folder(stages[last]) / "original"

    def _prepared(self, number: int) -> tuple[Network, list[str]]:
        """Return the network at the start of a stage, and the names of its trainable parameters."""
        network = load_start(self.recipe.start, self.recipe.seed, accept_licence=self.accept_licence)
        for stage in self.recipe.stages[:number]:
            apply_rules(network, stage.rules, self.recipe.seed)
            self._load_learned(stage, network, make_trainable(network, stage.trains, stage.lora))
            merge_adapters(network)
        stage = self.recipe.stages[number]
        apply_rules(network, stage.rules, self.recipe.seed)
        return network, make_trainable(network, stage.trains, stage.lora)

    def _load_learned(self, stage: TransferStage, network: Network, expected: Sequence[str]) -> None:
        """Load what a stage learned. Raises ``InputError`` if it has other tensors than expected."""
        tensors = load_file(self.folder(stage) / LEARNED_FILE)
        if set(tensors) != {NETWORK_PREFIX + name for name in expected}:
            raise InputError(f"{self.folder(stage)} belongs to another recipe. Choose another --out.")
        ConversationLossModel(network).load_state_dict(tensors, strict=False)

    def _write_checkpoints(self, number: int) -> None:
        """Write the checkpoints of a stage that are missing."""
        stage = self.recipe.stages[number]
        adapter, original, huggingface = (
            self.folder(stage) / name for name in ("lora", "original", "huggingface")
        )
        adapter_done = not stage.lora or (adapter / "adapter_config.json").is_file()
        if not adapter_done or not (original / "config.json").is_file():
            network, learning = self._prepared(number)
            self._load_learned(stage, network, learning)
            if stage.lora and not adapter_done:
                write_carried_card(self.recipe, adapter, accept_licence=self.accept_licence)
                save_adapter(network, stage.lora, self._base_of(number), adapter)
            merge_adapters(network)
            write_carried_card(self.recipe, original, accept_licence=self.accept_licence)
            save_original(network, original, DTYPES[self.recipe.dtype])
        if self.recipe.huggingface and not huggingface.exists():
            convert(original, huggingface)
        for_peft = self.folder(stage) / "peft"
        if self.recipe.huggingface and stage.lora and not (for_peft / ADAPTER_CONFIG).exists():
            shutil.rmtree(for_peft, ignore_errors=True)  # left by a killed run
            export_adapter(EngineSpec(adapter, base=self._base_of(number)), for_peft)

    def _check_finished(self, before: Sequence[TransferStage], stage: TransferStage) -> None:
        missing = [one.name for one in before if not (self.folder(one) / LEARNED_FILE).is_file()]
        if missing:
            raise InputError(
                f"Stage {stage.name} continues from {missing[0]}, which is not finished in {self.out}. Train it first."
            )

    def _base_of(self, number: int) -> Path:
        """The base of a stage's adapter: the checkpoint of the stage before, or the start checkpoint."""
        if number:
            return self.folder(self.recipe.stages[number - 1]) / "original"
        return resolve(str(self.recipe.start.checkpoint), accept_licence=self.accept_licence)

    def _fit(self, number: int, say: Say) -> None:
        """Train a stage. Its network is not used afterwards, because it may be split over several GPUs."""
        stage, (network, _) = self.recipe.stages[number], self._prepared(number)
        instructions, folder, loss_model = (
            read_instructions(self.data / stage.data, self.recipe.seed),
            self.folder(stage),
            ConversationLossModel(network),
        )
        data = ConversationDataset(
            instructions, self.data, network.config, network.tokenizer, stage.frames, stage.on_unreadable, stage.template
        )  # fmt: skip
        if stage.compile:
            loss_model.compile_layers()
        trainer = StageTrainer(loss_model, stage, self.arguments(stage), data, say)
        resumed = any((folder / "trainer").glob("checkpoint-*"))
        count = sum(p.numel() for p in loss_model.parameters() if p.requires_grad)
        say(
            f"Stage {stage.name}: {len(instructions):,} conversations, {count:,} parameters learn, on {trainer.args.device}"
            f"{', resumed' if resumed else ''}."
        )
        trainer.train(resume_from_checkpoint=resumed)
        self._report_skipped(stage, say)
        ended = folder / "trainer" / "ended"
        trainer.save_model(str(ended))  # all processes must call this: each may hold a piece
        if trainer.args.should_save:
            (ended / SAFE_WEIGHTS_NAME).replace(folder / LEARNED_FILE)
            ended.rmdir()
        trainer.accelerator.wait_for_everyone()

    def _report_skipped(self, stage: TransferStage, say: Say) -> None:
        """Report the skipped conversations of all processes, also of earlier runs of this stage."""
        file = self.folder(stage) / "trainer" / SKIPPED_FILE
        if file.exists():
            count = len(set(file.read_text(encoding="utf-8").splitlines()))
            say(f"Stage {stage.name}: {count:,} conversations could not be read: see {file}.")

    def arguments(self, stage: TransferStage) -> TrainingArguments:
        """Return a stage's numbers for the HF ``Trainer``: AdamW, one warm-up, then a cosine to 0."""
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


def _say_nothing(sentence: str) -> None:
    """Stay silent: only the main process reports."""


def _processes() -> PartialState:
    return PartialState(cpu=not torch.cuda.is_available())


def merge_adapters(network: Network) -> None:
    """Merge every adapter into its layer, in float32, and remove it."""
    for name, module in list(network.model.named_modules()):
        if isinstance(module, LoraLayer):
            assert isinstance(module, torch.nn.Module)
            module.merge()  # type: ignore[attr-defined] # a method of the mixed-in layer class
            parent, _, last = name.rpartition(".")
            setattr(network.model.get_submodule(parent), last, module.get_base_layer())


def save_adapter(network: Network, settings: Lora, base: Path, folder: Path) -> None:
    """Write the adapters and the other trainable tensors of a network in LLaVA-NeXT's LoRA layout.

    Args:
        network: A network with adapters.
        settings: The settings of the adapters.
        base: The checkpoint that the adapter is for.
        folder: Where it is written; made if it is missing.
    """
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
