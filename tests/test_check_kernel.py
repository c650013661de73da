"""The checks in a real kernel: the limit, the learner's own interrupt, prints, and the kernel afterwards."""

import time

import pytest
from jupyter_client.manager import start_new_kernel

WAIT = 60


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel(kernel_name="python3")
    run(client, "import time, torch\nfrom masklab.check import attention_padding as check, running")
    run(client, "def endless(lengths, total):\n    print('once')\n    while True:\n        pass")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code, *, during=None):
    """Run a cell; return what it printed, and the name of its error or ""."""
    said, error = [], []

    def hook(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            said.append(content["text"])
        if message["msg_type"] == "error":
            error.append(content["ename"])
        if message["msg_type"] == "execute_input" and during:
            during()

    client.execute_interactive(code, output_hook=hook, timeout=WAIT)
    return "".join(said), "".join(error)


def test_an_endless_loop_is_stopped_and_the_kernel_goes_on(kernel):
    _, client = kernel
    run(client, "running.SECONDS = 1.0")
    said, error = run(client, "check.word_mask(endless)")
    assert (
        said.startswith("once\n✗ word_mask: your function was stopped: it had not finished after 1 second")
        and not error
    )
    assert run(client, "time.sleep(1.5); print(1 + 1)") == ("2\n", "")


def test_the_stop_button_works_inside_a_check_and_leaves_the_kernel_well(kernel):
    manager, client = kernel
    run(client, "running.SECONDS = 60.0")

    def stop():
        time.sleep(1)
        manager.interrupt_kernel()

    said, error = run(client, "check.word_mask(endless)", during=stop)
    assert error == "KeyboardInterrupt" and said == "once\n"
    assert run(client, "print('still here')") == ("still here\n", "")


def test_the_line_of_the_cell_is_named(kernel):
    _, client = kernel
    said, error = run(client, "def f(lengths, total):\n    x = 1\n    return lengths[total]\n\ncheck.word_mask(f)")
    assert "It happened in line 3, `return lengths[total]`." in said and not error


@pytest.mark.parametrize("message", ["'x' * 10_000_000", "'\\ud800'", "'\\x1b[2J' * 1000"])
def test_hostile_messages_and_prints_reach_the_page_as_one_short_line(kernel, message):
    _, client = kernel
    code = f"def f(lengths, total):\n    print({message})\n    raise ValueError({message})\n\ncheck.word_mask(f)"
    said, error = run(client, code)
    verdict = said.rstrip("\n").split("\n")[-1]
    assert verdict.startswith("✗ word_mask: your function raised ValueError") and len(verdict) < 800 and not error
    assert len(said) < 4000 and "\x1b" not in verdict


def test_what_a_function_shows_is_shown_once(kernel):
    _, client = kernel
    code = "def f(lengths, total):\n    print(total)\n    return torch.arange(total) >= total - lengths[:, None]\n\n"
    said, _ = run(client, f"{code}check.word_mask(f)")
    assert said.startswith("6\n✓ word_mask: right, on ") and said.count("\n") == 2
