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


_ENGINES = """
[engines.ward]
address = "http://127.0.0.1:8000/v1"
key_env = "WARD_KEY"
"""


def test_served_models_are_named_in_the_file_and_in_the_variable(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_home.mkdir(exist_ok=True)
    (own_home / "videopath.toml").write_text(_ENGINES)
    assert load_settings().engines["ward"].address == "http://127.0.0.1:8000/v1"
    monkeypatch.setenv(
        "VIDEOPATH_ENGINES", '{"ward": {"timeout": 5}, "lab": {"address": "https://lab.example/v1"}}'
    )
    engines = load_settings().engines
    assert (engines["ward"].key_env, engines["ward"].timeout) == ("WARD_KEY", 5.0)
    assert engines["lab"].frames == 8


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "must hold JSON"),
        ('{"nano": {"address": "http://h/v1"}}', "bundled"),
        ('{"a b": {"address": "http://h/v1"}}', "engines"),
        ('{"ward": {"address": "http://h/v1", "key": "sk-secret"}}', "engines.ward.key"),
        ('{"ward": {"address": "http://h/v1", "key_env": "sk-secret"}}', "engines.ward.key_env"),
        ('{"ward": {"model": "m"}}', "engines.ward.address"),
    ],
)
def test_an_unusable_served_model_is_named_without_its_key(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setenv("VIDEOPATH_ENGINES", value)
    with pytest.raises(InputError, match=message) as caught:
        load_settings()
    assert "sk-secret" not in str(caught.value)
    assert "ENGINES" in str(caught.value)
