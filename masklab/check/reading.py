"""What can be read off a learner's function and its errors: is it a stub, does it use the notebook's variables?"""

import dis
import inspect
import linecache
import re
from collections.abc import Iterator
from types import CodeType, TracebackType

import torch
from torch import Tensor, nn

from masklab.panels import clean

LENGTH = 300  # of an exception's message: more than that is not read
STUB = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # what turns a terminal's text red
HINTS = (  # a part of an error's message, and what helps
    (r"name 'inf' is not defined", "Infinity is math.inf."),
    (r"name '\w+' is not defined", "If it is defined further up, run that cell first."),
    (r"must match the existing size \(0\)", "One of the two is empty. Mind that x[-0:] is all of x: −0 is 0."),
    (r"must match the (existing )?size|not broadcastable",
     "Two shapes don't fit together: print them. A new axis, as in x[:, None], often helps."),
    (r"index out of range in self", "An embedding of V ids knows 0 to V − 1: is one of yours larger?"),
    (r"argmax\(\): does not support bool", "argmax wants numbers: .int() makes 1 and 0 of True and False."),
    (r"Target -?\d+ is out of bounds",
     "A label must be a class, from 0 on, or −100, which is left out. Where nothing counts, any will do."),
    (r"index 0 is out of bounds for dimension 0 with size 0|Expected reduction dim to be specified for input.numel",
     "There is nothing in it. What should come out where nothing is found?"),
    (r"Expected target size", "cross_entropy wants the classes on axis 1: try logits.transpose(1, 2)."),
    (r"Expected `len\(lengths\)`", "If the batch is the first axis, say batch_first=True."),
    (r"start \(\d+\) \+ length \(\d+\) exceeds",
     "If pack_padded_sequence says so: the batch is your first axis, so it needs batch_first=True."),
    (r"tuple indices must be integers|'tuple' object has no attribute",
     "A tuple holds several things: take it apart first, as in `first, second = it`. (A GRU returns out and h_n; "
     "pad_packed_sequence turns a PackedSequence into a tensor and the lengths.)"),
    (r"argument 'src_key_padding_mask'", "In nn.MultiheadAttention it is key_padding_mask."),
    (r"Expected key_padded_mask", "A layer with batch_first=True takes x as (batch, L, D): nothing to transpose."),
    (r"D attn_mask is", "attn_mask is (L, L) for all sentences, or (batch · heads, L, L) with layer.num_heads heads; "
     "a mask of (batch, L) is the key_padding_mask."),
    (r"Boolean value of Tensor|truth value of an array",
     "An `if` needs one answer: .any() or .all(). For whole tensors write & | ~ in place of and, or, not."),
    (r"bitwise_(not|and|or|xor)_|~ \(operator.invert\)", "~ & | need bool tensors: .bool() converts zeros and ones."),
    (r"expected sequence of length", "A tensor has no ragged edge: its rows must be equally long. Print them."),
    (r"must be real number, not list|'list' object cannot be interpreted",
     "A list is where a number should be. In a row? + joins two lists, append puts one in as a whole."),
    (r"dtype of NoneType|'NoneType' has no len",
     "append, sort, reverse and random.shuffle change a list, and return None."),
    (r"received an invalid combination of arguments", "Compare what it got with what it takes."),
    (r"expected .*bool|mask.*bool", "A comparison gives a bool mask; .bool() converts zeros and ones."),
)  # fmt: skip


def tidy(text: str, *, length: int = LENGTH) -> str:
    r"""Cut and clean what somebody else's code says, so that it fits in one line of any page.

    >>> tidy("\x1b[31mno\x1b[0m such\nthing"), tidy("x" * 10_000_000, length=5)
    ('no such thing', 'xxxx…')
    """
    text = " ".join(COLOUR.sub("", text[: 4 * length]).split())
    return clean(text if len(text) <= length else text[: length - 1] + "…")


def is_stub(function) -> bool:
    """Whether the body is still the three dots, `pass`, or nothing but a docstring.

    >>> def stub(lengths, total):
    ...     ...
    >>> is_stub(stub), is_stub(lambda lengths, total: print(lengths))
    (True, False)
    """
    code = _code(function)
    if code is None:
        return False
    lines = [line for line in dis.get_instructions(code) if not line.opname.startswith(("COPY_FREE", "CACHE"))]
    constants = [line.argval for line in lines if line.opname in ("LOAD_CONST", "RETURN_CONST")]
    return {line.opname for line in lines} <= STUB and set(map(id, constants)) <= {id(None), id(...)}


def borrowed(function) -> list[str]:
    """The notebook's variables that a function uses: integers and collections, not constants or functions.

    They are right for the notebook's own batch, and for no other.

    >>> def uses_a_global(x):
    ...     return x[:HINTS_AT_MOST]
    >>> uses_a_global.__globals__["HINTS_AT_MOST"] = 5
    >>> borrowed(uses_a_global)
    ['HINTS_AT_MOST']
    """
    code = _code(function)
    names = dict.fromkeys(_globals_of(code)) if code is not None else {}
    around = getattr(inspect.unwrap(function), "__globals__", {})
    return [name for name in names if _is_data(around.get(name))]


def where(error: BaseException, function) -> str:
    """The last line of the learner's own code that an error went through: "in line 3, `x[9]`".

    >>> def wrong(x):
    ...     return x / 0
    >>> try:
    ...     wrong(1)
    ... except ZeroDivisionError as error:
    ...     where(error, wrong)
    'in line 2, `return x / 0`'
    """
    around = getattr(inspect.unwrap(function), "__globals__", None)
    steps = [step for step in _steps(error.__traceback__) if step.tb_frame.f_globals is around]
    if not steps:
        return ""
    line = linecache.getline(steps[-1].tb_frame.f_code.co_filename, steps[-1].tb_lineno)
    return f"in line {steps[-1].tb_lineno}" + (f", `{tidy(line, length=80)}`" if line.strip() else "")


def said(error: BaseException) -> str:
    """An error's type and message in one line, and a hint where we know one.

    >>> said(NameError("name 'torch' is not defined"))
    "NameError: name 'torch' is not defined. If it is defined further up, run that cell first."
    """
    try:
        message = tidy(str(error))
    except Exception:  # a message may be code of its own
        message = ""
    hint = next((hint for pattern, hint in HINTS if re.search(pattern, message)), "")
    line = tidy(type(error).__name__, length=60) + (f": {message.rstrip('.')}" if message else "")
    return f"{line}. {hint}".strip()


def described(names: str, arguments: tuple) -> str:
    """What a function was called with, in words.

    >>> import torch
    >>> described("lengths, total", (torch.tensor([2, 3]), 6))
    'lengths of shape (2,) and total = 6'
    >>> described("sequences", ([[5, 3], []],))
    'sequences = [[5, 3], []]'
    >>> described("is_word", (torch.tensor([[False, False]]),))
    'is_word of shape (1, 2), all False'
    """
    parts = [_one(name, value) for name, value in zip(names.split(", "), arguments, strict=False)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _one(name: str, value) -> str:
    """One argument in words."""
    if isinstance(value, Tensor):
        all_false = value.dtype == torch.bool and value.numel() and not value.any()
        return f"{name} of shape {tuple(value.shape)}{', all False' if all_false else ''}"
    if isinstance(value, bool | int | float | str):
        return f"{name} = {value!r}"
    shown = repr(value) if isinstance(value, list) else ""
    return f"{name} = {shown}" if 0 < len(shown) <= 60 else f"{name} (a {type(value).__name__})"


def _code(function) -> CodeType | None:
    """The compiled body of a function, seen through its decorators; None for other things that can be called."""
    return getattr(inspect.unwrap(function), "__code__", None)


def _globals_of(code: CodeType) -> Iterator[str]:
    """The global names that a body reads, and the functions inside it too."""
    for line in dis.get_instructions(code):
        if line.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield line.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals_of(inner)


def _is_data(value) -> bool:
    """Whether a variable holds sizes or sentences: what differs from one batch to the next."""
    if isinstance(value, bool | float | str | nn.Module) or value is None or callable(value):
        return False
    return isinstance(value, int | tuple | list | dict | Tensor) or type(value).__name__ in ("Batch", "ndarray", "Size")


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """A traceback from its first step to its last."""
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
