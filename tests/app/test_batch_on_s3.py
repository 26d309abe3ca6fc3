"""``videopath batch`` on S3, by moto's server on loopback: manifest, videos and results; a kill in the middle."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import fsspec
import psutil
import pytest
from typer.testing import Result

from videopath.agent import DiagnosticAgent
from videopath.agent.many.journal import open_folder
from videopath.agent.many.manifest import RowDefaults, read_rows
from videopath.agent.many.pool import OneAgent
from videopath.agent.many.results import write_results
from videopath.agent.many.run import Batch
from videopath.core.errors import InputError
from videopath.core.remote import place
from videopath.core.remote.store import remote_state

pytest.importorskip("moto.server")
pytest.importorskip("s3fs")

_SECRET = "se-cret-key"


@pytest.fixture(scope="module")
def s3() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system with an empty bucket ``lab``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patched.setenv(name, value)
        system = fsspec.filesystem("s3")
        system.clear_instance_cache()
        system = fsspec.filesystem("s3")
        system.mkdir("lab")
        yield system
        system.clear_instance_cache()
    server.stop()


def _table(content: bytes | str) -> list[dict[str, str]]:
    """Return the rows of a CSV without what depends on the time and the place."""
    text = content if isinstance(content, str) else content.decode()
    return [{**row, "path": "", "seconds": ""} for row in csv.DictReader(io.StringIO(text))]


class _Here(OneAgent):
    """A pool whose only worker is an agent of this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the agent as it is."""


def _names(s3: fsspec.AbstractFileSystem, folder: str) -> set[str]:
    return {name.removeprefix(f"{folder}/") for name in s3.find(folder, refresh=True)}


@pytest.mark.slow
def test_a_batch_on_s3_is_killed_continued_and_gives_the_rows_of_a_local_one(
    s3: fsspec.AbstractFileSystem,
    videopath: Callable[..., Result],
    checkpoint: Path,
    sample: Path,
    tmp_path: Path,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = "MRN 4839201 DOE JOHN.mp4"
    link = f"https://me:{_SECRET}@host/case"
    table = f"path,site,segment,note\n{person},colon,0-1,{link}\nbad.mp4,,,2\n{person},colon,1-2,3\n"
    s3.put_file(str(sample), f"lab/in/{person}")
    s3.pipe({"lab/in/bad.mp4": b"no video", "lab/in/m.csv": f"{table}gone.mp4,,,4\n".encode()})
    arguments = ["batch", "s3://lab/in/m.csv", "--out", "s3://lab/out", "--model", str(checkpoint)]
    arguments += ["--frames", "2", "--device", "cpu", "--reports", "md", "--um-per-pixel", "0.5", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "videopath.app.cli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as batch:
        while not any(name.startswith("journal/") for name in _names(s3, "lab/out")):
            assert batch.poll() is None, batch.communicate()[1]
            time.sleep(0.2)
        children = psutil.Process(batch.pid).children(recursive=True)
        batch.send_signal(signal.SIGKILL)
    psutil.wait_procs(children, timeout=30)
    left = _names(s3, "lab/out")
    assert ".lock" in left
    assert "results.csv" not in left

    agent = DiagnosticAgent.load(checkpoint, frames=2, device="cpu")
    monkeypatch.setattr("videopath.agent.many.pool.WorkerPool", lambda setup, *_: _Here(agent, setup.exports))
    result = videopath(*arguments)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["csv"] == "s3://lab/out/results.csv"
    rows = _table(s3.cat_file("lab/out/results.csv"))
    assert [row["note"] for row in rows] == ["https://[removed]@host/case", "2", "3", "4"]
    assert "Addresses of 1 row held a password" in result.stderr
    assert [row["status"] == "refused" for row in rows] == [False, True, False, True]
    assert "There is no file or folder s3://lab/in/gone.mp4" in rows[3]["reason"]
    reports = {f"reports/{rows[number]['case_id']}.md" for number in (0, 2)}
    results = {"journal.jsonl", "results.csv", "results.parquet", "summary.html", "README.md"}
    assert _names(s3, "lab/out") == results | reports
    contents = b"".join(s3.cat_file(name) for name in s3.find("lab/out")) + result.stderr.encode()
    assert b"DOE" not in contents
    assert _SECRET.encode() not in contents
    journal = [json.loads(line) for line in s3.cat_file("lab/out/journal.jsonl").splitlines()]
    assert len({line["identity"] for line in journal}) == len(journal) == 3
    for case_id in (rows[0]["case_id"], rows[2]["case_id"]):
        report = agent.library.get(case_id)
        steps = [step.name for step in report.steps]
        assert steps.count("intake") == steps.count("report") == 1
        assert report.settings.um_per_pixel == 0.5
        agent.library.delete(case_id)
    assert not [*(own_home / "cache/videos").iterdir(), *(own_home / "cache/batch").iterdir()]

    (tmp_path / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "m.csv").write_text(table.replace(person, str(sample)))
    with agent:
        local = read_rows([tmp_path / "m.csv"], defaults=RowDefaults(um_per_pixel=0.5))
        write_results(tmp_path, list(Batch(local, OneAgent(agent)).run()))
    assert _table((tmp_path / "results.csv").read_text(encoding="utf-8")) == rows[:3]


@pytest.mark.slow
def test_no_bucket_and_no_server_are_one_sentence(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(InputError, match="There is no bucket s3://none"),
        open_folder(place("s3://none/x")).held(),
    ):
        pass
    with pytest.raises(InputError, match="There is no"):
        list(read_rows(["s3://none/m.csv"]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3.clear_instance_cache()
    with pytest.raises(InputError, match="cannot be reached"):
        remote_state(place("s3://lab/in/bad.mp4"))  # type: ignore[arg-type]
    s3.clear_instance_cache()
