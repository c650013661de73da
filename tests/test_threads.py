"""One thread for tiny tensors, and as many as before afterwards."""

import threading

import pytest
import torch

from masklab.threads import one_thread


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_old_number_comes_back_even_after_an_error():
    with pytest.raises(ValueError), one_thread():
        assert torch.get_num_threads() == 1
        raise ValueError
    assert torch.get_num_threads() == 2


def test_blocks_may_be_nested():
    with one_thread():
        with one_thread():
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_blocks_of_two_threads_may_overlap():
    """The first to begin ends first; what the second one found must not stay with anybody."""
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = {}

    def first():
        with one_thread():
            first_is_in.set()
            second_is_in.wait(10)
        seen["first"] = torch.get_num_threads()
        first_is_out.set()

    def second():
        first_is_in.wait(10)
        with one_thread():
            second_is_in.set()
            first_is_out.wait(10)
            seen["inside"] = torch.get_num_threads()
        seen["second"] = torch.get_num_threads()

    def later():
        seen["later"] = torch.get_num_threads()

    run_all(first, second)
    run_all(later)
    assert seen == {"first": 2, "inside": 1, "second": 2, "later": 2}


def run_all(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
