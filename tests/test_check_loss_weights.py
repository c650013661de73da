"""The checks of lesson 04: answers as learners write them (see test_checks.py), and what else each check says."""

import math
import re
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from masklab.check import loss_weights as check
from masklab.losses import agreement_weights, curriculum_weights, reduce, token_losses

# --- 1 · Weights from votes -----------------------------------------------------------------------------------------


def counted(votes, classes=4):
    """How many voted for each class."""
    return (votes[..., None] == torch.arange(classes)).sum(dim=2)


def by_counts(votes):
    most, labels = counted(votes, int(votes.max()) + 1).max(dim=-1)
    return labels, most / (votes >= 0).sum(dim=-1).clamp(min=1)


def by_so_many(votes, classes):
    most, labels = counted(votes, max(classes, 1)).max(dim=-1)
    return labels, most / (votes >= 0).sum(dim=-1).clamp(min=1)


def by_one_hot(votes):
    counts = F.one_hot(votes + 1)[..., 1:].sum(dim=2)  # column 0 held those that gave no vote
    labels = counts.argmax(dim=-1)
    given = counts.sum(dim=-1)
    return labels, torch.where(given > 0, counts.amax(dim=-1) / given, 0.0)


def by_loops(votes, *, label_of=lambda given: min(given, key=lambda one: (-given.count(one), one))):
    labels = torch.zeros(votes.shape[:2], dtype=torch.int64)
    weights = torch.zeros(votes.shape[:2])
    for i in range(votes.shape[0]):
        for t in range(votes.shape[1]):
            given = [one for one in votes[i, t].tolist() if one != -1]
            if given:
                labels[i, t] = label_of(given)
                weights[i, t] = given.count(labels[i, t]) / len(given)
    return labels, weights


def by_scatter(votes):
    given = votes >= 0
    counts = torch.zeros(*votes.shape[:2], 9).scatter_add(2, votes.clamp(min=0), given.float())
    most, labels = counts.max(dim=-1)
    return labels, torch.nan_to_num(most / given.sum(dim=-1))


def by_bincount(votes):
    pairs = [np.bincount(word[word >= 0], minlength=5) for sentence in votes.numpy() for word in sentence]
    counts = torch.from_numpy(np.stack(pairs)).reshape(*votes.shape[:2], 5)
    return counts.argmax(-1), (counts.max(-1).values / counts.sum(-1).clamp(min=1)).double()


def by_mode(votes):
    labels = votes.double().masked_fill(votes < 0, math.nan)
    found = torch.tensor([[word[~word.isnan()].mode().values if (word >= 0).any() else 0 for word in sentence]
                          for sentence in labels]).long()  # fmt: skip
    support = (votes == found[..., None]).float().where(votes >= 0, torch.nan)
    return found, support.nanmean(dim=-1).nan_to_num()


def labels_of(way):
    """The right weights of other labels."""
    return lambda votes: by_loops(votes, label_of=way)


def weights_of(way):
    """The right labels with other weights: way(votes, labels, right weights)."""
    return lambda votes: (lambda labels, weights: (labels, way(votes, labels, weights)))(*by_counts(votes))


def naive(votes):
    """The mode, and how many agree with it."""
    labels = votes.mode(dim=-1).values
    return labels, (votes == labels[..., None]).float().mean(dim=-1)


def shares_of_all(votes):
    labels = by_counts(votes)[0]
    return labels, (votes == labels[..., None]).float().mean(dim=-1)


def clamped(votes):
    return by_counts(votes.clamp(min=0))


def clamped_labels(votes):
    labels = by_counts(votes.clamp(min=0))[0]
    return labels, (votes == labels[..., None]).sum(-1) / (votes >= 0).sum(-1)


def larger_by_flip(votes):
    counts = counted(votes).flip(-1)
    most, places = counts.max(dim=-1)
    return (3 - places).where(most > 0, 0), most / (votes >= 0).sum(-1).clamp(min=1)


def without_votes(label, weight):
    """Right, but something else at words without votes."""

    def answer(votes):
        labels, weights = by_counts(votes)
        none = (votes < 0).all(dim=-1)
        return labels.masked_fill(none, label), weights.masked_fill(none, weight)

    return answer


# --- 2 · Missing labels ---------------------------------------------------------------------------------------------


def each(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-1, reduction="none")


def number(labels):
    return (labels >= 0).sum().clamp(min=1)


def summed(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1, reduction="sum") / number(labels)


def only_labelled(logits, labels):
    mask = labels != -1
    if not mask.any():
        return logits.sum() * 0
    return F.cross_entropy(logits[mask], labels[mask])


def gathered(logits, labels):
    log_p = logits.log_softmax(dim=-1)
    losses = -log_p.gather(2, labels.clamp(min=0)[..., None])[..., 0]
    return losses.masked_fill(labels < 0, 0).sum() / max(1, (labels >= 0).sum())


def loss_by_loops(logits, labels):
    total, count = 0 * logits.sum(), 0
    for i in range(len(labels)):
        for t in range(labels.shape[1]):
            if labels[i, t] >= 0:
                total = total - logits[i, t].log_softmax(-1)[labels[i, t]]
                count += 1
    return total / max(count, 1)


def indexed(logits, labels):
    """The labels as an index: −1 is the last class."""
    rows = torch.arange(len(labels))[:, None]
    return -logits.log_softmax(-1)[rows, torch.arange(labels.shape[1]), labels]


def masked_zero(logits, labels):
    mask = labels > 0
    return (F.cross_entropy(logits.mT, labels.clamp(min=0), reduction="none") * mask).sum() / mask.sum().clamp(min=1)


def guarded_loss(nothing):
    return lambda logits, labels: summed(logits, labels) if (labels >= 0).any() else nothing(logits)


def labels_in_place(logits, labels):
    labels[labels == -1] = -100
    return F.cross_entropy(logits.mT, labels, reduction="sum") / (labels != -100).sum().clamp(min=1)


def sentence_means(logits, labels):
    return each(logits, labels).sum(1) / (labels >= 0).sum(1)


# --- 3 · Prompt and completion --------------------------------------------------------------------------------------


def starts_of(row, marker):
    return [t for t in range(len(row) - len(marker) + 1) if row[t : t + len(marker)] == marker]


def by_rows(ids, lengths, marker, end_id):
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for i, row in enumerate(ids.tolist()):
        for start in range(len(row)):
            if row[start : start + len(marker)] == marker:
                mask[i, start + len(marker) : lengths[i]] = True
                break
    return mask


def by_windows(ids, lengths, marker, end_id, *, back=0, where=None, wipe=False):
    n = len(marker)
    found = (ids.unfold(1, n, 1) == torch.tensor(marker)).all(dim=-1)  # (B, L − n + 1)
    place = torch.arange(ids.shape[1])
    after = place >= (found.int().argmax(dim=1) + n + back)[:, None]
    return after & (place < lengths[:, None]) & found.any(dim=1, keepdim=True)


def by_cumsum(ids, lengths, marker, end_id):
    found = torch.stack([ids.roll(-k, dims=1) == one for k, one in enumerate(marker)]).all(dim=0)
    begun = F.pad(found, (len(marker), 0))[:, : ids.shape[1]].cumsum(dim=1) > 0
    return begun & (torch.arange(ids.shape[1]) < lengths[:, None])


def by_text(ids, lengths, marker, end_id):
    rows = []
    for row, n in zip(ids.tolist(), lengths.tolist(), strict=True):
        text, sought = "".join(map(chr, row[:n])), "".join(map(chr, marker))
        before, marked, after = text.partition(sought)
        prompt = len(before) + len(marked)
        rows.append([prompt <= t < n and bool(marked) for t in range(len(row))])
    return torch.tensor(rows)


def to_the_first_end(ids, lengths, marker, end_id):
    """Looks for the end token after the marker, in the words."""
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for i, row in enumerate(ids.tolist()):
        row = row[: lengths[i]]
        for start in starts_of(row, marker)[:1]:
            t = start + len(marker)
            while t < len(row):
                mask[i, t] = True
                t += 1
    return mask


def spans(start_of, *, stop_of=lambda row, n, start: n):
    """True from start_of(row, marker) up to stop_of(row, length, start)."""

    def answer(ids, lengths, marker, end_id):
        mask = torch.zeros_like(ids).bool()
        for i, row in enumerate(ids.tolist()):
            start = start_of(row, marker)
            if start is not None:
                mask[i, start : stop_of(row, int(lengths[i]), start)] = True
        return mask

    return answer


def after(row, marker):
    return next((t + len(marker) for t in starts_of(row, marker)), None)


def moved(by):
    return lambda row, marker: None if after(row, marker) is None else after(row, marker) + by


def without_a_test(ids, lengths, marker, end_id):
    """argmax of a row that is all False is 0."""
    n = len(marker)
    found = (ids.unfold(1, n, 1) == torch.tensor(marker)).all(-1)
    place = torch.arange(ids.shape[1])
    return (place >= (found.int().argmax(1) + n)[:, None]) & (place < lengths[:, None])


def starts_again(row, marker):
    """Matches token by token, and begins anew at a mismatch: it forgets that it may have seen a beginning."""
    seen = 0
    for t, one in enumerate(row):
        seen = seen + 1 if one == marker[seen] else 0
        if seen == len(marker):
            return t + 1
    return None


def toggled(ids, lengths, marker, end_id):
    """Each marker turns the mask on or off."""
    mask = torch.zeros_like(ids).bool()
    for i, row in enumerate(ids.tolist()):
        on = False
        for t in range(int(lengths[i])):
            on ^= row[max(t - len(marker), 0) : t] == marker
            mask[i, t] = on
    return mask


def with_gaps(row, marker):
    """Other tokens may stand between those of the marker."""
    seen = 0
    for t, one in enumerate(row):
        seen += one == marker[seen]
        if seen == len(marker):
            return t + 1
    return None


def in_steps(row, marker):
    n = len(marker)
    return next((t + n for t in range(0, len(row), n) if row[t : t + n] == marker), None)


def first_end(row, n, start, *, with_it=True):
    """The first end token after the marker, even if it is a pad."""
    return next((t + with_it for t in range(start, len(row)) if row[t] == check.END), n)


# --- 4 · Hard words wait --------------------------------------------------------------------------------------------


def stepwise(difficulty, stage, ramp):
    weights = torch.zeros_like(difficulty)
    for i in range(difficulty.shape[0]):
        for t in range(difficulty.shape[1]):
            d = difficulty[i, t].item()
            if d <= stage:
                weights[i, t] = 1
            elif d < stage + ramp:
                weights[i, t] = (stage + ramp - d) / ramp
    return weights


def by_where(difficulty, stage, ramp):
    line = ((stage + ramp - difficulty) / ramp).clamp(0, 1) if ramp > 0 else torch.zeros_like(difficulty)
    return torch.where(difficulty <= stage, torch.ones_like(difficulty), line)


def small_ramp(difficulty, stage, ramp):
    return (1 - (difficulty - stage) / max(ramp, 1e-9)).clamp(0, 1)


def by_masks(difficulty, stage, ramp):
    weights = (difficulty <= stage).double()
    between = (difficulty > stage) & (difficulty < stage + ramp)
    weights[between] = 1 - (difficulty[between].double() - stage) / ramp
    return weights


def line(difficulty, stage, ramp):
    return 1 - (difficulty - stage) / ramp


def safe_line(difficulty, stage, ramp):
    return line(difficulty, stage, ramp) if ramp > 0 else (difficulty <= stage).float()


def pads_as(weight):
    return lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp).masked_fill(difficulty.isinf(), weight)


def less_than(difficulty, stage, ramp):
    if ramp == 0:
        return (difficulty < stage).float()
    return line(difficulty, stage, ramp).clamp(0, 1)


# --- 5 · A mean with weights ----------------------------------------------------------------------------------------


def times(losses, weights):
    return losses.masked_fill(weights == 0, 0) * weights


def mean(losses, weights):
    total = weights.sum()
    return times(losses, weights).sum() / (total if total > 0 else 1)


def mean_of_some(losses, weights):
    some = weights > 0
    return (losses[some] * weights[some]).sum() / weights.sum().clamp(min=1e-12)


def mean_by_loops(losses, weights):
    total, norm = losses[weights > 0].sum() * 0, 0.0
    for loss, weight in zip(losses.flatten(), weights.flatten().tolist(), strict=True):
        if weight:
            total, norm = total + weight * loss, norm + weight
    return total / norm if norm else total


def normalised_first(losses, weights):
    if not weights.any():
        return losses.masked_fill(weights == 0, 0).sum()
    return (torch.where(weights > 0, losses, 0.0) * (weights / weights.sum())).sum()


def guarded_mean(nothing):
    return lambda losses, weights: mean(losses, weights) if weights.any() else nothing(losses)


def row_means(losses, weights):
    return times(losses, weights).sum(1) / weights.sum(1)


def replaced_at_the_end(losses, weights):
    found = (losses.nan_to_num(0, 0, 0) * weights).sum() / weights.sum()
    return found.nan_to_num(0)


RIGHT = {
    "vote_weights": [
        by_counts, by_one_hot, by_loops, by_scatter, by_bincount, by_mode, agreement_weights,
        lambda votes: by_counts(votes.clone()),
        lambda votes: (by_counts(votes)[0], by_counts(votes)[1].requires_grad_()),
        labels_of(lambda given: Counter(sorted(given)).most_common()[0][0]),
    ],
    "labelled_loss": [
        summed, only_labelled, gathered, loss_by_loops,
        lambda logits, labels: each(logits, labels).sum() / number(labels),
        lambda logits, labels: F.cross_entropy(
            logits.mT, torch.where(labels >= 0, labels, -100), reduction="sum") / number(labels),
        lambda logits, labels: F.nll_loss(logits.log_softmax(-1).mT, labels, ignore_index=-1, reduction="sum") / max(
            int((labels > -1).sum()), 1),
        lambda logits, labels: (indexed(logits, labels) * (labels >= 0)).sum() / number(labels),
        lambda logits, labels: reduce(
            token_losses(logits, labels, labels >= 0), labels >= 0, on_empty="zero"),
        lambda logits, labels: (each(logits.double(), labels).sum() / ((labels >= 0).sum() + 1e-9)),
        lambda logits, labels: -(logits.log_softmax(-1) * F.one_hot(labels + 1, 6)[..., 1:]).sum() / number(labels),
    ],
    "completion_mask": [
        by_rows, by_windows, by_cumsum, by_text, to_the_first_end, spans(after),
        lambda ids, lengths, marker, end_id: torch.from_numpy(by_rows(ids, lengths, marker, end_id).numpy().copy()),
        lambda ids, lengths, marker, end_id: torch.stack(
            [by_windows(row[None], n[None], marker, end_id)[0] for row, n in zip(ids, lengths, strict=True)]),
        spans(after, stop_of=lambda row, n, start: min(n, first_end(row, n, start))),
    ],
    "curriculum": [
        stepwise, by_where, small_ramp, by_masks,
        lambda difficulty, stage, ramp: curriculum_weights(difficulty, stage=stage, ramp=ramp),
        lambda difficulty, stage, ramp: torch.from_numpy(
            np.interp(difficulty, [stage, stage + ramp], [1, 0])) if ramp else (difficulty <= stage).int(),
        lambda difficulty, stage, ramp: 1 - ((difficulty - stage).clamp(min=0) / (ramp + 1e-12)).clamp(max=1),
        lambda difficulty, stage, ramp: line(difficulty, stage, ramp).nan_to_num(1.0).clamp(0, 1),
    ],
    "weighted_mean": [
        mean, mean_of_some, mean_by_loops, normalised_first,
        lambda losses, weights: torch.where(weights > 0, losses, 0).mul(weights).sum() / weights.sum().clamp(min=1e-9),
        lambda losses, weights: times(losses, weights).double().sum() / (weights.sum() + 1e-9),
        lambda losses, weights: reduce(losses, weights, on_empty="zero"),
        lambda losses, weights: losses.masked_fill(weights == 0, 0).flatten() @ weights.flatten() / torch.where(
            weights.any(), weights.sum(), 1.0),
        lambda losses, weights: torch.where(weights.any(), times(losses, weights).sum() / weights.sum(), 0.0),
    ],
}  # fmt: skip

WRONG = {
    ("vote_weights", "no vote counted"): [
        naive,
        lambda votes: (votes.mode(dim=-1).values, (votes == votes.mode(dim=-1).values[..., None]).sum(-1)),
        lambda votes: tuple(votes.mode(dim=-1)),
        lambda votes: (votes[..., 0], (votes == votes[..., :1]).float().mean(-1)),
        lambda votes: (naive(votes)[0].clamp(min=0), by_counts(votes)[1]),
        lambda votes: ((F.one_hot(votes + 1).sum(2).argmax(-1) - 1).clamp(min=0), by_counts(votes)[1]),
    ],
    ("vote_weights", "labels left out"): [
        lambda votes: by_so_many(votes, votes.max()),
        lambda votes: by_so_many(votes, 3),
        lambda votes: by_so_many(votes, votes.shape[-1]),
    ],
    ("vote_weights", "no vote as label 0"): [
        clamped, clamped_labels,
        lambda votes: by_loops(votes.clamp(min=0)),
        lambda votes: (by_counts(votes.clamp(min=0))[0], by_counts(votes)[1]),
    ],
    ("vote_weights", "one too large"): [
        lambda votes: (by_counts(votes)[0] + 1, by_counts(votes)[1]),
        lambda votes: naive(votes + 1),
        lambda votes: by_loops(votes + 1),
    ],
    ("vote_weights", "the largest of a tie"): [
        larger_by_flip,
        labels_of(lambda given: max(sorted(given, reverse=True), key=given.count)),
        labels_of(lambda given: max(given, key=lambda one: (given.count(one), one))),
    ],
    ("vote_weights", "the first of a tie"): [
        labels_of(lambda given: Counter(given).most_common(1)[0][0]),
        labels_of(lambda given: max(given, key=given.count)),
    ],
    ("vote_weights", "the most votes as label"): [
        lambda votes: (counted(votes).amax(-1), by_counts(votes)[1]),
        lambda votes: (counted(votes).max(-1).values, counted(votes).max(-1).values / votes.shape[-1]),
    ],
    ("vote_weights", "swapped"): [
        lambda votes: by_counts(votes)[::-1],
        lambda votes: tuple(counted(votes).max(dim=-1)),
    ],
    ("vote_weights", "of all annotators"): [
        shares_of_all,
        lambda votes: (by_counts(votes)[0], counted(votes).amax(-1) / votes.shape[2]),
        lambda votes: (by_counts(votes)[0], counted(votes).max(-1).values / len(votes[0, 0])),
    ],
    ("vote_weights", "label 0 as no vote"): [
        lambda votes: (by_counts(votes)[0], counted(votes).amax(-1) / (votes > 0).sum(-1).clamp(min=1)),
        lambda votes: (by_counts(votes)[0], counted(votes).amax(-1) / (votes > 0).sum(-1)),
        lambda votes: (by_counts(votes)[0], counted(votes).amax(-1) / (votes != 0).sum(-1)),
    ],
    ("vote_weights", "one too many"): weights_of(
        lambda votes, labels, weights: counted(votes).amax(-1) / (1 + (votes >= 0).sum(-1))),
    ("vote_weights", "counts"): lambda votes: (by_counts(votes)[0], counted(votes).amax(-1)),
    ("vote_weights", "all or nothing"): [
        weights_of(lambda votes, labels, weights: weights.int()),
        weights_of(lambda votes, labels, weights: (weights == 1).float()),
        weights_of(lambda votes, labels, weights: counted(votes).amax(-1) // (votes >= 0).sum(-1).clamp(min=1)),
    ],
    ("vote_weights", "0/0"): [
        weights_of(lambda votes, labels, weights: counted(votes).amax(-1) / (votes >= 0).sum(-1)),
        weights_of(lambda votes, labels, weights: (votes == labels[..., None]).sum(-1) / (votes >= 0).sum(-1)),
    ],
    ("vote_weights", "without votes"): [without_votes(-1, 0.0), without_votes(0, 1.0), without_votes(-100, 0.0)],
    ("vote_weights", "not int64"): [
        lambda votes: (by_counts(votes)[0].float(), by_counts(votes)[1]),
        lambda votes: (by_counts(votes)[0].int(), by_counts(votes)[1]),
    ],
    ("labelled_loss", "the last class"): [
        lambda logits, labels: indexed(logits, labels).mean(),
        lambda logits, labels: indexed(logits, labels).sum() / number(labels),
        lambda logits, labels: F.cross_entropy(logits.mT, labels % 5),
    ],
    ("labelled_loss", "class 0"): [
        lambda logits, labels: F.cross_entropy(logits.mT, labels.clamp(min=0)),
        lambda logits, labels: F.cross_entropy(logits.mT, labels.masked_fill(labels == -1, 0)),
        lambda logits, labels: F.cross_entropy(logits.mT, labels.clamp(min=0), reduction="sum") / number(labels),
        lambda logits, labels: F.cross_entropy(logits.mT, labels.abs() * (labels >= 0)),
    ],
    ("labelled_loss", "divided by all positions"): [
        lambda logits, labels: each(logits, labels).mean(),
        lambda logits, labels: each(logits, labels).mean(1).mean(),
        lambda logits, labels: each(logits, labels).sum() / labels.numel(),
    ],
    ("labelled_loss", "not divided"): lambda logits, labels: each(logits, labels).sum(),
    ("labelled_loss", "divided by the sentences"): [
        lambda logits, labels: each(logits, labels).sum() / len(labels),
        lambda logits, labels: each(logits, labels).sum(1).mean(),
    ],
    ("labelled_loss", "nothing with a gap"): [
        lambda logits, labels: logits.sum() * 0 if (labels == -1).any() else summed(logits, labels),
        lambda logits, labels: summed(logits, labels) if (labels >= 0).all() else 0.0,
    ],
    ("labelled_loss", "class 0 left out"): [
        masked_zero,
        lambda logits, labels: F.cross_entropy(logits.mT, labels.clamp(min=0), ignore_index=0, reduction="sum") / max(
            int((labels > 0).sum()), 1),
        lambda logits, labels: F.cross_entropy(logits.mT, labels.clamp(min=0), ignore_index=0),
        lambda logits, labels: (each(logits, labels) * (labels > 0)).sum() / number(labels),
        lambda logits, labels: each(logits, labels).sum() / max((labels > 0).sum(), 1),
        lambda logits, labels: (F.cross_entropy(logits.mT, labels.clamp(min=0), reduction="none") * labels.bool()).sum()
        / labels.bool().sum().clamp(min=1),
    ],
    ("labelled_loss", "mean of means"): [
        lambda logits, labels: sentence_means(logits, labels).nanmean(),
        lambda logits, labels: sentence_means(logits, labels).nan_to_num().mean(),
        lambda logits, labels: torch.stack([summed(*one) for one in zip(
            logits[:, None], labels[:, None], strict=True)]).mean(),
        lambda logits, labels: sentence_means(logits, labels).mean(),
    ],
    ("labelled_loss", "losses of 0 left out"): [
        lambda logits, labels: each(logits, labels).sum() / (each(logits, labels) != 0).sum().clamp(min=1),
        lambda logits, labels: each(logits, labels).sum() / each(logits, labels).count_nonzero(),
        lambda logits, labels: each(logits, labels).sum() / max((each(logits, labels) > 0).sum(), 1),
    ],
    ("labelled_loss", "too much"): [
        lambda logits, labels: each(logits, labels).sum() / (1 + (labels >= 0).sum()),
        lambda logits, labels: each(logits, labels).sum() / ((labels >= 0).sum() + 1e-3),
    ],
    ("labelled_loss", "softmax twice"): [
        lambda logits, labels: summed(logits.softmax(-1), labels),
        lambda logits, labels: F.cross_entropy(logits.softmax(-1).mT, labels, ignore_index=-1),
    ],
    ("labelled_loss", "logits set to 0"): [
        lambda logits, labels: F.cross_entropy((logits * (labels >= 0)[..., None]).mT, labels.clamp(min=0)),
        lambda logits, labels: indexed(logits.masked_fill((labels < 0)[..., None], 0), labels).mean(),
    ],
    ("labelled_loss", "only the first sentence"): [
        lambda logits, labels: summed(logits[:1], labels[:1]),
        lambda logits, labels: F.cross_entropy(logits[0], labels[0], ignore_index=-1),
    ],
    ("labelled_loss", "classes on the wrong axis"): [
        lambda logits, labels: F.cross_entropy(
            logits.view(len(labels), 5, -1), labels, ignore_index=-1, reduction="sum") / number(labels),
        lambda logits, labels: F.cross_entropy(logits.reshape(len(labels), 5, -1), labels, ignore_index=-1),
    ],
    ("labelled_loss", "sign"): [
        lambda logits, labels: -summed(logits, labels),
        lambda logits, labels: -gathered(logits, labels),
    ],
    ("labelled_loss", "NaN for another reason"): [
        lambda logits, labels: each(logits, labels)[labels is True].mean(),
        lambda logits, labels: each(logits, labels).sum() / (labels == 99).sum(),
    ],
    ("labelled_loss", "0/0"): [
        lambda logits, labels: F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-1),
        lambda logits, labels: F.cross_entropy(logits[labels >= 0], labels[labels >= 0]),
        lambda logits, labels: each(logits, labels).sum() / (labels >= 0).sum(),
        lambda logits, labels: 2 * F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-1),
    ],
    ("labelled_loss", "nothing counts"): [
        guarded_loss(lambda logits: logits.sum()), guarded_loss(lambda logits: 1.0 + logits.sum() * 0),
    ],
    ("labelled_loss", "a plain 0"): [
        guarded_loss(lambda logits: 0.0), guarded_loss(lambda logits: 0),
        guarded_loss(lambda logits: torch.tensor(0.0)),
    ],
    ("labelled_loss", "cut off"): [
        torch.no_grad()(summed),
        lambda logits, labels: summed(logits, labels).item(),
        lambda logits, labels: summed(logits.detach(), labels),
    ],
    ("labelled_loss", "NaN gradient"): [
        lambda logits, labels: F.cross_entropy(logits.mT, labels, ignore_index=-1, reduction="sum").div(
            (labels >= 0).sum()).nan_to_num(0.0) if (labels >= 0).any() else (
                (logits.sum() * torch.nan).nan_to_num(0.0)),
        lambda logits, labels: ((indexed(logits, labels) * (labels >= 0)).sum() / (labels >= 0).sum()).nan_to_num(0.0),
    ],
    ("labelled_loss", "wrong gradient"): [
        lambda logits, labels: summed(logits.detach(), labels) + 0 * logits.sum(),
        guarded_loss(lambda logits: logits.sum() - logits.detach().sum()),
    ],
    ("completion_mask", "nothing found"): [
        spans(lambda row, marker: row.index(marker) if marker in row else None),
        spans(lambda row, marker: next((t for t in range(len(row)) if torch.tensor(row[t:]) == marker), None)),
    ],
    ("completion_mask", "marker in the answer"): [
        lambda ids, lengths, marker, end_id: by_rows(ids, lengths, marker, end_id) & ~spans(
            lambda row, marker: next(iter(starts_of(row, marker)[1:]), None),
            stop_of=lambda row, n, start: start + len(marker))(ids, lengths, marker, end_id),
        toggled,
    ],
    ("completion_mask", "prompt counted"): [
        lambda ids, lengths, marker, end_id: torch.arange(ids.shape[1]) < lengths[:, None],
        lambda ids, lengths, marker, end_id: torch.ones_like(ids).bool(),
    ],
    ("completion_mask", "inverted"): [
        lambda ids, lengths, marker, end_id: ~by_rows(ids, lengths, marker, end_id),
        lambda ids, lengths, marker, end_id: ~by_rows(ids, lengths, marker, end_id) & (
            torch.arange(ids.shape[1]) < lengths[:, None]),
    ],
    ("completion_mask", "end wiped by its id"): [
        lambda ids, lengths, marker, end_id: by_rows(ids, lengths, marker, end_id) & (ids != end_id),
        lambda ids, lengths, marker, end_id: by_rows(ids, torch.full_like(lengths, ids.shape[1]), marker, end_id) & (
            ids != end_id) & (ids != 0),
        spans(after, stop_of=lambda row, n, start: min(n, first_end(row, n, start, with_it=False))),
    ],
    ("completion_mask", "end forgotten"): [
        spans(after, stop_of=lambda row, n, start: n - 1),
        lambda ids, lengths, marker, end_id: by_windows(ids, lengths - 1, marker, end_id),
    ],
    ("completion_mask", "last occurrence"): spans(
        lambda row, marker: next((t + len(marker) for t in starts_of(row, marker)[::-1]), None)),
    ("completion_mask", "marker included"): [
        spans(lambda row, marker: next(iter(starts_of(row, marker)), None)),
        spans(lambda row, marker: next((t + 1 for t in starts_of(row, marker)), None)),
        spans(moved(-1)),
        lambda ids, lengths, marker, end_id: by_windows(ids, lengths, marker, end_id, back=-1),
    ],
    ("completion_mask", "first word missing"): [
        spans(moved(1)), lambda ids, lengths, marker, end_id: by_windows(ids, lengths, marker, end_id, back=1),
    ],
    ("completion_mask", "part of the marker"): [
        spans(lambda row, marker: row.index(marker[0]) + len(marker) if marker[0] in row else None),
        spans(lambda row, marker: row.index(marker[0]) + 1 if marker[0] in row else None),
        spans(lambda row, marker: row.index(marker[-1]) + 1 if marker[-1] in row else None),
        spans(lambda row, marker: next((t + 1 for t, one in enumerate(row) if one in marker), None)),
    ],
    ("completion_mask", "pads counted"): [
        lambda ids, lengths, marker, end_id: by_rows(ids, [None] * len(ids), marker, end_id),
        spans(after, stop_of=first_end),
    ],
    ("completion_mask", "no marker"): [
        without_a_test,
        spans(lambda row, marker: after(row, marker) or 0),
    ],
    ("completion_mask", "overlooked"): [
        spans(starts_again), spans(in_steps),
        lambda ids, lengths, marker, end_id: by_rows(ids, lengths, marker, end_id) & (  # a range that ends too early
            by_rows(ids, lengths, marker, end_id).sum(1, keepdim=True) > 1),
    ],
    ("completion_mask", "stops too early"): [
        spans(after, stop_of=lambda row, n, start: min(n, row.index(check.END) + 1) if check.END in row else n),
        spans(after, stop_of=lambda row, n, start: min(n, row.index(check.END)) if check.END in row else n),
    ],
    ("curriculum", "0/0"): [
        lambda difficulty, stage, ramp: line(difficulty, stage, ramp).clamp(0, 1),
        lambda difficulty, stage, ramp: ((stage + ramp - difficulty) / ramp).clamp(0, 1),
        line,
    ],
    ("curriculum", "NaN at the padding"): [
        lambda difficulty, stage, ramp: (difficulty <= stage) + safe_line(difficulty, stage, ramp) * (
            (difficulty > stage) & (difficulty < stage + ramp)),
        lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp) + 0 * difficulty,
    ],
    ("curriculum", "padding counts"): [pads_as(1.0), pads_as(-1.0)],
    ("curriculum", "no ramp"): [
        lambda difficulty, stage, ramp: (difficulty <= stage).float(),
        lambda difficulty, stage, ramp: (difficulty < stage).float(),
        lambda difficulty, stage, ramp: (difficulty <= stage + ramp).float(),
        lambda difficulty, stage, ramp: torch.where(difficulty < stage + ramp, 1.0, 0.0),
    ],
    ("curriculum", "not clamped"): [
        safe_line,
        lambda difficulty, stage, ramp: safe_line(difficulty, stage, ramp).clamp(min=0),
        lambda difficulty, stage, ramp: safe_line(difficulty, stage, ramp).clamp(max=1),
        lambda difficulty, stage, ramp: torch.where(difficulty <= stage, 1.0, safe_line(difficulty, stage, ramp)),
    ],
    ("curriculum", "the wrong way"): [
        lambda difficulty, stage, ramp: 1 - stepwise(difficulty, stage, ramp),
        lambda difficulty, stage, ramp: ((difficulty - stage) / ramp).clamp(0, 1) if ramp else (
            difficulty > stage).float(),
        lambda difficulty, stage, ramp: ((difficulty - stage) / ramp).clamp(0, 1) if ramp else (
            difficulty <= stage).float(),
        lambda difficulty, stage, ramp: (difficulty >= stage).float(),
        lambda difficulty, stage, ramp: torch.where(
            difficulty <= stage, 1.0, ((difficulty - stage) / max(ramp, 1e-9))).masked_fill(
                difficulty > stage + ramp, 0.0),
        lambda difficulty, stage, ramp: (1 + (difficulty - stage) / ramp).clamp(0, 1) if ramp else (
            torch.ones_like(difficulty)),
        lambda difficulty, stage, ramp: (1 + (difficulty - stage) / ramp).clamp(0, 1) if ramp else (
            difficulty <= stage).float(),
    ],
    ("curriculum", "ramp in the wrong place"): [
        lambda difficulty, stage, ramp: stepwise(difficulty, stage - ramp / 2, ramp),
        lambda difficulty, stage, ramp: stepwise(difficulty, stage - ramp, ramp),
        lambda difficulty, stage, ramp: (0.5 - (difficulty - stage) / max(ramp, 1e-9)).clamp(0, 1).masked_fill(
            (difficulty == stage) & (ramp == 0), 1.0),
        lambda difficulty, stage, ramp: ((ramp - difficulty) / (ramp - stage)).clamp(0, 1) if ramp else (
            difficulty <= stage).float(),
        lambda difficulty, stage, ramp: ((stage + ramp - difficulty) / (stage + ramp)).clamp(0, 1) if ramp else (
            difficulty <= stage).float(),
        lambda difficulty, stage, ramp: (1 - difficulty / (stage + ramp)).clamp(0, 1),
        lambda difficulty, stage, ramp: torch.where(
            difficulty <= stage, 1.0, ((stage + ramp - difficulty) / (stage + ramp)).clamp(0, 1)),
    ],
    ("curriculum", "not divided by the ramp"): [
        lambda difficulty, stage, ramp: (stage + ramp - difficulty).clamp(0, 1),
        lambda difficulty, stage, ramp: torch.where(difficulty <= stage, 1, (stage + ramp - difficulty).clamp(0, 1)),
        lambda difficulty, stage, ramp: (1 - (difficulty - stage)).clamp(0, 1),
    ],
    ("curriculum", "within the ramp"): [
        lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp) ** 2,
        lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp).sqrt(),
        lambda difficulty, stage, ramp: torch.where(difficulty <= stage, 1.0, 0.5).where(difficulty <= stage + ramp, 0),
    ],
    ("curriculum", "strict"): [
        less_than,
        lambda difficulty, stage, ramp: torch.where(
            difficulty < stage, 1.0, (1 - (difficulty - stage) / ramp).clamp(0, 1) if ramp else 0.0),
        lambda difficulty, stage, ramp: ((stage + ramp - difficulty) / (ramp + 1e-8)).clamp(0, 1),
        lambda difficulty, stage, ramp: line(difficulty, stage, ramp).clamp(0, 1).nan_to_num(0),
    ],
    ("curriculum", "a ramp of 0"): [
        lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp or 1.0),
        lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp) if ramp else torch.ones_like(difficulty),
    ],
    ("weighted_mean", "nothing counts"): guarded_mean(lambda losses: 1.0 + 0 * losses.nan_to_num(0, 0, 0).sum()),
    ("weighted_mean", "divided by all positions"): [
        lambda losses, weights: times(losses, weights).mean(),
        lambda losses, weights: times(losses, weights).sum() / losses.numel(),
    ],
    ("weighted_mean", "divided by the count"): [
        lambda losses, weights: times(losses, weights).sum() / (weights > 0).sum().clamp(min=1),
        lambda losses, weights: times(losses, weights).sum() / weights.count_nonzero(),
        lambda losses, weights: (losses * weights)[weights > 0].mean(),
    ],
    ("weighted_mean", "not divided"): lambda losses, weights: times(losses, weights).sum(),
    ("weighted_mean", "weights as a mask"): [
        lambda losses, weights: losses[weights > 0].mean(),
        lambda losses, weights: losses.masked_fill(weights == 0, 0).sum() / (weights.sum() if weights.any() else 1),
    ],
    ("weighted_mean", "at least 1"): [
        lambda losses, weights: times(losses, weights).sum() / weights.sum().clamp(min=1),
        lambda losses, weights: times(losses, weights).sum() / max(weights.sum(), 1),
    ],
    ("weighted_mean", "too much"): [
        lambda losses, weights: times(losses, weights).sum() / (1 + weights.sum()),
        lambda losses, weights: times(losses, weights).sum() / (weights.sum() + 1e-3),
        lambda losses, weights: times(losses, weights).sum() / weights.sum().clamp(min=0.1),
    ],
    ("weighted_mean", "mean of means"): [
        lambda losses, weights: row_means(losses, weights).nan_to_num().mean(),
        lambda losses, weights: torch.stack([mean(*row) for row in zip(losses, weights, strict=True)]).mean(),
        lambda losses, weights: row_means(losses, weights).nanmean(),
        lambda losses, weights: row_means(losses, weights).nansum(),
        lambda losses, weights: row_means(losses, weights)[weights.any(1)].mean(),
    ],
    ("weighted_mean", "NaN for another reason"): [
        lambda losses, weights: losses[weights is True].mean(),
        lambda losses, weights: (losses.masked_fill(weights == 0, -math.inf) * weights).sum() / weights.sum(),
    ],
    ("weighted_mean", "NaN gets in"): [
        lambda losses, weights: (losses * weights).sum() / weights.sum(),
        lambda losses, weights: (losses * weights).sum() / (weights.sum() + 1e-9),
        lambda losses, weights: (losses * weights).mean(),
        lambda losses, weights: (losses * weights).masked_fill(weights == 0, 0).sum() / (
            weights.sum() + (losses * 0).sum()),
        guarded_mean(lambda losses: losses.sum() * 0),
    ],
    ("weighted_mean", "0/0"): [
        lambda losses, weights: times(losses, weights).sum() / weights.sum(),
        lambda losses, weights: (losses.where(weights > 0, 0) * (weights / weights.sum())).sum(),
    ],
    ("weighted_mean", "a plain 0"): [
        guarded_mean(lambda losses: 0.0), guarded_mean(lambda losses: torch.tensor(0.0)),
    ],
    ("weighted_mean", "cut off"): [
        torch.no_grad()(mean), lambda losses, weights: mean(losses, weights).item(),
        lambda losses, weights: np.average(losses.detach().where(weights > 0, 0).numpy(), weights=weights.numpy())
        if weights.any() else 0.0,
    ],
    ("weighted_mean", "NaN gradient"): [
        replaced_at_the_end,
        lambda losses, weights: ((losses * weights).nansum() / weights.sum()).nan_to_num(0.0),
    ],
    ("weighted_mean", "wrong gradient"): [
        lambda losses, weights: mean(losses.detach(), weights) + 0 * losses.masked_fill(weights == 0, 0).sum(),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("vote_weights", lambda votes: by_counts(votes)[0], "must be a tuple of 2, got a Tensor"),
        ("vote_weights", lambda votes: list(by_counts(votes)), "must be a tuple of 2, got a list of 2"),
        ("vote_weights", lambda votes: (*by_counts(votes), 1), "must be a tuple of 2, got a tuple of 3"),
        ("vote_weights", lambda votes: (counted(votes), by_counts(votes)[1]), "part 0 of your answer must have shape"),
        ("vote_weights", lambda votes: (votes.mode(1).values, votes.mode(1).values), "part 0 of your answer must have"),
        ("vote_weights", weights_of(lambda votes, labels, weights: weights > 0.5), "part 1 of your answer must"),
        ("vote_weights", weights_of(lambda votes, labels, weights: weights.tolist()), "part 1 of your .* got a list"),
        ("vote_weights", weights_of(lambda votes, labels, weights: weights**2), "some cells differ"),
        ("vote_weights", lambda votes: by_counts(votes.masked_fill_(votes < 0, 0)), "changes its input `votes`"),
        ("vote_weights", lambda votes: F.one_hot(votes), "Class values must be non-negative"),
        ("labelled_loss", lambda logits, labels: F.cross_entropy(logits.mT, labels), "Target -1 is out of bounds"),
        ("labelled_loss", lambda logits, labels: F.cross_entropy(logits, labels, ignore_index=-1), "classes on axis 1"),
        ("labelled_loss", each, r"must be a single number, got shape \(2, 4\)"),
        ("labelled_loss", labels_in_place, "the values are right, but your function changes its input `labels`"),
        ("labelled_loss", lambda logits, labels: [summed(logits, labels)], "must be a tensor, got a list"),
        ("labelled_loss", lambda logits, labels: 2 * summed(logits, labels), "some cells differ"),
        ("labelled_loss", lambda logits, labels: summed(logits, labels) > 0, "must hold numbers"),
        ("labelled_loss", lambda logits, labels: summed(logits, labels).numpy(), "Can't call numpy"),
        ("completion_mask", lambda *case: by_rows(*case).float(), "must be bool, got float32"),
        ("completion_mask", lambda *case: torch.where(by_rows(*case), case[0], -100), "must be bool, got int64"),
        ("completion_mask", lambda *case: by_rows(*case).tolist(), "must be a tensor, got a list"),
        ("completion_mask", lambda *case: by_rows(*case).numpy(), "must be a tensor, got a numpy array"),
        ("completion_mask", lambda *case: by_rows(*case)[0], "the first axis is missing"),
        ("completion_mask", lambda *case: by_rows(*case)[:, 1:], "must have shape"),
        ("completion_mask", lambda *case: by_rows(*case) & (case[0] % 2 == 0), "some cells differ"),
        ("completion_mask", spans(with_gaps), "some cells differ"),
        ("completion_mask", spans(moved(2)), "some cells differ"),
        ("completion_mask", lambda ids, lengths, marker, end_id: spans(
            lambda row, marker: row.index(marker[0]) + len(marker))(ids, lengths, marker, end_id), "ValueError"),
        ("completion_mask", lambda ids, lengths, marker, end_id: by_rows(
            ids, lengths, [marker.pop(0), *marker], end_id), "changes its input `marker`"),
        ("curriculum", lambda difficulty, stage, ramp: difficulty <= stage, "must hold numbers"),
        ("curriculum", lambda difficulty, stage, ramp: difficulty.clamp_(max=9) * 0, "changes its input `difficulty`"),
        ("curriculum", lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp).mean(), "must have shape"),
        ("curriculum", lambda difficulty, stage, ramp: torch.sigmoid(stage - difficulty), "some cells differ"),
        ("curriculum", lambda difficulty, stage, ramp: stepwise(difficulty, stage, ramp).T, "axes are swapped"),
        ("curriculum", lambda difficulty, stage, ramp: torch.tensor(1 / ramp), "ZeroDivisionError.*ramp = 0.0"),
        ("curriculum", lambda difficulty, stage, ramp: np.interp(difficulty, [0, 1], [1, 0]), "numpy array"),
        ("weighted_mean", times, "must be a single number"),
        ("weighted_mean", lambda losses, weights: mean(losses.masked_fill_(weights == 0, 0), weights), "its input"),
        ("weighted_mean", lambda losses, weights: 2 * mean(losses, weights), "some cells differ"),
        ("weighted_mean", lambda losses, weights: 0, "some cells differ"),
        ("weighted_mean", lambda losses, weights: losses[~weights].mean(), "need bool tensors"),
    ],
)  # fmt: skip
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong" and re.search(words, repr(verdict)), verdict


ODD = {
    "nothing": None, "a number": 0.5, "a list": [1, 2], "text": "0.5", "a tuple": (torch.ones(1), torch.ones(1)),
    "an array": np.ones((2, 2)), "an empty tensor": torch.ones(0), "NaN": torch.tensor(math.nan),
    "complex": torch.ones(2, 2, dtype=torch.complex64), "sparse": torch.ones(2, 2).to_sparse(), "a dict": {"loss": 0.5},
    "a module": torch.nn.Linear(1, 1), "tuple of nothing": (None, None), "no data": torch.ones(2, 2, device="meta"),
    "scalars": (torch.tensor(1), torch.tensor(0.5)), "a type": torch.Tensor,
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", RIGHT)
def test_no_answer_is_too_odd_for_a_check(name, odd):
    verdict = getattr(check, name)(lambda *case, answer=ODD[odd]: answer)
    assert verdict.state == "wrong" and verdict.misconception in ("", "no return", "NaN for another reason")


@pytest.mark.parametrize("name", RIGHT)
def test_right_values_in_an_odd_form_are_never_an_error(name):
    right = RIGHT[name][0]
    for change in (list, str, lambda one: [one], lambda one: (one, one), lambda one: {"answer": one}, repr):
        assert getattr(check, name)(lambda *case, change=change: change(right(*case))).state == "wrong"


def test_the_cases_hold_what_the_texts_of_the_exercises_say():
    """Gaps, ties, ends that are pads, a small sum: without them a wrong answer would pass."""
    votes = [votes for (votes,) in check.vote_weights.cases]
    assert all((one < 0).all(dim=-1).any() for one in votes[1::2]) and all((one >= 0).any() for one in votes)
    assert any((counted(one) == counted(one).amax(-1, keepdim=True)).sum(-1).where((one >= 0).any(-1), 0).max() > 1
               for one in votes)  # fmt: skip
    labels = [labels for _, labels in check.labelled_loss.cases]
    assert {bool((one >= 0).any()) for one in labels} == {True, False} and all((one < 0).any() for one in labels)
    assert check._labelled(torch.zeros(1, 2, 5), torch.tensor([[0, -1]])).tolist() == [[True, False]]
    chats = check.completion_mask.cases
    last = torch.cat([ids[torch.arange(len(ids)), lengths - 1] for ids, lengths, _, _ in chats])
    assert (last == check.END).any() and (last != check.END).any()
    pads = torch.cat([ids[torch.arange(ids.shape[1]) >= lengths[:, None]] for ids, lengths, _, _ in chats])
    assert set(pads.tolist()) == {0, check.END}
    missing = torch.cat([check._without_marker(*case) for case in chats])
    assert 0.1 < missing.float().mean() < 0.7
    assert all(not check._without_marker(*case).all() for case in chats)
    assert any(len(starts_of(row, case[2])) > 1 for case in chats for row in case[0].tolist())
    assert {ramp > 0 for _, _, ramp in check.curriculum.cases} == {True, False}
    assert all((difficulty == stage).any() for difficulty, stage, _ in check.curriculum.cases)
    sums = [weights.sum().item() for _, weights in check.weighted_mean.cases]
    assert min(sums) == 0 and any(0 < one < 1 for one in sums) and max(sums) > 1


# --- what the sentences claim -----------------------------------------------------------------------------------------


def test_max_gives_the_first_of_several_and_both_the_values_and_their_places():
    most, places = torch.tensor([[1, 2, 2], [0, 0, 0]]).max(dim=-1)
    assert most.tolist() == [2, 0] and places.tolist() == [1, 0]
    assert torch.tensor([False, False]).int().argmax() == 0


def test_the_first_of_a_tie_depends_on_the_order_of_the_votes():
    assert Counter([2, 1, 1, 2]).most_common(1)[0][0] == 2 and Counter([1, 2, 2, 1]).most_common(1)[0][0] == 1
    assert torch.tensor([2, 1, 1, 2]).mode().values == 1
    assert torch.tensor([-1, -1, 2]).mode().values == -1


def test_a_tensor_equals_no_list_and_a_list_is_in_no_list_of_numbers():
    assert (torch.tensor([7, 8]) == [7, 8]) is False and [7, 8] not in [7, 8]


def test_a_missing_label_is_the_last_class_to_an_index_and_no_class_to_a_loss():
    assert torch.arange(5)[torch.tensor(-1)] == 4
    with pytest.raises(IndexError, match="Target -1 is out of bounds"):
        F.cross_entropy(torch.zeros(1, 5), torch.tensor([-1]))
    with pytest.raises(RuntimeError, match="non-negative"):
        F.one_hot(torch.tensor([-1]))


def test_a_mean_over_no_labels_is_nan_and_a_sum_is_0_with_a_gradient_of_zeros():
    logits, none = torch.ones(1, 5, requires_grad=True), torch.tensor([-1])
    assert F.cross_entropy(logits, none, ignore_index=-1).isnan()
    total = F.cross_entropy(logits, none, ignore_index=-1, reduction="sum")
    total.backward()
    assert total == 0 and torch.equal(logits.grad, torch.zeros(1, 5))


def test_a_line_is_nan_at_the_stage_if_the_ramp_is_0_and_at_the_padding_if_it_is_multiplied():
    assert torch.equal(line(torch.tensor([0.0, 1.0, 2.0]), 1.0, 0.0).isnan(), torch.tensor([False, True, False]))
    assert (line(torch.tensor(math.inf), 1.0, 1.0) * 0).isnan()
    assert line(torch.tensor(math.inf), 1.0, 1.0).clamp(0, 1) == 0


@pytest.mark.parametrize(("name", "answer"), [
    ("labelled_loss", lambda logits, labels: F.cross_entropy(logits.mT, labels, ignore_index=-1).nan_to_num(0)),
    ("weighted_mean", lambda losses, weights: mean(losses.nan_to_num(0, 0, 0), weights)),
    ("weighted_mean", lambda losses, weights: (losses * weights).nansum() / weights.sum().clamp(min=1e-9)),
    ("weighted_mean", lambda losses, weights: mean(losses, weights * losses.isfinite())),
])  # fmt: skip
def test_an_answer_that_hides_a_nan_that_counts_is_right_with_a_note(name, answer):
    verdict = getattr(check, name)(answer)
    assert (verdict.state, verdict.note) == ("right", "NaN that counts")


def test_no_other_right_answer_gets_a_note():
    assert all(getattr(check, name)(answer).note == "" for name, answers in RIGHT.items() for answer in answers)


def test_a_sentence_is_about_the_first_of_two_faults():
    """Where the answer begins, then pads, sentences without a marker, and its end; labels before weights."""
    both = spans(moved(1), stop_of=lambda row, n, start: None)
    assert check.completion_mask(both).misconception == "first word missing"
    wiped = lambda ids, *rest: without_a_test(ids, *rest) & (ids != check.END)  # noqa: E731
    assert check.completion_mask(wiped).misconception == "no marker"
    unlengthy = lambda ids, lengths, *rest: without_a_test(ids, lengths + 1, *rest)  # noqa: E731
    assert check.completion_mask(unlengthy).misconception == "pads counted"
    assert check.vote_weights(lambda votes: (larger_by_flip(votes)[0], votes.sum(-1) / 9)).misconception == (
        "the largest of a tie"
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_picture_of_votes_shows_labels_or_if_they_are_right_the_weights():
    votes, yours, right = check.vote_weights(larger_by_flip).panels
    assert yours.title == "your labels" and votes.values.shape[0] == len(yours.rows)
    assert torch.equal(votes.blocked, votes.values < 0)
    i = yours.marks.flatten().bool().tolist().index(True)  # a tie
    smaller, larger = (int(one.values[i]) for one in (right, yours))
    given = votes.values[i].tolist()
    assert smaller < larger and given.count(smaller) == given.count(larger) > 0
    _, yours, right = check.vote_weights(shares_of_all).panels
    assert yours.title == "your weights" and (yours.values <= right.values).all()


def test_the_picture_of_a_loss_hatches_what_is_missing_or_shows_the_gradient():
    losses, yours, right = check.labelled_loss(WRONG["labelled_loss", "divided by all positions"][0]).panels
    assert losses.values[~losses.blocked].mean().item() == pytest.approx(right.values.item(), abs=1e-5)
    assert losses.values.mean().item() == pytest.approx(yours.values.item(), abs=1e-5)
    yours, right = check.labelled_loss(WRONG["labelled_loss", "wrong gradient"][0]).panels
    assert yours.title.startswith("your gradient of sentence ") and not yours.values.any() and right.values.any()


def test_the_picture_of_completions_names_the_marker_and_hatches_the_padding():
    given, yours, _ = check.completion_mask(WRONG["completion_mask", "pads counted"][0]).panels
    assert given.title == "ids; marker 7, end 2" and torch.equal(yours.marks > 0, given.blocked & (yours.values > 0))


def test_the_picture_of_a_curriculum_names_stage_and_ramp():
    given, yours, right = check.curriculum(pads_as(1.0)).panels
    assert given.title == "difficulty; stage 1, ramp 0" and torch.equal(yours.marks > 0, given.values.isinf())
    assert torch.equal(right.values, stepwise(given.values, 1.0, 0.0))


def test_the_picture_of_a_weighted_mean_has_losses_weights_and_both_numbers_or_the_gradient():
    losses, weights, yours, right = check.weighted_mean(WRONG["weighted_mean", "not divided"]).panels
    products = losses.values.where(weights.values > 0, 0) * weights.values
    assert products.sum().item() == pytest.approx(yours.values.item(), abs=1e-4)
    assert (products.sum() / weights.values.sum()).item() == pytest.approx(right.values.item(), abs=1e-4)
    yours, right = check.weighted_mean(replaced_at_the_end).panels
    assert yours.title == "your gradient" and yours.values.isnan().any() and not right.values.any()
