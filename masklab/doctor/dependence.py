"""What each output of a model depends on, measured: one vector-Jacobian product for each position.

The output of a position is multiplied by random integers, never summed: after a LayerNorm the sum is constant, and its
gradient 0. The products are batched. Where there is no gradient, or a NaN in it, positions are changed one by one
instead, and the outputs are compared.

**What counts as a dependence.** A masked weight is an exact 0, and so is its gradient: in most healthy models every
forbidden number is 0. Where sums are taken in another order (an FFT, a softmax that is normalised again) something
remains. Two tests tell it from a leak, and a leak passes both:

- *Size*: n rounding errors of a relative size of at most eps/2 add up to about eps·√n/2, relative to what they are
  errors of: the largest dependence on another position. With a factor of 4 for the sums on the way, n = L positions:
  2·eps·√L. In float32 at L = 128 this is 3e-6, and a bias of −10 in place of −∞ leaks 2e-5 and more.
- *Proportion*: a derivative is linear. With 3 times the random numbers (they are integers, so this is exact) a leak is
  3 times as large. The rounding errors are other ones, and about √2 of their own size away from 3 times the first.
  The limit is between: 1/2. Gradients are not kept to be compared, which would take B·L²·d numbers, but 16 random
  sums of each: two unrelated gradients are that near to each other in all 16 once in many thousand million times.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from masklab.doctor.inputs import Case, other_ids, precision
from masklab.doctor.undisturbed import named_parts

AT_ONCE = 2048  # rows (product, sentence, position) in one batched pass: more leave the processor's cache
MOST_ROWS = 256  # of a longer text so many positions are looked at
NOT_RUN = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError, KeyError)
OWN_SEED = 61_803  # not one that inputs are often made with: along a vector itself, a norm would undo the change
SKETCH = 16  # so many random sums of a gradient are kept of its first measurement
MOST_PLACES = 2000  # modules that are asked where a leak begins


@dataclass(frozen=True)
class Measured:
    """What the outputs at ``rows`` (R,) depend on.

    ``size`` (B, R, L) is how much, ``real`` (B, R, L) bool whether it is more than rounding; ``how`` it was found;
    ``broken`` says that a gradient was not finite.
    """

    rows: Tensor
    size: Tensor
    real: Tensor
    how: str = "gradients"
    broken: bool = False


def rows_of(length: int) -> Tensor:
    """The positions to look at: all, or MOST_ROWS of them, the first and the last among them.

    >>> rows_of(3), len(rows_of(1000))
    (tensor([0, 1, 2]), 256)
    """
    if length <= MOST_ROWS:
        return torch.arange(length)
    return torch.linspace(0, length - 1, MOST_ROWS).round().long().unique()


@contextmanager
def for_gradients() -> Iterator[None]:
    """The kernels whose backward pass can be batched, and can run in eval mode on a GPU.

    >>> with torch.no_grad(), for_gradients():
    ...     torch.is_grad_enabled()
    True
    """
    with (
        sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False), torch.enable_grad(),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("ignore")  # a kernel without a batching rule is slow, and not wrong
        yield


def random_integers(like: Tensor) -> Tensor:
    """±1, ±2 or ±3 for each number, 0 where it is not finite: three times these are exact in any dtype.

    >>> sorted(set(random_integers(torch.zeros(100)).tolist()))
    [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]
    """
    draw = torch.randint(0, 6, like.shape, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])[draw].to(like)
    return values.masked_fill(~like.isfinite(), 0.0)


def by_gradients(
    case: Case, allowed: Tensor, outputs: Tensor, nudge: Tensor, *, apart: bool = False
) -> Measured | None:
    """Measure by vector-Jacobian products; None where the output has no gradient path to the nudge.

    All sentences at once, which is right as long as none depends on another; ``apart`` takes one after the other.

    Shapes: ``allowed`` (B, L, S) bool; ``outputs`` (B, L, F), made with ``nudge`` (B, S, d), which requires gradients.

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(torch.nn.Identity(), torch.ones(1, 2, 3), None)
    >>> nudge = case.nudge("").requires_grad_()
    >>> by_gradients(case, torch.ones(1, 2, 2).bool(), case.run({"": nudge}), nudge).real.int()
    tensor([[[1, 0],
             [0, 1]]], dtype=torch.int32)
    """
    if not outputs.requires_grad:
        return None
    rows = rows_of(outputs.shape[1]).to(outputs.device)
    y = (outputs * random_integers(outputs)).nan_to_num(posinf=0, neginf=0).sum(dim=-1)  # (B, L)
    first = _looked(y, nudge, rows, apart=apart)
    if first is None:
        return None
    size, sketch = first
    allowed = allowed[:, rows]
    limit = rounding(size, allowed, rows, precision(case, outputs))
    doubtful = ~allowed & ((size > limit) | ~size.isfinite())
    lines = doubtful.any(dim=-1).any(dim=0).nonzero()[:, 0]  # rows that may leak are measured again, three times larger
    real = torch.where(allowed, size > 0, False)
    if len(lines):
        real[:, lines] |= doubtful[:, lines] & _proportional(sketch[:, lines], y, nudge, rows[lines], apart=apart)
    return Measured(rows, size, real, broken=not bool(size.isfinite().all()))


def rounding(size: Tensor, allowed: Tensor, rows: Tensor, eps: float) -> Tensor:
    """How large a dependence can be by rounding alone, (B, 1, 1): 2·eps·√L of the largest one on another position.

    >>> size, allowed = torch.tensor([[[1.0, 0.0], [2.0, 1.0]]]), torch.ones(1, 2, 2).tril().bool()
    >>> f"{rounding(size, allowed, torch.arange(2), eps=1e-7).item():.1e}"
    '5.7e-07'
    """
    others = torch.arange(size.shape[-1], device=size.device) != rows[:, None]  # (R, S)
    finite = size.nan_to_num(nan=0.0, posinf=0.0)
    for chosen in (finite * (allowed & others), finite * others, finite):
        largest = chosen.amax(dim=(1, 2), keepdim=True)
        if largest.gt(0).all():
            break
    return 2 * eps * math.sqrt(size.shape[-1]) * largest


def _looked(
    y: Tensor, nudge: Tensor, rows: Tensor, *, scale: float = 1.0, apart: bool = False
) -> tuple[Tensor, Tensor] | None:
    """The length of each gradient, (B, R, S) in float64, and a sketch of it, (B, R, S, SKETCH); None without a path."""
    if apart:
        each = [_looked(y * _only(b, y), nudge, rows, scale=scale) for b in range(len(y))]
        kept = [(one[0][b], one[1][b]) for b, one in enumerate(each) if one is not None]
        return (torch.stack([s for s, _ in kept]), torch.stack([k for _, k in kept])) if len(kept) == len(y) else None
    signs = torch.randint(0, 2, (nudge.shape[-1], SKETCH), generator=torch.Generator().manual_seed(3)).to(nudge) * 2 - 1
    sizes, sketches = [], []
    for gradient in _gradients(y, nudge, rows, scale):  # (r, B, S, d)
        if gradient is None:
            return None
        sizes.append(torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64))
        sketches.append(gradient @ signs)
    return torch.cat(sizes).transpose(0, 1), torch.cat(sketches).transpose(0, 1)


def _only(b: int, y: Tensor) -> Tensor:
    """1 for one sentence and 0 for the others, (B, 1)."""
    return (torch.arange(len(y), device=y.device) == b)[:, None]


def _proportional(sketch: Tensor, y: Tensor, nudge: Tensor, rows: Tensor, *, apart: bool) -> Tensor:
    """Whether three times the random numbers give three times the gradient, (B, R, S), as far as its sketch tells."""
    again = _looked(y, nudge, rows, scale=3.0, apart=apart)
    assert again is not None
    wanted = 3 * sketch.double()
    return (again[1].double() - wanted).norm(dim=-1) <= 0.5 * wanted.norm(dim=-1)


def _gradients(y: Tensor, nudge: Tensor, rows: Tensor, scale: float) -> Iterator[Tensor]:
    """The gradients of y at some rows with respect to the nudge, (r, B, S, d) at a time."""
    B, L = y.shape
    for some in rows.split(max(1, AT_ONCE // max(1, B * L))):
        wanted = torch.zeros(len(some), B, L, dtype=y.dtype, device=y.device)
        wanted[torch.arange(len(some)), :, some] = scale
        yield products(y, nudge, wanted)


def products(y: Tensor, x: Tensor, wanted: Tensor) -> Tensor:
    """Several vector-Jacobian products at once: ``wanted`` (n, *y.shape) → (n, *x.shape); None without a path.

    >>> x = torch.ones(2, requires_grad=True)
    >>> products(3 * x, x, torch.eye(2))
    tensor([[3., 0.],
            [0., 3.]])
    """
    options = {"retain_graph": True, "allow_unused": True}
    try:
        return torch.autograd.grad(y, x, wanted, is_grads_batched=True, **options)[0]
    except RuntimeError:  # a function of the user's own, or a kernel that can't be batched
        each = [torch.autograd.grad(y, x, one, **options)[0] for one in wanted]
        return None if each[0] is None else torch.stack(each)  # type: ignore[return-value]


def across_batch(outputs: Tensor, nudge: Tensor) -> Tensor:
    """How much sentence i depends on sentence j, (B, B): one product for each sentence.

    >>> x = torch.ones(2, 1, 1, requires_grad=True)
    >>> across_batch(x.sum(dim=0, keepdim=True).expand(2, 1, 1), x) > 0
    tensor([[True, True],
            [True, True]])
    """
    y = (outputs * random_integers(outputs)).nan_to_num(posinf=0, neginf=0).sum(dim=(1, 2))  # (B,)
    gradient = products(y, nudge, torch.eye(len(y), dtype=y.dtype, device=y.device))
    return torch.zeros(len(y), len(y)) if gradient is None else gradient.double().flatten(2).norm(dim=-1)


# --- By change --------------------------------------------------------------------------------------------------------


def change(case: Case, name: str, where: Tensor) -> Tensor | Case:
    """Another input at the positions ``where`` (B, S) bool: a nudge as large as a vector, or other ids.

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(torch.nn.Identity(), torch.ones(1, 2, 3), None)
    >>> change(case, "", torch.tensor([[True, False]])).any(dim=-1)
    tensor([[ True, False]])
    """
    if case.width(name) is None:
        return case.changed(name, other_ids(case, name, where))
    nudge = case.nudge(name)
    draw = torch.randn(nudge.shape, generator=torch.Generator().manual_seed(OWN_SEED))
    return (draw * case.spread(name)).to(nudge) * where[..., None]


def outputs_after(case: Case, name: str, where: Tensor) -> Tensor:
    """The outputs after a change.

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(torch.nn.Identity(), torch.ones(1, 2, 3), None)
    >>> (outputs_after(case, "", torch.tensor([[True, False]])) != 1).any(dim=-1)
    tensor([[ True, False]])
    """
    changed = change(case, name, where)
    return (changed.run() if isinstance(changed, Case) else case.run({name: changed})).detach()


def differ(a: Tensor, b: Tensor, tolerance: float) -> Tensor:
    """Where two outputs (…, F) differ by more than rounding, or one of them is not finite where the other is.

    >>> differ(torch.tensor([[1.0], [2.0], [torch.nan]]), torch.tensor([[1.0], [3.0], [1.0]]), tolerance=0.1)
    tensor([False,  True,  True])
    """
    finite = a.isfinite() & b.isfinite()
    apart = (a.double() - b.double()).abs().nan_to_num(nan=0.0, posinf=0.0) > tolerance
    return ((apart & finite) | (a.isfinite() != b.isfinite())).any(dim=-1)


def by_changes(case: Case, name: str, base: Tensor, tolerance: float) -> Measured:
    """Measure by changing one position after the other, and looking which outputs change: (B, L, S).

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(torch.nn.Identity(), torch.ones(1, 2, 3), None)
    >>> by_changes(case, "", case.run(), tolerance=0.0).real.int()
    tensor([[[1, 0],
             [0, 1]]], dtype=torch.int32)
    """
    B, S = case.inputs[name].shape[:2]
    real = torch.zeros(B, base.shape[1], S, dtype=torch.bool, device=base.device)
    for j in rows_of(S):
        where = torch.zeros(B, S, dtype=torch.bool, device=base.device)
        where[:, j] = True
        real[:, :, j] = differ(outputs_after(case, name, where), base, tolerance)
    rows = torch.arange(base.shape[1], device=base.device)
    return Measured(rows, real.double(), real, how="changes")


def largest(values: Tensor) -> float:
    """The largest size of a number, of those that are finite; 0 of none.

    >>> largest(torch.tensor([1.0, -2.0, torch.inf])), largest(torch.ones(0))
    (2.0, 0.0)
    """
    finite = values.detach().double().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return finite.abs().max().item() if finite.numel() else 0.0


def noise(case: Case, base: Tensor) -> float:
    """What rounding alone can do to a real output: each vector is moved by one rounding step, and eight times that.

    Every layer rounds as the embedding does, so the errors of n layers are about √n times the effect of one: a factor
    of 8 is enough for 64 of them. One step of the outputs themselves is added.

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(torch.nn.Identity(), torch.ones(1, 2, 3), None)
    >>> noise(case, case.run()) < 1e-5
    True
    """
    eps = precision(case, base)
    scale = largest(base)
    nudges = {}
    for name in {case.main, case.padded}:
        if case.width(name) is not None:
            nudge = case.nudge(name)
            signs = torch.randint(0, 2, nudge.shape, generator=torch.Generator().manual_seed(2)).to(nudge) * 2 - 1
            nudges[name] = signs * eps * case.spread(name)
    moved = largest((case.run(nudges).detach().double() - base.double())[case.words])
    return 8 * (moved + eps * scale)


# --- Where it begins --------------------------------------------------------------------------------------------------


@contextmanager
def recorded(parts: list[tuple[str, nn.Module]], keep: Callable[[str, nn.Module, Tensor], None]) -> Iterator[None]:
    """Inside ``with``, ``keep`` hears what each module returns, in the order in which they end.

    >>> heard, part = [], nn.Identity()
    >>> with recorded([("it", part)], lambda name, module, output: heard.append(name)):
    ...     _ = part(torch.ones(1))
    >>> heard
    ['it']
    """

    def hook(name: str):
        def heard(module, inputs, output):
            output = output[0] if isinstance(output, tuple | list) and output else output
            output = getattr(output, "last_hidden_state", output)
            if isinstance(output, Tensor) and output.is_floating_point() and not output.is_nested:
                keep(name, module, output)

        return heard

    handles = [part.register_forward_hook(hook(name)) for name, part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def positions_last(output: Tensor, batch: int, length: int) -> Tensor | None:
    """A module's output with the axes (batch, position, features), where its shape says which is which.

    >>> positions_last(torch.zeros(2, 8, 5), batch=2, length=5).shape
    torch.Size([2, 5, 8])
    >>> positions_last(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), batch=1, length=2)  # weights: a row each query
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    if output.ndim < 2 or output.numel() == 0:
        return None
    if output.shape[:2] == (batch, length):
        return output[..., None].flatten(2)
    if output.shape[:2] == (length, batch):
        return output.transpose(0, 1)[..., None].flatten(2)
    if output.ndim == 4 and output.shape[0] == batch and output.shape[2] == length:
        return output.movedim(2, 1).flatten(2)
    if output.ndim >= 3 and output.shape[0] == batch and output.shape[-1] == length:
        return output.movedim(-1, 1).flatten(2)
    if output.shape[0] == batch * length:
        return output.reshape(batch, length, -1)
    return None


def where_it_begins(case: Case, name: str, cell: tuple[int, int], where: Tensor) -> tuple[str, nn.Module] | None:
    """The first module whose output at one (sentence, position) changes when the inputs at ``where`` do.

    >>> from masklab.doctor.inputs import make_case
    >>> case = make_case(nn.Sequential(nn.Identity()), torch.ones(1, 2, 3), None)
    >>> where_it_begins(case, "", (0, 1), torch.tensor([[False, True]]))
    ('0', Identity())
    """
    b, i = cell
    B, L = case.x.shape[:2]
    heard: list[list[tuple[str, nn.Module, Tensor]]] = [[], []]
    parts = named_parts(case.model)[:MOST_PLACES]
    nothing = torch.zeros_like(where)
    for kept, moved in zip(heard, (nothing, where), strict=True):

        def keep(part: str, module: nn.Module, output: Tensor, kept: list = kept) -> None:
            found = positions_last(output, B, L)
            kept.append((part, module, found[b, i].detach().clone() if found is not None else output.new_zeros(1)))

        try:
            with recorded(parts, keep):
                outputs_after(case, name, moved)
        except NOT_RUN:  # with a hook, torch leaves its fast path
            return None
    for (part, module, before), (_, _, after) in zip(*heard, strict=False):
        step = 8 * torch.finfo(before.dtype).eps * largest(before)
        if before.shape == after.shape and differ(before, after, step):
            return part, module
    return None
