"""Claims about the learned function."""

from __future__ import annotations

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.least_action.results import PublishedLeastAction

SMOOTH = "low_frequency_share"


def _rises(results: PublishedLeastAction) -> Verdict:
    networks = results.compared
    shares = [n.column("sum_share") for n in networks]
    memorised = [
        s[n.column("train_accuracy") >= 0.98][0] for n, s in zip(networks, shares, strict=True)
    ]
    then = [s[n.generalised_row] for n, s in zip(networks, shares, strict=True)]
    return Verdict(
        max(memorised) < min(then),
        {
            "before": extent((s[0] for s in shares), ".1%"),
            "memorised": extent(memorised, ".1%"),
            "then": extent(then, ".0%"),
            "end": extent((s[-1] for s in shares), ".0%"),
            "chance": 1 / (results.grid.p + 1),
        },
    )


RISES = Claim(
    name="sum-share-rises",
    says="With generalisation the logits become, for the most part, a function of a + b.",
    evidence="The share of their power in functions of the sum is {before} before training, "
    "{memorised} when the training pairs are known, {then} when the other test pairs are, and "
    "{end} at the end. In a function at random it is about {chance:.1%}.",
    decide=_rises,
    seeds=3,
    null="the same networks when they have memorised",
    refuted_by="a network that knows its training pairs only, and has a larger share than one "
    "that has generalised.",
)


def _smooth(results: PublishedLeastAction) -> Verdict:
    networks = results.compared
    memorised, then = [], []
    for network in networks:
        share = network.column(SMOOTH)
        memorised.append(float(share[network.column("train_accuracy") >= 0.98][0]))
        then.append(float(share[network.generalised_row]))
    return Verdict(
        min(then) < max(memorised),
        {
            "memorised": extent(memorised, ".2f"),
            "then": extent(then, ".2f"),
            "fell": sum(t < m for t, m in zip(then, memorised, strict=True)),
            "count": len(networks),
        },
    )


SMOOTH_CLAIM = Claim(
    name="smooth-is-not-general",
    says="The share of low frequencies does not tell a network that has generalised from one that "
    "remembers.",
    evidence="It is {memorised} when the training pairs are known and {then} when the other test "
    "pairs are, and fell in between in {fell} of {count} transformers: it says which frequencies "
    "a network happens to use.",
    decide=_smooth,
    seeds=3,
    null="the same networks when they have memorised",
    refuted_by="a level that separates the two in all networks.",
    replaces="the work this examines: spectral smoothness rises with generalisation. Its measure "
    "also had the mean of the function in it, and took class numbers for values.",
)

CLAIMS = (RISES, SMOOTH_CLAIM)
