"""Losses with one planted mistake each, and healthy ones, on padded texts that end in EOS."""

from functools import partial

import torch
import torch.nn.functional as F

from masklab import losses as ours
from masklab.text import word_positions
from tests.doctor.patients import Loss, Zoo

ZOO = Zoo()

B, L, V, EOS = 3, 8, 23, 1
LENGTHS = torch.tensor([8, 3, 5])
SIDES = ("right", "left")


class Case:
    """A batch of sentences that end in EOS, with logits; ``labels`` are shifted once, −100 where nothing counts."""

    def __init__(self, seed=0, *, side="right", dtype=torch.float32, pad_id=0, scale=2.0):
        g = torch.Generator().manual_seed(seed)
        self.pad = word_positions(LENGTHS, total=L, side=side)
        ids = torch.stack([torch.randperm(V - 2, generator=g)[:L] + 2 for _ in range(B)])
        last = (torch.arange(L) * self.pad).amax(dim=1)
        self.ids = ids.scatter(1, last[:, None], EOS).masked_fill(~self.pad, pad_id)
        self.logits = (scale * torch.randn(B, L, V, generator=g)).to(dtype).requires_grad_()
        self.labels, supervised = ours.next_token_labels(self.ids, self.pad)
        self.labels = self.labels.masked_fill(~supervised, -100)

    def losses(self, labels=None):
        labels = self.labels if labels is None else labels
        return F.cross_entropy(self.logits.transpose(1, 2), labels, reduction="none")

    def check(self, loss, **claims):
        return self.patient(loss, **claims).report()

    def patient(self, loss, **claims):
        return Loss(loss, self.logits, {"ids": self.ids, "pad": self.pad, "eos": EOS} | claims)


# --- Healthy ----------------------------------------------------------------------------------------------------------


def token_mean(case):
    return F.cross_entropy(case.logits.flatten(0, 1), case.labels.flatten())


def token_sum(case):
    return F.cross_entropy(case.logits.flatten(0, 1), case.labels.flatten(), reduction="sum")


def sliced(case):
    """As Transformers and most tutorials do it: the last logits are cut off."""
    labels = case.ids.masked_fill(~case.pad, -100)[:, 1:]
    labels = labels.masked_fill(~case.pad[:, :-1], -100)
    return F.cross_entropy(case.logits[:, :-1].flatten(0, 1).float(), labels.flatten())


def accumulated(case):
    return token_mean(case) / 4


def of_all_batches(case):
    return case.losses().sum() / 37


def written_out(case):
    log_p = case.logits.float().log_softmax(-1)
    mask = case.labels >= 0
    losses = -log_p.gather(-1, case.labels.clamp(min=0)[..., None])[..., 0]
    return (losses * mask).sum() / mask.sum()


def by_softmax(case):
    p = case.logits.double().softmax(-1).gather(-1, case.labels.clamp(min=0)[..., None])[..., 0]
    return -p[case.labels >= 0].log().mean()


def of_ours(case):
    mask = case.labels >= 0
    return ours.reduce(ours.token_losses(case.logits, case.labels, mask), mask)


def scaled(case):
    """As mixed precision scales it."""
    return token_mean(case) * 64


EVEN = [token_mean, token_sum, sliced, accumulated, of_all_batches, written_out, by_softmax, of_ours, scaled]


def on_a_case(loss, seed, dtype):
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2])
    return case.patient(loss(case))


for healthy in EVEN:
    ZOO.healthy[healthy.__name__] = partial(on_a_case, healthy)


# --- Ill --------------------------------------------------------------------------------------------------------------


@ZOO.plants("labels not shifted, or twice", "unshifted")
def the_word_itself(seed, dtype):
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2])
    labels = case.ids.masked_fill(~case.pad, -100)
    return case.patient(F.cross_entropy(case.logits.flatten(0, 1), labels.flatten()))


@ZOO.plants("labels not shifted, or twice", "double-shift")
def the_next_word_but_one(seed, dtype):
    """Labels that are shifted, for a model that shifts them itself."""
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2])
    return case.patient(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), case.labels[:, 1:].flatten()))


@ZOO.plants("padding counts in the loss", "pad-supervised")
def every_position(seed, dtype):
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2])
    return case.patient(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), case.ids[:, 1:].flatten()))


@ZOO.plants("the end has the padding's id, and is wiped", "eos-unsupervised")
def labels_wiped_by_id(seed, dtype):
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2], pad_id=EOS)
    labels = case.ids.masked_fill(case.ids == EOS, -100)[:, 1:]
    return case.patient(F.cross_entropy(case.logits[:, :-1].flatten(0, 1), labels.flatten()))


@ZOO.plants("nothing counts in the loss", "nothing-supervised")
def all_ignored(seed, dtype):
    case = Case(seed, dtype=dtype)
    how = ("mean", "sum")[seed % 2]
    return case.patient(F.cross_entropy(case.logits.flatten(0, 1), torch.full((B * L,), -100), reduction=how))


@ZOO.plants("the loss is divided by the pads, too", "uneven-weights")
def mean_over_positions(seed, dtype):
    case = Case(seed, dtype=dtype, side=SIDES[seed % 2])
    return case.patient(case.losses().mean())
