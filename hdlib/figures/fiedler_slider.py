"""Fiedler trees that a reader can move through training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from hdlib.figures.fiedler import HEIGHT, checked_tree
from hdlib.figures.linkage import checked_linkage, height_axis, tree_top
from hdlib.figures.player import branches, leaves, player, tops
from hdlib.figures.tree import number
from hdlib.figures.validation import checked_array, checked_steps, require_positive

IntArray = NDArray[np.int64]


def fiedler_slider(
    steps: ArrayLike,
    linkages: Sequence[ArrayLike],
    describe: Callable[[int, IntArray], str],
    *,
    measures: Mapping[str, ArrayLike] | None = None,
    merges: int = 30,
) -> go.Figure:
    """The Fiedler tree of a checkpoint, with a slider over checkpoints and buttons to play them.

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
    n = len(checked_linkage("linkages[0]", linkages[0])) + 1
    trees = [checked_tree(f"linkages[{t}]", linkage, n) for t, linkage in enumerate(linkages)]
    told = {
        label: checked_array(f"measures[{label!r}]", values, (len(steps), n - 1))
        for label, values in (measures or {}).items()
    }
    low, high, scale = height_axis(np.concatenate([tree[-merges:, 2] for tree in trees]))
    limits = [low, high] if scale == "linear" else [np.log10(low), np.log10(high)]

    frames = []
    for t, (step, tree) in enumerate(zip(steps.tolist(), trees, strict=True)):
        top = tree_top(tree, merges=merges, floor=low, spread="clusters")
        splits = []
        for row, (begin, end) in zip(top.rows, top.spans, strict=True):
            facts = [f"height {number(tree[row, 2])}"]
            facts += [f"{label} {number(values[t, row])}" for label, values in told.items()]
            splits.append(f"{', '.join(facts)}<br>{_members(top.order[begin:end], t, describe)}")
        traces = [
            branches(top.brackets),
            tops(top.brackets, {"text": splits, "hovertemplate": "%{text}<extra></extra>"}),
            leaves(top.sizes, low, [_members(part, t, describe) for part in top.clusters]),
        ]
        ticks = {
            "tickvals": list(range(len(top.sizes))),
            "ticktext": [str(size) for size in top.sizes],
        }
        frames.append(go.Frame(name=str(step), data=traces, layout={"xaxis": ticks}))
    return player(
        frames,
        title=f"{n} parameters",
        leaves=min(merges, n - 1) + 1,
        leaf_axis="clusters in the order of the tree: number of parameters",
        yaxis={"title": HEIGHT, "type": scale, "range": [float(f"{end:.4g}") for end in limits]},
        bottom=90,
    )


def _members(cluster: IntArray, t: int, describe: Callable[[int, IntArray], str]) -> str:
    plural = "s" if len(cluster) > 1 else ""
    return f"{len(cluster)} parameter{plural}<br>{describe(t, cluster)}"
