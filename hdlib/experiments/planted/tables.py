"""The chapter's tables, of its results."""

from __future__ import annotations

from collections.abc import Sequence

from hdlib.display import Markdown, extent, table
from hdlib.experiments.planted.config import GRIDS
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.results import PlantedResults, When
from hdlib.experiments.planted.statistics import RHO_WORDS, RHOS

NAMES: dict[When, str] = {"untrained": "before", "memorised": "memorised", "end": "end"}


def network_table(results: PlantedResults) -> Markdown:
    """How far the networks came, over the seeds of each α."""
    rows = [
        (
            f"{alpha:g}",
            ", ".join(f"{results.step(alpha, seed, 'memorised'):,}" for seed in results.grid.seeds),
            *(extent(results.logged(c, alpha, "end"), ".0%") for c in _columns(results)),
        )
        for alpha in results.alphas
    ]
    words = {"train": "training pairs", "company": "in new company", "unseen": "unseen pairs"}
    header = ("α", "memorised at step", *(words[c] for c in _columns(results)))
    return table(header, rows)


def _columns(results: PlantedResults) -> Sequence[str]:
    return (
        ("train", "company", "unseen") if results.grid.train_fraction < 1 else ("train", "company")
    )


def index_table(results: PlantedResults) -> Markdown:
    """Who finds the circuits: adjusted Rand indices over the seeds, at both ends of training."""
    rows = []
    for alpha in results.alphas:
        for when in ("untrained", "memorised", "end"):
            beside = results.statistic("neighbours", alpha, when)
            rows.append(
                (
                    f"{alpha:g}, {NAMES[when]}",
                    extent(results.statistic("best", alpha, when)[:, 0], ".2f", "–"),
                    extent(results.modules("gauss_newton", alpha, when), ".2f", "–"),
                    extent(results.modules("hessian", alpha, when), ".2f", "–"),
                    extent(results.outputs(alpha, when), ".2f", "–") if when == "end" else "",
                    extent(beside[:, 2], ".2f", "–"),
                    extent(beside[:, 0], ".2f", "–"),
                )
            )
    header = (
        "α",
        "best cut",
        "modules of G",
        "modules of H",
        "groups of outputs",
        "tightest 5%",
        "r",
    )
    return table(header, rows)


def scale_table(results: PlantedResults) -> Markdown:
    """What a factor on one loss does to cuts of uncoupled circuits, over the seeds."""
    rows = []
    for when in ("untrained", "end"):
        scaled = results.statistic("scaled", 0.0, when)
        for scale, words in enumerate(("λ", "log λ")):
            for which, kind in enumerate(("best cut", "two clusters")):
                cells = (extent(scaled[:, r, scale, which], "z.2f", "–") for r in range(len(RHOS)))
                rows.append((f"{NAMES[when]}: {kind}, {words}", *cells))
    return table(("ρ", *RHO_WORDS), rows)


def variant_table(found: PublishedPlanted) -> Markdown:
    """All variants at the end of training, over their seeds."""
    rows = []
    for name in GRIDS:
        results = found[name]
        for alpha in results.alphas:
            if name == "main" and 0 < alpha < 1:
                continue
            beside = results.statistic("neighbours", alpha, "end")
            rows.append(
                (
                    f"{name}, α = {alpha:g}",
                    extent(results.logged("company", alpha, "end"), ".0%", "–"),
                    extent(results.statistic("best", alpha, "end")[:, 0], ".2f", "–"),
                    extent(results.modules("gauss_newton", alpha, "end"), ".2f", "–"),
                    extent(results.outputs(alpha, "end"), ".2f", "–"),
                    extent(beside[:, 2], ".2f", "–"),
                    extent(beside[:, 0], ".2f", "–"),
                )
            )
    header = (
        "network",
        "new company",
        "best cut",
        "modules",
        "groups of outputs",
        "tightest 5%",
        "r",
    )
    return table(header, rows)


def cost_table(results: PlantedResults) -> Markdown:
    """What was computed, and its wall time."""
    seconds: dict[str, float] = {}
    files: dict[str, int] = {}
    for run in results.runs.values():
        for stage in run.stages:
            stored = run.stored(stage)
            seconds[stage.name] = seconds.get(stage.name, 0) + stored.seconds
            files[stage.name] = files.get(stage.name, 0) + len(stage.files(run))
    words = {
        "planted/training": f"{len(results.runs)} networks of {results.grid.n_steps:,} steps",
        "planted/spectra": f"{files['planted/spectra']} Hessians with all eigenpairs",
        "planted/statistics": "clusters and spacings of these",
        "planted/basis": f"{files['planted/basis']} in a random basis",
        "planted/circuits": f"{files['planted/circuits']} groups of {results.grid.top} vectors",
    }
    rows = [(words[name], f"{seconds[name] / 60:.1f} min") for name in words]
    return table(("computed", "wall time"), rows)
