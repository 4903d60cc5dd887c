"""Claims about one shared trunk, through training."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.results import PlantedResults

SEEN = 0.8
"""Adjusted Rand index from which on the groups of outputs are called the circuits."""


def _form(found: PublishedPlanted) -> Verdict:
    main, steps = found["main"], found["main"].followed_steps(1.0)
    purity = np.array([main.unit_purity(1.0, step) for step in steps])
    outputs = np.array([main.outputs(1.0, step) for step in steps])
    rises = bool((purity[-1] > purity[0] + 0.2).all() and (outputs[-1] > outputs[0] + 0.3).all())
    modules = [main.modules("gauss_newton", 1.0, step) for step in (0, steps[-1])]
    best = [main.statistic("best", 1.0, step)[:, 0] for step in (0, steps[-1])]
    falls = best[1].mean() < best[0].mean()
    return Verdict(
        bool(rises and falls),
        {
            "purity": f"{extent(purity[0], '.2f')} → {extent(purity[-1], '.2f')}",
            "modules": f"{extent(modules[0], '.2f')} → {extent(modules[1], '.2f')}",
            "outputs": f"{extent(outputs[0], '.2f')} → {extent(outputs[-1], '.2f')}",
            "best": f"{extent(best[0], '.2f')} → {extent(best[1], '.2f')}",
        },
    )


def first_seen(results: PlantedResults, level: float = SEEN) -> list[float]:
    """First checkpoint at which the groups of outputs are the circuits, (S,); ∞ for none."""
    steps = results.followed_steps(1.0)
    found = np.array([results.outputs(1.0, step) for step in steps]).T
    return [
        float(steps[np.argmax(row >= level)]) if (row >= level).any() else np.inf for row in found
    ]


def _early(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    steps = main.followed_steps(1.0)
    seen = np.array(first_seen(main))
    company = np.array([main.logged("company", 1.0, step) for step in steps]).T
    known = np.array([float(steps[np.argmax(row >= 0.99)]) for row in company])
    return Verdict(
        bool((seen <= known).all() and (seen < known).sum() > len(seen) / 2),
        {
            "level": SEEN,
            "seen": ", ".join(f"{step:,.0f}" for step in seen),
            "known": ", ".join(f"{step:,.0f}" for step in known),
        },
    )


def _shuffled(found: PublishedPlanted) -> Verdict:
    main, both, one = found["main"], found["both shuffled"], found["one shuffled"]
    ends = {name: r.unit_purity(1.0, "end") for name, r in (("both", both), ("one", one))}
    modules = np.concatenate([r.modules("gauss_newton", 1.0, "end") for r in (both, one)])
    seen = {name: np.array(first_seen(r)) for name, r in (("true", main), ("random", both))}
    return Verdict(
        bool(
            min(values.min() for values in ends.values()) > 0.85
            and np.isfinite(seen["random"]).all()
            and seen["random"].mean() > seen["true"].mean()
        ),
        {
            "both": extent(ends["both"], ".2f"),
            "one": extent(ends["one"], ".2f"),
            "main": extent(main.unit_purity(1.0, "end"), ".2f"),
            "modules": extent(modules, ".2f"),
            "company": extent(both.logged("company", 1.0, "end"), ".0%"),
            "true": ", ".join(f"{step:,.0f}" for step in seen["true"]),
            "random": ", ".join(f"{step:,.0f}" for step in seen["random"]),
        },
    )


CLAIMS = (
    Claim(
        "circuits-form",
        "In one shared trunk two circuits form, and vectors show it: units come to serve one task, "
        "and leading eigenvectors to move the outputs of one; clusters of eigenvalues do not get "
        "better on average.",
        "Before training → at the end: purity of units {purity}, modules of Gauss–Newton "
        "{modules}, groups of outputs {outputs}, best cut of eigenvalues {best}.",
        _form,
        seeds=5,
        null="the untrained networks; random rotations of the eigenvectors’ span",
        refuted_by="a seed in which units get purer and groups of outputs no better.",
    ),
    Claim(
        "seen-before-it-can-be-tested",
        "Curvature on training data shows the circuits no later than accuracy on new company "
        "does, and mostly before it.",
        "First checkpoint with an index of the outputs above {level:g}, seed by seed: {seen}; "
        "with 99% of the pairs right in new company: {known}.",
        _early,
        seeds=5,
        null="none: the order of two events at nine checkpoints",
        refuted_by="seeds in which new company is mastered first.",
    ),
    Claim(
        "random-labels-part-as-well",
        "What parts in the trunk are tasks, not algorithms: with shuffled labels, which can only "
        "be memorised, units specialise as well, and vectors show it later.",
        "Purity of units at the end: true labels {main}, both tasks shuffled {both}, one {one}; "
        "modules of the shuffled {modules}; with both shuffled {company} are right in new company. "
        "Groups of outputs are first the tasks at steps {true} with true labels, {random} with "
        "both shuffled.",
        _shuffled,
        seeds=3,
        null="labels permuted over each task’s pairs",
        refuted_by="networks on shuffled labels whose units stay mixed.",
    ),
)
