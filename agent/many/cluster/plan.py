"""The plan: how many actors a cluster can hold, with room for the task that reads the cases."""

from __future__ import annotations

from dataclasses import dataclass

from videopath.agent.many.cluster.connection import ClusterSize
from videopath.core.errors import InputError

WORKING = (
    0.5  # CPUs that an actor books: with a whole one, two actors on two CPUs leave none to read the cases
)
READING = 0.25  # CPUs that the reading task books


@dataclass(frozen=True)
class Plan:
    """What is booked on the cluster."""

    jobs: int
    gpus: int
    """GPUs of an actor: 0 or 1."""
    device: str | None
    """The device of each actor; None: its own choice."""
    threads: int | None
    """Threads of an actor's computations; None: as many as its libraries choose."""

    @property
    def needs(self) -> str:
        """What an actor needs, in words."""
        return f"{WORKING:g} CPUs" + (f" and {self.gpus} GPU" if self.gpus else "")


def made_plan(size: ClusterSize, jobs: int | None, device: str | None) -> Plan:
    """Return the plan for a cluster.

    Args:
        size: What the cluster has.
        jobs: The actors that were asked for; None: one for each GPU, or for each machine if no GPU is used.
        device: "cpu", "cuda", "mps", or None for GPUs if the cluster has any.

    Raises:
        InputError: The cluster is too small, or the device names one GPU of several.
    """
    if device is not None and ":" in device:
        raise InputError(
            f"Ray chooses the GPU of each actor: use --device {device.split(':')[0]} instead of {device}."
        )
    on_gpu = device == "cuda" or (device is None and size.gpus >= max(1, jobs or 1))
    if on_gpu and size.gpus < (jobs or 1):
        raise InputError(
            f"{jobs or 1} jobs need {jobs or 1} GPUs, and the cluster has {size.gpus:g}: "
            "give fewer --jobs, add machines, or use --device cpu."
        )
    count = jobs or (int(size.gpus) if on_gpu else max(1, size.nodes))
    needed = count * WORKING + READING
    if needed > size.cpus and jobs is None:
        count = max(1, int((size.cpus - READING) / WORKING))
        needed = count * WORKING + READING
    if needed > size.cpus:
        most = max(0, int((size.cpus - READING) / WORKING))
        raise InputError(
            f"{count} jobs need {needed:g} CPUs ({WORKING:g} each, and {READING:g} to read the cases), and the cluster has "
            f"{size.cpus:g}: " + (f"give at most --jobs {most}." if most else "add a machine with CPUs.")
        )
    chosen = device if device is not None else ("cuda" if on_gpu else None)
    threads = max(1, int(min(size.cpus / count, size.cpus_of_smallest)))
    return Plan(count, int(on_gpu), chosen, threads)
