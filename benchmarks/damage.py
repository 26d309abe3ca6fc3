"""Ways to damage a file, each drawn from a seeded generator: used by fuzz.py."""

from __future__ import annotations

import json
from random import Random
from typing import Any

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1 << 70, float("nan"), float("inf"), "", "x", "../../x", "/etc/passwd", "\ud800", "\0",
    "a\u2028b", "x" * 5000, [], [[]], ["x"], [None], {}, {"x": {}},
)  # fmt: skip
"""Values that stand where others are expected."""

_SCRAPS = (
    b"\xff\xfe", b"\x00", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80", b'"\\ud800"', b"\r", b"NaN", b"1e999", b"-",
    b"9" * 5000, b"[" * 20_000, b'{"a":' * 20_000, b"{", b"}", b"]", b"\n", b"\xef\xbb\xbf", b'"', b"\\u0000",
)  # fmt: skip
"""What is put into a text."""


def turned(data: bytes, draw: Random) -> bytes:
    """Bytes cut short, with a gap, twice, or with turned bits; both ends, where headers are, are hit more often."""
    found = bytearray(data)
    kind = draw.random()
    if kind < 0.15 or len(found) < 2:
        return bytes(found[: draw.randrange(len(found) + 1)])
    at = draw.randrange(len(found))
    if kind < 0.25:
        return bytes(found[:at] + found[at + draw.randrange(1, 200) :])
    if kind < 0.32:
        end = min(len(found), at + draw.randrange(1, 2000))
        return bytes(found[:end] + found[at:])
    near = min(len(found), draw.choice([64, 400, 4000]))
    for _ in range(draw.choice([1, 1, 3, 20])):
        at = draw.choice(
            [draw.randrange(len(found)), draw.randrange(near), len(found) - 1 - draw.randrange(near)]
        )
        found[at] = draw.choice(
            [found[at] ^ (1 << draw.randrange(8)), 0, 0xFF, 0x7F, 0x80, draw.randrange(256)]
        )
    return bytes(found)


def spliced(data: bytes, other: bytes, draw: Random) -> bytes:
    """The beginning of one file with the end of another."""
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


def scribbled(data: bytes, draw: Random) -> bytes:
    """A text with scraps in it that a reader may stumble over."""
    for _ in range(draw.choice([1, 1, 2])):
        at = draw.randrange(len(data) + 1)
        data = data[:at] + draw.choice(_SCRAPS) + data[at:]
    return data


def exchanged(value: Any, draw: Random, times: int = 1) -> Any:
    """A JSON value in which one at any depth is another, is missing, or stands under another name."""
    value = json.loads(json.dumps(value))
    for _ in range(times):
        places = list(_places(value))
        if not places:
            return draw.choice(STRANGE)
        parent, key = draw.choice(places)
        how = draw.random()
        if how < 0.15:
            del parent[key]
        elif how < 0.25 and isinstance(parent, dict):
            parent[draw.choice(["", "x", "\ud800", f"{key} "])] = parent.pop(key)
        else:
            parent[key] = draw.choice([*STRANGE, draw.choice(places)[0]])
            value = json.loads(json.dumps(value)) if _is_tree(value) else draw.choice(STRANGE)
    return value


def damaged_json(value: Any, draw: Random) -> bytes:
    """A JSON value as text, with damage to the value or to the text."""
    if draw.random() < 0.6:
        return json.dumps(
            exchanged(value, draw, draw.choice([1, 1, 2])), ensure_ascii=draw.random() < 0.7
        ).encode(errors="surrogatepass")
    return damaged_text(json.dumps(value).encode(), draw)


def damaged_text(data: bytes, draw: Random) -> bytes:
    """A text with scraps or turned bytes in it."""
    return (scribbled if draw.random() < 0.6 else turned)(data, draw)


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs)[:40]:
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _is_tree(value: Any) -> bool:
    """Whether no part of a value holds itself."""
    try:
        json.dumps(value)
    except ValueError:
        return False
    return True
