"""The conditions besides its config that a result depends on: commit, versions, hardware."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import torch

import repronet


def environment() -> dict[str, Any]:
    """Commit, versions and hardware, as plain values."""
    packages = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy")
    return {
        "git_commit": git_commit(),
        "versions": {
            "repronet": repronet.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
        "hardware": hardware(),
    }


def git_commit() -> str | None:
    """The commit of the running repronet, with ``-dirty`` if files differ from it.

    None if it is unknown, as when pip installed from a folder. When pip installed from a repository, it is known.

    Git is asked in the package's own folder, not the current one: a run started inside the user's own repository must
    not record that repository's commit.
    """
    source = Path(repronet.__file__).resolve().parents[2]
    if not (source / ".git").exists():
        return _installed_commit()
    try:
        found = subprocess.run(
            ["git", "-C", str(source), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _installed_commit() -> str | None:
    """The commit that pip recorded when it installed from a repository, in PEP 610's ``direct_url.json``."""
    try:
        said = json.loads(distribution("repronet").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    return said.get("vcs_info", {}).get("commit_id")


def hardware() -> dict[str, Any]:
    """Processor, threads and accelerator."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
