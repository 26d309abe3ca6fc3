"""A batch on Ray: what is lost is started again, nothing is done twice, and a plan that cannot be held is rejected."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from videopath.agent.many.cluster.connection import ClusterSize, _refuse_dead, checked_address
from videopath.agent.many.cluster.plan import made_plan
from videopath.agent.many.work import Task
from videopath.agent.many.worker import WorkerSetup
from videopath.core.errors import InputError, ModelError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'videopath-agent[ray]'")

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "cluster.md"
TWO_CORES = ClusterSize(1, 2.0, 0.0, 2.0)


@pytest.mark.parametrize(
    ("size", "jobs", "device", "planned"),
    [
        (TWO_CORES, 2, None, (2, 0, None, 1)),  # half a CPU each, and room for the reading task
        (TWO_CORES, None, "cpu", (1, 0, "cpu", 2)),
        (ClusterSize(3, 24.0, 4.0, 8.0), None, None, (4, 1, "cuda", 6)),
        (ClusterSize(3, 24.0, 4.0, 8.0), None, "cpu", (3, 0, "cpu", 8)),
        (ClusterSize(3, 24.0, 1.0, 8.0), 4, None, (4, 0, None, 6)),
        (ClusterSize(1, 1.0, 4.0, 1.0), None, None, (1, 1, "cuda", 1)),
    ],
)
def test_the_plan_leaves_room(
    size: ClusterSize, jobs: int | None, device: str | None, planned: tuple[int, int, str | None, int]
) -> None:
    plan = made_plan(size, jobs, device)
    assert (plan.jobs, plan.gpus, plan.device, plan.threads) == planned


@pytest.mark.parametrize(
    ("size", "jobs", "device", "reason"),
    [
        (TWO_CORES, 4, None, "4 jobs need 2.25 CPUs .* the cluster has 2: give at most --jobs 3"),
        (TWO_CORES, 2, "cuda", "2 jobs need 2 GPUs, and the cluster has 0"),
        (ClusterSize(0, 0.0, 0.0, 0.0), None, None, "add a machine with CPUs"),
        (TWO_CORES, 1, "cuda:1", "use --device cuda instead of cuda:1"),
    ],
)
def test_a_cluster_that_is_too_small_is_rejected(
    size: ClusterSize, jobs: int | None, device: str | None, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        made_plan(size, jobs, device)


@pytest.mark.parametrize(
    "address", ["", "head", "head:0", "head:65536", "a b:1", "http://head:6379", "head:x"]
)
def test_an_address_of_another_form_is_rejected(address: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        checked_address(address)


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("ray://head:10001", "An address with ray://"),
        ("http://head:8265", "RAY_ADDRESS 'http://head:8265' is no"),
    ],
)
def test_an_address_of_the_environment_is_checked_like_that_of_the_option(
    monkeypatch: pytest.MonkeyPatch, named: str, reason: str
) -> None:
    from videopath.agent.many.cluster.pool import RayPool

    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(InputError, match=reason):
        checked_address("auto")
    with pytest.raises(InputError, match=reason):
        RayPool(WorkerSetup(), 1).start()
    assert checked_address("head:6379") == "head:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert checked_address("auto") == "auto"


@pytest.mark.parametrize(("hosts", "database"), [(2, None), (1, None), (2, "postgresql://lab@host/cases")])
def test_several_machines_with_a_library_in_sqlite_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, hosts: int, database: str | None
) -> None:
    from videopath.agent.many.cluster.pool import RayPool

    if database:
        monkeypatch.setenv("VIDEOPATH_DATABASE", database)
    size = ClusterSize(2, 2.0, 0.0, 1.0, hosts)
    monkeypatch.setattr("videopath.agent.many.cluster.pool.connected", lambda *_: nullcontext(size))
    said: list[str] = []
    with pytest.raises(InputError, match="9 jobs need"):
        RayPool(WorkerSetup(), 9, notify=said.append).start()
    assert ["SQLite files" in one for one in said] == ([True] if hosts == 2 and not database else [])


def test_an_address_where_nothing_listens_is_rejected_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match=f"No Ray cluster answers at {address}"):
            _refuse_dead(address)


def test_the_cluster_files_of_the_documentation_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    cluster, job = (yaml.safe_load(block) for block in blocks)
    assert {"cluster_name", "provider", "auth", "head_start_ray_commands", "worker_start_ray_commands"} <= {
        *cluster
    }
    assert job["kind"] == "RayJob"
    groups = [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {"data"}
        assert {one["name"] for one in container["env"]} >= {"VIDEOPATH_HOME", "VIDEOPATH_DATABASE"}
    jobs = int(job["spec"]["entrypoint"].split("--jobs")[1])
    assert jobs == groups[1]["replicas"] == groups[1]["minReplicas"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from videopath.agent.many.cluster.connection import connected

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
        with connected("auto", said.append) as size:
            assert size.nodes == 1
            assert "was started on this machine" in said[0]
            yield


def _tasks(folder: Path, *questions: str) -> list[Task]:
    hashes = dict.fromkeys(("video_sha256", "weights_sha256", "knowledge_sha256", "settings_sha256"), "")
    return [
        Task(str(n), f"case-{n}", {"video": str(folder / str(n)), "question": question}, hashes)
        for n, question in enumerate(questions)
    ]


def _pool(**options: Any) -> Any:
    from fixtures.ray_actors import Scripted

    from videopath.agent.many.cluster.pool import RayPool

    return RayPool(
        WorkerSetup(agent=options.pop("agent", {})), options.pop("jobs", 2), actor=Scripted, **options
    )


def _ray_processes(name: str) -> list[psutil.Process]:
    ours = psutil.Process().children(recursive=True)
    return [one for one in ours if one.status() != "zombie" and name in " ".join(one.cmdline())]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("cluster")
def test_what_is_killed_is_started_again_and_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    tasks = _tasks(tmp_path, "done", "die once", "die", *["slow"] * 7)
    said: list[str] = []
    killed: list[str] = []
    ended: dict[str, Any] = {}
    with _pool(notify=said.append, patience=0.3) as pool:
        pool.start()
        for task, outcome in pool.work(iter(tasks)):
            assert task.case_id not in ended
            ended[task.case_id] = outcome
            for name in ("ReadCases", "Feed", "MapWorker")[len(killed) : len(ended) - 4]:
                for process in _ray_processes(f"ray::{name}")[:1]:
                    process.send_signal(signal.SIGKILL)
                    killed.append(name)
    assert len(ended) == len(tasks)
    assert [outcome.status for outcome in ended.values()].count("failed") == 1
    assert "died twice" in ended["case-2"].reason
    assert killed == ["ReadCases", "Feed", "MapWorker"]
    assert all("of 2 actors have loaded the model" in one and "CPUs free" in one for one in said)
    assert said


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("cluster")
def test_a_model_that_cannot_be_loaded_ends_the_batch() -> None:
    with pytest.raises(ModelError, match="no such model"), _pool(jobs=1, agent={"broken": True}) as pool:
        pool.start()
