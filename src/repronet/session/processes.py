"""The processes of a run: how they connect, what the first sends to the others, and how they end together.

The first process builds the run, makes its folder and is the only one that writes there. The others get the config and
the folder's path through torch's store, build the same run and train their shares. Errors are reported there too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric.plugins import ClusterEnvironment
from omegaconf import DictConfig
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from repronet.data.module import ImageDataModule
from repronet.errors import Fault, Terminated, UserError
from repronet.runs.processes import Place, launched

PATIENCE = timedelta(minutes=30)  # how long processes wait for each other
REPORTS = 5.0  # seconds that a process waits for the others' error reports
LEAVING = 60.0  # seconds that the others have to end by themselves after a run
HEAVY = ("fsdp", "deepspeed")  # strategies that also divide the weights among processes
KINDS: dict[str, type[BaseException]] = {
    kind.__name__: kind for kind in (UserError, Fault, Terminated, KeyboardInterrupt, RuntimeError)
}


class Environment(ClusterEnvironment):
    """The cluster environment for Lightning, from a :class:`Place`; the processes are already connected."""

    def __init__(self, place: Place):
        self.place = place

    creates_processes_externally = True  # type: ignore[assignment]
    main_address = ""  # type: ignore[assignment]
    main_port = 0  # type: ignore[assignment]

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.place.size

    def set_world_size(self, size: int) -> None:
        """Do nothing: the place is fixed."""

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: the place is fixed."""

    def local_rank(self) -> int:
        return self.place.local_rank

    def node_rank(self) -> int:
        return self.place.node


def place_of(config: DictConfig) -> Place:
    """This process's place among the processes that the config asks for or a launcher started."""
    trainer, place = config.trainer, launched()
    if trainer.strategy == "deepspeed" and find_spec("deepspeed") is None:
        raise UserError("trainer.strategy=deepspeed: the package is missing; pip install deepspeed")
    if trainer.strategy in HEAVY and (trainer.accelerator == "cpu" or not torch.cuda.is_available()):
        raise UserError(f"trainer.strategy={trainer.strategy}: needs GPUs; take ddp")
    count = devices(config)
    if place is None:
        if trainer.num_nodes > 1:
            how = f"start repronet on each by torchrun --nnodes={trainer.num_nodes} --node-rank=…, or by srun"
            raise UserError(f"trainer.num_nodes={trainer.num_nodes}: this is one machine; {how}")
        return Place(size=count, local_size=count)
    for key, given, found in (("devices", count, place.local_size), ("num_nodes", trainer.num_nodes, place.nodes)):
        if given not in (1, found):
            raise UserError(f"trainer.{key}={given}: the launcher started {found}; leave it out, or start as many")
    return place


def devices(config: DictConfig) -> int:
    """The number of processes that a config asks for on this machine."""
    wanted, gpus = config.trainer.devices, torch.cuda.device_count()
    on_cpu = config.trainer.accelerator == "cpu" or not gpus
    if str(wanted) in ("auto", "-1"):
        return 1 if on_cpu else gpus
    if not isinstance(wanted, int):
        return len(wanted)
    if not on_cpu and wanted > gpus:
        raise UserError(f"trainer.devices={wanted}: there are {gpus} GPUs; take as many or fewer")
    return wanted


class Peers:
    """The processes of one run, from the view of one of them.

    Args:
        place: the place of this process.
        store: the store through which they exchange messages; None for a single process.
        started: the processes that this one started, by rank.
    """

    def __init__(self, place: Place, store: Store | None = None, started: Mapping[int, subprocess.Popen] = {}):
        self.place, self._store, self._started = place, store, dict(started)
        self._files = ExitStack()
        self.hint = ""  # how to resume the run, once it has a folder

    @property
    def several(self) -> bool:
        return self.place.size > 1

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def tell(self, key: str, values: Mapping[str, Any]) -> None:
        self.store.set(key, json.dumps(values))

    def told(self, key: str) -> dict[str, Any] | None:
        """The message under ``key``; None if there is none yet."""
        return json.loads(self.store.get(key)) if self.store.check([key]) else None

    def wait_for(self, key: str) -> dict[str, Any]:
        """Wait for the message under ``key``; signals are still handled meanwhile."""
        while (found := self.told(key)) is None:
            time.sleep(0.02)
        return found

    def share(self, data: ImageDataModule) -> None:
        """On a machine's first process: let the others map the images that it has in memory."""
        folder = Path(tempfile.mkdtemp(prefix="repronet-"))
        self._files.callback(shutil.rmtree, folder, ignore_errors=True)
        shared = {"images": str(folder / "images")}
        try:
            data.write_tensors(folder / "images")
            data.map_tensors(folder / "images")
        except (OSError, RuntimeError):  # no space on the disk: each process keeps its own copy
            shared = {"images": None}
        self.tell(f"node/{self.place.node}", shared)

    def gather(self) -> None:
        """On the first process: wait until the others have built the run too, and connect.

        Raises:
            UserError, Fault: the error of another process, or that it was killed.
        """
        waiting = set(range(1, self.place.size))
        while waiting:
            for rank in sorted(waiting):
                if self.told(f"ready/{rank}") is not None:
                    waiting.remove(rank)
                elif (met := self._met_by(rank)) is not None:
                    raise met
            time.sleep(0.02)
        self.tell("all are ready", {})
        self.connect()

    def connect(self) -> None:
        """Make torch's process group."""
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        self._files.close()  # every process has mapped the files
        store = PrefixStore("group", self.store)
        dist.init_process_group(
            backend, store=store, rank=self.place.rank, world_size=self.place.size, timeout=PATIENCE
        )

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Raise the error that ended the run, in whichever process, instead of the lost connection it caused here."""
        try:
            yield
        except BaseException as error:
            if not self.several or isinstance(error, KeyboardInterrupt):
                raise
            found = self._cause(error)
            if found is error:
                raise
            raise found from error

    def report(self, error: BaseException) -> None:
        """Report the error that ended this process to the others."""
        kind = next(name for name, kind in KINDS.items() if isinstance(error, kind) or name == "RuntimeError")
        text = str(error) if kind != "RuntimeError" else f"{type(error).__name__}: {error}"
        with suppress(Exception):  # the store may be gone
            self.tell(f"fault/{self.place.rank}", {"kind": kind, "text": text})

    def _cause(self, error: BaseException) -> BaseException:
        if is_lost(error):
            met = self._all_met()
            return met[0] if met else Fault(f"another process of the run ended{self.hint}")
        if not str(error).startswith("the gradient"):
            return error
        # A loss that is not finite gives all processes bad gradients; the process with that loss explains more.
        return next((other for other in self._all_met() if str(other).startswith("the loss")), error)

    def _all_met(self) -> list[BaseException]:
        """The errors that ended other processes, as soon as one is known; empty if none is reported in time."""
        deadline, ranks = time.monotonic() + REPORTS, [r for r in range(self.place.size) if r != self.place.rank]
        while True:
            with suppress(RuntimeError):  # the store is gone if the first process is
                found = [met for rank in ranks if (met := self._met_by(rank)) is not None]
                if found or time.monotonic() > deadline:
                    return sorted(found, key=lambda met: "ended with" in str(met))  # least informative last
            if time.monotonic() > deadline:
                return []
            time.sleep(0.05)

    def speaks(self) -> bool:
        """Whether this process should print that the first is gone: no error was reported, and no other prints it."""
        if self._all_met():
            return False
        try:
            return self.store.add("said", 1) == 1
        except RuntimeError:  # the store went with the first process
            return self.place.rank == 1

    def _met_by(self, rank: int) -> BaseException | None:
        """The error that ended process ``rank``; None if unknown."""
        code = self._started[rank].poll() if rank in self._started else None
        reported = self.told(f"fault/{rank}")  # read after poll(): a process reports before it ends
        if reported is not None:
            return KINDS[reported["kind"]](reported["text"])
        if not code:
            return None
        how = f"ended with {code}"
        if code < 0:
            how = f"was killed ({signal.Signals(-code).name}), often because memory ran out"
        return Fault(f"process {rank} of {self.place.size} {how}{self.hint}")

    def end(self, well: bool) -> None:
        """Disconnect, and end the processes that this one started; ``well``: give them time to end by themselves."""
        self._files.close()
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        for process in self._started.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(LEAVING if well else 0)
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


@contextmanager
def peers_of(config: DictConfig) -> Iterator[Peers]:
    """Within the context, the processes of a run, for its first process, which starts the others without a launcher.

    Raises:
        UserError: as :func:`place_of`.
    """
    place = place_of(config)
    if place.size == 1:
        yield Peers(place)
        return
    threads = torch.get_num_threads()
    share_threads(config, place)
    peers = joined(place) if launched() else _start(place)
    well = False
    try:
        yield peers
        well = True
    except BaseException as error:
        peers.report(error)
        raise
    finally:
        peers.end(well)
        torch.set_num_threads(threads)


def share_threads(config: DictConfig, place: Place) -> None:
    """Use this process's share of the machine's threads, unless the config sets their number."""
    if config.trainer.threads is None:
        torch.set_num_threads(max(1, torch.get_num_threads() // place.local_size))


def joined(place: Place) -> Peers:
    """Connect to the store of the processes that a launcher started, at the address that it gives."""
    address = os.environ.get("MASTER_ADDR")
    if address is None:
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

        nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
        address = SLURMEnvironment.resolve_root_node_address(nodes)
    port = int(os.environ.get("MASTER_PORT", 15_000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10_000))
    hosts = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    store = TCPStore(address, port, is_master=hosts, wait_for_workers=False, timeout=PATIENCE)
    return Peers(place, PrefixStore(f"repronet/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store))


def _start(place: Place) -> Peers:
    """Start the other processes; each ends when this one does, since its standard input closes then."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=PATIENCE)
    common = {"WORLD_SIZE": place.size, "LOCAL_WORLD_SIZE": place.size, "MASTER_PORT": store.port}
    started = {}
    for rank in range(1, place.size):
        env = {**common, "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1"}
        started[rank] = subprocess.Popen(
            [sys.executable, "-m", "repronet.session.member"],
            env={**os.environ, **{key: str(value) for key, value in env.items()}},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
    return Peers(place, PrefixStore("repronet/0", store), started)


def is_lost(error: BaseException | None) -> bool:
    """Whether an error says that another process is gone."""
    while error is not None:
        words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
        if isinstance(error, dist.DistError) or (
            isinstance(error, RuntimeError) and any(word in str(error) for word in words)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
