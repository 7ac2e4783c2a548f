"""Where the runs of a sweep go: cores of their own, SLURM's script, and sweeps that are killed and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from repronet import runs
from repronet.config.compose import typed_group
from repronet.errors import UserError
from repronet.session import cores
from repronet.session.jobs import STOP, Job
from repronet.session.launchers import divided, script

TINY = ("data.per_class=20", "trainer.max_epochs=2", "trainer.board=none", "layers=torch")
EIGHT = ("train", "-m", "seed=range(8)", *TINY)


@pytest.fixture
def two_cores(tmp_path, monkeypatch):
    """A machine with two cores, which nobody else counts; the list is what this process was bound to."""
    bound: list[list[int]] = []
    monkeypatch.setattr(cores, "cores", lambda: [4, 7])
    monkeypatch.setattr(cores.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, mine: bound.append(list(mine)), raising=False)
    return bound


def test_two_jobs_have_different_cores_and_a_third_waits(two_cores):
    third = []

    def wait():
        with cores.claimed(1) as mine:
            third.extend(mine)

    with cores.claimed(1) as first:
        with cores.claimed(1) as second:
            assert (first, second) == ([4], [7])
            assert two_cores == [[4], [7]]
            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(2 * cores.WAIT)
            assert third == []
        thread.join(10)
    assert third == [7]


def test_more_cores_than_there_are_is_all_of_them_and_all_are_given_back(two_cores):
    with cores.claimed(5) as mine:
        assert mine == [4, 7]
    assert two_cores == [[4, 7], [4, 7]]
    with cores.claimed(2) as mine:
        assert mine == [4, 7]


def launcher(name, **values):
    return OmegaConf.create(typed_group("launcher", {"name": name, **values}))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, (2, 1)),
        ({"n_jobs": 1}, (1, 2)),
        ({"n_jobs": 2}, (2, 1)),
        ({"threads": 2}, (1, 2)),
        ({"n_jobs": 3}, "launcher.n_jobs=3: there are 2 cores for them; launcher.n_jobs=2 is the most"),
        ({"n_jobs": 2, "threads": 2}, "launcher.n_jobs=2 with launcher.threads=2: there are 2 cores for them"),
        ({"threads": 3}, "launcher.threads=2 is the most"),
    ],
)
def test_cores_are_divided_and_never_given_twice(monkeypatch, asked, found):
    monkeypatch.setattr("repronet.session.launchers.cores", lambda: [0, 1])
    if isinstance(found, tuple):
        assert divided(launcher("joblib", **asked)) == found
    else:
        with pytest.raises(UserError, match=found.replace(".", r"\.")):
            divided(launcher("joblib", **asked))


def test_slurm_s_script_is_submitit_s(tmp_path):
    pytest.importorskip("submitit", reason="submitit writes the script")
    asked = launcher("slurm", partition="gpu", time=90, threads=4, gpus=1, mem_gb=7.5, n_jobs=3)
    text = script(asked, [Job(tmp_path, name, 1) for name in ("1_seed=0", "2_seed=1")])
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in ("array=0-1%2", "partition=gpu", "time=90", "cpus-per-task=4", "gpus-per-node=1", "mem=7680M"):
        assert f"#SBATCH --{line}" in lines
    assert "submitit.core._submit" in lines[-1] or "submitit.core._submit" in text


def test_a_dry_run_submits_nothing(repronet, monkeypatch):
    pytest.importorskip("submitit", reason="submitit writes the script")
    monkeypatch.setenv("PATH", "")
    outcome = repronet("train", "-m", "seed=0,1", "launcher=slurm", "launcher.dry_run=true", "launcher.account=lab")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("#!/bin/bash")
    assert "#SBATCH --account=lab" in outcome.out


@pytest.mark.parametrize(("name", "package"), [("joblib", "joblib"), ("local", "submitit"), ("ray", "ray")])
def test_a_missing_package_is_one_line(repronet, monkeypatch, tmp_path, name, package):
    monkeypatch.setattr("repronet.session.launchers.find_spec", lambda _: None)
    outcome = repronet("train", "-m", "seed=0,1", f"launcher={name}")
    assert outcome.code == 2
    assert outcome.err == f"repronet: launcher={name}: the package is missing; pip install {package}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_not_wanted_any_more_does_not_begin(tmp_path, monkeypatch):
    (tmp_path / STOP).touch()
    monkeypatch.setattr("repronet.session.jobs.LOOK", 0.01)
    monkeypatch.setattr("repronet.session.jobs.claimed", lambda number: time.sleep(30))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    began = time.monotonic()
    assert Job(tmp_path, "1_seed=0", 1)().reason == "interrupted"
    assert time.monotonic() - began < 10


SBATCH = """#!/bin/sh
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
for task in $(seq 0 "$last"); do
    SLURM_JOB_ID=$((101 + task)) SLURM_ARRAY_JOB_ID=100 SLURM_ARRAY_TASK_ID=$task SLURM_PROCID=0 SLURM_LOCALID=0 \\
    SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 SLURM_NTASKS=1 SLURM_JOB_NODELIST=here bash "$1" > /dev/null 2>&1 &
done
echo Submitted batch job 100
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do case "$1" in --output|--error) shift;; esac; shift; done
exec "$@"
"""


@pytest.mark.slow
def test_a_job_array_runs_where_sbatch_starts_it(repronet, tmp_path, monkeypatch):
    """On no cluster: sbatch and srun are scripts that start the tasks of submitit's array here."""
    pytest.importorskip("submitit", reason="submitit submits")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": "#!/bin/sh\n", "scontrol": "#!/bin/sh\n"}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    outcome = repronet("train", "-m", "seed=0,1", *TINY, "launcher=slurm", "launcher.partition=none")
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    require_one_sweep(outcome, sweep, 2)


def sweep_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    return folder


def stop_after(count: int, number: signal.Signals, tmp_path: Path, *words: str) -> str:
    """Start a sweep, send it a signal once so many of its runs have ended; what it said."""
    command = [sys.executable, "-m", "repronet", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as begun:
        while begun.poll() is None and len(list(tmp_path.glob(f"runs/sweeps/*/*/{runs.RESULT}"))) < count:
            time.sleep(0.2)
        assert begun.poll() is None
        begun.send_signal(number)
        _, said = begun.communicate()
    for folder in sweep_of(tmp_path).glob("*_*"):  # those that worked for it notice that it is gone
        while folder.is_dir() and runs.busy(folder):
            time.sleep(0.2)
    return said


def require_one_sweep(outcome, sweep: Path, count: int) -> None:
    assert (outcome.code, outcome.err) == (0, "")
    assert len(list(sweep.glob(f"*/{runs.RESULT}"))) == count
    table = outcome.out[outcome.out.index("all jobs") :]
    assert all("test error" in file.read_text() for file in sweep.glob("output/*_*.txt"))
    assert sum(line.startswith(("seed=", "optimizer.lr=")) for line in table.splitlines()) >= count


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_joblib_goes_on_after_a_kill(repronet, tmp_path, number):
    # Runs of seconds: those of TINY last 0.2 s in a warm process, and all eight would end before the signal comes.
    said = stop_after(3, number, tmp_path, *EIGHT, "trainer.max_epochs=20", "launcher=joblib")
    sweep = sweep_of(tmp_path)
    if number == signal.SIGTERM:
        assert said.endswith(f"resume with: repronet train resume_sweep={sweep.relative_to(tmp_path)}\n")
    done = {path: path.stat().st_mtime_ns for path in sweep.glob(f"*/{runs.RESULT}")}
    assert 3 <= len(done) < 8
    require_one_sweep(repronet("train", f"resume_sweep={sweep}"), sweep, 8)
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "package"), [("local", "submitit"), ("ray", "ray")])
def test_others_go_on_after_a_kill(repronet, tmp_path, name, package):
    pytest.importorskip(package, reason=f"{package} is what is tried")
    stop_after(2, signal.SIGKILL, tmp_path, *EIGHT, f"launcher={name}")
    sweep = sweep_of(tmp_path)
    require_one_sweep(repronet("train", f"resume_sweep={sweep}"), sweep, 8)


@pytest.mark.slow
def test_a_search_goes_on_after_a_kill(repronet, tmp_path):
    optuna = pytest.importorskip("optuna", reason="Optuna searches")
    space = ("search=optuna", "search.trials=8", "search.seed=1", "optimizer.lr=tag(log, interval(1e-3,1))")
    stop_after(3, signal.SIGKILL, tmp_path, "train", "-m", *space, *TINY, "launcher=joblib")
    sweep = sweep_of(tmp_path)
    require_one_sweep(repronet("train", f"resume_sweep={sweep}"), sweep, 8)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(sweep / "study.journal")))
    trials = optuna.load_study(study_name=sweep.name, storage=storage).trials
    assert [trial.number for trial in trials if trial.state.is_finished()] == list(range(8))
    assert len({trial.params["optimizer.lr"] for trial in trials}) == 8
    for trial in trials:
        (folder,) = sweep.glob(f"{trial.number + 1}_*")
        result = runs.read_result(folder)
        assert trial.value == result["best_val_error"] or trial.state == optuna.trial.TrialState.PRUNED
