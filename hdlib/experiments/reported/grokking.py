"""Reported of networks that generalise late, and of their circuits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.results import GrokkingResults, PublishedGrokking
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import LEARNT
from hdlib.experiments.grokking.training import TRAINING
from hdlib.experiments.reported.record import ORIGINAL, Reported
from hdlib.experiments.reported.rules import about, around, between
from hdlib.measures import Phases
from hdlib.store import Run
from hdlib.training import steps_to

Array = NDArray[np.float64]
Ours = Callable[[PublishedGrokking], ArrayLike]

ALONE = "attention only, 30%"
UNIFORM = f"{ALONE}, uniform start"
MLP = "MLP of 512 neurons, 30%"
"""The network of Nanda et al."""
REPORTED_STEP, REPORTED_ACCURACY = 50_000, 0.007
PHASES: tuple[tuple[str, int, int, Callable[[Phases], int | None]], ...] = (
    ("memorisation", 1_400, 2, lambda phases: phases.memorised),
    ("circuit formation", 9_400, 2, lambda phases: phases.formed),
    ("clean-up", 14_000, 1, lambda phases: phases.cleaned),
)
"""Epochs at which the three phases of Nanda et al. end in their main run; ours that end, of two."""
SECTION = "sec-grokking"


def _each(network: str, value: Callable[[Run[GrokkingConfig]], float]) -> Ours:
    """A number of each run of a network of the sweep, (seeds,)."""
    return lambda published: [value(run) for run in published.sweep.networks[network]]


def _accuracy(run: Run[GrokkingConfig]) -> float:
    history = TRAINING.history(run)
    return float(history["test_accuracy"][history["step"].tolist().index(REPORTED_STEP)])


def _end(of_phase: Callable[[Phases], int | None]) -> Ours:
    """Steps at which a phase of the network with an MLP ends, of the seeds in which it does."""

    def of(published: PublishedGrokking) -> list[int]:
        runs = published.sweep.networks[MLP]
        steps = [of_phase(GrokkingResults(run).phases) for run in runs]
        return [step for step in steps if step is not None]

    return of


def _delay(run: Run[GrokkingConfig]) -> float:
    """Step at which the test pairs are known over that at which the training pairs are."""
    history = TRAINING.history(run)
    known, memorised = (
        steps_to(history, LEARNT, column=f"{p}_accuracy") for p in ("test", "train")
    )
    return float("nan") if known is None or not memorised else known / memorised


def _over_edge(published: PublishedGrokking) -> float:
    """Median over memorisation of Adam's sharpness over its edge."""
    results = published.results
    values, ceiling = results.adam
    return float(np.nanmedian(values[results.by_phase["memorisation"]]) / ceiling)


def _single(published: PublishedGrokking) -> Array:
    """Share of the leading eigenvectors that move one frequency, one head, by seed."""
    found = [of for n, of in published.sweep.purities.items() if n.startswith("1 head,")]
    return np.array([float(np.mean(of.pure(of.steps[-1])[:LEADING] > 0)) for of in found])


RECORDS: tuple[Reported[PublishedGrokking], ...] = (
    *(
        Reported(
            work=ORIGINAL,
            what=f"attention only, {start}: test accuracy at step {REPORTED_STEP:,}",
            says=f"{REPORTED_ACCURACY:.1%}",
            ours=_each(network, _accuracy),
            form=".1%",
            rule=around(REPORTED_ACCURACY, factor=2),
            seeds=3,
            section=SECTION,
        )
        for network, start in ((UNIFORM, "its start"), (ALONE, "normal start"))
    ),
    *(
        Reported(
            work="@nanda2023progress",
            what=f"step at which {phase} ends, their network; ours: where it ends",
            says=f"{step:,}",
            ours=_end(of_phase),
            form=",.0f",
            rule=around(step, factor=1.5),
            seeds=seeds,
            section=SECTION,
        )
        for phase, step, seeds, of_phase in PHASES
    ),
    Reported(
        work="@nanda2023progress",
        what="key frequencies of their network, one seed and others",
        says="5; 3 or 4",
        ours=lambda published: [len(o.frequencies) for o in published.sweep.outcomes[MLP]],
        form=".0f",
        rule=between(3, 5),
        seeds=2,
        section=SECTION,
    ),
    Reported(
        work="@nanda2023progress",
        what="share of the variance of the logits that key frequencies explain",
        says="95%",
        ours=lambda published: [o.explained for o in published.sweep.outcomes[MLP]],
        form=".0%",
        rule=about(0.95, margin=0.02),
        seeds=2,
        section=SECTION,
    ),
    Reported(
        work="@power2022grokking",
        what="steps to know the test pairs over steps to know the training pairs",
        says="10⁶ over 10³",
        ours=_each(MLP, _delay),
        form=".0f",
        rule=None,
        seeds=2,
        section=SECTION,
        apart="division there, two layers, and no weight decay",
    ),
    Reported(
        work="@cohen2022adaptive",
        what="sharpness as Adam sees it over 38/η, while the chapter's network memorises",
        says="1",
        ours=_over_edge,
        rule=between(0.5, 2),
        seeds=1,
        section=SECTION,
    ),
    Reported(
        work="@xu2026spectral",
        what="leading directions of training that have a single Fourier mode, addition; ours: "
        "share of the leading eigenvectors, one head, end of training",
        says="all",
        ours=_single,
        form=".0%",
        rule=None,
        seeds=3,
        section=SECTION,
        apart="directions of updates there, of curvature here",
    ),
)
