"""The top of the spectrum of the networks that are followed, and what its eigenvectors do."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hdlib import figures
from hdlib.experiments.least_action.figures.drawn import followed, logarithmic
from hdlib.experiments.least_action.results import LeastActionResults, Top
from hdlib.figures import Curve
from hdlib.figures.axes import Scale, colour_bar
from hdlib.figures.style import WIDTH, style

LARGEST, OTHERS = "largest eigenvalue", "the next ones"


def spectra(results: LeastActionResults, *, xscale: Scale = "linear") -> Figure:
    """Largest eigenvalues at checkpoints of the first seed of each followed arm, by rank."""
    panels = {}
    for arm, (network, *_) in followed(results).items():
        tops = {step: top.eigenvalues[::-1] for step, top in network.spectra.items()}
        found: dict[str, list[Curve]] = {}
        for rank in range(max(map(len, tops.values()))):
            known = {step: values[rank] for step, values in tops.items() if rank < len(values)}
            curve = Curve(list(known), list(known.values()))
            found.setdefault(OTHERS if rank else LARGEST, []).append(curve)
        panels[arm] = logarithmic(found, "eigenvalue")
    return figures.curves(panels, columns=2, xscale=xscale)


def densities(results: LeastActionResults) -> Figure:
    """The density of the whole spectrum at the last checkpoint of each followed arm."""
    return figures.density({name: top.density for name, top in last_tops(results).items()})


def dendrograms(results: LeastActionResults) -> Figure:
    """Dendrograms of what is known at the top at the last checkpoint of each followed arm."""
    return figures.dendrogram({name: top.spectrum for name, top in last_tops(results).items()})


@style()
def eigenvector_frequencies(results: LeastActionResults) -> Figure:
    """Which frequencies of the classes the leading eigenvectors move, at the last checkpoint.

    A row a followed arm: left, share of each frequency in what each eigenvector does to the logits;
    right, the same of a random rotation of these eigenvectors, which leaves nothing of their own.
    """
    tops = last_tops(results)
    rows = max(len(top.null) for top in tops.values())
    fig, axes = plt.subplots(
        len(tops),
        2,
        figsize=(WIDTH, 0.8 + (0.5 + 0.11 * rows) * len(tops)),
        sharex=True,
        squeeze=False,
    )
    most = max(
        float(shares.max()) for top in tops.values() for shares in (top.frequencies, top.null)
    )
    image = None
    for (left, right), (name, top) in zip(axes, tops.items(), strict=True):
        for ax, shares, title in (
            (left, top.frequencies[::-1], name),
            (right, top.null, "rotated at random"),
        ):
            count, frequencies = shares.shape
            extent = (0.5, frequencies + 0.5, count + 0.5, 0.5)
            image = ax.imshow(shares, norm=Normalize(0, most), cmap="Blues", extent=extent)
            ax.set(title=title, aspect="auto", xticks=_ticks(frequencies), yticks=_ticks(count))
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
        left.set_ylabel("rank")
        right.set_yticks([])  # rotated ones have no rank
    for ax in axes[-1]:
        ax.set_xlabel("frequency of the classes")
    if image is not None:
        colour_bar(fig, image, axes.ravel().tolist(), "share of the energy of J v")
    return fig


def last_tops(results: LeastActionResults) -> dict[str, Top]:
    """The top of the spectrum at the last checkpoint of the first seed, by followed arm."""
    return {
        f"{name}, step {max(network.spectra):,}": network.spectra[max(network.spectra)]
        for name, (network, *_) in followed(results).items()
    }


def _ticks(count: int) -> list[int]:
    every = 1 if count <= 8 else 2 if count <= 16 else 5
    return np.arange(1, count + 1, every).tolist()
