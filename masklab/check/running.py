"""Run a learner's function safely: on copies, for a few seconds at most, and its errors become sentences."""

import contextlib
import inspect
import io
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType

import torch
from torch import Tensor

from masklab.check.answers import form, same, settled
from masklab.check.reading import described, is_stub, said, tidy, where

SECONDS = 5.0  # for all calls of one check together: a right answer needs a tenth of one
IN_PLACE = (
    "you write into a tensor that the gradient still needs, as `weights[row] = 0` writes into softmax's result: "
    "the backward pass then raises an error. Make a new tensor instead, with torch.where or masked_fill."
)
CUT = (
    "the values are right, but no gradient flows back: `detach`, `no_grad`, torch.tensor and .item() cut it. "
    "Build the result from the tensor itself."
)
UNRELATED = (
    "your result has no link to the tensor that was handed over, so no gradient can flow back. "
    "zeros_like, torch.tensor and .item() start afresh: build the result from the tensor itself."
)
SHARED = (
    "`backward()` on one of your losses clears what another one needs, for they share a part of their computation. "
    "Compute each from its own micro-batch, and leave `backward()` to the caller."
)
ADDED_TO = (
    "a tensor that one of your losses still needs for its gradient has been changed in place, as `total += mask.sum()` "
    "does in a loop: the backward pass then raises an error. Is the count complete before you divide by it?"
)
PRINTED = 2000  # characters of the first call's print that are shown
YIELDED = 10_000  # parts of an answer that a generator gives: one that never ends must not fill the memory


class Complaint(Exception):
    """What is wrong with an answer before it can be compared: the learner's sentence, and a name for the fault."""

    def __init__(self, says: str, *, name: str = ""):
        super().__init__(says)
        self.says, self.name = says, name


class NotAttempted(Exception):
    """The function is still a stub."""


class TooLong(BaseException):
    """The time is up. Not an Exception, so that a learner's `except Exception` does not catch it."""


class Run:
    """A learner's function, ready to be called again and again; whatever it does wrong is raised as a Complaint.

    ``name`` and ``takes`` say the call in words: "word_mask" and "lengths, total". Afterwards ``edited`` names
    an argument that the function has changed. Only what the first call prints is shown.

    >>> run = Run(lambda x: x / 0, name="half", takes="x")
    >>> run(1)
    Traceback (most recent call last):
    masklab.check.running.Complaint: your function raised ZeroDivisionError: division by zero. ...
    """

    def __init__(self, function: Callable, *, name: str, takes: str):
        if not callable(function):
            example = f"check.{name}({name})"
            raise Complaint(f"hand over the function itself, not what it returns: {example}.", name="no function")
        self.function, self.name, self.takes = function, name, takes
        self.edited = ""
        self._calls, self._call = 0, ""  # how many, and the last one in words
        self._limit = Limit(SECONDS)

    def __call__(self, *arguments):
        """What the function returns; a list of what it yields, if it does that."""
        if not self._calls:  # some checks call a function a thousand times
            self._require_arguments(arguments)
            if is_stub(self.function):
                raise NotAttempted
        before = settled(arguments)
        self._call = f"{self.name}({self.takes}) with {described(self.takes, arguments)}"
        answer = self._returned(arguments)
        for name, now, then in zip(self.takes.split(", "), arguments, before, strict=True):
            if not self.edited and not same(settled(now), then, tolerance=0.0):
                self.edited = name
        if answer is ...:
            raise NotAttempted
        if answer is None:
            says = (
                "a print shows a value, but only `return` hands it back. Does every path through it end in a `return`?"
            )
            if self._calls > 1:
                says = "for some inputs. Does every path through it end in a `return`?"
            raise Complaint(f"your function returned nothing{':' if self._calls == 1 else ''} {says}", name="no return")
        return answer

    def _returned(self, arguments: tuple):
        """Call the function; a Complaint for what it raises, and when the time is up."""
        self._calls += 1
        try:
            with _shown_prints() if self._calls == 1 else _no_prints():
                return self._limit.call(lambda *given: _all_of(self.function(*given)), arguments)
        except TooLong:
            raise Complaint(
                f"your function was stopped: it had not finished after {SECONDS:.0f} seconds. "
                "Is there a loop that never ends?", name="endless",
            ) from None  # fmt: skip
        except NotImplementedError as error:
            if str(error):  # torch has one, too
                raise self._raised(error) from None
            raise NotAttempted from None
        except (Exception, SystemExit) as error:
            raise self._raised(error) from None

    def _raised(self, error: BaseException) -> Complaint:
        """The sentence on an error: what, where, and for which input, as it was before the call."""
        at = where(error, self.function)
        called = f"The call was {self._call}."
        return Complaint(f"your function raised {said(error)} {f'It happened {at}. ' if at else ''}{called}")

    def _require_arguments(self, arguments: tuple) -> None:
        """Raise a Complaint unless the function takes what the check hands over."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # some built-in functions don't say what they take
            return
        try:
            signature.bind(*arguments)
        except TypeError:
            theirs = tidy(", ".join(signature.parameters))
            raise Complaint(
                f"the check calls {self.name}({self.takes}), but your function takes ({theirs}).", name="arguments"
            ) from None


class Limit:
    """So many seconds for several calls together.

    A timer of the operating system interrupts the main thread. Where there is none (on Windows, in other threads),
    and while a debugger looks on, there is no limit.

    >>> Limit(5).call(max, (1, 2))
    2
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.until = time.monotonic() + seconds

    def call(self, function: Callable, arguments: tuple):
        """What the function returns; raises TooLong when the time is up."""
        if not _can_be_timed():
            return function(*arguments)
        running = True

        def stop(_signal, frame):
            if running and _imports(frame, until=Limit.call.__code__):
                self.until = time.monotonic() + self.seconds
            elif running and time.monotonic() >= self.until:  # once the function has ended, nothing is interrupted
                raise TooLong

        handler = signal.signal(signal.SIGALRM, stop)
        # Again and again, for a bare `except:` in a loop may have swallowed the first.
        timer = signal.setitimer(signal.ITIMER_REAL, max(self.until - time.monotonic(), 0.001), 0.05)
        try:
            return function(*arguments)
        finally:
            running = False
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)


def gradient(result: Tensor, leaf: Tensor, *, values_right: bool = True) -> Tensor:
    """The gradient of a learner's result at a leaf; a Complaint for what is no single number, or has no gradient.

    Shape: as ``leaf``. ``values_right`` says which of two complaints is the likely one.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> gradient(x * x, x)
    tensor(6.)
    """
    fault = form(result, leaf.detach().sum())
    if fault:
        raise Complaint(fault)
    try:
        (found,) = torch.autograd.grad(result, leaf, allow_unused=True) if result.requires_grad else (None,)
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise Complaint(f"the backward pass raised {said(error)}") from None
        raise Complaint(IN_PLACE, name="written in place") from None
    if found is None:
        raise Complaint(CUT if values_right else UNRELATED, name="cut off" if values_right else "unrelated")
    return found


def followed_back(losses: Sequence, leaves: Sequence[Tensor]) -> tuple[list[bool], list[Tensor]]:
    """Call `backward()` on one loss after the other: which of them can be followed back, and each leaf's gradient.

    Shapes: single numbers and any leaves → a bool for each loss, and a gradient for each leaf, zeros if none arrives.
    Raises a Complaint for what the backward pass raises.

    >>> x = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> followed_back([2 * x[0], torch.tensor(1.0)], [x])
    ([True, False], [tensor([2., 0.])])
    """
    linked = [isinstance(loss, Tensor) and loss.requires_grad for loss in losses]
    try:
        for loss, one in zip(losses, linked, strict=True):
            if one:
                loss.backward()
    except RuntimeError as error:
        if "a second time" in str(error):
            raise Complaint(SHARED, name="shared") from None
        if "inplace operation" in str(error):
            raise Complaint(ADDED_TO, name="written in place") from None
        raise Complaint(f"the backward pass raised {said(error)}") from None
    return linked, [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def _all_of(answer):
    """An answer; if a generator or a map is to give it, all parts of it."""
    return list(itertools.islice(answer, YIELDED)) if isinstance(answer, Iterator) else answer


def _imports(frame: FrameType | None, *, until: CodeType) -> bool:
    """Whether a module is being loaded: broken off, it would be broken until the kernel restarts.

    torch loads much of itself at its first use: a first `nn.MultiheadAttention` takes a second or more.
    """
    while frame is not None and frame.f_code is not until:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _can_be_timed() -> bool:
    """Whether there is a timer for this thread, and nobody steps through the code."""
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12 debuggers look on from here
    debugged = sys.gettrace() or (monitoring and monitoring.get_tool(monitoring.DEBUGGER_ID))
    here = threading.current_thread() is threading.main_thread()
    return hasattr(signal, "setitimer") and here and not debugged


@contextlib.contextmanager
def _shown_prints() -> Iterator[None]:
    """Print afterwards what is printed inside, cut: a loop may print without end."""
    printed = _Paper()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        text = printed.getvalue().encode("utf-8", "replace").decode()
        if len(text) >= PRINTED:
            text += "\n… (what your function prints after that is left out)"
        print(text, end="\n" if text and not text.endswith("\n") else "")


@contextlib.contextmanager
def _no_prints() -> Iterator[None]:
    """Drop what is printed or displayed inside: the first call has shown it."""
    nowhere = _Paper()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), _no_display():
        yield


def _no_display():
    """In a notebook, drop pictures and tables too."""
    if "IPython" not in sys.modules:
        return contextlib.nullcontext()
    from IPython.utils.capture import capture_output

    return capture_output(stdout=False, stderr=False)


class _Paper(io.StringIO):
    """A page that ends: what is written beyond it is dropped."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, PRINTED - self.tell())])
        return len(text)
