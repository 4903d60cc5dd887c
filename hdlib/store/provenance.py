"""Where a chapter's numbers come from, and how to get them again."""

from __future__ import annotations

from typing import Any

from hdlib.display import Markdown, escaped, table
from hdlib.store.run import Run


def provenance(run: Run[Any], chapter: str) -> Markdown:
    """What ``run`` was computed with, as its manifests record, and the command that repeats it.

    Args:
        run: complete run.
        chapter: path of the chapter's notebook.

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
    parameters = " ".join(f"-p {name} {value}" for name, value in run.config.model_dump().items())
    command = f"```bash\npapermill {chapter} out.ipynb {parameters}\n```"
    check = f"```bash\nhdlib verify {run.config.experiment}/{run.key}\n```"
    return Markdown(
        f"{facts}\n\nComputed on\n\n{where}\n\n"
        f"The same chapter again, from the stored run or, where there is none, from nothing:\n\n"
        f"{command}\n\nThe stored run checked, file by file, and one of its checkpoints recomputed "
        f"from the weights:\n\n{check}"
    )


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
