"""Several processes that run the same function, connected by gloo, for tests of what they do together."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["repronet.session.run", "repronet.cli.commands.train", "tensorboard.compat"])


def together(processes: int, folder: Path, function: Callable[..., Any], *args: Any) -> list[Any]:
    """What ``function(*args)`` returns in each of them, in the order of ranks; in one process for one."""
    folder.mkdir(parents=True, exist_ok=True)
    running = [
        _context.Process(target=_child, args=(rank, processes, str(folder), function, args))
        for rank in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    failed = [file.read_text() for file in sorted(folder.glob("error*"))]
    assert not failed, failed[0]
    return [torch.load(folder / f"result{rank}", weights_only=False) for rank in range(processes)]


def _child(rank: int, processes: int, folder: str, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        if processes > 1:
            dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
        torch.save(function(*args), f"{folder}/result{rank}")
    except BaseException:
        Path(f"{folder}/error{rank}").write_text(traceback.format_exc())
        os._exit(1)
