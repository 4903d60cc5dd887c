"""Claims about eigenvectors and modules."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.planted.claims.eigenvalues import CHECKPOINTS
from hdlib.experiments.planted.published import PublishedPlanted

LEVEL = 0.05


def _vectors(found: PublishedPlanted) -> Verdict:
    main, relu = found["main"], found["relu"]
    apart = [alpha for alpha in main.alphas if alpha < 1]
    modules = np.array(
        [main.modules("gauss_newton", alpha, when) for alpha in apart for when in CHECKPOINTS]
    )
    outputs = np.array([main.outputs(alpha, "end") for alpha in apart])
    trunk = main.outputs(1.0, "end")
    p = np.array([main.group_values("p", alpha, "end") for alpha in main.alphas])
    other = np.concatenate(
        [[relu.modules("gauss_newton", a, "end"), relu.outputs(a, "end")] for a in (0.0, 0.1)]
    )
    return Verdict(
        bool(modules.min() > 0.95 and outputs.min() > 0.95 and p.max() <= LEVEL),
        {
            "modules": extent(modules.ravel(), ".2f"),
            "outputs": extent(outputs.ravel(), ".2f"),
            "trunk_modules": extent(main.modules("gauss_newton", 1.0, "end"), ".2f"),
            "trunk": extent(trunk, ".2f"),
            "p": p.max(),
            "relu": extent(other.ravel(), ".2f"),
        },
    )


def _parts(found: PublishedPlanted) -> Verdict:
    main = found["main"]
    joined, size = [], []
    for alpha in main.alphas:
        for seed in main.grid.seeds:
            for when in CHECKPOINTS:
                arrays = main.spectrum(alpha, seed, when)
                joined.append(int(arrays["joined_units"]))
                size.append(float(arrays["residual_size"]))
    wired = [alpha for alpha in main.alphas if 0 < alpha < 1]
    hessian = np.array([main.modules("hessian", alpha, "untrained") for alpha in wired])
    parts = np.array([main.modules("gauss_newton", alpha, "untrained") for alpha in wired])
    return Verdict(
        bool(max(joined) == 0 and hessian.max() < parts.min()),
        {
            "spectra": len(joined),
            "least": min(size),
            "most": max(size),
            "hessian": extent(hessian.ravel(), ".2f"),
            "gauss_newton": extent(parts.ravel(), ".2f"),
        },
    )


def _basis(found: PublishedPlanted) -> Verdict:
    own, turned = found["main"].basis().T
    larger = found["main"].larger_share
    return Verdict(
        bool(own.min() > 0.99 and turned.max() < larger + 0.05),
        {"own": extent(own, ".2f"), "turned": extent(turned, ".2f"), "larger": larger},
    )


CLAIMS = (
    Claim(
        "vectors-part-circuits",
        "What eigenvalues do not know, the same matrix knows by its vectors: the Fiedler modules "
        "of Gauss–Newton, and the outputs that leading eigenvectors move, are the circuits.",
        "Adjusted Rand index for α < 1: modules {modules} at all checkpoints, groups of outputs "
        "{outputs} at the end. With one trunk at the end: modules {trunk_modules}, outputs "
        "{trunk}. The groups beat random rotations of the same span and permuted outputs "
        "everywhere (p at most {p:.3f}); their number was not told. ReLU at α = 0 and 0.1: "
        "{relu}.",
        _vectors,
        seeds=5,
        null="random rotations of the eigenvectors’ span; permuted outputs",
        refuted_by="a seed with α < 1 in which either index is below 0.95 at the end.",
    ),
    Claim(
        "residual-parts-units",
        "The residual couples no two units, ever: it knows units and no tasks, and where it is "
        "large the Fiedler modules of the whole Hessian are worse than those of Gauss–Newton.",
        "Pairs of units that it couples: none in {spectra} spectra. Its entries are {least:.2f} "
        "to {most:.2f} times those of Gauss–Newton, most before training; there the Hessian’s two "
        "modules have an index of {hessian}, those of Gauss–Newton {gauss_newton}, for α between "
        "0 and 1.",
        _parts,
        seeds=5,
        null="the modules of Gauss–Newton at the same weights",
        refuted_by="an untrained network with 0 < α < 1 whose Hessian has modules as good.",
    ),
    Claim(
        "modules-belong-to-the-basis",
        "Modules belong to the basis: of the same Gauss–Newton matrix in a random orthogonal one, "
        "with the same eigenvalues, they say nothing of the circuits.",
        "Share of a module that lies in the parameters of one of two circuits: {own} in the basis "
        "of the parameters, {turned} in a random one. The larger circuit has {larger:.2f} of all "
        "parameters, so that no partition has less, and that of one module has it. What "
        "eigenvectors do to the outputs does not depend on the basis.",
        _basis,
        seeds=5,
        null="the same matrix in the basis of the parameters; one module of all of them",
        refuted_by="a seed in which modules of a random basis are purer than all parameters "
        "together by 0.05.",
    ),
)
