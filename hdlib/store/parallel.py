"""Threads: several computations side by side, or one in a single thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], *, at_once: int
) -> Iterator[Result]:
    """``function`` of every item, in their order, so many ``at_once``.

    A computation that spends its time in many operations of moderate size gains less from a second
    thread than two such computations from one thread each. Those that have not begun when an error
    is raised, or the iterator is closed, are dropped.

    Args:
        function: called in threads: it must not draw from global random numbers, nor use
            forward-mode differentiation, whose levels threads share.
        items: all of them are taken before the first result is given.
        at_once: at least 1; no more than there are threads to share.
    """
    threads = torch.get_num_threads()
    at_once = min(at_once, threads)
    pool = ThreadPoolExecutor(
        at_once, initializer=torch.set_num_threads, initargs=(threads // at_once,)
    )
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)
        # The number that a thread sets is that of threads yet to come, too.
        torch.set_num_threads(threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in an order that does not depend on the number of cores.

    In another order they round differently, and thousands of updates of an unstable training make
    another network of that.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
