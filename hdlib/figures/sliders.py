"""Trees that a reader can move through training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.dendrogram import EIGENVALUE_AXIS, HEIGHT, eigenvalue_count
from hdlib.figures.player import branches, leaves, player, tops
from hdlib.figures.style import number
from hdlib.figures.tree import checked_linkage, eigenvalue_tree, gap_limits, height_axis, tree_top
from hdlib.figures.validation import checked_array, checked_steps, require_positive
from hdlib.trajectory import Trajectory

IntArray = NDArray[np.int64]


def dendrogram_slider(trajectory: Trajectory, *, merges: int = 30) -> go.Figure:
    """The dendrogram of a checkpoint, with a slider over checkpoints and buttons to play them.

    The same trees as `hdlib.figures.dendrogram`; a merge under the pointer tells its ε, a leaf its
    members and the range of their eigenvalues. Coordinates are rounded to four significant digits.

    Args:
        trajectory: the spectra.
        merges: how many merges to draw.

    Raises:
        ValueError: if ``merges`` is not positive.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    require_positive("merges", merges)
    limits = gap_limits(trajectory.dendrograms, merges=merges)
    trees = [
        eigenvalue_tree(dendro, merges=merges, floor=limits[0]) for dendro in trajectory.dendrograms
    ]
    frames = []
    for step, tree in zip(trajectory.steps, trees, strict=True):
        spans = [
            f"λ = {number(low)}" if low == high else f"λ from {number(low)} to {number(high)}"
            for low, high in zip(tree.lower, tree.upper, strict=True)
        ]
        texts = [
            f"{members} eigenvalue{'s' if members > 1 else ''}<br>{span}"
            for members, span in zip(tree.members, spans, strict=True)
        ]
        traces = [
            branches(tree.brackets),
            tops(tree.brackets, {"hovertemplate": "merge at ε = %{y:.3g}<extra></extra>"}),
            leaves(tree.members, limits[0], texts),
        ]
        frames.append(_frame(step, traces, tree.labels))
    return player(
        frames,
        title=eigenvalue_count(trajectory.dendrograms[0]),
        leaves=max(len(tree.members) for tree in trees),
        leaf_axis=EIGENVALUE_AXIS,
        yaxis={
            "title": "merge height ε",
            "type": "log",
            "range": (np.log10(limits) - [0.01, 0]).round(4).tolist(),
            "exponentformat": "power",
            "dtick": 1,
        },
    )


def parameter_slider(
    steps: ArrayLike,
    linkages: Sequence[ArrayLike],
    describe: Callable[[int, IntArray], str],
    *,
    measures: Mapping[str, ArrayLike] | None = None,
    merges: int = 30,
) -> go.Figure:
    """The tree of parameters at a checkpoint, with a slider over checkpoints and buttons.

    Each tree is cut just below its ``merges``-th highest merge; the clusters that remain are
    equally far apart, labelled with their number of parameters. A merge and a remaining cluster
    tell under the pointer what is in them; a merge also its height and measures.

    Args:
        steps: (T,) training steps, ascending.
        linkages: T linkage matrices, each (n − 1, 4).
        describe: (checkpoint 0 … T − 1, members) → what to tell of a cluster, in HTML as Plotly
            takes it: ``<br>`` ends a line.
        measures: what else to tell of a merge, say λ₂ of the cluster or the conductance of its
            cut: label → (T, n − 1), in the order of the rows of the linkages.
        merges: how many merges to draw; all where there are fewer.

    Raises:
        ValueError: for bad steps, linkages that are not valid and monotone or are not one a step,
            measures that are not finite or do not fit, or ``merges`` that is not positive.
    """
    steps = checked_steps(steps)
    if len(linkages) != len(steps):
        raise ValueError(f"linkages must be {len(steps)}, one a step, got {len(linkages)}")
    require_positive("merges", merges)
    n = len(np.asarray(linkages[0])) + 1
    trees = [checked_linkage(f"linkages[{t}]", linkage, n) for t, linkage in enumerate(linkages)]
    told = {
        label: checked_array(f"measures[{label!r}]", values, (len(steps), n - 1))
        for label, values in (measures or {}).items()
    }
    low, high, scale = height_axis(np.concatenate([tree[-merges:, 2] for tree in trees]))
    limits = [low, high] if scale == "linear" else [np.log10(low), np.log10(high)]

    def members(t: int, cluster: IntArray) -> str:
        plural = "s" if len(cluster) > 1 else ""
        return f"{len(cluster)} parameter{plural}<br>{describe(t, cluster)}"

    frames = []
    for t, (step, tree) in enumerate(zip(steps, trees, strict=True)):
        top = tree_top(tree, merges=merges, floor=low, spread="clusters")
        splits = []
        for row, (begin, end) in zip(top.rows, top.spans, strict=True):
            facts = [f"height {number(tree[row, 2])}"]
            facts += [f"{label} {number(values[t, row])}" for label, values in told.items()]
            splits.append(f"{', '.join(facts)}<br>{members(t, top.order[begin:end])}")
        traces = [
            branches(top.brackets),
            tops(top.brackets, {"text": splits, "hovertemplate": "%{text}<extra></extra>"}),
            leaves(top.sizes, low, [members(t, part) for part in top.clusters]),
        ]
        frames.append(_frame(step, traces, [str(size) for size in top.sizes]))
    return player(
        frames,
        title=f"{n} parameters",
        leaves=min(merges, n - 1) + 1,
        leaf_axis="clusters in the order of the tree: number of parameters",
        yaxis={"title": HEIGHT, "type": scale, "range": [float(f"{end:.4g}") for end in limits]},
        bottom=90,
    )


def _frame(step: int, traces: list[Any], labels: list[str]) -> go.Frame:
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels}
    return go.Frame(name=str(step), data=traces, layout={"xaxis": ticks})
