"""Claims about the modules of the tree: what they are, and what they are not."""

from __future__ import annotations

import numpy as np

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.fiedler.results import FiedlerResults, PublishedFiedler

UNITS, CLASSES, LAYERS = "units of conv2", "classes of linear", "layers"
BEFORE, AFTER = 10, 50
"""The last checkpoint with the units as modules, and the first without."""


def _units_then_classes(found: PublishedFiedler) -> Verdict:
    def phases(name: str) -> tuple[np.ndarray, np.ndarray]:
        values = [results.label_agreement[name] for results in found.both]
        steps = [results.steps for results in found.both]
        return (
            np.concatenate([v[t <= BEFORE] for v, t in zip(values, steps, strict=True)]),
            np.concatenate([v[t >= AFTER] for v, t in zip(values, steps, strict=True)]),
        )

    (units, units_later), (classes, classes_later) = phases(UNITS), phases(CLASSES)
    return Verdict(
        bool(
            units.min() > 0.7
            and units_later.max() < 0.1
            and classes.max() < 0.1
            and 0.27 < classes_later.min() <= classes_later.max() < 0.65
        ),
        {
            "units": extent(units, ".2f"),
            "units_later": units_later.max(),
            "classes": classes.max(),
            "classes_later": extent(classes_later, ".2f"),
        },
    )


def _a_module_a_filter(found: PublishedFiedler) -> Verdict:
    results = found.default
    early = results.module_counts[results.steps <= BEFORE]
    first, *later = results.module_shares()[1].values()
    counts = [len(sizes) for sizes in later]
    frames = {
        layer: [len(set(modules.tolist())) for modules in results.filter_modules(layer).values()]
        for layer in ("conv1", "conv2")
    }
    filters = len(next(iter(results.filter_modules("conv2").values())))
    return Verdict(
        bool(
            (early == filters).all()
            and frames["conv2"][0] == filters
            and max(counts) <= 6
            and max(frames["conv2"][1:]) <= 4
            and first.max() < 2 * first.min()
        ),
        {
            "before": filters,
            "after": extent(counts),
            "sizes": extent(first.tolist(), ","),
            "sizes_later": extent(np.concatenate(later).tolist(), ","),
            "conv1": ", ".join(map(str, frames["conv1"])),
            "conv2": ", ".join(map(str, frames["conv2"])),
        },
    )


def _original_finds_neither(found: PublishedFiedler) -> Verdict:
    agreement = found.default.original_agreement
    most = max(agreement[name].max() for name in (UNITS, CLASSES))
    return Verdict(bool(most < 0.2), {"most": most})


def _silent_numbers(found: PublishedFiedler) -> Verdict:
    counts, others = found.second.uncoupled, found.default.uncoupled
    # Ten weights read each number that is zero for every image.
    silent = found.second.isolated[1:, found.second.layers.index("linear")]
    return Verdict(
        bool(
            not others.any() and counts[0] == 0 and counts[1:].min() > 0 and not (silent % 10).any()
        ),
        {"silent": extent((silent // 10).tolist()), "parameters": extent(counts[1:].tolist())},
    )


def _not_the_layers(found: PublishedFiedler) -> Verdict:
    both = found.both
    layers = max(np.abs(results.label_agreement[LAYERS]).max() for results in both)
    null = max(np.abs(v).max() for results in both for v in results.null_agreement.values())
    gain = min((r.modularity["tree"] / r.modularity["null"]).min() for r in both)
    return Verdict(
        bool(layers < 0.1 and null < 0.05 and gain > 5),
        {"layers": layers, "null": null, "gain": gain},
    )


def _outliers_open_elsewhere(found: PublishedFiedler) -> Verdict:
    results = found.second
    gap = {step: _ninth_over_tenth(results, step) for step in (BEFORE, AFTER)}
    units = {step: results.label_agreement[UNITS][results.at(step)] for step in gap}
    return Verdict(
        bool(gap[BEFORE] > 1.5 > gap[AFTER] and units[BEFORE] > 0.7 and units[AFTER] < 0.1),
        {
            "gap": gap[BEFORE],
            "gap_later": gap[AFTER],
            "units": units[BEFORE],
            "units_later": units[AFTER],
        },
    )


def _ninth_over_tenth(results: FiedlerResults, step: int) -> float:
    eigenvalues = results.eigenvalues(step)[::-1]
    return float(eigenvalues[8] / eigenvalues[9])


CLAIMS = (
    Claim(
        "units-then-classes",
        "Up to step 10 the modules are the units of the second convolution; from step 50 on they "
        "are not, and follow the classes instead, never closely.",
        "Agreement (adjusted Rand index) with the units is {units} at first and at most "
        "{units_later:.2f} later; with the classes at most {classes:.2f} at first and "
        "{classes_later} later.",
        _units_then_classes,
        seeds=2,
        null="couplings permuted within each block of two layers, which finds neither",
        refuted_by="a network of this kind whose modules before training are not its units, or "
        "still are after fifty steps.",
    ),
    Claim(
        "a-module-a-filter",
        "Before training there are {before} modules of like size, one for each filter of the "
        "second convolution; later a handful of very different sizes.",
        "{before} modules of {sizes} parameters, then {after} of {sizes_later}. At the four "
        "checkpoints the filters of the second convolution lie in {conv2} modules, those of the "
        "first in {conv1}.",
        _a_module_a_filter,
        seeds=1,
        null="none",
        refuted_by="other images in the Hessian of the untrained network with which two filters "
        "share a module.",
    ),
    Claim(
        "original-finds-neither",
        "The tree of the original work, combinatorial and cut at the median, finds neither the "
        "units nor the classes.",
        "Cut into as many clusters, it agrees with either to at most {most:.2f}, before training "
        "and at its end.",
        _original_finds_neither,
        seeds=1,
        null="none",
        refuted_by="another number of clusters at which it does.",
    ),
    Claim(
        "silent-numbers",
        "In the second seed some of the 256 numbers that the read-out reads are zero for all of "
        "the 1,000 images, from step 10 on; in the first none are.",
        "{silent} such numbers leave {parameters} parameters without any coupling; the tree takes "
        "them apart first.",
        _silent_numbers,
        seeds=2,
        null="none",
        refuted_by="couplings of these parameters in the Hessian over the same images.",
        replaces='this was said of "every image". Of all 60,000, fewer numbers are zero: 7 at '
        "step 50, 4 at step 469.",
    ),
    Claim(
        "not-the-layers",
        'The tree says more than "these are the layers": it hardly says that at all.',
        "Layers agree with the modules to at most {layers:.2f} at every checkpoint. The null, "
        "which has the layers and nothing else, agrees with no labels to more than {null:.2f}, "
        "and the modularity of the tree is at least {gain:.1f} times that of the null.",
        _not_the_layers,
        seeds=2,
        null="couplings permuted within each block of two layers",
        refuted_by="a checkpoint whose modules are the layers, or whose null has like modularity.",
    ),
    Claim(
        "outliers-open-elsewhere",
        "In the second seed nine eigenvalues are clear of the rest while the modules are still "
        "the units, and less so when they no longer are.",
        "At step 10 the ninth is {gap:.2f} times the tenth, and the units agree to {units:.2f}; "
        "at step 50 the ratio is {gap_later:.2f}, the agreement {units_later:.2f}.",
        _outliers_open_elsewhere,
        seeds=1,
        null="none",
        refuted_by="other images with which the ninth eigenvalue is not clear of the tenth at "
        "step 10 in this seed.",
        replaces='"units first, classes later", the one giving way to the other as the outliers '
        "open. Neither is so: this seed parts the two, and both structures are there throughout.",
    ),
)
