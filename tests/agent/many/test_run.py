"""The run of a batch: nothing is done twice, and a row's end never stops the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.many_workers import SYSTEM

from videopath.agent.many.identity import System, file_state
from videopath.agent.many.journal import BatchFolder
from videopath.agent.many.manifest import Row
from videopath.agent.many.results import Outcome, ResultRow, RowStatus
from videopath.agent.many.run import Batch
from videopath.agent.many.work import Exports, Task
from videopath.core.errors import InputError


class _Workers:
    """End each case as its question says, "done" without one."""

    def __init__(self, system: System = SYSTEM) -> None:
        self.system, self.worked = system, Counter[str]()

    def start(self) -> System:
        return self.system

    def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
        for task in tasks:
            self.worked[Path(task.request["video"]).name] += 1
            status: RowStatus = task.request["question"] or "done"
            yield task, Outcome(status=status, case_id=task.case_id, **task.hashes)


def _run(out: Path, rows: list[Row], workers: _Workers, **options: object) -> list[ResultRow]:
    folder = BatchFolder(out)
    with folder.held():
        return list(Batch(rows, workers, folder=folder, **options).run())  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / name).write_text(name)
    return tmp_path


def test_what_is_done_is_not_done_again_and_what_failed_only_on_request(files: Path) -> None:
    rows = [
        Row(1, files / "a"),
        Row(2, files / "b", question="failed"),
        Row(3, files / "c", question="waiting for review"),
        Row(4, files / "gone"),
        Row(5, Path(), problem="Line 6 cannot be used."),
        Row(6, files / "a", extra={"x": "1"}),
    ]
    out = files / "out"
    first = _Workers()
    results = {row.row: row for row in _run(out, rows, first)}
    assert first.worked == {"a": 1, "b": 1, "c": 1}
    assert [results[n].status for n in range(1, 7)] == [
        "done", "failed", "waiting for review", "refused", "refused", "done",
    ]  # fmt: skip
    assert results[6].case_id == results[1].case_id
    assert results[6].extra == {"x": "1"}

    again = _Workers()
    repeated = _run(out, rows, again)
    assert again.worked == {"c": 1}  # a person may have decided
    assert {row.row for row in repeated if row.repeated} == {1, 2, 6}
    retried = _Workers()
    _run(out, rows, retried, retry_failed=True)
    assert retried.worked == {"b": 1, "c": 1}


def test_another_file_model_or_setting_is_another_case(files: Path) -> None:
    out, row = files / "out", Row(1, files / "a")
    _run(out, [row], _Workers())
    (files / "a").write_text("other")
    for workers, rows in (
        (_Workers(), [row]),
        (_Workers(System("m", "cpu", "9" * 64, "2" * 64, "{}")), [row]),
        (_Workers(System("m", "cpu", "1" * 64, "9" * 64, "{}")), [row]),
        (_Workers(), [Row(1, files / "a", site="colon")]),
    ):
        (result,) = _run(out, rows, workers)
        assert workers.worked == {"a": 1}
        assert not result.repeated
    assert len((out / "journal.jsonl").read_text().splitlines()) == 5


def test_a_copy_elsewhere_is_the_same_case_and_a_torn_journal_loses_one_row(files: Path) -> None:
    out = files / "out"
    _run(out, [Row(1, files / "a"), Row(2, files / "b")], _Workers())
    (files / "copy").write_text("a")
    workers = _Workers()
    _run(out, [Row(1, files / "copy")], workers)
    assert not workers.worked
    journal = out / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    _run(out, [Row(1, files / "a"), Row(2, files / "b")], workers)
    assert workers.worked == {"b": 1}


def test_a_missing_export_brings_its_case_back(files: Path) -> None:
    out, workers = files / "out", _Workers()
    (result,) = _run(out, [Row(1, files / "a")], workers)
    exports = Exports(out, ("zip",))
    _run(out, [Row(1, files / "a")], workers, exports=exports)
    assert workers.worked == {"a": 2}
    exports.file(result.case_id, "zip").parent.mkdir()
    exports.file(result.case_id, "zip").touch()
    _run(out, [Row(1, files / "a")], workers, exports=exports)
    assert workers.worked == {"a": 2}


def test_a_hash_is_remembered_without_the_name_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "MRN 4839201 DOE JOHN.mp4"
    file.write_text("a")
    _run(tmp_path / "out", [Row(1, file)], _Workers())
    journal = (tmp_path / "out/journal.jsonl").read_text()
    assert "DOE" not in journal
    assert "4839201" not in journal
    folder = BatchFolder(tmp_path / "out")
    with folder.held():
        before = file_state(file, folder)
        monkeypatch.setattr(
            "videopath.agent.many.identity.sha256_file", lambda path: pytest.fail("read again")
        )
        assert file_state(file, folder) == before
        monkeypatch.undo()
        os.utime(file, ns=(1, 1))
        assert file_state(file, folder).changed == 1


def test_one_batch_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    with (
        BatchFolder(tmp_path).held(),
        pytest.raises(InputError, match="Another batch writes"),
        BatchFolder(tmp_path).held(),
    ):
        pass


def test_an_interrupted_run_still_knows_what_ended_before(files: Path) -> None:
    out = files / "out"
    _run(out, [Row(1, files / "a"), Row(3, files / "c")], _Workers())

    class Interrupted(_Workers):
        def work(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
            next(tasks)
            raise KeyboardInterrupt
            yield

    folder = BatchFolder(out)
    with folder.held():
        batch = Batch(
            [Row(1, files / "a"), Row(2, files / "b"), Row(3, files / "c")], Interrupted(), folder=folder
        )
        with pytest.raises(KeyboardInterrupt):
            list(batch.run())
        assert [row.row for row in batch.ended_before() or ()] == [1, 3]
