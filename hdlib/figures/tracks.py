"""Clusters of eigenvalues followed through training, and what their eigenvectors do."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from hdlib.clustering import Tracks
from hdlib.clustering.tracks import BULK
from hdlib.figures.axes import legend, log_axis, step_axis
from hdlib.figures.panel import Panel, draw_panel
from hdlib.figures.style import CATEGORIES, GRID, INK, MUTED, WIDTH, style
from hdlib.figures.validation import checked_array

EVENTS: Mapping[str, tuple[str, str]] = {
    "born": ("^", "born of the bulk"),
    "merged": ("D", "merged"),
    "split": ("v", "split"),
    "died": ("X", "back in the bulk"),
}
NARROWEST, PER_MEMBER, WIDEST = 3.0, 2.0, 26.0
"""Width of a cluster's line, in points: with one member, for each more, and at the most."""


@style()
def cluster_tracks(
    tracks: Tracks,
    eigenvalues: ArrayLike,
    groups: ArrayLike,
    *,
    names: Mapping[int, str],
    panels: Mapping[str, Panel],
    ylabel: str = "eigenvalue λ",
) -> Figure:
    """Clusters as lines through training, their eigenvectors as dots, and panels beneath.

    A line follows a cluster outside the bulk, at its centre on the logarithmic axis; it is as wide
    as the cluster has members, and has the colour of the group that at least half of them are of.
    It goes on where `hdlib.clustering.follow` says so, and marks tell where clusters are born of
    the bulk, sink back into it, merge and split. Each eigenvector is a dot at its eigenvalue, in
    the colour of its group.

    Args:
        tracks: clusters at T checkpoints, in units of the eigenvalues, which are positive.
        eigenvalues: (T, m), descending: the largest ones.
        groups: (T, m) integers, the group of each eigenvector; 0 for none.
        names: group → label, at most eight, in the order of the legend; and of 0, if it has one.
        panels: title → `Panel` drawn beneath over the same steps; its curves have the colours of
            the groups with their labels, others are dark.
        ylabel: what the eigenvalues are.

    Raises:
        ValueError: if arrays do not fit or a group has no name.
    """
    values = checked_array("eigenvalues", eigenvalues, (len(tracks.steps), None))
    kinds = np.asarray(groups)
    if kinds.shape != values.shape:
        raise ValueError(f"groups must be {values.shape}, as eigenvalues, got {kinds.shape}")
    names, no_group = {k: v for k, v in names.items() if k}, names.get(0, "of no group")
    if unknown := set(np.unique(kinds).tolist()) - {0, *names}:
        raise ValueError(f"groups {sorted(unknown)} have no names; there are {[*names]}")
    if len(names) > len(CATEGORIES) - 2:
        raise ValueError(f"names: at most {len(CATEGORIES) - 2} groups, got {len(names)}")
    colours = dict(zip(names, CATEGORIES, strict=False))
    fig, axes = plt.subplots(
        1 + len(panels),
        1,
        figsize=(WIDTH, 4.4 + 1.5 * len(panels)),
        squeeze=False,
        height_ratios=(4.2, *[1.4] * len(panels)),
    )
    ax, *beneath = axes.flat
    _draw_bulk(ax, tracks, values)
    _draw_lines(ax, tracks, values, kinds, colours)
    for group, colour in {0: MUTED, **colours}.items():
        at, rank = np.nonzero(kinds == group)
        size: dict[str, Any] = {"ms": 4.2, "mec": "white", "mew": 0.4}
        if not group:
            size = {"ms": 2.2, "alpha": 0.6}
        ax.plot(tracks.steps[at], values[at, rank], "o", color=colour, zorder=3, **size)
    kinds_seen = _draw_events(ax, tracks)
    log_axis(ax, "y", values)
    ax.set(ylabel=ylabel, ylim=(values.min() * 0.97, values.max() * 1.25))
    labels = {label: colours[group] for group, label in names.items()}
    for below, (title, panel) in zip(beneath, panels.items(), strict=True):
        others = dict.fromkeys([*panel.curves, *panel.points], INK)
        draw_panel(below, panel, others | labels, name=f"panels[{title!r}].", steps=True)
        below.set_title(title)
        below.grid(axis="y")
    for each in (ax, *beneath):
        step_axis(each, tracks.steps, "linear")
        last = each is (ax, *beneath)[-1]
        each.set_xlabel("step" if last else "")
        each.tick_params(labelbottom=last)
    handles: list[Any] = [
        Line2D([], [], color=colour, ls="", marker="o", ms=6, label=label)
        for label, colour in labels.items()
    ]
    handles.append(Line2D([], [], color=MUTED, ls="", marker="o", ms=3, label=no_group))
    handles.append(Patch(color=GRID, label="bulk"))
    for kind in kinds_seen:
        marker, label = EVENTS[kind]
        handles.append(Line2D([], [], color=INK, mfc="white", ls="", marker=marker, label=label))
    legend(fig, handles)
    return fig


def _draw_bulk(ax: Axes, tracks: Tracks, values: NDArray[np.float64]) -> None:
    """The bulk, from the smallest eigenvalue that is shown to its edge."""
    bulk = tracks.track(BULK)
    edges = [bulk[step].upper for step in bulk]
    ax.fill_between([*bulk], values.min() * 0.5, edges, color=GRID, alpha=0.7, lw=0, zorder=0)


def _draw_lines(
    ax: Axes,
    tracks: Tracks,
    values: NDArray[np.float64],
    kinds: NDArray[np.int64],
    colours: Mapping[int, str],
) -> None:
    """A segment of a line between two successive checkpoints of a track, a bar at each of them."""
    position = {step: at for at, step in enumerate(tracks.steps.tolist())}
    for number in range(1, len(tracks)):
        track = tracks.track(number)
        for step, cluster in track.items():
            members = kinds[position[step], cluster.first - 1 : cluster.last]
            look = _look(cluster.size, members, colours)
            ends = [cluster.lower, cluster.upper]
            bar: dict[str, Any] = {**look, "lw": NARROWEST + PER_MEMBER}
            ax.plot([step] * 2, ends, zorder=1, **bar)
        for (step, cluster), (after, following) in pairwise(track.items()):
            members = kinds[position[after], following.first - 1 : following.last]
            centres = [(c.lower * c.upper) ** 0.5 for c in (cluster, following)]
            look = _look(following.size, members, colours)
            ax.plot([step, after], centres, zorder=1, **look)


def _look(size: int, members: NDArray[np.int64], colours: Mapping[int, str]) -> dict[str, Any]:
    """Colour and width of a cluster of so many, of which these are the groups."""
    found, counts = np.unique(members[members > 0], return_counts=True)
    most = int(found[counts.argmax()]) if len(found) and 2 * counts.max() >= size else 0
    return {
        "color": colours.get(most, MUTED),
        "lw": min(NARROWEST + PER_MEMBER * (size - 1), WIDEST),
        "alpha": 0.3,
        "solid_capstyle": "butt",
    }


def _draw_events(ax: Axes, tracks: Tracks) -> list[str]:
    """Marks where clusters are born, merge, split and die; the kinds that there are."""
    before = dict(pairwise(reversed(tracks.steps.tolist())))
    for event in tracks.events:
        step = before[event.step] if event.kind in ("died", "split") else event.step
        for number in event.before if event.kind in ("died", "split") else event.after:
            cluster = tracks.track(number)[step]
            ax.plot(
                step,
                cluster.upper * 1.06,
                EVENTS[event.kind][0],
                color=INK,
                mfc="white",
                ms=5,
                mew=0.9,
                zorder=4,
            )
    seen = {event.kind for event in tracks.events}
    return [kind for kind in EVENTS if kind in seen]
