"""What the package imports, and what it calls things."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import hdlib

ROOT = Path(hdlib.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
BASE = {"atomic", "device", "display", "loss", "saving", "store"}
"""What every part may import: the store, and small things. It imports none of the others."""
ORDER = [
    "tasks",
    "models",
    "training",
    "curvature",
    "clustering",
    "trajectory",
    "checkpoints",
    "measures",
    "figures",
    "__init__",
    "experiments",
    "book",
    "cli",
]
"""No module imports what is to its right."""
HEAVY = ("sklearn", "matplotlib", "plotly", "pandas", "pyarrow", "scipy.stats")


def place(part: str) -> int:
    return -1 if part in BASE else ORDER.index(part)


def own_part(path: Path) -> str:
    """Part of the package that a module belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Parts of the package that a module imports, anywhere in it; "__init__" for the package."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [f"{node.module}.{name.name}" for name in node.names]
    parts = [name.split(".") for name in names]
    return {[*part, "__init__"][1] for part in parts if part[0] == "hdlib"}


def test_every_part_has_a_place():
    assert {own_part(path) for path in MODULES} == BASE | set(ORDER)


def test_modules_import_only_from_their_left():
    wrong = []
    for path in MODULES:
        own = place(own_part(path))
        wrong += [f"{path} imports {part}" for part in imported(path) if place(part) > own]
    assert not wrong


def test_no_two_classes_of_the_same_name():
    trees = [ast.parse(path.read_text()) for path in MODULES]
    found = [
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    assert not [name for name, count in Counter(found).items() if count > 1]


def test_import_is_light():
    """No library is loaded that only some need, and beside PyTorch little is."""
    script = (
        "import time; start = time.perf_counter(); import torch; middle = time.perf_counter()\n"
        "import hdlib, sys; end = time.perf_counter()\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules), sep=',')\n"
        "print((end - middle) / (middle - start))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, share = run.stdout.split("\n")[:2]
    assert not loaded
    assert float(share) < 1
