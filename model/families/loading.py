"""Loading of models of other families."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
import yaml

from videopath.core.errors import ModelError
from videopath.model.card import CARD_NAMES, read_card
from videopath.model.checkpoints.hub import licence_of, resolve
from videopath.model.checkpoints.weights import FileWeights, read_json, reason_of, weight_files
from videopath.model.checkpoints.weights_hash import weights_sha256
from videopath.model.device import DeviceChoice, choose_device
from videopath.model.families.engine import FamilyEngine
from videopath.model.families.family import Family
from videopath.model.families.kinds import PLAIN_FRAMES
from videopath.model.families.network import FamilyNetwork
from videopath.model.families.prefix import WholePrompts, new_prefix
from videopath.model.families.processing import PictureProcessor
from videopath.model.families.prompting import FramePrompts
from videopath.model.families.registry import FAMILIES, family_of
from videopath.model.inference.engine import EngineInfo
from videopath.model.inference.spec import EngineSpec

_log = logging.getLogger(__name__)

_LOADING = Lock()
"""transformers switches initialisation off for all threads while it loads, and on again when the first one is done."""
_SAME = {torch.float32: 0.02, torch.float16: 0.3, torch.bfloat16: 0.5}
"""How far scores with and without the cache may differ by rounding."""


def load_family_engine(spec: EngineSpec) -> FamilyEngine:
    """Load a checkpoint of any family that transformers reads pictures with.

    Only safetensors are read, and no code of the checkpoint is run.

    Args:
        spec: The checkpoint, a folder or a hub id.

    Raises:
        ModelError: The checkpoint is missing, damaged or incomplete, its family cannot be asked about pictures, or a
            package that it needs is missing.
        InputError: The device or the dtype is unknown.
    """
    started = time.monotonic()
    choice = choose_device(spec.device, spec.dtype)
    folder = resolve(spec.model, accept_licence=spec.accept_licence)
    if spec.base is not None:
        raise ModelError(f"{folder} is a whole checkpoint, which has no base: leave the base out.")
    model_type = str(read_json(folder / "config.json").get("model_type", ""))
    family = family_of(model_type)
    files = _safetensors(folder)
    card = read_card(folder)
    processor = PictureProcessor(folder, family, model_type)
    network = _network(folder, choice, processor, family)
    _check(network)
    sha256 = weights_sha256(files)
    info = EngineInfo(
        name=card.name or (folder.name if Path(spec.model).expanduser().is_dir() else str(spec.model)),
        source=str(spec.model),
        layout="transformers",
        weights_sha256=sha256,
        device=choice.device,
        dtype=choice.dtype,
        device_reason=choice.reason,
        parameters=sum(weight.numel() for weight in network.model.parameters()),
        licence=card.licence or licence_of(spec.model) or _stated_licence(folder) or "not stated",
        frames=card.frames or PLAIN_FRAMES,
        card=card.card_of(sha256),
        wording="plain",
        scoring="token probabilities",
    )
    _log.info(
        "Engine %s loaded on %s as %s in %.1f s (%s).",
        info.name, info.device, info.dtype, time.monotonic() - started, info.device_reason,
    )  # fmt: skip
    return FamilyEngine(network, info)


def _safetensors(folder: Path) -> list[Path]:
    """Return the weight files of a folder, whose headers are intact."""
    files = weight_files(folder)
    others = [file.name for file in files if file.suffix != ".safetensors"]
    if others:
        raise ModelError(
            f"{folder} holds its weights as {others[0]}; of other families than LLaVA-Qwen only safetensors are read, "
            "because they cannot hold code. Download or convert them."
        )
    FileWeights(files, str)
    return files


def _network(
    folder: Path, choice: DeviceChoice, processor: PictureProcessor, family: Family
) -> FamilyNetwork:
    model = _model(folder, choice)
    try:
        return FamilyNetwork(model, processor, family)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"The settings in {folder} have a value that cannot be used ({reason_of(error)}); copy or download them again."
        ) from error


def _model(folder: Path, choice: DeviceChoice) -> Any:
    """Load the network, with every tensor in its place."""
    from transformers import AutoModelForImageTextToText

    try:
        with _LOADING, _without_progress_bar():
            model, report = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=choice.torch_dtype,
                device_map=choice.device,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The memory of {choice.device} is too small for the weights in {folder}. Free it, or choose another device "
            "or dtype."
        ) from error
    except Exception as error:  # noqa: BLE001 - a damaged config.json makes networks fail in any way
        raise ModelError(
            f"No network can be built from {folder} ({reason_of(error)}); copy or download it again."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more tensors" if len(missing) > 1 else ""
        raise ModelError(
            f"The checkpoint {folder} lacks {missing[0]}{more}; it is incomplete or has another architecture."
        )
    return model.eval()


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Keep transformers from writing to stderr; whoever shows progress does it by the log."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _check(network: FamilyNetwork) -> None:
    """Put two pictures into a prompt, so that settings that do not fit show now.

    With a model of a family that is not known, a text is scored as well, with the cache and without it. If the scores
    differ, the cache is not used.

    Raises:
        ModelError: The model cannot be asked about pictures.
    """
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    prompts = FramePrompts(network.processor, frames, ["First frame:", "Second frame:"])
    if network.family.known:
        return
    texts = [" A tissue.", " Another tissue of the colon."]
    try:
        with torch.inference_mode():
            whole = WholePrompts(network, prompts).score("What is shown?", "", texts)
    except Exception as error:  # noqa: BLE001 - nothing is known about this family
        raise ModelError(
            f"A model of type {network.family.name!r} cannot be asked about several pictures ({reason_of(error)}). Known "
            f"are {', '.join(one.name for one in FAMILIES)}."
        ) from error
    if not _continues(network, prompts, texts, whole):
        network.cache_use = "none"


def _continues(
    network: FamilyNetwork, prompts: FramePrompts, texts: Sequence[str], whole: Sequence[torch.Tensor]
) -> bool:
    """Return whether answers that continue a prefilled clip equal those of a whole prompt."""
    try:
        with torch.inference_mode():
            cached = new_prefix(network, prompts)
            cached.ask("Another question?", "")
            new_prefix(network, prompts.alone(0)).ask("A question about another clip?", "")
            scores = cached.score("What is shown?", "", texts)
    except Exception as error:  # noqa: BLE001 - such a model is asked without the cache
        _log.info("The cache of %s cannot be used again: %s", network.family.name, reason_of(error))
        return False
    limit = _SAME[network.model.dtype]
    return all(float((one - other).abs().max()) < limit for one, other in zip(scores, whole, strict=True))


def _stated_licence(folder: Path) -> str:
    """Return the licence that the card for people states in its first lines, as on the hub."""
    card = next((folder / name for name in CARD_NAMES if (folder / name).is_file()), None)
    text = card.read_text(encoding="utf-8", errors="replace") if card else ""
    if not text.startswith("---\n"):
        return ""
    try:
        facts = yaml.safe_load(text[4:].partition("\n---")[0])
    except (yaml.YAMLError, RecursionError):
        return ""
    if not isinstance(facts, dict):
        return ""
    stated = facts.get("license_name") or facts.get("license")
    return stated if isinstance(stated, str) else ""
