"""The dendrogram through training as a moving picture."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image as Picture

from hdlib.figures.dendrogram import EIGENVALUE_AXIS, draw_eigenvalues, eigenvalue_count
from hdlib.figures.style import BLUE, INK, MUTED, VERMILLION, WIDTH, style
from hdlib.figures.tree import eigenvalue_tree, gap_limits
from hdlib.figures.validation import require_positive
from hdlib.trajectory import Trajectory

if TYPE_CHECKING:
    from IPython.core.display import Image

FRAME_DPI = 110
SHADES = 12


@style()
def dendrogram_animation(trajectory: Trajectory, *, merges: int = 30, frame_ms: int = 600) -> Image:
    """The dendrogram of each checkpoint in turn, as an animated PNG on fixed axes.

    Needs IPython. Trees are drawn as `hdlib.figures.dendrogram` draws them.

    Args:
        trajectory: the spectra.
        merges: how many merges to draw in each frame.
        frame_ms: how long a frame shows, in milliseconds.

    Returns:
        An image of type image/png with T frames, which loops.

    Raises:
        ValueError: for a number that is not positive.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    from IPython.core.display import Image

    require_positive("merges", merges)
    require_positive("frame_ms", frame_ms)
    trees = trajectory.dendrograms
    limits = gap_limits(trees, merges=merges)

    # A layout that followed the labels would make the axes jump from frame to frame.
    fig = plt.figure(figsize=(WIDTH, 4.6), dpi=FRAME_DPI, layout="none")
    canvas = FigureCanvasAgg(fig)
    ax = fig.add_axes((0.09, 0.37, 0.9, 0.56))
    fig.text(0.54, 0.015, EIGENVALUE_AXIS, ha="center", size=10)
    frames: list[Picture.Image] = []
    for step, dendro in zip(trajectory.steps, trees, strict=True):
        ax.clear()
        draw_eigenvalues(ax, eigenvalue_tree(dendro, merges=merges, floor=limits[0]), limits)
        ax.set_xlim(-0.8, min(merges, len(dendro.heights)) + 0.8)
        ax.set_title(f"step {step:,} ({eigenvalue_count(dendro)})")
        canvas.draw()
        frames.append(Picture.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))

    palette = _palette()
    first, *others = (
        frame.quantize(palette=palette, dither=Picture.Dither.NONE) for frame in frames
    )
    buffer = BytesIO()
    first.save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=others,
        duration=frame_ms,
        loop=0,
        optimize=True,
    )
    return Image(data=buffer.getvalue(), format="png")


def _palette() -> Picture.Image:
    """Shades of the colours of a tree, from the colour itself to white, as smooth lines need."""
    inks = np.array([to_rgb(colour) for colour in (INK, BLUE, VERMILLION, MUTED)])
    towards_white = np.linspace(0, 1, SHADES)[:, None, None]
    shades = inks * (1 - towards_white) + towards_white
    palette = Picture.new("P", (1, 1))
    palette.putpalette(np.round(255 * shades).astype(int).ravel().tolist())
    return palette
