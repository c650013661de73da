"""The X-ray of a loss: from its gradient at the logits, which label each position has and how much it weighs.

For cross-entropy the gradient at one position is w · (p − onehot(label)), p being the softmax of the logits. Label
smoothing spreads a share ε of the target over all classes, and a z-loss adds another multiple of p. What fits none of
these is some other loss, and is left unread. So is what a focal loss looks like: at one position it *is* a
cross-entropy, whose weight depends on p.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLOAT32_EPS = torch.finfo(torch.float32).eps
CELLS_AT_ONCE = 2**18  # of the float64 copies: 2 MiB each, which stay in the processor's cache
FAINT = 1e-7  # of the largest gradient: less is what two equal terms leave of each other
CERTAIN = 1 - 1e-6  # from this probability on a gradient of 0 doesn't say that a position is left out
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
    eps = max(torch.finfo(gradient.dtype).eps, FLOAT32_EPS)  # a float64 may have gone through float32
    flat, slopes = (one.detach().reshape(-1, classes) for one in (logits, gradient))
    sizes = slopes.abs().amax(dim=-1)
    alive = ~(sizes <= FAINT * sizes.nan_to_num(0, 0, 0).max())
    found = torch.zeros(len(flat), 5, dtype=torch.float64, device=flat.device)
    parts = (alive & slopes.isfinite().all(-1) & ~flat.isnan().any(-1)).nonzero()[:, 0]
    blocks = parts.split(max(1, CELLS_AT_ONCE // classes)) if len(parts) else ()
    shares = []
    for some in blocks:
        found[some] = _fitted(flat[some], slopes[some], eps, 0.0)
        unread = some[found[some, 0] == 0]
        shares.append(_smoothing(flat[unread], slopes[unread], eps) if len(unread) else flat.new_zeros(0).double())
    share = torch.cat(shares).median().item() if shares and sum(map(len, shares)) else 0.0
    smoothed = torch.zeros_like(alive)
    for some in blocks if share else ():  # one loss smooths all targets alike
        again = _fitted(flat[some], slopes[some], eps, share)
        smoothed[some] = again[:, 0] > 0
        found[some] = torch.where(again[:, :1] > 0, again, found[some])
    certain = ~alive & (flat.float().softmax(-1).amax(-1) > CERTAIN)
    read, found = found[:, 0] > 0, found.masked_fill(found[:, :1] == 0, 0.0)
    _, label, weight, extra, p = found.reshape(*shape, 5).cpu().unbind(-1)
    alive, certain, read = (one.reshape(shape).cpu() for one in (alive, certain, read))
    label = label.long().masked_fill(~read, -1)
    return Rows(alive, certain, read, label, weight, extra, p, smoothing=share if smoothed.any() else 0.0)


def _fitted(logits: Tensor, rows: Tensor, eps: float, share: float) -> Tensor:
    """(read, label, weight, extra, p) of each row: by its lowest slope, its likeliest class, or its highest slope.

    The label has the only negative slope. Where the model is certain, or surer than a smoothed target, it is the
    likeliest class; and if the loss pushes a label away, the only positive one.
    """
    rows, log_p = rows.double(), logits.double().log_softmax(dim=-1)
    best = rows.new_zeros(len(rows), 5)
    for label, sign in ((rows.argmin(-1), 1), (log_p.argmax(-1), 1), (rows.argmax(-1), -1)):
        left = (best[:, 0] == 0).nonzero()[:, 0]
        best[left] = _fit(log_p[left], rows[left], label[left], sign, eps, share)
    return best


def _fit(log_p: Tensor, rows: Tensor, label: Tensor, sign: int, eps: float, share: float) -> Tensor:
    """Fit rows by w · (p − target), at the other classes first and then at the label, where a z-loss shows."""
    classes, at = rows.shape[-1], label[:, None]
    others, p = torch.ones_like(rows).scatter(-1, at, 0.0), log_p.exp()
    noise = _noise(log_p, p, eps) + 8 * eps * share / classes
    shape = (p - share / classes) * others
    weight = (rows * shape).sum(-1) / shape.square().sum(-1)
    scale = weight.abs()[:, None]
    fits = ((rows - weight[:, None] * shape).abs() * others <= noise * scale).all(-1)
    own, slope = p.gather(-1, at)[:, 0], rows.gather(-1, at)[:, 0]
    miss = slope + weight * shape.sum(-1)  # the slopes of a cross-entropy sum to 0
    small = (noise.gather(-1, at)[:, 0] + SHARE_ERROR * (share > 0)) * weight.abs() + 8 * eps * slope.abs()
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
