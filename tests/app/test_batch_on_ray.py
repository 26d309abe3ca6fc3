"""``videopath batch --ray``: options that are rejected, and a batch whose command and whose actor are killed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from typer.testing import Result

from videopath.agent import DiagnosticAgent, load_case_library
from videopath.media.synthetic import render_case

pytest.importorskip("ray", reason="Ray is not installed: pip install 'videopath-agent[ray]'")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--ray", "ray://head:10001"), "a machine of the cluster"),
        (("--ray", "head"), "HOST:PORT"),
        (("--ray", "auto", "--devices", "cuda:0,cuda:1"), "leave --devices out"),
    ],
)
def test_options_that_do_not_go_together_are_rejected(
    videopath: Callable[..., Result], tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "v.mp4").touch()
    result = videopath("batch", str(tmp_path / "v.mp4"), "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return [{**row, "seconds": ""} for row in csv.DictReader(stream)]


def _started(folder: Path, out: str, home: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "videopath.app.cli", "batch", "clips", "--out", out, "--device", "cpu"]
    environment = {**os.environ, "VIDEOPATH_HOME": str(home), "RAY_ADDRESS": "", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--frames", "2", "--json", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _actors(batch: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(batch.pid).children(recursive=True)
    return [child for child in children if "MapWorker" in " ".join(child.cmdline())]


def _until_asked(batch: subprocess.Popen[str], home: Path, calls: int) -> None:
    """Wait until the model has answered some calls of the cases."""
    while sum(len(file.read_bytes().splitlines()) for file in home.glob("cases/*/calls.jsonl")) < calls:
        assert batch.poll() is None, batch.communicate()[1]
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_batch_on_ray_is_killed_continued_and_gives_the_rows_of_a_local_one(tmp_path: Path) -> None:
    home, clips = tmp_path / "home", tmp_path / "clips"
    clips.mkdir()
    for number in range(2):
        render_case(clips / f"{number}.mp4", seconds=2, size=(128, 96), seed=number)
    with _started(tmp_path, "out", home, "--ray", "auto", "--jobs", "1") as batch:
        _until_asked(batch, home, 1)
        actors = _actors(batch)
        batch.kill()
    assert actors
    assert not psutil.wait_procs(actors, timeout=60)[1], "an actor outlives its killed command"
    with _started(tmp_path, "out", home, "--ray", "auto", "--jobs", "1") as batch:
        _until_asked(batch, home, 3)
        for process in _actors(batch):
            process.kill()
        stdout, stderr = batch.communicate(timeout=200)
    assert batch.returncode == 0, stderr
    assert json.loads(stdout)["ended"] == 2
    with DiagnosticAgent.load(frames=2, device="cpu", home=tmp_path / "other") as agent:
        list(agent.diagnose_many(sorted(clips.iterdir()), out=tmp_path / "local"))
    assert _rows(tmp_path / "out") == _rows(tmp_path / "local")

    journal = [json.loads(line) for line in (tmp_path / "out/journal.jsonl").read_text().splitlines()]
    assert len({line["identity"] for line in journal}) == len(journal) == 2
    library = load_case_library(home)
    for entry in library.list():
        steps = Counter(step.name for step in library.get(entry.case_id).steps)
        assert steps["intake"] == steps["report"] == 1
        lines = (library.folder(entry.case_id) / "calls.jsonl").read_text().splitlines()
        calls = [json.loads(line)["key"] for line in lines]
        assert len(calls) == len(set(calls))
