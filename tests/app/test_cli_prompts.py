"""``videopath model prompts``: the prompts in effect, printed or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from videopath.model.prompts.prompt_set import PROMPT_NAMES, packaged_prompts

Run = Callable[..., Result]


def test_prompts_are_printed(videopath: Run) -> None:
    answer = videopath("model", "prompts")
    assert answer.exit_code == 0
    for wording, names in PROMPT_NAMES.items():
        assert packaged_prompts(wording).sha256 in answer.stdout
        for name in names:
            assert f"--- {wording}/{name}.jinja\n" in answer.stdout
    assert (
        "Describe the histological findings in this{% if site %} {{ site }}{% endif %} tissue."
        in answer.stdout
    )


def test_written_prompts_can_be_changed_and_used(
    videopath: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts"
    assert videopath("model", "prompts", "--out", str(folder)).exit_code == 0
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {f"{wording}/{name}.jinja" for wording, names in PROMPT_NAMES.items() for name in names}
    monkeypatch.setenv("VIDEOPATH_PROMPTS", str(folder))
    unchanged = json.loads(videopath("model", "prompts", "--json").stdout)
    assert unchanged["plain"]["sha256"] == packaged_prompts("plain").sha256
    (folder / "plain" / "ask.jinja").write_text("{{ question }}!\n", encoding="utf-8")
    changed = json.loads(videopath("model", "prompts", "--json").stdout)
    assert changed["plain"]["sha256"] != unchanged["plain"]["sha256"]
    assert changed["videopath"]["sha256"] == unchanged["videopath"]["sha256"]
    assert changed["plain"]["prompts"]["ask"] == "{{ question }}!\n"
    assert changed["plain"]["own"]["ask"] == str(folder / "plain" / "ask.jinja")
    again = videopath("model", "prompts", "--out", str(folder))
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    (folder / "plain" / "ask.jinja").write_text("{{ sight }}", encoding="utf-8")
    wrong = videopath("model", "prompts")
    assert wrong.exit_code == 2
    assert "sight" in wrong.stderr
