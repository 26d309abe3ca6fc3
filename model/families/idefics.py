"""Idefics3 and SmolVLM2: a frame is one view; an image is cut into tiles as well.

The processor of SmolVLM2 needs the package num2words and torchvision for videos. It writes pictures into the prompt as that
of Idefics3 does, so the latter is used for both.
"""

from __future__ import annotations

from videopath.model.families.family import Family, always

IDEFICS3 = Family("Idefics3", ("idefics3",), frame_options=always(do_image_splitting=False))
SMOLVLM = Family(
    "SmolVLM2",
    ("smolvlm",),
    processor="Idefics3Processor",
    frame_options=always(do_image_splitting=False),
)
