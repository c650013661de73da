"""The checks of lesson 01: answers as learners write them (see test_checks.py), and what else each check says."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from masklab.check import loss_masking as check
from masklab.losses import reduce

# --- 1 and 2 · One number for a batch -------------------------------------------------------------------------------


def by_loops(losses, mask):
    total, count = 0.0, 0
    for i in range(losses.shape[0]):
        for t in range(losses.shape[1]):
            if mask[i, t]:
                total += losses[i, t]
                count += 1
    return total / count


def only_in_a_loop(losses, mask):
    total, count = 0.0, 0
    for row, counts in zip(losses, mask, strict=True):
        for loss, one in zip(row, counts, strict=True):
            if one:
                total, count = total + loss, count + 1
        return total / count


def starts_again(losses, mask):
    for row, counts in zip(losses, mask, strict=True):
        mean = row[counts].mean()
    return mean


def from_the_lengths(losses, mask):
    total = 0.0
    for row, n in zip(losses, mask.sum(dim=1), strict=True):
        total += row[:n].sum()
    return total / mask.sum()


def sentence_by_sentence(losses, mask):
    means = [row[counts].mean() for row, counts in zip(losses, mask, strict=True) if counts.any()]
    return sum(means) / len(means)


def by_sums(losses, mask):
    counts = mask.sum(dim=1)
    means = losses.where(mask, 0).sum(dim=1) / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum()


def sums(losses, mask):
    return (losses * mask).sum(1)


def nans(losses, mask):
    return losses.masked_fill(~mask, math.nan)


# --- 3 · Micro-batches ----------------------------------------------------------------------------------------------


def total(parts):
    return sum(mask.sum() for _, mask in parts)


def one_count(parts):
    n = total(parts)
    return [losses[mask].sum() / n for losses, mask in parts]


def in_two_loops(parts):
    n = 0
    for _, mask in parts:
        n += int(mask.sum())
    found = []
    for losses, mask in parts:
        found.append((losses * mask).sum() / n)
    return found


def by_shares(parts):
    n = total(parts)
    return [losses[mask].mean() * (mask.sum() / n) if mask.any() else losses.sum() * 0 for losses, mask in parts]


def yields(parts):
    n = total(parts)
    for losses, mask in parts:
        yield losses.where(mask, 0).sum() / n


def count_so_far(parts, *, at_least=1):
    n, found = 0, []
    for losses, mask in parts:
        n += int(mask.sum())
        found.append(losses[mask].sum() / torch.tensor(max(n, at_least)))
    return found


def adds_in_place(parts):
    n, found = 0, []
    for losses, mask in parts:
        n += mask.sum()
        found.append(losses[mask].sum() / n)
    return found


def calls_backward(parts, **options):
    found = one_count(parts)
    for loss in found:
        loss.backward(**options)
    return found


def big_batch(parts):
    return torch.cat([losses[mask] for losses, mask in parts]).mean()


def empty_ones_as(nothing):
    """The right losses, and something else for a micro-batch in which nothing counts."""
    return lambda parts: [
        loss if mask.any() else nothing for loss, (_, mask) in zip(one_count(parts), parts, strict=True)
    ]


# --- 4 · Labels to be ignored ---------------------------------------------------------------------------------------


def cell_by_cell(labels, mask):
    found = labels.clone()
    for i in range(len(labels)):
        for t in range(labels.shape[1]):
            if not mask[i, t]:
                found[i, t] = -100
    return found


def square_only(labels, mask):
    found = labels.clone()
    for i in range(len(labels)):
        for t in range(len(labels)):
            if not mask[i, t]:
                found[i, t] = -100
    return found


def on_a_copy(labels, mask):
    found = labels.clone()
    found[~mask] = -100
    return found


def in_place(labels, mask):
    labels[~mask] = -100
    return labels


def dropped(labels, mask):
    labels.masked_fill(~mask, -100)
    return labels


def first_ones(labels, mask):
    found = labels.clone()
    for row, n in zip(found, mask.sum(dim=1), strict=True):
        row[n:] = -100
    return found


# --- 5 · A loss that NaN can't spoil --------------------------------------------------------------------------------


def filled(losses, mask):
    return losses.masked_fill(~mask, 0)


def safe(losses, mask):
    return losses[mask].sum() / mask.sum().clamp(min=1)


def guarded_by(nothing):
    """The mean of what counts, and something else where nothing does."""
    return lambda losses, mask: losses[mask].mean() if mask.any() else nothing(losses)


def in_place_of_losses(losses, mask):
    losses[~mask] = 0
    return losses.sum() / mask.sum().clamp(min=1)


def safe_by_loops(losses, mask):
    found, count = losses[mask].sum(), 0
    for row in mask.tolist():
        count += row.count(True)
    return found / count if count else found


def mended_at_the_end(losses, mask):
    mean = (losses.nan_to_num(0, 0, 0) * mask).sum() / mask.sum()
    return mean.nan_to_num(0)


def chosen_at_the_end(losses, mask):
    mean = (torch.where(losses.isfinite(), losses, 0) * mask).sum() / mask.sum()
    return torch.where(mask.any(), mean, 0.0)


RIGHT = {
    "masked_mean": [
        by_loops, lambda losses, mask: losses[mask].mean(),
        lambda losses, mask: (losses * mask).sum() / mask.sum(),
        lambda losses, mask: losses.double().masked_select(mask).mean(),
        lambda losses, mask: nans(losses, mask).nanmean(),
        lambda losses, mask: torch.masked.mean(losses, mask=mask),
        lambda losses, mask: np.ma.array(losses.numpy(), mask=~mask.numpy()).mean(),
        lambda losses, mask: np.average(losses.numpy(), weights=mask.numpy()),
        lambda losses, mask: (losses.flatten() @ mask.flatten().float()) / mask.float().sum(),
        lambda losses, mask: (losses * mask).mean() / mask.float().mean(),
        lambda losses, mask: sum(losses[mask].tolist()) / int(mask.sum()),
        lambda losses, mask: torch.stack([losses[i, t] for i, t in mask.nonzero()]).mean(),
        reduce,
    ],
    "mean_by_sentence": [
        sentence_by_sentence, by_sums,
        lambda losses, mask: reduce(losses, mask, per="sequence"),
        lambda losses, mask: nans(losses, mask).nanmean(dim=1).nanmean(),
        lambda losses, mask: (sums(losses, mask) / mask.sum(1))[mask.any(1)].mean(),
        lambda losses, mask: np.mean([row[m].double().mean() for row, m in zip(losses, mask, strict=True) if m.any()]),
        lambda losses, mask: torch.nested.nested_tensor(
            [row[m] for row, m in zip(losses, mask, strict=True) if m.any()]).to_padded_tensor(0).sum(1).div(
                mask.sum(1)[mask.any(1)]).mean(),
    ],
    "micro_losses": [
        one_count, in_two_loops, by_shares, yields,
        lambda parts: tuple(one_count(parts)),
        lambda parts: map(torch.clone, one_count(parts)),
        lambda parts: [loss.double() for loss in one_count(parts)],
        lambda parts: [reduce(losses, mask, per="count", count=total(parts), on_empty="zero")
                       for losses, mask in parts],
    ],
    "ignored_labels": [
        cell_by_cell, on_a_copy,
        lambda labels, mask: torch.where(mask, labels, -100),
        lambda labels, mask: labels.masked_fill(~mask, -100),
        lambda labels, mask: labels * mask - 100 * ~mask,
        lambda labels, mask: torch.from_numpy(np.where(mask.numpy(), labels.numpy(), -100)),
        lambda labels, mask: torch.full_like(labels, -100).masked_scatter(mask, labels[mask]),
        lambda labels, mask: torch.tensor([[one if counts else -100 for one, counts in zip(*both, strict=True)]
                                           for both in zip(labels.tolist(), mask.tolist(), strict=True)]),
    ],
    "safe_mean": [
        safe, safe_by_loops,
        lambda losses, mask: filled(losses, mask).sum() / mask.sum().clamp(min=1),
        lambda losses, mask: torch.where(mask, losses, 0.0).sum() / max(int(mask.sum()), 1),
        lambda losses, mask: filled(losses, mask).double().sum() / (mask.sum() + 1e-9),
        lambda losses, mask: reduce(losses, mask, on_empty="zero"),
        lambda losses, mask: (filled(losses, mask) * mask).sum() / mask.sum().clamp(min=1),
        lambda losses, mask: losses[mask].mean() if mask.any() else losses[mask].sum(),
        lambda losses, mask: losses[mask].mean() if mask.any() else filled(losses, ~mask | mask == 0).sum() * 0,
        lambda losses, mask: filled(losses, mask).sum() / (mask.sum() if mask.any() else 1),
    ],
}  # fmt: skip

WRONG = {
    ("masked_mean", "no mask"): [lambda losses, mask: losses.mean(), lambda losses, mask: losses.mean(1).mean()],
    ("masked_mean", "divided by all positions"): [
        lambda losses, mask: (losses * mask).mean(),
        lambda losses, mask: filled(losses, mask).mean(),
        lambda losses, mask: torch.where(mask, losses, 0).sum() / losses.numel(),
        lambda losses, mask: (losses * mask).sum() / mask.numel(),
    ],
    ("masked_mean", "not divided"): [
        lambda losses, mask: (losses * mask).sum(),
        lambda losses, mask: sum(losses[mask].tolist()),
    ],
    ("masked_mean", "inverted"): [
        lambda losses, mask: losses[~mask].mean(),
        lambda losses, mask: losses.masked_fill(mask, 0).sum() / mask.sum(),
        lambda losses, mask: losses.masked_fill(mask, 0).mean(),
        lambda losses, mask: torch.where(mask, 0, losses).sum() / mask.sum(),
    ],
    ("masked_mean", "padding in the sum"): lambda losses, mask: losses.sum() / mask.sum(),
    ("masked_mean", "divided by the padding"): lambda losses, mask: (losses * mask).sum() / (~mask).sum(),
    ("masked_mean", "mean of means"): [
        sentence_by_sentence,
        lambda losses, mask: (sums(losses, mask) / mask.sum(1)).mean(),
    ],
    ("masked_mean", "divided by the sentences"): lambda losses, mask: sums(losses, mask).mean(),
    ("masked_mean", "divided by the length"): lambda losses, mask: (losses * mask).mean(1).sum(),
    ("masked_mean", "zeros left out"): lambda losses, mask: (losses * mask).sum() / (losses * mask).count_nonzero(),
    ("masked_mean", "one too many"): lambda losses, mask: (losses * mask).sum() / (1 + mask.sum()),
    ("masked_mean", "padding always on the right"): from_the_lengths,
    ("masked_mean", "only the first sentence"): [only_in_a_loop, lambda losses, mask: losses[0][mask[0]].mean()],
    ("masked_mean", "only the last sentence"): starts_again,
    ("masked_mean", "a mean for each sentence"): lambda losses, mask: sums(losses, mask) / mask.sum(1),
    ("mean_by_sentence", "by token"): RIGHT["masked_mean"][:3],
    ("mean_by_sentence", "no mask"): [
        lambda losses, mask: losses.mean(dim=1).mean(),
        lambda losses, mask: losses.mean(dim=1)[mask.any(1)].mean(),
    ],
    ("mean_by_sentence", "divided by all positions"): [
        lambda losses, mask: (losses * mask).mean(1).mean(),
        lambda losses, mask: (losses * mask).mean(1)[mask.any(1)].mean(),
    ],
    ("mean_by_sentence", "not divided"): [
        lambda losses, mask: sums(losses, mask).mean(),
        lambda losses, mask: sums(losses, mask)[mask.any(1)].mean(),
        lambda losses, mask: (losses * mask).sum() / mask.any(1).sum(),
    ],
    ("mean_by_sentence", "inverted"): [
        lambda losses, mask: sentence_by_sentence(losses, ~mask),
        lambda losses, mask: (sums(losses, ~mask) / (~mask).sum(1)).mean(),
    ],
    ("mean_by_sentence", "a mean of 0"): [
        lambda losses, mask: (sums(losses, mask) / mask.sum(1).clamp(min=1)).mean(),
        lambda losses, mask: (sums(losses, mask) / (mask.sum(1) + 1e-8)).mean(),
        lambda losses, mask: (sums(losses, mask) / mask.sum(1)).nan_to_num(0).mean(),
    ],
    ("mean_by_sentence", "only full sentences"): [
        lambda losses, mask: (sums(losses, mask) / mask.sum(1))[mask.all(1)].mean(),
        lambda losses, mask: losses[mask.all(1)].mean(1).mean(),
    ],
    ("mean_by_sentence", "zeros left out"): lambda losses, mask: (
        lambda means: means[means != 0].mean())(sums(losses, mask) / mask.sum(1).clamp(min=1)),
    ("mean_by_sentence", "one too many"): [
        lambda losses, mask: (sums(losses, mask) / (mask.sum(1) + 1)).mean(),
        lambda losses, mask: (sums(losses, mask) / (mask.sum(1) + 1)).sum() / mask.any(1).sum(),
    ],
    ("mean_by_sentence", "sum of the means"): [
        lambda losses, mask: (sums(losses, mask) / mask.sum(1).clamp(min=1)).sum(),
        lambda losses, mask: sum(row[m].mean() for row, m in zip(losses, mask, strict=True) if m.any()),
    ],
    ("mean_by_sentence", "a mean for each position"): [
        lambda losses, mask: ((losses * mask).sum(0) / mask.sum(0)).mean(),
        lambda losses, mask: ((losses * mask).sum(0) / mask.sum(0).clamp(min=1)).mean(),
        lambda losses, mask: nans(losses, mask).nanmean(0).nanmean(),
    ],
    ("mean_by_sentence", "all pairs"): [
        lambda losses, mask: (sums(losses, mask) / mask.sum(1, keepdim=True)).mean(),
        lambda losses, mask: ((losses * mask).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)).mean(),
        lambda losses, mask: ((losses * mask).sum(1, keepdim=True) / mask.sum(1).clamp(min=1)).mean(),
    ],
    ("mean_by_sentence", "a mean for each sentence"): [
        lambda losses, mask: sums(losses, mask) / mask.sum(1),
        lambda losses, mask: torch.stack([row[m].mean() for row, m in zip(losses, mask, strict=True) if m.any()]),
        lambda losses, mask: sums(losses, mask) / mask.sum(1).clamp(min=1),
    ],
    ("mean_by_sentence", "padding always on the right"): lambda losses, mask: sum(
        row[:n].mean() for row, n in zip(losses, mask.sum(1), strict=True) if n) / mask.any(1).sum(),
    ("mean_by_sentence", "only the first sentence"): lambda losses, mask: [
        row[m].mean() for row, m in zip(losses, mask, strict=True) if m.any()][0],
    ("mean_by_sentence", "0/0"): [
        lambda losses, mask: (sums(losses, mask) / mask.sum(1)).mean(),
        lambda losses, mask: torch.stack([row[m].mean() for row, m in zip(losses, mask, strict=True)]).mean(),
    ],
    ("micro_losses", "each its own mean"): [
        lambda parts: [losses[mask].mean() for losses, mask in parts],
        lambda parts: [safe(losses, mask) for losses, mask in parts],
        lambda parts: [(losses * mask).sum() / mask.sum() for losses, mask in parts],
    ],
    ("micro_losses", "mean of means"): [
        lambda parts: [losses[mask].mean() / len(parts) for losses, mask in parts],
        lambda parts: [safe(losses, mask) / len(parts) for losses, mask in parts],
        lambda parts: [safe(losses, mask) / len([1 for _, m in parts if m.any()]) for losses, mask in parts],
    ],
    ("micro_losses", "not divided"): lambda parts: [losses[mask].sum() for losses, mask in parts],
    ("micro_losses", "divided by all positions"): [
        lambda parts: [(losses * mask).mean() for losses, mask in parts],
        lambda parts: [(losses * mask).mean() / len(parts) for losses, mask in parts],
        lambda parts: [(losses * mask).sum() / sum(m.numel() for _, m in parts) for losses, mask in parts],
    ],
    ("micro_losses", "divided by the sentences"): [
        lambda parts: [losses[mask].sum() / sum(map(len, (m for _, m in parts))) for losses, mask in parts],
        lambda parts: [safe(losses, mask) * len(losses) / sum(len(m) for _, m in parts) for losses, mask in parts],
    ],
    ("micro_losses", "no mask"): [
        lambda parts: [losses.sum() / total(parts) for losses, _ in parts],
        lambda parts: [losses.mean() for losses, _ in parts],
        lambda parts: [losses.mean() / len(parts) for losses, _ in parts],
    ],
    ("micro_losses", "inverted"): [
        lambda parts: [losses[~mask].sum() / total(parts) for losses, mask in parts],
        lambda parts: one_count([(losses, ~mask) for losses, mask in parts]),
    ],
    ("micro_losses", "count so far"): [count_so_far, lambda parts: count_so_far(parts, at_least=0)],
    ("micro_losses", "one micro-batch's count"): [
        lambda parts: [losses[mask].sum() / parts[-1][1].sum() for losses, mask in parts],
        lambda parts: [losses[mask].sum() / parts[0][1].sum().clamp(min=1) for losses, mask in parts],
    ],
    ("micro_losses", "divided twice"): lambda parts: [loss / len(parts) for loss in one_count(parts)],
    ("micro_losses", "the whole batch each time"): lambda parts: [big_batch(parts) for _ in parts],
    ("micro_losses", "0/0"): [
        lambda parts: [losses[mask].mean() * (mask.sum() / total(parts)) for losses, mask in parts],
        empty_ones_as(torch.tensor(math.nan)),
    ],
    ("micro_losses", "a plain 0"): [empty_ones_as(torch.tensor(0.0)), empty_ones_as(0.0), empty_ones_as(0)],
    ("micro_losses", "cut off"): [
        lambda parts: [loss.detach() for loss in one_count(parts)],
        lambda parts: [loss.item() for loss in one_count(parts)],
        torch.no_grad()(one_count),
        lambda parts: [loss.detach().requires_grad_() for loss in one_count(parts)],
    ],
    ("ignored_labels", "inverted"): [
        lambda labels, mask: labels.masked_fill(mask, -100),
        lambda labels, mask: torch.where(~mask, labels, -100),
    ],
    ("ignored_labels", "unchanged"): [dropped, lambda labels, mask: labels.clone()],
    ("ignored_labels", "everything ignored"): lambda labels, mask: torch.full(labels.shape, -100),
    ("ignored_labels", "zeros"): [lambda labels, mask: labels * mask, lambda labels, mask: labels.where(mask, 0)],
    ("ignored_labels", "added"): lambda labels, mask: labels + (~mask) * -100,
    ("ignored_labels", "padding always on the right"): first_ones,
    ("ignored_labels", "one sentence for all"): lambda labels, mask: labels.masked_fill(~mask[0], -100),
    ("ignored_labels", "only the labels that count"): lambda labels, mask: labels.masked_select(mask),
    ("ignored_labels", "0 is ignored"): [
        lambda labels, mask: labels.masked_fill(labels == 0, -100),
        lambda labels, mask: torch.where(mask & (labels > 0), labels, -100),
        lambda labels, mask: (lambda kept: torch.where(kept == 0, -100, kept))(labels * mask),
    ],
    ("ignored_labels", "some left as they were"): square_only,
    ("ignored_labels", "another number"): [
        lambda labels, mask: torch.where(mask, labels, -1),
        lambda labels, mask: labels.masked_fill(~mask, 100),
        lambda labels, mask: torch.where(mask, labels.float(), -math.inf),
    ],
    ("ignored_labels", "not int64"): [
        lambda labels, mask: torch.where(mask, labels.float(), -100),
        lambda labels, mask: torch.where(mask, labels, -100.0),
        lambda labels, mask: torch.where(mask, labels, -100).int(),
    ],
    ("safe_mean", "no mask"): lambda losses, mask: losses.sum() / losses.numel(),
    ("safe_mean", "finite is not enough"): [
        lambda losses, mask: losses[torch.isfinite(losses)].mean(),
        lambda losses, mask: losses.nanmean(),
        lambda losses, mask: torch.where(losses.isfinite(), losses, 0.0).mean(),
        lambda losses, mask: torch.where(losses.isfinite(), losses, 0.0).sum() / mask.sum().clamp(min=1),
    ],
    ("safe_mean", "divided by too many"): [
        lambda losses, mask: filled(losses, mask).mean(),
        lambda losses, mask: (losses * mask).nanmean(),
        lambda losses, mask: filled(losses, mask).sum() / (1 + mask.sum()),
        lambda losses, mask: filled(losses, mask).sum() / mask.sum().clamp(min=2),
    ],
    ("safe_mean", "not divided"): lambda losses, mask: filled(losses, mask).sum(),
    ("safe_mean", "inverted"): [
        lambda losses, mask: losses[~mask].mean(),
        lambda losses, mask: safe(losses, ~mask),
        lambda losses, mask: losses.masked_fill(mask, 0).sum() / mask.sum().clamp(min=1),
    ],
    ("safe_mean", "NaN for another reason"): lambda losses, mask: losses[mask is True].mean(),
    ("safe_mean", "mean of means"): [
        lambda losses, mask: (filled(losses, mask).sum(1) / mask.sum(1)).mean(),
        lambda losses, mask: torch.stack([safe(*row) for row in zip(losses, mask, strict=True)]).mean(),
        lambda losses, mask: torch.stack([safe(*row) for row in zip(losses, mask, strict=True)]).sum() / max(
            1, int(mask.any(1).sum())),
    ],
    ("safe_mean", "NaN gets in"): [
        lambda losses, mask: (losses * mask).sum() / mask.sum().clamp(min=1),
        lambda losses, mask: (losses * mask).sum() / mask.sum(),
        lambda losses, mask: (losses.clamp(0, 1e4) * mask).sum() / mask.sum().clamp(min=1),
        lambda losses, mask: (losses - losses * ~mask).sum() / mask.sum().clamp(min=1),
        lambda losses, mask: (losses.nan_to_num(posinf=math.inf) * mask).sum() / mask.sum().clamp(min=1),
    ],
    ("safe_mean", "0/0"): [
        lambda losses, mask: losses[mask].mean(),
        lambda losses, mask: filled(losses, mask).sum() / mask.sum(),
        guarded_by(lambda losses: losses.sum() * 0),
    ],
    ("safe_mean", "a plain 0"): [
        guarded_by(lambda losses: 0.0), guarded_by(lambda losses: 0), guarded_by(lambda losses: torch.tensor(0.0)),
        guarded_by(lambda losses: torch.zeros((), requires_grad=False)),
    ],
    ("safe_mean", "cut off"): [
        lambda losses, mask: safe(losses, mask).detach(),
        lambda losses, mask: safe(losses, mask).item(),
        torch.no_grad()(safe),
        lambda losses, mask: safe(losses, mask).detach().requires_grad_(),
    ],
    ("safe_mean", "NaN gradient"): [
        mended_at_the_end, chosen_at_the_end,
        lambda losses, mask: ((losses * mask).sum() / mask.sum()).nan_to_num(0),
    ],
    ("safe_mean", "wrong gradient"): [
        lambda losses, mask: safe(losses.detach(), mask) + 0 * filled(losses, mask).sum(),
        guarded_by(lambda losses: torch.zeros(1, requires_grad=True).sum() + losses.nan_to_num(0, 0, 0).sum() * 0 + (
            losses.nan_to_num(0, 0, 0) - losses.nan_to_num(0, 0, 0).detach()).sum()),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("masked_mean", lambda losses, mask: losses[mask], r"must be a single number, got shape \(7,\)"),
        ("masked_mean", lambda losses, mask: losses.mul_(mask).sum() / mask.sum(), "values are right, but .* `losses`"),
        ("masked_mean", lambda losses, mask: [losses[mask].mean()], "must be a tensor, got a list"),
        ("mean_by_sentence", lambda losses, mask: losses[mask].median(), "some cells differ"),
        ("mean_by_sentence", lambda losses, mask: (sums(losses, mask) / mask.sum(1))[mask[:, 0]].mean(), "0/0, ∞"),
        ("safe_mean", lambda losses, mask: 0, "some cells differ"),
        ("micro_losses", lambda parts: torch.stack(one_count(parts)), "must be a list of 2, got a Tensor"),
        ("micro_losses", lambda parts: big_batch(parts), "must be a list of 2, got a Tensor"),
        ("micro_losses", lambda parts: [loss for loss in one_count(parts) if loss], "a list of 3, got a list of 2"),
        ("micro_losses", lambda parts: [losses for losses, _ in parts], "part 0 of your answer must be a single"),
        ("micro_losses", lambda parts: [big_batch(parts)] * len(parts), "clears what another one needs"),
        ("micro_losses", adds_in_place, r"as `total \+= mask.sum\(\)` does in a loop"),
        ("micro_losses", lambda parts: sum(mask.sum() for mask in parts), "take it apart first"),
        ("masked_mean", lambda losses, mask: losses.mean(mask), "Compare what it got with what it takes"),
        ("micro_losses", calls_backward, "calls `backward\\(\\)` itself"),
        ("micro_losses", lambda parts: calls_backward(parts, retain_graph=True), "calls `backward\\(\\)` itself"),
        ("micro_losses", lambda parts: [losses.mean() if mask.any() else 0.0 for losses, mask in parts], "some cells"),
        ("ignored_labels", in_place, "the values are right, but your function changes its input `labels`"),
        ("ignored_labels", lambda labels, mask: torch.where(mask, labels, -100).tolist(), "got a list"),
        ("ignored_labels", lambda labels, mask: labels * 2, "some cells differ"),
        ("safe_mean", lambda losses, mask: losses[mask], "must be a single number"),
        ("safe_mean", in_place_of_losses, "the values are right, but your function changes its input `losses`"),
        ("safe_mean", lambda losses, mask: safe(losses, mask) * 2, "some cells differ"),
        ("safe_mean", lambda losses, mask: safe(losses.numpy(), mask), "Can't call numpy"),
    ],
)  # fmt: skip
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong" and re.search(words, repr(verdict)), verdict


# --- what the sentences claim -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_cross_entropy_takes_no_labels_but_int64(dtype):
    with pytest.raises(RuntimeError, match="expected target dtype to be Long"):
        F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, -100]).to(dtype))


def test_a_loss_over_nothing_is_nan_and_a_plain_0_has_no_backward_pass():
    assert F.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100])).isnan()
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.tensor(0.0).backward()
    leaf = torch.ones(1, 2, requires_grad=True)
    leaf[torch.tensor([[False, False]])].sum().backward()
    assert torch.equal(leaf.grad, torch.zeros(1, 2))


@pytest.mark.parametrize("name", ["masked_mean", "mean_by_sentence"])
def test_a_right_number_without_a_gradient_gets_a_note(name):
    right = RIGHT[name][0]
    assert getattr(check, name)(right).note == ""
    for answer in (torch.no_grad()(right), lambda *case: right(*case).item()):
        verdict = getattr(check, name)(answer)
        assert (verdict.state, verdict.note) == ("right", "no gradient")


@pytest.mark.parametrize(
    "means",
    [
        lambda sums, counts: (sums / counts)[counts > 0],
        lambda sums, counts: sums[counts > 0] / counts[counts > 0],
    ],
)
def test_a_right_number_with_a_nan_in_its_gradient_gets_a_note(means):
    leaf, mask = torch.ones(2, 2, requires_grad=True), torch.tensor([[True, False], [False, False]])

    def answer(losses, mask):
        return means(sums(losses, mask), mask.sum(1)).mean()

    answer(leaf, mask).backward()
    verdict = check.mean_by_sentence(answer)
    assert (verdict.state, verdict.note == "NaN gradient") == ("right", bool(leaf.grad.isnan().any()))


@pytest.mark.parametrize("answer", [
    lambda losses, mask: (losses.nan_to_num(0, 0, 0) * mask).sum() / mask.sum().clamp(min=1),
    lambda losses, mask: safe(losses, mask & losses.isfinite()),
    lambda losses, mask: (losses * mask).nansum() / mask.sum().clamp(min=1),
])  # fmt: skip
def test_an_answer_that_hides_a_nan_that_counts_is_right_with_a_note(answer):
    verdict = check.safe_mean(answer)
    assert (verdict.state, verdict.note) == ("right", "NaN that counts")
    assert all(check.safe_mean(right).note == "" for right in RIGHT["safe_mean"])


def running_mean(losses, mask):
    """The mean of the sentences' means; backward() still needs the n that is changed in place."""
    mean, n = torch.tensor(0.0), torch.tensor(1.0)
    for row, counts in zip(losses, mask, strict=True):
        if counts.any():
            mean = mean + (row[counts].mean() - mean) / n
            n += 1
    return mean


def test_a_right_number_whose_backward_pass_raises_an_error_gets_a_note():
    verdict = check.mean_by_sentence(running_mean)
    assert (verdict.state, verdict.note) == ("right", "written in place")
    with pytest.raises(RuntimeError, match="inplace operation"):
        running_mean(torch.ones(2, 2, requires_grad=True), torch.ones(2, 2).bool()).backward()


def test_a_zero_that_has_a_gradient_of_its_own_is_right():
    assert check.safe_mean(guarded_by(lambda losses: torch.zeros((), requires_grad=True))).state == "right"


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_picture_of_a_mean_hatches_what_does_not_count_and_shows_both_numbers():
    given, yours, right = check.masked_mean(WRONG["masked_mean", "no mask"][0]).panels
    assert given.values[~given.blocked].mean().item() == pytest.approx(right.values.item())
    assert given.values.mean().item() == pytest.approx(yours.values.item())


def test_the_picture_of_micro_batches_has_a_row_for_each_and_shows_the_gradient_if_only_that_differs():
    yours, right = check.micro_losses(WRONG["micro_losses", "not divided"]).panels
    assert [row.split(":")[0] for row in right.rows] == ["0", "1"] and yours.marks.all()
    shifted = check.micro_losses(
        lambda parts: [
            loss + 0 * losses.sum() + (losses.sum() - losses.detach().sum())
            for loss, (losses, _) in zip(one_count(parts), parts, strict=True)
        ]
    )
    assert shifted.panels[0].title == "your gradient of micro-batch 0"


def test_the_picture_of_a_safe_mean_shows_the_gradient_if_the_value_is_right():
    yours, right = check.safe_mean(WRONG["safe_mean", "NaN gradient"][0]).panels
    assert yours.title == "your gradient" and yours.values.isnan().any() and not right.values.any()
