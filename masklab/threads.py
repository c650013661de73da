"""How many threads torch computes with: for tiny tensors one is faster than two."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, as long as this lasts, for the thread that calls it.

    The tensors of a lab and of a tiny model are small. When a browser keeps the machine busy, a second
    thread is only waited for: a softmax of 16 × 16 then took 16 ms, and takes 0.1 ms with one. Sums are
    also added up in the same order wherever they are computed.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
