"""Which language a short text is in, by its script and its most common words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_COMMON_WORDS = {
    "en": "the of and is are with in this that to by from which shows there it as an not seen",
    "de": "der die das und ist sind mit von den dem ein eine nicht zeigt sich auf im zu bei es wird",
    "fr": "le la les des et est sont avec dans une un du ce cette qui pas par sur au on",
    "es": "el la los las y es son con en una un del este esta que no por se se observa al",
    "it": "il lo la gli e è sono con in una un del della questo questa che non per si nel",
    "pt": "o a os as e é são com em uma um do da este esta que não por se no na",
    "nl": "de het een en is zijn met van in dit dat niet op te door er wordt deze bij als",
    "tr": "ve bir bu ile da de için olarak olan gibi çok daha değil var görülmektedir izlenmektedir",
    "pl": "i w z na jest są się to nie do oraz przez po od jak który która widoczne",
    "sv": "och är med av den det en ett som på i inte till för från visar ses",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON_WORDS.items()}
_SCRIPTS = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "CYRILLIC": "ru", "ARABIC": "ar", "GREEK": "el",
    "HEBREW": "he", "DEVANAGARI": "hi", "THAI": "th",
}  # fmt: skip
"""Scripts that are not Latin → the language with most readers; Japanese writes Chinese characters as well."""
_LEAST = 2  # common words that a guess needs
_FOREIGN_LETTERS = 0.3  # share of a text's letters; less are Greek letters and names in a Latin text


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of a text's language, or an empty text if it is too short to say."""
    letters = [character for character in text if character.isalpha()]
    scripts = Counter(_script(letter) for letter in letters if not letter.isascii())
    if "ja" in scripts and scripts["ja"] + scripts["zh"] >= _FOREIGN_LETTERS * len(letters):
        return "ja"
    for script, count in scripts.most_common():
        if script and count >= _FOREIGN_LETTERS * len(letters):
            return script
    words = re.findall(r"[^\W\d_]+", text.casefold())
    hits = Counter({code: sum(word in common for word in words) for code, common in _WORDS.items()})
    (best, most), (_, second) = hits.most_common(2)
    return best if most >= _LEAST and most > second else ""


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((language for script, language in _SCRIPTS.items() if name.startswith(script)), "")
