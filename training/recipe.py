"""Recipes: what is trained, with which numbers. One YAML file each, of one of two kinds.

``scratch`` trains a small model from nothing on tiles and slides, as nano was. ``transfer`` is the paper's way: stages on
conversations in the LLaVA format, each of which goes on from the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from videopath.core.choices import DtypeName, NewlinePosition, OnUnreadable, TileLabel, TrainingTemplate
from videopath.core.errors import InputError
from videopath.core.yamltext import parse_yaml
from videopath.training.transfer.parts import Lora, Part

_SHIPPED = ("nano", "nano-start", "nano-transfer", "vidrip-7b", "vidrip-0.5b")


class Stage(BaseModel):
    """The numbers of one stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="its folder below --out")
    trains: Literal["tower", "language", "joint"] = Field(
        description="the tower alone; projector and decoder on a still tower; everything together"
    )
    tells: TileLabel = Field(
        "diagnosis", description="what a tower stage learns of a tile; a general tower knows sites alone"
    )
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    tower_learning_rate: float | None = Field(None, gt=0)
    warmup: int = Field(0, ge=0)
    descriptions: tuple[float, float, float] = Field(
        (0.6, 0.15, 0.25),
        description="shares of descriptions put before a diagnosis that are right, without facts, of another entity",
    )
    weight_decay: float = Field(0.0, ge=0)


class Recipe(BaseModel):
    """A whole training, from nothing to a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["scratch"] = "scratch"
    name: str
    seed: int = 0
    evidence: str | None = None
    tokenizer_size: int = Field(ge=300)
    frames: int = Field(ge=1)
    vision: dict[str, Any]
    text: dict[str, Any]
    pinpoints: list[tuple[int, int]]
    max_length: int = Field(ge=256)
    stages: list[Stage] = Field(min_length=1, description="in their order; each goes on from the one before")


class Rules(BaseModel):
    """How visuals are prepared and laid out; what is not given stays as the checkpoint has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aspect: str | None = Field(None, description="square, pad, anyres, anyres_max_N")
    patch_merge_type: Literal["flat", "spatial_unpad"] | None = None
    newline_position: NewlinePosition | None = None
    pinpoints: tuple[tuple[int, int], ...] | None = Field(None, description="(width, height) in pixels")
    max_length: int | None = Field(None, ge=64, description="tokens of a row at most, visuals included")
    temporal_heads: int | None = Field(
        None, gt=0, description="adds attention between frames, with so many heads; the original has none"
    )


class TransferStage(BaseModel):
    """One stage: on which conversations, what of the network learns, and how fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="its folder below --out")
    data: Path = Field(description="conversations or a mixture of them, relative to --data")
    template: TrainingTemplate = Field(
        "qwen_1_5", description="plain: the visual, then the first answer; no questions"
    )
    trains: tuple[Part, ...] = Field(description="parts whose own weights learn")
    lora: Lora | None = None
    rules: Rules = Rules()
    frames: int = Field(32, ge=1, description="of a video at most; about one a second")
    learning_rate: float = Field(gt=0)
    tower_learning_rate: float | None = Field(None, gt=0, description="none: as the others")
    batch: int = Field(1, gt=0, description="conversations per process and micro-batch")
    accumulate: int = Field(1, gt=0, description="micro-batches of a step")
    epochs: float = Field(1, gt=0)
    steps: int | None = Field(None, gt=0, description="instead of epochs")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(0, ge=0)
    on_unreadable: OnUnreadable = "stop"
    save_every: int = Field(1000, gt=0, description="steps")
    keep: int = Field(1, gt=0, description="checkpoints that are kept")
    log_every: int = Field(1, gt=0, description="steps")
    gradient_checkpointing: bool = True
    bf16: bool = True
    compile: bool = Field(False, description="layers by torch.compile, which needs a C++ compiler or a GPU's")
    workers: int = Field(4, ge=0, description="processes that decode")

    @model_validator(mode="after")
    def _something_learns(self) -> TransferStage:
        if not self.trains and self.lora is None:
            raise ValueError("nothing learns: name parts in trains, or give lora")
        return self


class Start(BaseModel):
    """Where the weights of the first stage come from: a LLaVA checkpoint, or a decoder and a tower. Folders or hub ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str | None = None
    decoder: str | None = None
    tower: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Start:
        if (self.checkpoint is None) == (self.decoder is None) or (self.decoder is None) != (
            self.tower is None
        ):
            raise ValueError("give checkpoint, or decoder and tower")
        return self


class Geometry(BaseModel):
    """The size of a network whose weights are not at hand: what a dry run is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: dict[str, Any] = Field(description="arguments of Qwen2Config")
    vision: dict[str, Any] = Field(description="arguments of SiglipVisionConfig, of the layers that are kept")
    vocabulary: int = Field(gt=0, description="rows of the embedding matrix")


class TransferRecipe(BaseModel):
    """A transfer in stages (Vuong et al., VideoPath-LLaVA, 2025)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["transfer"]
    name: str
    seed: int = 42
    start: Start
    geometry: Geometry | None = None
    dtype: DtypeName = Field("bfloat16", description="number format of the checkpoints that the stages write")
    huggingface: bool = Field(
        True, description="whether each stage's checkpoint is also written in Hugging Face's layout"
    )
    stages: tuple[TransferStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> TransferRecipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("two stages have the same name")
        if self.stages[0].lora and not self.start.checkpoint:
            raise ValueError(
                "the first stage puts LoRA on a projector that never learned; begin with another one"
            )
        return self


AnyRecipe = Recipe | TransferRecipe
_RECIPE: TypeAdapter[AnyRecipe] = TypeAdapter(Annotated[AnyRecipe, Field(discriminator="kind")])


def load_recipe(name: str, changes: Sequence[str] = ()) -> AnyRecipe:
    """A shipped recipe by name, or a YAML file, with ``key=value`` changes: ``seed=3``, ``stages.1.batch=2``.

    Raises ``InputError`` that names the wrong entry.
    """
    content = _content(name)
    for change in changes:
        _change(content, change)
    content.setdefault("kind", "scratch")
    try:
        return _RECIPE.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("scratch", "transfer"))
        raise InputError(f"The recipe {name!r} is wrong at {place or 'its top'}: {first['msg']}.") from error


def _content(name: str) -> dict[str, Any]:
    shipped = files("videopath.training").joinpath("recipes", f"{name}.yaml")
    path = Path(name)
    if not shipped.is_file() and not path.is_file():
        known = ", ".join(_SHIPPED)
        raise InputError(f"There is no recipe {name!r}: use {known}, or the path of a YAML file.")
    try:
        data = shipped.read_bytes() if shipped.is_file() else path.read_bytes()
    except OSError as error:
        raise InputError(f"The recipe {name!r} cannot be read: {error.strerror or error}.") from error
    content = parse_yaml(data, f"The recipe {name!r}")
    if not isinstance(content, dict):
        raise InputError(f"The recipe {name!r} is wrong at its top: names with values are expected.")
    return content


def _change(content: dict[str, Any], change: str) -> None:
    """Set one value, by its path; a list's entries are named by their numbers, from 0."""
    key, equals, value = change.partition("=")
    *path, last = key.strip().split(".")
    place: Any = content
    try:
        if not equals:
            raise KeyError
        for name in path:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = parse_yaml(value, key)
    except (
        KeyError,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # InputError is a ValueError
        raise InputError(
            f"{change!r} cannot be set: give KEY=VALUE, like seed=3 or stages.1.batch=2."
        ) from error
