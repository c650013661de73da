"""T5's span corruption: the hidden spans leave the text, and a sentinel takes the place of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from masklab import validate
from masklab.corruption.common import at_least_one, check, int64, shift_right


@dataclass(frozen=True)
class TextToText:
    """A text with holes, and what was in them.

    Shapes: both (length of its own,) int64. Each hole is one sentinel token in ``inputs``;
    in ``targets`` the same sentinel comes before the tokens of the hole.
    """

    inputs: Tensor
    targets: Tensor


def t5(
    ids: Tensor,
    may_choose: Tensor,
    *,
    sentinels: Sequence[int] | Tensor,
    density: float = 0.15,
    mean_span: float = 3.0,
    end_id: int | None = None,
    ends_in_noise: bool = False,
    generator: torch.Generator,
) -> TextToText:
    """T5's span corruption of one sentence: the text with a sentinel in each hole, and what was there.

    One sentence *without padding*, because the results have lengths of their own: take it out of a
    batch with ``batch.ids[i][batch.is_word[i]]``, and pad the results afterwards.
    Shapes: ``ids`` int64, ``may_choose`` bool, both (length,). Errors and source: as for
    `choose_t5_spans` and `with_sentinels`. `restore` is the way back.

    >>> ids, words, g = torch.arange(1, 11), torch.ones(10).bool(), torch.Generator().manual_seed(1)
    >>> t5(ids, words, sentinels=range(99, 89, -1), density=0.4, mean_span=2, generator=g)
    TextToText(inputs=tensor([ 1,  2,  3, 99,  6, 98,  9, 10]), targets=tensor([99,  4,  5, 98,  7,  8]))
    """
    chosen = choose_t5_spans(
        may_choose, density=density, mean_span=mean_span, ends_in_noise=ends_in_noise, generator=generator
    )
    return with_sentinels(ids, chosen, sentinels=sentinels, end_id=end_id)


def choose_t5_spans(
    may_choose: Tensor,
    *,
    density: float = 0.15,
    mean_span: float = 3.0,
    ends_in_noise: bool = False,
    generator: torch.Generator,
) -> Tensor:
    """Choose a fixed number of tokens in a fixed number of spans; only where they are is random.

    Of n tokens, n·density are chosen (rounded, at least 1), in that number / mean_span spans.
    Every such choice is equally likely, and spans never touch. ``ends_in_noise=True`` is what T5's
    code does: it alternates kept, noise, …, kept, noise, so that the first token is always kept and
    the last always noise, and a text of 20 tokens *always* loses exactly its last 3
    (text-to-text-transfer-transformer#905, where this default is proposed).
    Shapes: ``may_choose`` (length,) bool → the same. A position that may not be chosen
    is skipped, and cuts a span in two.
    Raises TypeError for a mask that is not bool or no generator; ValueError for another number of axes, density
    outside 0 to 1, or mean_span < 1. Source: Raffel et al. 2019, arXiv 1910.10683, §3.3.4.

    >>> where = torch.ones(20).bool()
    >>> g = torch.Generator().manual_seed(0)
    >>> choose_t5_spans(where, generator=g).int()
    tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
           dtype=torch.int32)
    >>> choose_t5_spans(where, ends_in_noise=True, generator=g).int()
    tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
           dtype=torch.int32)
    """
    check("length", may_choose=may_choose)
    validate.generator(generator)
    length = int(may_choose.sum())
    noise, spans = _t5_counts(length, density=density, mean_span=mean_span, ends_in_noise=ends_in_noise)
    chosen = torch.zeros_like(may_choose)
    if spans:
        hidden_runs = _random_parts(noise, spans, generator=generator)
        kept_runs = _t5_gaps(length - noise, spans, ends_in_noise=ends_in_noise, generator=generator)
        hidden_runs.append(0)  # nothing is hidden behind the last kept run
        is_hidden = []
        for kept, hidden in zip(kept_runs, hidden_runs, strict=True):
            is_hidden += [False] * kept + [True] * hidden
        chosen[may_choose] = torch.tensor(is_hidden, device=may_choose.device)
    return chosen


def _t5_counts(length: int, *, density: float, mean_span: float, ends_in_noise: bool) -> tuple[int, int]:
    """How many tokens T5 hides, and in how many spans.

    >>> _t5_counts(568, density=0.15, mean_span=3.0, ends_in_noise=False)
    (85, 28)
    """
    validate.share(density=density)
    if not mean_span >= 1:
        raise ValueError(f"mean_span must be at least 1 token, got {mean_span}.")
    may_hide = length - 1 if ends_in_noise else length  # T5's code keeps the first token
    noise = min(at_least_one(density, of=length), max(may_hide, 0))
    if noise == 0:
        return 0, 0
    gaps = length - noise if ends_in_noise else length - noise + 1  # a kept token comes before each span, or between
    return noise, min(max(round(noise / mean_span), 1), gaps)


def _t5_gaps(kept: int, spans: int, *, ends_in_noise: bool, generator: torch.Generator) -> list[int]:
    """The lengths of the kept runs before, between and after the spans: one more than spans."""
    if ends_in_noise:
        return _random_parts(kept, spans, generator=generator) + [0]
    first, *between, last = _random_parts(kept + 2, spans + 1, generator=generator)
    return [first - 1, *between, last - 1]  # the outer two may be empty


def _random_parts(items: int, parts: int, *, generator: torch.Generator) -> list[int]:
    """Cut a row of items into parts of at least 1, every way equally likely.

    >>> _random_parts(10, 3, generator=torch.Generator().manual_seed(0))
    [1, 8, 1]
    """
    cuts = torch.randperm(items - 1, generator=generator, device=generator.device)[: parts - 1] + 1
    edges = [0, *sorted(cuts.tolist()), items]
    return [right - left for left, right in pairwise(edges)]


def with_sentinels(
    ids: Tensor,
    chosen: Tensor,
    *,
    sentinels: Sequence[int] | Tensor,
    end_id: int | None = None,
    last_sentinel: bool = False,
) -> TextToText:
    """Take the chosen runs out of a text: inputs with one sentinel a run, targets with the runs.

    ``end_id`` is put at the end of both, as T5's code does. ``last_sentinel=True`` closes the targets
    with one more sentinel, as the paper's figure 2 does.
    Shapes: ``ids`` int64, ``chosen`` bool, both (length,). ``sentinels`` are ids of their own, in the
    order of use; T5's count down from the top of the vocabulary: ``range(32_099, 31_999, -1)``.
    Raises TypeError for another dtype; ValueError for shapes that differ, for more runs than
    sentinels, or if a sentinel is among the ids. Source: arXiv 1910.10683, §3.1.4.

    >>> chosen = torch.tensor([False, True, True, False, True])
    >>> with_sentinels(torch.tensor([5, 6, 7, 8, 9]), chosen, sentinels=[99, 98], end_id=1)
    TextToText(inputs=tensor([ 5, 99,  8, 98,  1]), targets=tensor([99,  6,  7, 98,  9,  1]))
    """
    check("length", ids=ids, chosen=chosen)
    sentinels = _numbers(sentinels)
    _check_sentinels(ids, chosen, sentinels=sentinels, spare=int(last_sentinel), end_id=end_id)
    unused, inputs, targets, was_hidden = iter(sentinels), [], [], False
    for token, hidden in zip(ids.tolist(), chosen.tolist(), strict=True):
        if hidden and not was_hidden:
            sentinel = next(unused)
            inputs.append(sentinel)
            targets.append(sentinel)
        (targets if hidden else inputs).append(token)
        was_hidden = hidden
    end = [] if end_id is None else [end_id]
    last = [next(unused)] if last_sentinel else []
    return TextToText(inputs=int64(inputs + end, like=ids), targets=int64(targets + last + end, like=ids))


def restore(pair: TextToText, *, sentinels: Sequence[int] | Tensor, end_id: int | None = None) -> Tensor:
    """Put the targets back into the holes of the inputs: the original text, no token lost.

    It takes a pair *before padding*, and the ``end_id`` that the pair was made with: otherwise an end or a
    pad looks like any other token, and would stay in the text.
    Shape: (length,) int64. Raises ValueError if the two don't belong together, or don't end in ``end_id``.

    >>> restore(TextToText(torch.tensor([5, 99, 8, 98]), torch.tensor([99, 6, 7, 98, 9])), sentinels=[99, 98])
    tensor([5, 6, 7, 8, 9])
    """
    sentinels = _numbers(sentinels)
    inputs = _without_end("inputs", pair.inputs.tolist(), end_id)
    targets = _without_end("targets", pair.targets.tolist(), end_id)
    if targets and targets[-1] in sentinels:  # it only closes the last piece
        targets = targets[:-1]
    _check_pair(inputs, targets, sentinels)
    pieces: dict[int, list[int]] = {}
    for token in targets:
        if token in sentinels:
            sentinel = token
            pieces[sentinel] = []
        else:
            pieces[sentinel].append(token)
    return int64([restored for token in inputs for restored in pieces.get(token, [token])], like=pair.inputs)


def _numbers(ids: Sequence[int] | Tensor) -> list[int]:
    """Ids as plain numbers."""
    return ids.tolist() if isinstance(ids, Tensor) else list(ids)


def _without_end(name: str, tokens: list[int], end_id: int | None) -> list[int]:
    """Drop the end token that `with_sentinels` put there, or say that it is missing."""
    if end_id is None:
        return tokens
    if tokens[-1:] != [end_id]:
        found = f"end in {tokens[-1]}" if tokens else "are empty"
        raise ValueError(
            f"inputs and targets must end in end_id={end_id}, but the {name} {found}. "
            "Give the pair as it was before padding, and the end_id that it was made with, or None."
        )
    return tokens[:-1]


def _check_sentinels(ids: Tensor, chosen: Tensor, *, sentinels: Sequence[int], spare: int, end_id: int | None) -> None:
    """There are enough sentinels, and none of them stands for anything else."""
    runs = int((chosen & ~shift_right(chosen[None])[0]).sum())
    if runs + spare > len(sentinels):
        raise ValueError(f"sentinels must be at least {runs + spare} ids, one for each run, got {len(sentinels)}.")
    if len(set(sentinels)) < len(sentinels):
        raise ValueError(f"sentinels must be different ids, each once, got {list(sentinels)}.")
    taken = [token for token in [*ids.tolist(), end_id] if token in sentinels]
    if taken:
        raise ValueError(f"a sentinel must be an id of its own, but {taken[0]} is also a token of the text.")


def _check_pair(inputs: list[int], targets: list[int], sentinels: Sequence[int]) -> None:
    """Inputs and targets name the same sentinels, in the same order, each once."""
    hint = "If the pair was made with an end_id, give it; if it was padded, give it as it was before padding."
    if targets and targets[0] not in sentinels:
        raise ValueError(f"targets must begin with a sentinel, got {targets[0]}. {hint}")
    holes, named = ([token for token in half if token in sentinels] for half in (inputs, targets))
    if holes != named or len(set(holes)) < len(holes):
        raise ValueError(f"inputs and targets must name the same sentinels, each once, got {holes} and {named}. {hint}")
