"""What came out of the Hessian's two parts, and of mixtures of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from hdlib.experiments.fiedler.measures import RATIOS
from hdlib.experiments.fiedler.recipe import MIXTURES, PARTS
from hdlib.experiments.fiedler.results import FiedlerResults
from hdlib.experiments.fiedler.trees import as_linkage

Array = NDArray[np.float64]
Curve = tuple[Array, Array]

OWN = "the network’s own"
NAMES = {"G": "gauss_newton", "R": "residual"}


def part_agreement(results: FiedlerResults) -> dict[str, dict[str, Array]]:
    """Agreement of the modules of H, G and R with units and classes.

    Returns:
        "H", "G", "R" → name of the labels → (C,) adjusted Rand index at the C checkpoints of which
        the parts are stored, `FiedlerConfig.parts`.
    """
    steps = results.run.config.parts
    stored = [results.run.arrays(PARTS, step) for step in steps]
    at = np.searchsorted(results.steps, steps)
    cuts = {"H": [results.modules[i] for i in at]}
    cuts |= {part: [arrays[name] for arrays in stored] for part, name in NAMES.items()}
    return {part: results.with_labels(found, results.compared) for part, found in cuts.items()}


def likeness(results: FiedlerResults) -> dict[str, Array]:
    """Adjusted Rand index of the modules of H and those of G and of R, (2,): first and last."""
    ends = results.run.config.ends
    stored = {step: results.run.arrays(PARTS, step) for step in ends}
    return {
        part: np.array(
            [adjusted_rand_score(stored[t][name], results.modules[results.at(t)]) for t in ends]
        )
        for part, name in NAMES.items()
    }


def part_linkages(results: FiedlerResults) -> dict[str, Array]:
    """Linkages of the trees of H, G and R, each at the first and then at the last checkpoint."""
    ends = {}
    for step in results.run.config.ends:
        arrays = results.run.arrays(PARTS, step)
        ends[f"step {step:,}"] = {
            "H": results.trees[results.at(step)].linkage,
            "Gauss–Newton": as_linkage(arrays, f"{NAMES['G']}_"),
            "residual": as_linkage(arrays, f"{NAMES['R']}_"),
        }
    titles = ("H", "Gauss–Newton", "residual")
    return {f"{end}: {title}": ends[end][title] for title in titles for end in ends}


def totals(results: FiedlerResults) -> dict[str, Array]:
    """Sum of all couplings of each part, Σ|G| and Σ|R| off the diagonal, (C,) at the same."""
    stored = [results.run.arrays(PARTS, step) for step in results.run.config.parts]
    return {
        part: np.array([float(arrays[f"{name}_total"]) for arrays in stored])
        for part, name in NAMES.items()
    }


def ratios(results: FiedlerResults) -> Array:
    """Σ|R| / Σ|G| off the diagonal, (C,), at the same checkpoints."""
    found = totals(results)
    return found["R"] / found["G"]


def mixture_agreement(results: FiedlerResults, step: int) -> dict[str, Array]:
    """Agreement with units and classes of the modules of G + t R at each of `RATIOS`.

    Args:
        results: of a run.
        step: its first or its last checkpoint.
    """
    mixed = results.run.arrays(MIXTURES, step)["mixed"]
    return results.with_labels(list(mixed), results.compared)


def shuffled_agreement(results: FiedlerResults) -> dict[str, Array]:
    """Agreement with units and classes of the modules of G + R′, labels shuffled, at both ends."""
    stored = [results.run.arrays(MIXTURES, step) for step in results.run.config.ends]
    return results.with_labels([arrays["shuffled"] for arrays in stored], results.compared)


def shuffled_totals(results: FiedlerResults) -> Array:
    """Σ|R′| off the diagonal, the labels shuffled, (2,) at the first and the last checkpoint."""
    stored = [results.run.arrays(MIXTURES, step) for step in results.run.config.ends]
    return np.array([float(arrays["shuffled_total"]) for arrays in stored])


def own_mixtures(runs: Sequence[FiedlerResults]) -> list[str]:
    """Names of the curves of `mixture_curves` that are of real Hessians."""
    return [f"seed {results.run.config.seed}, {OWN}" for results in runs]


def mixture_curves(runs: Sequence[FiedlerResults]) -> dict[str, dict[str, Curve]]:
    """For each set of labels, the agreement against Σ|R| / Σ|G|, for `fiedler_figures.mixtures`.

    One curve for the mixtures at the first and the last checkpoint of each run, and one for the
    Hessians that the checkpoints of the run really have.
    """
    panels: dict[str, dict[str, Curve]] = {name: {} for name in runs[0].compared}
    for results in runs:
        seed, (own,) = f"seed {results.run.config.seed}", own_mixtures([results])
        for step in results.run.config.ends:
            for name, values in mixture_agreement(results, step).items():
                panels[name][f"{seed}, step {step:,}, mixed"] = (np.array(RATIOS), values)
        for name, values in part_agreement(results)["H"].items():
            panels[name][own] = (ratios(results), values)
    return panels
