"""Where a chapter's numbers come from, and how to get them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdlib.display import Markdown, escaped, table
from hdlib.store.config import Config
from hdlib.store.run import Run


def provenance(
    run: Run[Any] | Sequence[Run[Any]], chapter: str, *, grid: Config | None = None
) -> Markdown:
    """What runs were computed with, as their manifests record, and the command that repeats it.

    Args:
        run: complete run, or those of a grid, which have the same stages.
        chapter: path of the chapter's notebook.
        grid: parameters of the chapter; where it has one run, those of that.

    Returns:
        A table with a row for each stage, what they were computed on, and a papermill command that
        names every parameter.
    """
    runs = [run] if isinstance(run, Run) else run
    rows, places = [], {}
    for stage in runs[0].stages:
        folders = {run.stored(stage).key: run.stored(stage) for run in runs}
        files = [(stored, name) for stored in folders.values() for name in stored.names()]
        for words in sorted({_on(stored.environment_of(name)) for stored, name in files}):
            places.setdefault(words, []).append(stage.name)
        seconds = sum(stored.seconds for stored in folders.values())
        key = f"`{next(iter(folders))}`" if len(folders) == 1 else f"{len(folders)} keys"
        rows.append((stage.name, key, len(files), f"{seconds / 60:.1f} min" if seconds else ""))
    facts = table(("stage", "key", "files", "wall time"), rows)
    where = "\n".join(f"- {words}: {', '.join(stages)}" for words, stages in places.items())
    fields = (grid or runs[0].config).model_dump()
    parameters = " ".join(_parameter(name, value) for name, value in fields.items())
    command = f"```bash\npapermill {chapter} out.ipynb {parameters}\n```"
    check = f"```bash\nhdlib verify {runs[0].config.experiment}/{runs[0].key}\n```"
    return Markdown(
        f"{facts}\n\nComputed on\n\n{where}\n\n"
        f"The same chapter again, from the stored run or, where there is none, from nothing:\n\n"
        f"{command}\n\nThe stored run checked, file by file, and one of its checkpoints recomputed "
        f"from the weights:\n\n{check}"
    )


def _parameter(name: str, value: object) -> str:
    """A parameter of papermill; lists are YAML."""
    if isinstance(value, tuple):
        return f"-y '{name}: [{', '.join(map(str, value))}]'"
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
