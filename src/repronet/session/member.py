"""Every process of a run except the first: it builds the same run, trains its share and writes nothing.

The first process starts ``python -m repronet.session.member``; under a launcher, ``repronet train`` calls this module.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from omegaconf import OmegaConf

from repronet.config import plugins
from repronet.config.compose import checked
from repronet.errors import Terminated, UserError
from repronet.runs.processes import Place, launched
from repronet.runs.stopping import StopSwitch
from repronet.session.console import quiet_lightning
from repronet.session.processes import REPORTS, Peers, is_lost, joined, share_threads


def take_part(place: Place) -> int:
    """Do this process's share of the run that the first process describes; returns the exit code.

    Errors are printed by the first process, unless it is gone.
    """
    said = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # the libraries' messages about a run come from the first process alone
        os.dup2(nowhere, stream)
    peers = joined(place)
    try:
        _work(peers)
    except (Exception, KeyboardInterrupt) as error:
        if not is_lost(error):
            peers.report(error)
            return 143 if isinstance(error, Terminated) else 130 if isinstance(error, KeyboardInterrupt) else 1
        if peers.speaks():  # the first process is gone, and no other process reports it
            os.write(said, f"repronet: process 0 of {peers.place.size} was killed{peers.hint}\n".encode())
        return 1
    return 0


def _work(peers: Peers) -> None:
    from repronet.config.build import assemble
    from repronet.session.run import train_share

    switch = StopSwitch()
    with switch.listening():
        task = peers.wait_for("task")
        peers.hint = task["hint"]
        plugins.give(task["plugins"])
        config = checked("train", OmegaConf.create(task["config"]))  # type: ignore[arg-type]
        share_threads(config, peers.place)
        begins, first_here = task["checkpoint"] is None, peers.place.local_rank == 0
        shared = None if first_here else peers.wait_for(f"node/{peers.place.node}")["images"]
        parts = assemble(config, begins, peers.place.size)
        if first_here:
            peers.share(parts.data)
        elif shared is not None:
            parts.data.map_tensors(Path(shared))
        peers.tell(f"ready/{peers.place.rank}", {})
        peers.wait_for("all are ready")
        peers.connect()
        quiet_lightning()
        checkpoint = None if task["checkpoint"] is None else Path(task["checkpoint"])
        train_share(config, parts, Path(task["folder"]), switch, peers.place, checkpoint)


def _end_with_the_first() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock a thread must not hold when Python ends
        pass
    time.sleep(2 * REPORTS)  # time for this process, if it is training, to report that the first one is gone
    os._exit(1)


def main() -> None:
    """Entry point of a process that the first process started."""
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    place = launched()
    if place is None:
        raise UserError("repronet.session.member: only repronet train starts it")
    sys.exit(take_part(place))


if __name__ == "__main__":
    main()
