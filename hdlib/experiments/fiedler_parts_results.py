"""What the Fiedler chapter shows of the Hessian's two parts, and of mixtures of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.fiedler import mixtures_name, parts_name, stored_linkage
from hdlib.experiments.fiedler_parts import RATIOS
from hdlib.experiments.fiedler_results import FiedlerResults, index

Array = NDArray[np.float64]
Curve = tuple[Array, Array]

OWN = "the network’s own"
PARTS = {"G": "gauss_newton", "R": "residual"}


def part_agreement(results: FiedlerResults) -> dict[str, dict[str, Array]]:
    """Agreement of the modules of H, G and R with units and classes.

    Returns:
        "H", "G", "R" → name of the labels → (C,) adjusted Rand index at the C checkpoints of which
        the parts are stored, `FiedlerConfig.parts`.
    """
    steps = results.run.config.parts
    stored = [results.run.arrays(parts_name(step)) for step in steps]
    at = np.searchsorted(results.steps, steps)
    cuts = {"H": [results.modules[i] for i in at]}
    cuts |= {part: [arrays[name] for arrays in stored] for part, name in PARTS.items()}
    return {part: results.with_labels(found, results.compared) for part, found in cuts.items()}


def part_linkages(results: FiedlerResults) -> dict[str, Array]:
    """Linkages of the trees of H, G and R, each at the first and then at the last checkpoint."""
    ends = {}
    for position in (0, len(results.steps) - 1):
        step = int(results.steps[position])
        arrays = results.run.arrays(parts_name(step))
        ends[f"step {step:,}"] = {
            "H": results.trees[position].linkage,
            "Gauss–Newton": stored_linkage(arrays, f"{PARTS['G']}_"),
            "residual": stored_linkage(arrays, f"{PARTS['R']}_"),
        }
    titles = ("H", "Gauss–Newton", "residual")
    return {f"{end}: {title}": ends[end][title] for title in titles for end in ends}


def totals(results: FiedlerResults) -> dict[str, Array]:
    """Sum of all couplings of each part, Σ|G| and Σ|R| off the diagonal, (C,) at the same."""
    stored = [results.run.arrays(parts_name(step)) for step in results.run.config.parts]
    return {
        part: np.array([float(arrays[f"{name}_total"]) for arrays in stored])
        for part, name in PARTS.items()
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
    mixed = results.run.arrays(mixtures_name(step))["mixed"]
    return results.with_labels(list(mixed), results.compared)


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
        steps = results.run.config.checkpoints
        for step in (steps[0], steps[-1]):
            for name, values in mixture_agreement(results, step).items():
                panels[name][f"{seed}, step {step:,}, mixed"] = (np.array(RATIOS), values)
        for name, values in part_agreement(results)["H"].items():
            panels[name][own] = (ratios(results), values)
    return panels


def parts_table(runs: Sequence[FiedlerResults]) -> Markdown:
    """The mixture, and the agreement of the modules of H and of each part, by checkpoint."""
    columns = [(part, name) for name in runs[0].compared for part in ("H", *PARTS)]
    sums = ("Σ|G|", "Σ|R|", "Σ|R| / Σ|G|")
    header = ("seed", "step", *sums, *(f"{name}, {part}" for part, name in columns))
    rows = []
    for results in runs:
        found, size, share = part_agreement(results), totals(results), ratios(results)
        for i, step in enumerate(results.run.config.parts):
            sizes = (f"{size[part][i]:,.0f}" for part in PARTS)
            cells = (index(found[part][name][i]) for part, name in columns)
            seed = results.run.config.seed
            rows.append((seed, f"{step:,}", *sizes, f"{share[i]:.3f}", *cells))
    return table(header, rows)


def shuffled_table(runs: Sequence[FiedlerResults]) -> Markdown:
    """Before and after training, the modules of H beside those for shuffled labels, G + R′."""
    header = ("seed", "step", "labels", "Σ|R| / Σ|G|", *runs[0].compared)
    rows = []
    for results in runs:
        config, own = results.run.config, part_agreement(results)["H"]
        steps = config.checkpoints
        for step in (steps[0], steps[-1]):
            at = config.parts.index(step)
            arrays = results.run.arrays(mixtures_name(step))
            curved = results.run.arrays(parts_name(step))["gauss_newton_total"]
            others = results.with_labels([arrays["shuffled"]], results.compared)
            where = (config.seed, f"{step:,}")
            cells = (index(values[at]) for values in own.values())
            rows.append((*where, "true", f"{ratios(results)[at]:.3f}", *cells))
            cells = (index(values[0]) for values in others.values())
            ratio = float(arrays["shuffled_total"] / curved)
            rows.append((*where, "shuffled", f"{ratio:.3f}", *cells))
    return table(header, rows)
