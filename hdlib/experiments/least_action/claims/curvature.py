"""Claims about sensitivity, curvature and norms on the way."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent, two_digits
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.results import PublishedLeastAction
from hdlib.training import OTHERS


def _sensitive(results: PublishedLeastAction) -> Verdict:
    networks = results.compared
    jacobians = [n.input_jacobian for n in networks]
    hessians = [n.input_hessian for n in networks]
    first = np.array([j.values[0] for j in jacobians])
    last = np.array([j.values[-1] for j in jacobians])
    errors = np.array([j.errors[-1] / j.values[-1] for j in jacobians])
    return Verdict(
        bool((last > 100 * first).all() and all(h.values[-1] < 0 for h in hessians)),
        {
            "first": two_digits(first),
            "last": two_digits(last),
            "error": errors.max(),
            "traces": two_digits(h.values[-1] for h in hessians),
        },
    )


SENSITIVE = Claim(
    name="sensitivity-grows",
    says="A transformer ends far more sensitive to its inputs than it began, with a large negative "
    "trace of the input Hessian at the predicted class: that logit curves down on average.",
    evidence="The mean squared Jacobian norm by the embeddings goes from {first} to {last} "
    "(standard errors up to {error:.0%} at the end), the mean trace of the input Hessian comes to "
    "{traces}.",
    decide=_sensitive,
    seeds=3,
    null="the same networks before training",
    refuted_by="a transformer whose squared Jacobian norm is not a hundred times that before "
    "training, or whose trace is positive at the end.",
)


def _flat(results: PublishedLeastAction) -> Verdict:
    networks = results.compared
    memorising = results.of(results.grid.one_hot[0])
    last, flat = ([n.hessian_trace.values[-1] for n in part] for part in (networks, memorising))
    most = [n.hessian_trace.values.max() for n in networks]
    errors = [n.hessian_trace.errors[-1] / n.hessian_trace.values[-1] for n in networks]
    return Verdict(
        max(flat) < min(last) and all(n.generalised is None for n in memorising),
        {
            "last": two_digits(last),
            "most": two_digits(most),
            "flat": two_digits(flat),
            "known": extent((n.last(OTHERS) for n in memorising), ".0%"),
            "error": max(errors),
        },
    )


FLAT = Claim(
    name="flat-is-not-general",
    says="A small trace of the Hessian does not go with generalising: the MLP, which remembers "
    "all its pairs and knows hardly another, ends flatter than every transformer that generalises.",
    evidence="Its trace at the end is {flat}, with {known} of the other test pairs known; that of "
    "the transformers {last} (standard errors up to {error:.0%}), down from {most} at the largest "
    "of the few checkpoints.",
    decide=_flat,
    seeds=3,
    null="networks that do not generalise",
    refuted_by="an MLP with a larger trace at the end than a transformer that generalises.",
    replaces="the work this examines: a lower Hessian trace goes with generalisation.",
)


def _purity(results: PublishedLeastAction) -> Verdict:
    grid = results.grid
    found, null = [], []
    for arm in (grid.plain, grid.matched, grid.pressed):
        top = list(results.of(arm)[0].spectra.values())[-1]
        found.append(float(np.mean(top.frequencies.max(1))))
        null.append(float(np.mean(top.null.max(1))))
    return Verdict(
        all(abs(a - b) < 0.1 for a, b in zip(found, null, strict=True)),
        {
            "found": extent(found, ".2f"),
            "null": extent(null, ".2f"),
            "chance": 2 / (grid.p - 1),
        },
    )


PURITY = Claim(
    name="no-purer-than-rotated",
    says="Of the leading dozen eigenvectors of these transformers none of the frequencies is "
    "singled out: what they do to the logits is as mixed as along random directions among them.",
    evidence="The largest share of one frequency in what an eigenvector does is {found} in the "
    "mean over eigenvectors, and {null} for a random rotation of them; {chance:.2f} would be even.",
    decide=_purity,
    seeds=1,
    null="a random rotation of the same eigenvectors",
    refuted_by="a transformer whose eigenvectors are purer than their rotation by 0.1.",
)


def _norms(results: PublishedLeastAction) -> Verdict:
    networks = [n for n in results.compared if n.generalised is not None]
    total, decayed, late = [], [], []
    for network in networks:
        at = network.generalised_row
        whole, part = network.column("norm/total"), network.column("decayed_weight_norm")
        total.append(whole[at] / whole[0])
        decayed.append(part[at] / part[: at + 1].max())
        late.append(whole[-1] / whole[at])
    return Verdict(
        min(total) > 1 and min(late) > 1,
        {
            "count": len(networks),
            "total": extent(total, ".2f"),
            "late": extent(late, ".2f"),
            "decayed": extent(decayed, ".2f"),
        },
    )


NORMS = Claim(
    name="norms-grow-all-along",
    says="The norm of all weights grows before a transformer generalises, and after it: it marks "
    "nothing.",
    evidence="In the {count} that generalise, all weights have {total} times their first norm "
    "when the other test pairs are known, and {late} times that at the end. The weights that "
    "decay are at {decayed} of their largest norm by then: most are past their peak.",
    decide=_norms,
    seeds=3,
    null="none: every network that learns at all grows from this small a start",
    refuted_by="a transformer with a smaller norm when it generalises than before training, or "
    "one that stops growing then.",
    replaces="the work this examines: growth of the weight norm precedes generalisation. In its "
    "own figure most norms shrink.",
)

CLAIMS = (SENSITIVE, FLAT, PURITY, NORMS)
