"""The connection to a Ray cluster: one that runs already, or one that is started on this machine."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import psutil

from videopath.core.errors import EngineError, InputError
from videopath.core.installing import require

AUTO = "auto"
_LOCAL = "local"  # in RAY_ADDRESS: a cluster of one's own
_ANSWER = 5.0  # seconds that the head has to answer
_PORT = re.compile(r"(?P<host>[^\s:/@]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
_STORE = 128 * 2**20  # bytes of the object store of a cluster of our own: only rows pass through it

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
_QUIET_UNLESS_SET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class ClusterSize:
    """What a cluster has in all, free or not."""

    nodes: int
    """Machines with CPUs that can be booked."""
    cpus: float
    gpus: float
    cpus_of_smallest: float
    """CPUs of the smallest node that has any."""
    hosts: int = 1
    """Computers by their addresses: several nodes can run on one."""


def checked_address(address: str) -> str:
    """Return the address of a cluster as it was given.

    Args:
        address: "auto", or HOST:PORT of the cluster's head. With "auto", that of ``RAY_ADDRESS`` is checked as well.

    Raises:
        InputError: Ray is missing, or the address is of another form.
    """
    require("ray", "ray[data]", "ray", "A batch on a cluster")
    _refuse_other_forms(address, f"--ray {address!r}")
    named = _named(address)
    _refuse_other_forms(named or AUTO, f"RAY_ADDRESS {named!r}")
    return address


def _named(address: str) -> str:
    """Return the address that the option or ``RAY_ADDRESS`` names; empty if neither names one."""
    if address != AUTO:
        return address
    named = os.environ.get("RAY_ADDRESS", "")
    return "" if named == _LOCAL else named


def _refuse_other_forms(address: str, given: str) -> None:
    if address == AUTO:
        return
    if address.startswith("ray://"):
        raise InputError(
            "An address with ray:// is for a client outside of the cluster, and neither --ray nor RAY_ADDRESS takes it: run "
            "the command on a machine of the cluster with --ray auto, or as a job (ray job submit)."
        )
    match = _PORT.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise InputError(
            f"{given} is no address of a Ray cluster: give auto, or HOST:PORT, such as 10.0.0.5:6379."
        )


@contextmanager
def connected(address: str, notify: Callable[[str], object]) -> Iterator[ClusterSize]:
    """Be connected to a cluster within the block. A cluster that was started for it ends with it.

    Args:
        address: "auto" (the cluster of ``RAY_ADDRESS``, else one that runs on this machine, else one that is started
            here), or HOST:PORT.
        notify: Called with the sentence that says which cluster it is.

    Raises:
        InputError: The address is of another form, or no cluster answers there.
        EngineError: A cluster cannot be started here.
    """
    checked_address(address)
    os.environ.update(_QUIET)
    for name, value in _QUIET_UNLESS_SET.items():
        os.environ.setdefault(name, value)
    named = _named(address)
    if not named and not runs_here() and "ray" not in sys.modules:
        _choose_token()
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        if ray.is_initialized():
            yield _size()
            return
        if named or runs_here():
            _connect(named or AUTO, notify)
        else:
            _start(notify)
        try:
            yield _size()
        finally:
            ray.shutdown()


def runs_here() -> bool:
    """Return whether a cluster was started on this machine by ``ray start``, as its head or as a part of another's."""
    folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp")  # noqa: S108 - where Ray writes it
    if not (folder / "ray" / "ray_current_cluster").is_file():
        return False
    return any(process.info["name"] == "raylet" for process in psutil.process_iter(["name"]))


def _refuse_dead(address: str) -> None:
    """Raise ``InputError`` if nothing listens at HOST:PORT: Ray would try for minutes."""
    match = _PORT.fullmatch(address)
    if match is None:
        return
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=_ANSWER).close()
    except OSError as error:
        raise InputError(
            f"No Ray cluster answers at {address} ({error.strerror or error}): start it (ray start --head)."
        ) from error


def _connect(address: str, notify: Callable[[str], object]) -> None:
    import ray

    _refuse_dead(address)
    try:
        info = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        where = f"at {address}" if address != AUTO else "on this machine"
        raise InputError(
            f"No Ray cluster answers {where}: start it (ray start), and run the command on one of its machines. "
            f"({_first_line(error)})"
        ) from error
    notify(f"Ray cluster at {info.address_info['gcs_address']}.")


def _choose_token() -> None:
    """Choose the secret of a cluster of our own: some of Ray's ports listen on all addresses. Ray reads it at import."""
    if os.environ.get("RAY_AUTH_MODE", "token") == "token":
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _start(notify: Callable[[str], object]) -> None:
    """Start a cluster on this machine, for this process only, at the address of loopback."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # by default Ray's workers yield to all other processes
    import ray
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # else Ray takes the address of this machine in the network
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=_STORE,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:
        raise EngineError(f"Ray cannot be started on this machine: {_first_line(error)}") from error
    notify("No Ray cluster runs here: one was started on this machine for this batch only.")


def _size() -> ClusterSize:
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    working = [node for node in alive if node["Resources"].get("CPU")]
    cpus = [node["Resources"]["CPU"] for node in working]
    return ClusterSize(
        len(cpus),
        sum(cpus),
        sum(node["Resources"].get("GPU", 0.0) for node in alive),
        min(cpus, default=0.0),
        len({node["NodeManagerAddress"] for node in working}),
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
