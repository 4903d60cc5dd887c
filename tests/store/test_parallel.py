"""Computations side by side: their results, their threads, and what an error leaves."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from hdlib.store import one_thread, side_by_side


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_two_run_at_the_same_time_each_in_one_thread():
    meeting = threading.Barrier(2)

    def meet(item: int) -> tuple[int, int]:
        meeting.wait(timeout=30)
        return item, torch.get_num_threads()

    assert list(side_by_side(meet, range(6), at_once=2)) == [(i, 1) for i in range(6)]


def test_one_at_a_time_has_all_threads():
    alone = threading.Lock()

    def enter(item: int) -> int:
        assert alone.acquire(blocking=False)
        try:
            return item + torch.get_num_threads()
        finally:
            alone.release()

    assert list(side_by_side(enter, range(4), at_once=1)) == [2, 3, 4, 5]
    assert list(side_by_side(enter, [], at_once=2)) == []


def test_no_more_at_once_than_threads():
    torch.set_num_threads(1)
    names = side_by_side(lambda _: threading.current_thread().name, range(5), at_once=4)
    assert len(set(names)) == 1
    torch.set_num_threads(2)


def test_an_error_drops_what_has_not_begun():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ArithmeticError("item 1")
        time.sleep(0.01)
        return item

    results = side_by_side(work, range(1_000), at_once=1)
    assert next(results) == 0
    with pytest.raises(ArithmeticError, match="item 1"):
        list(results)
    assert len(begun) < 1_000


def test_one_thread_ends_also_by_an_error():
    def fail() -> None:
        with one_thread():
            raise ArithmeticError(torch.get_num_threads())

    with pytest.raises(ArithmeticError, match="1"):
        fail()
