"""An unusable settings file gives an error in one sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from videopath.core.errors import InputError
from videopath.core.settings import load_settings


@pytest.mark.parametrize("content", [b"a = " + b"[" * 100_000, b"a = ", b"\xff\xfe", None])
def test_a_damaged_settings_file_is_named(own_home: Path, content: bytes | None) -> None:
    own_home.mkdir(exist_ok=True)
    path = own_home / "videopath.toml"
    path.write_bytes(content) if content is not None else path.mkdir()
    if content is None:
        assert load_settings().model == "nano"  # a folder of this name is no settings file
        return
    with pytest.raises(InputError, match="videopath.toml"):
        load_settings()
