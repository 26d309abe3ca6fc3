"""YAML files of others are read, or rejected in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from videopath.core.errors import InputError
from videopath.core.text import has_half_characters, refuse_unwritable
from videopath.core.yamltext import parse_yaml


@pytest.mark.parametrize(
    "text",
    [
        b"a: [", b"a: 2001-99-99", b"a: !!int x", b"a: !!timestamp x", b"? [a]\n: b", b"a: *nobody", b"a: \xff",
        b"[" * 100_000, b"a: b: c", b"a: !!python/object/apply:os.system [echo]", b"a: \x7f",
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(InputError, match="^The recipe x ") as raised:
        parse_yaml(text, "The recipe x")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_yaml_is_read() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: [1, x]", "x") == {"a": [1, "x"]}


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(InputError("a\nb.png and c\u2028d.png are empty.")) == "a b.png and c d.png are empty."


def test_a_name_that_is_not_utf8_is_refused() -> None:
    assert has_half_characters("a\udcff")
    refuse_unwritable("ä", "the video")
    for name in ("a\udcff", "a\ud800", Path("b/a\udcff")):
        with pytest.raises(InputError, match="The name of the video, .*is not valid UTF-8 text") as raised:
            refuse_unwritable(name, "the video")
        str(raised.value).encode()
