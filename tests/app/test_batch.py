"""``videopath batch``: what it rejects at once, and a whole batch that is continued and whose worker is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from typer.testing import Result

from videopath.agent import CaseRequest, DiagnosticAgent, load_case_library
from videopath.agent.many.results import ResultRow

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("gone",), "There is no file or folder gone"),
        (("empty",), "holds no videos or images"),
        (("m.csv",), "no column 'path'"),
        (("v.mp4", "--devices", "cpu,cpu", "--jobs", "1"), "give at least 2"),
        (("v.mp4", "--devices", "cpu", "--device", "cpu"), "not both"),
        (("v.mp4", "--devices", ","), "names no device"),
        (("v.mp4", "--site", "mars"), "'mars' is not known"),
        (("v.mp4", "--um-per-pixel", "0"), "um_per_pixel 0.0 is not a number above 0"),
        (("v.mp4", "--reports", "doc"), "'doc' is not known"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_loaded(
    videopath: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("m.csv").write_text("video\na.mp4\n")
    Path("v.mp4").touch()
    result = videopath("batch", *arguments, "--out", "out")
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not Path("out/results.csv").exists()


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _started(folder: Path, checkpoint: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "videopath.app.cli",
        "batch",
        "m.csv",
        "--out",
        "out",
        "--model",
        str(checkpoint),
    ]
    return subprocess.Popen(
        [*command, "--frames", "2", "--json", *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_batch_is_killed_continued_and_not_repeated(
    checkpoint: Path, sample: Path, tmp_path: Path, own_home: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    table = f"path,site,segment,note\n{sample},colon,0-1,1\nbad.mp4,,,2\n{sample},colon,0-1,3\n"
    (tmp_path / "m.csv").write_text(table)
    with _started(tmp_path, checkpoint) as batch:
        while not list(own_home.glob("cases/*/calls.jsonl")):
            assert batch.poll() is None
            time.sleep(0.02)
        children = psutil.Process(batch.pid).children(recursive=True)
        batch.send_signal(signal.SIGKILL)
    psutil.wait_procs(children, timeout=30)
    assert not any(child.is_running() for child in children)

    with _started(tmp_path, checkpoint, "--bundles", "--reports", "md") as batch:
        stdout, stderr = batch.communicate(timeout=250)
    assert batch.returncode == 0, stderr
    counts = json.loads(stdout)["counts"]
    assert counts["refused"] == 1
    assert counts["failed"] == 0
    assert sum(counts.values()) == 3
    rows = _rows(tmp_path / "out")
    assert [row["note"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["case_id"] == rows[2]["case_id"]
    assert "bad.mp4" in rows[1]["reason"]
    library = load_case_library(own_home)
    assert [entry.case_id for entry in library.list()] == [rows[0]["case_id"]]
    steps = [step.name for step in library.get(rows[0]["case_id"]).steps]
    assert steps.count("intake") == steps.count("report") == 1
    assert (
        len(list((tmp_path / "out/bundles").iterdir()))
        == len(list((tmp_path / "out/reports").iterdir()))
        == 1
    )
    assert "bad.mp4" not in (tmp_path / "out/summary.html").read_text(encoding="utf-8")

    before = (tmp_path / "out/journal.jsonl").read_bytes(), (tmp_path / "out/results.csv").read_bytes()
    with _started(tmp_path, checkpoint) as batch:
        assert batch.wait(250) == 0
    assert before == (
        (tmp_path / "out/journal.jsonl").read_bytes(),
        (tmp_path / "out/results.csv").read_bytes(),
    )


@pytest.mark.slow
def test_from_python_the_rows_are_the_same(checkpoint: Path, sample: Path, tmp_path: Path) -> None:
    seen: list[ResultRow] = []
    request = CaseRequest(sample, um_per_pixel=0.25)
    with DiagnosticAgent.load(checkpoint, frames=2) as agent:
        rows = list(
            agent.diagnose_many(
                [request, tmp_path / "gone.mp4", request], out=tmp_path / "out", on_result=seen.append
            )
        )
        again = list(agent.diagnose_many([request], out=tmp_path / "out"))
        assert agent.report(rows[0].case_id).settings.um_per_pixel == 0.25
    assert rows == seen
    assert [row.row for row in rows if row.status == "refused"] == [2]
    assert rows[0].case_id == rows[-1].case_id or len(rows) == 3
    assert again[0].repeated
    assert len(_rows(tmp_path / "out")) == 1
