"""What happens to a network, at which step, and which of two things comes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hdlib.experiments.onset.network import GENERALISED, HALF, Array, FollowedNetwork
from hdlib.training import OTHERS

SHARPEST = "λmax is largest"
FIRST = "first doublet among the leading eigenvectors"
LASTING = "first doublet that stays there"
STAYS = "doublet that stays there"
SEEN = "doublet among the leading eigenvectors"
OUT = "a gap stands out"
DETACHED = "doublet above the gap"
PROMINENT = "more of the logits than other frequencies"
RISEN = "half of its final share of the logits"
FALLEN = "restricted loss has halved"
KNOWN = "half of the other pairs right"
LEARNT = "95% of the other pairs right"
FLATTER = "learning coefficient has halved"

EVENTS: Mapping[str, Callable[[FollowedNetwork], Array]] = {
    SHARPEST: lambda of: of.steps[of.eigenvalues[:, 0].argmax()].astype(np.float64),
    PROMINENT: lambda of: of.onset(of.prominent),
    FIRST: lambda of: of.onset(of.seen()).min(),
    LASTING: lambda of: of.lasting_onset(of.seen()).min(),
    SEEN: lambda of: of.onset(of.seen()),
    STAYS: lambda of: of.lasting_onset(of.seen()),
    FLATTER: lambda of: np.array(of.flatter),
    FALLEN: lambda of: of.onset(of.restricted <= HALF * of.restricted[0]),
    RISEN: lambda of: of.onset(of.risen),
    KNOWN: lambda of: of.onset(of.column(OTHERS) > HALF),
    LEARNT: lambda of: of.onset(of.column(OTHERS) >= GENERALISED),
    OUT: lambda of: of.onset(of.stands_out),
    DETACHED: lambda of: of.onset(of.detached()),
}
"""Network ↦ step, (K,) for what each key frequency has for itself, else (); infinite if never."""

DRAWS = 2_000


def onsets(network: FollowedNetwork, event: str) -> Array:
    """Step of an event for each key frequency, (K,)."""
    return np.broadcast_to(EVENTS[event](network), len(network.frequencies))


def median_onset(network: FollowedNetwork, event: str) -> float:
    """Median of the step over the key frequencies; infinite where half of them never have it."""
    return float(np.median(onsets(network, event)))


class Precedence(NamedTuple):
    """Which of two events comes first.

    Attributes:
        before: key frequencies with the first event before the second, of all networks.
        same: those with both at one checkpoint, or neither ever.
        after: those with the first after the second, or never.
        never: those with the second alone; they are among ``after``, too.
        networks: how many networks have more of ``before``, and how many more of ``after``.
        p: exact two-sided sign test over the networks.
        share: 95% interval of the share of ``before``, by bootstrap over networks.
    """

    before: int
    same: int
    after: int
    never: int
    networks: tuple[int, int]
    p: float
    share: tuple[float, float]


def precedence(networks: Sequence[FollowedNetwork], first: str, second: str) -> Precedence:
    """Whether one event comes before another, frequency by frequency and network by network.

    Frequencies of one network are not independent: the test counts networks, and the interval
    draws them.

    Args:
        networks: at least one.
        first: name of an event.
        second: name of another.
    """
    pairs = [(onsets(of, first), onsets(of, second)) for of in networks]
    counts = np.array([[(a < b).sum(), (a == b).sum(), (a > b).sum()] for a, b in pairs])
    sign = np.sign(counts[:, 0] - counts[:, 2])
    ahead, behind = int((sign > 0).sum()), int((sign < 0).sum())
    chosen = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    drawn = counts[chosen].sum(1)
    low, high = np.quantile(drawn[:, 0] / drawn.sum(1), (0.025, 0.975))
    before, same, after = counts.sum(0).tolist()
    return Precedence(
        before=before,
        same=same,
        after=after,
        never=sum(int((np.isinf(a) & np.isfinite(b)).sum()) for a, b in pairs),
        networks=(ahead, behind),
        p=sign_test(ahead, behind),
        share=(float(low), float(high)),
    )


def sign_test(ahead: int, behind: int) -> float:
    """Exact two-sided p of so many signs, if both were as likely; 1 where there is none."""
    from scipy.stats import binomtest  # here, as it takes a moment

    return float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0


def mismatched_share(networks: Sequence[FollowedNetwork], first: str, second: str) -> float:
    """Share of key frequencies with the first event before the second *of another network*.

    The second event is taken by the median over that network's frequencies; NaN for one network.
    """
    starts = [onsets(of, first) for of in networks]
    ends = [median_onset(of, second) for of in networks]
    found = [start < end for i, start in enumerate(starts) for j, end in enumerate(ends) if i != j]
    return float(np.concatenate(found).mean()) if found else np.nan


class Coupling(NamedTuple):
    """Whether networks that are early in one thing are early in another.

    Attributes:
        correlation: Spearman's, over networks; NaN where all are as early.
        p: in what part of the pairings of networks at random it is as large: (1 + count) /
            (1 + draws).
    """

    correlation: float
    p: float


def coupling(networks: Sequence[FollowedNetwork], first: str, second: str) -> Coupling:
    """Correlation of two events over networks, against those of one with the steps of another.

    Args:
        networks: those that have the second event.
        first: name of an event; that a network never has it counts as latest.
        second: name of another.
    """
    from scipy.stats import rankdata

    a, b = (rankdata([median_onset(of, name) for of in networks]) for name in (first, second))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    if not size:
        return Coupling(np.nan, 1.0)
    generator = np.random.default_rng(0)
    drawn = np.array([a @ generator.permutation(b) for _ in range(DRAWS)]) / size
    found = float(a @ b) / size
    return Coupling(found, float((1 + (drawn >= found - 1e-9).sum()) / (1 + DRAWS)))
