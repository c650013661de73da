"""How many threads torch computes with: for tiny tensors one is faster than two."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Depth(threading.local):
    """In how many blocks a thread is."""

    blocks = 0


_lock, _here = threading.Lock(), _Depth()
_users = 0  # how many blocks are running now, in all threads
_before = 1  # how many threads torch had before the first of them


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread inside this block.

    The tensors of a lab and of a tiny model are small. While a browser keeps the machine busy, a second
    thread only makes the first one wait: a softmax of 16 × 16 took 16 ms, and takes 0.1 ms with one. Sums
    are also added in the same order on every machine.

    Each thread has a number of its own, but takes it over from the others when it first computes. So where
    blocks overlap (labs answer on threads of their own), what one has set must not stay with the next.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    """Remember, in the first block of all, how many threads there were."""
    global _users, _before
    with _lock:
        have = torch.get_num_threads()  # asked in any case: only then does a new thread have a number of its own
        if _users == 0:
            _before = have
        _users, _here.blocks = _users + 1, _here.blocks + 1
        torch.set_num_threads(1)


def _leave() -> None:
    """Bring them back at the end of this thread's outermost block."""
    global _users
    with _lock:
        _users, _here.blocks = _users - 1, _here.blocks - 1
        if _here.blocks == 0:
            torch.set_num_threads(_before)
