"""From config to run: a transformer's spectrum through sudden generalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.ends import certified_agreement
from hdlib.experiments.grokking.coefficients import (
    frequency_coefficients,
    head_coefficients,
    whole_coefficient,
)
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.doses import dose_measures
from hdlib.experiments.grokking.lowest import lowest_measures
from hdlib.experiments.grokking.measures import circuit_frequencies, circuit_measures
from hdlib.experiments.grokking.purity import purity_measures, span_pairs
from hdlib.experiments.grokking.spectra import (
    ADAM_TOLERANCE,
    adam_measures,
    function_measures,
    spectrum_measures,
)
from hdlib.experiments.grokking.training import TRAINING, GrokkingRun, kept_steps
from hdlib.experiments.grokking.whole import MOST_PARAMETERS, whole_measures
from hdlib.measures.pairs import grid_logits, pair_accuracies
from hdlib.store import (
    Agreement,
    Arrays,
    ArrayStage,
    Experiment,
    Stage,
    agreement,
    file_name,
)
from hdlib.training import checkpoint_name, coarse_to_fine, moment, state_name

AT_ONCE = 2
"""Checkpoints that are looked at side by side, where there are threads for it."""
WHOLE_SPECTRA = 4
"""Checkpoints with all eigenvalues, of networks that are small enough: coarse to fine."""


def _frequencies(run: GrokkingRun) -> NDArray[np.int64]:
    return circuit_frequencies(TRAINING.model(run, TRAINING.checkpoints(run)[-1]))


def _measures(run: GrokkingRun, step: int) -> Arrays:
    frequencies = _frequencies(run)
    model = TRAINING.model(run, step).to(run.device)
    measured = circuit_measures(model, run.config.task, frequencies)
    return measured | {"frequencies": frequencies}


def _pairs(run: GrokkingRun, step: int) -> Arrays:
    model, task = TRAINING.model(run, step).to(run.device), run.config.task
    found = pair_accuracies(grid_logits(model, task), task)
    return {name: np.array(accuracy) for name, accuracy in found.items()}


def _spectrum(run: GrokkingRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return spectrum_measures(
        run.config, model, _frequencies(run), lower_end=step in lower_ends(run)
    )


def lower_ends(run: GrokkingRun) -> list[int]:
    """Checkpoints at which the lower end of the spectrum is waited for."""
    return coarse_to_fine(TRAINING.checkpoints(run))[: run.config.lower_ends]


def _functions(run: GrokkingRun, step: int) -> Arrays:
    model = TRAINING.model(run, step).to(run.device)
    return function_measures(run.config, model, _frequencies(run))


def _adam(run: GrokkingRun, step: int) -> Arrays:
    second_moment = moment(TRAINING.state(run, step), "exp_avg_sq")
    model = TRAINING.model(run, step).to(run.device)
    return adam_measures(run.config, model, second_moment, step=step)


def _vectors(run: GrokkingRun, step: int) -> Arrays:
    return span_pairs(run.config, TRAINING.model(run, step).to(run.device))


def _purity(run: GrokkingRun, step: int) -> Arrays:
    found = run.arrays(VECTORS, step)
    model = TRAINING.model(run, step).to(run.device)
    measured = purity_measures(run.config, model, found["vectors"])
    return {"eigenvalues": found["eigenvalues"]} | measured


def _doses(run: GrokkingRun, step: int) -> Arrays:
    vectors = run.arrays(VECTORS, step)["vectors"]
    return dose_measures(run.config, TRAINING.model(run, step).to(run.device), vectors)


def _lowest(run: GrokkingRun, step: int) -> Arrays:
    return lowest_measures(run.config, TRAINING.model(run, step).to(run.device))


def _overlaps(run: GrokkingRun, step: int) -> Arrays:
    before, after = (run.arrays(VECTORS, at)["vectors"] for at in (_before(run, step), step))
    return {"cosines": before.T @ after}


def _coefficients(run: GrokkingRun, step: int) -> Arrays:
    model, pairs = TRAINING.model(run, step).to(run.device), run.config.task.train
    return {
        "whole": whole_coefficient(model, pairs),
        "heads": head_coefficients(model, pairs),
        **frequency_coefficients(model, pairs, _frequencies(run)),
    }


def _whole(run: GrokkingRun, step: int) -> Arrays:
    return whole_measures(run.config, TRAINING.model(run, step).to(run.device))


def _seen_whole(run: GrokkingRun) -> list[int]:
    """Checkpoints with all eigenvalues."""
    small = run.config.n_parameters <= MOST_PARAMETERS
    return coarse_to_fine(TRAINING.checkpoints(run))[:WHOLE_SPECTRA] if small else []


def _before(run: GrokkingRun, step: int) -> int:
    """The checkpoint before one of those looked at."""
    return max(at for at in _looked_at(run) if at < step)


def _looked_at(run: GrokkingRun) -> list[int]:
    """Checkpoints at which the functions of the leading eigenvectors are looked at."""
    return coarse_to_fine(TRAINING.checkpoints(run))[: run.config.purities]


def _with_vectors(run: GrokkingRun, step: int) -> list[tuple[Stage, str]]:
    return [(VECTORS, file_name(step)), *TRAINING.weights_source(run, step)]


def _overlap_agreement(stored: Arrays, recomputed: Arrays) -> list[Agreement]:
    """Squared cosines: an eigenvector's sign means nothing."""
    apart = np.abs(stored["cosines"] ** 2 - recomputed["cosines"] ** 2).max()
    return [Agreement("squared cosines", float(apart), 1e-2)]


MEASURES = ArrayStage(
    "grokking/measures",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=lambda run: TRAINING.checkpoints(run),
    sources=TRAINING.weights_and_last,
    compute=_measures,
    agreement=agreement(
        embedding_power=1e-5, unembedding_power=1e-5, logit_power=1e-5, restricted_loss=1e-5
    ),
)
PAIRS = ArrayStage(
    "grokking/pairs",
    fields=(),
    needs=(TRAINING,),
    # Where functions are followed through training.
    items=lambda run: kept_steps(run) if run.config.purities > 1 else [],
    sources=TRAINING.weights_source,
    compute=_pairs,
    agreement=agreement(mirrored_accuracy=1e-3, other_accuracy=1e-3),
)
SPECTRA = ArrayStage(
    "grokking/spectra",
    fields=("n_steps", "lower_ends", "eigenpairs", "max_products", "tol"),
    needs=(TRAINING,),
    items=lambda run: coarse_to_fine(TRAINING.checkpoints(run))[: run.config.spectra],
    sources=TRAINING.weights_and_last,
    compute=_spectrum,
    agreement=certified_agreement(lambda arrays: arrays["converged"].astype(bool), allowed=2e-6),
    at_once=AT_ONCE,
)
ADAM = ArrayStage(
    "grokking/adam",
    fields=(),
    needs=(TRAINING,),
    # Adam has no second moment before its first update.
    items=lambda run: [step for step in SPECTRA.items(run) if step],
    sources=lambda run, step: [(TRAINING, checkpoint_name(step)), (TRAINING, state_name(step))],
    compute=_adam,
    agreement=agreement(adam_eigenvalue=2 * ADAM_TOLERANCE),
    at_once=AT_ONCE,
)
FUNCTIONS = ArrayStage(
    "grokking/functions",
    fields=("n_steps", "tol"),
    needs=(TRAINING,),
    items=lambda run: kept_steps(run)[: run.config.spectra],
    sources=TRAINING.weights_and_last,
    compute=_functions,
    agreement=agreement(responses=1e-3, random_responses=1e-3),
    at_once=AT_ONCE,
)
VECTORS = ArrayStage(
    "grokking/vectors",
    fields=("tol",),
    needs=(TRAINING,),
    items=_looked_at,
    sources=TRAINING.weights_source,
    compute=_vectors,
    agreement=agreement(eigenvalues=1e-5),
    at_once=AT_ONCE,
    kept=False,
)
PURITY = ArrayStage(
    "grokking/purity",
    fields=(),
    needs=(VECTORS,),
    items=_looked_at,
    sources=_with_vectors,
    compute=_purity,
    agreement=agreement(shares=1e-2, purity=1e-2),
    at_once=AT_ONCE,
)
OVERLAPS = ArrayStage(
    "grokking/overlaps",
    fields=("n_steps", "purities"),
    needs=(VECTORS,),
    items=lambda run: sorted(_looked_at(run))[1:],
    sources=lambda run, step: [(VECTORS, file_name(at)) for at in (_before(run, step), step)],
    compute=_overlaps,
    agreement=_overlap_agreement,
)
DOSED = ArrayStage(
    "grokking/doses",
    fields=(),
    needs=(VECTORS,),
    items=lambda run: [step for step in FUNCTIONS.items(run) if step in _looked_at(run)],
    sources=_with_vectors,
    compute=_doses,
    agreement=agreement(eigenvectors_purity=1e-2, random_purity=1e-2),
    at_once=AT_ONCE,
)
LOWEST = ArrayStage(
    "grokking/lowest",
    fields=(),
    needs=(TRAINING,),
    # Uniform attention has no scores.
    items=lambda run: FUNCTIONS.items(run) if run.config.attention == "softmax" else [],
    sources=TRAINING.weights_source,
    compute=_lowest,
    agreement=agreement(sigma=1e-5, minus=1e-3, plus=1e-3),
    at_once=AT_ONCE,
)
COEFFICIENTS = ArrayStage(
    "grokking/coefficients",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=lambda run: kept_steps(run)[: run.config.coefficients],
    sources=TRAINING.weights_and_last,
    compute=_coefficients,
    agreement=agreement(whole=1e-3, heads=1e-3, frequencies=1e-3, others=1e-3),
    at_once=AT_ONCE,
)
WHOLE = ArrayStage(
    "grokking/whole",
    fields=("n_steps",),
    needs=(TRAINING,),
    items=_seen_whole,
    sources=TRAINING.weights_source,
    compute=_whole,
    agreement=agreement(all_pairs=1e-9, few_pairs=1e-9),
)
EXPERIMENT = Experiment(
    GrokkingConfig,
    (
        TRAINING,
        MEASURES,
        PAIRS,
        SPECTRA,
        ADAM,
        FUNCTIONS,
        PURITY,
        OVERLAPS,
        DOSED,
        LOWEST,
        COEFFICIENTS,
        WHOLE,
    ),
    cost="about an hour",
)
run = EXPERIMENT.run
