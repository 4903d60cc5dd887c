"""Claims about the network that is small enough for all of its eigenvalues."""

from __future__ import annotations

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.grokking.claims.words import listed
from hdlib.experiments.grokking.results import PublishedGrokking
from hdlib.experiments.grokking.small import ALL, CLEAR, FEW
from hdlib.experiments.grokking.whole import zeros_by_symmetry


def _zeros(published: PublishedGrokking) -> Verdict:
    small, chapter = published.sweep.small, published.results.config
    first, *trained = small.steps
    counted, found = small.zeros_by_symmetry, [small.zeros(ALL, step) for step in trained]
    last, following = zip(*map(small.beside_zeros, trained), strict=True)
    of_chapter = zeros_by_symmetry(chapter.width, chapter.n_heads)
    return Verdict(
        bool(len(found) >= 3 and all(count == counted for count in found)),
        {
            "counted": counted,
            "n": small.run.config.n_parameters,
            "steps": listed(trained, ","),
            "found": listed(sorted(set(found)), ","),
            "last": max(last),
            "next": extent(following, ".1g"),
            "before": small.zeros(ALL, first),
            "chapter": of_chapter,
            "of_chapter": chapter.n_parameters,
            "share": of_chapter / chapter.n_parameters,
        },
    )


ZEROS = Claim(
    name="zeros-by-symmetry",
    says="More than a sixth of all eigenvalues of the small network are zero whatever it has "
    "learnt, exactly as many as its symmetries say; of the chapter's network it is a third.",
    evidence="Counted in advance are {counted:,} of {n:,}; found at steps {steps} are {found}, "
    "below 10⁻¹⁵ of the largest. The last of them is at most {last:.0e} of it, the next {next}. "
    "Before training, when not every unit is on for some pairs and off for others, {before:,} are. "
    "For the chapter's network the same count is {chapter:,} of {of_chapter:,}, {share:.0%}; "
    "there they have not been seen one by one.",
    decide=_zeros,
    seeds=1,
    null="none; the number is exact",
    refuted_by="weights of a trained network with another number.",
)


def _ends(published: PublishedGrokking) -> Verdict:
    seen = published.sweep.small.seen
    return Verdict(
        bool(
            len(seen) >= 3
            and all(found.error < 1e-6 for found in seen.values())
            and all(abs(s.counted - s.negative) <= s.uncertain for s in seen.values())
        ),
        {
            "steps": listed(list(seen), ","),
            "certified": extent([found.certified for found in seen.values()], "d"),
            "error": max(found.error for found in seen.values()),
            "negative": listed([found.negative for found in seen.values()], ","),
            "counted": ", ".join(f"{s.counted:,.0f} ± {s.uncertain:,.0f}" for s in seen.values()),
        },
    )


ENDS_ARE_RIGHT = Claim(
    name="ends-are-right",
    says="What Lanczos and quadrature say of a spectrum is what is found when all of it is known.",
    evidence="At steps {steps} the {certified} pairs that are certified from the ends on are those "
    "of the whole spectrum to {error:.0e} of the largest eigenvalue. Clearly negative, below −10⁻⁴ "
    "of it, are {negative}; the quadrature has {counted}, with all that it leaves open and two "
    "standard errors.",
    decide=_ends,
    seeds=1,
    null="a tridiagonalisation of the same Hessians",
    refuted_by="a certified pair that is not there, or a count outside of what is left open.",
)


def _one_matrix(published: PublishedGrokking) -> Verdict:
    small = published.sweep.small
    found = [small.spacing_ratio(step) for step in small.steps]
    return Verdict(
        bool(len(found) >= 3 and min(found) > 0.51),
        {"found": extent(found, ".3f"), "clear": CLEAR},
    )


ONE_MATRIX = Claim(
    name="one-matrix",
    says="All the rest repel one another as eigenvalues of a single random matrix do, before "
    "training, through it and at its end: where neighbours lie says nothing of parts.",
    evidence="The mean ratio of neighbouring spacings is {found} at all checkpoints, of the "
    "eigenvalues above {clear:.0e} of the largest; 0.531 is that of one random matrix, and of two "
    "parts that share nothing it would be 0.423.",
    decide=_one_matrix,
    seeds=1,
    null="one random matrix, and two of them laid over one another",
    refuted_by="a generalising network whose eigenvalues repel less than those of one matrix.",
)


def _few_pairs(published: PublishedGrokking) -> Verdict:
    small = published.sweep.small
    _, *trained = small.steps
    largest = [small.eigenvalues[FEW][s][-1] / small.eigenvalues[ALL][s][-1] for s in trained]
    largest += [draw.largest for draw in small.draws]
    negative = [small.negative(sample, trained[-1]) for sample in (ALL, FEW)]
    whole, first = (small.gap(sample, trained[-1]) for sample in (ALL, FEW))
    drawn = [first, *(draw.gap for draw in small.draws)]
    standing = sum(test.stands_out for test in drawn)
    return Verdict(
        bool(
            max(*largest, *(1 / ratio for ratio in largest)) < 2
            and whole.stands_out
            and 0 < standing < len(drawn)
        ),
        {
            "largest": extent(largest, ".2f"),
            "end": trained[-1],
            "rank": whole.rank,
            "p": whole.p,
            "standing": standing,
            "drawn": len(drawn),
            "few": ", ".join(f"{test.rank} (p = {test.p:.2g})" for test in drawn),
            "negative_all": negative[0],
            "negative_few": negative[1],
        },
    )


FEW_PAIRS = Claim(
    name="few-pairs",
    says="From 200 training pairs the largest eigenvalue is right to a factor of two; whether the "
    "gap is seen that all pairs show at the end of training depends on which 200.",
    evidence="After training has begun the largest is {largest} times that of all pairs. At step "
    "{end:,} the gap that stands out most is below rank {rank} from all pairs (p = {p:.2g}); from "
    "{drawn} draws of 200 it is below {few}, and stands out in {standing}. Clearly negative are "
    "{negative_all} and, from the first draw, {negative_few}.",
    decide=_few_pairs,
    seeds=1,
    null="featureless spectra, searched in the same way",
    refuted_by="more draws of 200 pairs that all show the gap, or none.",
)

CLAIMS = (ZEROS, ENDS_ARE_RIGHT, ONE_MATRIX, FEW_PAIRS)
"""In the order of the section."""
