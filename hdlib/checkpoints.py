"""From checkpoints of a training to the trajectory of its spectra."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hdlib.clustering import at_step
from hdlib.curvature import HessianOperator, Spectrum, hessian, spectrum
from hdlib.curvature.inputs.copies import copied
from hdlib.curvature.inputs.data import Data, batches
from hdlib.curvature.memory import announce
from hdlib.curvature.progress import progress
from hdlib.loss import Loss
from hdlib.trajectory import Trajectory

Weights: TypeAlias = Mapping[str, Any] | str | PathLike[str]
"""A state dict, or the safetensors file of one."""
Checkpoints: TypeAlias = Mapping[int, Weights] | Iterable[str | PathLike[str]] | str | PathLike[str]
"""Weights by step; or files whose names end in the step, as in ``step_0100.safetensors``; or a
folder of such files, in which others than those of safetensors do not count."""

SUFFIX = ".safetensors"


def trajectory(
    model: nn.Module,
    loss: Loss,
    data: Data,
    checkpoints: Checkpoints,
    *,
    top: int | None = None,
    bottom: int | None = None,
    vectors: int = 0,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
    tol: float | None = None,
    max_products: int | None = None,
    mark: bool = False,
) -> Trajectory:
    """Spectra of the Hessian of the mean loss at each checkpoint of a training.

    With ``top`` or ``bottom`` so many pairs at these ends come from block Lanczos on a
    `HessianOperator`; with neither, all eigenvalues come from the Hessian as a matrix. The data are
    gone through once and kept, so that every checkpoint is seen by the same samples, also where a
    loader shuffles or a generator ends. Files are read one at a time, when their turn comes. Kept
    are, for each checkpoint, the eigenvalues and 8 bytes for each of the n numbers of each vector:
    20 vectors of a million parameters take 160 MB.

    Args:
        model: any module that the checkpoints fit; it is copied, in its mode (train, eval), and
            left as it is.
        loss: mean-reduced loss, as for `hessian`.
        data: one batch or an iterable of batches, as for `hessian`.
        checkpoints: step → state dict or file, files whose names end in the step, or their folder
            (`Checkpoints`), in any order. Files are safetensors.
        top: pairs at the upper end; 0 where only ``bottom`` is given.
        bottom: pairs at the lower end; 0 where only ``top`` is given.
        vectors: eigenvectors kept at each checkpoint, those of the largest eigenvalues; at most
            ``top`` where that is given.
        parameters: names of parameters or modules, as for `hessian`.
        dtype: of the derivatives, as for `hessian`.
        tol: largest residual of a pair, as for `lanczos`.
        max_products: products after which to give up at a checkpoint, as for `lanczos`.
        mark: keep pairs that did not converge, not ``certified``, instead of raising.

    Raises:
        TypeError: for checkpoints or data of another form, or options of Lanczos without an end.
        OSError: if a file cannot be read.
        ValueError: if there is no checkpoint, one is no whole safetensors file or does not fit the
            model, two have one step, or model, loss and data have no Hessian (see `hessian`).
        MemoryError: if there is no room for the matrices, or for the vectors kept.
        ConvergenceError: if a spectrum cannot be certified, which names the step.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> weights = {step: {"weight": torch.full((1, 2), step / 10)} for step in (0, 10)}
        >>> t = trajectory(model, nn.functional.mse_loss, (x, torch.zeros(2, 1)), weights)
        >>> t.eigenvalues.round(6).tolist()
        [[1.0, 4.0], [1.0, 4.0]]
    """
    by_step = checkpoints_by_step(checkpoints)
    ends = top is not None or bottom is not None
    asked = {"tol": tol, "max_products": max_products, "mark": mark or None}
    options: Any = {name: value for name, value in asked.items() if value is not None}
    if options and not ends:
        raise TypeError(f"{', '.join(options)}: only with top or bottom, else nothing is left out")
    if vectors < 0 or (ends and vectors > max(top or 0, 0)):
        raise ValueError(f"vectors={vectors}: must be 0 to top={top or 0}, or 0 to all without it")
    network, chosen = copied(model, parameters, dtype=dtype)
    size = sum(parameter.numel() for parameter in chosen.values())
    if vectors:
        needed = 8 * size * min(vectors, size) * len(by_step)
        announce(f"vectors of {len(by_step)} checkpoints", needed, torch.device("cpu"))
    kept = list(batches(data, model))

    def compute() -> Spectrum:
        if ends:
            operator = HessianOperator(network, loss, kept, dtype=dtype)
            return spectrum(operator, top=top or 0, bottom=bottom or 0, **options)
        return spectrum(hessian(network, loss, kept, dtype=dtype), top=vectors, bottom=0)

    spectra = []
    with progress("spectra", len(by_step), unit="checkpoint") as bar:
        for step, weights in by_step.items():
            load_checkpoint(network, step, weights)
            with at_step(step):
                spectra.append(compute().with_vectors(min(vectors, size)))
            bar.update()
    return Trajectory(np.array(list(by_step), dtype=np.int64), tuple(spectra))


def checkpoints_by_step(checkpoints: Checkpoints) -> dict[int, Weights]:
    """Weights by their step, ascending.

    Raises:
        TypeError: for checkpoints of another form, or a step that is no integer.
        OSError: if there is no such folder or file.
        ValueError: if there is no checkpoint, a step is negative, two have one step, or a file's
            name does not end in one.
    """
    if isinstance(checkpoints, Mapping):
        pairs = list(checkpoints.items())
    elif isinstance(checkpoints, str | PathLike):
        pairs = [(_step(path), path) for path in _files(Path(fspath(checkpoints)))]
    elif isinstance(checkpoints, Iterable):
        paths = list(checkpoints)
        for path in paths:
            if not isinstance(path, str | PathLike):
                raise TypeError(f"checkpoints must be paths or step → weights, got {type(path)}")
        pairs = [(_step(Path(fspath(path))), path) for path in paths]
    else:
        raise TypeError(f"checkpoints must be step → weights or paths, got {type(checkpoints)}")
    found: dict[int, Weights] = {}
    for step, weights in pairs:
        if isinstance(step, bool) or not isinstance(step, int | np.integer):
            raise TypeError(f"steps must be integers, got {step!r}")
        if step < 0:
            raise ValueError(f"steps must not be negative, got {step}")
        if int(step) in found:
            raise ValueError(f"two checkpoints of step {step}: {found[int(step)]} and {weights}")
        found[int(step)] = weights
    if not found:
        raise ValueError("no checkpoint is given: at least one is needed")
    return dict(sorted(found.items()))


def load_checkpoint(network: nn.Module, step: int, weights: Weights) -> None:
    """Put the weights of a checkpoint into a network, which they must fit.

    Raises:
        TypeError: if they are neither a state dict nor a path.
        OSError: if there is no such file.
        ValueError: if the file is no whole safetensors file, or a tensor is missing, left over, or
            of another shape.
    """
    name = f"the checkpoint at step {step}"
    if isinstance(weights, str | PathLike):
        name = f"{name}, {fspath(weights)},"
        weights = _read(Path(fspath(weights)))
    if not isinstance(weights, Mapping):
        raise TypeError(f"{name} must be a state dict or a path, got {type(weights).__name__}")
    own = {key: tensor for key, tensor in network.state_dict().items() if torch.is_tensor(tensor)}
    turned = [k for k in weights if k in own and _complex(weights[k]) != _complex(own[k])]
    if turned:
        raise ValueError(f"{name} does not fit the model: complex in one only: {', '.join(turned)}")
    try:
        found = network.load_state_dict(weights, strict=False)
    except (RuntimeError, TypeError) as error:
        told = " ".join(str(error).split())
        raise ValueError(f"{name} does not fit the model: {told}") from error
    # A file has tied weights under one of their names.
    given = {_place(own[key]) for key in weights if key in own}
    missing = [k for k in found.missing_keys if k not in own or _place(own[k]) not in given]
    if missing or found.unexpected_keys:
        lists = {"missing": missing, "unexpected": found.unexpected_keys}
        told = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in lists.items() if keys)
        raise ValueError(f"{name} does not fit the model: {told}")


def _complex(value: Any) -> bool:
    return torch.is_tensor(value) and value.is_complex()


def _place(tensor: Tensor) -> tuple[int, torch.Size]:
    return tensor.data_ptr(), tensor.shape


def _files(path: Path) -> list[Path]:
    """The safetensors files of a folder, or the one file that the path is."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or file")
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"*{SUFFIX}"))
    if not files and (others := sorted(file for file in path.iterdir() if file.is_file())):
        raise ValueError(_refused(others[0]))
    return files


def _step(path: Path) -> int:
    if not (number := re.search(r"[0-9]+$", path.stem)):
        raise ValueError(f"the name of {path} does not end in its step: give {{step: path}}")
    return int(number[0])


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix != SUFFIX:
        raise ValueError(_refused(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated, or no safetensors file: {error}") from error


def _refused(path: Path) -> str:
    """Why a file is not read, and what to do."""
    return (
        f"{path} is no {SUFFIX} file: other files of weights are pickles, which can run code when "
        "they are read. Convert it once: safetensors.torch.save_file(torch.load("
        f"{str(path)!r}, weights_only=True), {str(path.with_suffix(SUFFIX))!r})"
    )
