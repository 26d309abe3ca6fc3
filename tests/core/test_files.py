"""Files are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from videopath.core.files import private_file, replaced_on_success, write_text


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.md"
    write_text(target, "before")

    def stopped() -> None:
        with replaced_on_success(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert target.read_text() == "before"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_may_be_read_by_whom_the_umask_lets_whatever_wrote_it(tmp_path: Path) -> None:
    usual, weights = tmp_path / "usual", tmp_path / "model.safetensors"
    usual.touch()
    with replaced_on_success(weights) as part:
        save_file({"w": np.zeros(3, np.float32)}, part)
    assert weights.stat().st_mode == usual.stat().st_mode


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_what_is_private_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "cases" / "one" / "report.md", "words", private=True)
        private_file(tmp_path / "cases" / "one" / "trace.jsonl")
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"cases": 0o700, "one": 0o700, "report.md": 0o600, "trace.jsonl": 0o600}
