"""The checks of lesson 01: a mean under a mask, by sentence, over micro-batches, ignored labels, NaN that is masked.

>>> masked_mean(lambda losses, mask: (losses * mask).mean()).misconception
'divided by all positions'
>>> mean_by_sentence(lambda losses, mask: losses[mask].mean()).misconception
'by token'
>>> micro_losses(lambda parts: [losses[mask].mean() for losses, mask in parts]).misconception
'each its own mean'
>>> ignored_labels(lambda labels, mask: labels * mask).misconception
'zeros'
>>> safe_mean(lambda losses, mask: (losses * mask).sum() / mask.sum()).misconception
'NaN gets in'
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from masklab.check import cases, oracles
from masklab.check.answers import same
from masklab.check.exercise import Exercise
from masklab.check.gradients import by_value, fitting, gradient_faults, reached, value_and_gradient, value_is_not_finite
from masklab.check.misconceptions import Misconception, Note, forms, no_gradient
from masklab.check.pictures import compared, different, given, sentence_grid
from masklab.check.running import CUT, Complaint, followed_back

INVERTED = "you take the losses that do not count. In `mask`, True means that a position counts."
UNUSED = "the mask is not used: the losses of the padding are in your mean like all the others."
RIGHT_ONLY = (
    "you count the words and take the first positions of each sentence. That is right only where the padding is on the "
    "right: `mask` itself says which positions count."
)
MEANS = "this is the mean of the sentences' means. Here all positions that count weigh the same."
FIRST = "only the first sentence is in your mean. Is a `return` inside the loop, or did you take [0]?"
LAST = "only the last sentence is in your mean. Does your loop start again from 0 in each round?"


def _kept(losses: Tensor, mask: Tensor) -> Tensor:
    """The losses that count, and 0 elsewhere."""
    return losses.masked_fill(~mask, 0.0)


def _by_sentence(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean of each sentence: NaN where nothing counts."""
    return _kept(losses, mask).sum(dim=1) / mask.sum(dim=1)


def _first_ones(mask: Tensor) -> Tensor:
    """As many positions as count, from the first one on."""
    return torch.arange(mask.shape[1]) < mask.sum(dim=1, keepdim=True)


def _draw_number(answer: Tensor, right: Tensor, losses: Tensor, mask: Tensor):
    """The losses with those hatched that don't count, and both numbers."""
    dotted = ", or dotted if NaN" if losses.isnan().any() else ""
    meaning = f"What your function was given. Losses that do not count are hatched{dotted}."
    return [
        given(losses, kind="loss", title="losses", meaning=meaning, blocked=~mask, **sentence_grid(mask)),
        *compared(answer[None, None], right[None, None], kind="loss", title="number", rows=["all"], columns=["loss"],
                  axes=("sentences", "number")),
    ]  # fmt: skip


_BATCHES = cases.losses_and_masks(18)
_GRADIENT = no_gradient(torch.ones(1, 2, requires_grad=True), torch.tensor([[True, False]]))

# --- 1 · The mean over what counts ----------------------------------------------------------------------------------

masked_mean = Exercise(
    name="masked_mean",
    asks="the mean loss over the positions that count: one number",
    takes="losses, mask",
    cases=_BATCHES,
    definition=oracles.mean_by_token,
    picture=_draw_number,
    wrong=[
        *forms("no mask", UNUSED, lambda losses, mask: losses.mean()),
        *forms("divided by all positions", "the sum is right, but you divide it by the number of *all* positions, "
               "padding included. How many positions count?",
               lambda losses, mask: _kept(losses, mask).mean()),
        *forms("not divided", "this is the sum of the losses that count. A mean divides it: by which number?",
               lambda losses, mask: losses[mask].sum()),
        *forms("inverted", INVERTED,
               lambda losses, mask: losses[~mask].mean(),
               lambda losses, mask: _kept(losses, ~mask).sum() / mask.sum(),
               lambda losses, mask: _kept(losses, ~mask).mean()),
        *forms("padding in the sum", "you divide by the right number, but the sum holds *all* losses, padding too.",
               lambda losses, mask: losses.sum() / mask.sum()),
        *forms("divided by the padding", "you divide by the number of positions that do not count. How many do?",
               lambda losses, mask: losses[mask].sum() / (~mask).sum()),
        *forms("mean of means", "this is the mean of the sentences' means: a word of a short sentence weighs more than "
               "a word of a long one. Here all positions that count weigh the same.",
               lambda losses, mask: _by_sentence(losses, mask).mean(), oracles.mean_by_sentence),
        *forms("divided by the sentences", "you divide the sum by the number of sentences. How many *positions* count?",
               lambda losses, mask: losses[mask].sum() / len(losses)),
        *forms("divided by the length", "you divide the sum by the number of positions in *one* row. How many "
               "positions count in the whole batch?",
               lambda losses, mask: losses[mask].sum() / losses.shape[1]),
        *forms("zeros left out", "a loss of exactly 0 is not counted, but it may be a word that the model was sure of. "
               "Count the True values in `mask`: that is its sum.",
               lambda losses, mask: losses[mask].sum() / (_kept(losses, mask) != 0).sum()),
        *forms("one too many", "you divide by one more than the number of positions that count.",
               lambda losses, mask: losses[mask].sum() / (mask.sum() + 1)),
        *forms("padding always on the right", RIGHT_ONLY,
               lambda losses, mask: oracles.mean_by_token(losses, _first_ones(mask))),
        *forms("only the first sentence", FIRST, lambda losses, mask: oracles.mean_by_token(losses[:1], mask[:1])),
        *forms("only the last sentence", LAST, lambda losses, mask: oracles.mean_by_token(losses[-1:], mask[-1:])),
        *forms("a mean for each sentence", "these are the means of the sentences, one for each. The whole batch "
               "should have one number.",
               _by_sentence),
    ],
    notes=[_GRADIENT],
)  # fmt: skip

# --- 2 · Each sentence weighs the same ------------------------------------------------------------------------------


def _some(mask: Tensor) -> Tensor:
    """Which sentences have something that counts."""
    return mask.any(dim=1)


def _cannot_go_back(answer: Tensor) -> bool:
    """Whether the backward pass raises an error, for something that it needs was changed in place."""
    try:
        answer.backward()
    except RuntimeError:
        return True
    return False


def _nan_goes_back(answer: Tensor) -> bool:
    """Whether NaN arrives at the losses from which a number was made."""
    answer.backward()
    nodes: list = [answer.grad_fn]
    for node in nodes:  # back to the leaves, through all that the number was made with
        nodes += [one for one, _ in node.next_functions if one is not None and one not in nodes]
    return any(bool(node.variable.grad.isnan().any()) for node in nodes if hasattr(node, "variable"))


_ONE_EMPTY = (torch.ones(3, 2, requires_grad=True), torch.tensor([[True, False], [True, True], [False, False]]))


def _nan_by_an_empty_sentence(answer: Tensor, right: Tensor, losses: Tensor, mask: Tensor) -> bool:
    return bool(answer.isnan()) and not bool(_some(mask).all())


mean_by_sentence = Exercise(
    name="mean_by_sentence",
    asks="the mean of the sentences' means, without those in which nothing counts: one number",
    takes="losses, mask",
    cases=cases.losses_and_masks(18, empty_rows=True),
    definition=oracles.mean_by_sentence,
    picture=_draw_number,
    wrong=[
        *forms("by token", "this is the mean over all positions that count, as in exercise 1: a long sentence weighs "
               "more than a short one. Here each sentence weighs the same: first a mean for each, then the mean of "
               "these.",
               oracles.mean_by_token),
        *forms("no mask", UNUSED,
               lambda losses, mask: losses.mean(),
               lambda losses, mask: losses[_some(mask)].mean()),
        *forms("divided by all positions", "each sentence's sum is divided by the number of *all* its positions, "
               "padding included. How many of them count?",
               lambda losses, mask: _kept(losses, mask).mean(),
               lambda losses, mask: _kept(losses, mask)[_some(mask)].mean()),
        *forms("not divided", "this is the mean of the sentences' *sums*, so a long sentence weighs more. What "
               "should each sum be divided by?",
               lambda losses, mask: _kept(losses, mask).sum(dim=1).mean(),
               lambda losses, mask: _kept(losses, mask).sum(dim=1)[_some(mask)].mean()),
        *forms("inverted", INVERTED,
               lambda losses, mask: oracles.mean_by_sentence(losses, ~mask),
               lambda losses, mask: _by_sentence(losses, ~mask).mean()),
        *forms("a mean of 0", "a sentence in which nothing counts is in your mean, with a mean of 0. It should be left "
               "out: out of the number of sentences, too.",
               lambda losses, mask: _by_sentence(losses, mask).nan_to_num(0.0).mean()),
        *forms("only full sentences", "you leave out each sentence that has *any* masked position. Leave out only "
               "those in which nothing counts.",
               lambda losses, mask: losses[mask.all(dim=1)].mean(dim=1).mean()),
        *forms("zeros left out", "a sentence whose mean is exactly 0 is left out, but the model may have been sure of "
               "all its words. Whether something counts is in `mask`.",
               lambda losses, mask: (lambda means: means[means > 0].mean())(_by_sentence(losses, mask))),
        *forms("one too many", "you divide by one more than the number of positions that count in a sentence.",
               lambda losses, mask: (_kept(losses, mask).sum(dim=1) / (mask.sum(dim=1) + 1)).mean(),
               lambda losses, mask: (_kept(losses, mask).sum(dim=1) / (mask.sum(dim=1) + 1))[_some(mask)].mean()),
        *forms("sum of the means", "these are the right means of the sentences, added up. One step is missing: what "
               "do you divide by?",
               lambda losses, mask: _by_sentence(losses, mask).nansum()),
        *forms("a mean for each position", "you take a mean for each *position*, down the batch. A sentence is a row: "
               "its positions lie along dim=1.",
               lambda losses, mask: _by_sentence(losses.T, mask.T).mean(),
               lambda losses, mask: _by_sentence(losses.T, mask.T).nan_to_num(0.0).mean(),
               lambda losses, mask: oracles.mean_by_sentence(losses.T, mask.T)),
        *forms("all pairs", "you divide each sum by each count. Sums of shape (B,) and counts of shape (B, 1) make a "
               "table of (B, B): both need the same shape.",
               lambda losses, mask: (_kept(losses, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True)).mean(),
               lambda losses, mask: (
                   _kept(losses, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)).mean()),
        *forms("a mean for each sentence", "these are the means of the sentences, one for each. What is missing is the "
               "mean of these means.",
               _by_sentence,
               lambda losses, mask: _by_sentence(losses, mask)[_some(mask)],
               lambda losses, mask: _by_sentence(losses, mask).nan_to_num(0.0)),
        *forms("padding always on the right", RIGHT_ONLY,
               lambda losses, mask: oracles.mean_by_sentence(losses, _first_ones(mask))),
        *forms("only the first sentence", FIRST,
               lambda losses, mask: _by_sentence(losses, mask)[0],
               lambda losses, mask: _by_sentence(losses, mask)[_some(mask)][0]),
        Misconception("0/0", "NaN, where nothing counts in some sentence: 0 divided by 0 has no value. Leave such a "
                      "sentence out. Which ones are left?",
                      shows=_nan_by_an_empty_sentence, always=True),
    ],
    notes=[
        _GRADIENT,
        Note("written in place", "One thing to know: `backward()` raises an error here. A number that it needs was "
             "changed in place, as `n += 1` does on a tensor: write n = n + 1.",
             case=_ONE_EMPTY, shows=_cannot_go_back),
        Note("NaN gradient", "One thing to know: where nothing counts in some sentence, the gradient is NaN. The 0/0 "
             "is out of your number, but the gradient goes back through it. Choose the sentences *before* you divide.",
             case=_ONE_EMPTY, shows=_nan_goes_back),
    ],
)  # fmt: skip

# --- 3 · Micro-batches ----------------------------------------------------------------------------------------------

Parts = list[tuple[Tensor, Tensor]]


def _count(parts: Parts) -> int:
    """How many positions count in all micro-batches together."""
    return int(sum(mask.sum() for _, mask in parts))


def _share_of_the_whole(parts: Parts) -> dict:
    """Each micro-batch's sum over one count for all: what adds up to the mean of one big batch."""
    n = _count(parts)
    return {
        "value": [oracles.mean_by_token(losses, mask) * int(mask.sum()) / n for losses, mask in parts],
        "linked": [True] * len(parts),
        "gradient": [oracles.shares(mask, n) for _, mask in parts],
    }


def _after_backward(function: Callable, parts: Parts) -> dict:
    """The losses, and what `backward()` on one after the other leaves."""
    leaves = [losses.clone().requires_grad_() for losses, _ in parts]
    with torch.enable_grad():
        answer = function([(leaf.clone(), mask) for leaf, (_, mask) in zip(leaves, parts, strict=True)])
        if any(leaf.grad is not None for leaf in leaves):
            raise Complaint("your function calls `backward()` itself: hand the losses back, and leave that to the "
                            "caller.", name="backward")  # fmt: skip
        answer = fitting(list(answer) if isinstance(answer, tuple) else answer, [torch.tensor(0.0)] * len(parts))
        linked, gradients = followed_back(answer, leaves)
        linked = reached(linked, leaves, [mask for _, mask in parts])
    return {"value": answer, "linked": linked, "gradient": gradients}


def _each(divisor: Callable, counts: Callable = lambda mask: mask) -> Callable[[Parts], list[Tensor]]:
    """For each micro-batch the sum of what counts, over ``divisor(mask, masks)``; ``masks`` are those of all."""

    def losses_of(parts: Parts) -> list[Tensor]:
        masks = [mask for _, mask in parts]
        return [losses[counts(mask)].sum() / divisor(mask, masks) for losses, mask in parts]

    return losses_of


def _at_least_1(mask: Tensor) -> Tensor:
    return mask.sum().clamp(min=1)


def _sum(numbers: Iterable) -> int:
    return sum(map(int, numbers))


def _count_so_far(parts: Parts, *, at_least: int = 0) -> list[Tensor]:
    counts = torch.tensor([int(mask.sum()) for _, mask in parts]).cumsum(dim=0).clamp(min=at_least)
    return [losses[mask].sum() / n for (losses, mask), n in zip(parts, counts, strict=True)]


def _whole_batch(parts: Parts) -> Tensor:
    return torch.stack([losses[mask].sum() for losses, mask in parts]).sum() / _count(parts)


def _nothing_in(parts: Parts) -> list[bool]:
    return [not mask.any() for _, mask in parts]


def _nan_by_an_empty_part(answer: dict, right: dict, parts: Parts) -> bool:
    return any(bool(value.isnan()) and empty for value, empty in zip(answer["value"], _nothing_in(parts), strict=True))


def _not_linked(*, empty: bool) -> Callable[..., bool]:
    """The symptom of right losses without a gradient: only where nothing counts in a micro-batch, or elsewhere."""

    def shows(answer: dict, right: dict, parts: Parts) -> bool:
        unlinked = [none for none, one in zip(_nothing_in(parts), answer["linked"], strict=True) if not one]
        return same(answer["value"], right["value"]) and bool(unlinked) and all(unlinked) == empty

    return shows


def _draw_micro_losses(answer: dict, right: dict, parts: Parts):
    rows = [f"{i}: {int(mask.sum())} count" for i, (_, mask) in enumerate(parts)]
    if not same(answer["value"], right["value"]):
        numbers = [torch.stack(one["value"])[:, None] for one in (answer, right)]
        axes = ("micro-batch", "number")
        return compared(*numbers, kind="loss", title="losses", rows=rows, columns=["loss"], axes=axes)
    for i, (mine, theirs) in enumerate(zip(answer["gradient"], right["gradient"], strict=True)):
        if different(mine, theirs).any():
            return _draw_gradient(mine, theirs, parts[i][1], title=f"gradient of micro-batch {i}")
    return ()


def _draw_gradient(answer: Tensor, right: Tensor, mask: Tensor, *, title: str = "gradient"):
    return compared(answer, right, kind="gradient", title=title, blocked=~mask, **sentence_grid(mask))


ONE_COUNT = "Which number does the big batch divide by?"

micro_losses = Exercise(
    name="micro_losses",
    asks="a loss for each micro-batch, so that their gradients add up to those of the big batch: a list of numbers",
    takes="parts",
    cases=[(parts,) for parts in cases.micro_batches(9)],
    definition=_share_of_the_whole,
    observed=_after_backward,
    picture=_draw_micro_losses,
    wrong=[
        by_value("each its own mean", "each micro-batch is divided by its own count. So their gradients add up to "
                 f"several times what they should, and a word weighs more where few words count. {ONE_COUNT}",
                 _each(lambda mask, masks: mask.sum()), _each(lambda mask, masks: _at_least_1(mask))),
        by_value("mean of means", "you share the weight out evenly: a micro-batch in which 2 words count weighs as "
                 f"much as one with 20. {ONE_COUNT}",
                 _each(lambda mask, masks: mask.sum() * len(masks)),
                 _each(lambda mask, masks: _at_least_1(mask) * len(masks)),
                 _each(lambda mask, masks: _at_least_1(mask) * _sum(one.any() for one in masks))),
        by_value("not divided", f"these are the sums of what counts, and nothing is divided. {ONE_COUNT}",
                 _each(lambda mask, masks: 1)),
        by_value("divided by all positions", f"you divide by a number that includes the padding. {ONE_COUNT}",
                 _each(lambda mask, masks: mask.numel()),
                 _each(lambda mask, masks: mask.numel() * len(masks)),
                 _each(lambda mask, masks: _sum(one.numel() for one in masks))),
        by_value("divided by the sentences", "your weights come from the number of sentences. The mean is over the "
                 f"positions that count. {ONE_COUNT}",
                 _each(lambda mask, masks: _sum(map(len, masks))),
                 _each(lambda mask, masks: _at_least_1(mask) * _sum(map(len, masks)) / len(mask))),
        by_value("no mask", "the mask is not used in your sums: the losses of the padding are in them.",
                 *[_each(divisor, torch.ones_like) for divisor in (
                     lambda mask, masks: _sum(one.sum() for one in masks),
                     lambda mask, masks: mask.numel(),
                     lambda mask, masks: mask.numel() * len(masks))]),
        by_value("inverted", INVERTED,
                 _each(lambda mask, masks: _sum(one.sum() for one in masks), torch.logical_not),
                 _each(lambda mask, masks: _sum((~one).sum() for one in masks), torch.logical_not)),
        by_value("count so far", "the first micro-batches are divided by what has been counted so far. The count of "
                 "*all* of them must be known before the first is divided: that takes a loop of its own.",
                 _count_so_far, lambda parts: _count_so_far(parts, at_least=1)),
        by_value("one micro-batch's count", "you divide all by the count of *one* micro-batch, the first or the last. "
                 "Does your loop add the counts up, or keep only one of them?",
                 *[_each(lambda mask, masks, i=i, of=of: of(masks[i]))
                   for i in (0, -1) for of in (torch.sum, _at_least_1)]),
        by_value("divided twice", "one count for all is right, but you divide by the number of micro-batches, too. "
                 "`backward()` adds the gradients up: nobody divides the sum again.",
                 _each(lambda mask, masks: _sum(one.sum() for one in masks) * len(masks))),
        by_value("the whole batch each time", "each of your losses is that of the whole batch, so the gradients add up "
                 "to several times what they should. What is one micro-batch's part in it?",
                 lambda parts: [_whole_batch(parts) for _ in parts]),
        Misconception("0/0", "NaN, where nothing counts in a micro-batch: 0 divided by 0 has no value. With one count "
                      "for all micro-batches its part is 0.",
                      shows=_nan_by_an_empty_part),
        Misconception("a plain 0", "the values are right, but where nothing counts in a micro-batch your loss is a "
                      "plain 0. It has no link to the losses, and `backward()` raises an error. A sum over nothing is "
                      "0, too, and has that link.",
                      shows=_not_linked(empty=True), always=True),
        Misconception("cut off", CUT, shows=_not_linked(empty=False), always=True),
    ],
)  # fmt: skip

# --- 4 · Labels to be ignored ---------------------------------------------------------------------------------------


def _zeros_are_ignored(answer: Tensor, right: Tensor, labels: Tensor, mask: Tensor) -> bool:
    """Whether real labels of 0 are ignored, and the others are as they should be."""
    real, zeros = mask & (labels != 0), mask & (labels == 0)
    return same(answer[real], right[real]) and bool(zeros.any()) and bool((answer[zeros] == -100).all())


def _some_left(answer: Tensor, right: Tensor, labels: Tensor, mask: Tensor) -> bool:
    differs = answer != right
    return same(answer[differs], labels[differs]) and not bool((differs & mask).any())


def _another_number(answer: Tensor, right: Tensor, labels: Tensor, mask: Tensor) -> bool:
    return same(answer[mask], right[mask]) and bool((answer[~mask] != -100).any())


def _draw_labels(answer: Tensor, right: Tensor, labels: Tensor, mask: Tensor):
    meaning = "What your function was given. Labels that do not count are hatched."
    shown = given(labels, kind="ids", title="labels", meaning=meaning, blocked=~mask, **sentence_grid(mask))
    return [shown, *compared(answer, right, kind="ids", title="labels", **sentence_grid(mask))]


ignored_labels = Exercise(
    name="ignored_labels",
    asks="the labels, with −100 where the mask is False: (batch, length) int64",
    takes="labels, mask",
    cases=cases.labels_and_masks(18),
    definition=lambda labels, mask: torch.where(mask, labels, -100),
    picture=_draw_labels,
    wrong=[
        *forms("inverted", "inverted: the labels that count are ignored. In `mask`, True means that a position counts.",
               lambda labels, mask: torch.where(mask, -100, labels)),
        *forms("unchanged", "nothing has changed. `masked_fill` leaves its tensor as it is and gives a new one. And "
               "`==` only compares, while `=` assigns.",
               lambda labels, mask: labels),
        *forms("everything ignored", "all labels are −100. A loss over nothing is 0/0: NaN.",
               lambda labels, mask: torch.full_like(labels, -100)),
        *forms("zeros", "where nothing should count you put 0. But 0 is a class like any other, and the loss counts "
               "it. Which number does F.cross_entropy ignore?",
               lambda labels, mask: labels * mask),
        *forms("added", "you take 100 away from the labels that don't count. They have to *be* −100.",
               lambda labels, mask: labels - 100 * ~mask),
        *forms("padding always on the right", RIGHT_ONLY,
               lambda labels, mask: torch.where(_first_ones(mask), labels, -100)),
        *forms("one sentence for all", "every sentence gets the mask of the first one. Each has a row of its own: did "
               "you take [0]?",
               lambda labels, mask: torch.where(mask[0], labels, -100)),
        *forms("only the labels that count", "these are the labels that count, in one row. The logits still have a row "
               "for each position: keep the shape, and put −100 where a label does not count.",
               lambda labels, mask: labels[mask]),
        Misconception("0 is ignored", "real labels of 0 are ignored. 0 is a class like any other: whether a position "
                      "counts can't be read from its label. `mask` tells you.",
                      shows=_zeros_are_ignored, always=True),
        Misconception("some left as they were", "some labels that don't count are still what they were, others are "
                      "−100. Does your loop reach all columns, and does your condition find all that don't count?",
                      shows=_some_left, always=True),
        Misconception("another number", "the labels that count are right, but not all the others are −100. "
                      "F.cross_entropy leaves out −100 and no other number, unless you tell it to.",
                      shows=_another_number, always=True),
        Misconception("not int64", "the numbers are right, but they are not int64, and F.cross_entropy takes no such "
                      "labels. Is one of the numbers in your function a float? .long() makes int64 again.",
                      shows=lambda answer, right, *_case: same(answer, right) and answer.dtype != torch.int64),
    ],
)  # fmt: skip

# --- 5 · A loss that NaN can't spoil --------------------------------------------------------------------------------


def _safe_mean_and_gradient(losses: Tensor, mask: Tensor) -> dict:
    """The mean over what counts, and 1/n for each loss that does: zeros if none does."""
    value, gradient = oracles.mean_by_token(losses, mask), oracles.shares(mask, int(mask.sum()))
    return {"value": value, "linked": True, "gradient": gradient}


def _counts(losses: Tensor, mask: Tensor) -> Tensor:
    """Which positions count."""
    return mask


def _nan_without_odd_ones(answer: dict, right: dict, losses: Tensor, mask: Tensor) -> bool:
    return bool(answer["value"].isnan() and losses.isfinite().all() and mask.any())


def _draw_safe_mean(answer: dict, right: dict, losses: Tensor, mask: Tensor):
    if not same(answer["value"], right["value"]):
        return _draw_number(answer["value"], right["value"], losses, mask)
    if not same(answer["gradient"], right["gradient"]):
        return _draw_gradient(answer["gradient"], right["gradient"], mask)
    return ()


safe_mean = Exercise(
    name="safe_mean",
    asks="the mean loss over the positions that count, 0 if none does; no NaN in the value or in the gradient",
    takes="losses, mask",
    cases=[*cases.losses_with_odd_ones(20), (torch.tensor([[2.0, math.nan]]), torch.tensor([[True, False]]))],
    definition=_safe_mean_and_gradient,
    observed=value_and_gradient(_counts),
    picture=_draw_safe_mean,
    wrong=[
        *forms("no mask", UNUSED, lambda losses, mask: losses.mean()),
        *forms("finite is not enough", "you leave out what is not finite, but not everything that does not count. "
               "`mask` says what counts.",
               lambda losses, mask: losses[losses.isfinite()].mean(),
               lambda losses, mask: losses[~losses.isnan()].mean(),
               lambda losses, mask: losses.nan_to_num(0.0, 0.0, 0.0).mean(),
               lambda losses, mask: losses.nan_to_num(0.0, 0.0, 0.0).sum() / mask.sum().clamp(min=1)),
        by_value("divided by too many", "the sum is right, but you divide it by more than the number of positions that "
                 "count.",
                 lambda losses, mask: _kept(losses, mask).mean(),
                 lambda losses, mask: (losses * mask).nanmean(),
                 lambda losses, mask: losses[mask].sum() / (mask.sum() + 1),
                 lambda losses, mask: losses[mask].sum() / mask.sum().clamp(min=2)),
        by_value("not divided", "this is the sum of the losses that count. A mean divides it: by which number?",
                 lambda losses, mask: losses[mask].sum()),
        *forms("inverted", INVERTED,
               lambda losses, mask: losses[~mask].mean(),
               lambda losses, mask: losses[~mask].sum() / (~mask).sum().clamp(min=1),
               lambda losses, mask: _kept(losses, ~mask).sum() / mask.sum().clamp(min=1)),
        *forms("mean of means", MEANS, lambda losses, mask: _by_sentence(losses, mask).mean()),
        by_value("mean of means", MEANS,
                 lambda losses, mask: (_kept(losses, mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean(),
                 lambda losses, mask: _by_sentence(losses, mask).nansum() / _some(mask).sum().clamp(min=1)),
        Misconception("NaN for another reason", "your value is NaN even where all losses are finite. Is there a 0/0, "
                      "or a mask that picks nothing?",
                      shows=_nan_without_odd_ones),
        Misconception("NaN gets in", "a loss that does not count gets into the value, and it is NaN or infinite. If "
                      "you multiply by the mask: 0 × NaN is NaN, and 0 × ∞ is NaN, too. Pick those that count, or "
                      "fill the others. Don't multiply.",
                      shows=value_is_not_finite(_counts, empty=False)),
        Misconception("0/0", "where nothing counts, your value is NaN. How many positions count there, and what do you "
                      "divide by?",
                      shows=value_is_not_finite(_counts, empty=True)),
        *gradient_faults(_counts),
    ],
    notes=[
        Note("NaN that counts", "One thing to know: a NaN that *does* count is left out as well. Then nobody notices "
             "that training has gone wrong: leave out what does not count, and nothing else.",
             case=(torch.tensor([[math.nan, 1.0]]), torch.tensor([[True, True]])),
             shows=lambda answer: bool(answer["value"].isfinite())),
    ],
)  # fmt: skip
