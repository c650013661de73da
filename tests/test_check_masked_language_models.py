"""The checks of lesson 03: answers as learners write them (see test_checks.py), and what else each check says."""

import itertools
import math
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from masklab import corruption, panels
from masklab.check import masked_language_models as check
from masklab.check.draws import RARE, limits
from masklab.corruption import TextToText
from tests import odd
from tests.lessons import codes

# --- 1 · Choose words -----------------------------------------------------------------------------------------------


def uniform(shape, generator):
    return torch.rand(shape, generator=generator)


def word_by_word(is_word, is_special, probability, generator):
    chosen = torch.zeros_like(is_word)
    for i in range(len(is_word)):
        for t in range(is_word.shape[1]):
            if is_word[i, t] and not is_special[i, t] and torch.rand(1, generator=generator).item() < probability:
                chosen[i, t] = True
    return chosen


def as_transformers_does(is_word, is_special, probability, generator):
    share = torch.full(is_word.shape, probability)
    share.masked_fill_(is_special | ~is_word, 0.0)
    return torch.bernoulli(share, generator=generator).bool()


def from_numpy_seeded_by_a_draw(is_word, is_special, probability, generator):
    seed = int(torch.randint(2**31, (1,), generator=generator))
    draws = np.random.default_rng(seed).random(is_word.shape)
    return torch.from_numpy(draws < probability) & is_word & ~is_special


def in_a_fork(is_word, is_special, probability, generator):
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return (torch.rand(is_word.shape) < probability) & is_word & ~is_special


def a_binomial_number(is_word, is_special, probability, generator):
    """How many is drawn first, then which: the same distribution."""
    chosen = torch.zeros_like(is_word)
    for row, may in zip(chosen, is_word & ~is_special, strict=True):
        where = may.nonzero().flatten()
        n = int((uniform(len(where), generator) < probability).sum())
        row[where[torch.randperm(len(where), generator=generator)[:n]]] = True
    return chosen


def fixed_in_each_row(rounded, at_least=0):
    def answer(is_word, is_special, probability, generator):
        chosen = torch.zeros_like(is_word)
        for row, may in zip(chosen, is_word & ~is_special, strict=True):
            where = may.nonzero().flatten()
            n = max(rounded(probability * len(where)), at_least)
            row[where[torch.randperm(len(where), generator=generator)[:n]]] = True
        return chosen

    return answer


def fixed_in_the_batch(is_word, is_special, probability, generator):
    scores = uniform(is_word.shape, generator).masked_fill(~is_word | is_special, 2.0)
    n = round(probability * int((is_word & ~is_special).sum()))
    return (scores.flatten().argsort().argsort() < n).view(is_word.shape)


def top_of_each_row(is_word, is_special, probability, generator):
    may = is_word & ~is_special
    scores = uniform(is_word.shape, generator).masked_fill(~may, 2.0)
    return (scores.argsort(1).argsort(1) < (probability * may.sum(1, keepdim=True)).round()) & may


def never_empty(is_word, is_special, probability, generator):
    chosen = uniform(is_word.shape, generator).masked_fill(~is_word | is_special, 2.0)
    lowest = chosen == chosen.amin(1, keepdim=True)
    return (chosen < probability) | (lowest & (chosen < 2))


def draws_until_something(is_word, is_special, probability, generator):
    may = is_word & ~is_special
    chosen = (uniform(is_word.shape, generator) < probability) & may
    for i in range(len(may)):
        while probability > 0 and may[i].any() and not chosen[i].any():
            chosen[i] = (uniform(is_word.shape[1], generator) < probability) & may[i]
    return chosen


def again_while_empty(is_word, is_special, probability, generator):
    """One more try as long as the whole batch has nothing chosen."""
    may = is_word & ~is_special
    chosen = torch.zeros_like(may)
    while probability > 0 and may.any() and not chosen.any():
        chosen = (uniform(may.shape, generator) < probability) & may
    return chosen


def choosing(draws):
    """The right positions, with ``draws(shape, generator)`` from 0 to 1."""
    return lambda w, s, p, g: w & ~s & (draws(w.shape, g) < p)


def seeded_globally(shape, generator):
    torch.manual_seed(0)
    return torch.rand(shape)


def reseeded(shape, generator):
    return torch.rand(shape, generator=generator.manual_seed(5))


def copied(shape, generator):
    return torch.rand(shape, generator=torch.Generator().manual_seed(generator.initial_seed()))


def not_the_last(is_word, is_special, probability, generator):
    chosen = torch.zeros_like(is_word)
    for i, may in enumerate(is_word & ~is_special):
        for t in may.nonzero().flatten().tolist()[:-1]:
            chosen[i, t] = torch.rand(1, generator=generator) < probability
    return chosen


def not_the_first(is_word, is_special, probability, generator):
    may = is_word & ~is_special
    return may & (may.cumsum(1) > 1) & (uniform(is_word.shape, generator) < probability)


def spans_of_two(is_word, is_special, probability, generator):
    """Each pair of neighbours shares a draw."""
    draws = uniform((len(is_word), is_word.shape[1] // 2 + 2), generator).repeat_interleave(2, 1)
    may = is_word & ~is_special
    number = (may.cumsum(1) - 1).clamp(min=0)  # of the word in its sentence
    return may & (draws.gather(1, number) < probability)


# --- 2 · Corrupt ----------------------------------------------------------------------------------------------------


def one_draw(ids, chosen, mask_id, random_ids, generator):
    fate = uniform(ids.shape, generator)
    places = torch.randint(len(random_ids), ids.shape, generator=generator)
    new = torch.where(chosen & (fate < 0.8), mask_id, ids)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), random_ids[places], new)


def as_transformers_corrupts(ids, chosen, mask_id, random_ids, generator):
    new = ids.clone()
    replaced = torch.bernoulli(torch.full(ids.shape, 0.8), generator=generator).bool() & chosen
    new[replaced] = mask_id
    rest = torch.bernoulli(torch.full(ids.shape, 0.5), generator=generator).bool() & chosen & ~replaced
    new[rest] = random_ids[torch.randint(len(random_ids), ids.shape, generator=generator)][rest]
    return new


def token_by_token(ids, chosen, mask_id, random_ids, generator):
    rows = ids.tolist()
    for i, t in chosen.nonzero().tolist():
        draw = torch.rand(1, generator=generator).item()
        if draw < 0.1:
            rows[i][t] = random_ids[torch.randint(len(random_ids), (1,), generator=generator)].item()
        elif draw < 0.9:
            rows[i][t] = mask_id
    return torch.tensor(rows)


def by_multinomial(ids, chosen, mask_id, random_ids, generator):
    fate = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), ids.numel(), replacement=True, generator=generator)
    words = random_ids[torch.multinomial(torch.ones(len(random_ids)), ids.numel(), True, generator=generator)]
    table = torch.stack([torch.full_like(ids, mask_id), words.view(ids.shape), ids])
    return torch.where(chosen, table.gather(0, fate.view(1, *ids.shape))[0], ids)


def arithmetic(ids, chosen, mask_id, random_ids, generator):
    fate = uniform(ids.shape, generator)
    words = random_ids[torch.randint(len(random_ids), ids.shape, generator=generator)]
    to_mask, to_random = (chosen & (fate > 0.2)).long(), (chosen & (fate < 0.1)).long()
    return ids * (1 - to_mask - to_random) + mask_id * to_mask + words * to_random


def only_where_chosen(ids, chosen, mask_id, random_ids, generator):
    new, n = ids.clone(), int(chosen.sum())
    fate = uniform(n, generator)
    words = random_ids[(uniform(n, generator) * len(random_ids)).long()]
    new[chosen] = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, words, ids[chosen]))
    return new


def exact_shares(ids, chosen, mask_id, random_ids, generator):
    """Exactly 80 % of the chosen, in a random order, where rounding is drawn, too."""
    new, where = ids.clone(), chosen.nonzero()
    where = where[torch.randperm(len(where), generator=generator)]
    n = len(where)
    first = int(0.8 * n + torch.rand(1, generator=generator).item())
    second = first + int(min(0.5 * (n - first) + torch.rand(1, generator=generator).item(), n - first))
    for k, (i, t) in enumerate(where.tolist()):
        if k < first:
            new[i, t] = mask_id
        elif k < second:
            new[i, t] = random_ids[torch.randint(len(random_ids), (1,), generator=generator)]
    return new


def library(ids, chosen, mask_id, random_ids, generator):
    return corruption.replace(ids, chosen, mask_id=mask_id, random_ids=random_ids, generator=generator).ids


def words_for(ids, random_ids, generator):
    return random_ids[torch.randint(len(random_ids), ids.shape, generator=generator)]


def corrupting(fates=None, words=None, where=None):
    """The usual answer with other ``fates(ids, generator)``, ``words(ids, random_ids, generator)`` or ``where``."""

    def answer(ids, chosen, mask_id, random_ids, generator):
        fate = (fates or (lambda ids, g: uniform(ids.shape, g)))(ids, generator)
        new_words = (words or words_for)(ids, random_ids, generator)
        chosen = where(ids, chosen) if where else chosen
        new = torch.where(chosen & (fate < 0.8), mask_id, ids)
        return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), new_words, new)

    return answer


def two_draws(to_mask, to_random):
    """[MASK] where ``to_mask(a)``, then a random word where ``to_random(a, b)``."""

    def answer(ids, chosen, mask_id, random_ids, generator):
        a, b = uniform(ids.shape, generator), uniform(ids.shape, generator)
        words = words_for(ids, random_ids, generator)
        new = torch.where(chosen & to_mask(a), mask_id, ids)
        return torch.where(chosen & to_random(a, b), words, new)

    return answer


def random_first(ids, chosen, mask_id, random_ids, generator):
    new = torch.where(chosen & (uniform(ids.shape, generator) < 0.1), words_for(ids, random_ids, generator), ids)
    return torch.where(chosen & (uniform(ids.shape, generator) < 0.8), mask_id, new)


def in_order(ids, chosen, mask_id, random_ids, generator):
    """The first 80 % of the chosen become [MASK], the next 10 % random."""
    number = (chosen.flatten().cumsum(0).view(ids.shape) - 1) / chosen.sum().clamp(min=1)
    words = words_for(ids, random_ids, generator)
    new = torch.where(chosen & (number < 0.8), mask_id, ids)
    return torch.where(chosen & (number >= 0.8) & (number < 0.9), words, new)


def by_place(ids, chosen, mask_id, random_ids, generator):
    """The shares are right, but a place has its fate: 10 places a round."""
    fate = chosen.flatten().cumsum(0).view(ids.shape) % 10 / 10
    words = words_for(ids, random_ids, generator)
    new = torch.where(chosen & (fate < 0.8), mask_id, ids)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), words, new)


def in_place(ids, chosen, mask_id, random_ids, generator):
    ids[chosen & (uniform(ids.shape, generator) < 0.8)] = mask_id
    return ids


# --- 3 · The loss ---------------------------------------------------------------------------------------------------


def each(logits, ids):
    return F.cross_entropy(logits.mT, ids, reduction="none")


def loop_over_the_chosen(logits, ids, chosen):
    losses = [F.cross_entropy(logits[i, t], ids[i, t]) for i, t in chosen.nonzero()]
    return sum(losses) / len(losses) if losses else 0 * logits.sum()


def with_an_if(logits, ids, chosen):
    if not chosen.any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits[chosen], ids[chosen])


def by_labels(logits, ids, chosen):
    labels = ids.masked_fill(~chosen, -100)
    total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=-100)
    return total / max(int(chosen.sum()), 1)


def by_hand(logits, ids, chosen):
    losses = logits.logsumexp(-1) - logits.gather(2, ids[..., None])[..., 0]
    return torch.where(chosen, losses, 0).sum() / chosen.sum().clamp_min(1)


def one_hot(logits, ids, chosen):
    target = F.one_hot(ids, logits.shape[-1]) * chosen[..., None]
    return -(logits.log_softmax(-1) * target).sum() / max(1, int(target.sum()))


def means(logits, ids, chosen):
    return torch.stack([F.cross_entropy(logits[i][row], ids[i][row]) for i, row in enumerate(chosen)])


def over(divisor):
    return lambda logits, ids, chosen: (each(logits, ids) * chosen).sum() / divisor(ids, chosen)


# --- 4 and 5 · Spans ------------------------------------------------------------------------------------------------


def begins(chosen):
    return [hidden and not before for before, hidden in itertools.pairwise([False, *chosen])]


def by_groups(ids, chosen, sentinels):
    inputs, targets, unused = [], [], iter(sentinels)
    for hidden, group in itertools.groupby(zip(ids, chosen, strict=True), key=lambda pair: pair[1]):
        tokens = [token for token, _ in group]
        if hidden:
            tokens = [next(unused), *tokens]
            inputs.append(tokens[0])
        (targets if hidden else inputs).extend(tokens)
    return inputs, targets


def with_while(ids, chosen, sentinels):
    inputs, targets, t, runs = [], [], 0, 0
    while t < len(ids):
        if not chosen[t]:
            inputs += [ids[t]]
            t += 1
            continue
        inputs += [sentinels[runs]]
        targets += [sentinels[runs]]
        while t < len(ids) and chosen[t]:
            targets += [ids[t]]
            t += 1
        runs += 1
    return inputs, targets


def in_tensors(ids, chosen, sentinels):
    ids, chosen = torch.tensor(ids), torch.tensor(chosen)
    first = chosen & ~F.pad(chosen, (1, 0))[:-1]
    run = (first.cumsum(0) - 1).clamp(min=0)
    inputs = torch.where(first, torch.tensor(sentinels)[run] if first.any() else ids, ids)[~chosen | first]
    targets = []
    for t in chosen.nonzero().flatten():
        targets += ([sentinels[run[t]]] if first[t] else []) + [ids[t].item()]
    return inputs, targets


def library_spans(ids, chosen, sentinels):
    pair = corruption.with_sentinels(torch.tensor(ids), torch.tensor(chosen), sentinels=sentinels)
    return pair.inputs, pair.targets


def flushed(ids, chosen, sentinels, *, at_the_end=True):
    """Runs are collected, and put away when a word comes."""
    inputs, targets, run, unused = [], [], [], list(sentinels)
    for token, hidden in zip(ids, chosen, strict=True):
        if hidden:
            run.append(token)
            continue
        if run:
            sentinel = unused.pop(0)
            inputs.append(sentinel)
            targets += [sentinel, *run]
            run = []
        inputs.append(token)
    if run and at_the_end:
        inputs.append(unused[0])
        targets += [unused[0], *run]
    return inputs, targets


def compared_with_the_one_before(ids, chosen, sentinels):
    """At t = 0 this looks at chosen[−1]."""
    inputs, targets, runs = [], [], 0
    for t in range(len(ids)):
        if chosen[t]:
            if not chosen[t - 1]:
                inputs.append(sentinels[runs])
                targets.append(sentinels[runs])
                runs += 1
            targets.append(ids[t])
        else:
            inputs.append(ids[t])
    return inputs, targets


def from_the_second_on(ids, chosen, sentinels):
    """A run begins where False turns into True: a run at the start never does."""
    inputs, targets, runs, inside = [ids[0]], [], 0, False
    for t in range(1, len(ids)):
        if chosen[t] and not chosen[t - 1]:
            inside = True
            inputs.append(sentinels[runs])
            targets.append(sentinels[runs])
            runs += 1
        inside = inside and chosen[t]
        (targets if inside else inputs).append(ids[t])
    return inputs, targets


def for_each_token(ids, chosen, sentinels):
    inputs, targets, used = [], [], 0
    for token, hidden in zip(ids, chosen, strict=True):
        if hidden:
            sentinel = sentinels[used % len(sentinels)]
            inputs.append(sentinel)
            targets += [sentinel, token]
            used += 1
        else:
            inputs.append(token)
    return inputs, targets


def same_length(ids, chosen, sentinels):
    inputs, run = [], -1
    for token, hidden, new in zip(ids, chosen, begins(chosen), strict=True):
        run += new
        inputs.append(sentinels[run] if hidden else token)
    return inputs, by_groups(ids, chosen, sentinels)[1]


def run_then_sentinel(ids, chosen, sentinels):
    inputs, targets, unused = [], [], iter(sentinels)
    for hidden, group in itertools.groupby(zip(ids, chosen, strict=True), key=lambda pair: pair[1]):
        tokens = [token for token, _ in group]
        if hidden:
            sentinel = next(unused)
            inputs.append(sentinel)
            targets += [*tokens, sentinel]
        else:
            inputs += tokens
    return inputs, targets


def one_flag(ids, chosen, sentinels, *, inside=False, ends=True):
    """A flag says whether a run is open; it may be True too early, or stay True for ever."""
    inputs, targets, runs = [], [], 0
    for token, hidden in zip(ids, chosen, strict=True):
        if hidden and not inside:
            inputs.append(sentinels[runs])
            targets.append(sentinels[runs])
            runs += 1
        inside = hidden or (inside and not ends)
        (targets if hidden else inputs).append(token)
    return inputs, targets


def with_these(numbers):
    """The right spans, with the sentinels ``numbers(sentinels)``."""
    return lambda ids, chosen, sentinels: by_groups(ids, chosen, numbers(sentinels))


def more(*, always):
    """A closing sentinel, or only behind a run."""

    def answer(ids, chosen, sentinels):
        inputs, targets = by_groups(ids, chosen, sentinels)
        return inputs, targets + ([sentinels[sum(begins(chosen))]] if always or targets else [])

    return answer


def hidden_by_value(ids, chosen, sentinels):
    hidden = {token for token, one in zip(ids, chosen, strict=True) if one}
    return by_groups(ids, [token in hidden for token in ids], sentinels)


def runs_of(targets, sentinels):
    runs = {}
    for token in targets:
        if token in sentinels:
            run = runs[token] = []
        else:
            run.append(token)
    return runs


def by_a_dict(inputs, targets, sentinels):
    runs = runs_of(targets, sentinels)
    return [one for token in inputs for one in (runs[token] if token in sentinels else [token])]


def by_index(inputs, targets, sentinels):
    ids = []
    for token in inputs:
        if token not in sentinels:
            ids.append(token)
            continue
        t = targets.index(token) + 1
        while t < len(targets) and targets[t] not in sentinels:
            ids.append(targets[t])
            t += 1
    return ids


def in_step(inputs, targets, sentinels):
    """Both lists are read once; a hole takes words until the next sentinel."""
    rest, ids = list(targets), []
    for token in inputs:
        if token in sentinels:
            rest.pop(0)
            while rest and rest[0] not in sentinels:
                ids.append(rest.pop(0))
        else:
            ids.append(token)
    return ids


def insert_in_place(inputs, targets, sentinels):
    ids, runs = list(inputs), runs_of(targets, sentinels)
    for sentinel in runs:
        place = ids.index(sentinel)
        ids[place : place + 1] = runs[sentinel]
    return ids


def library_back(inputs, targets, sentinels):
    pair = TextToText(*(torch.tensor(half, dtype=torch.int64) for half in (inputs, targets)))
    return corruption.restore(pair, sentinels=sentinels)


def put_away_at_the_next(inputs, targets, sentinels, *, at_the_end=True):
    runs, name, run = {}, None, []
    for token in targets:
        if token in sentinels:
            if name is not None:
                runs[name] = run
            name, run = token, []
        else:
            run.append(token)
    if at_the_end and name is not None:
        runs[name] = run
    return [one for token in inputs for one in (runs.get(token, []) if token in sentinels else [token])]


def filling(runs_from):
    """The inputs with ``runs_from(runs, sentinels)`` in the holes."""

    def answer(inputs, targets, sentinels):
        runs = runs_from(runs_of(targets, sentinels))
        return [one for token in inputs for one in runs.get(token, [token])]

    return answer


def one_after_the_other(inputs, targets, sentinels):
    words = iter([token for token in targets if token not in sentinels])
    return [next(words) if token in sentinels else token for token in inputs]


def while_it_grows(inputs, targets, sentinels):
    """Runs are put in at places that were right before the first one was put in."""
    ids, runs = list(inputs), runs_of(targets, sentinels)
    for place, token in enumerate(inputs):
        if token in sentinels:
            ids[place : place + 1] = runs[token]
    return ids


def by_size(inputs, targets, sentinels):
    """Whatever is as large as the smallest sentinel is taken for one."""
    smallest, ids, runs, run = min(sentinels, default=100), [], {}, []
    for token in targets:
        if token >= smallest:
            run = runs[token] = []
        else:
            run.append(token)
    for token in inputs:
        ids += runs.get(token, []) if token >= smallest else [token]
    return ids


# --- 6 · Schedule ---------------------------------------------------------------------------------------------------


def in_turn(make, epochs, copies):
    made = [make() for _ in range(copies or epochs)]
    return [made[epoch % len(made)] for epoch in range(epochs)]


def in_blocks(make, epochs, copies):
    if copies is None:
        return [make() for _ in range(epochs)]
    made = [make() for _ in range(copies)]
    return [made[epoch * copies // epochs] for epoch in range(epochs)]


def when_needed(make, epochs, copies):
    masks = []
    for epoch in range(epochs):
        masks.append(make() if copies is None or epoch < copies else masks[epoch - copies])
    return masks


def cycled(make, epochs, copies):
    if copies is None:
        return tuple(make() for _ in range(epochs))
    made = itertools.cycle([make() for _ in range(copies)])
    return list(itertools.islice(made, epochs))


def repeated(make, epochs, copies):
    made = [make() for _ in range(copies or epochs)]
    return (made * epochs)[:epochs]


def shuffled(make, epochs, copies):
    masks = in_turn(make, epochs, copies)
    random.Random(3).shuffle(masks)
    return masks


def one_by_one(make, epochs, copies):
    yield from in_turn(make, epochs, copies)


def library_schedule(make, epochs, copies):
    if copies is None:
        return corruption.dynamic(make, epochs=epochs)
    return corruption.static(make, epochs=epochs, masks=copies)


def at_random(make, epochs, copies):
    made = [make() for _ in range(copies or epochs)]
    return [random.Random(epoch).choice(made) for epoch in range(epochs)] if copies else made


def a_large_last_block(make, epochs, copies):
    made = [make() for _ in range(copies or epochs)]
    return [made[min(epoch, len(made) - 1)] for epoch in range(epochs)]


def made_in_each_epoch(make, epochs, copies):
    masks = [make() for _ in range(epochs)]
    return masks if copies is None else [masks[epoch % copies] for epoch in range(epochs)]


def one_more_to_look_at(make, epochs, copies):
    make()
    return in_turn(make, epochs, copies)


def ten_at_most(make, epochs, copies):
    return in_turn(make, epochs, copies or min(4, epochs))


RIGHT = {
    "choose": [
        lambda w, s, p, g: w & ~s & (torch.rand(w.shape, generator=g) < p),
        lambda w, s, p, g: (uniform(w.shape, g) < p).masked_fill(s | ~w, False),
        lambda w, s, p, g: torch.empty(w.shape).uniform_(generator=g).masked_fill(~w | s, 1.0) < p,
        lambda w, s, p, g: (w > s) & torch.empty(w.shape).bernoulli_(p, generator=g).bool(),
        lambda w, s, p, g: (uniform(w.shape, g) >= 1 - p) * w * ~s,
        lambda w, s, p, g: torch.rand(w.shape, generator=g, dtype=torch.float64).lt(p).logical_and(w ^ (w & s)),
        lambda w, s, p, g: torch.stack([row & ~special & (uniform(len(row), g) < p)
                                        for row, special in zip(w, s, strict=True)]),
        word_by_word,
        as_transformers_does,
        from_numpy_seeded_by_a_draw,
        in_a_fork,
        a_binomial_number,
        lambda w, s, p, g: corruption.choose_tokens(w & ~s, probability=p, generator=g),
    ],
    "corrupt": [
        one_draw,
        as_transformers_corrupts,
        token_by_token,
        by_multinomial,
        arithmetic,
        only_where_chosen,
        exact_shares,
        library,
        two_draws(lambda a: a < 0.8, lambda a, b: (a >= 0.8) & (b < 0.5)),
        two_draws(lambda a: a >= 0.2, lambda a, b: (a < 0.2) & (b > 0.5)),
    ],
    "mlm_loss": [
        lambda logits, ids, c: F.cross_entropy(logits[c], ids[c], reduction="sum") / c.sum().clamp(min=1),
        lambda logits, ids, c: (each(logits, ids) * c).sum() / c.sum().clamp(min=1),
        lambda logits, ids, c: each(logits, ids)[c].sum() / max(c.sum().item(), 1),
        lambda logits, ids, c: (each(logits, ids) * c).sum() / (c.sum() + 1e-9),
        lambda logits, ids, c: F.nll_loss(logits.log_softmax(-1)[c], ids[c], reduction="sum") / c.sum().clamp(min=1),
        lambda logits, ids, c: nn.CrossEntropyLoss(reduction="none")(logits[c], ids[c]).sum() / max(int(c.sum()), 1),
        lambda logits, ids, c: F.cross_entropy(logits[c], ids[c]).nan_to_num(0.0),
        lambda logits, ids, c: each(logits.double(), ids).masked_fill(~c, 0).sum() / c.sum().clamp(min=1),
        loop_over_the_chosen,
        with_an_if,
        by_labels,
        by_hand,
        one_hot,
    ],
    "to_spans": [
        by_groups, with_while, in_tensors, library_spans, flushed,
        lambda ids, chosen, sentinels: list(map(tuple, by_groups(ids, chosen, sentinels))),
        lambda ids, chosen, sentinels: tuple(np.array(half, dtype=int) for half in with_while(ids, chosen, sentinels)),
    ],
    "from_spans": [
        by_a_dict, by_index, in_step, insert_in_place, library_back, put_away_at_the_next,
        lambda inputs, targets, sentinels: np.array(by_a_dict(inputs, targets, sentinels), dtype=int),
        lambda inputs, targets, sentinels: sum(
            (runs_of(targets, sentinels).get(token, [token]) for token in inputs), start=[]),
    ],
    "schedule": [
        in_turn, in_blocks, when_needed, cycled, repeated, shuffled, one_by_one, library_schedule,
        lambda make, epochs, copies: torch.stack(in_turn(make, epochs, copies)),
        lambda make, epochs, copies: [mask.clone() for mask in in_blocks(make, epochs, copies)],
    ],
}  # fmt: skip

WRONG = {
    ("choose", "pads chosen"): [
        lambda w, s, p, g: uniform(w.shape, g) < p,
        lambda w, s, p, g: ~s & (uniform(w.shape, g) < p),
        lambda w, s, p, g: (w | s) & (uniform(w.shape, g) < p) & (w | ~w),
        lambda w, s, p, g: ~(w & ~s) & (uniform(w.shape, g) < p),
    ],
    ("choose", "specials chosen"): [
        lambda w, s, p, g: w & (uniform(w.shape, g) < p),
        lambda w, s, p, g: w & s & (uniform(w.shape, g) < p),
    ],
    ("choose", "always 15 %"): lambda w, s, p, g: w & ~s & (uniform(w.shape, g) < 0.15),
    ("choose", "the others"): [
        lambda w, s, p, g: w & ~s & (uniform(w.shape, g) > p),
        lambda w, s, p, g: w & ~s & ~(uniform(w.shape, g) < p),
    ],
    ("choose", "everyone's generator"): [
        choosing(lambda shape, g: torch.rand(shape)),
        choosing(lambda shape, g: torch.from_numpy(np.random.random(shape))),
        choosing(seeded_globally),
        lambda w, s, p, g: torch.tensor([[random.random() < p for _ in row] for row in w]) & w & ~s,
    ],
    ("choose", "not the same again"): [
        choosing(lambda shape, g: torch.from_numpy(np.random.default_rng().random(shape))),
        lambda w, s, p, g: w & ~s & torch.tensor([[random.SystemRandom().random() < p for _ in row] for row in w]),
    ],
    ("choose", "nothing drawn"): [
        choosing(copied),
        choosing(lambda shape, g: torch.rand(shape, generator=torch.Generator().manual_seed(0))),
        lambda w, s, p, g: w & ~s,
        lambda w, s, p, g: torch.zeros_like(w),
    ],
    ("choose", "every call the same"): choosing(reseeded),
    ("choose", "one draw for all rows"): choosing(lambda shape, g: uniform(shape[1], g)),
    ("choose", "one draw for a row"): [
        choosing(lambda shape, g: uniform((shape[0], 1), g)),
        lambda w, s, p, g: torch.stack([row & ~special & (torch.rand(1, generator=g) < p)
                                        for row, special in zip(w, s, strict=True)]),
    ],
    ("choose", "at least one"): [
        never_empty,
        draws_until_something,
        again_while_empty,
    ],
    ("choose", "a fixed number"): [
        fixed_in_each_row(round),
        fixed_in_each_row(int),
        fixed_in_each_row(round, at_least=1),
        top_of_each_row,
    ],
    ("choose", "a fixed total"): fixed_in_the_batch,
    ("choose", "an end left out"): [not_the_last, not_the_first],
    ("choose", "another share"): [
        lambda w, s, p, g: w & ~s & (uniform(w.shape, g) < p * w.numel() / (w & ~s).sum()),
        lambda w, s, p, g: w & ~s & (uniform(w.shape, g) < p) & (uniform(w.shape, g) < p),
        lambda w, s, p, g: w & ~s & (torch.randn(w.shape, generator=g) < p),
    ],
    ("choose", "some words"): lambda w, s, p, g: w & ~s & (
        uniform(w.shape, g) < p * torch.where(torch.arange(w.shape[1]) % 2 == 0, 0.4, 1.6)),
    ("choose", "together"): spans_of_two,
    ("corrupt", "not int64"): [
        lambda *case: one_draw(*case).float(),
        lambda *case: one_draw(*case).int(),
    ],
    ("corrupt", "the others corrupted"): corrupting(where=lambda ids, chosen: ~chosen),
    ("corrupt", "chosen not used"): [
        corrupting(where=lambda ids, chosen: torch.ones_like(chosen)),
        corrupting(where=lambda ids, chosen: ids > 0),
    ],
    ("corrupt", "random ids everywhere"): lambda ids, chosen, mask_id, random_ids, g: torch.where(
        uniform(ids.shape, g) < 0.1, words_for(ids, random_ids, g),
        torch.where(chosen & (uniform(ids.shape, g) < 0.8), mask_id, ids)),
    ("corrupt", "[MASK] everywhere"): lambda ids, chosen, mask_id, random_ids, g: torch.where(
        uniform(ids.shape, g) < 0.8, mask_id,
        torch.where(chosen & (uniform(ids.shape, g) < 0.5), words_for(ids, random_ids, g), ids)),
    ("corrupt", "others changed"): [
        lambda ids, chosen, mask_id, random_ids, g: one_draw(ids, chosen, mask_id, random_ids, g) * chosen,
        lambda *case: one_draw(*case).masked_fill(~case[1], -100),
    ],
    ("corrupt", "places, not ids"): corrupting(
        words=lambda ids, random_ids, g: torch.randint(len(random_ids), ids.shape, generator=g)),
    ("corrupt", "another [MASK]"): lambda ids, chosen, mask_id, random_ids, g: one_draw(ids, chosen, 2, random_ids, g),
    ("corrupt", "not of random_ids"): [
        corrupting(words=lambda ids, random_ids, g: torch.randint(200, ids.shape, generator=g)),
        corrupting(words=lambda ids, random_ids, g: torch.randint(
            int(random_ids.min()), int(random_ids.max()) + 1, ids.shape, generator=g)),
    ],
    ("corrupt", "everyone's generator"): [
        corrupting(fates=lambda ids, g: torch.rand(ids.shape)),
        corrupting(words=lambda ids, random_ids, g: random_ids[torch.randint(len(random_ids), ids.shape)]),
    ],
    ("corrupt", "not the same again"): corrupting(
        words=lambda ids, random_ids, g: random_ids[np.random.default_rng().integers(len(random_ids), size=ids.shape)]),
    ("corrupt", "nothing drawn"): [
        lambda ids, *_more: ids,
        lambda ids, chosen, mask_id, random_ids, g: one_draw(
            ids, chosen, mask_id, random_ids, torch.Generator().manual_seed(0)),
    ],
    ("corrupt", "every call the same"): lambda ids, chosen, mask_id, random_ids, g: one_draw(
        ids, chosen, mask_id, random_ids, g.manual_seed(1)),
    ("corrupt", "always [MASK]"): [
        lambda ids, chosen, mask_id, random_ids, g: ids.masked_fill(chosen, mask_id),
        lambda ids, chosen, mask_id, random_ids, g: torch.where(chosen, mask_id, ids),
    ],
    ("corrupt", "nothing corrupted"): two_draws(lambda a: a > 2, lambda a, b: a > 2),
    ("corrupt", "always random"): two_draws(lambda a: a > 2, lambda a, b: a < 2),
    ("corrupt", "one draw for all"): [
        corrupting(fates=lambda ids, g: torch.rand(1, generator=g)),
        corrupting(fates=lambda ids, g: uniform((len(ids), 1), g)),
        corrupting(fates=lambda ids, g: uniform(ids.shape[1], g)),
    ],
    ("corrupt", "none unchanged"): [
        two_draws(lambda a: a < 0.8, lambda a, b: a >= 0.8),
        two_draws(lambda a: a < 0.9, lambda a, b: a >= 0.9),
    ],
    ("corrupt", "none random"): [
        two_draws(lambda a: a < 0.8, lambda a, b: a > 2),
        two_draws(lambda a: a < 0.9, lambda a, b: a > 2),
    ],
    ("corrupt", "a tenth of the rest"): [
        two_draws(lambda a: a < 0.8, lambda a, b: (a >= 0.8) & (b < 0.1)),
        two_draws(lambda a: a < 0.8, lambda a, b: (a >= 0.8) & (b > 0.1)),
        random_first,
    ],
    ("corrupt", "overwritten"): [
        two_draws(lambda a: a < 0.8, lambda a, b: b < 0.1),
        two_draws(lambda a: a < 0.8, lambda a, b: b < 0.5),
    ],
    ("corrupt", "other shares"): [
        two_draws(lambda a: a < 0.1, lambda a, b: a > 0.9),
        two_draws(lambda a: a < 1 / 3, lambda a, b: a > 2 / 3),
        two_draws(lambda a: a < 0.6, lambda a, b: a > 0.9),
        corrupting(where=lambda ids, chosen: chosen & (torch.arange(ids.shape[1]) < ids.shape[1] - 1)),
    ],
    ("corrupt", "one random id"): [
        corrupting(words=lambda ids, random_ids, g: random_ids[torch.randint(len(random_ids), (1,), generator=g)]),
        corrupting(words=lambda ids, random_ids, g: random_ids[torch.randint(
            len(random_ids), (len(ids), 1), generator=g)]),
        corrupting(words=lambda ids, random_ids, g: random_ids[0]),
    ],
    ("corrupt", "some ids only"): [
        corrupting(words=lambda ids, random_ids, g: words_for(ids, random_ids[:-1], g)),
        corrupting(words=lambda ids, random_ids, g: random_ids[(uniform(ids.shape, g) ** 2 * len(random_ids)).long()]),
    ],
    ("corrupt", "fixed places"): [in_order, by_place],
    ("mlm_loss", "all positions"): [
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids),
        lambda logits, ids, c: F.cross_entropy(logits.flatten(0, 1), ids.flatten()),
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids, ignore_index=0),
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids, reduction="sum") / c.sum().clamp(min=1),
    ],
    ("mlm_loss", "looked for [MASK]"): [
        lambda logits, ids, c: F.cross_entropy(logits[ids == 2], ids[ids == 2]),
        lambda logits, ids, c: (each(logits, ids) * (ids == 2)).sum() / (ids == 2).sum().clamp(min=1),
    ],
    ("mlm_loss", "divided by all positions"): [
        lambda logits, ids, c: (each(logits, ids) * c).mean(),
        over(lambda ids, c: (ids != 0).sum()),
        over(lambda ids, c: len(ids)),
    ],
    ("mlm_loss", "not divided"): lambda logits, ids, c: F.cross_entropy(logits[c], ids[c], reduction="sum"),
    ("mlm_loss", "one too many"): [over(lambda ids, c: c.sum() + 1), over(lambda ids, c: c.sum().clamp(min=2))],
    ("mlm_loss", "the others"): [
        lambda logits, ids, c: F.cross_entropy(logits[~c], ids[~c]),
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids.masked_fill(c, -100)),
        lambda logits, ids, c: (each(logits, ids) * ~c).sum() / c.sum().clamp(min=1),
    ],
    ("mlm_loss", "mean of means"): [
        lambda logits, ids, c: means(logits, ids, c).nanmean(),
        lambda logits, ids, c: means(logits, ids, c).nan_to_num().mean(),
    ],
    ("mlm_loss", "next word"): [
        lambda logits, ids, c: F.cross_entropy(logits[:, :-1].mT, ids[:, 1:].masked_fill(~c[:, 1:], -100)),
        lambda logits, ids, c: F.cross_entropy(logits[:, :-1][c[:, :-1]], ids[:, 1:][c[:, :-1]]),
        lambda logits, ids, c: F.cross_entropy(logits[:, :-1].mT, ids[:, 1:]),
    ],
    ("mlm_loss", "0 as a label"): [
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids * c),
        lambda logits, ids, c: F.cross_entropy((logits * c[..., None]).mT, ids * c),
        lambda logits, ids, c: F.cross_entropy(logits.masked_fill(~c[..., None], 0).mT, ids),
    ],
    ("mlm_loss", "softmax twice"): [
        lambda logits, ids, c: F.cross_entropy(logits.softmax(-1)[c], ids[c]),
        lambda logits, ids, c: (each(logits.softmax(-1), ids) * c).sum() / c.sum().clamp(min=1),
    ],
    ("mlm_loss", "softmax along another axis"): [
        lambda logits, ids, c: F.nll_loss(logits.log_softmax(1)[c], ids[c]),
        lambda logits, ids, c: F.nll_loss(logits[c].log_softmax(0), ids[c]),
    ],
    ("mlm_loss", "no logarithm"): [
        lambda logits, ids, c: F.nll_loss(logits[c], ids[c]),
        lambda logits, ids, c: -logits.softmax(-1)[c].gather(1, ids[c][:, None]).mean(),
    ],
    ("mlm_loss", "sign"): [
        lambda logits, ids, c: logits.log_softmax(-1)[c].gather(1, ids[c][:, None]).sum() / c.sum().clamp(min=1),
        lambda logits, ids, c: logits.log_softmax(-1)[c].gather(1, ids[c][:, None]).mean(),
    ],
    ("mlm_loss", "losses of 0 left out"): [
        lambda logits, ids, c: (each(logits, ids) * c).sum() / (each(logits, ids) * c > 0).sum(),
        lambda logits, ids, c: (losses := each(logits, ids) * c)[losses > 0].sum() / max(int((losses > 0).sum()), 1),
    ],
    ("mlm_loss", "reshaped"): [
        lambda logits, ids, c: F.cross_entropy(logits.reshape(len(ids), 12, -1), ids.masked_fill(~c, -100)),
        lambda logits, ids, c: each(logits.reshape(len(ids), 12, -1).mT, ids)[c].sum() / c.sum().clamp(min=1),
    ],
    ("mlm_loss", "id 0 left out"): [
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids * c, ignore_index=0, reduction="sum") / c.sum().clamp(
            min=1),
        lambda logits, ids, c: with_an_if(logits, ids, c & (ids > 0)),
    ],
    ("mlm_loss", "NaN elsewhere"): [
        lambda logits, ids, c: F.cross_entropy(logits.masked_fill(~c[..., None], -math.inf).mT, ids),
        lambda logits, ids, c: with_an_if(logits, ids, c) + math.inf,
    ],
    ("mlm_loss", "log(0)"): [
        lambda logits, ids, c: F.nll_loss(logits[c].softmax(1).log(), ids[c], reduction="sum") / c.sum().clamp(min=1),
        lambda logits, ids, c: F.nll_loss((logits[c].exp() / logits[c].exp().sum(1, True)).log(), ids[c]),
    ],
    ("mlm_loss", "0/0"): [
        lambda logits, ids, c: F.cross_entropy(logits[c], ids[c]),
        lambda logits, ids, c: F.cross_entropy(logits.mT, ids.masked_fill(~c, -100)),
        over(lambda ids, c: c.sum()),
    ],
    ("mlm_loss", "a plain 0"): [
        lambda logits, ids, c: F.cross_entropy(logits[c], ids[c]) if c.any() else torch.tensor(0.0),
        lambda logits, ids, c: with_an_if(logits, ids, c) if c.any() else 0.0,
        lambda logits, ids, c: F.cross_entropy(logits[c], ids[c]) if c.any() else 0,
    ],
    ("mlm_loss", "cut off"): [
        lambda logits, ids, c: with_an_if(logits, ids, c).item(),
        lambda logits, ids, c: with_an_if(logits.detach(), ids, c),
    ],
    ("mlm_loss", "NaN gradient"): lambda logits, ids, c: torch.where(
        c.any(), (each(logits, ids) * c).sum() / c.sum(), 0.0),
    ("mlm_loss", "wrong gradient"): lambda logits, ids, c: (
        (logits.logsumexp(-1).detach() - logits.gather(2, ids[..., None])[..., 0]) * c).sum() / c.sum().clamp(min=1),
    ("to_spans", "a sentinel for each token"): [
        for_each_token,
        lambda *case: (for_each_token(*case)[0], by_groups(*case)[1]),
    ],
    ("to_spans", "as long as before"): [
        same_length,
        lambda ids, chosen, sentinels: (
            [sentinels[0] if one else token for token, one in zip(ids, chosen, strict=True)],
            [token if one else -100 for token, one in zip(ids, chosen, strict=True)]),
    ],
    ("to_spans", "one sentinel for all"): with_these(lambda sentinels: sentinels[:1] * 9),
    ("to_spans", "other sentinels"): [
        with_these(lambda sentinels: sentinels[::-1]),
        with_these(sorted),
        with_these(lambda sentinels: sentinels[1:]),
        with_these(lambda sentinels: [sentinels[0] - i for i in range(9)]),
        with_these(lambda sentinels: list(range(9))),
    ],
    ("to_spans", "one token more"): [
        more(always=True),
        more(always=False),
        lambda *case: (with_while(*case)[0], [*with_while(*case)[1], 1]),
    ],
    ("to_spans", "no sentinels in the targets"): lambda ids, chosen, sentinels: (
        by_groups(ids, chosen, sentinels)[0], [ids[t] for t in range(len(ids)) if chosen[t]]),
    ("to_spans", "no sentinels in the inputs"): [
        lambda ids, chosen, sentinels: (
            [ids[t] for t in range(len(ids)) if not chosen[t]], by_groups(ids, chosen, sentinels)[1]),
        lambda ids, chosen, sentinels: tuple(
            [token for token, hidden in zip(ids, chosen, strict=True) if hidden == one] for one in (False, True)),
    ],
    ("to_spans", "sentinel behind the run"): run_then_sentinel,
    ("to_spans", "the whole sentence"): lambda *case: (with_while(*case)[0], case[0]),
    ("to_spans", "targets first"): lambda *case: with_while(*case)[::-1],
    ("to_spans", "inverted"): lambda ids, chosen, sentinels: with_while(ids, [not one for one in chosen], sentinels),
    ("to_spans", "wraps around"): compared_with_the_one_before,
    ("to_spans", "the start"): [from_the_second_on, lambda *case: one_flag(*case, inside=True)],
    ("to_spans", "the end"): lambda *case: flushed(*case, at_the_end=False),
    ("to_spans", "only the first run"): lambda *case: one_flag(*case, ends=False),
    ("to_spans", "by its value"): hidden_by_value,
    ("to_spans", "lost"): [
        lambda ids, chosen, sentinels: with_while(ids[:-1], chosen[:-1], sentinels),
        lambda *case: (with_while(*case)[0], with_while(*case)[1][:2]),
        lambda ids, chosen, sentinels: ([], []),
    ],
    ("from_spans", "sentinels left"): [
        while_it_grows,
        lambda inputs, targets, sentinels: inputs,
        filling(lambda runs: {name: [name, *run] for name, run in runs.items()}),
        filling(lambda runs: {name: [*run, name] for name, run in runs.items()}),
    ],
    ("from_spans", "holes left out"): lambda inputs, targets, sentinels: [
        token for token in inputs if token not in sentinels],
    ("from_spans", "at the end"): [
        lambda inputs, targets, sentinels: [token for token in inputs + targets if token not in sentinels],
        lambda inputs, targets, sentinels: inputs + targets,
    ],
    ("from_spans", "one word for each hole"): [
        filling(lambda runs: {name: run[:1] for name, run in runs.items()}),
        filling(lambda runs: {name: run[-1:] for name, run in runs.items()}),
        lambda inputs, targets, sentinels: [
            targets[targets.index(token) + 1] if token in sentinels else token for token in inputs],
        one_after_the_other,
    ],
    ("from_spans", "too far"): [
        lambda inputs, targets, sentinels: [
            one for token in inputs
            for one in (targets[targets.index(token) + 1 :] if token in sentinels else [token])],
        lambda inputs, targets, sentinels: [
            one for token in inputs
            for one in (targets[targets.index(token) :] if token in sentinels else [token]) if one not in sentinels],
    ],
    ("from_spans", "another order"): [
        filling(lambda runs: {name: run[::-1] for name, run in runs.items()}),
        filling(lambda runs: dict(zip(runs, reversed(runs.values()), strict=True))),
        lambda *case: sorted(by_a_dict(*case)),
    ],
    ("from_spans", "lost"): [
        filling(lambda runs: {name: run[1:] for name, run in runs.items()}),
        lambda inputs, *more: by_a_dict(inputs[:-1], *more),
        lambda inputs, targets, sentinels: by_a_dict(inputs, targets, sentinels) if targets else [],
    ],
    ("from_spans", "the first run everywhere"): [
        filling(lambda runs: dict.fromkeys(runs, next(iter(runs.values()), []))),
        filling(lambda runs: dict.fromkeys(runs, [one for run in runs.values() for one in run])),
    ],
    ("from_spans", "last run lost"): [
        lambda *case: put_away_at_the_next(*case, at_the_end=False),
        filling(lambda runs: dict(list(runs.items())[:-1])),
    ],
    ("from_spans", "told by their size"): [
        by_size,
        lambda inputs, targets, sentinels: filling(lambda runs: runs)(
            inputs, targets, range(min(sentinels), max(sentinels) + 1)),
    ],
    ("schedule", "make not called"): lambda make, epochs, copies: [make] * epochs,
    ("schedule", "not from make"): [
        lambda make, epochs, copies: [~mask for mask in in_turn(make, epochs, copies)],
        lambda make, epochs, copies: list(range(epochs)),
        lambda make, epochs, copies: [None] * epochs,
        lambda make, epochs, copies: torch.stack(in_turn(make, epochs, copies)).numpy().tolist(),
    ],
    ("schedule", "one mask for all"): [
        lambda make, epochs, copies: [make()] * epochs,
        lambda make, epochs, copies: [make()] * epochs if copies is None else in_turn(make, epochs, copies),
        lambda make, epochs, copies: [make()] * epochs if copies else [make() for _ in range(epochs)],
        lambda make, epochs, copies: (made := [make() for _ in range(copies or epochs)]) and [made[0]] * epochs,
    ],
    ("schedule", "as long as copies"): lambda make, epochs, copies: [make() for _ in range(copies or epochs)],
    ("schedule", "another length"): [
        lambda make, epochs, copies: [
            mask for mask in [make() for _ in range(epochs // (copies or 1))] for _ in range(copies or 1)],
        lambda make, epochs, copies: [make() for _ in range(copies or epochs)] * epochs if copies else in_turn(
            make, epochs, copies),
        lambda make, epochs, copies: [],
        lambda make, epochs, copies: in_turn(make, epochs, copies)[1:],
        lambda make, epochs, copies: [
            mask for mask in [make() for _ in range(copies or epochs)] for _ in range(epochs // (copies or epochs))],
    ],
    ("schedule", "always dynamic"): lambda make, epochs, copies: [make() for _ in range(epochs)],
    ("schedule", "always static"): [ten_at_most, lambda make, epochs, copies: in_turn(make, epochs, 10)],
    ("schedule", "made too often"): [made_in_each_epoch, one_more_to_look_at],
    ("schedule", "too few copies"): lambda make, epochs, copies: in_turn(
        make, epochs, None if copies is None else max(copies - 1, 1)),
    ("schedule", "not equally often"): [at_random, a_large_last_block],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("choose", lambda w, s, p, g: RIGHT["choose"][0](w, s, p, g).int(), r"must be bool, got int32"),
        ("choose", lambda w, s, p, g: RIGHT["choose"][0](w, s, p, g).tolist(), "must be a tensor, got a list"),
        ("choose", lambda w, s, p, g: RIGHT["choose"][0](w, s, p, g).numpy(), "stay in torch"),
        ("choose", lambda w, s, p, g: RIGHT["choose"][0](w, s, p, g)[0], "the first axis is missing"),
        ("choose", lambda w, s, p, g: uniform(w.shape, g), "must be bool, got float32"),
        ("choose", lambda w, s, p, g: (w & ~s).nonzero(), "must have shape"),
        ("choose", lambda w, s, p, g: torch.rand(w.shape, generator=g) < q, "name 'q' is not defined"),  # noqa: F821
        ("choose", lambda w, s, p, g: w and not s, "write & . ~"),
        ("choose", lambda w, s, p, g: w.masked_fill_(s, False), "changes its input `is_word`"),
        ("corrupt", in_place, "changes its input `ids`"),
        ("corrupt", lambda *case: one_draw(*case).numpy(), "stay in torch"),
        ("corrupt", lambda *case: one_draw(*case).tolist(), "must be a tensor, got a list"),
        ("corrupt", lambda *case: (one_draw(*case), case[1]), "return only the tensor"),
        ("corrupt", lambda *case: case[1], "must hold numbers"),
        ("corrupt", lambda ids, *more: ids[0], "the first axis is missing"),
        ("corrupt", lambda ids, *more: "ids", "must be a tensor, got a string"),
        ("corrupt", lambda *case: corruption.replace(*case), "your function raised TypeError"),
        ("mlm_loss", lambda logits, ids, c: each(logits, ids)[c], "must be a single number"),
        ("mlm_loss", lambda logits, ids, c: "0.5", "must be a tensor, got a string"),
        ("mlm_loss", lambda logits, ids, c: F.cross_entropy(logits, ids), r"try logits\.transpose\(1, 2\)"),
        ("mlm_loss", lambda logits, ids, c: [each(logits, ids).mean()], "must be a tensor, got a list"),
        ("to_spans", lambda ids, chosen, sentinels: ids, "two lists of ids.* Got one list of ids"),
        ("to_spans", lambda ids, chosen, sentinels: 7, "two lists of ids.* Got something else"),
        ("to_spans", lambda ids, chosen, sentinels: {"inputs": ids}, "two lists of ids.* Got something else"),
        ("to_spans", lambda ids, chosen, sentinels: (ids, None), "two lists of ids.* Got something else"),
        ("to_spans", lambda ids, chosen, sentinels: ([0.5], [1.5]), "two lists of ids.* Got something else"),
        ("to_spans", lambda ids, chosen, sentinels: (chosen, chosen), "two lists of ids.* Got something else"),
        ("to_spans", lambda *case: case[2].append(1) or by_groups(*case), "changes its input `sentinels`"),
        ("from_spans", lambda inputs, targets, sentinels: "ids", "one list of ids.* Got something else"),
        ("from_spans", lambda inputs, targets, sentinels: [inputs, targets], "one list of ids"),
        ("from_spans", lambda inputs, targets, sentinels: [[token] for token in inputs], "Got something else"),
        ("from_spans", lambda inputs, targets, sentinels: [*inputs, targets], "a list inside a list: `.=`"),
        ("to_spans", lambda ids, chosen, sentinels: (ids, [sentinels[0], ids]), "a list inside a list: `.=`"),
        ("from_spans", lambda inputs, targets, sentinels: inputs.append(1) or inputs, "changes its input `inputs`"),
        (
            "from_spans",
            lambda inputs, targets, sentinels: in_step(inputs, targets, sentinels) if targets[0] else [],
            "list index out of range",
        ),
        ("schedule", lambda make, epochs, copies: make(), "a mask for each epoch. Got one mask"),
        ("schedule", lambda make, epochs, copies: {0: make()}, "must be a list .* Got something else"),
        ("schedule", lambda make, epochs, copies: 3, "must be a list .* Got something else"),
        ("schedule", lambda make, epochs, copies: torch.tensor(3), "must be a list .* Got something else"),
        ("schedule", lambda make, epochs, copies: [make() for _ in range(copies)] * epochs, "one mask for each"),
        ("schedule", lambda make, epochs, copies: [make(1)], "raised TypeError"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(words, repr(verdict)), verdict


ODD = [*(value for name, value in odd.VALUES.items() if name != "many cells"),  # 100,000, as only a page sends them
       torch.zeros(3, 10).half(), torch.full((3, 10), math.nan), torch.zeros(4, 13).bool(),
       torch.zeros(3, 10).to_sparse(), torch.zeros(3, 10, device="meta"), torch.zeros(3, 10, dtype=torch.complex64),
       ([2**70], [1]), [2**70], ([True], [1]), [torch.ones(2)] * 40, object(), [None] * 12]  # fmt: skip


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_odd_answers_are_wrong_and_nothing_worse(name):
    takes = getattr(check, name).takes
    for value in ODD:
        verdict = getattr(check, name)(eval(f"lambda {takes}: value", {"value": value}))
        assert verdict.state in ("wrong", "open") and verdict.message, value
        assert all(panels.text(panel) for panel in verdict.panels)


def test_blocks_that_are_cut_by_division_run_out_of_masks():
    def answer(make, epochs, copies):
        made = [make() for _ in range(copies or epochs)]
        return [made[epoch // (epochs // len(made))] for epoch in range(epochs)]

    verdict = check.schedule(answer)
    assert "list index out of range" in verdict.message and "epochs = 25 and copies = 10" in verdict.message


# --- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["choose", "corrupt"])
@pytest.mark.parametrize("seed", range(3))
def test_right_answers_pass_with_other_seeds(name, seed):
    """Each case gets a generator that starts elsewhere: what passes is not the luck of one seed."""
    exercise = getattr(check, name)
    others = [(*case[:-1], torch.Generator().manual_seed(1000 * seed + i)) for i, case in enumerate(exercise.cases)]
    verdict = replace(exercise, cases=others)(RIGHT[name][seed % len(RIGHT[name])])
    assert verdict.state == "right", verdict


@pytest.mark.parametrize("name", ["choose", "corrupt"])
def test_wrong_answers_are_found_with_other_seeds(name):
    exercise = getattr(check, name)
    others = [(*case[:-1], torch.Generator().manual_seed(77 + i)) for i, case in enumerate(exercise.cases)]
    again = replace(exercise, cases=others)
    for (of, misconception), answers in WRONG.items():
        if of == name:
            answer = answers[-1] if isinstance(answers, list) else answers
            assert again(answer).state == "wrong", misconception


@pytest.mark.parametrize(("probability", "count"), [(0.5, 100), (0.15, 100), (0.15, 2500), (0.8, 400), (0.1, 8000)])
def test_a_share_outside_its_limits_is_as_rare_as_promised(probability, count):
    low, high = limits(probability, count)
    log = [  # of the probability of k among count
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(probability) + (count - k) * math.log(1 - probability)
        for k in range(count + 1)
    ]  # fmt: skip
    below = sum(math.exp(one) for k, one in enumerate(log) if k < low * count)
    above = sum(math.exp(one) for k, one in enumerate(log) if k > high * count)
    assert below <= RARE and above <= RARE
    near = limits(probability, count, rare=0.01)
    assert low <= near[0] < probability < near[1] <= high


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_picture_of_a_choice_shows_where_it_may_fall_and_how_often_it_does():
    may, yours, right = check.choose(WRONG["choose", "specials chosen"][0]).panels
    assert may.title == "may be chosen" and torch.equal(yours.marks > 0, (yours.values > 0) & ~may.values)
    assert set(right.values.unique().tolist()) == {0.0, 0.5}


def test_where_nothing_is_left_to_chance_a_few_calls_are_enough():
    verdict = check.choose(lambda w, s, p, g: w & ~s & (uniform(w.shape, g) < min(p, 0.5)))  # wrong at p = 1 only
    assert verdict.misconception == "another share" and "in 12 calls" in verdict.panels[-1].meaning


def test_a_choice_of_fixed_size_is_shown_call_by_call():
    (counts,) = check.choose(WRONG["choose", "a fixed number"][0]).panels
    assert counts.title == "how many you choose" and bool((counts.values == counts.values[:, :1]).all())


def test_one_draw_for_a_row_is_seen_in_the_first_mask():
    may, first = check.choose(WRONG["choose", "one draw for a row"][0]).panels
    rows = [row[of].unique() for row, of in zip(first.values, may.values, strict=True) if of.any()]
    assert all(len(one) == 1 for one in rows)


def test_the_picture_of_a_corruption_is_a_table_of_shares():
    yours, right = check.corrupt(WRONG["corrupt", "a tenth of the rest"][0]).panels
    assert right.values.tolist() == [pytest.approx([0.8, 0.1, 0.1, 0.0]), [0, 0, 1, 0]]
    assert yours.values[0, 1].item() == pytest.approx(0.02, abs=0.01)
    assert yours.marks[0].tolist() == [0, panels.MISSED, panels.MISSED, 0] and not yours.marks[1].any()


def test_random_ids_that_are_not_equally_frequent_are_shown_one_by_one():
    yours, right = check.corrupt(WRONG["corrupt", "some ids only"][0]).panels
    assert yours.values[0, -1] == 0 and yours.marks[0, -1] == panels.MISSED
    assert yours.columns[0] == "27" and right.values.sum() == pytest.approx(1)


def test_what_no_share_shows_is_seen_in_the_first_call():
    ids, first = check.corrupt(WRONG["corrupt", "one draw for all"][1]).panels
    assert (ids.name, first.name) == ("given", "first") and torch.equal(ids.blocked, first.blocked)
    assert torch.equal(ids.values[~ids.blocked], first.values[~ids.blocked])


def test_the_picture_of_the_loss_shows_the_losses_and_the_numbers():
    losses, yours, right = check.mlm_loss(over(lambda ids, c: 1)).panels
    assert right.values.item() == pytest.approx(losses.values[~losses.blocked].mean().item())
    assert yours.values.item() == pytest.approx(losses.values[~losses.blocked].sum().item(), rel=1e-4)
    yours, right = check.mlm_loss(WRONG["mlm_loss", "wrong gradient"]).panels
    assert "gradient" in yours.title


def test_lists_of_different_lengths_are_drawn_side_by_side():
    sentence, yours, right = check.to_spans(WRONG["to_spans", "one token more"][0]).panels
    assert "targets" in yours.title and right.values[0, -1] == -1 and "−1 is past its end" in right.meaning
    assert torch.equal(sentence.blocked[0], torch.tensor(check.to_spans.cases[0][1]))
    pair, yours, right = check.from_spans(WRONG["from_spans", "holes left out"]).panels
    assert pair.rows == ["inputs", "targets"] and yours.values[0, -1] == -1


def test_the_picture_of_a_schedule_counts_the_uses():
    yours, right = check.schedule(WRONG["schedule", "one mask for all"][0]).panels
    assert yours.values.tolist() == [[12, 0, 0]] and right.values.tolist() == [[4, 4, 4]]
    assert not check.schedule(WRONG["schedule", "as long as copies"]).panels[1].marks


# --- the lesson's own answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_the_lessons_solutions_are_right(name):
    (code,) = [code for code in codes("masked_language_models") if f"def {name}(" in code]
    solved = {"torch": torch, "F": F, "check": check}
    exec(compile(code.rpartition("check.")[0], name, "exec"), solved)
    assert getattr(check, name)(solved[name]).state == "right"
