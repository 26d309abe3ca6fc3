"""Reading FAISS files safely: the sizes in a file are checked before FAISS reads it.

FAISS trusts the sizes in a file. It would allocate a size beyond the file's end, and its reader of memory-mapped files
(1.12 to 1.15) reads past the end of a file that is cut within a header, which ends the process.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

faiss: Any = import_module("faiss")

_HEADER = struct.Struct("<4siqqq?i")  # mark, dimension, vectors, two unused numbers, trained, metric
_COUNT = struct.Struct("<Q")
_LAYOUTS: dict[bytes, tuple[str | int, ...]] = {
    b"IxFI": ("floats",),
    b"IHNs": (8, 4, 4, 8, 4, "scalars of the graph", "header", "scalars of the codes", 4, 1),
}
"""Mark → what follows the header: a list whose items have so many bytes, or a part of known length."""
_LENGTHS = {"header": _HEADER.size, "scalars of the graph": 20, "scalars of the codes": 28}
_EXTRA_ROOM = 64 << 20  # bytes
_LIMIT_LOCK = threading.Lock()


def read_index(path: Path, flags: int) -> Any:
    """Read a FAISS index. A damaged file raises ``ValueError``, ``OSError`` or ``RuntimeError``."""
    check_sizes(path)
    try:
        with _limited_to(path.stat().st_size):
            return faiss.read_index(str(path), flags)
    except MemoryError as error:
        raise ValueError("it names a size that this machine has no memory for") from error


def check_sizes(path: Path) -> None:
    """Raise ``ValueError`` if the sizes in the file do not match the file. FAISS itself checks files of other layouts."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        header = stream.read(_HEADER.size)
        layout = _LAYOUTS.get(header[:4])
        if len(header) < _HEADER.size:
            raise ValueError("it is cut short")
        if layout is None:
            return
        for part in layout:
            _skip(stream, part, size)
        if stream.tell() != size:
            raise ValueError("its sizes are not those of the file")


def _skip(stream: IO[bytes], part: str | int, size: int) -> None:
    """Skip a part. Raises ``ValueError`` if it ends beyond the file."""
    if isinstance(part, str) and part in _LENGTHS:
        length = _LENGTHS[part]
    else:
        count = stream.read(_COUNT.size)
        if len(count) < _COUNT.size:
            raise ValueError("it is cut short")
        length = _COUNT.unpack(count)[0] * (part if isinstance(part, int) else 4)
    if stream.tell() + length > size:
        raise ValueError("it names a size beyond its end")
    stream.seek(length, 1)


@contextmanager
def _limited_to(size: int) -> Iterator[None]:
    """Limit the size of each list that FAISS allocates within the block (FAISS 1.15 and newer).

    The limit is larger than the file, because FAISS asks for the room of product code tables even if it never makes them.
    """
    setting = getattr(faiss, "set_deserialization_vector_byte_limit", None)
    if setting is None:
        yield
        return
    with _LIMIT_LOCK:  # the limit holds for the whole process
        before = faiss.get_deserialization_vector_byte_limit()
        setting(_EXTRA_ROOM + 16 * size)
        try:
            yield
        finally:
            setting(before)
