"""Training from a recipe: stages one after the other, each resumable at its last checkpoint.

``out`` holds a folder per stage (HF ``Trainer`` checkpoints), the tokenizer, and at the end ``out/checkpoint`` in the
original LLaVA-NeXT layout, which ``load_engine`` reads.
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
from videopath.training.recipe import Recipe, Stage
from videopath.training.scratch import descriptions, question_wordings
from videopath.training.scratch.examples import Corpus, ExampleMaker, read_evidence
from videopath.training.scratch.language_stage import (
    LanguagePupil,
    LanguageTrainer,
    PackedExamples,
    collate,
)
from videopath.training.scratch.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer
from videopath.training.scratch.tower_stage import TowerData, TowerPupil, TowerTrainer, TowerViews, searches

_SAVE_EVERY = 50
Say = Callable[[str], None]


@dataclass
class Run:
    """Where a training reads and writes, and whom it tells."""

    recipe: Recipe
    data: Path
    out: Path
    say: Say

    @cached_property
    def source(self) -> Corpus:
        """The training side of the data, in memory."""
        return Corpus.read(self.data, "train", self.recipe.evidence)

    def done(self, stage: Stage) -> Path:
        """Where a stage's weights are once it is finished."""
        return self.out / stage.name / "done.safetensors"

    def seed_of(self, stage: Stage) -> int:
        """Stages draw different examples."""
        return self.recipe.seed + zlib.crc32(stage.name.encode())

    def arguments(self, stage: Stage) -> TrainingArguments:
        """The stage's numbers as the ``Trainer`` takes them; float32 weights, bfloat16 arithmetic where it is fast."""
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


def train(recipe: Recipe, data: Path, out: Path, say: Say) -> Path:
    """Train, or go on where an earlier run in ``out`` stopped; return the checkpoint's folder.

    Raises ``InputError`` for a data folder without its manifest. A stopped run loses at most the
    steps since its last checkpoint (every 50).
    """
    run = Run(recipe, data, out, say)
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


def llava_config(recipe: Recipe, ends: tuple[int, ...] = ()) -> LlavaConfig:
    """The architecture of a recipe; ``ends`` are the ids that close an answer."""
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


def card(recipe: Recipe, vocabulary: list[str]) -> dict[str, object]:
    """The content of ``videopath.json``: what the model says of itself.

    ``vocabulary``: the diagnoses beside its labels that its training named.
    """
    return {
        "name": recipe.name,
        "frames": recipe.frames,
        "licence": "Apache-2.0 for the weights as such; MODEL_CARD.md names the licence of each data set they were trained on.",
        "trained_on": "LC25000, an oral cavity set, the NIA lymphoma set, LBC Pap smears, BM_GRAZ and the Patoloji Atlası (see MODEL_CARD.md)",
        "labels": corpus.diagnoses_by_site(),
        "unknown_label": corpus.UNKNOWN,
        "vocabulary": vocabulary,
        "typical": {
            d: descriptions.typical(d) for listed in corpus.diagnoses_by_site().values() for d in listed
        },
        "score_reduction": "sum",
        "calibration": {},
    }


def write_checkpoint(run: Run, network: Network) -> Path:
    """Write the trained network in the original layout, float16, with its card."""
    folder = save_original(network, run.out / "checkpoint", torch.float16)
    write_text(
        folder / "videopath.json",
        json.dumps(card(run.recipe, _vocabulary(run)), indent=2, ensure_ascii=False) + "\n",
    )
    run.say(f"The checkpoint is in {folder}.")
    return folder


def _train_tower(
    run: Run, stage: Stage, network: Network, heads: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Train the network's tower; ``heads`` are those of an earlier tower stage, if any. Returns the heads.

    Of a finished stage, as below, the weights are read and no data.
    """
    done = run.done(stage)
    data = None if done.is_file() else TowerData.read(run.data, stage.tells)
    classes = len(data.classes) if data else _classes_of(done)
    pupil = TowerPupil(SiglipVisionConfig(**run.recipe.vision, vision_use_head=False), classes)
    tower = network.model.model.vision_tower
    kept = {f"tower.{k}": v for k, v in tower.state_dict().items() if not k.startswith("post_layernorm")}
    pupil.load_state_dict({**pupil.state_dict(), **kept, **heads}, strict=True)
    if data:
        size = int(run.recipe.vision["image_size"])
        seen = TowerViews(data, stage.steps * stage.batch, size, run.seed_of(stage))
        _fit(run, stage, pupil, seen, TowerTrainer)
    pupil.load_state_dict(load_file(done), strict=True)
    # The norm after the last layer is stored by the architecture and read by nothing: it stays as it was.
    trained = {k.removeprefix("tower."): v for k, v in pupil.state_dict().items() if k.startswith("tower.")}
    tower.load_state_dict({**tower.state_dict(), **trained}, strict=True)
    return {k: v for k, v in pupil.state_dict().items() if not k.startswith("tower.")}


def _train_language(run: Run, stage: Stage, network: Network) -> None:
    """Train projector and decoder, and the tower with them in a joint stage."""
    pupil = LanguagePupil(network, still_tower=stage.trains == "language")
    done = run.done(stage)
    if not done.is_file():
        maker = ExampleMaker(
            run.source,
            network.config.image_size,
            run.seed_of(stage),
            stage.descriptions,
            retrieved=_searches(run, network),
        )
        examples = PackedExamples(maker, network, stage.steps * stage.batch)
        _fit(run, stage, pupil, examples, LanguageTrainer, collate)
    pupil.load_state_dict(load_file(done), strict=True)


def _searches(run: Run, network: Network) -> dict[str, list[list[str]]]:
    """What searches by pictures find with the tower as it is; asked are tiles of the calibration side."""
    tiles = corpus.read_tiles(run.data)
    known = [sample for sample in tiles if sample.split == "train"]
    asked = [sample for sample in tiles if sample.split == "calibration"]
    return searches(network, known, asked)


def _fit(
    run: Run,
    stage: Stage,
    pupil: nn.Module,
    examples: Dataset,
    trainer_class: type[Trainer],
    collator: Callable | None = None,
) -> None:
    """One stage, from its last checkpoint if there is one; its weights end in ``run.done(stage)``."""
    resumed = any((run.out / stage.name).glob("checkpoint-*"))
    run.say(f"Stage {stage.name}: {stage.steps} steps of {stage.batch}{', resumed' if resumed else ''}.")
    trainer = trainer_class(
        model=pupil, args=run.arguments(stage), train_dataset=examples, data_collator=collator
    )
    if isinstance(trainer, LanguageTrainer) and stage.tower_learning_rate:
        trainer.tower_rate = stage.tower_learning_rate
    trainer.train(resume_from_checkpoint=resumed)
    with replaced_on_success(run.done(stage)) as part:
        save_file({k: v.contiguous() for k, v in pupil.state_dict().items()}, part)


def _classes_of(done: Path) -> int:
    """How many classes the head of a finished tower stage tells apart."""
    with safe_open(done, "pt") as weights:
        return weights.get_slice("classify.weight").get_shape()[0]


def _tokenizer(run: Run) -> Any:
    folder = run.out / "tokenizer"
    if not folder.is_dir():
        train_tokenizer(_texts(run.recipe), run.recipe.tokenizer_size).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def _vocabulary(run: Run) -> list[str]:
    """Kept with the run, as the stages are: a finished run needs no data."""
    path = run.out / "vocabulary.json"
    if not path.is_file():
        named = {slide.diagnosis for slide in corpus.read_atlas(run.data) if slide.split == "train"}
        write_text(path, json.dumps(sorted(named), ensure_ascii=False) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def _texts(recipe: Recipe) -> list[str]:
    """What the tokenizer learns from: every wording, every diagnosis, the questions, the worded evidence."""
    diagnoses = [d for listed in corpus.diagnoses_by_site().values() for d in listed]
    cases = read_evidence(recipe.evidence) if recipe.evidence else []
    return [
        *descriptions.every_sentence() * 20,
        *(f"Diagnosis: {diagnosis}\n- {diagnosis}:" for diagnosis in diagnoses * 100),
        *_question_texts(),
        *question_wordings.every_wording() * 5,
        *(f"- {case.diagnosis}: {case.description}" for case in cases),
    ]


def _question_texts() -> list[str]:
    asked = (
        questions.describe_question,
        questions.one_prompt_question,
        lambda site: questions.diagnose_question(site, ""),
    )
    return [ask(site) for ask in asked for site in (None, *SITES)]
