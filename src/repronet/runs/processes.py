"""How many processes a launcher started; a run has one. Needs no torch."""

from __future__ import annotations

import os

from repronet.errors import UserError

# What launchers tell their processes of how many they are: torchrun, srun, Open MPI and MPICH.
_COUNTS = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def refuse_several() -> None:
    """Refuse to be one of several processes, which would all write the same run.

    Raises:
        UserError: when a launcher started more than one.
    """
    for name in _COUNTS:
        count = os.environ.get(name, "")
        if count.isdecimal() and int(count) > 1:
            own = "a Trainer of your own trains ImageClassifier on several (docs/how_to/python.md)"
            raise UserError(
                f"{name}={count}: a launcher started {count} processes, but a run has one process and one device; "
                f"start repronet without it, or {own}"
            )
