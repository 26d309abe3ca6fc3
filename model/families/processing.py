"""The processor of a checkpoint for pictures and text, put together from its parts.

``AutoProcessor`` also makes the processor for videos, which needs torchvision, and sound. Frames are asked as pictures, so
only the tokenizer, the chat template and the image processor that works on PIL are loaded. The pixels then do not depend on
whether torchvision is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from videopath.core.errors import InputError, ModelError
from videopath.core.installing import package_command
from videopath.core.text import has_half_characters
from videopath.model.checkpoints.weights import reason_of
from videopath.model.families.family import Family

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_SETTINGS = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


class PictureProcessor:
    """A checkpoint's processor, for pictures and text alone.

    Args:
        folder: The checkpoint.
        family: Its family.
        model_type: Its model type.

    Raises:
        ModelError: A part is missing or damaged, or it needs a package that is not installed.
    """

    def __init__(self, folder: Path, family: Family, model_type: str) -> None:
        self._folder, self._family = folder, family
        self._processor = _assembled(folder, family, model_type)
        self._turn = Lock()  # a tokenizer cannot be used by two threads at once
        self._marks = re.compile("|".join(map(re.escape, _marks(self._processor))) or "(?!)")
        if not self._processor.chat_template and not self.tokenizer.chat_template:
            raise ModelError(
                f"{folder} has no chat template, so it is not known how the model is asked: copy or download "
                "chat_template.jinja or chat_template.json as well."
            )

    @property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return self._processor.tokenizer

    @property
    def placeholder(self) -> str:
        """What stands for a picture in a rendered prompt; empty if the processor has no such token."""
        return getattr(self._processor, "image_token", None) or ""

    @property
    def picture_tokens(self) -> frozenset[int]:
        """The tokens that pictures become."""
        return frozenset(token for token in self._processor.image_token_ids if isinstance(token, int))

    def without_marks(self, text: str) -> str:
        """Return a text without the marks that only the template may contain, because they start or end turns or pictures.

        Marks are removed until none is left, because removing one can join two halves into another.
        """
        while self._marks.search(text):
            text = self._marks.sub("", text)
        return text

    def render(self, content: str | list[dict[str, str]]) -> str:
        """Return the prompt of one user message, up to the beginning of the answer."""
        template = self._processor.chat_template or self.tokenizer.chat_template
        # only templates of models that may think know this variable
        options = {"enable_thinking": False} if "enable_thinking" in str(template) else {}
        try:
            prompt = self._processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=False,
                **options,
            )
        except Exception as error:  # noqa: BLE001 - a template is a program and may raise anything
            raise ModelError(f"The chat template in {self._folder} fails ({reason_of(error)}).") from error
        return str(prompt)

    def encode(
        self, prompt: str, pictures: Sequence[Image.Image], *, fine: bool
    ) -> tuple[dict[str, Any], list[str]]:
        """Return the model's inputs for a prompt with pictures, and the text that each picture becomes.

        Args:
            prompt: A rendered prompt with a placeholder for each picture.
            pictures: The pictures.
            fine: Whether each picture may be read as finely as the model can, in tiles as well.
        """
        image_processor = self._processor.image_processor
        options = {} if fine else self._family.frame_options(image_processor)
        try:
            with self._turn:
                inputs = self._processor(
                    images=[list(pictures)],
                    text=[prompt],
                    images_kwargs=options,
                    text_kwargs={"add_special_tokens": self._adds_specials(prompt)},
                    return_tensors="pt",
                )
                return dict(inputs), list(self._processor.replacements)
        except Exception as error:  # noqa: BLE001 - the settings of a checkpoint may not fit its template
            raise ModelError(
                f"The processor in {self._folder} cannot put pictures into its prompt ({reason_of(error)})."
            ) from error

    def ids(self, prompt: str, replacements: Sequence[str]) -> list[int]:
        """Return the tokens of a prompt, with each placeholder replaced by what its picture becomes."""
        pieces = prompt.split(self.placeholder) if replacements else [prompt]
        text = "".join(piece + end for piece, end in zip_longest(pieces, replacements, fillvalue=""))
        return self._tokenised(text, add_special_tokens=self._adds_specials(prompt))

    def continuation(self, text: str) -> list[int]:
        """Return the tokens of a text that continues another one.

        Some tokenizers put a space before a text's first word. A colon before it keeps them from doing so.
        """
        before, both = (self._tokenised(one, add_special_tokens=False) for one in (":", ":" + text))
        if both[: len(before)] == before:
            return both[len(before) :]
        return self._tokenised(text, add_special_tokens=False)

    def _tokenised(self, text: str, *, add_special_tokens: bool) -> list[int]:
        if has_half_characters(text):
            raise InputError(
                "The text has a character that is not valid (half of a surrogate pair); remove it."
            )
        with self._turn:
            return list(self.tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"])

    def _adds_specials(self, prompt: str) -> bool:
        """Return whether the tokenizer adds its first token; most templates have it already."""
        first = self.tokenizer.bos_token
        return not (first and prompt.startswith(first))


class _PicturesOnly:
    """A processor without the parts for videos and sound; it remembers what the last pictures became.

    It is the first base of a class that is made for each family's processor.
    """

    replacements: Sequence[str] = ()

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Accept missing parts."""
        if argument is None:
            return None
        return super().check_argument_for_proper_class(argument_name, argument)  # type: ignore[misc]

    def get_text_with_replacements(
        self, text: list[str], images_replacements: Sequence[str] = (), *others: Any, **named: Any
    ) -> Any:
        """Remember the texts of the pictures."""
        self.replacements = list(images_replacements)
        return super().get_text_with_replacements(text, list(images_replacements), *others, **named)  # type: ignore[misc]


def _assembled(folder: Path, family: Family, model_type: str) -> Any:
    try:
        own = _processor_class(folder, family, model_type)
        made: Any = type(own.__name__, (_PicturesOnly, own), {})
        settings, _ = made.get_processor_dict(folder, local_files_only=True)
        parts = [_part(name, folder) for name in made.get_attributes()]
        processor = made.from_args_and_dict(parts, settings)
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers and image processors raise anything for damaged files
        raise _unusable(folder, family, error) from error
    for name in ("tokenizer", "image_processor"):
        if getattr(processor, name, None) is None:
            raise ModelError(
                f"{family.name} models have no {name.replace('_', ' ')}, so they cannot be asked here."
            )
    return processor


def _marks(processor: Any) -> list[str]:
    """Return the texts that are single tokens for turns and pictures, longest first."""
    added = [str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special]
    names = ("image_token", "video_token", "audio_token", "boi_token", "eoi_token")
    own = [getattr(processor, name, None) for name in names]
    marks = {mark for mark in [*added, *own] if isinstance(mark, str) and mark.strip()}
    return sorted(marks, key=lambda mark: (-len(mark), mark))


def _part(name: str, folder: Path) -> Any:
    from transformers import AutoImageProcessor, AutoTokenizer

    if name == "tokenizer":
        return AutoTokenizer.from_pretrained(folder, **_LOCAL)
    if name == "image_processor":
        return AutoImageProcessor.from_pretrained(folder, backend="pil", **_LOCAL)
    return None


def _processor_class(folder: Path, family: Family, model_type: str) -> Any:
    """Return the class that the family names, or transformers for the type, or the checkpoint's settings."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = family.processor or PROCESSOR_MAPPING_NAMES.get(model_type) or _named(folder)
    made = getattr(transformers, name, None) if name else None
    if made is None:
        raise ModelError(
            f"transformers has no processor for models of type {model_type!r}{f' ({name[:80]})' if name else ''}, so "
            "they cannot be asked here."
        )
    return made


def _named(folder: Path) -> str:
    for file in _SETTINGS:
        if (folder / file).is_file():
            settings: Mapping[str, Any] = json.loads((folder / file).read_text(encoding="utf-8"))
            name = settings.get("processor_class")
            if isinstance(name, str):
                return name
    return ""


def _unusable(folder: Path, family: Family, error: Exception) -> ModelError:
    text = str(error)
    if "torchvision" in text.lower() and find_spec("torchvision") is None:
        return ModelError(
            f"{family.name} models take their pictures through torchvision alone, which is not installed. Install it: "
            f"{package_command('torchvision')}"
        )
    return ModelError(
        f"The tokenizer or the settings of the pictures in {folder} cannot be read ({reason_of(error)}); copy or "
        "download them again."
    )
