"""The settings of an adapter (``adapter_config.json``). Known settings are listed; all others are rejected by name.

An adapter is supported if its merge is W + scale · B A on the base's own weights. Other kinds have settings that are not
listed here: PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA and MiCA change or need the base at the start, DoRA has magnitudes. A kind
that is invented later is rejected in the same way.
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
"""Values of ``init_lora_weights``, other than true and false, that leave the base unchanged."""
_READ = frozenset({"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"})  # fmt: skip
_WITHOUT_EFFECT = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "eva_config", "inference_mode", "lora_dropout", "megatron_core",
        "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
        # name the modules with an adapter; they are checked against the file
        "exclude_modules", "layers_pattern", "layers_to_transform", "target_modules",
    }
)  # fmt: skip
"""Settings without effect on the merge."""


@dataclass(frozen=True)
class AdapterSettings:
    """The settings of a plain LoRA.

    Attributes:
        rank: Rank of modules without a pattern.
        alpha: Alpha of modules without a pattern.
        rank_scaled: Whether alpha is divided by √rank instead of rank.
        base_name: The checkpoint that the adapter was trained on, as training named it.
        ranks: Pattern of modules → rank.
        alphas: Pattern of modules → alpha.
        targets: Modules with an adapter; ``None``: not stated.
        excluded: Modules without one.
        layers: Numbers of the layers with an adapter.
        layers_pattern: Name of the list of layers.
    """

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
        """Return the rank of a module's adapter; ``module`` is its name in the adapter's file, without PEFT's prefix."""
        return self.ranks.get(_pattern_of(self.ranks, module), self.rank)

    def alpha_of(self, module: str) -> float:
        """Return the alpha of a module's adapter."""
        return self.alphas.get(_pattern_of(self.alphas, module), self.alpha)

    def scale_of(self, module: str, rank: int) -> float:
        """Return the factor of B A for a module with this rank."""
        return self.alpha_of(module) / (math.sqrt(rank) if self.rank_scaled else rank)

    def names(self, module: str) -> bool:
        """Return whether PEFT would give this module an adapter."""
        if self.targets is None or self.targets == "all-linear":
            return True
        from peft.tuners.tuners_utils import check_target_module_exists

        peft_settings = SimpleNamespace(
            target_modules=self.targets,
            exclude_modules=self.excluded,
            layers_to_transform=self.layers,
            layers_pattern=self.layers_pattern,
            modules_to_save=None,
            target_parameters=None,
        )
        return bool(check_target_module_exists(peft_settings, module))


def read_settings(folder: Path) -> AdapterSettings:
    """Read the settings of the adapter in ``folder``.

    Raises:
        ModelError: A setting is not supported or not usable; the message names it.
    """
    file = folder / ADAPTER_CONFIG
    content = read_json(file)
    _reject_other_kinds(folder, content)
    try:
        return AdapterSettings(
            rank=_rank(content["r"]),
            alpha=_number(content["lora_alpha"]),
            rank_scaled=_flag(content.get("use_rslora")),
            base_name=str(content.get("base_model_name_or_path") or ""),
            ranks={key: _rank(value) for key, value in _patterns(content.get("rank_pattern")).items()},
            alphas={key: _number(value) for key, value in _patterns(content.get("alpha_pattern")).items()},
            targets=_names(content.get("target_modules")),
            excluded=_names(content.get("exclude_modules")),
            layers=_layers(content.get("layers_to_transform")),
            layers_pattern=_names(content.get("layers_pattern")),
        )
    except KeyError as error:
        raise ModelError(f"{file} lacks {error.args[0]}: copy it again.") from error
    except (TypeError, ValueError, OverflowError, re.error) as error:
        raise ModelError(
            f"{file} holds a value that is not usable ({error}). r, lora_alpha and the patterns must be numbers above 0, "
            "modules must be names. Copy the file again."
        ) from error


def _reject_other_kinds(folder: Path, content: Mapping[str, Any]) -> None:
    kind = content.get("peft_type", "LORA")
    if kind != "LORA":
        raise ModelError(
            f"{folder} holds an adapter of type {kind!r}, but only LORA can be merged: merge it with PEFT first."
        )
    unsupported = [
        f"{key}: {str(value)[:60]!r}"
        for key, value in sorted(content.items())
        if key not in _READ | _WITHOUT_EFFECT and value not in (None, False, "", "none", [], {})
    ]
    start = content.get("init_lora_weights", True)
    if not (start is None or isinstance(start, bool) or str(start).lower() in _STARTS):
        unsupported.insert(0, f"init_lora_weights: {str(start)[:60]!r}")
    if unsupported:
        raise ModelError(
            f"The adapter in {folder} is not plain LoRA ({', '.join(unsupported)}), so its merge is not W + scale · B A. "
            "Merge it with PEFT (merge_and_unload) on the base that it was trained on, or save it as plain LoRA "
            "(path_initial_model_for_weight_conversion)."
        )


def _pattern_of(patterns: Mapping[str, Any], module: str) -> str:
    """Return the first pattern that matches a module, as in PEFT."""
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
