"""The families by the ``model_type`` in config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from videopath.core.errors import ModelError
from videopath.model.families.family import Family, Positions, counted
from videopath.model.families.gemma import GEMMA3, GEMMA4
from videopath.model.families.idefics import IDEFICS3, SMOLVLM
from videopath.model.families.internvl import INTERNVL
from videopath.model.families.llava import LLAVA, LLAVA_NEXT, LLAVA_ONEVISION
from videopath.model.families.qwen_vl import QWEN_VL, multimodal_positions

FAMILIES: tuple[Family, ...] = (
    QWEN_VL,
    GEMMA3,
    GEMMA4,
    INTERNVL,
    IDEFICS3,
    SMOLVLM,
    LLAVA,
    LLAVA_NEXT,
    LLAVA_ONEVISION,
)
"""The families whose answers the tests compare with those of plain transformers."""


def family_of(model_type: str) -> Family:
    """Return the family of a model type; one that is not known is tried if transformers reads pictures with it.

    Raises:
        ModelError: The model takes no pictures, or transformers does not know it.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    if model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelError(
            f"A model of type {model_type[:80]!r} is not one that answers questions about pictures in transformers. "
            f"Known are LLaVA-Qwen, which VideoPath's own models are, and {', '.join(one.name for one in FAMILIES)}."
        )
    return Family(model_type, (model_type,), positioning=_any_positions, known=False)


def _any_positions(model: Any, ids: Tensor, inputs: Mapping[str, Tensor]) -> Positions:
    """Return positions by the model's own rule for pictures if it has one like Qwen's."""
    has_rule = hasattr(getattr(model, "model", None), "get_rope_index")
    if has_rule and {"image_grid_thw", "mm_token_type_ids"} <= set(inputs):
        return multimodal_positions(model, ids, inputs)
    return counted(model, ids, inputs)
