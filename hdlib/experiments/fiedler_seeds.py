"""The first epoch of the Fiedler experiment from other seeds: does it hold?"""

from __future__ import annotations

from hdlib.display import Markdown, table
from hdlib.experiments.fiedler import FiedlerConfig, run
from hdlib.experiments.fiedler_results import FiedlerResults, index

SEEDS = (
    FiedlerConfig(),
    *(FiedlerConfig(seed=seed, n_epochs=1, sweep_checkpoints=0, draws=0) for seed in (43,)),
)
"""The chapter's run, and others of one epoch."""


def other_seeds() -> list[FiedlerResults]:
    """What came out from the other seeds."""
    return [FiedlerResults(run(config)) for config in SEEDS[1:]]


def seed_table() -> Markdown:
    """Modules, and their agreement with the labels, at each checkpoint of the first epoch."""
    found = [FiedlerResults(run(config)) for config in SEEDS]
    names = list(found[0].label_agreement)
    rows = [
        (
            results.run.config.seed,
            f"{step:,}",
            results.module_count(i),
            results.uncoupled(i),
            f"{results.modularity['tree'][i]:.2f}",
            *(index(results.label_agreement[name][i]) for name in names),
        )
        for results in found
        for i, step in enumerate(found[-1].steps)
    ]
    return table(("seed", "step", "modules", "uncoupled parameters", "modularity", *names), rows)
