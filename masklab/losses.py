"""Per-token losses × weights → one number, by a denominator that has a name.

A mask is bool, True = counts in the loss. Weights are floats: 1 counts fully, 0 does not count.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import validate

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

    Masked positions, even NaN or −∞, affect neither the value nor the gradient. Half precision is
    computed in float32.

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
    _check_logits(logits, labels)
    classes = logits.shape[-1]
    mask = _mask_of_labels(labels, mask, classes)
    validate.share(label_smoothing=label_smoothing)
    exact = torch.promote_types(logits.dtype, torch.float32)
    # Only rows that count go in: zero times NaN is NaN, so a mask on the losses alone keeps NaN gradients.
    log_p = logits[mask].to(exact).log_softmax(dim=-1)  # (N, V) for the N labels that count
    if class_weights is not None:
        log_p = log_p * _one_a_class(class_weights, classes).to(exact)
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
    validate.int64("labels", labels)
    class_weights = _one_a_class(class_weights, validate.tensor("class_weights", class_weights).numel())
    mask = _mask_of_labels(labels, mask, len(class_weights))
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
      more padding makes the loss and the step smaller.
    - ``"count"``: the number ``count``; ``count=1`` is the plain sum.

    Gradient accumulation: for micro-batches that add up to what one large batch gives, take ``"count"`` in
    place of ``"token"``, and as the count the sum of the weights of *all* micro-batches. With ``"sequence"``
    multiply what each micro-batch gives by its share of all sequences that count. If nothing may count in a
    micro-batch, pass ``on_empty="zero"``.

    Shapes: ``losses`` (B, L) float; ``weights`` (B, L), bool or float ≥ 0 → a scalar, float32 or
    finer. If all weights are 0, ``on_empty="error"`` raises, ``on_empty="zero"`` gives 0, and ``on_empty="nan"``
    what a plain formula gives: 0/0, which is NaN, for ``"token"`` and ``"sequence"``, and 0 for the others.
    The gradient is zeros then. A loss of weight 0, even NaN, affects neither the value nor the gradient; a NaN
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
    if not weights.any() and on_empty != "nan":
        return _nothing_counts(losses, on_empty)
    if per == "sequence":
        return _mean_of_means(losses, weights)
    return (losses * weights).sum() / _denominator(per, weights, count)


def _counted(losses: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 or finer, and no loss where there is no weight."""
    validate.floats("losses", losses)
    if validate.tensor("weights", weights).dtype != torch.bool:
        validate.floats("weights", weights, fix="If 1 means that a token counts, use weights.bool().")
    fix = "One weight a sequence becomes weights[:, None].expand_as(losses)."
    validate.same_shape("batch", "position", losses=losses, weights=weights, fix=fix)
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
    assert count is not None, "the names are checked"
    number = float(count)
    if not 0 < number < math.inf:
        raise ValueError(f"count must be positive and finite, got {number}.")
    return number  # a tensor's dtype must not change the dtype of the loss


def _nothing_counts(losses: Tensor, on_empty: str) -> Tensor:
    """Zero, still a part of the graph so that backward() runs; or an error that says what to look at."""
    if on_empty == "error":
        raise ValueError(
            f"nothing is supervised: all weights of this batch, shape {tuple(losses.shape)}, are 0. Look at the mask "
            'and the labels. If nothing may count in a batch, pass on_empty="zero".'
        )
    return losses.sum()


def _check_names(per: str, count: float | Tensor | None, on_empty: str) -> None:
    """Refuse an unknown choice, and a count that is not one number or belongs to no choice."""
    validate.one_of(DENOMINATORS, per=per)
    validate.one_of(("error", "zero", "nan"), on_empty=on_empty)
    if (per == "count") != (count is not None):
        raise ValueError(f'count goes with per="count" and with nothing else, got per={per!r} and count={count}.')
    if isinstance(count, Tensor) and count.numel() != 1:
        raise ValueError(
            f"count must be one number, got a tensor of shape {tuple(count.shape)}. For a sum of weights give "
            "weights.sum()."
        )


def _check_logits(logits: Tensor, labels: Tensor) -> None:
    """Refuse logits and labels that don't belong together."""
    validate.floats("logits", logits)
    validate.int64("labels", labels)
    if logits.ndim == 3 and labels.shape == logits.shape[:-1]:
        return
    if logits.ndim == 2:
        fix = "A classifier's, one label a sequence, become logits[:, None] and labels[:, None]."
    else:
        fix = "Logits as F.cross_entropy has them become logits.transpose(1, 2)."
    raise ValueError(
        f"logits must be (batch, position, class) and labels (batch, position), got {tuple(logits.shape)} "
        f"and {tuple(labels.shape)}. {fix}"
    )


def _mask_of_labels(labels: Tensor, mask: Tensor | None, classes: int) -> Tensor:
    """Return the mask, all True if there is none; refuse it or the labels that count if they don't fit."""
    if mask is None:
        mask = torch.ones_like(labels, dtype=torch.bool)
    fix = "Weights between 0 and 1 go to reduce(losses, weights)."
    validate.bool_mask("mask", mask, true="counts", fix=fix)
    validate.same_shape(labels=labels, mask=mask)
    fix = "If −100 marks what does not count, pass mask=(labels != -100)."
    validate.between("every label that counts", labels[mask], 0, classes - 1, fix=fix)
    return mask


def _one_a_class(class_weights: Tensor, classes: int) -> Tensor:
    """Return the weights of the classes if there is one for each."""
    if validate.tensor("class_weights", class_weights).shape != (classes,):
        raise ValueError(
            f"class_weights must have one number for each of {classes} classes, got shape "
            f"{tuple(class_weights.shape)}. One weight a token goes to reduce(losses, weights)."
        )
    return class_weights


def shift_left(values: Tensor) -> Tensor:
    """Each position gets what stands at the next one: all moves one to the left, and the last becomes 0.

    Shape: (B, L) → (B, L), the same dtype. A bool mask ends in False. For weights that belong to
    tokens: ``shift_left(weights) * supervised``. Raises ValueError for another number of axes.

    >>> shift_left(torch.tensor([[1, 2, 3]]))
    tensor([[2, 3, 0]])
    """
    validate.same_shape("batch", "position", values=validate.tensor("values", values))
    return F.pad(values, (0, 1))[:, 1:]


def next_token_labels(
    ids: Tensor, is_word: Tensor, *, documents: Tensor | None = None, learn: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The labels of a language model, shifted once: the label of a word is the word after it.

    The length stays, so logits are not cut; a model or a loss that shifts by itself must not get
    these. The last word of a sentence has no label, and no label is taken from another document.
    Padding predicts nothing. (Under left padding, the shift inside Transformers' models does count the
    first word of a sentence, predicted from padding.)

    Shapes: ``ids`` (B, L) int64; ``is_word`` (B, L) bool, True = a word, with padding on either side;
    ``documents`` (B, L), which document of a packed row a word belongs to; ``learn`` (B, L) bool,
    which words are worth predicting, for example `completion_mask`, None = all.
    → labels (B, L) int64, and supervised (B, L) bool. Labels where it is False mean nothing.
    ``learn`` belongs to the word that is predicted: the first word of a completion counts, and it is
    predicted at the last position of the prompt.
    Raises TypeError for another dtype, ValueError for shapes that differ.

    >>> labels, supervised = next_token_labels(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[False, True, True, True]]))
    >>> labels, supervised.int()
    (tensor([[1, 2, 3, 0]]), tensor([[0, 1, 1, 0]], dtype=torch.int32))
    """
    validate.int64("ids", ids)
    validate.bool_mask("is_word", is_word, true="a word")
    if documents is not None:
        validate.integers("documents", documents)
    if learn is not None:
        validate.bool_mask("learn", learn, true="worth predicting")
    validate.same_shape("batch", "position", ids=ids, is_word=is_word, documents=documents, learn=learn)
    supervised = is_word & shift_left(is_word)
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
    Raises TypeError for a text in place of a list of roles, ValueError for an unknown role, or for rows that
    differ in length.

    >>> completion_mask([["user", "user", "template", "assistant", "assistant", "pad"]]).int()
    tensor([[0, 0, 0, 1, 1, 0]], dtype=torch.int32)
    """
    learn = validate.list_of("roles", "learn", learn)
    rows = [validate.list_of("roles", "each row", row) for row in validate.list_of("rows of roles", "roles", roles)]
    for role in dict.fromkeys(role for row in (*rows, learn) for role in row):
        validate.one_of(ROLES, role=role)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ValueError(f"rows must have equally many roles, got {sorted(lengths)}: fill up with 'pad'.")
    found = torch.tensor([[role in learn for role in row] for row in rows], dtype=torch.bool)
    return found.reshape(len(rows), max(lengths, default=0))  # two axes, also where there are no rows


def agreement_weights(votes: Tensor) -> tuple[Tensor, Tensor]:
    """The label that most annotators chose, and the share of them that did.

    A negative vote means that none was given: shares are of the votes that were given. A token
    without votes, such as padding, gets the label 0 and the weight 0. In a tie the smallest id wins;
    its weight, at most one half, shows how unsure that is.

    Shapes: ``votes`` (B, L, annotators) int64 → labels (B, L) int64, weights (B, L) float32.
    Raises TypeError for other dtypes, ValueError for other axes or for no annotators.

    >>> votes = torch.tensor([[[7, 7, 7, 7], [7, 2, 7, 7], [9, 9, 2, 2], [-1, -1, -1, -1]]])
    >>> agreement_weights(votes)
    (tensor([[7, 7, 2, 0]]), tensor([[1.0000, 0.7500, 0.5000, 0.0000]]))
    """
    if validate.int64("votes", votes).ndim != 3 or votes.shape[-1] == 0:
        raise ValueError(f"votes must be (batch, position, annotators ≥ 1), got {tuple(votes.shape)}.")
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
    the model's own loss, as in self-paced learning. Raise the stage while training, until all weights are 1.
    With ``ramp=0`` a harder token has weight 0; with ``ramp > 0`` the weight falls in a straight line from 1 at
    ``stage`` to 0 at ``stage + ramp``. Padding has no difficulty: multiply the weights by the mask, or make
    it infinitely difficult, which always weighs 0, even at ``stage=torch.inf``.

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
        raise ValueError(f"ramp must be finite and not negative, got {ramp}.")
    if math.isnan(stage) or validate.tensor("difficulty", difficulty).isnan().any():
        raise ValueError("neither stage nor difficulty may be NaN. Make it infinite for a token that must not count.")
    difficulty = difficulty.detach()  # it may be the model's own loss, which must not learn to look hard
    harder = 0.0 if ramp == 0 else (1 - (difficulty - stage) / ramp).clamp(0, 1)
    weights = torch.where(difficulty <= stage, 1.0, harder).float()
    return weights.masked_fill(difficulty == math.inf, 0.0)
