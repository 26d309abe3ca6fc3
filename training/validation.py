"""A check of a set of conversations: everything that is wrong with it is found before a training begins."""

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
from videopath.training.data.instructions import Instruction, Modality, read_entries
from videopath.training.data.supervision import supervise


@dataclass
class DatasetCheck:
    """The findings about a set of conversations."""

    conversations: int = 0
    by_modality: Counter[Modality] = field(default_factory=Counter)
    rounds: int = 0
    """Questions with an answer."""
    words: list[int] = field(default_factory=list, repr=False)
    """Words of each conversation."""
    tokens: list[int] = field(default_factory=list, repr=False)
    """Tokens of each conversation's texts, without visual tokens; empty without a tokenizer."""
    problems: list[str] = field(default_factory=list)
    """Errors that stop a training, one sentence each."""
    warnings: list[str] = field(default_factory=list)
    """Findings that do not stop a training, one sentence each."""

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain JSON; lengths as smallest, median and largest."""
        return {
            "conversations": self.conversations,
            "by_modality": dict(self.by_modality),
            "rounds": self.rounds,
            "words": _spread(self.words),
            "tokens": _spread(self.tokens),
            "problems": self.problems,
            "warnings": self.warnings,
        }


def check_dataset(
    path: Path, media: Path, depth: CheckDepth = "files", tokenizer: Any = None, max_length: int = 32768
) -> Iterator[DatasetCheck]:
    """Check a set of conversations.

    Args:
        path: A file of conversations, or a mixture.
        media: The folder that images and videos are relative to.
        depth: How far images and videos are checked: not at all (``names``), that they exist, or that they open.
        tokenizer: If given, conversations with more tokens than ``max_length`` are reported.
        max_length: Most tokens that the training reads.

    Yields:
        The findings so far, after each conversation and once at the end. It is always the same object.

    Raises:
        InputError: A file of conversations as a whole cannot be read.
    """
    findings, ids, texts, checked = DatasetCheck(), Counter[str](), Counter[str](), dict[str, str | None]()
    for place, entry in read_entries(path):
        if isinstance(entry, InputError):
            findings.problems.append(str(entry))
        else:
            _count(findings, entry)
            for name in entry.media:
                if name not in checked:
                    checked[name] = _problem(media / name, entry.modality, depth)
                if checked[name]:
                    findings.problems.append(f"{place}: {checked[name]}")
            if tokenizer is not None:
                length = len(supervise(entry, tokenizer).ids)
                findings.tokens.append(length)
                if length > max_length:
                    findings.warnings.append(
                        f"{place} has {length:,} tokens of text; only {max_length:,} are read and the rest is cut off."
                    )
            ids[entry.id] += 1
            texts["\n".join([*entry.media, *(message.text for message in entry.conversations)])] += 1
        yield findings
    findings.warnings += [
        f"The id {name!r} occurs {count} times." for name, count in ids.items() if name and count > 1
    ]
    repeated = sum(count - 1 for count in texts.values() if count > 1)
    if repeated:
        findings.warnings.append(
            f"{repeated:,} conversations repeat others word for word, about the same images or video."
        )
    if not findings.conversations and not findings.problems:
        findings.problems.append(f"{path} has no conversation.")
    yield findings


def _count(findings: DatasetCheck, entry: Instruction) -> None:
    findings.conversations += 1
    findings.by_modality[entry.modality] += 1
    findings.rounds += len(entry.conversations) // 2
    findings.words.append(entry.words)


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
    """Smallest, median and largest value; empty without values."""
    ordered = sorted(values)
    return (
        {"least": ordered[0], "median": ordered[len(ordered) // 2], "largest": ordered[-1]} if ordered else {}
    )
