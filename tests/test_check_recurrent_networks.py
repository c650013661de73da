"""The checks of lesson 02: answers as learners write them (see test_checks.py), and what else each check says."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence, unpack_sequence

from masklab.check import recurrent_networks as check

NONE = -math.inf

# Answers as learners write them, apart from the checks' own code.


def no_words(is_word: Tensor) -> Tensor:
    return ~is_word.any(1)


def last_of(is_word: Tensor) -> Tensor:
    """Right, and 0 in a sentence without words."""
    return (is_word * torch.arange(is_word.shape[1])).argmax(1)


def by_a_loop(is_word):
    found = []
    for row in is_word:
        where = row.nonzero()
        found.append(int(where[-1]) if len(where) else -1)
    return torch.tensor(found)


def backwards(is_word):
    last = []
    for row in is_word.tolist():
        t = len(row) - 1
        while t >= 0 and not row[t]:
            t -= 1
        last.append(t)
    return torch.tensor(last)


def every_true_overwrites(is_word):
    last = torch.full((len(is_word),), -1)
    for i, t in is_word.nonzero().tolist():
        last[i] = t
    return last


def side_of_each_sentence(is_word):
    count = is_word.sum(1)
    return torch.where(count == 0, -1, torch.where(is_word[:, 0], count - 1, is_word.shape[1] - 1))


def stops_at_a_pad(is_word):
    last = []
    for row in is_word:
        t = 0
        while t < len(row) and row[t]:
            t += 1
        last.append(t - 1)
    return torch.tensor(last)


def gathered(states, is_word):
    index = last_of(is_word)[:, None, None].expand(-1, 1, states.shape[-1])
    return states.gather(1, index).squeeze(1)


def gathered_number(states, is_word):
    return states.gather(1, last_of(is_word)[:, None, None])


def flattened(states, is_word):
    rows = torch.arange(len(states)) * states.shape[1] + last_of(is_word)
    return states.flatten(0, 1).index_select(0, rows)


def one_hot(states, is_word):
    return (F.one_hot(last_of(is_word), states.shape[1])[:, :, None] * states).sum(1)


def boundary(states, is_word):
    ends = is_word & ~F.pad(is_word, (0, 1))[:, 1:]
    return states[ends]


def packed(gru, x, lengths, **options):
    return gru(pack_padded_sequence(x, lengths, batch_first=True, **{"enforce_sorted": False} | options))


def unpacked(out, x):
    return pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0]


def both(h_n, gru):
    return torch.cat([h_n[-2], h_n[-1]], -1) if gru.bidirectional else h_n[-1]


def with_packing(gru, x, lengths):
    out, h_n = packed(gru, x, lengths)
    return unpacked(out, x), both(h_n, gru)


def last_from(way):
    """An answer with the right outputs, and last states that come from (out, h_n, gru, lengths)."""

    def answer(gru, x, lengths):
        out, h_n = packed(gru, x, lengths)
        out = unpacked(out, x)
        return out, way(out, h_n, gru, lengths)

    return answer


def sorted_by_hand(gru, x, lengths):
    lengths, order = lengths.sort(descending=True)
    out, h_n = packed(gru, x[order], lengths, enforce_sorted=True)
    back = order.argsort()
    return unpacked(out, x)[back], both(h_n, gru)[back]


def sorted_and_left_so(gru, x, lengths):
    lengths, order = lengths.sort(descending=True)
    out, h_n = packed(gru, x[order], lengths, enforce_sorted=True)
    return unpacked(out, x), both(h_n, gru)


def only_the_outputs_sorted_back(gru, x, lengths):
    lengths, order = lengths.sort(descending=True)
    out, h_n = packed(gru, x[order], lengths, enforce_sorted=True)
    return unpacked(out, x)[order.argsort()], both(h_n, gru)


def sorted_twice(gru, x, lengths):
    lengths, order = lengths.sort(descending=True)
    out, h_n = packed(gru, x[order], lengths, enforce_sorted=True)
    return unpacked(out, x)[order], both(h_n, gru)[order]


def each_alone(gru, x, lengths):
    outs, lasts = [], []
    for row, n in zip(x, lengths, strict=True):
        out, h_n = gru(row[None, :n])
        outs.append(F.pad(out[0], (0, 0, 0, len(row) - n)))
        lasts.append(torch.cat([h_n[-2, 0], h_n[-1, 0]]) if gru.bidirectional else h_n[-1, 0])
    return torch.stack(outs), torch.stack(lasts)


def from_a_list(gru, x, lengths):
    out, h_n = gru(pack_sequence([row[:n] for row, n in zip(x, lengths, strict=True)], enforce_sorted=False))
    rows = pad_sequence(unpack_sequence(out), batch_first=True)
    return F.pad(rows, (0, 0, 0, x.shape[1] - rows.shape[1])), both(h_n, gru)


def last_from_both_ends(gru, x, lengths):
    out, _ = packed(gru, x, lengths)
    out = unpacked(out, x)
    size = gru.hidden_size
    last = out[torch.arange(len(x)), lengths - 1]
    return out, torch.cat([last[:, :size], out[:, 0, size:]], -1)


def zeroed(x, lengths):
    return x * (torch.arange(x.shape[1]) < lengths[:, None])[..., None]


def padded_then_zeroed(gru, x, lengths):
    out, _ = gru(x)
    out = zeroed(out, lengths)
    return out, out[torch.arange(len(x)), lengths - 1]


def h_n_of_a_padded_run(gru, x, lengths):
    out, h_n = gru(x)
    return unpacked(packed(gru, x, lengths)[0], x), both(h_n, gru)


def filled_with(value):
    def answer(gru, x, lengths):
        out, h_n = packed(gru, x, lengths)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1], padding_value=value)
        return out, both(h_n, gru)

    return answer


def short(gru, x, lengths):
    out, h_n = packed(gru, x, lengths)
    return pad_packed_sequence(out, batch_first=True)[0], both(h_n, gru)


def time_first(gru, x, lengths):
    out, h_n = packed(gru, x, lengths)
    return pad_packed_sequence(out, total_length=x.shape[1])[0], both(h_n, gru)


def losses_by_hand(logits, tags, is_word):
    tags = tags.masked_fill(~is_word, 0)
    return logits.logsumexp(-1) - logits.gather(2, tags[..., None])[..., 0]


def each_loss(logits, tags, is_word):
    return F.cross_entropy(logits.transpose(1, 2), tags.masked_fill(~is_word, 0), reduction="none")


def token_by_token(logits, tags, is_word):
    total, count = 0.0, 0
    for i, t in is_word.nonzero():
        total = total + F.cross_entropy(logits[i, t], tags[i, t])
        count += 1
    return total / count


def sentence_by_sentence(logits, tags, is_word):
    losses = [F.cross_entropy(logits[i][is_word[i]], tags[i][is_word[i]]) for i in range(len(tags)) if is_word[i].any()]
    return torch.stack(losses).mean()


def written_into_a_clone(logits, tags, is_word):
    tags = tags.clone()
    tags[~is_word] = -100
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), tags.view(-1))


def only_the_words(states, is_word):
    rows = []
    for state, words in zip(states, is_word, strict=True):
        rows.append(state[words].mean(0) if words.any() else torch.zeros(states.shape[-1]))
    return torch.stack(rows)


def count(is_word):
    return is_word.sum(1, keepdim=True)


def filled(states, is_word):
    return states.masked_fill(~is_word[..., None], 0)


def scattered(states, is_word):
    sentence = is_word.nonzero()[:, 0]
    total = torch.zeros(len(states), states.shape[-1]).index_add(0, sentence, states[is_word])
    return total / count(is_word).clamp(min=1)


def nested(states, is_word):
    words = [state[words] for state, words in zip(states, is_word, strict=True)]
    return torch.nested.nested_tensor(words, layout=torch.jagged).sum(1) / count(is_word).clamp(min=1)


RIGHT = {
    "last_word": [
        lambda w: torch.where(w.any(1), w.shape[1] - 1 - w.flip(1).int().argmax(1), -1),
        lambda w: (w * torch.arange(1, w.shape[1] + 1)).amax(1) - 1,
        lambda w: torch.where(w, torch.arange(w.shape[1]), -1).max(1).values,
        lambda w: w.cumsum(1).argmax(1).masked_fill(no_words(w), -1),
        lambda w: (w.int() * torch.arange(w.shape[1])).argmax(1) - no_words(w).int(),
        lambda w: w.flip(1).cumsum(1).clamp(max=1).sum(1) - 1,
        lambda w: (w.flip(1).cummax(1).values.sum(1) - 1).to(torch.int32),
        lambda w: torch.tensor([max((t for t, word in enumerate(row) if word), default=-1) for row in w.tolist()]),
        by_a_loop,
        backwards,
        every_true_overwrites,
        side_of_each_sentence,
    ],
    "last_states": [
        lambda states, w: states[torch.arange(len(states)), last_of(w)],
        lambda states, w: torch.stack([state[words][-1] for state, words in zip(states, w, strict=True)]),
        lambda states, w: torch.take_along_dim(states, last_of(w)[:, None, None], 1)[:, 0],
        lambda states, w: torch.einsum("bl,bld->bd", F.one_hot(last_of(w), w.shape[1]).float(), states),
        lambda states, w: states[range(len(w)), (w.cumsum(1).argmax(1)).tolist()].double(),
        lambda states, w: torch.diagonal(states[:, last_of(w)]).T,
        gathered,
        flattened,
        one_hot,
        boundary,
    ],
    "run_packed": [
        with_packing,
        sorted_by_hand,
        each_alone,
        from_a_list,
        lambda gru, x, lengths: with_packing(gru, x, lengths.tolist()),
        last_from(lambda out, h_n, gru, n: torch.cat(list(h_n[-1 - gru.bidirectional :]), -1)),
        last_from(lambda out, h_n, gru, n: h_n.view(gru.num_layers, -1, len(n), 4)[-1].transpose(0, 1).flatten(1)),
        last_from(lambda out, h_n, gru, n: torch.hstack(h_n.unbind()[-2:] if gru.bidirectional else h_n.unbind()[-1:])),
        last_from_both_ends,
        filled_with(-0.0),
    ],
    "tagger_loss": [
        lambda logits, tags, w: F.cross_entropy(logits[w], tags[w]),
        lambda logits, tags, w: F.cross_entropy(logits.transpose(1, 2), tags.masked_fill(~w, -100)),
        lambda logits, tags, w: F.cross_entropy(logits.flatten(0, 1), torch.where(w, tags, -100).flatten()),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags.masked_fill(~w, 7), ignore_index=7),
        lambda logits, tags, w: (each_loss(logits, tags, w) * w).sum() / w.sum(),
        lambda logits, tags, w: each_loss(logits, tags, w)[w].mean(),
        lambda logits, tags, w: losses_by_hand(logits, tags, w)[w].double().mean(),
        lambda logits, tags, w: F.nll_loss(logits.log_softmax(-1)[w], tags[w]),
        lambda logits, tags, w: F.cross_entropy(logits[w].softmax(-1).log(), tags[w], reduction="sum") / w.sum(),
        lambda logits, tags, w: nn.CrossEntropyLoss()(logits[w], F.one_hot(tags[w], logits.shape[-1]).float()),
        token_by_token,
        written_into_a_clone,
    ],
    "mean_pool": [
        lambda states, w: filled(states, w).sum(1) / count(w).clamp(min=1),
        lambda states, w: torch.where(w[..., None], states, 0).sum(1) / count(w).clamp_min(1),
        lambda states, w: (filled(states, w).sum(1) / count(w)).nan_to_num(0),
        lambda states, w: (states.nan_to_num() * w[..., None]).sum(1) / (count(w) + 1e-9),
        lambda states, w: states.masked_fill(~w[..., None], math.nan).nanmean(1).nan_to_num(),
        lambda states, w: torch.einsum("bl,bld->bd", w.double(), filled(states, w).double()) / count(w).clamp(min=1),
        lambda states, w: ((w / count(w).clamp(min=1))[:, None] @ filled(states, w))[:, 0],
        only_the_words,
        scattered,
        nested,
    ],
}
WRONG = {
    ("last_word", "padding always on the right"): [
        lambda w: w.sum(1) - 1,
        lambda w: w.count_nonzero(dim=1) - 1,
        lambda w: w.int().cumsum(1).max(1).values - 1,
        lambda w: torch.where(w.any(1), w.sum(1) - 1, 0),
    ],
    ("last_word", "counts"): [lambda w: w.sum(1), lambda w: torch.where(w.any(1), w.sum(1), -1)],
    ("last_word", "last position"): [
        lambda w: torch.tensor([w.shape[1] - 1] * len(w)),
        lambda w: torch.where(w.any(1), w.shape[1] - 1, -1),
        lambda w: torch.full((len(w),), w.shape[1] - 1),
    ],
    ("last_word", "first word"): [
        lambda w: w.int().argmax(1),
        lambda w: torch.where(w.any(1), w.float().argmax(1), -1),
    ],
    ("last_word", "counted from the end"): [
        lambda w: w.flip(1).int().argmax(1),
        lambda w: torch.where(w.any(1), w.flip(1).int().argmax(1), -1),
        lambda w: w.shape[1] - (w * torch.arange(1, w.shape[1] + 1)).amax(1),
    ],
    ("last_word", "before the first pad"): [
        lambda w: (~w).int().argmax(1) - 1,
        lambda w: torch.where(w.any(1), (~w).float().argmax(1) - 1, -1),
    ],
    ("last_word", "stops at the first pad"): [
        stops_at_a_pad,
        lambda w: torch.where(w[:, 0], w.sum(1) - 1, -1),
    ],
    ("last_word", "inverted"): [
        lambda w: (~w * torch.arange(1, w.shape[1] + 1)).amax(1) - 1,
        lambda w: w.shape[1] - 1 - (~w).flip(1).int().argmax(1),
    ],
    ("last_word", "one too far"): [
        lambda w: (w * torch.arange(1, w.shape[1] + 1)).amax(1),
        lambda w: torch.where(w.any(1), w.shape[1] - w.flip(1).int().argmax(1), -1),
        lambda w: w.shape[1] - w.flip(1).int().argmax(1),
    ],
    ("last_word", "one too early"): lambda w: torch.where(w.any(1), w.shape[1] - 2 - w.flip(1).int().argmax(1), -1),
    ("last_word", "left out"): [
        lambda w: last_of(w)[w.any(1)],
        lambda w: torch.tensor([int(row.nonzero()[-1]) for row in w if row.any()]),
    ],
    ("last_word", "a sentence without words"): [
        last_of,
        lambda w: w.shape[1] - 1 - w.flip(1).int().argmax(1),
        lambda w: w.cumsum(1).argmax(1),
        lambda w: torch.where(w.any(1), last_of(w), -100),
    ],
    ("last_states", "last position"): lambda states, w: states[:, -1, :],
    ("last_states", "padding always on the right"): [
        lambda states, w: states[torch.arange(len(w)), w.sum(1) - 1],
        lambda states, w: torch.stack([state[n - 1] for state, n in zip(states, w.count_nonzero(dim=1), strict=True)]),
    ],
    ("last_states", "every index for every sentence"): [
        lambda states, w: states[:, last_of(w)],
        lambda states, w: states.index_select(1, last_of(w)),
    ],
    ("last_states", "one feature"): [
        gathered_number,
        lambda states, w: gathered_number(states, w).squeeze(1),
        lambda states, w: gathered_number(states, w).squeeze(),
    ],
    ("last_states", "one index for all"): [
        lambda states, w: states[:, last_of(w)[0]],
        lambda states, w: states[:, last_of(w).max()],
        lambda states, w: states[:, w.any(0).nonzero()[-1, 0]],
    ],
    ("last_states", "counted from the end"): [
        lambda states, w: states[torch.arange(len(w)), w.flip(1).int().argmax(1)],
        lambda states, w: states.flip(1)[torch.arange(len(w)), last_of(w)],
    ],
    ("last_states", "squeezed"): lambda states, w: states.gather(
        1, last_of(w)[:, None, None].expand(-1, 1, states.shape[2])
    ).squeeze(),
    ("last_states", "zeros at the padding"): [
        lambda states, w: (states * w[..., None])[:, -1],
        lambda states, w: states.masked_fill(~w[..., None], 0)[:, -1],
    ],
    ("last_states", "first word"): [
        lambda states, w: states[torch.arange(len(w)), w.int().argmax(1)],
        lambda states, w: torch.stack([state[words][0] for state, words in zip(states, w, strict=True)]),
    ],
    ("last_states", "one too early"): lambda states, w: states[torch.arange(len(w)), last_of(w) - 1],
    ("last_states", "mixed"): [
        lambda states, w: states.mean(1),
        lambda states, w: torch.stack([state[words].mean(0) for state, words in zip(states, w, strict=True)]),
        lambda states, w: (states * w[..., None]).sum(1),
        lambda states, w: states.masked_fill(~w[..., None], NONE).max(1).values,
    ],
    ("run_packed", "pads are read"): [
        lambda gru, x, n: (gru(x)[0], both(gru(x)[1], gru)),
        lambda gru, x, n: (gru(x)[0], gru(x)[1][-1]),
        lambda gru, x, n: (gru(x)[0], gru(x)[0][:, -1]),
        lambda gru, x, n: with_packing(gru, zeroed(x, n), torch.full_like(n, x.shape[1])),
        h_n_of_a_padded_run,
        padded_then_zeroed,
    ],
    ("run_packed", "last position"): last_from(lambda out, h_n, gru, n: out[:, -1]),
    ("run_packed", "order not restored"): [sorted_and_left_so, only_the_outputs_sorted_back, sorted_twice],
    ("run_packed", "sorted apart"): [
        lambda gru, x, n: with_packing(gru, x, n.sort(descending=True)[0]),
        lambda gru, x, n: with_packing(gru, x[n.argsort(descending=True)], n),
    ],
    ("run_packed", "as wide as the longest"): short,
    ("run_packed", "one direction"): [
        last_from(lambda out, h_n, gru, n: h_n[-1]),
        last_from(lambda out, h_n, gru, n: h_n[0]),
        last_from(lambda out, h_n, gru, n: h_n[-2] if gru.bidirectional else h_n[-1]),
    ],
    ("run_packed", "out at the last word"): [
        last_from(lambda out, h_n, gru, n: out[torch.arange(len(n)), n - 1]),
        last_from(lambda out, h_n, gru, n: torch.stack([row[i - 1] for row, i in zip(out, n, strict=True)])),
    ],
    ("run_packed", "directions swapped"): last_from(
        lambda out, h_n, gru, n: torch.cat([h_n[-1], h_n[-2]], -1) if gru.bidirectional else h_n[-1]
    ),
    ("run_packed", "on top of each other"): last_from(
        lambda out, h_n, gru, n: torch.cat((h_n[-2], h_n[-1])) if gru.bidirectional else h_n[-1]
    ),
    ("run_packed", "results swapped"): lambda gru, x, n: with_packing(gru, x, n)[::-1],
    ("run_packed", "reshaped"): [
        last_from(lambda out, h_n, gru, n: h_n.view(len(n), -1)),
        last_from(lambda out, h_n, gru, n: h_n[-2:].reshape(len(n), -1) if gru.bidirectional else h_n[-1]),
    ],
    ("run_packed", "h_n as it is"): last_from(lambda out, h_n, gru, n: h_n),
    ("run_packed", "all layers"): [
        last_from(lambda out, h_n, gru, n: h_n.transpose(0, 1).flatten(1)),
        last_from(lambda out, h_n, gru, n: torch.cat(list(h_n), 1)),
    ],
    ("run_packed", "first layer"): [
        last_from(lambda out, h_n, gru, n: torch.cat([h_n[0], h_n[1]], -1) if gru.bidirectional else h_n[0]),
        last_from(lambda out, h_n, gru, n: torch.cat([h_n[0], h_n[-1]], -1) if gru.bidirectional else h_n[-1]),
    ],
    ("run_packed", "time first"): time_first,
    ("run_packed", "no zeros at the padding"): [filled_with(1.0), filled_with(math.nan)],
    ("tagger_loss", "pads counted"): [
        lambda logits, tags, w: F.cross_entropy(logits.transpose(1, 2), tags),
        lambda logits, tags, w: F.cross_entropy(logits.flatten(0, 1), tags.masked_fill(~w, 0).flatten()),
        lambda logits, tags, w: F.cross_entropy(logits.transpose(1, 2), tags, reduction="none").mean(),
        lambda logits, tags, w: each_loss(logits, tags, w).mean(),
        lambda logits, tags, w: each_loss(logits, tags, w).sum() / w.sum(),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags, reduction="sum") / w.sum(),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags.clamp(min=0, max=logits.shape[-1] - 1)),
    ],
    ("tagger_loss", "divided by all positions"): [
        lambda logits, tags, w: (each_loss(logits, tags, w) * w).mean(),
        lambda logits, tags, w: F.cross_entropy(logits[w], tags[w], reduction="sum") / tags.numel(),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags.masked_fill(~w, -100), reduction="none").mean(),
        lambda logits, tags, w: (F.cross_entropy(logits.mT, tags, reduction="none") * w).mean(),
    ],
    ("tagger_loss", "mean of means"): [
        sentence_by_sentence,
        lambda logits, tags, w: sum(
            F.cross_entropy(z[one], t[one]) for z, t, one in zip(logits, tags, w, strict=True) if one.any()
        ),
        lambda logits, tags, w: ((each_loss(logits, tags, w) * w).sum(1) / w.sum(1)).mean(),
        lambda logits, tags, w: ((each_loss(logits, tags, w) * w).sum(1) / w.sum(1).clamp(min=1)).mean(),
    ],
    ("tagger_loss", "sum"): lambda logits, tags, w: F.cross_entropy(logits[w], tags[w], reduction="sum"),
    ("tagger_loss", "divided by sentences"): lambda logits, tags, w: (each_loss(logits, tags, w) * w).sum(1).mean(),
    ("tagger_loss", "divided by the length"): lambda logits, tags, w: (each_loss(logits, tags, w) * w).mean(1).sum(),
    ("tagger_loss", "tag 0 left out"): [
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags.masked_fill(~w, 0), ignore_index=0),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags * w, ignore_index=0),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags, ignore_index=0),
        lambda logits, tags, w: F.cross_entropy(logits[w], tags[w], ignore_index=0, reduction="none").mean(),
    ],
    ("tagger_loss", "logits set to 0"): [
        lambda logits, tags, w: F.cross_entropy((logits * w[..., None]).transpose(1, 2), tags),
        lambda logits, tags, w: F.cross_entropy((logits * w[..., None]).mT, tags * w),
    ],
    ("tagger_loss", "softmax twice"): lambda logits, tags, w: F.cross_entropy(logits.softmax(-1)[w], tags[w]),
    ("tagger_loss", "softmax along another axis"): [
        lambda logits, tags, w: F.nll_loss(F.log_softmax(logits[w], dim=0), tags[w]),
        lambda logits, tags, w: F.nll_loss(logits.log_softmax(1)[w], tags[w]),
        lambda logits, tags, w: -logits.softmax(1).log()[w].gather(1, tags[w][:, None]).mean(),
    ],
    ("tagger_loss", "losses of 0 left out"): [
        lambda logits, tags, w: (each_loss(logits, tags, w) * w).sum() / (each_loss(logits, tags, w) * w > 0).sum(),
        lambda logits, tags, w: (losses := each_loss(logits, tags, w) * w)[losses != 0].mean(),
    ],
    ("tagger_loss", "no logarithm"): [
        lambda logits, tags, w: F.nll_loss(logits[w], tags[w]),
        lambda logits, tags, w: -logits[w].gather(1, tags[w][:, None]).mean(),
        lambda logits, tags, w: -logits.softmax(-1)[w].gather(1, tags[w][:, None]).mean(),
    ],
    ("tagger_loss", "sign"): lambda logits, tags, w: logits.log_softmax(-1)[w].gather(1, tags[w][:, None]).mean(),
    ("tagger_loss", "inverted"): [
        lambda logits, tags, w: F.cross_entropy(logits[~w], tags[~w]),
        lambda logits, tags, w: F.cross_entropy(logits.mT, tags.masked_fill(w, -100)),
    ],
    ("tagger_loss", "classes on the wrong axis"): lambda logits, tags, w: F.cross_entropy(
        logits.view(len(tags), -1, tags.shape[1]), tags.masked_fill(~w, -100)
    ),
    ("mean_pool", "pads counted"): [
        lambda states, w: states.mean(1),
        lambda states, w: states.nan_to_num().mean(1),
        lambda states, w: states.nanmean(1),
        lambda states, w: states.nansum(1) / count(w).clamp(min=1),
        lambda states, w: states.sum(1) / count(w),
    ],
    ("mean_pool", "last word"): lambda states, w: states[torch.arange(len(w)), last_of(w)],
    ("mean_pool", "divided by all positions"): [
        lambda states, w: (states * w[..., None]).mean(1),
        lambda states, w: filled(states, w).mean(1),
        lambda states, w: filled(states, w).sum(1) / w.shape[1],
    ],
    ("mean_pool", "divided by the batch's words"): [
        lambda states, w: filled(states, w).sum(1) / w.sum(),
        lambda states, w: (states * w[..., None]).sum(1) / w.sum(),
    ],
    ("mean_pool", "divided by one more"): lambda states, w: filled(states, w).sum(1) / (count(w) + 1),
    ("mean_pool", "sum"): [
        lambda states, w: filled(states, w).sum(1),
        lambda states, w: (states * w[..., None]).sum(1),
    ],
    ("mean_pool", "padding always on the right"): [
        lambda states, w: torch.stack([state[:n].mean(0) for state, n in zip(states, w.sum(1), strict=True)]),
        lambda states, w: filled(states, torch.arange(w.shape[1]) < count(w)).sum(1) / count(w).clamp(min=1),
    ],
    ("mean_pool", "inverted"): [
        lambda states, w: filled(states, ~w).sum(1) / count(~w).clamp(min=1),
        lambda states, w: filled(states, ~w).sum(1) / count(w).clamp(min=1),
        lambda states, w: states.masked_fill(w[..., None], 0).sum(1) / count(~w),
    ],
    ("mean_pool", "NaN gets in"): [
        lambda states, w: (states * w[..., None]).sum(1) / count(w).clamp(min=1),
        lambda states, w: (states * w[..., None]).sum(1) / count(w),
        lambda states, w: torch.einsum("bl,bld->bd", w.float(), states) / count(w).clamp(min=1),
    ],
    ("mean_pool", "a sentence without words"): [
        lambda states, w: torch.where(no_words(w)[:, None], states.mean(1), only_the_words(states, w)),
        lambda states, w: torch.where(no_words(w)[:, None], -1, only_the_words(states, w)),
    ],
    ("mean_pool", "NaN replaced too late"): [
        lambda states, w: (states * w[..., None]).sum(1).nan_to_num() / count(w).clamp(min=1),
        lambda states, w: ((states * w[..., None]).sum(1) / count(w)).nan_to_num(0),
    ],
    ("mean_pool", "zeros left out"): [
        lambda states, w: filled(states, w).sum(1) / filled(states, w).count_nonzero(1).clamp(min=1),
        lambda states, w: filled(states, w).sum(1) / filled(states, w).any(2).sum(1)[:, None].clamp(min=1),
    ],
    ("mean_pool", "0/0"): [
        lambda states, w: filled(states, w).sum(1) / count(w),
        lambda states, w: torch.stack([state[words].mean(0) for state, words in zip(states, w, strict=True)]),
        lambda states, w: states.masked_fill(~w[..., None], math.nan).nanmean(1),
    ],
}


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("last_word", lambda w: w.argmax(1), r"\.int\(\) makes 1 and 0 of True and False"),
        ("last_word", lambda w: w.nonzero()[:, 1], r"must have shape \(2,\), got \(7,\)"),
        ("last_word", lambda w: w, r"must have shape"),
        ("last_states", lambda states, w: states[w], r"must have shape \(2, 4\), got \(7, 4\)"),
        ("last_states", lambda states, w: gathered(states, w)[:, None], "an axis of size 1 is too many"),
        ("run_packed", lambda gru, x, n: (packed(gru, x, n)[0], both(packed(gru, x, n)[1], gru)), "pad_packed_seq"),
        ("run_packed", lambda gru, x, n: packed(gru, x, n)[0][:, -1], "turns a PackedSequence into a tensor"),
        ("run_packed", lambda gru, x, n: with_packing(gru, x, n)[0], "must be a tuple of 2"),
        ("run_packed", lambda gru, x, n: gru(pack_padded_sequence(x, n, batch_first=True)), "enforce_sorted=False"),
        ("run_packed", lambda gru, x, n: gru(pack_padded_sequence(x, n)), "say batch_first=True"),
        ("tagger_loss", lambda logits, tags, w: F.cross_entropy(logits, tags), r"try logits\.transpose\(1, 2\)"),
        ("tagger_loss", lambda logits, tags, w: each_loss(logits, tags, w), "must be a single number"),
        (
            "tagger_loss",
            lambda logits, tags, w: (F.cross_entropy(logits.mT, tags, reduction="none") * w).sum() / w.sum(),
            "Target 99 is out of bounds. A label must be a class",
        ),
        ("last_word", lambda w: torch.stack([row.nonzero()[-1, 0] for row in w]), r"of shape \(1, 3\), all False"),
        ("run_packed", lambda gru, x, n: gru(pack_padded_sequence(x, n, enforce_sorted=False)), "needs batch_first"),
        ("mean_pool", lambda states, w: states.masked_fill(~w[..., None], NONE).softmax(1).sum(1), "look for 0/0"),
        ("mean_pool", lambda states, w: filled(states, w).sum(1) / w.sum(1), "must match the size of tensor"),
        ("mean_pool", lambda states, w: (states * w[..., None]).nan_to_num() * 2, r"must have shape"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(words, repr(verdict)), verdict


@pytest.mark.parametrize(("name", "answer"), [
    ("mean_pool", lambda states, w: filled(states, w).sum(1) / count(w).max().clamp(min=1)),
    ("mean_pool", lambda states, w: states.masked_fill(~w[..., None], NONE).amax(1)),
    ("last_word", lambda w: (w * torch.arange(w.shape[1])).sum(1)),
    ("last_word", lambda w: torch.where(w[:, -1], w.shape[1] - 1, w.sum(1))),
    ("tagger_loss", lambda logits, tags, w: each_loss(logits, tags, w)[0][w[0]].mean()),
    ("tagger_loss", lambda logits, tags, w: each_loss(logits, tags, w)[w].sum() / (w.sum() + 1)),
    ("run_packed", last_from(lambda out, h_n, gru, n: out.sum(1))),
])  # fmt: skip
def test_what_only_looks_like_a_known_fault_gets_no_name(name, answer):
    verdict = getattr(check, name)(answer)
    assert (verdict.state, verdict.misconception) == ("wrong", ""), verdict
    assert "see the picture" in verdict.message


@pytest.mark.parametrize("change", [
    lambda gru: gru.eval(),
    lambda gru: gru.requires_grad_(False),
    lambda gru: gru.double(),
    lambda gru: setattr(gru, "batch_first", False),
])  # fmt: skip
def test_who_changes_the_gru_is_told(change):
    def answer(gru, x, lengths):
        results = with_packing(gru, x, lengths)
        change(gru)
        return results

    verdict = check.run_packed(answer)
    assert (verdict.misconception, "changes its input `gru`" in verdict.message) == ("edits", True), verdict


# --- right, and what to know ------------------------------------------------------------------------------------------


def test_an_index_that_wraps_around_gets_a_note():
    answer = RIGHT["last_states"][0]
    assert check.last_states(answer).note == ""  # its index is 0 in a sentence without words
    verdict = check.last_states(lambda states, w: states[torch.arange(len(w)), RIGHT["last_word"][0](w)])
    assert (verdict.state, verdict.note) == ("right", "−1 wraps around")
    assert torch.tensor([1, 2])[-1] == 2  # the note is true


def test_indices_that_are_floats_get_a_note():
    verdict = check.last_word(lambda w: RIGHT["last_word"][0](w).float())
    assert (verdict.state, verdict.note) == ("right", "floats")
    with pytest.raises(IndexError):  # the note is true
        torch.ones(2)[torch.tensor([1.0])]


@pytest.mark.parametrize("name", ["last_states", "run_packed", "tagger_loss", "mean_pool"])
def test_a_right_answer_without_a_gradient_gets_a_note(name):
    verdict = getattr(check, name)(torch.no_grad()(RIGHT[name][0]))
    assert (verdict.state, verdict.note) == ("right", "no gradient")
    assert getattr(check, name)(RIGHT[name][0]).note == ""


def test_a_loss_in_a_new_tensor_has_no_gradient():
    answer = RIGHT["tagger_loss"][0]
    verdict = check.tagger_loss(lambda *case: torch.tensor(answer(*case).item(), requires_grad=True))
    assert (verdict.state, verdict.note) == ("right", "no gradient")


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["last_word", "last_states", "mean_pool"])
def test_the_picture_shows_which_positions_are_words(name):
    words, yours, right = getattr(check, name)(lambda *case: 1 + getattr(check, name).definition(*case)).panels
    assert words.title == "words" and yours.rows == words.rows
    assert torch.equal(words.blocked, ~words.values)


def test_the_picture_of_outputs_is_of_the_first_sentence_that_differs():
    def second_wrong(gru, x, lengths):
        out, last = with_packing(gru, x, lengths)
        return out + (torch.arange(len(x)) == 1)[:, None, None], last

    yours, right = check.run_packed(second_wrong).panels
    assert yours.title == "your out of sentence 1" and any(yours.row_pads)
    assert yours.marks.all()


def test_the_picture_of_last_states_shows_all_sentences():
    words, yours, right = check.run_packed(last_from(lambda out, h_n, gru, n: both(h_n, gru) * 2)).panels
    assert yours.title == "your last states" and len(yours.rows) == len(words.rows)


def test_the_picture_of_a_loss_shows_the_losses_of_words():
    losses, yours, right = check.tagger_loss(lambda logits, tags, w: F.cross_entropy(logits[w], tags[w]) * 2).panels
    assert right.values.item() == pytest.approx(losses.values[~losses.blocked].mean().item())
    assert yours.values.item() == pytest.approx(2 * right.values.item())
