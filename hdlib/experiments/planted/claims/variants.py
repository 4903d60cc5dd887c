"""Claims about variants: three circuits, unequal ones, and one that two tasks share."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.planted.claims.eigenvalues import CHECKPOINTS
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.results import PlantedResults, rand_index


def _three(found: PublishedPlanted) -> Verdict:
    three = found["three"]
    outputs, modules = three.outputs(0.0, "end"), three.modules("gauss_newton", 0.0, "end")
    best = np.array([three.statistic("best", 0.0, when)[:, 0] for when in CHECKPOINTS])
    beside = three.statistic("neighbours", 0.0, "end")
    return Verdict(
        bool(min(outputs.min(), modules.min()) > 0.95 and best[1:].max() < 0.1),
        {
            "outputs": extent(outputs, ".2f"),
            "modules": extent(modules, ".2f"),
            "before": extent(best[0], ".2f"),
            "best": extent(best[1:].ravel(), ".2f"),
            "tight": extent(beside[:, 2], ".0%"),
            "all": extent(beside[:, 1], ".0%"),
            "ratio": extent(beside[:, 0], ".2f"),
            "trunk": extent(three.outputs(1.0, "end"), ".2f"),
            "trunk_modules": extent(three.modules("gauss_newton", 1.0, "end"), ".2f"),
        },
    )


def _unequal(found: PublishedPlanted) -> Verdict:
    unequal = found["unequal"]
    before, end = (unequal.statistic("best", 0.0, when)[:, 0] for when in ("untrained", "end"))
    modules = unequal.modules("gauss_newton", 0.0, "end")
    return Verdict(
        bool(before.min() > end.max() and before.min() > 0.3 and modules.min() > 0.95),
        {
            "before": extent(before, ".2f"),
            "end": extent(end, ".2f"),
            "modules": extent(modules, ".2f"),
            "outputs": extent(unequal.outputs(0.0, "end"), ".2f"),
            "trunk": extent(unequal.outputs(1.0, "end"), ".2f"),
        },
    )


def heads_apart(results: PlantedResults, alpha: float) -> list[float]:
    """Index of the groups with the heads, each reading of a shared circuit by itself, (S,)."""
    labels = np.concatenate(
        [np.full(part.stop - part.start, h) for h, part in enumerate(results.grid.outputs)]
    )
    return [
        rand_index(labels, results.groups(alpha, seed, "end")["outputs"])
        for seed in results.grid.seeds
    ]


def _shared(found: PublishedPlanted) -> Verdict:
    shared = found["shared"]
    outputs = {alpha: shared.outputs(alpha, "end") for alpha in (0.0, 1.0)}
    heads = {alpha: np.array(heads_apart(shared, alpha)) for alpha in (0.0, 1.0)}
    modules = [shared.modules("gauss_newton", alpha, "end") for alpha in (0.0, 1.0)]
    return Verdict(
        bool((outputs[0.0] > heads[0.0]).all() and modules[0].min() > 0.95),
        {
            "outputs": extent(outputs[0.0], ".2f"),
            "heads": extent(heads[0.0], ".2f"),
            "trunk": extent(outputs[1.0], ".2f"),
            "trunk_heads": extent(heads[1.0], ".2f"),
            "modules": extent(modules[0], ".2f"),
            "trunk_modules": extent(modules[1], ".2f"),
        },
    )


CLAIMS = (
    Claim(
        "three-circuits",
        "Three circuits are like two: once they have learned, no cut of the eigenvalues finds "
        "them, and vectors do.",
        "α = 0: groups of outputs {outputs} and modules {modules} at the end; best cut of the "
        "eigenvalues {best} where they have memorised and at the end, and {before} before "
        "training. The tightest neighbours are of different circuits for {tight} at the end, all "
        "for {all}; r = {ratio}. One trunk: outputs {trunk}, modules {trunk_modules}.",
        _three,
        seeds=3,
        null="labels permuted over the eigenvalues; random rotations",
        refuted_by="a memorised, uncoupled network with a cut above 0.1, or groups below 0.95.",
    ),
    Claim(
        "unequal-sizes-are-scales",
        "Circuits of unequal size have unequal scales before training, and these cuts do see; "
        "after it they see little.",
        "Moduli 5 and 17, 6 and 18 units, α = 0: best cut {before} before training, {end} at the "
        "end; modules {modules}, groups of outputs {outputs}; with one trunk {trunk}.",
        _unequal,
        seeds=3,
        null="circuits of nearly one size",
        refuted_by="a seed in which the best cut gets better with training.",
    ),
    Claim(
        "a-shared-part-is-one-circuit",
        "What two tasks share is a circuit of its own: outputs are grouped by what computes them, "
        "not by the task that reads them.",
        "Two tasks read the same sum and one of their own each. α = 0: index of the groups of "
        "outputs with the three circuits {outputs}, with the four read-outs {heads}; modules "
        "{modules}. One trunk: {trunk} and {trunk_heads}; modules {trunk_modules}.",
        _shared,
        seeds=3,
        null="each task’s read-outs by themselves",
        refuted_by="a seed in which the two read-outs of the shared sum are in two groups.",
    ),
)
