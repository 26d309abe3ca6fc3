"""What an adapter's ``adapter_config.json`` may say: a list of what is supported, everything else is refused by name.

Supported is every LoRA whose merge is W + scale · B A on the base's own weights. The settings of other kinds (PiSSA, OLoRA,
CorDA, LoftQ, LoRA-GA and MiCA change or need the base at the beginning, DoRA has magnitudes, ...) are known by being
unknown here, so that a kind that is invented tomorrow is refused as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from videopath.core.errors import ModelError
from videopath.model.checkpoints.weights import read_json

ADAPTER_CONFIG = "adapter_config.json"

_STARTS = ("gaussian", "orthogonal", "eva")
"""Values of ``init_lora_weights`` beside true and false that leave the base as it is."""
_READ = frozenset({"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"})  # fmt: skip
_WITHOUT_EFFECT = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "eva_config", "inference_mode", "lora_dropout", "megatron_core",
        "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
        # which modules have an adapter, checked against the file
        "exclude_modules", "layers_pattern", "layers_to_transform", "target_modules",
    }
)  # fmt: skip
"""Settings that change nothing of what is merged."""


@dataclass(frozen=True)
class AdapterSettings:
    """What an adapter says of itself."""

    rank: int
    alpha: float
    rank_scaled: bool
    base_name: str
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    targets: str | list[str] | None = None
    excluded: str | list[str] | None = None
    layers: int | list[int] | None = None
    layers_pattern: str | list[str] | None = None

    def rank_of(self, module: str) -> int:
        """The rank of a module's adapter; ``module`` as the adapter's file names it, without PEFT's prefix."""
        return self.ranks.get(_pattern_of(self.ranks, module), self.rank)

    def alpha_of(self, module: str) -> float:
        """The alpha of a module's adapter."""
        return self.alphas.get(_pattern_of(self.alphas, module), self.alpha)

    def scale_of(self, module: str, rank: int) -> float:
        """What B A of that rank is multiplied by."""
        return self.alpha_of(module) / (math.sqrt(rank) if self.rank_scaled else rank)

    def names(self, module: str) -> bool:
        """Whether PEFT would give this module an adapter."""
        if self.targets is None or self.targets == "all-linear":
            return True
        from peft.tuners.tuners_utils import check_target_module_exists

        asked = SimpleNamespace(
            target_modules=self.targets,
            exclude_modules=self.excluded,
            layers_to_transform=self.layers,
            layers_pattern=self.layers_pattern,
            modules_to_save=None,
            target_parameters=None,
        )
        return bool(check_target_module_exists(asked, module))


def read_settings(folder: Path) -> AdapterSettings:
    """The settings of the adapter in ``folder``. Raises ``ModelError`` that names what is not supported or unusable."""
    file = folder / ADAPTER_CONFIG
    found = read_json(file)
    _refuse_other_kinds(folder, found)
    try:
        return AdapterSettings(
            rank=_rank(found["r"]),
            alpha=_number(found["lora_alpha"]),
            rank_scaled=_flag(found.get("use_rslora")),
            base_name=str(found.get("base_model_name_or_path") or ""),
            ranks={key: _rank(value) for key, value in _patterns(found.get("rank_pattern")).items()},
            alphas={key: _number(value) for key, value in _patterns(found.get("alpha_pattern")).items()},
            targets=_names(found.get("target_modules")),
            excluded=_names(found.get("exclude_modules")),
            layers=_layers(found.get("layers_to_transform")),
            layers_pattern=_names(found.get("layers_pattern")),
        )
    except KeyError as error:
        raise ModelError(f"{file} lacks {error.args[0]}; copy it again.") from error
    except (TypeError, ValueError, OverflowError, re.error) as error:
        raise ModelError(
            f"{file} holds a value that is not usable ({error}): r, lora_alpha and the patterns are numbers above 0, "
            "modules are names. Copy it again."
        ) from error


def _refuse_other_kinds(folder: Path, found: Mapping[str, Any]) -> None:
    kind = found.get("peft_type", "LORA")
    if kind != "LORA":
        raise ModelError(
            f"{folder} holds an adapter of type {kind!r}; only LORA can be merged. Merge it with PEFT first."
        )
    asked = [
        f"{key}: {str(value)[:60]!r}"
        for key, value in sorted(found.items())
        if key not in _READ | _WITHOUT_EFFECT and value not in (None, False, "", "none", [], {})
    ]
    start = found.get("init_lora_weights", True)
    if not (start is None or isinstance(start, bool) or str(start).lower() in _STARTS):
        asked.insert(0, f"init_lora_weights: {str(start)[:60]!r}")
    if asked:
        raise ModelError(
            f"The adapter in {folder} is not plain LoRA ({', '.join(asked)}), so that W + scale · B A is not its merge. "
            "Merge it with PEFT (merge_and_unload) on the base it was trained on, or save it as plain LoRA "
            "(path_initial_model_for_weight_conversion)."
        )


def _pattern_of(patterns: Mapping[str, Any], module: str) -> str:
    """The first pattern that fits a module, as PEFT looks for it."""
    return next((pattern for pattern in patterns if re.match(rf"(.*\.)?({pattern})$", module)), "")


def _patterns(value: Any) -> dict[str, Any]:
    if not isinstance(value or {}, dict):
        raise TypeError(f"{str(value)[:60]!r} is no table of patterns")
    for pattern in value or {}:
        re.compile(pattern)
    return dict(value or {})


def _number(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value <= 0
    ):
        raise ValueError(f"{str(value)[:60]!r} is no number above 0")
    return float(value)


def _rank(value: Any) -> int:
    if _number(value) != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _flag(value: Any) -> bool:
    if value not in (None, True, False):
        raise ValueError(f"{str(value)[:60]!r} is neither true nor false")
    return bool(value)


def _names(value: Any) -> str | list[str] | None:
    if value is None or isinstance(value, str):
        if value:
            re.compile(value)
        return value or None
    if isinstance(value, Sequence) and all(isinstance(name, str) for name in value):
        return list(value) or None
    raise TypeError(f"{str(value)[:60]!r} names no modules")


def _layers(value: Any) -> int | list[int] | None:
    numbers = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"{str(value)[:60]!r} names no layers")
    return numbers or None
