"""Claims about the two parts of the Hessian: groups of their own, and how large they are."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.fiedler.claims.modules import AFTER, BEFORE, CLASSES, UNITS
from hdlib.experiments.fiedler.parts import (
    likeness,
    part_agreement,
    part_linkages,
    ratios,
    totals,
)
from hdlib.experiments.fiedler.results import PublishedFiedler

SPLIT = 3.0
"""A height beneath the branches of the residual's tree."""


def _two_structures(found: PublishedFiedler) -> Verdict:
    parts = [part_agreement(results) for results in found.both]
    values = {
        f"{part}_{name}": np.concatenate([agreement[part][labels] for agreement in parts])
        for part in ("R", "G")
        for name, labels in (("units", UNITS), ("classes", CLASSES))
    }
    return Verdict(
        bool(
            values["R_units"].min() > 0.84
            and np.abs(values["R_classes"]).max() < 0.01
            and values["G_classes"].min() > 0.32
            and values["G_units"].max() < 0.13
        ),
        {name: extent(np.round(v, 2) + 0.0, ".2f") for name, v in values.items()},
    )


def _classes_before_learning(found: PublishedFiedler) -> Verdict:
    classes = [part_agreement(results)["G"][CLASSES] for results in found.both]
    first, last = ([values[at] for values in classes] for at in (0, -1))
    return Verdict(
        min(first) > 0.8 and all(values.argmax() == 0 for values in classes),
        {"first": extent(first, ".2f"), "last": extent(last, ".2f")},
    )


def _residual_stays(found: PublishedFiedler) -> Verdict:
    growth: dict[str, list[float]] = {"G": [], "R": []}
    shrunk: dict[str, list[float]] = {"G": [], "R": []}
    for results in found.both:
        steps = results.run.config.parts
        for part, size in totals(results).items():
            growth[part].append(size[steps.index(AFTER)] / size[steps.index(BEFORE)])
            shrunk[part].append(size[-1] / size[steps.index(AFTER)])
    first, last = ([ratios(results)[at] for results in found.both] for at in (0, -1))
    return Verdict(
        bool(
            min(growth["G"]) > 1.9
            and max(abs(r - 1) for r in growth["R"]) < 0.1
            and all(r < g < 0.5 for r, g in zip(shrunk["R"], shrunk["G"], strict=True))
            and min(first) > 0.4
            and max(last) < 0.07
        ),
        {
            "curved": " and ".join(f"{g:.1f}" for g in growth["G"]),
            "residual": " and ".join(f"{r:.2f}" for r in growth["R"]),
            "shrunk_curved": " and ".join(f"{g:.2f}" for g in shrunk["G"]),
            "shrunk_residual": " and ".join(f"{r:.2f}" for r in shrunk["R"]),
            "first": extent(first, ".2f"),
            "last": extent(last, ".2f"),
        },
    )


def _sixteen_branches(found: PublishedFiedler) -> Verdict:
    results, (first, last) = found.default, found.default.run.config.ends
    drawn = part_linkages(results)
    filters = len(next(iter(results.filter_modules("conv2").values())))
    biases = set(range(len(results.labels.layer) - 10, len(results.labels.layer)))
    holds, rest, agreement, branches = True, [], [], {}
    for step in (first, last):
        linkage = drawn[f"step {step:,}: residual"]
        pieces, branches[step], below = np.split(linkage[::-1, 2], [10, 10 + filters - 1])
        clusters = fcluster(linkage, SPLIT, "distance")
        sizes = np.sort(np.bincount(clusters)[1:])
        rest.append(below.max())
        agreement.append(results.agreement(clusters, results.label_sets[UNITS]))
        holds &= bool(
            pieces.min() > 1e11
            and set(leaves_list(linkage)[-10:].tolist()) == biases
            and sizes[:10].tolist() == [1] * 10
            and len(sizes) == 10 + filters
            and sizes[10:].min() > 350
        )
    holds &= min(b.min() for b in branches.values()) > SPLIT > 2.5 > max(rest)
    return Verdict(
        bool(holds and min(agreement) > 0.97),
        {
            "filters": filters,
            "before": extent(branches[first], ".1f"),
            "after": extent(branches[last], ".1f"),
            "rest": max(rest),
            "units": min(agreement),
        },
    )


def _like_one_part(found: PublishedFiedler) -> Verdict:
    like = [likeness(results) for results in found.both]
    before, after = ({part: [v[part][at] for v in like] for part in ("R", "G")} for at in (0, -1))
    return Verdict(
        bool(
            min(before["R"]) > 0.7
            and max(before["G"]) < 0.2
            and min(after["G"]) > 0.55
            and max(after["R"]) < 0.1
        ),
        {
            f"{part}_{name}": " and ".join(f"{value:.2f}" for value in values[part])
            for name, values in (("before", before), ("after", after))
            for part in ("R", "G")
        },
    )


CLAIMS = (
    Claim(
        "two-structures",
        "The Hessian has two structures at once: the modules of the residual are the units of the "
        "second convolution, those of the Gauss–Newton part follow the classes, before training "
        "and after.",
        "At all checkpoints of both seeds R agrees with the units to {R_units} and with the "
        "classes to {R_classes}, G with the classes to {G_classes} and with the units to "
        "{G_units}.",
        _two_structures,
        seeds=2,
        null="the labels of the other part",
        refuted_by="a network of this kind of which one part has other modules, or has them only "
        "after training.",
    ),
    Claim(
        "classes-before-learning",
        "The Gauss–Newton part never follows the classes more closely than before training.",
        "It agrees to {first} at step 0, when it has seen no label, and to {last} at the last "
        "checkpoint: while the network learns to tell the classes apart, the tree of G follows "
        "them less, not more.",
        _classes_before_learning,
        seeds=2,
        null="none",
        refuted_by="a trained network of this kind whose G follows the classes more closely than "
        "at its start.",
    ),
    Claim(
        "residual-stays",
        "Between steps 10 and 50 the residual stays about what it was while the Gauss–Newton part "
        "grows; later both shrink, the residual further.",
        "In the two seeds Σ|G| at step 50 is {curved} times that at step 10, and Σ|R| {residual} "
        "times; at the end Σ|G| is {shrunk_curved} and Σ|R| {shrunk_residual} times that at step "
        "50. Σ|R| / Σ|G| is {first} before training and {last} at the end.",
        _residual_stays,
        seeds=2,
        null="none",
        refuted_by="a network of this kind in which the units leave the modules while G does not "
        "grow against R.",
    ),
    Claim(
        "sixteen-branches",
        "The tree of the residual has the same {filters} long branches before training and at its "
        "end, one for each filter of the second convolution and the weights that read it.",
        "They part between heights {before} before training and {after} at its end, where all "
        "merges beneath are lower than {rest:.1f}, and agree with the units to at least "
        "{units:.2f}. The ten biases of the read-out are coupled with nothing.",
        _sixteen_branches,
        seeds=1,
        null="none",
        refuted_by="a checkpoint at which a filter has no branch of its own.",
    ),
    Claim(
        "like-one-part",
        "Before training the tree of H is like that of its residual; at the end it is like that "
        "of its Gauss–Newton part.",
        "In the two seeds the modules of H agree with those of R to {R_before} before training, "
        "to {R_after} at the end; with those of G to {G_before}, then to {G_after}.",
        _like_one_part,
        seeds=2,
        null="the other part",
        refuted_by="an untrained network of this kind, with the true labels, whose tree is like "
        "that of G, or a trained one's like that of R.",
    ),
)
