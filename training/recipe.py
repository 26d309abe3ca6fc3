"""Recipes: YAML files that say what is trained and with which numbers.

There are two kinds. A ``scratch`` recipe trains a small model from random weights on tiles and slides; the bundled nano
was trained this way. A ``transfer`` recipe trains in stages on conversations in the LLaVA format, as the paper does;
each stage continues from the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from videopath.core.choices import DtypeName, NewlinePosition, OnUnreadable, TileLabel, TrainingTemplate
from videopath.core.errors import InputError
from videopath.core.yamltext import parse_yaml
from videopath.training.transfer.parts import Lora, Part

_SHIPPED = ("nano", "nano-start", "nano-transfer", "vidrip-7b", "vidrip-0.5b")
STARTER = "starter"
"""The name of the starter knowledge base in a recipe's ``evidence``."""
_STARTER_BEFORE = "videopath.knowledge:starter/records.jsonl"  # in older recipes


class ScratchStage(BaseModel):
    """The numbers of one stage of a training from random weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="the stage's folder below --out")
    trains: Literal["tower", "language", "joint"] = Field(
        description="tower: the tower alone; language: projector and decoder, with the tower frozen; joint: everything"
    )
    tells: TileLabel = Field(
        "diagnosis",
        description="the class of a tile in a tower stage; with site, the tower learns no diagnosis",
    )
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    tower_learning_rate: float | None = Field(None, gt=0)
    warmup: int = Field(0, ge=0)
    descriptions: tuple[float, float, float] = Field(
        (0.6, 0.15, 0.25),
        description="shares of the descriptions before a diagnosis: correct, without facts, of another entity",
    )
    weight_decay: float = Field(0.0, ge=0)


class ScratchRecipe(BaseModel):
    """A training from random weights to a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["scratch"] = "scratch"
    name: str
    seed: int = 0
    evidence: str | None = Field(
        None, description='records for similar cases: "starter", or the path of a file of records'
    )
    tokenizer_size: int = Field(ge=300)
    frames: int = Field(ge=1)
    vision: dict[str, Any]
    text: dict[str, Any]
    pinpoints: list[tuple[int, int]]
    max_length: int = Field(ge=256)
    stages: list[ScratchStage] = Field(
        min_length=1, description="in order; each continues from the one before"
    )

    @field_validator("evidence")
    @classmethod
    def _starter_by_name(cls, value: str | None) -> str | None:
        return STARTER if value == _STARTER_BEFORE else value


class VisualRules(BaseModel):
    """How visuals are prepared and laid out. A rule that is not set stays as the checkpoint has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aspect: str | None = Field(None, description="square, pad, anyres or anyres_max_N")
    patch_merge_type: Literal["flat", "spatial_unpad"] | None = None
    newline_position: NewlinePosition | None = None
    pinpoints: tuple[tuple[int, int], ...] | None = Field(None, description="(width, height) in pixels")
    max_length: int | None = Field(None, ge=64, description="most tokens of a row, visual tokens included")
    temporal_heads: int | None = Field(
        None, gt=0, description="adds attention between frames with this many heads; the original has none"
    )


class TransferStage(BaseModel):
    """One stage of a transfer: its conversations, the parts that learn, and the learning rates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="the stage's folder below --out")
    data: Path = Field(description="a file of conversations or a mixture of files, relative to --data")
    template: TrainingTemplate = Field(
        "qwen_1_5", description="plain: the visual and then the first answer, without questions"
    )
    trains: tuple[Part, ...] = Field(description="the parts whose own weights learn")
    lora: Lora | None = None
    rules: VisualRules = VisualRules()
    frames: int = Field(32, ge=1, description="most frames of a video, at about one a second")
    learning_rate: float = Field(gt=0)
    tower_learning_rate: float | None = Field(
        None, gt=0, description="if not set, the same as the other parts"
    )
    batch: int = Field(1, gt=0, description="conversations per process and micro-batch")
    accumulate: int = Field(1, gt=0, description="micro-batches per step")
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
    compile: bool = Field(
        False, description="compiles the layers (torch.compile); needs a C++ compiler or a GPU"
    )
    workers: int = Field(4, ge=0, description="processes that decode images and videos")

    @model_validator(mode="after")
    def _something_learns(self) -> TransferStage:
        if not self.trains and self.lora is None:
            raise ValueError("nothing learns: name parts in trains, or give lora")
        return self


class StartWeights(BaseModel):
    """The weights that the first stage starts from: a LLaVA checkpoint, or a decoder and a tower. Folders or hub ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str | None = None
    decoder: str | None = None
    tower: str | None = None

    @model_validator(mode="after")
    def _checkpoint_or_parts(self) -> StartWeights:
        if (self.checkpoint is None) == (self.decoder is None) or (self.decoder is None) != (
            self.tower is None
        ):
            raise ValueError("give checkpoint, or decoder and tower")
        return self


class Geometry(BaseModel):
    """The size of a network, for a dry run without its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: dict[str, Any] = Field(description="arguments of Qwen2Config")
    vision: dict[str, Any] = Field(description="arguments of SiglipVisionConfig, without the dropped layers")
    vocabulary: int = Field(gt=0, description="rows of the embedding matrix")


class TransferRecipe(BaseModel):
    """A transfer in stages (Vuong et al., VideoPath-LLaVA, 2025)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["transfer"]
    name: str
    seed: int = 42
    start: StartWeights
    geometry: Geometry | None = None
    dtype: DtypeName = Field("bfloat16", description="number format of the stages' checkpoints")
    huggingface: bool = Field(
        True, description="whether each stage's checkpoint is also written in Hugging Face's layout"
    )
    stages: tuple[TransferStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_fit(self) -> TransferRecipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("two stages have the same name")
        if self.stages[0].lora and not self.start.checkpoint:
            raise ValueError(
                "the first stage puts LoRA on an untrained projector; train the projector in an earlier stage"
            )
        return self


AnyRecipe = ScratchRecipe | TransferRecipe
_RECIPE: TypeAdapter[AnyRecipe] = TypeAdapter(Annotated[AnyRecipe, Field(discriminator="kind")])


def load_recipe(name: str, changes: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe and apply changes to it.

    Args:
        name: The name of a shipped recipe, or the path of a YAML file.
        changes: ``key=value`` each, such as ``seed=3`` or ``stages.1.batch=2``.

    Raises:
        InputError: The recipe does not exist, or an entry of it is wrong; the message names the entry.
    """
    content = _content(name)
    for change in changes:
        _apply_change(content, change)
    content.setdefault("kind", "scratch")
    try:
        return _RECIPE.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"] if part not in ("scratch", "transfer"))
        raise InputError(
            f"The recipe {name!r} is wrong at {entry or 'the top level'}: {first['msg']}."
        ) from error


def _content(name: str) -> dict[str, Any]:
    shipped = files("videopath.training").joinpath("recipes", f"{name}.yaml")
    path = Path(name)
    if not shipped.is_file() and not path.is_file():
        known = ", ".join(_SHIPPED)
        raise InputError(f"There is no recipe {name!r}. Use {known}, or the path of a YAML file.")
    try:
        data = shipped.read_bytes() if shipped.is_file() else path.read_bytes()
    except OSError as error:
        raise InputError(f"The recipe {name!r} cannot be read: {error.strerror or error}.") from error
    content = parse_yaml(data, f"The recipe {name!r}")
    if not isinstance(content, dict):
        raise InputError(f"The recipe {name!r} must be a YAML mapping: names with values.")
    return content


def _apply_change(content: dict[str, Any], change: str) -> None:
    """Set one value by its dotted path. Entries of a list are numbered from 0."""
    key, equals, value = change.partition("=")
    *path, last = key.strip().split(".")
    node: Any = content
    try:
        if not equals:
            raise KeyError
        for name in path:
            node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
        node[int(last) if isinstance(node, list) else last] = parse_yaml(value, key)
    except (
        KeyError,
        IndexError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # InputError is a ValueError
        raise InputError(
            f"{change!r} cannot be set. Give KEY=VALUE, such as seed=3 or stages.1.batch=2."
        ) from error
