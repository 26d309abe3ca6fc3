"""Batches on a store: addresses without credentials, a journal of objects, one writer, and copies that do not pile up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from fixtures.many_workers import SYSTEM

from videopath.agent.many.identity import System
from videopath.agent.many.journal import open_folder
from videopath.agent.many.manifest import read_rows
from videopath.agent.many.remote import lock, scratch
from videopath.agent.many.remote.videos import case_scratch, local_copy
from videopath.agent.many.results import Outcome, ResultRow, Rows, RowStatus, write_results
from videopath.agent.many.run import Batch
from videopath.agent.many.work import Exports, Task
from videopath.core.errors import CaseError, InputError
from videopath.core.files import sha256_text
from videopath.core.remote import Place, RemoteError, RemotePath, is_address, place
from videopath.core.remote.store import remote_state

_OUT = "memory://lab/out"


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty store in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


class _Workers:
    """End each case as its question says, "done" without one."""

    def __init__(self) -> None:
        self.worked = Counter[str]()

    def start(self) -> System:
        return SYSTEM

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            self.worked[task.request["video"]] += 1
            status: RowStatus = task.request["question"] or "done"
            yield task, Outcome(status=status, case_id=task.case_id, **task.hashes)


def _run(
    out: str, what: str, workers: _Workers, stop_after: int = 1000, retry_failed: bool = False
) -> list[ResultRow]:
    """Run a batch; ``stop_after`` rows it is killed: nothing is tidied up."""
    target = place(out)
    folder = open_folder(target)
    ended, results = Rows(), []
    with folder.held():
        batch = Batch(read_rows([what], target), workers, folder=folder, retry_failed=retry_failed)
        for result in batch.run():
            ended.add(result)
            results.append(result)
            if len(results) == stop_after:
                raise SystemExit
        write_results(folder.path, ended)
        folder.publish()
    return results


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("s3://key:se/cret@lab/a.mp4", "password"),
        ("https://token@host/a.mp4", "password"),
        ("https://host/a.mp4?X-Amz-Signature=cret", "password"),
        ("sftp://me:cret@host/a.mp4", "password"),
        ("zip://a.mp4::s3://lab/cret.zip", "within another one"),
        ("s3://", "names no bucket"),
    ],
)
def test_an_address_with_credentials_is_rejected_and_not_repeated(
    address: str, reason: str, store: fsspec.AbstractFileSystem
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        place(address)
    assert "cret" not in str(caught.value)
    assert "token@" not in str(caught.value)
    store.pipe("/lab/m.jsonl", json.dumps({"path": address}).encode())
    (row,) = _run(_OUT, "memory://lab/m.jsonl", _Workers())
    assert row.status == "refused"
    assert "cret" not in row.model_dump_json()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("gs://lab/a.mp4", r"need the package gcsfs.*pip install gcsfs"),
        ("nope://lab/a.mp4", "not a kind of address"),
        ("memory://lab/gone.mp4", "There is no file or folder memory://lab/gone.mp4"),
    ],
)
def test_what_cannot_be_opened_has_a_sentence(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=reason):
        remote_state(place(address))  # type: ignore[arg-type]


def test_names_of_persons_are_screened_and_paths_stay_in_their_bucket() -> None:
    one = place("s3://lab/MRN 4839201 DOE JOHN/case.mp4")
    assert isinstance(one, RemotePath)
    assert "DOE" not in one.shown
    assert one.shown.endswith("/case.mp4")
    web = place("https://h.org/MRN%204839201%20DOE%20JOHN.mp4")
    assert isinstance(web, RemotePath)
    assert "DOE" not in web.shown + web.local_name
    assert str(RemotePath("s3", "lab/a").joined("../b/./c.mp4")) == "s3://lab/b/c.mp4"
    with pytest.raises(InputError, match="leads out of"):
        RemotePath("s3", "lab/a").joined("../../other/c.mp4")
    assert place("file:///data/a.mp4") == Path("/data/a.mp4")
    assert not is_address("C:\\a.mp4")


def test_folders_patterns_and_manifests_of_a_store(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name in ("b/1.mp4", "case 10.mp4", "case 2.mp4", ".hidden.mp4", "notes.txt", "out/old.png"):
        store.pipe(f"/lab/{name}", b"x")
    folder = [str(row.path) for row in read_rows(["memory://lab"], place(_OUT))]
    assert folder == [f"memory://lab/{name}" for name in ("case 2.mp4", "case 10.mp4", "b/1.mp4")]
    pattern = read_rows(["memory://lab/case*.mp4"], place(_OUT))
    assert [str(row.path) for row in pattern] == folder[:2]
    store.pipe("/lab/b/m.csv", f"path,site\n1.mp4,colon\n../case 2.mp4,\n{tmp_path}/c.mp4,\n".encode())
    rows = list(read_rows(["memory://lab/b/m.csv"]))
    assert [str(row.path) for row in rows] == ["memory://lab/b/1.mp4", folder[0], f"{tmp_path}/c.mp4"]
    (tmp_path / "m.csv").write_text("path\nmemory://lab/b/1.mp4\nlocal.mp4\n")
    rows = list(read_rows([tmp_path / "m.csv"]))
    assert [str(row.path) for row in rows] == ["memory://lab/b/1.mp4", str(tmp_path / "local.mp4")]
    for what, reason in (("memory://lab/x", "There is no"), ("memory://lab/notes.txt", "neither a manifest")):
        with pytest.raises(InputError, match=reason):
            list(read_rows([what]))


def test_a_kill_loses_no_row_and_nothing_is_done_or_read_twice(
    store: fsspec.AbstractFileSystem, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        store.pipe(f"/lab/{name}.mp4", name.encode())
    store.pipe("/lab/m.csv", b"path,question\na.mp4,\nb.mp4,failed\ngone.mp4,\nc.mp4,\nd.mp4,\n")
    first = _Workers()
    with pytest.raises(SystemExit):
        _run(_OUT, "memory://lab/m.csv", first, stop_after=2)
    assert len(store.ls("/lab/out/journal")) == 2
    second = _Workers()
    rows = _run(_OUT, "memory://lab/m.csv", second)
    assert [row.status for row in rows] == ["done", "failed", "refused", "done", "done"]
    assert not (first.worked & second.worked)
    assert not store.exists("/lab/out/journal") or not store.ls("/lab/out/journal")
    assert len(store.cat("/lab/out/journal.jsonl").splitlines()) == 4
    assert {"results.csv", "results.parquet", "README.md"} <= {
        one.rsplit("/")[-1] for one in store.find("/lab/out")
    }
    assert not store.exists("/lab/out/.lock")

    read = pytest.MonkeyPatch()
    read.setattr(
        "videopath.agent.many.remote.videos.remote_sha256", lambda one: pytest.fail("it is read again")
    )
    third = _Workers()
    _run(_OUT, "memory://lab/m.csv", third, retry_failed=True)
    read.undo()
    assert third.worked == {"memory://lab/b.mp4": 1}
    store.pipe("/lab/a.mp4", b"other")
    fourth = _Workers()
    _run(_OUT, "memory://lab/m.csv", fourth)
    assert fourth.worked == {"memory://lab/a.mp4": 1}
    assert not list((own_home / "cache/batch").iterdir())


def test_a_long_journal_is_put_together_on_the_way(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videopath.agent.many.remote.folder._TOGETHER", 3)
    for number in range(10):
        store.pipe(f"/lab/{number}.mp4", str(number).encode())
    with pytest.raises(SystemExit):
        _run(_OUT, "memory://lab/*.mp4", _Workers(), stop_after=9)
    assert len(store.ls("/lab/out/journal")) < 4
    again = _Workers()
    _run(_OUT, "memory://lab/*.mp4", again)
    assert again.worked.total() == 1


def test_one_writer_at_a_time_and_a_dead_one_is_replaced(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        open_folder(place(_OUT)).held(),
        pytest.raises(InputError, match="Another process of this computer"),
        open_folder(place(_OUT)).held(),
    ):
        pass
    elsewhere = json.dumps({"owner": "x", "machine": "another", "beats": 3}).encode()
    store.pipe("/lab/out/.lock", elsewhere)
    with (
        pytest.raises(InputError, match="was killed less than 2 minutes ago"),
        open_folder(place(_OUT)).held(),
    ):
        pass
    assert store.cat("/lab/out/.lock") == elsewhere
    monkeypatch.setattr(lock, "_ABANDONED", -1.0)
    with open_folder(place(_OUT)).held():
        monkeypatch.undo()
        mine = json.loads(store.cat("/lab/out/.lock"))
        assert mine["owner"] != "x"
    assert [one for one in store.find("/lab/out") if ".lock" in one] == []


def test_a_batch_that_lost_its_lock_stops_and_leaves_the_other_ones(
    store: fsspec.AbstractFileSystem,
) -> None:
    held = lock.RemoteLock(RemotePath("memory", "lab/out/.lock"), Path("local"))
    held.acquire()
    held.check()
    store.pipe("/lab/out/.lock", b'{"owner": "another"}')
    held._renew()
    with pytest.raises(InputError, match="has taken over"):
        held.check()
    held.release()
    assert store.exists("/lab/out/.lock")


def _library(home: Path, **statuses: str) -> SimpleNamespace:
    def entry(case_id: str) -> SimpleNamespace:
        if case_id not in statuses:
            raise CaseError("There is no such case.")
        return SimpleNamespace(status=statuses[case_id])

    return SimpleNamespace(home=home, entry=entry)


def _task(case_id: str, content: str = "a") -> Task:
    return Task(case_id, case_id, {"video": "memory://lab/a.mp4"}, {"video_sha256": sha256_text(content)})


def test_a_copy_lives_as_long_as_its_case(
    store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe("/lab/a.mp4", b"a")
    library = _library(tmp_path, done="done", waits="waiting for review")
    with local_copy(library, _task("new")) as task:  # type: ignore[arg-type]
        video = Path(task.request["video"])
        assert video.read_bytes() == b"a"
        assert video.parent == tmp_path / "cache/videos/new"
    assert not video.parent.exists()
    with local_copy(library, _task("done")) as task:  # type: ignore[arg-type]
        assert task.request["video"] == "memory://lab/a.mp4"
    with pytest.raises(CaseError, match="was changed"), local_copy(library, _task("new", "b")):  # type: ignore[arg-type]
        pass
    for left in ("killed", "waits"):
        (tmp_path / "cache/videos" / left).mkdir()
    monkeypatch.setattr(scratch, "_swept", set())
    with case_scratch(library).folder("next"):  # type: ignore[arg-type]
        pass
    assert [one.name for one in (tmp_path / "cache/videos").iterdir()] == ["waits"]


def test_a_store_out_of_reach_fails_the_row_and_a_full_disk_says_so(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.pipe("/lab/a.mp4", b"a")

    opened = type(store).open

    def broken(self: fsspec.AbstractFileSystem, path: str, *more: object, **options: object) -> object:
        if path.endswith(".mp4"):
            raise ConnectionResetError("http://user:secret@host")
        return opened(self, path, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "open", broken)
        (row,) = _run(_OUT, "memory://lab/*.mp4", _Workers())
    assert row.status == "failed"
    assert "cannot be reached (ConnectionResetError)" in row.reason
    assert "secret" not in row.reason
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(RemoteError, match="disk is full"), local_copy(_library(tmp_path), _task("new")):  # type: ignore[arg-type]
        pass


def test_exports_of_a_store_are_listed_once(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    class Library:
        def export(self, case_id: str, path: Path, form: str) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(case_id)
            (path.parent / f"{path.stem}-questions.md").write_text("why?")

    target: Place = place(_OUT)
    exports = Exports(target, ("md",))
    assert exports.missing("case")
    exports.write(Library(), "case")  # type: ignore[arg-type]
    assert store.cat("/lab/out/reports/case.md") == b"case"
    assert store.exists("/lab/out/reports/case-questions.md")
    assert not Exports(target, ("md",)).missing("case")
