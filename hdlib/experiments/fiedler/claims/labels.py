"""Claims about what modules are of: seeds, labels without classes, and a null with degrees."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.fiedler.claims.modules import CLASSES, UNITS
from hdlib.experiments.fiedler.labels.results import LABELS, SHUFFLED, TRUE
from hdlib.experiments.fiedler.results import PublishedFiedler

_KEYS = {"true": TRUE, "shuffled": SHUFFLED}
CHANCE = 0.25
"""Test accuracy below which no class is learnt; a constant answer has 0.1, and it fluctuates."""
LARGE, SMALL = 0.7, 0.2
"""Σ|R| / Σ|G| from which H has the modules of R, and below which it has not."""


def _parts_without_classes(found: PublishedFiedler) -> Verdict:
    results = found.labels
    units = {labels: results.agreement[labels, "R", UNITS] for labels in LABELS}
    classes = {labels: results.agreement[labels, "G", CLASSES] for labels in LABELS}
    last = {labels: values[:, -1] for labels, values in classes.items()}
    epoch = {labels: values[:, results.epoch] for labels, values in classes.items()}
    closer = last[SHUFFLED] > last[TRUE].max()
    later = results.steps >= results.steps[-1] / 2
    ahead = (classes[SHUFFLED] > classes[TRUE].max(0))[:, later].sum(1)
    accuracy = results.accuracy[SHUFFLED].max()
    return Verdict(
        bool(
            min(values.min() for values in units.values()) > 0.7
            and epoch[SHUFFLED].max() < epoch[TRUE].min()
            and closer.sum() > len(closer) / 2
            and accuracy < CHANCE
        ),
        {f"units_{key}": extent(units[labels].ravel(), ".2f") for key, labels in _KEYS.items()}
        | {f"epoch_{key}": extent(epoch[labels], ".2f") for key, labels in _KEYS.items()}
        | {"last_true": extent(last[TRUE], ".2f"), "epoch": f"{results.steps[results.epoch]:,}"}
        | {
            "first": extent(classes[TRUE][:, 0], ".2f"),
            "closer": int(closer.sum()),
            "seeds": len(closer),
            "each": ", ".join(f"{value:.2f}" for value in last[SHUFFLED]),
            "ahead": ", ".join(str(count) for count in ahead),
            "later": later.sum(),
            "accuracy": accuracy,
        },
    )


def _residual_decides(found: PublishedFiedler) -> Verdict:
    results = found.labels
    ratios = np.concatenate([results.ratios[labels].ravel() for labels in LABELS])
    units, classes = (
        np.concatenate([results.agreement[labels, "H", truth].ravel() for labels in LABELS])
        for truth in (UNITS, CLASSES)
    )
    large, small = ratios > LARGE, ratios < SMALL
    return Verdict(
        bool(units[large].min() > 0.7 and units[small].max() < 0.3 and classes[large].max() < 0.1),
        {
            "large": LARGE,
            "small": SMALL,
            "n_large": large.sum(),
            "n_small": small.sum(),
            "units_large": extent(units[large], ".2f"),
            "units_small": extent(units[small], ".2f"),
            "classes_small": extent(classes[small], ".2f"),
        },
    )


def _not_the_degrees(found: PublishedFiedler) -> Verdict:
    results = found.labels
    agreed = {
        truth: max(
            np.abs(values).max()
            for (_, _, of), values in results.null_agreement.items()
            if of == truth
        )
        for truth in results.truths
    }
    most = max(agreed[truth] for truth in (UNITS, CLASSES))
    gain = np.concatenate([results.modularity_gain[labels] for labels in LABELS])
    return Verdict(
        bool(most < 0.1 and gain.min() > 1),
        {
            "most": most,
            "layers": agreed["layers"],
            "gain": gain.min(),
        },
    )


CLAIMS = (
    Claim(
        "parts-without-classes",
        "Neither part’s modules say at the end what was learnt: with shuffled labels, of which "
        "nothing can be, those of the residual are the units all the same; those of the "
        "Gauss–Newton part lose the rows of the read-out in the first epoch, and follow them at "
        "the end more closely in {closer} of {seeds} seeds than in any network that knows the "
        "classes.",
        "R agrees with the units to {units_true} with the labels of the data and to "
        "{units_shuffled} with shuffled ones. G agrees with the classes to {first} before "
        "training; at step {epoch} to {epoch_true} with true labels, and to {epoch_shuffled} with "
        "shuffled ones; at the end to {last_true} with true ones, and to {each}, by seed, with "
        "shuffled ones. Of the {later} checkpoints in the second half of training it is closer "
        "with shuffled labels than with true ones in any seed at {ahead}, by seed. With shuffled "
        "labels no test accuracy is above {accuracy:.0%}.",
        _parts_without_classes,
        seeds=3,
        null="networks of the same seeds with shuffled labels",
        refuted_by="more seeds in which G follows the classes more closely where they are learnt.",
        replaces="“classes” as the name of what G’s modules follow suggested what is learnt; they "
        "are the rows of the read-out, and part of the parametrisation as the units are. And here, "
        "of a quarter of the checkpoints: neither part tells of it at any time. In the first epoch "
        "G does.",
    ),
    Claim(
        "residual-decides",
        "Which of the two the Hessian’s modules are is decided by the size of the residual, "
        "whatever the labels.",
        "Where Σ|R| is more than {large} of Σ|G| ({n_large} Hessians) its modules agree with the "
        "units to {units_large}; where it is less than {small} ({n_small}) to {units_small}, and "
        "with the classes to {classes_small}.",
        _residual_decides,
        seeds=3,
        null="networks of the same seeds with shuffled labels",
        refuted_by="a checkpoint with a large residual whose modules are not its units.",
    ),
    Claim(
        "not-the-degrees",
        "What modules follow is not in the degrees of the couplings, nor in the layers.",
        "Couplings that keep the degree of every parameter and are random beside within each block "
        "of two layers have modules that agree with units and classes to at most {most:.2f}, of H "
        "and of each part at the end of training, and with layers, which they keep, to at most "
        "{layers:.2f}; the true ones are at least {gain:.1f} times as modular. (Of the null's the "
        "16 are counted that add most.)",
        _not_the_degrees,
        seeds=3,
        null="a weighted configuration model within each block of two layers",
        refuted_by="a checkpoint at which modules of the null follow units or classes.",
    ),
)
"""Decided on `PublishedFiedler.labels`."""
