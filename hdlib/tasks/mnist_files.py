"""Where the four MNIST files are found, or downloaded from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pooch

SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def find_mnist_file(
    name: str, *, sha256: Mapping[str, str] = SHA256, mirrors: Sequence[str] = MIRRORS
) -> Path:
    """Path of an MNIST file whose sha256 is right.

    Looked for in ``$HDLIB_DATA_HOME/mnist``, then in the user's cache folder; else downloaded into
    the cache from the first of the mirrors that gives the right file.

    Args:
        name: a key of ``sha256``.
        sha256: sums of the files by name.
        mirrors: base addresses, each ending in a slash.

    Raises:
        NotADirectoryError: if ``$HDLIB_DATA_HOME`` is no folder.
        ValueError: if a file is found, but its sha256 is wrong: damaged or truncated.
        ConnectionError: if the file is not found and no mirror gives it.
    """
    cache = Path(pooch.os_cache("hdlib")) / "mnist"
    folders = [cache]
    if home := os.environ.get("HDLIB_DATA_HOME"):
        if not Path(home).expanduser().is_dir():
            raise NotADirectoryError(f"HDLIB_DATA_HOME={home}: there is no such folder")
        folders.insert(0, Path(home).expanduser() / "mnist")
    for folder in folders:
        path = folder / name
        if path.is_file():
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != sha256[name]:
                raise ValueError(
                    f"{path} is damaged: its sha256 is {found}, expected {sha256[name]}; "
                    "delete it, and it is downloaded anew"
                )
            return path
    return _download(name, sha256[name], cache, mirrors)


def _download(name: str, sha256: str, folder: Path, mirrors: Sequence[str]) -> Path:
    failures = []
    for mirror in mirrors:
        try:
            return Path(pooch.retrieve(mirror + name, f"sha256:{sha256}", name, folder))
        # pooch reports network faults as OSError (requests derives from it), wrong sums as
        # ValueError.
        except (OSError, ValueError) as error:
            failures.append(f"{mirror}{name}: {type(error).__name__}: {error}")
    raise ConnectionError(
        f"{name} could not be downloaded; put the four MNIST files into $HDLIB_DATA_HOME/mnist, "
        "or use dataset='digits', which needs no download. Tried: " + "; ".join(failures)
    )
