"""Tensor names. Checkpoints are merged and checked under the names of the original LLaVA-NeXT layout.

Hugging Face's layout has two spellings: the modules of transformers 5, and files written for version 4.
"""

from __future__ import annotations

TOWER = "model.vision_tower.vision_tower.vision_model."
NEWLINE = "model.image_newline"
PROJECTOR = "model.mm_projector."
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
TEMPORAL = "model.temporal_attention."
"""The optional attention between frames; the original has none."""
UNUSED = (TOWER + "post_layernorm.weight", TOWER + "post_layernorm.bias")
"""The original stores these tensors but never uses them: features are read before this norm."""

# original prefix → prefix of transformers 5's modules; a longer prefix stands before its own beginning
_TO_MODULE = (
    (TOWER, "model.vision_tower."),
    (PROJECTOR + "0.", "model.multi_modal_projector.linear_1."),
    (PROJECTOR + "2.", "model.multi_modal_projector.linear_2."),
    ("model.embed_tokens.", "model.language_model.embed_tokens."),
    ("model.layers.", "model.language_model.layers."),
    ("model.norm.", "model.language_model.norm."),
    (NEWLINE, NEWLINE),
    (TEMPORAL, TEMPORAL),
    (HEAD, HEAD),
)
# original prefix → prefix in the files on the hub, which transformers 4 and 5 both load
_TO_FILE = (
    (TOWER, "vision_tower.vision_model."),
    (PROJECTOR + "0.", "multi_modal_projector.linear_1."),
    (PROJECTOR + "2.", "multi_modal_projector.linear_2."),
    (NEWLINE, "image_newline"),
    (TEMPORAL, "temporal_attention."),
    (HEAD, "language_model.lm_head.weight"),
    ("model.", "language_model.model."),
)
_FROM_FILES = (
    ("model.vision_tower.vision_model.", TOWER),
    ("vision_tower.vision_model.", TOWER),
    ("vision_tower.", TOWER),
    ("multi_modal_projector.linear_1.", PROJECTOR + "0."),
    ("multi_modal_projector.linear_2.", PROJECTOR + "2."),
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model."),
    ("image_newline", NEWLINE),
    ("temporal_attention.", TEMPORAL),
)


def to_module(name: str) -> str:
    """Return the name of an original tensor in transformers 5's ``LlavaOnevisionForConditionalGeneration``."""
    return _renamed(name, _TO_MODULE)


def to_file(name: str) -> str:
    """Return the name of an original tensor in the files of a Hugging Face checkpoint."""
    return _renamed(name, _TO_FILE)


def to_original(name: str) -> str:
    """Return the original name of a tensor of the Hugging Face layout, in either spelling; other names stay."""
    if name.startswith(TOWER):
        return name
    for pairs in (_FROM_FILES, tuple((module, original) for original, module in _TO_MODULE)):
        renamed = _renamed(name, pairs)
        if renamed != name:
            return renamed
    return name


def _renamed(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        if name.startswith(old):
            return new + name[len(old) :]
    return name
