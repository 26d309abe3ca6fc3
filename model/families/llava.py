"""LLaVA 1.5, LLaVA-NeXT, and those LLaVA-OneVision that VideoPath's own network does not read.

LLaVA-NeXT reads a frame as a whole and in tiles of full size, which is 1,200 to 2,900 tokens of a frame.
"""

from __future__ import annotations

from videopath.model.families.family import Family

LLAVA = Family("LLaVA 1.5", ("llava",))
LLAVA_NEXT = Family("LLaVA-NeXT", ("llava_next",))
LLAVA_ONEVISION = Family("LLaVA-OneVision", ("llava_onevision",))
