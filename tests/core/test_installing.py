"""Install commands match the origin of this installation."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from videopath.core.installing import install_command, package_command


def _recorded(folder: Path, origin: dict[str, object] | None) -> None:
    """Write the metadata of an installation with the origin that pip recorded."""
    info = folder / "videopath_agent-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: videopath-agent\nVersion: 9\n")
    if origin:
        (info / "direct_url.json").write_text(json.dumps(origin))


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"url": "file:///a%20b/VideoPath", "dir_info": {"editable": True}}, ["-e", "/a b/VideoPath[benchmark]"]),
        ({"url": "file:///c/VideoPath", "dir_info": {}}, ["/c/VideoPath[benchmark]"]),
        (
            {"url": "https://example.org/v.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            ["videopath-agent[benchmark] @ git+https://example.org/v.git"],
        ),
        (None, ["videopath-agent[benchmark]"]),
    ],
)  # fmt: skip
def test_it_names_where_this_installation_came_from(
    origin: dict[str, object] | None, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _recorded(tmp_path, origin)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert shlex.split(install_command("benchmark")) == [sys.executable, "-m", "pip", "install", *words]


def test_a_clone_is_named_by_its_folder() -> None:
    words = shlex.split(install_command("benchmark", "--no-deps"))
    folder = Path(words[-1].removesuffix("[benchmark]"))
    assert words[:5] == [sys.executable, "-m", "pip", "install", "--no-deps"]
    assert (folder / "pyproject.toml").is_file()


def test_a_package_is_installed_into_this_python() -> None:
    words = shlex.split(package_command("av", "--upgrade"))
    assert words == [sys.executable, "-m", "pip", "install", "--upgrade", "av"]
    assert subprocess.run([words[0], "--version"], check=False).returncode == 0
