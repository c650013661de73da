"""The X-ray of a loss: from its gradient at the logits, which label each position has and how much it weighs.

For cross-entropy the gradient at one position is w · (p − onehot(label)), p being the softmax of the logits. Label
smoothing spreads a share ε of the target over all classes, and a z-loss adds another multiple of p. What fits none of
these is some other loss, and is left unread. So is what a focal loss looks like: at one position it *is* a
cross-entropy, whose weight depends on p.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

FLOAT32_EPS = torch.finfo(torch.float32).eps
CELLS_AT_ONCE = 2**18  # of the float64 copies: 2 MiB each, which stay in the processor's cache
FAINT_STEPS = 16  # a gradient of a few times the smallest number there is can't be read
FAINT = 1e-7  # of the largest gradient: less is what two equal terms leave of each other
LEAST_HIDDEN = 1e-6  # probability beside the likeliest class, below which no gradient may be seen at any weight
MOST_EXTRA = 0.5  # a z-loss is a small term; more is another loss
LEAST_LEFT = 0.05  # probability beside the label, below which a row doesn't tell how far its target is smoothed
SHARE_ERROR = 1e-3  # how well the smoothing is known


@dataclass(frozen=True, eq=False)
class Rows:
    """What each position is taught. Shapes: all as the positions.

    ``alive``: there is a gradient; ``certain``: there is none, but the model is so sure that there would be none
    anyway; ``read``: the gradient is that of a cross-entropy. Where it is, ``label`` is the label, ``weight`` how much
    it weighs, ``extra`` what more pulls on p (a z-loss), ``p`` the label's probability; elsewhere −1 and 0.
    ``smoothing`` is the share of each target that is spread over all classes.
    """

    alive: Tensor
    certain: Tensor
    read: Tensor
    label: Tensor
    weight: Tensor
    extra: Tensor
    p: Tensor
    smoothing: float


def read_rows(logits: Tensor, gradient: Tensor) -> Rows:
    """Each row's label and weight. Shapes: both (..., V) → (...).

    >>> logits = torch.zeros(2, 3, requires_grad=True)
    >>> loss = torch.nn.functional.cross_entropy(logits, torch.tensor([2, -100]))
    >>> rows = read_rows(logits, torch.autograd.grad(loss, logits)[0])
    >>> rows.label, rows.weight.round(decimals=2)
    (tensor([ 2, -1]), tensor([1., 0.], dtype=torch.float64))
    """
    shape, classes = gradient.shape[:-1], gradient.shape[-1]
    flat, slopes = (one.detach().reshape(-1, classes) for one in (logits, gradient))
    sizes, step = slopes.abs().amax(dim=-1), _smallest(gradient.dtype)
    alive = ~((sizes <= FAINT * sizes.nan_to_num(0, 0, 0).max()) | (sizes <= FAINT_STEPS * step))
    readable = (alive & slopes.isfinite().all(-1) & ~flat.isnan().any(-1)).nonzero()[:, 0]
    found, share = _all_fitted(flat, slopes, readable)
    certain = ~alive & _hidden(flat, sizes, found, FAINT_STEPS * step)
    read = (found[:, 0] > 0).reshape(shape).cpu()
    _, label, weight, extra, p = found.reshape(*shape, 5).cpu().unbind(-1)
    alive, certain = (one.reshape(shape).cpu() for one in (alive, certain))
    return Rows(alive, certain, read, label.long().masked_fill(~read, -1), weight, extra, p, smoothing=share)


def _smallest(dtype: torch.dtype) -> float:
    """The smallest positive number of a dtype: 6e-8 in float16."""
    return torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps


def _all_fitted(logits: Tensor, rows: Tensor, readable: Tensor) -> tuple[Tensor, float]:
    """(read, label, weight, extra, p) of every row, block by block, and by how much the targets are smoothed.

    First no target is. What then stays unread says how much they may be: one loss smooths all of them alike.
    """
    eps = max(torch.finfo(rows.dtype).eps, FLOAT32_EPS)  # a float64 may have gone through float32
    found = torch.zeros(len(rows), 5, dtype=torch.float64, device=rows.device)
    blocks = readable.split(max(1, CELLS_AT_ONCE // rows.shape[-1])) if len(readable) else ()
    shares = []
    for some in blocks:
        found[some] = _fitted(logits[some], rows[some], eps, 0.0)
        unread = some[found[some, 0] == 0]
        shares += _smoothing(logits[unread], rows[unread], eps).tolist() if len(unread) else []
    share, fits = (median(shares), False) if shares else (0.0, False)
    for some in blocks if share else ():
        again = _fitted(logits[some], rows[some], eps, share)
        found[some] = torch.where(again[:, :1] > 0, again, found[some])
        fits = fits or bool(again[:, 0].any())
    return found, share if fits else 0.0


def _hidden(logits: Tensor, sizes: Tensor, found: Tensor, lost: float) -> Tensor:
    """Where a gradient would be too small to be seen: if the label is the likeliest class, it is w · (1 − p)."""
    left = 1 - logits.float().softmax(-1).amax(-1)
    weights = found[found[:, 0] > 0, 2].abs()
    usual = weights.median().item() if len(weights) else torch.inf
    return (left < LEAST_HIDDEN) | ((usual * left <= lost) & (left < LEAST_LEFT)) | ((sizes > 0) & (sizes <= lost))


def _fitted(logits: Tensor, rows: Tensor, eps: float, share: float) -> Tensor:
    """(read, label, weight, extra, p) of each row: by its lowest slope, its likeliest class, or its highest slope.

    The label has the only negative slope. Where the model is certain, or surer than a smoothed target, it is the
    likeliest class; and if the loss pushes a label away, the only positive one.
    """
    step = _smallest(rows.dtype)
    rows, log_p = rows.double(), logits.double().log_softmax(dim=-1)
    best = rows.new_zeros(len(rows), 5)
    for label, sign in ((rows.argmin(-1), 1), (log_p.argmax(-1), 1), (rows.argmax(-1), -1)):
        left = (best[:, 0] == 0).nonzero()[:, 0]
        best[left] = _fit(log_p[left], rows[left], label[left], sign, eps, step, share)
    return best


def _fit(log_p: Tensor, rows: Tensor, label: Tensor, sign: int, eps: float, step: float, share: float) -> Tensor:
    """Fit rows by w · (p − target), at the other classes first and then at the label, where a z-loss shows."""
    classes, at = rows.shape[-1], label[:, None]
    others, p = torch.ones_like(rows).scatter(-1, at, 0.0), log_p.exp()
    noise = _noise(log_p, p, eps) + 8 * eps * share / classes
    shape = (p - share / classes) * others
    weight = (rows * shape).sum(-1) / shape.square().sum(-1)
    scale = weight.abs()[:, None]
    fits = ((rows - weight[:, None] * shape).abs() * others <= noise * scale + 2 * step).all(-1)
    own, slope = p.gather(-1, at)[:, 0], rows.gather(-1, at)[:, 0]
    miss = slope + weight * shape.sum(-1)  # the slopes of a cross-entropy sum to 0
    small = (
        (noise.gather(-1, at)[:, 0] + SHARE_ERROR * (share > 0)) * weight.abs()
        + 8 * eps * slope.abs()
        + 2 * step * classes
    )
    extra = miss.masked_fill(miss.abs() <= small, 0.0)
    weight = weight - extra
    fits = fits & weight.isfinite() & (weight * sign > 0) & (extra.abs() <= MOST_EXTRA * weight.abs() * (share == 0))
    fits = fits & ((1 - own > LEAST_LEFT) | (sign > 0))  # where little is left, anything looks like a negative weight
    found = torch.stack([fits.to(rows.dtype), label.to(rows.dtype), weight, extra, own], dim=-1)
    return torch.where(fits[:, None], found, 0.0)


def _noise(log_p: Tensor, p: Tensor, eps: float) -> Tensor:
    """How far rounding moves one cell of a row of weight 1.

    A library computes log p, rounds it (relative to its size), takes exp, and rounds the product again: p moves by a
    few eps · (1 + |log p|) of itself. Log p is a difference of logits, so their size counts as well; this part, and all
    sums, are computed in float32 at least. The factor 8 is for ways of computing it in several steps.
    """
    size = log_p.masked_fill(log_p.isneginf(), 0.0).abs()
    return 8 * p * (eps * (1 + size) + FLOAT32_EPS * size.amax(-1, keepdim=True)) + 8 * FLOAT32_EPS


def _smoothing(logits: Tensor, rows: Tensor, eps: float) -> Tensor:
    """The share that each row's target spreads over all classes, of those rows that tell.

    Beside the label a row is a · p − c, a line in p, and the share is c · V / a. Shape: (rows that tell,).
    """
    rows, log_p = rows.double(), logits.double().log_softmax(dim=-1)
    p, label = log_p.exp(), rows.argmin(-1, keepdim=True)
    trust = torch.ones_like(rows).scatter(-1, label, 0.0) / _noise(log_p, p, eps).square()
    mean_p, mean = ((trust * one).sum(-1) / trust.sum(-1) for one in (p, rows))
    from_mean = p - mean_p[:, None]
    a = (trust * from_mean * rows).sum(-1) / (trust * from_mean.square()).sum(-1)
    share = (a * mean_p - mean) * rows.shape[-1] / a
    return share[(share > 0) & (share < 1) & (1 - p.gather(-1, label)[:, 0] > LEAST_LEFT)]
