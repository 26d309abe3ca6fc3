"""Codes of languages in file names and streams."""

from __future__ import annotations

import re

_CODES = frozenset(
    """
aa ab af am ar as ay az ba be bg bh bi bn bo br bs ca co cs cy da de dz el en eo es et eu fa fi fj fo fr fy ga gd gl gn gu
ha he hi hr hu hy ia id is it ja ka kk kl km kn ko ku ky la lb ln lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no oc om
or pa pl ps pt qu rm rn ro ru rw sa sd sg si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ug uk
ur uz vi vo wo xh yi yo za zh zu""".split()  # noqa: SIM905
)
_LONGER = {
    "ara": "ar", "bul": "bg", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl", "ell": "el",
    "eng": "en", "english": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "german": "de",
    "gre": "el", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "ita": "it", "jpn": "ja", "kor": "ko",
    "nld": "nl", "nob": "nb", "nor": "no", "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru",
    "slk": "sk", "slo": "sk", "slv": "sl", "spa": "es", "srp": "sr", "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk",
    "vie": "vi", "zho": "zh",
}  # fmt: skip
"""ISO 639-2 codes and names that FFmpeg and players write."""


def language_code(text: str) -> str:
    """Return the ISO 639-1 code of "en", "en-US", "eng" or "English"; empty if it is no language."""
    code = re.split(r"[-_]", text.strip().lower())[0]
    return code if code in _CODES else _LONGER.get(code, "")
