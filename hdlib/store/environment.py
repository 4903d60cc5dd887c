"""On what a run was computed."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

PACKAGES = ("hdlib", "torch", "numpy", "scipy")


def environment(device: torch.device) -> dict[str, Any]:
    """Package versions, device, threads and git commit, for a manifest."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "platform": platform.system(),
        "device": f"{device.type} ({name})",
        "cpu_cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "git_commit": _git_commit(),
    }


@cache
def _git_commit() -> str | None:
    """The commit of the source tree, with ``-dirty`` where it was changed; None outside one."""
    tree = Path(__file__).parent.parent.parent
    if not (tree / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return described.stdout.strip() or None
