"""Claims about the mixture of the Hessian's two parts, set by hand or by the labels."""

from __future__ import annotations

from hdlib.display import extent
from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.fiedler.claims.modules import CLASSES, UNITS
from hdlib.experiments.fiedler.measures import RATIOS
from hdlib.experiments.fiedler.parts import (
    mixture_agreement,
    part_agreement,
    shuffled_agreement,
    shuffled_totals,
    totals,
)
from hdlib.experiments.fiedler.results import PublishedFiedler

FEW, BETWEEN, MANY = RATIOS[0], RATIOS[2], RATIOS[3]
"""Σ|R| / Σ|G| with the classes as modules, hardly yet with the units, and with them."""


def _mixture_decides(found: PublishedFiedler) -> Verdict:
    mixed, own = {}, {}
    for results in found.both:
        for step, at in zip(results.run.config.ends, (0, -1), strict=True):
            key = results.run.config.seed, at
            mixed[key] = mixture_agreement(results, step)
            own[key] = part_agreement(results)["G"][CLASSES][at]
    few, between, many = map(RATIOS.index, (FEW, BETWEEN, MANY))
    units = {i: [values[UNITS][i] for values in mixed.values()] for i in (few, between, many)}
    classes = {key: values[CLASSES][few] for key, values in mixed.items()}
    return Verdict(
        bool(
            min(units[many]) > 0.84
            and max(values[CLASSES][many] for values in mixed.values()) < 0.01
            and max(units[few]) < 0.13
            and max(units[between]) < 0.3
            and all(abs(classes[key] - own[key]) < 0.05 for key in mixed)
        ),
        {
            "few": FEW,
            "between": BETWEEN,
            "many": MANY,
            "units": extent(units[many], ".2f"),
            "units_few": max(units[few]),
            "units_between": max(units[between]),
            "untrained": extent((v for (_, at), v in classes.items() if at == 0), ".2f"),
            "trained": extent((v for (_, at), v in classes.items() if at == -1), ".2f"),
        },
    )


def _units_come_back(found: PublishedFiedler) -> Verdict:
    units = [shuffled_agreement(results)[UNITS][-1] for results in found.both]
    true = [results.label_agreement[UNITS][-1] for results in found.both]
    ratio = [shuffled_totals(results)[-1] / totals(results)["G"][-1] for results in found.both]
    return Verdict(
        bool(min(ratio) > 1 and min(units) > 0.9 and max(true) < 0.1),
        {
            "ratio": extent(ratio, ".1f"),
            "units": extent(units, ".2f"),
            "true": extent(true, ".2f"),
        },
    )


def _units_need_labels(found: PublishedFiedler) -> Verdict:
    first, second = (shuffled_agreement(results) for results in found.both)
    shares = [shuffled_totals(results)[0] / totals(results)["R"][0] for results in found.both]
    return Verdict(
        bool(
            all(0.45 < share < 0.55 for share in shares)
            and first[UNITS][0] > 0.5 > first[CLASSES][0]
            and second[CLASSES][0] > 0.5 > second[UNITS][0]
        ),
        {
            "share": extent(shares, ".2f"),
            "first": first[UNITS][0],
            "second": second[CLASSES][0],
            "second_units": second[UNITS][0],
        },
    )


CLAIMS = (
    Claim(
        "mixture-decides",
        "What the tree shows is the mixture: units where the residual is {many} of the "
        "Gauss–Newton part, classes where it is {few} of it, in untrained and trained networks "
        "alike.",
        "At {many} the modules agree with the units to {units} and not with the classes. At {few} "
        "they agree with the classes as those of G do, to {untrained} untrained and {trained} "
        "trained, and with the units to at most {units_few:.2f}. At {between} that is at most "
        "{units_between:.2f} still: the change comes between {between} and {many}.",
        _mixture_decides,
        seeds=2,
        null="the same network with its own mixture",
        refuted_by="a checkpoint where scaling the residual does not change the modules.",
        replaces='"within fifty steps the units give way to classes". That described the sum, and '
        "was wrong about what it is made of.",
    ),
    Claim(
        "units-come-back",
        "For shuffled labels the modules of a trained network are its units, as if it had never "
        "been trained.",
        "It does not fit them: its residual is {ratio} times its Gauss–Newton part, and its "
        "modules agree with the units to {units}; for the labels of the data to {true}.",
        _units_come_back,
        seeds=2,
        null="the labels of the data",
        refuted_by="a trained network whose residual for shuffled labels is larger than G while "
        "its modules are not the units.",
    ),
    Claim(
        "units-need-labels",
        "An untrained network's tree has its units as long as the labels are the true ones; for "
        "shuffled ones that of the second seed follows the classes.",
        "Shuffled labels make the residual {share} of what it was. In the first seed it stays "
        "large enough for units ({first:.2f}); in the second the agreement is {second:.2f} with "
        "the classes and {second_units:.2f} with the units.",
        _units_need_labels,
        seeds=2,
        null="the labels of the data",
        refuted_by="an untrained network of this kind whose tree has not its units with the true "
        "labels.",
    ),
)
