"""Why nine: the curvature of the read-out as outputs of a softmax times features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature import lanczos
from hdlib.models import LeNetTiny

TOP = 12
"""Eigenvalues of the read-out's block."""


def readout_curvature(model: LeNetTiny, inputs: Tensor) -> dict[str, NDArray[np.float64]]:
    """The Hessian's block of the read-out, and what it would be if outputs and features were apart.

    With the features h that the read-out reads, a 1 behind them for its bias, and the probabilities
    p, the block is E[(diag p − ppᵀ) ⊗ hhᵀ] over the images: the logits are linear in it, so it has
    no residual. Where p and h vary independently it is E[diag p − ppᵀ] ⊗ E[hhᵀ], with the products
    of their eigenvalues. The first of these has C − 1 that are not zero, one less than outputs; so
    if one direction of the features has most of E[hhᵀ], then C − 1 eigenvalues stand out.

    Args:
        model: network; it becomes one of float64.
        inputs: (N, 1, 28, 28) images.

    Returns:
        Descending: "block", its `TOP` largest eigenvalues; "outputs", (C,), those of
        E[diag p − ppᵀ]; "features", (F + 1,), those of E[hhᵀ].
    """
    *before, last = model.double().children()
    with torch.no_grad():
        read = torch.nn.Sequential(*before)(inputs.double())
        p = last(read).softmax(1).numpy()
        h = torch.nn.functional.pad(read, (0, 1), value=1.0).numpy()
    n, classes = p.shape
    size = h.shape[1]
    block = np.empty((classes * size, classes * size))
    for a in range(classes):
        for b in range(a + 1):
            weights = p[:, a] * ((a == b) - p[:, b]) / n
            part = (h * weights[:, None]).T @ h
            rows, columns = (slice(i * size, (i + 1) * size) for i in (a, b))
            block[rows, columns], block[columns, rows] = part, part.T
    found = lanczos(block, top=TOP, bottom=0, tol=1e-8)
    return {
        "block": found.eigenvalues[::-1].astype(np.float64),
        "outputs": np.linalg.eigvalsh(np.diag(p.mean(0)) - p.T @ p / n)[::-1].astype(np.float64),
        "features": np.linalg.eigvalsh(h.T @ h / n)[::-1].astype(np.float64),
    }
