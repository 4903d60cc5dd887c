"""The site as Quarto makes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from hdlib.book.errors import BookError
from hdlib.book.leftovers import site_leftovers

COLOUR = re.compile(r"\x1b\[[0-9;]*m|\r")
RENDERING = re.compile(r"\[ *\d+/\d+\] (\S+)")
UNRESOLVED = re.compile(r"unable to resolve|citation \S+ not found|:::", re.IGNORECASE)


def render(quarto: str, root: Path, site: Path) -> None:
    """Let Quarto render the book, show what it says meanwhile, and look at what came out.

    Args:
        quarto: path of the program.
        root: the book's folder.
        site: the folder that it writes to.

    Raises:
        BookError: if it fails, or a page has a reference, a citation or a link that leads to
            nothing, or Quarto's own marks in its text; it says on which page.
    """
    # The pre-render step must find the Python that has hdlib, activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    faults, page = [], ""
    with subprocess.Popen(
        [quarto, "render"],
        cwd=root,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            text = COLOUR.sub("", line).strip()
            if rendering := RENDERING.search(text):
                page = rendering[1]
            if UNRESOLVED.search(text):
                faults.append(f"rendering {page}: {text}")
    if process.returncode:
        raise BookError(f"quarto render failed with exit status {process.returncode}")
    faults += site_leftovers(site)
    if faults:
        raise BookError("pages are not as they should be:\n  " + "\n  ".join(faults))
