"""A learner's function is run safely: copies, prints, errors, endless loops, odd results."""

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from masklab.check import running
from masklab.check.exercise import Exercise
from masklab.check.reading import borrowed, is_stub, said, tidy
from masklab.check.running import Complaint, Limit, Run, TooLong, followed_back

double = Exercise(
    name="double",
    asks="twice x",
    takes="x",
    cases=[(torch.arange(6.0).view(2, 3),), (torch.ones(4),)],
    definition=lambda x: 2 * x,
)


def judged(function):
    verdict = double(function)
    sign = {"right": "✓", "open": "○", "wrong": "✗"}[verdict.state]
    assert repr(verdict) == f"{sign} double: {verdict.message}"
    return verdict


# --- what is no attempt, and what returns nothing ---------------------------------------------------------------------


def three_dots(x):
    """What to do."""
    ...  # your code here


def not_implemented(x):
    raise NotImplementedError


def returns_dots(x):
    return ...


def prints(x):
    print("x is", x.shape)


def dots_left_behind(x):
    y = 2 * x
    print(y)
    ...


def one_way_out(x):
    if x.ndim == 2:
        return 2 * x


@pytest.mark.parametrize("stub", [three_dots, not_implemented, returns_dots, lambda x: None])
def test_a_stub_is_not_attempted_yet(stub):
    assert judged(stub).state == "open"


@pytest.mark.parametrize("answer", [prints, dots_left_behind])
def test_a_print_is_no_return_and_is_no_stub_either(answer, capsys):
    verdict = judged(answer)
    assert (verdict.state, verdict.misconception) == ("wrong", "no return")
    assert "only `return` hands it back" in verdict.message


def test_a_way_without_a_return_is_said():
    verdict = judged(one_way_out)
    assert verdict.misconception == "no return" and "for some inputs" in verdict.message


def test_a_stub_is_recognised_by_what_it_does():
    assert is_stub(three_dots) and is_stub(lambda x: None)
    assert not any(map(is_stub, [lambda x: 5, lambda x: x, prints, one_way_out, max, 5]))


# --- prints -----------------------------------------------------------------------------------------------------------


def test_only_the_first_calls_print_is_shown(capsys):
    def answer(x):
        print("shape", tuple(x.shape))
        return 2 * x

    assert judged(answer).state == "right"
    assert capsys.readouterr().out == "shape (2, 3)\n"


def test_a_print_stays_when_the_function_fails(capsys):
    judged(lambda x: (print("so far"), 1 / 0))
    assert capsys.readouterr().out == "so far\n"


def test_a_long_print_is_cut_and_a_broken_one_does_not_break_the_page(capsys):
    def answer(x):
        print("\ud800", end="")
        for _ in range(100_000):
            print("again")
        return 2 * x

    assert judged(answer).state == "right"
    out = capsys.readouterr().out
    assert len(out) < running.PRINTED + 100 and "is left out" in out and out.startswith("?again\n")


def test_what_is_displayed_in_later_calls_is_dropped(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell, shown = InteractiveShell.instance(), []
    monkeypatch.setattr(shell.display_pub, "publish", lambda *args, **more: shown.append(args))
    try:
        shell.run_cell("from IPython.display import display, Markdown")
        judged(lambda x: (shell.user_ns["display"](shell.user_ns["Markdown"]("x")), 2 * x)[1])
    finally:
        InteractiveShell.clear_instance()
    assert len(shown) == 1


# --- errors -----------------------------------------------------------------------------------------------------------


def fails(x):
    y = x + 1
    return helper(y)


def helper(y):
    return y[7]


def test_an_error_names_the_line_and_the_shapes():
    message = judged(fails).message
    line = helper.__code__.co_firstlineno + 1
    assert message.startswith("your function raised IndexError: index 7 is out of bounds for dimension 0 with size 2. ")
    assert message.endswith(
        f"It happened in line {line}, `return y[7]`. The call was double(x) with x of shape (2, 3)."
    )


def test_an_error_inside_torch_names_the_learners_line():
    assert "`return x @ x`" in judged(squares).message


def squares(x):
    return x @ x


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x: undefined * x, "run that cell first"),  # noqa: F821
        (lambda x: x + torch.ones(2), "A new axis"),
        (lambda x: x and 2 * x, "write & | ~ in place of and, or, not"),
        (lambda x: x if x == 2 * x else 2 * x, ".any() or .all()"),
        (lambda x: ~x, "~ & | need bool tensors"),
        (lambda x: x.bool() & x, "~ & | need bool tensors"),
        (lambda x: x.masked_fill(x, 0), ".bool() converts"),
        (lambda x: x.nonzero()[x > 99][0], "where nothing is found"),
        (lambda x: x[x > 99].argmax(), "where nothing is found"),
    ],
)
def test_common_errors_get_a_hint(answer, hint):
    assert hint in judged(answer).message


class Broken(Exception):
    def __str__(self):
        raise ValueError("no message")


@pytest.mark.parametrize("error", [
    ValueError("\x1b[31m" + "x" * 10_000_000),
    ValueError("\x1b[2J\ud800 \u202eabc\x00"),
    type("N" * 10_000 + "\x1b[1m", (Exception,), {})("\n" * 500 + "late"),
    KeyError("\ud800"),
    Broken(),
    SystemExit("bye"),
    OSError(),
], ids=["long", "escapes", "name", "key", "broken", "exit", "empty"])  # fmt: skip
def test_hostile_messages_are_cut_and_cleaned(error):
    def answer(x):
        raise error

    message = judged(answer).message
    assert len(message) < 800 and message.isprintable()
    message.encode("utf-8")  # a lone surrogate would fail here


def test_what_else_a_learner_names_is_cut_and_cleaned_too():
    strange = type("N" * 10_000 + "\x1b[1m", (), {})
    many = eval(f"lambda {'n' * 10_000}, x: x")
    for verdict in (judged(lambda x: strange()), judged(many)):
        assert len(verdict.message) < 400 and verdict.message.isprintable()


def test_text_is_tidied_without_losing_its_letters():
    assert tidy("Größe  ≤ 5\n\tنص 漢字 🙂") == "Größe ≤ 5 نص 漢字 🙂"
    assert said(ValueError("no.")) == "ValueError: no."


def test_a_stack_overflow_is_an_error_like_any_other():
    def answer(x):
        return answer(x)

    assert "raised RecursionError" in judged(answer).message


@pytest.mark.parametrize("thing", [None, 3, torch.ones(2), "double"])
def test_what_is_no_function_gets_a_sentence(thing):
    verdict = judged(thing)
    assert verdict.misconception == "no function" and "check.double(double)" in verdict.message


class Doubling(nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize(
    "answer",
    [functools.partial(torch.mul, 2), Doubling(), functools.lru_cache(lambda x: 2 * x), lambda *x: 2 * x[0]],
    ids=["partial", "module", "cached", "starred"],
)
def test_whatever_can_be_called_may_be_handed_over(answer):
    assert judged(answer).state == "right"


def test_the_wrong_number_of_arguments_is_said_before_the_call():
    verdict = judged(lambda x, y: 2 * x)
    assert verdict.message == "the check calls double(x), but your function takes (x, y)."


# --- endless loops ----------------------------------------------------------------------------------------------------


def counts(x, seconds=20.0):
    """As good as endless, and yet no test hangs for ever."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return x


def swallows_everything(x):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            x = x
        except:  # noqa: E722
            x = None
    return x


def sleeps(x):
    time.sleep(20)


def prints_on_and_on(x):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        print("again")


@pytest.mark.skipif(not running._can_be_timed(), reason="no timer here, or a tracer looks on")
@pytest.mark.parametrize("answer", [counts, swallows_everything, sleeps, prints_on_and_on])
def test_an_endless_loop_is_stopped_with_a_sentence(answer, monkeypatch, capsys):
    monkeypatch.setattr(running, "SECONDS", 0.3)
    handler, started = signal.getsignal(signal.SIGALRM), time.monotonic()
    verdict = judged(answer)
    assert time.monotonic() - started < 10  # it would take 20
    assert verdict.misconception == "endless" and "a loop that never ends" in verdict.message
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    print("still here")
    assert capsys.readouterr().out.endswith("still here\n")


@pytest.mark.skipif(not running._can_be_timed(), reason="no timer here, or a tracer looks on")
def test_all_calls_together_have_one_limit(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.5)
    many = Exercise(name="many", asks="", takes="x", cases=[(torch.ones(1),)] * 200, definition=lambda x: x)
    started = time.monotonic()
    assert many(lambda x: counts(x, seconds=0.1)).misconception == "endless"
    assert time.monotonic() - started < 10  # it would take 20


@pytest.mark.skipif(not running._can_be_timed(), reason="no timer here, or a tracer looks on")
def test_time_that_is_up_is_no_exception_that_a_learner_catches():
    def answer(x):
        with contextlib.suppress(Exception):
            counts(x)

    with pytest.raises(TooLong):
        Limit(0.2).call(answer, (1,))


SLOW = "import time\nuntil = time.monotonic() + 1.5\nwhile time.monotonic() < until:\n    pass\ndone = True\n"


@pytest.mark.skipif(not running._can_be_timed(), reason="no timer here, or a tracer looks on")
def test_a_module_that_is_being_loaded_is_loaded_to_its_end(monkeypatch, tmp_path):
    monkeypatch.setattr(running, "SECONDS", 0.3)
    (tmp_path / "loaded_slowly.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)

    def answer(x):
        import loaded_slowly

        return 2 * x * loaded_slowly.done

    assert judged(answer).state == "right"
    assert judged(lambda x: (answer(x), counts(x))).misconception == "endless"


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Python's own handler, also where the tests run in the background of a shell, which ignores interrupts there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_learners_own_interrupt_still_works(heeds_interrupts):
    def answer(x):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        double(answer)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_without_a_timer_there_is_no_limit_and_no_error(monkeypatch):
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(double(lambda x: 2 * x)))
    thread.start()
    thread.join()
    monkeypatch.delattr(signal, "setitimer")  # as on Windows
    verdicts.append(double(lambda x: 2 * x))
    assert [verdict.state for verdict in verdicts] == ["right", "right"]


# --- copies -----------------------------------------------------------------------------------------------------------


def test_an_edited_input_is_named_and_does_not_reach_the_next_call():
    verdict = judged(lambda x: x.mul_(2))
    assert (verdict.misconception, double.cases[0][0].max().item()) == ("edits", 5.0)
    assert verdict.message.startswith("the values are right, but your function changes its input `x`")


def test_an_answer_kept_in_one_buffer_is_what_it_was_when_it_was_returned():
    buffer = torch.empty(100)

    def answer(x):
        out = buffer[: x.numel()].view_as(x)
        return out.copy_(2 * x)

    assert judged(answer).state == "right"


def test_a_function_that_remembers_is_told_apart():
    seen = []

    def answer(x):
        seen.append(1)
        return x * len(seen)

    assert judged(answer).misconception == "random"


def test_a_run_says_which_call_it_is():
    run = Run(lambda x: x.no_such_thing, name="f", takes="x")
    with pytest.raises(Complaint, match=r"The call was f\(x\) with x = 3"):
        run(3)


# --- variables of the notebook ----------------------------------------------------------------------------------------

L, SIZES, RATE, NAME, LAYER = 5, (2, 3), 0.5, "cat", nn.Linear(1, 1)


def test_borrowed_variables_are_sizes_and_collections_only():
    def answer(x):
        def inner():
            return [L for _ in range(3)]

        return torch.ones(SIZES) * RATE, NAME, LAYER, x.RATE, inner

    assert borrowed(answer) == ["SIZES", "L"]
    assert borrowed(max) == borrowed(functools.partial(answer)) == []


def test_losses_are_followed_back_one_after_the_other():
    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    linked, (at_x, at_y) = followed_back([x.sum(), 3.0, (x * x).sum()], [x, y])
    assert linked == [True, False, True]
    assert torch.equal(at_x, torch.tensor([3.0, 3.0])) and torch.equal(at_y, torch.zeros(2))
    shared = x * x
    with pytest.raises(Complaint, match="clears what another one needs"):
        followed_back([shared.sum(), shared.sum()], [x])
