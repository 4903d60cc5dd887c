"""The chapter's tables, of results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdlib.display import Markdown, table
from hdlib.experiments.fiedler.parts import (
    NAMES,
    part_agreement,
    ratios,
    shuffled_agreement,
    shuffled_totals,
    totals,
)
from hdlib.experiments.fiedler.planted import (
    HALVED,
    KINDS,
    NOISES,
    OTHER,
    TREE,
    scores,
    standard_error,
)
from hdlib.experiments.fiedler.results import FiedlerResults
from hdlib.experiments.lenet import TRAINING

LARGEST = 10
"""Modules described one by one."""
SPLITS = 8
"""First splits of which the conductance is shown."""


def summary_table(results: FiedlerResults) -> Markdown:
    """The chosen checkpoints at a glance."""
    history = TRAINING.history(results.run)
    accuracy = dict(zip(history["step"].tolist(), history["test_accuracy"].tolist(), strict=True))
    rows = [
        (
            f"{results.steps[i]:,}",
            f"{accuracy[int(results.steps[i])]:.2%}",
            f"{results.connectivities['network'][i]:.2f}",
            f"{results.null_connectivity[i]:.2f}",
            results.module_counts[i],
            f"{results.modularity['tree'][i]:.3f}",
            f"{results.modularity['null'][i]:.3f}",
            results.uncoupled[i],
        )
        for i in results.chosen.values()
    ]
    header = ("step", "test accuracy", "λ₂", "λ₂, null", "modules", "modularity")
    return table((*header, "modularity, null", "uncoupled parameters"), rows)


def module_table(results: FiedlerResults, position: int) -> Markdown:
    """The largest modules at a checkpoint, in words: `ParameterLabels.describe`."""
    modules = results.modules[position]
    rows = []
    for module in range(min(LARGEST, modules.max() + 1)):
        members = np.flatnonzero(modules == module)
        rows.append((module + 1, f"{len(members):,}", "; ".join(results.labels.describe(members))))
    return table(("module", "parameters", "of each layer"), rows, numbers=False)


def agreement_table(results: FiedlerResults) -> Markdown:
    """Agreement with each set of labels at the chosen checkpoints.

    Of the modules, of those from other Hessian samples, of the null's, and of the original
    tree's clusters, as many.
    """
    chosen = list(results.chosen.values())
    rows = []
    for name in results.label_sets:
        originals = dict(zip(results.originals, results.original_agreement[name], strict=True))
        kinds = {
            name: results.label_agreement[name][chosen],
            f"{name}, other samples": results.sample_agreement[name],
            f"{name}, null": results.null_agreement[name][chosen],
        }
        rows += [(kind, *map(index, values)) for kind, values in kinds.items()]
        cells = (index(originals[label]) if label in originals else "" for label in results.chosen)
        rows.append((f"{name}, combinatorial and median", *cells))
    return table(("agreement with", *results.chosen), rows)


def seed_table(runs: Sequence[FiedlerResults]) -> Markdown:
    """Modules, and their agreement with the labels, by checkpoint.

    Args:
        runs: results of which the last has the first checkpoints of all others.
    """
    names = list(runs[0].label_agreement)
    rows = [
        (
            results.run.config.seed,
            f"{step:,}",
            results.module_counts[i],
            results.uncoupled[i],
            f"{results.modularity['tree'][i]:.2f}",
            *(index(results.label_agreement[name][i]) for name in names),
        )
        for results in runs
        for i, step in enumerate(runs[-1].steps)
    ]
    return table(("seed", "step", "modules", "uncoupled parameters", "modularity", *names), rows)


def parts_table(runs: Sequence[FiedlerResults]) -> Markdown:
    """The mixture, and the agreement of the modules of H and of each part, by checkpoint."""
    columns = [(part, name) for name in runs[0].compared for part in ("H", *NAMES)]
    header = ("seed", "step", "Σ|R| / Σ|G|", *(f"{name}, {part}" for part, name in columns))
    rows = []
    for results in runs:
        found, share = part_agreement(results), ratios(results)
        for i, step in enumerate(results.run.config.parts):
            cells = (index(found[part][name][i]) for part, name in columns)
            seed = results.run.config.seed
            rows.append((seed, f"{step:,}", f"{share[i]:.3f}", *cells))
    return table(header, rows)


def shuffled_table(runs: Sequence[FiedlerResults]) -> Markdown:
    """Before and after training, the modules of H beside those for shuffled labels, G + R′."""
    rows = []
    for results in runs:
        true, shuffled = part_agreement(results)["H"], shuffled_agreement(results)
        curved = totals(results)["G"][[0, -1]]
        kinds = {
            "true": (ratios(results)[[0, -1]], true),
            "shuffled": (shuffled_totals(results) / curved, shuffled),
        }
        for end, step in zip((0, -1), results.run.config.ends, strict=True):
            for kind, (ratio, agreement) in kinds.items():
                cells = (index(agreement[name][end]) for name in results.compared)
                row = (results.run.config.seed, f"{step:,}", kind, f"{ratio[end]:.3f}")
                rows.append((*row, *cells))
    return table(("seed", "step", "labels", "Σ|R| / Σ|G|", *runs[0].compared), rows)


def conductance_table(results: FiedlerResults) -> Markdown:
    """Conductance of the first splits at the ends of training: tree, null and original."""
    rows = []
    for label in results.originals:
        for kind, values in results.conductances(label).items():
            cells = [f"{value:.2f}" for value in values[:SPLITS]]
            rows.append((f"{label}, {kind}", *cells, *[""] * (SPLITS - len(cells))))
    return table(("conductance of split", *map(str, range(1, SPLITS + 1))), rows)


def recovery_table(results: FiedlerResults) -> Markdown:
    """Mean over partitions and seeds ± its standard error, for each kind of partition and noise."""
    names = {
        TREE: "tree",
        OTHER: "spectral clustering",
        "difference": "difference",
        HALVED: "combinatorial and median",
    }
    rows = []
    for kind in KINDS:
        found = scores(results.recovery, kind)
        for i, noise in enumerate(NOISES):
            values = (found[name][i] for name in names)
            cells = (f"{round(v.mean(), 3) + 0.0:.3f} ± {standard_error(v):.3f}" for v in values)
            rows.append((kind, noise, *cells))
    return table(("partitions", "noise", *names.values()), rows)


def index(value: float) -> str:
    """An adjusted Rand index in two digits, without a sign where they are zero."""
    return f"{round(value, 2) + 0.0:.2f}"
