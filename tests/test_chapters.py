"""Chapters executed from nothing with small parameters, and with impossible ones."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from hdlib.book.cells import cell_options, read_notebook
from hdlib.experiments.registry import CHAPTERS as EXPERIMENTS
from hdlib.experiments.registry import REGISTRY

CHAPTERS = Path(__file__).parent.parent / "chapters"
SMALL = {
    "mnist": {
        "dataset": "digits",
        "n_epochs": 1,
        "width": 2,
        "hessian_samples": 100,
        "sweep_checkpoints": 1,
        "draws": 1,
    },
    "grokking": {
        "p": 23,
        "width": 8,
        "n_heads": 1,
        "n_steps": 200,
        "spectra": 3,
        "eigenpairs": 30,
        "max_products": 300,
    },
    "onset": {
        "moduli": [7, 5],
        "fractions": [0.6, 0.6],
        "coefficients": 2,
        "seeds": [0, 1],
        "few_seeds": [0],
        "width": 8,
        "n_steps": 60,
        "checkpoint_every": 20,
        "eigenpairs": 8,
    },
    "fiedler": {
        "dataset": "digits",
        "n_epochs": 1,
        "width": 1,
        "hessian_samples": 50,
    },
    "depth": {
        "p": 11,
        "width": 8,
        "depths": [1, 2],
        "other_depths": [1],
        "seeds": [0],
        "n_steps": 40,
        "log_every": 20,
        "spectra": 3,
        "eigenpairs": 3,
        "exact": 1,
        "generalising_depths": [1],
        "generalising_steps": 40,
        "descent_depths": [1],
        "descent_lrs": [0.1],
        "descent_steps": 40,
    },
    "emergence": {
        "p": 23,
        "concepts": ["parity of the sum", "x equals y"],
        "widths": [4, 8],
        "seeds": [0, 1],
        "followed": 8,
        "n_steps": 40,
        "probed": 3,
        "spectra": 2,
        "probe_rows": 250,
        "strengths": [0.1],
    },
    "planted": {
        "widths": [6, 6],
        "alphas": [0.0, 1.0],
        "seeds": [0],
        "samples": 200,
        "n_steps": 200,
        "top": 30,
        "rotations": 20,
    },
    "least-action": {
        "p": 7,
        "width": 8,
        "n_heads": 2,
        "matched_width": 6,
        "seeds": [0],
        "more_seeds": [1],
        "n_steps": 40,
        "routed_steps": 40,
        "dosed_steps": 40,
        "both_steps": 40,
        "penalised_steps": 40,
        "log_every": 20,
        "doses": [0.1],
        "fractions": [0.4],
        "sensitivities": 2,
        "traces": 2,
        "spectra": 2,
        "eigenpairs": 3,
        "sweep_p": 7,
        "sweep_width": 8,
        "sweep_lrs": [0.001],
        "sweep_decays": [0.5, 1.0],
        "sweep_steps": 40,
        "validation_steps": 40,
        "reported_p": 7,
        "reported_steps": 40,
    },
}

pytestmark = pytest.mark.filterwarnings("default")


def execute(chapter: str, folder: Path, **parameters: object) -> nbformat.NotebookNode:
    return papermill.execute_notebook(
        CHAPTERS / f"{chapter}.ipynb",
        folder / "out.ipynb",
        parameters=parameters,
        cwd=folder,
        progress_bar=False,
    )


def test_every_experiment_has_a_chapter_and_small_parameters():
    assert set(SMALL) == {each.name for each in EXPERIMENTS}
    assert set(SMALL) <= {path.stem for path in CHAPTERS.glob("*.ipynb")}


@pytest.mark.parametrize("chapter", SMALL)
def test_parameters_of_a_chapter_are_those_of_its_config(chapter: str):
    cells = read_notebook(CHAPTERS / f"{chapter}.ipynb").cells
    (cell,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    parameters = {
        ast.unparse(line.target): ast.literal_eval(line.value)
        for line in ast.parse(cell_options(cell.source)[1]).body
        if isinstance(line, ast.AnnAssign) and line.value is not None
    }
    found = REGISTRY[chapter]
    assert parameters == (found.grid or found.config)().model_dump()


@pytest.mark.parametrize("chapter", SMALL)
def test_chapter_from_nothing(chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path / "home"))

    done = execute(chapter, tmp_path, **SMALL[chapter])

    grid = REGISTRY[chapter].grid
    runs = len(grid(**SMALL[chapter]).configs) if grid else 1
    assert len(list((tmp_path / "home").glob(f"runs/{chapter}/runs/*.json"))) == runs
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    figures = [cell for cell in code if "#| label: fig-" in cell.source]
    assert figures
    for cell in figures:
        shown = {kind for output in cell.outputs for kind in output.get("data", {})}
        assert shown & {"image/png", "text/markdown"}, cell.source


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"n_epoch": 3}, "n_epoch=3: unknown; mnist has dataset, n_epochs"),
        ({"n_epochs": 0}, "n_epochs=0: Input should be greater than or equal to 1"),
        ({"lr": "fast"}, "lr='fast': Input should be a valid number"),
        ({"dataset": "letters"}, "dataset='letters': Input should be 'mnist' or 'digits'"),
        ({"hessian_samples": 60_001}, "hessian_samples=60001: at most 60000 for mnist"),
    ],
)
def test_impossible_parameter_fails_with_a_sentence(
    parameters: dict[str, object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path / "home"))

    with pytest.raises(PapermillExecutionError) as failure:
        execute("mnist", tmp_path, **parameters)

    assert sentence in str(failure.value)
    assert not (tmp_path / "home").exists()
