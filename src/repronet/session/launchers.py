"""Launchers of the runs of a sweep: each choice of ``launcher=`` yields the outcomes of its jobs as they end.

Hydra's own launcher plugins return their jobs only all together at the end, print no script and do not divide cores,
and its Optuna plugin supports only Optuna 2; so joblib, submitit and Ray are called directly.
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

POLL = 1.0  # seconds between two checks of the submitted jobs
IDLE = 10  # seconds that an idle joblib process waits for a run before it ends
NO_LIMIT = 60 * 24 * 365  # minutes; by default submitit stops local jobs after two
PACKAGES = {"joblib": "joblib", "local": "submitit", "slurm": "submitit", "ray": "ray"}  # names for pip


def require_launcher(launcher: DictConfig) -> None:
    """Raise UserError for a launcher that cannot work here, before any folder is made."""
    package = PACKAGES.get(launcher.name)
    if package is not None and find_spec(package) is None:
        raise UserError(f"launcher={launcher.name}: the package is missing; pip install {package}")
    if launcher.name in ("joblib", "local"):
        divided(launcher)
    if launcher.name == "slurm" and not launcher.dry_run and which("srun") is None:
        raise UserError("launcher=slurm: there is no srun here; launcher.dry_run=true prints the script")


def divided(launcher: DictConfig) -> tuple[int, int]:
    """Concurrent runs and cores per run on this machine; two runs on one core are slower than one after the other."""
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
        KeyboardInterrupt: on a signal, once the jobs have saved and ended; only SLURM's jobs continue.
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
    """Collect outcomes in a thread, so that a signal interrupts the waiting caller and not the library with the jobs.

    Not a generator, since an exception would end it and the remaining outcomes are still needed afterwards.
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
    # By default, idle processes of a killed sweep would stay for five minutes.
    parallel = Parallel(at_once, backend="loky", idle_worker_timeout=IDLE, **how)
    yield from _named(parallel(delayed(Job.__call__)(job) for job in jobs), jobs)  # type: ignore[arg-type]


def _named(outcomes: Iterable[Ended], jobs: Sequence[Job]) -> Iterator[Ended]:
    """Yield the outcomes; if the library fails, the reason for each remaining job."""
    left = {job.name for job in jobs}
    try:
        for outcome in outcomes:
            left.discard(outcome.folder)
            yield outcome
    except Exception as error:  # if the system kills one of its processes, joblib ends the others too
        yield from (Ended(name, in_one_line(error)) for name in sorted(left))


def _ray(launcher: DictConfig, jobs: Sequence[Job]) -> Iterator[Ended]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage reports to Ray's developers
    import ray  # type: ignore[import-not-found]  # an extra

    here = launcher.address is None
    jobs = [replace(job, threads=launcher.threads, starter=os.getpid() if here else None) for job in jobs]
    machine = {"num_cpus": len(cores()), "include_dashboard": False} if here else {"address": launcher.address}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **machine)
    try:
        # One process per job, since torch counts its threads only once.
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
    except Exception as error:  # raised by the library when the process is gone
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
    """Yield the outcomes of submitit's jobs that have ended, and remove them from ``running``."""
    for submitted in [submitted for submitted in running if submitted.done()]:
        yield _outcome(submitted.result, running.pop(submitted))
    time.sleep(POLL)


def script(launcher: DictConfig, jobs: Sequence[Job]) -> str:
    """The script that submitit would pass to ``sbatch``."""
    from submitit.slurm.slurm import _make_sbatch_string  # SlurmExecutor uses it, but cannot be made without SLURM

    logs = _logs(jobs)
    command = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(logs)])
    return _make_sbatch_string(command, logs, map_count=len(jobs), **_asked_of_slurm(launcher))


def _asked_of_slurm(launcher: DictConfig) -> dict[str, Any]:
    """The values of ``launcher=slurm`` under SLURM's names."""
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
