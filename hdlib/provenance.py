"""Where a chapter's numbers come from, and how to get them again."""

from __future__ import annotations

from hdlib.display import Markdown, table
from hdlib.runs import Run


def provenance(run: Run, chapter: str) -> Markdown:
    """What ``run`` was computed with, from its manifest, and the command that repeats it.

    Args:
        run: a complete run.
        chapter: path of the chapter's notebook.

    Returns:
        A table and a papermill command that names every parameter.
    """
    manifest = run.manifest
    environment, seconds = manifest["environment"], manifest.get("seconds", {})
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    stages = {name: value for name, value in seconds.items() if " " not in name}
    minutes = ", ".join(f"{name} {value / 60:.1f} min" for name, value in stages.items())
    facts = [
        ("run", f"`{run.config.experiment}/{run.config.key}`, {len(run.files)} files"),
        ("computed on", f"{environment['device']}, {environment['threads']} threads"),
        ("with", f"Python {environment['python']}, {packages}"),
        ("source", f"`{environment['git_commit'] or 'not under version control'}`"),
        ("wall time", f"{minutes}; {sum(stages.values()) / 60:.1f} min in all"),
    ]
    parameters = " ".join(f"-p {name} {value}" for name, value in run.config.model_dump().items())
    command = f"```bash\npapermill {chapter} out.ipynb {parameters}\n```"
    check = f"```bash\nhdlib verify {run.config.experiment}/{run.config.key}\n```"
    return Markdown(
        f"{table(['of the run', ''], facts, numbers=False)}\n\n"
        f"The same chapter again, from the stored run or, where there is none, from nothing:\n\n"
        f"{command}\n\nThe stored run checked, file by file, and one of its checkpoints recomputed "
        f"from the weights:\n\n{check}"
    )
