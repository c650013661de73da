"""Per-token losses × weights → one number, by a denominator that has a name.

A mask is bool, True = counts in the loss. Weights are floats: 1 counts fully, 0 does not count.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

DENOMINATORS = ("token", "sequence", "position", "count")
ROLES = ("system", "user", "assistant", "tool", "template", "pad")


def token_losses(
    logits: Tensor,
    labels: Tensor,
    mask: Tensor | None = None,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of every token, 0 where the mask is False.

    What stands at a position that does not count, NaN and −∞ among it, changes neither value nor
    gradient. Half precision is computed in float32.

    Shapes: ``logits`` (B, L, V); ``labels`` (B, L) int64, any number where ``mask`` is False;
    ``mask`` (B, L) bool, True = counts, None = all do; ``class_weights`` (V,) → (B, L) in nats.
    ``class_weights`` and ``label_smoothing`` mean what they mean in `F.cross_entropy`; for its
    mean under class weights see `label_weights`.
    Raises TypeError for other dtypes, ValueError for shapes that don't fit, a counted label outside
    0 … V−1, or a smoothing outside 0 … 1.
    Source: Szegedy et al. 2016, arXiv 1512.00567, §7, for the smoothing.

    >>> logits = torch.zeros(1, 3, 2)
    >>> token_losses(logits, torch.tensor([[0, 1, -100]]), torch.tensor([[True, True, False]]))
    tensor([[0.6931, 0.6931, 0.0000]])
    """
    mask = _checked_labels(logits, labels, mask)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be between 0 and 1, and is {label_smoothing}.")
    exact = torch.promote_types(logits.dtype, torch.float32)
    # Only rows that count go in: zero times NaN is NaN, so a mask on the losses alone keeps NaN gradients.
    log_p = logits[mask].to(exact).log_softmax(dim=-1)  # (N, V) for the N labels that count
    if class_weights is not None:
        log_p = log_p * _checked_class_weights(class_weights, logits.shape[-1]).to(exact)
    losses = -log_p.gather(-1, labels[mask][:, None]).squeeze(-1)  # (N,)
    if label_smoothing > 0:
        losses = (1 - label_smoothing) * losses - label_smoothing * log_p.mean(dim=-1)
    return torch.zeros(labels.shape, dtype=exact, device=logits.device).masked_scatter(mask, losses)  # (B, L)


def label_weights(labels: Tensor, mask: Tensor, class_weights: Tensor) -> Tensor:
    """The class weight of every label that counts, 0 elsewhere.

    With class weights the mean of `F.cross_entropy` divides by the sum of these, not by the number
    of tokens: ``reduce(losses, mask, per="count", count=label_weights(labels, mask, class_weights).sum())``.

    Shapes: ``labels`` (B, L) int64; ``mask`` (B, L) bool; ``class_weights`` (V,) → (B, L), float32 or finer.
    Raises TypeError for other dtypes, ValueError for shapes that don't fit or a counted label outside 0 … V−1.

    >>> label_weights(torch.tensor([[0, 1, 1]]), torch.tensor([[True, True, False]]), torch.tensor([1.0, 3.0]))
    tensor([[1., 3., 0.]])
    """
    _check_int64("labels", labels)
    mask = _checked_mask(mask, labels)
    class_weights = _checked_class_weights(class_weights, class_weights.numel())
    _check_range(labels[mask], len(class_weights))
    exact = torch.promote_types(class_weights.dtype, torch.float32)
    return class_weights.to(exact)[labels.masked_fill(~mask, 0)].masked_fill(~mask, 0.0)


def reduce(
    losses: Tensor,
    weights: Tensor,
    *,
    per: str = "token",
    count: float | Tensor | None = None,
    on_empty: str = "error",
) -> Tensor:
    """Weighted losses as one number: their sum over the denominator that ``per`` names.

    - ``"token"``: the sum of the weights. Every token weighs the same.
    - ``"sequence"``: the mean over sequences of each one's weighted mean. Every sequence weighs
      the same, so a token of a short one weighs more. A sequence with no weight does not count.
    - ``"position"``: B·L, padding included, as ``(losses * mask).mean()`` does. **Usually wrong**:
      the loss and the step shrink when somebody adds padding.
    - ``"count"``: the number ``count``; ``count=1`` is the plain sum.

    Gradient accumulation adds up micro-batches to what one large batch gives. In place of ``"token"`` take
    ``"count"``, and as the count the sum of the weights of *all* micro-batches (with a mask: its tokens). With
    ``"sequence"`` multiply what each micro-batch gives by its share of all sequences that count. If a micro-batch
    may have nothing that counts, pass ``on_empty="zero"``.

    Shapes: ``losses`` (B, L) float; ``weights`` (B, L), bool or float ≥ 0 → a scalar, float32 or
    finer. Where no weight is left, ``on_empty="error"`` raises, and ``on_empty="zero"`` gives 0 with a
    gradient of zeros. A loss of weight 0 changes neither value nor gradient, even if it is NaN; a NaN
    that counts stays NaN. (An operation before the losses, log of 0 for one, may turn that gradient of
    zeros into NaN again: mask before it, as `token_losses` does.)
    Raises TypeError for other dtypes, ValueError for shapes that differ, negative or non-finite weights,
    an unknown name, a ``count`` that is missing or not one positive number, or nothing to learn from.

    >>> losses = torch.tensor([[1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 0.0, 0.0]])
    >>> mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    >>> [round(reduce(losses, mask, per=per).item(), 3) for per in ("token", "sequence", "position")]
    [2.333, 3.0, 1.75]
    >>> reduce(losses, mask, per="count", count=7)
    tensor(2.)
    """
    _check_names(per, count, on_empty)
    losses, weights = _counted(losses, weights)
    if not weights.any():
        return _nothing_counts(losses, on_empty)
    if per == "sequence":
        return _mean_of_means(losses, weights)
    return (losses * weights).sum() / _denominator(per, weights, count)


def _counted(losses: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 or finer, and no loss where there is no weight."""
    if not losses.is_floating_point() or not (weights.is_floating_point() or weights.dtype == torch.bool):
        raise TypeError(
            f"losses must be floating-point, and weights floating-point or a bool mask, and they are {losses.dtype} "
            f"and {weights.dtype}. If the weights are integers and 1 means that a token counts, use weights.bool()."
        )
    if losses.ndim != 2 or losses.shape != weights.shape:
        raise ValueError(
            f"losses and weights must both be (batch, position), and are {tuple(losses.shape)} and "
            f"{tuple(weights.shape)}. One weight a sequence becomes weights[:, None].expand_as(losses)."
        )
    exact = torch.promote_types(losses.dtype, torch.float32)
    weights = weights.to(exact)
    if not (weights.isfinite() & (weights >= 0)).all():
        raise ValueError("weights must be finite and not negative. To leave a token out, give it the weight 0.")
    return losses.masked_fill(weights == 0, 0.0).to(exact), weights


def _mean_of_means(losses: Tensor, weights: Tensor) -> Tensor:
    """The mean over the sequences that have any weight of each one's weighted mean."""
    some = weights.any(dim=1)  # the others would be 0/0
    sums = (losses * weights).sum(dim=1)
    return (sums[some] / weights.sum(dim=1)[some]).mean()


def _denominator(per: str, weights: Tensor, count: float | Tensor | None) -> float | Tensor:
    """What the sum of all weighted losses is divided by."""
    if per == "token":
        return weights.sum()
    if per == "position":
        return weights.numel()
    if not 0 < float(count) < math.inf:
        raise ValueError(f"count must be positive and finite, and is {float(count)}.")
    return float(count)  # a tensor's dtype must not change the dtype of the loss


def _nothing_counts(losses: Tensor, on_empty: str) -> Tensor:
    """Zero, still a part of the graph so that backward() runs; or an error that says what to look at."""
    if on_empty == "error":
        raise ValueError(
            f"nothing is supervised: all weights of this batch, shape {tuple(losses.shape)}, are 0. Look at the mask "
            'and the labels; if a batch may be empty, pass on_empty="zero".'
        )
    return losses.sum()


def _check_names(per: str, count: float | Tensor | None, on_empty: str) -> None:
    """Say which choices there are, and that a count is one number."""
    if per not in DENOMINATORS:
        raise ValueError(f"per must be one of {DENOMINATORS}, and is {per!r}.")
    if on_empty not in ("error", "zero"):
        raise ValueError(f"on_empty must be 'error' or 'zero', got {on_empty!r}.")
    if (per == "count") != (count is not None):
        raise ValueError(f'a count goes with per="count" and with nothing else: got per={per!r} and count={count}.')
    if isinstance(count, Tensor) and count.numel() != 1:
        raise ValueError(
            f"count must be one number, and is a tensor of shape {tuple(count.shape)}. For the sum of weights give "
            "weights.sum()."
        )


def _checked_labels(logits: Tensor, labels: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mask, all True if there was none, or say what is wrong with logits, labels or mask."""
    if not logits.is_floating_point() or labels.dtype != torch.int64:
        raise TypeError(f"logits must be floating-point and labels int64, and are {logits.dtype} and {labels.dtype}.")
    if logits.ndim != 3 or labels.shape != logits.shape[:-1]:
        if logits.ndim == 2:
            hint = "A classifier's, one label a sequence, become logits[:, None] and labels[:, None]."
        else:
            hint = "Logits as F.cross_entropy has them become logits.transpose(1, 2)."
        raise ValueError(
            f"logits must be (batch, position, class) and labels (batch, position), and are {tuple(logits.shape)} "
            f"and {tuple(labels.shape)}. {hint}"
        )
    mask = torch.ones_like(labels, dtype=torch.bool) if mask is None else _checked_mask(mask, labels)
    _check_range(labels[mask], logits.shape[-1])
    return mask


def _check_int64(name: str, ids: Tensor) -> None:
    """Ids are int64, also where torch would take another dtype."""
    if ids.dtype != torch.int64:
        raise TypeError(
            f"{name} must be int64, and are {ids.dtype} of shape {tuple(ids.shape)}. If they are whole numbers, "
            f"use {name}.long()."
        )


def _checked_mask(mask: Tensor, labels: Tensor) -> Tensor:
    """Return the mask if it says for each label whether it counts."""
    if mask.dtype != torch.bool:
        raise TypeError(
            f"the mask must be bool, True = counts, and is {mask.dtype}. Use mask.bool() if 1 means that a token "
            "counts; weights between 0 and 1 go to reduce(losses, weights)."
        )
    if mask.shape != labels.shape:
        raise ValueError(f"the mask must be as the labels, {tuple(labels.shape)}, and is {tuple(mask.shape)}.")
    return mask


def _check_range(labels: Tensor, classes: int) -> None:
    """A label that counts must name a class."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.numel():
        raise ValueError(
            f"every label that counts must be between 0 and {classes - 1}, and one is {wrong[0].item()}. "
            "If −100 marks what does not count, pass mask=(labels != -100)."
        )


def _checked_class_weights(class_weights: Tensor, classes: int) -> Tensor:
    """Return the weights of the classes if there is one for each."""
    if class_weights.shape != (classes,):
        raise ValueError(
            f"class_weights must have one number for each of {classes} classes, and their shape is "
            f"{tuple(class_weights.shape)}. One weight a token goes to reduce(losses, weights)."
        )
    return class_weights


def shift_left(values: Tensor) -> Tensor:
    """What stands at the next position: everything moves one to the left, and the last becomes 0.

    Shape: (B, L) → (B, L), the same dtype. A bool mask ends in False. For weights that belong to
    tokens: ``shift_left(weights) * supervised``. Raises ValueError for another number of axes.

    >>> shift_left(torch.tensor([[1, 2, 3]]))
    tensor([[2, 3, 0]])
    """
    if values.ndim != 2:
        raise ValueError(f"expected axes (batch, position), and got shape {tuple(values.shape)}.")
    return F.pad(values, (0, 1))[:, 1:]


def next_token_labels(
    ids: Tensor, mask: Tensor, *, documents: Tensor | None = None, learn: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The labels of a language model, shifted once: the label of a word is the word after it.

    The length stays, so logits are not cut; a model or a loss that shifts by itself must not get
    these. The last word of a sentence has no label, and no label is taken from another document.
    Padding predicts nothing: under left padding the shift inside Transformers' models does count the first
    word of a sentence, predicted from padding; this one does not.

    Shapes: ``ids`` (B, L) int64; ``mask`` (B, L) bool, True = a word, with padding on either side;
    ``documents`` (B, L), which document of a packed row a word belongs to; ``learn`` (B, L) bool,
    which words are worth predicting, for example `completion_mask`, None = all.
    → labels (B, L) int64, and supervised (B, L) bool. Labels where it is False mean nothing.
    ``learn`` belongs to the word that is predicted: the first word of a completion counts, and it is
    predicted at the last position of the prompt.
    Raises TypeError for ids that are not int64 or a mask that is not bool, ValueError for shapes that differ.

    >>> labels, supervised = next_token_labels(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[False, True, True, True]]))
    >>> labels, supervised.int()
    (tensor([[1, 2, 3, 0]]), tensor([[0, 1, 1, 0]], dtype=torch.int32))
    """
    _check_int64("ids", ids)
    for name, values in {"mask": mask, "documents": documents, "learn": learn}.items():
        if values is not None and values.shape != ids.shape:
            raise ValueError(f"{name} must be as the ids, {tuple(ids.shape)}, and is {tuple(values.shape)}.")
        if name != "documents" and values is not None and values.dtype != torch.bool:
            raise TypeError(f"{name} must be bool, True = yes, and is {values.dtype}. Use .bool() if 1 means yes.")
    supervised = mask & shift_left(mask)
    if documents is not None:
        supervised = supervised & (documents == shift_left(documents))
    if learn is not None:
        supervised = supervised & shift_left(learn)
    return shift_left(ids), supervised


def completion_mask(roles: Sequence[Sequence[str]], *, learn: Sequence[str] = ("assistant",)) -> Tensor:
    """Which tokens a chat model learns to write: those of the assistant, not those of the prompt.

    A role says who *writes* a token. The token that ends a turn has the role of its turn: the
    assistant writes its own end, and a model that never learns it never stops. The header that opens
    a turn is given at inference, so its role is "template". Padding has the role "pad": it is known
    from where the sentence was padded, never from an id, because pad and end often share one.

    Shapes: B rows of L role names, each one of `ROLES` → (B, L) bool, True = learn to write it.
    Hand it to `next_token_labels` as ``learn``: it marks words, not the positions that predict them.
    Raises TypeError for a text where a list of roles belongs, ValueError for an unknown role, or for rows that
    differ in length.

    >>> completion_mask([["user", "user", "template", "assistant", "assistant", "pad"]]).int()
    tensor([[0, 0, 0, 1, 1, 0]], dtype=torch.int32)
    """
    for given in (roles, learn, *roles):
        if isinstance(given, str):  # Python would go through its letters
            raise TypeError(
                "every row, and learn, must be a list of roles, as ['user', 'assistant'], and one is the text "
                f"{given!r}. Put it into a list."
            )
    unknown = {role for row in (*roles, learn) for role in row} - set(ROLES)
    if unknown:
        raise ValueError(f"a role must be one of {ROLES}, and one is {min(unknown)!r}.")
    lengths = {len(row) for row in roles}
    if len(lengths) > 1:
        raise ValueError(f"every row must have as many roles, and they have {sorted(lengths)}: fill up with 'pad'.")
    found = torch.tensor([[role in learn for role in row] for row in roles], dtype=torch.bool)
    return found.reshape(len(roles), max(lengths, default=0))  # two axes, also where there are no rows


def agreement_weights(votes: Tensor) -> tuple[Tensor, Tensor]:
    """The label that most annotators chose, and the share of them that did.

    A negative vote means that none was given: shares are of the votes that were given. A token
    without votes, such as padding, gets the label 0 and the weight 0. Of labels with equally many votes
    the smallest id wins; its weight, at most one half, shows how unsure that is.

    Shapes: ``votes`` (B, L, annotators) int64 → labels (B, L) int64, weights (B, L) float32.
    Raises TypeError for other dtypes, ValueError for other axes or for no annotators.

    >>> votes = torch.tensor([[[7, 7, 7, 7], [7, 2, 7, 7], [9, 9, 2, 2], [-1, -1, -1, -1]]])
    >>> agreement_weights(votes)
    (tensor([[7, 7, 2, 0]]), tensor([[1.0000, 0.7500, 0.5000, 0.0000]]))
    """
    if votes.dtype != torch.int64:
        raise TypeError(f"votes must be int64, the id of a label each, and are {votes.dtype}.")
    if votes.ndim != 3 or votes.shape[-1] == 0:
        raise ValueError(f"votes must be (batch, position, annotators ≥ 1), and are {tuple(votes.shape)}.")
    given = votes >= 0
    same = votes[..., :, None] == votes[..., None, :]  # (B, L, A, A): annotators i and j agree
    support = (same & given[..., None]).sum(dim=-1)  # (B, L, A): who voted like annotator i
    most = support.amax(dim=-1)
    winners = support == most[..., None]
    beyond = torch.iinfo(torch.int64).max  # put in place of the losers, so that the smallest id is a winner's
    labels = votes.masked_fill(~winners, beyond).amin(dim=-1)
    return labels.masked_fill(most == 0, 0), most / given.sum(dim=-1).clamp(min=1)


def curriculum_weights(difficulty: Tensor, *, stage: float, ramp: float = 0.0) -> Tensor:
    """Full sentences, but easy tokens first: a token counts once the stage has reached its difficulty.

    ``stage`` and ``difficulty`` share one unit, whatever it is: a rank, the rarity of a word, or
    the model's own loss, as in self-paced learning. Raise the stage while training; once it is at the hardest
    token, all weights are 1. With ``ramp=0`` a harder token has weight 0; with ``ramp > 0`` the weight falls in
    a straight line from 1 at ``stage`` to 0 at ``stage + ramp``.
    Padding has no difficulty: multiply the weights by the mask, or make it infinitely difficult. An
    infinite difficulty always weighs 0, even at ``stage=torch.inf``.

    Shape: ``difficulty`` (B, L) → (B, L) float32 weights.
    Raises ValueError for a difficulty or a stage that is NaN, or a ramp that is negative or not finite.
    Source: Bengio et al. 2009, "Curriculum learning"; here tokens wait instead of examples.

    >>> difficulty = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    >>> curriculum_weights(difficulty, stage=1)
    tensor([[1., 1., 0., 0.]])
    >>> curriculum_weights(difficulty, stage=1, ramp=4)
    tensor([[1.0000, 1.0000, 0.7500, 0.5000]])
    """
    if not 0 <= ramp < math.inf:
        raise ValueError(f"ramp must be finite and not negative, and is {ramp}.")
    if math.isnan(stage) or difficulty.isnan().any():
        raise ValueError("neither stage nor difficulty may be NaN: give a token that must not count an infinite one.")
    difficulty = difficulty.detach()  # it may be the model's own loss, which must not learn to look hard
    harder = 0.0 if ramp == 0 else (1 - (difficulty - stage) / ramp).clamp(0, 1)
    weights = torch.where(difficulty <= stage, 1.0, harder).float()
    return weights.masked_fill(difficulty == math.inf, 0.0)
