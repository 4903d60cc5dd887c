"""Reported of probes, and of the frequencies that networks use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdlib.experiments.emergence.config import ORIGINAL as SETTING
from hdlib.experiments.emergence.probing import FITTED, SHUFFLED, TRUE
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.training import READ
from hdlib.experiments.reported.record import ORIGINAL, Control, Reported
from hdlib.experiments.reported.rules import about, at_least

Array = NDArray[np.float64]
Ours = Callable[[PublishedEmergence], ArrayLike]

PARITY = "parity of x"
SCORES = {16: 0.529, 32: 0.546, 64: 0.545, 128: 0.550, 256: 0.547}
"""Reported accuracies of probes of x even on the logits, by width."""
LAYERS_OF_128 = (0.516, 0.535, 0.550)
"""Those at width 128 on hidden layer 1, hidden layer 2 and the logits."""
DRAWN = (0.76, 0.51, 0.64, 0.55)
"""Those of the published figure of width 128, at four layers."""
KNOWN = {16: 0.81, 32: 0.66, 64: 0.79, 128: 0.85, 256: 0.56}
"""Accuracies of its networks on the pairs that they were trained on, by width."""
MARGIN = 0.01
SECTION = "sec-emergence-original"
TRAINED = SETTING.widths
"""Widths of the original that were trained again in its setting."""
NOT_TRAINED = "this width was not trained here"


def _scores(layer: int, kind: int, width: int | None = None) -> Ours:
    """Scores on the rows that a probe was fitted on, of one width or of all; layer 0 is inputs."""

    def ours(found: PublishedEmergence) -> Array:
        scores = found.original.scores(PARITY, kind, rows=FITTED)[..., layer]
        return scores if width is None else scores[found.original.widths == width]

    return ours


def _logits(width: int, value: float) -> Reported[PublishedEmergence]:
    what = f"x even, accuracy of a probe on the logits, rows it was fitted on, width {width}"
    if width not in TRAINED:
        return _missing(what, f"{value:.3f}")
    return _probe(what, value, -1, width)


def _probe(
    what: str, value: float, layer: int, width: int | None = None
) -> Reported[PublishedEmergence]:
    return Reported(
        work=ORIGINAL,
        what=what,
        says=f"{value:.3f}",
        ours=_scores(layer, TRUE, width),
        form=".3f",
        rule=about(value, margin=MARGIN),
        control=Control("with shuffled labels", _scores(layer, SHUFFLED, width)),
        seeds=3,
        section=SECTION,
    )


def _missing(what: str, says: str, apart: str = NOT_TRAINED) -> Reported[PublishedEmergence]:
    return Reported(
        work=ORIGINAL,
        what=what,
        says=says,
        ours=None,
        rule=None,
        seeds=0,
        section=SECTION,
        apart=apart,
    )


def _known(width: int, value: float) -> Reported[PublishedEmergence]:
    what = f"accuracy on training pairs, width {width}"
    if width not in TRAINED:
        return _missing(what, f"{value:.0%}")

    def ours(found: PublishedEmergence) -> Array:
        results = found.original
        return results.logged("train_accuracy")[results.widths == width]

    return Reported(
        work=ORIGINAL,
        what=what,
        says=f"{value:.0%}",
        ours=ours,
        form=".0%",
        rule=None,
        seeds=3,
        section=SECTION,
        apart="fewer pairs, and a fifth of the steps",
    )


def _more_frequencies(found: PublishedEmergence) -> Array:
    """Frequencies that are read off the last hidden layer, of the widest over the narrowest."""
    counts = (found.main.waves()[..., -2, :, :].mean(-1) > READ).sum(-1)
    return counts[-1] / counts[0]


RECORDS: tuple[Reported[PublishedEmergence], ...] = (
    *(_logits(width, value) for width, value in SCORES.items()),
    _probe(
        "the same on the first hidden layer, reported of width 128; ours: all widths",
        LAYERS_OF_128[0],
        1,
    ),
    _missing("the same on the second hidden layer, width 128", f"{LAYERS_OF_128[1]:.3f}"),
    Reported(
        work=ORIGINAL,
        what="its figure of the same at four layers, width 128; ours: all layers and widths",
        says=", ".join(map(str, DRAWN)),
        ours=lambda found: found.original.scores(PARITY, TRUE, rows=FITTED),
        form=".2f",
        rule=None,
        known="the script that draws it draws random numbers",
        seeds=3,
        section=SECTION,
    ),
    *(_known(width, value) for width, value in KNOWN.items()),
    _missing(
        "a later version: probes of f(g(x)) and of g(x)",
        "99.9% and 1.7%",
        "composed functions were not trained here",
    ),
    Reported(
        work="@ding2024survival",
        what="wider networks keep more frequencies; ours: those that are read off the last hidden "
        "layer, widest over narrowest network",
        says="more",
        ours=_more_frequencies,
        form=".1f",
        rule=at_least(1.5),
        seeds=3,
        section="sec-emergence-probes",
    ),
)
