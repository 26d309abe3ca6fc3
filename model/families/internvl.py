"""InternVL in the layout of transformers: a frame is one view of 448 pixels; an image is cut into tiles as well."""

from __future__ import annotations

from videopath.model.families.family import Family, always

INTERNVL = Family("InternVL", ("internvl",), frame_options=always(crop_to_patches=False))
