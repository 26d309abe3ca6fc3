"""Gemma 3 with MedGemma, and Gemma 4: pictures are seen in both directions, and most layers see a window of the text.

A picture's tokens see each other. All of them stand in the prefilled beginning, so the text after them is causal as usual.
The engine's cache keeps every token of the windowed layers, because a cache that forgets cannot be rewound; the window is
in the mask.
"""

from __future__ import annotations

from videopath.model.families.family import Family, always

GEMMA3 = Family("Gemma 3 and MedGemma", ("gemma3",), frame_options=always(do_pan_and_scan=False))
GEMMA4 = Family("Gemma 4", ("gemma4",))
