"""Where the runs of a sweep are executed: each choice of ``launcher=`` yields its jobs' outcomes as they end.

Hydra's own launcher plugins give back their jobs all together at the end, print no script and divide no cores, and its
Optuna plugin stops at Optuna 2; so joblib, submitit and Ray are called without them.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from queue import Queue
from shutil import which
from threading import Thread
from typing import Any

from omegaconf import DictConfig

from repronet.errors import UserError, in_one_line
from repronet.session.cores import cores
from repronet.session.jobs import OUTPUT, STOP, Ended, Job

POLL = 1.0  # seconds between two looks at what was submitted
IDLE = 10  # seconds that a process of joblib's waits for a run
NO_LIMIT = 60 * 24 * 365  # minutes; submitit stops local jobs after two
PACKAGES = {"joblib": "joblib", "local": "submitit", "slurm": "submitit", "ray": "ray"}  # what pip installs


def require_launcher(launcher: DictConfig) -> None:
    """Refuse a launcher that cannot work here, before any folder is made."""
    package = PACKAGES.get(launcher.name)
    if package is not None and find_spec(package) is None:
        raise UserError(f"launcher={launcher.name}: the package is missing; pip install {package}")
    if launcher.name in ("joblib", "local"):
        divided(launcher)
    if launcher.name == "slurm" and not launcher.dry_run and which("srun") is None:
        raise UserError("launcher=slurm: there is no srun here; launcher.dry_run=true prints the script")


def divided(launcher: DictConfig) -> tuple[int, int]:
    """Runs at a time and cores of each on this machine; two runs on one core are slower than one after the other."""
    there = len(cores())
    at_once = launcher.n_jobs if launcher.n_jobs > 0 else max(1, there // (launcher.threads or 1))
    each = launcher.threads or max(1, there // at_once)
    if at_once * each > there:
        most = there // each if launcher.threads else there
        right = f"launcher.n_jobs={most} is the most" if most else f"launcher.threads={there} is the most"
        of_each = f" with launcher.threads={each}" if launcher.threads else ""
        raise UserError(f"launcher.n_jobs={at_once}{of_each}: there are {there} cores for them; {right}")
    return at_once, each


def launched(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    """Start the jobs and yield the outcome of each as it ends, with the reason if it failed.

    Raises:
        KeyboardInterrupt: on a signal, once the jobs on this machine are saved; a cluster's go on.
    """
    if not jobs:
        return
    stop = jobs[0].sweep / STOP
    stop.unlink(missing_ok=True)
    ended = _Background(_START[launcher.name](launcher, jobs))
    try:
        yield from ended
    except KeyboardInterrupt:
        if launcher.name != "slurm":
            stop.touch()
            yield from ended
            stop.unlink(missing_ok=True)
        raise


class _Background(Iterator[Ended]):
    """The same in a thread: a signal then interrupts whoever waits, and not the library that has the jobs.

    No generator, which an exception would end: what is left is asked for after it.
    """

    def __init__(self, outcomes: Iterator[Ended]):
        self._found: Queue[Ended | BaseException | None] = Queue()
        Thread(target=self._collect, args=(outcomes,), daemon=True).start()

    def _collect(self, outcomes: Iterator[Ended]) -> None:
        try:
            for outcome in outcomes:
                self._found.put(outcome)
        except BaseException as error:
            self._found.put(error)
        self._found.put(None)

    def __next__(self) -> Ended:
        found = self._found.get()
        if found is None:
            raise StopIteration
        if isinstance(found, BaseException):
            raise found
        return found


def _joblib(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    from joblib import Parallel, delayed

    at_once, each = divided(launcher)
    jobs = [replace(job, threads=each, starter=os.getpid()) for job in jobs]
    how = {"batch_size": 1, "pre_dispatch": "n_jobs", "return_as": "generator_unordered"}
    # Of a sweep that was killed, processes without a run would else stay for five minutes.
    parallel = Parallel(at_once, backend="loky", idle_worker_timeout=IDLE, **how)
    yield from _named(parallel(delayed(Job.__call__)(job) for job in jobs), jobs)  # type: ignore[arg-type]


def _named(outcomes: Iterable[Ended], jobs: Sequence[Job]) -> Iterator[Ended]:
    """The outcomes; if the library fails, the reason for each job that is left."""
    left = {job.name for job in jobs}
    try:
        for outcome in outcomes:
            left.discard(outcome.folder)
            yield outcome
    except Exception as error:  # a process that the system has killed takes joblib's others with it
        yield from (Ended(name, in_one_line(error)) for name in sorted(left))


def _ray(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which tells its makers nothing
    import ray  # type: ignore[import-not-found]  # an extra

    here = launcher.address is None
    jobs = [replace(job, threads=launcher.threads, starter=os.getpid() if here else None) for job in jobs]
    machine = {"num_cpus": len(cores()), "include_dashboard": False} if here else {"address": launcher.address}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **machine)
    try:
        # A process a job, as torch counts its threads once.
        task: Any = ray.remote(num_cpus=launcher.threads, num_gpus=launcher.gpus, max_calls=1, max_retries=0)
        running = {task(Job.__call__).remote(job): job for job in jobs}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield _outcome(lambda done=done: ray.get(done), running.pop(done))
    finally:
        ray.shutdown()


def _outcome(result: Callable[[], Ended], job: Job) -> Ended:
    try:
        return result()
    except Exception as error:  # of the library: the process is gone
        return Ended(job.name, in_one_line(error))


def _local(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    import submitit

    at_once, each = divided(launcher)
    executor = submitit.LocalExecutor(_logs(jobs))
    executor.update_parameters(timeout_min=NO_LIMIT)
    waiting = [replace(job, threads=each, starter=os.getpid()) for job in jobs]
    running: dict[Any, Job] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop(0)
            running[executor.submit(job)] = job
        yield from _ended(running)


def _slurm(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    import submitit

    executor = submitit.SlurmExecutor(_logs(jobs))
    executor.update_parameters(**_asked_of_slurm(launcher))
    with executor.batch():  # a job array
        running = {executor.submit(replace(job, threads=launcher.threads)): job for job in jobs}
    while running and launcher.wait:
        yield from _ended(running)


def _ended(running: dict[Any, Job]) -> Iterator[Ended]:
    """Those of submitit's jobs that have ended, which are no longer ``running`` then."""
    for submitted in [submitted for submitted in running if submitted.done()]:
        yield _outcome(submitted.result, running.pop(submitted))
    time.sleep(POLL)


def script(launcher: DictConfig, jobs: Sequence[Job]) -> str:
    """What submitit would give to ``sbatch``."""
    from submitit.slurm.slurm import _make_sbatch_string  # where SlurmExecutor, which needs SLURM, has it from

    logs = _logs(jobs)
    command = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(logs)])
    return _make_sbatch_string(command, logs, map_count=len(jobs), **_asked_of_slurm(launcher))


def _asked_of_slurm(launcher: DictConfig) -> dict[str, Any]:
    """The keys of ``launcher=slurm`` under SLURM's names."""
    asked = {key: launcher[key] for key in ("partition", "account", "qos", "constraint", "time")}
    asked |= {"job_name": "repronet", "cpus_per_task": launcher.threads, "gpus_per_node": launcher.gpus}
    asked |= {"mem": f"{round(launcher.mem_gb * 1024)}M" if launcher.mem_gb else None}
    asked |= {"ntasks_per_node": 1, "array_parallelism": launcher.n_jobs}
    return {key: value for key, value in asked.items() if value is not None}


def _logs(jobs: Sequence[Job]) -> Path:
    return jobs[0].sweep / OUTPUT / "%j"


_START: dict[str, Callable[[DictConfig, Sequence[Job]], Iterator[Ended]]] = {
    "joblib": _joblib,
    "local": _local,
    "ray": _ray,
    "slurm": _slurm,
}
