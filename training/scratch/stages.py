"""A training from random weights: the stages of a recipe one after the other; each resumes at its last checkpoint.

The output folder holds a folder for each stage (checkpoints of the HF ``Trainer``), the tokenizer, and at the end
``checkpoint`` in the original LLaVA-NeXT layout, which ``load_engine`` reads.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset
from transformers import AutoTokenizer, SiglipVisionConfig, Trainer, TrainingArguments

from videopath.core.files import replaced_on_success, write_text
from videopath.core.pathology.sites import SITES
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network, new_network
from videopath.model.checkpoints.saving import save_original
from videopath.model.device import computes_bfloat16
from videopath.model.prompts import questions
from videopath.training.data import corpus
from videopath.training.recipe import ScratchRecipe, ScratchStage
from videopath.training.scratch import descriptions, question_wordings
from videopath.training.scratch.card import scratch_card
from videopath.training.scratch.examples import ExampleMaker
from videopath.training.scratch.image_searches import search_by_image
from videopath.training.scratch.language_stage import LanguageLossModel, LanguageTrainer
from videopath.training.scratch.loaded_corpus import LoadedCorpus, read_similar_cases
from videopath.training.scratch.packing import PackedExamples, collate
from videopath.training.scratch.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer
from videopath.training.scratch.tower_stage import TowerData, TowerLossModel, TowerTrainer, TowerViews

_SAVE_EVERY = 50  # steps
Say = Callable[[str], None]
"""Receives one sentence about the progress."""


@dataclass
class ScratchTraining:
    """The recipe, the folders and the progress messages of one training."""

    recipe: ScratchRecipe
    data: Path
    out: Path
    say: Say

    @cached_property
    def source(self) -> LoadedCorpus:
        """The training side of the data, in memory."""
        return LoadedCorpus.read(self.data, "train", self.recipe.evidence)

    def weights_of(self, stage: ScratchStage) -> Path:
        """Return the file that holds a stage's weights once the stage is finished."""
        return self.out / stage.name / "done.safetensors"

    def seed_of(self, stage: ScratchStage) -> int:
        """Return a seed of the stage's own, so that stages see different examples."""
        return self.recipe.seed + zlib.crc32(stage.name.encode())

    def arguments(self, stage: ScratchStage) -> TrainingArguments:
        """Return a stage's numbers for the HF ``Trainer``; weights are float32, arithmetic bfloat16 if that is fast."""
        return TrainingArguments(
            output_dir=str(self.out / stage.name),
            max_steps=stage.steps,
            per_device_train_batch_size=stage.batch,
            learning_rate=stage.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=stage.warmup,
            weight_decay=stage.weight_decay,
            adam_beta2=0.98,
            max_grad_norm=1.0,
            bf16=computes_bfloat16(),
            use_cpu=not torch.cuda.is_available(),
            seed=self.recipe.seed,
            logging_steps=25,
            save_steps=_SAVE_EVERY,
            save_total_limit=1,
            dataloader_num_workers=1,
            ignore_data_skip=False,
            report_to=[],
            remove_unused_columns=False,
            label_names=[],
        )


def train(recipe: ScratchRecipe, data: Path, out: Path, say: Say) -> Path:
    """Train all stages, or resume an earlier run.

    A stopped run loses at most the steps since its last checkpoint, which is written every 50 steps.

    Args:
        recipe: What is trained.
        data: The folder with ``manifest.csv``, ``slides.csv`` and what they name. Finished stages do not need it.
        out: The folder for checkpoints and the finished model. A run in it is resumed.
        say: Receives a sentence at each stage and at the end.

    Returns:
        The folder of the finished checkpoint.

    Raises:
        InputError: The data folder lacks a table, or an image cannot be read.
        KnowledgeError: The recipe's evidence cannot be read.
    """
    run = ScratchTraining(recipe, data, out, say)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run.recipe.seed)
    tokenizer = _tokenizer(run)
    ends = tuple(tokenizer.convert_tokens_to_ids([TURN_END, END_OF_TEXT]))
    network = new_network(llava_config(run.recipe, ends), tokenizer, run.recipe.seed)
    heads: dict[str, torch.Tensor] = {}
    for stage in run.recipe.stages:
        if stage.trains == "tower":
            heads = _train_tower(run, stage, network, heads)
        else:
            _train_language(run, stage, network)
    return write_checkpoint(run, network)


def llava_config(recipe: ScratchRecipe, ends: tuple[int, ...] = ()) -> LlavaConfig:
    """Return the architecture of a recipe.

    Args:
        recipe: Its sizes and rules.
        ends: Ids of the tokens that end an answer.
    """
    return LlavaConfig(
        text_config=dict(recipe.text),
        vision_config={
            "num_channels": 3,
            "layer_norm_eps": 1e-6,
            "hidden_act": "gelu_pytorch_tanh",
            **recipe.vision,
        },
        newline_position="grid",
        pinpoints=tuple(recipe.pinpoints),
        max_length=recipe.max_length,
        eos_token_ids=ends,
    )


def write_checkpoint(run: ScratchTraining, network: Network) -> Path:
    """Write the trained network in the original layout, in float16, with its card; return the folder."""
    folder = save_original(network, run.out / "checkpoint", torch.float16)
    card = scratch_card(run.recipe, _vocabulary(run))
    write_text(folder / "videopath.json", json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    run.say(f"The checkpoint is in {folder}.")
    return folder


def _train_tower(
    run: ScratchTraining, stage: ScratchStage, network: Network, heads: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Train the network's tower and return the two heads; ``heads`` are those of an earlier tower stage, if any.

    If the stage is finished, its weights are read and no data is needed.
    """
    weights_file = run.weights_of(stage)
    data = None if weights_file.is_file() else TowerData.read(run.data, stage.tells)
    classes = len(data.classes) if data else _class_count(weights_file)
    loss_model = TowerLossModel(SiglipVisionConfig(**run.recipe.vision, vision_use_head=False), classes)
    tower = network.model.model.vision_tower
    start = {f"tower.{k}": v for k, v in tower.state_dict().items() if not k.startswith("post_layernorm")}
    loss_model.load_state_dict({**loss_model.state_dict(), **start, **heads}, strict=True)
    if data:
        size = int(run.recipe.vision["image_size"])
        examples = TowerViews(data, stage.steps * stage.batch, size, run.seed_of(stage))
        _fit(run, stage, loss_model, examples, TowerTrainer)
    loss_model.load_state_dict(load_file(weights_file), strict=True)
    state = loss_model.state_dict()
    # The architecture stores a norm after the last layer that is never used; it keeps its first weights.
    trained = {k.removeprefix("tower."): v for k, v in state.items() if k.startswith("tower.")}
    tower.load_state_dict({**tower.state_dict(), **trained}, strict=True)
    return {k: v for k, v in state.items() if not k.startswith("tower.")}


def _train_language(run: ScratchTraining, stage: ScratchStage, network: Network) -> None:
    """Train projector and decoder; in a joint stage also the tower."""
    loss_model = LanguageLossModel(network, frozen_tower=stage.trains == "language")
    weights_file = run.weights_of(stage)
    if not weights_file.is_file():
        maker = ExampleMaker(
            run.source,
            network.config.image_size,
            run.seed_of(stage),
            stage.descriptions,
            searches=_image_searches(run, network),
        )
        examples = PackedExamples(maker, network, stage.steps * stage.batch)
        _fit(run, stage, loss_model, examples, LanguageTrainer, collate)
    loss_model.load_state_dict(load_file(weights_file), strict=True)


def _image_searches(run: ScratchTraining, network: Network) -> dict[str, list[list[str]]]:
    """Search with the tiles of the calibration side among those of the training side, by the tower as it is now."""
    tiles = corpus.read_tiles(run.data)
    known = [sample for sample in tiles if sample.split == "train"]
    queries = [sample for sample in tiles if sample.split == "calibration"]
    return search_by_image(network, known, queries)


def _fit(
    run: ScratchTraining,
    stage: ScratchStage,
    loss_model: nn.Module,
    examples: Dataset,
    trainer_class: type[Trainer],
    collator: Callable | None = None,
) -> None:
    """Run one stage, from its last checkpoint if there is one, and write its weights."""
    resumed = any((run.out / stage.name).glob("checkpoint-*"))
    run.say(f"Stage {stage.name}: {stage.steps} steps of {stage.batch}{', resumed' if resumed else ''}.")
    trainer = trainer_class(
        model=loss_model, args=run.arguments(stage), train_dataset=examples, data_collator=collator
    )
    if isinstance(trainer, LanguageTrainer) and stage.tower_learning_rate:
        trainer.tower_rate = stage.tower_learning_rate
    trainer.train(resume_from_checkpoint=resumed)
    with replaced_on_success(run.weights_of(stage)) as part:
        save_file({k: v.contiguous() for k, v in loss_model.state_dict().items()}, part)


def _class_count(weights_file: Path) -> int:
    """Number of classes of a finished tower stage."""
    with safe_open(weights_file, "pt") as weights:
        return weights.get_slice("classify.weight").get_shape()[0]


def _tokenizer(run: ScratchTraining) -> Any:
    folder = run.out / "tokenizer"
    if not folder.is_dir():
        train_tokenizer(_tokenizer_texts(run.recipe), run.recipe.tokenizer_size).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def _vocabulary(run: ScratchTraining) -> list[str]:
    """Diagnoses of the atlas slides; kept in a file of the run, so that a finished run needs no data."""
    path = run.out / "vocabulary.json"
    if not path.is_file():
        diagnoses = {slide.diagnosis for slide in corpus.read_atlas(run.data) if slide.split == "train"}
        write_text(path, json.dumps(sorted(diagnoses), ensure_ascii=False) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def _tokenizer_texts(recipe: ScratchRecipe) -> list[str]:
    """Everything that the tokenizer learns from: wordings, diagnoses, questions and similar cases."""
    labels = [d for diagnoses in corpus.diagnoses_by_site().values() for d in diagnoses]
    cases = read_similar_cases(recipe.evidence) if recipe.evidence else []
    return [
        *descriptions.every_sentence() * 20,
        *(f"Diagnosis: {diagnosis}\n- {diagnosis}:" for diagnosis in labels * 100),
        *_question_texts(),
        *question_wordings.every_wording() * 5,
        *(f"- {case.diagnosis}: {case.description}" for case in cases),
    ]


def _question_texts() -> list[str]:
    forms = (
        questions.describe_question,
        questions.one_prompt_question,
        lambda site: questions.diagnose_question(site, ""),
    )
    return [form(site) for form in forms for site in (None, *SITES)]
