"""The processes that train one run together: how many a launcher started, and which one this is. Needs no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from repronet.errors import UserError

# The variables in which launchers give the number of processes: torchrun, srun, Open MPI and MPICH.
_COUNTS = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


@dataclass(frozen=True)
class Place:
    """The place of this process among the processes of a run."""

    rank: int = 0  # the process's number among all, from 0; process 0 writes the run folder
    size: int = 1  # number of processes
    local_rank: int = 0  # local_rank and local_size: the same among the processes on this machine
    local_size: int = 1

    @property
    def node(self) -> int:
        """The number of this machine."""
        return self.rank // self.local_size

    @property
    def nodes(self) -> int:
        """The number of machines."""
        return self.size // self.local_size


def launched() -> Place | None:
    """This process's place among those that torchrun or srun started; None if no launcher started several."""
    if _count("WORLD_SIZE") > 1 and "RANK" in os.environ:
        place = Place(*(_number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))
    elif _count("SLURM_STEP_NUM_TASKS") > 1:
        nodes = max(_count("SLURM_STEP_NUM_NODES"), 1)
        size = _count("SLURM_STEP_NUM_TASKS")
        place = Place(_number("SLURM_PROCID"), size, _number("SLURM_LOCALID"), max(size // nodes, 1))
    else:
        refuse_several("torchrun and srun are known as launchers; start repronet by one of them, or alone")
        return None
    if place.size % place.local_size:
        per_node = f"{place.size} processes, {place.local_size} of them on this machine"
        raise UserError(f"{per_node}: every machine must have as many; start as many on each")
    return place


def _count(name: str) -> int:
    found = os.environ.get(name, "")
    return int(found) if found.isdecimal() else 0


def _number(name: str) -> int:
    found = os.environ.get(name, "")
    if not found.isdecimal():
        raise UserError(f"{name}={found}: must be a whole number, which torchrun and srun set; start repronet by them")
    return int(found)


def refuse_several(instead: str = "start this command without it; repronet train alone works on several") -> None:
    """Raise UserError if a launcher started several processes, which would all do the same."""
    for name in _COUNTS:
        if _count(name) > 1:
            count = _count(name)
            raise UserError(f"{name}={count}: a launcher started {count} processes; {instead}")
