"""Where a chapter's numbers come from, and how to get them again."""

from __future__ import annotations

import json
from typing import Any

from hdlib.display import Markdown, escaped, table
from hdlib.store.config import Config
from hdlib.store.run import Run


def provenance(run: Run[Any], chapter: str, *, parameters: Config | None = None) -> Markdown:
    """What ``run`` was computed with, as its manifests record, and the command that repeats it.

    Args:
        run: complete run, one of many where the chapter has a grid of them.
        chapter: path of the chapter's notebook.
        parameters: those of the chapter, where they are not the run's config.

    Returns:
        A table with a row for each stage, what they were computed on, and a papermill command that
        names every parameter.
    """
    rows, places = [], {}
    for stage in run.stages:
        stored = run.stored(stage)
        names = stored.names()
        for words in sorted({_on(stored.environment_of(name)) for name in names}):
            places.setdefault(words, []).append(stage.name)
        minutes = f"{stored.seconds / 60:.1f} min" if stored.seconds else ""
        rows.append((stage.name, f"`{stored.key}`", len(names), minutes))
    facts = table(("stage", "key", "files", "wall time"), rows)
    where = "\n".join(f"- {words}: {', '.join(stages)}" for words, stages in places.items())
    given = " ".join(_option(*item) for item in (parameters or run.config).model_dump().items())
    command = f"```bash\npapermill {chapter} out.ipynb {given}\n```"
    check = f"```bash\nhdlib verify {run.config.experiment}/{run.key}\n```"
    return Markdown(
        f"{facts}\n\nComputed on\n\n{where}\n\n"
        f"The same chapter again, from the stored run or, where there is none, from nothing:\n\n"
        f"{command}\n\nThe stored run checked, file by file, and one of its checkpoints recomputed "
        f"from the weights:\n\n{check}"
    )


def _option(name: str, value: Any) -> str:
    """How papermill is given a parameter; several values as YAML."""
    if isinstance(value, tuple):
        return f"-y '{json.dumps({name: value}, ensure_ascii=False)}'"
    return f"-p {name} {value}"


def _on(environment: Any) -> str:
    """An environment in words."""
    if environment is None:
        return "not known any more"
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    commit = environment["git_commit"]
    words = (
        f"{environment['device']}, threads: {environment['threads']}; Python "
        f"{environment['python']}, {packages}; source "
        f"{'not under version control' if commit is None else commit[:12]}"
    )
    return escaped(words)
