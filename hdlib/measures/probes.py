"""Linear probes: what a hyperplane can read off a layer's activations (Alain & Bengio 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FOLDS = 3
"""Of the cross-validation that chooses the regularisation."""
ITERATIONS = 10_000
"""Far more than L-BFGS needs; reaching them is an error."""
RIDGES = np.logspace(-2, 6, 9)
"""Penalties of which a regression takes the best for each target."""


def linear_probe(
    features: FloatArray,
    labels: BoolArray,
    fitted: BoolArray,
    *,
    strengths: Sequence[float],
    groups: NDArray[np.int64] | None = None,
) -> FloatArray:
    """Decision values of a logistic regression that was fitted on some of the rows.

    Features are standardised, and classes weighted as if they were equally frequent. The inverse
    strength C of the L2 penalty is the one with the greatest area under the ROC curve in
    cross-validation within the fitted rows, in shuffled folds: neighbouring rows may be alike, and
    folds of neighbours would ask for something else. Where only one C is given there is nothing to
    choose.

    Args:
        features: (n, d) activations.
        labels: (n,), both values at least three times among the fitted rows.
        fitted: (n,), the rows that the probe sees.
        strengths: values of C, positive.
        groups: (n,) numbers of groups of rows that are alike, which folds do not part; none where
            it is None.

    Returns:
        (n,) float64, positive where the probe says yes, of all rows.

    Raises:
        ValueError: if a label has too few fitted rows.
        ConvergenceWarning: as an error, if the regression does not converge.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    known = labels[fitted]
    if (fewest := int(min(known.sum(), (~known).sum()))) < FOLDS:
        raise ValueError(
            f"a label has {fewest} of {len(known)} fitted rows; at least {FOLDS} are needed"
        )
    regression = LogisticRegression(class_weight="balanced", max_iter=ITERATIONS)
    probe = Pipeline([("standardised", StandardScaler()), ("regression", regression)])
    if len(strengths) == 1:
        probe.set_params(regression__C=strengths[0])
    else:
        alike = np.flatnonzero(fitted) if groups is None else groups[fitted]
        folds = PredefinedSplit(_folds(known, alike))
        probe = GridSearchCV(probe, {"regression__C": list(strengths)}, cv=folds, scoring="roc_auc")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        probe.fit(features[fitted], known)
    return probe.decision_function(features)


def _folds(labels: BoolArray, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) number of each row's fold: groups are dealt out at random, label by label."""
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    folds = np.empty(len(first), dtype=np.int64)
    folds[order] = np.arange(len(first)) % FOLDS
    return folds[members]


def regression_probe(features: FloatArray, targets: FloatArray, fitted: BoolArray) -> FloatArray:
    """Predictions of ridge regressions that were fitted on some of the rows.

    Features are standardised; each target has the penalty that is best in leave-one-out
    cross-validation within the fitted rows.

    Args:
        features: (n, d) activations.
        targets: (n, m) numbers, m ≥ 2.
        fitted: (n,) bool, the rows that the probe sees.

    Returns:
        (n, m) float64, of all rows.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeCV(RIDGES, alpha_per_target=True))
    probe.fit(features[fitted], targets[fitted])
    return probe.predict(features)


def balanced_accuracy(predicted: BoolArray, labels: BoolArray) -> float:
    """Mean of the shares of each label's rows that are right: 1/2 for any constant.

    NaN where a label has no row.
    """
    if labels.all() or not labels.any():
        return float("nan")
    return float((predicted[labels].mean() + (~predicted[~labels]).mean()) / 2)


def ranking_accuracy(decisions: FloatArray, labels: BoolArray) -> float:
    """Area under the ROC curve: how often a "yes" has a higher decision value than a "no".

    1/2 for a constant, whatever the share of "yes"; ties count half. NaN where a label has no row.
    """
    from scipy.stats import rankdata

    yes = int(labels.sum())
    no = len(labels) - yes
    if not yes or not no:
        return float("nan")
    ranks = rankdata(decisions)
    return float((ranks[labels].sum() - yes * (yes + 1) / 2) / (yes * no))


def explained(predicted: FloatArray, targets: FloatArray) -> FloatArray:
    """R² of each target: 1 less the squared error over that of the mean, (m,).

    NaN where there is no row.

    Args:
        predicted: (n, m).
        targets: (n, m), none of them constant.
    """
    if not len(targets):
        return np.full(targets.shape[1], np.nan)
    error = ((targets - predicted) ** 2).sum(0)
    return 1 - error / ((targets - targets.mean(0)) ** 2).sum(0)
