"""Recipes: what is trained, with which numbers. One YAML file each."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.core.errors import InputError


class Stage(BaseModel):
    """The numbers of one stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="its folder below --out")
    trains: Literal["tower", "language", "joint"] = Field(
        description="the tower alone; projector and decoder on a still tower; everything together"
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


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by name, or a YAML file. Raises ``InputError`` that names the wrong entry."""
    shipped = files("videopath.model.training").joinpath(f"{name}.yaml")
    path = Path(name)
    if not shipped.is_file() and not path.is_file():
        raise InputError(f"There is no recipe {name!r}: use 'nano' or the path of a YAML file.")
    text = shipped.read_text(encoding="utf-8") if shipped.is_file() else path.read_text(encoding="utf-8")
    try:
        return Recipe.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InputError(f"The recipe {name!r} is not valid YAML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"The recipe {name!r} is wrong at {'.'.join(map(str, first['loc']))}: {first['msg']}."
        ) from error
