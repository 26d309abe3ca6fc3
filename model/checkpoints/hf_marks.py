"""The tokens that stand for images and videos in Hugging Face prompts, and the chat template that sets them.

The original needs no token for a visual, and many of its tokenizers have no spare tokens. No rows are added to the
vocabulary, because the network must give the same logits in both layouts. If the vocabulary has no such marks, two
tokens of single bytes that occur in no UTF-8 text get their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videopath.core.errors import ModelError
from videopath.model.checkpoints.saving import save_tokenizer, write_json
from videopath.model.prompts.template import ASSISTANT, END_OF_TURN, IMAGE_TAG, SYSTEM

_KNOWN = (("<|image_pad|>", "<|video_pad|>"), (IMAGE_TAG, "<video>"))
_BYTES = ("\u00fe", "\u00ff")
"""How byte-level vocabularies write the bytes 254 and 255."""


@dataclass(frozen=True)
class VisualMarks:
    """The tokens that stand for an image and for a video."""

    image: str
    video: str
    image_id: int
    video_id: int
    renamed: Mapping[str, str]
    """Token of the vocabulary → its new name; empty if the vocabulary has the marks already."""

    @property
    def chat_template(self) -> str:
        """The ``qwen_1_5`` prompt as Jinja: as in training, each visual stands on its own line before the text of a turn."""
        template = _TEMPLATE
        for name, value in (
            ("IMAGE", self.image), ("VIDEO", self.video), ("SYSTEM", SYSTEM), ("END", END_OF_TURN + "\n"), ("OPEN", ASSISTANT)
        ):  # fmt: skip
            template = template.replace(f"@{name}@", json.dumps(value))
        return template


_TEMPLATE = """\
{%- if messages and messages[0]['role'] != 'system' -%}{{- @SYSTEM@ -}}{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or part['type'] == 'image_url' -%}{{- @IMAGE@ + '\\n' -}}
{%- elif part['type'] == 'video' or part['type'] == 'video_url' -%}{{- @VIDEO@ + '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- @END@ -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- @OPEN@ -}}{%- endif -%}
"""


def visual_marks(tokenizer: Any) -> VisualMarks:
    """Return the marks of a tokenizer.

    Raises:
        ModelError: It has no marks and no tokens that could become marks.
    """
    vocabulary = tokenizer.get_vocab()
    for image, video in _KNOWN:
        if image in vocabulary and video in vocabulary:
            return VisualMarks(image, video, vocabulary[image], vocabulary[video], {})
    if any(byte not in vocabulary for byte in _BYTES):
        raise ModelError("The tokenizer has no tokens for single bytes; it does not belong to a Qwen2 model.")
    image, video = _KNOWN[-1]
    first, second = _BYTES
    return VisualMarks(image, video, vocabulary[first], vocabulary[second], {first: image, second: video})


def save_marked_tokenizer(tokenizer: Any, marks: VisualMarks, folder: Path) -> None:
    """Write a tokenizer with the marks as special tokens, and the chat template that sets them."""
    save_tokenizer(tokenizer, folder)
    if marks.renamed:
        _rename(folder / "tokenizer.json", marks)
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        special = [*settings.get("extra_special_tokens", []), marks.image, marks.video]
        write_json(folder / "tokenizer_config.json", {**settings, "extra_special_tokens": special})
    (folder / "chat_template.jinja").write_text(marks.chat_template, encoding="utf-8")


def _rename(file: Path, marks: VisualMarks) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {
        marks.renamed.get(token, token): number for token, number in vocabulary.items()
    }
    content["added_tokens"] += [
        {
            "id": number, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True,
        }
        for name, number in ((marks.image, marks.image_id), (marks.video, marks.video_id))
    ]  # fmt: skip
    write_json(file, content)
