"""Which of several computations of the same numbers is the fastest here, measured once and remembered.

An operator that can be computed in several ways gives `fastest` a name, a signature (everything that the time depends
on: shapes, strides, settings) and its candidates. The first call with a signature times them on the very tensors at
hand; later calls find the winner in memory, and later processes in a file of the user's cache. Device, number of
threads, type of processor and version of torch belong to every entry, since a winner here may lose elsewhere.

The algorithms agree to rounding, not to the last bit. Who needs the same bits on another machine names an algorithm
instead of "auto", and nothing is measured.
"""

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import torch
from torch._C import _functorch  # type: ignore[attr-defined]

log = logging.getLogger(__name__)

Candidates = Mapping[str, Callable[[], object]]
Key = tuple[object, ...]


class Measured(TypedDict):
    """What is known of one signature: the winner, and the least seconds that every candidate took."""

    fastest: str
    seconds: dict[str, float]


# A challenger must be faster than the first candidate by this much: a tie would be decided by noise, another way on
# another day.
_MARGIN = 0.9
_ROUNDS = 9
_LOADING_SECONDS = 0.1
_PATIENCE_SECONDS = 0.5  # no further rounds after this; a slow operator needs fewer, since its noise is smaller

_SILENT_SECONDS = 1.0  # a wait that needs no word

_winners: dict[Key, str] = {}
_remembered: dict[Path, dict[str, Measured]] = {}  # the entries of each file that has been read
_diary: list[Path] = []  # the file of the run that is going on, see recorded_in
_spent: list[float] = []  # seconds of each measurement of this process


def can_measure() -> bool:
    """Whether times mean anything now: not while torch.compile or torch.jit traces, or torch.func transforms."""
    is_tracing = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    return not is_tracing and _functorch.peek_interpreter_stack() is None


def fastest(
    operation: str, signature: Key, device: torch.device, candidates: Candidates | Callable[[], Candidates]
) -> str:
    """Name of the fastest candidate for this signature; where nothing can be measured, the first one's.

    Args:
        operation: what is computed, "conv2d forward" for instance.
        signature: plain values that the time depends on.
        device: where it is computed.
        candidates: what computes it, by name, or what makes them, since they are seldom needed; the first is the one to
            keep unless another is clearly faster. An operation always has the same names.
    """
    if not can_measure():
        return next(iter(candidates() if callable(candidates) else candidates))
    key = (operation, signature, device, torch.get_num_threads())
    winner = _winners.get(key)
    if winner is None:
        made = candidates() if callable(candidates) else candidates
        winner = _winners[key] = _look_up(repr(key), device, made)
    return winner


def _look_up(entry: str, device: torch.device, candidates: Candidates) -> str:
    """The winner that a file remembers, else the winner of a new measurement, which the files then remember."""
    files = [*_diary, cache_file(device)]
    known = (_entries(file).get(entry) for file in files)
    found = next((measured for measured in known if measured and measured["seconds"].keys() == candidates.keys()), None)
    if found is None:
        alone = len(candidates) == 1  # nothing to compare
        seconds = dict.fromkeys(candidates, 0.0) if alone else _measure_and_say(candidates, device)
        found = Measured(fastest=winner_of(seconds), seconds=seconds)
    for file in files:
        if entry not in _entries(file) or _entries(file)[entry]["seconds"].keys() != candidates.keys():
            _entries(file)[entry] = found
            _write(file, entry, found)
    return found["fastest"]


def _measure_and_say(candidates: Candidates, device: torch.device) -> dict[str, float]:
    """The measurement; whoever waits for a second or more is told why, once."""
    begun = time.perf_counter()
    seconds = measure(candidates, device)
    before = sum(_spent)
    _spent.append(time.perf_counter() - begun)
    if before < _SILENT_SECONDS <= sum(_spent):
        log.info("measuring which algorithm is the fastest for each layer, once for this machine (algorithm=auto)")
    return seconds


def _entries(file: Path) -> dict[str, Measured]:
    """What the file held when it was first looked at, and what was added since."""
    if file not in _remembered:
        _remembered[file] = _read(file)
    return _remembered[file]


@contextmanager
def recorded_in(file: Path) -> Iterator[None]:
    """Meanwhile, choices that stand in `file` are taken before all others, and every choice made is written there.

    A training that goes on, or is tested again, then computes as it did before, whatever became of the user's cache.
    """
    forget()
    _diary.append(file)
    try:
        yield
    finally:
        _diary.remove(file)
        forget()


def winner_of(seconds: Mapping[str, float]) -> str:
    """The fastest name, or the first one if none beats it by a clear margin."""
    first, best = next(iter(seconds)), min(seconds, key=lambda name: seconds[name])
    return best if seconds[best] < _MARGIN * seconds[first] else first


def measure(candidates: Candidates, device: torch.device) -> dict[str, float]:
    """The least seconds that every candidate took, run in turn so that a drifting machine slows them alike.

    The least, not the median: another process can only make a call slower, and while one does, the median tells more
    of it than of the candidate.
    """
    with torch.no_grad():
        first = {name: _time(run, device) for name, run in candidates.items()}  # allocates, loads kernels
        # Who is far behind need not be timed to the percent. Loading a kernel may take _LOADING_SECONDS.
        limit = max(10 * min(first.values()), _LOADING_SECONDS)
        second = {name: _time(run, device) for name, run in candidates.items() if first[name] <= limit}
        times = {name: [second[name]] for name in second if second[name] <= 3 * min(second.values())}
        begun = time.perf_counter()
        for _ in range(_ROUNDS):
            for name, found in times.items():
                found.append(_time(candidates[name], device))
            if time.perf_counter() - begun > _PATIENCE_SECONDS:
                break
    return {**first, **second, **{name: min(found) for name, found in times.items()}}


def _time(run: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    begun = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def forget() -> None:
    """Drop what this process remembers; the file stays."""
    _winners.clear()
    _remembered.clear()


def cache_file(device: torch.device) -> Path:
    """Where winners are kept: in the folder that REPRONET_CACHE names, else in the user's cache."""
    from platformdirs import user_cache_path

    folder = os.environ.get("REPRONET_CACHE")
    on_cpu = device.type == "cpu"
    chip = torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name(device)
    words = f"{platform.machine()}-{os.cpu_count()}-{chip}-torch{torch.__version__}"
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in words)
    return (Path(folder) if folder else user_cache_path("repronet")) / f"algorithms-{name}.json"


def _read(file: Path) -> dict[str, Measured]:
    """The entries of the file; none if there is no file or it is damaged, since they can be measured again."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in entries.items() if _is_measured(value)} if isinstance(entries, dict) else {}


def _is_measured(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("seconds"), dict):
        return False
    return value.get("fastest") in value["seconds"]


def _write(file: Path, entry: str, found: Measured) -> None:
    """Add one entry to the file, whole or not at all. A cache that cannot be written is done without."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        entries = {**_read(file), entry: found}
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
            json.dump(entries, new, indent=1)
        Path(new.name).replace(file)  # another process sees the old entries or the new ones, never half a file
    except OSError:
        return
