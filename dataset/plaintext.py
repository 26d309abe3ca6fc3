"""Text files that people or programs wrote in any usual encoding."""

from __future__ import annotations

_LOOKED_AT = 800  # bytes


def decoded(data: bytes) -> str:
    """Return a text file's text: UTF-8 or UTF-16 with or without a byte order mark, else Windows-1252.

    Line ends become line feeds.
    """
    head = data[:_LOOKED_AT]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    elif len(head) > 3 and head.count(0) > len(head) // 4:
        text = data.decode("utf-16-be" if head[0] == 0 else "utf-16-le", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
