"""Is a set of conversations fit for training? Everything that is wrong with it, before hours are spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videopath.core.choices import CheckDepth
from videopath.core.errors import InputError
from videopath.media.image.files import read_picture
from videopath.training.data.conversations import training_frames
from videopath.training.data.instructions import Instruction, Modality, entries
from videopath.training.data.supervision import supervise


@dataclass
class DatasetCheck:
    """What was found."""

    conversations: int = 0
    by_modality: Counter[Modality] = field(default_factory=Counter)
    rounds: int = 0
    words: list[int] = field(default_factory=list, repr=False)
    tokens: list[int] = field(default_factory=list, repr=False)
    """Of the texts, without what visuals take; empty without a tokenizer."""
    problems: list[str] = field(default_factory=list)
    """One sentence each."""
    warnings: list[str] = field(default_factory=list)
    """What training does not stop at."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "conversations": self.conversations,
            "by_modality": dict(self.by_modality),
            "rounds": self.rounds,
            "words": _spread(self.words),
            "tokens": _spread(self.tokens),
            "problems": self.problems,
            "warnings": self.warnings,
        }


def check(
    path: Path, media: Path, depth: CheckDepth = "files", tokenizer: Any = None, max_length: int = 32768
) -> Iterator[DatasetCheck]:
    """The findings so far, after each conversation; the last are those of all.

    ``media``: the folder that images and videos are relative to. Raises ``InputError`` for what is wrong with a file of
    conversations as a whole.
    """
    found, ids, texts, looked_at = DatasetCheck(), Counter[str](), Counter[str](), dict[str, str | None]()
    for place, entry in entries(path):
        if isinstance(entry, InputError):
            found.problems.append(str(entry))
        else:
            _count(found, entry)
            for name in entry.media:
                if name not in looked_at:
                    looked_at[name] = _problem(media / name, entry.modality, depth)
                if looked_at[name]:
                    found.problems.append(f"{place}: {looked_at[name]}")
            if tokenizer is not None:
                length = len(supervise(entry, tokenizer).ids)
                found.tokens.append(length)
                if length > max_length:
                    found.warnings.append(
                        f"{place} has {length:,} tokens of text, {max_length:,} are read: its end is cut off."
                    )
            ids[entry.id] += 1
            texts["\n".join([*entry.media, *(turn.text for turn in entry.conversations)])] += 1
        yield found
    found.warnings += [
        f"The id {name!r} stands {count} times." for name, count in ids.items() if name and count > 1
    ]
    repeated = sum(count - 1 for count in texts.values() if count > 1)
    if repeated:
        found.warnings.append(
            f"{repeated:,} conversations are word for word repetitions of others about the same."
        )
    if not found.conversations and not found.problems:
        found.problems.append(f"{path} holds no conversation.")
    yield found


def _count(found: DatasetCheck, entry: Instruction) -> None:
    found.conversations += 1
    found.by_modality[entry.modality] += 1
    found.rounds += len(entry.conversations) // 2
    found.words.append(entry.words)


def _problem(path: Path, modality: Modality, depth: CheckDepth) -> str | None:
    if depth == "names":
        return None
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"{path} is missing."
    except (OSError, ValueError) as error:  # a name that is too long, or holds a null character
        return f"{str(path)[:200]!r} cannot be read: {getattr(error, 'strerror', None) or error}."
    if depth == "frames":
        try:
            training_frames(path, 2) if modality == "video" else read_picture(path)
        except InputError as error:
            return str(error)
    return None


def _spread(values: list[int]) -> dict[str, int]:
    """Least, median and largest; empty where there is nothing."""
    ordered = sorted(values)
    return (
        {"least": ordered[0], "median": ordered[len(ordered) // 2], "largest": ordered[-1]} if ordered else {}
    )
