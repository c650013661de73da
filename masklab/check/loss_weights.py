"""The checks of lesson 04: weights from votes, missing labels, what a chat model should learn, hard words, a mean.

>>> vote_weights(lambda votes: votes.mode(dim=-1)).misconception
'no vote counted'
>>> labelled_loss(lambda logits, labels: F.cross_entropy(logits.mT, labels, ignore_index=-1)).misconception
'0/0'
>>> completion_mask(lambda ids, lengths, marker, end_id: torch.arange(ids.shape[1]) < lengths[:, None]).misconception
'prompt counted'
>>> curriculum(lambda difficulty, stage, ramp: (difficulty <= stage).float()).misconception
'no ramp'
>>> weighted_mean(lambda losses, weights: (losses * weights).mean()).misconception
'NaN gets in'
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.check import cases, oracles
from masklab.check.answers import same
from masklab.check.exercise import Exercise
from masklab.check.gradients import gradient_faults, value_and_gradient, value_if_any, value_is_not_finite
from masklab.check.misconceptions import Misconception, Note, forms
from masklab.check.pictures import compared, different, first_difference, given, positions, sentence_grid

# --- 1 · Weights from votes -----------------------------------------------------------------------------------------


def _vote_cases() -> list[tuple[Tensor]]:
    """Votes of 3 to 6 annotators for 4 labels; some give none, at some words nobody does, and some are ties."""
    g, found = cases.generator(), []
    for i in range(16):
        annotators = 3 + i % 4
        votes = torch.randint(4, (1 + i % 3, 3 + i % 2, annotators), generator=g)
        votes[torch.rand(votes.shape, generator=g) < (0.0, 0.3, 0.6)[i % 3]] = -1
        if i % 2:
            votes[0, 0] = -1
            votes[0, 1] = torch.tensor([2, 1, 1, 2, -1, -1])[:annotators]  # from four on a tie, the larger id first
        else:
            votes[0, 0] = torch.tensor([-1, 3, -1, 0, 3, 3])[:annotators]
        found.append((votes,))
    return found


def _voted(votes: Tensor, label_of: Callable[[list[int]], int]) -> Tensor:
    """What one rule makes of the votes that each word was given; 0 where there are none. Shape: (batch, length)."""
    words = [[[vote for vote in word if vote >= 0] for word in sentence] for sentence in votes.tolist()]
    return torch.tensor([[label_of(word) if word else 0 for word in sentence] for sentence in words])


def _winners(votes: Tensor) -> Tensor:
    """The label with the most votes, the smallest of several. Shape: (batch, length)."""
    return _voted(votes, lambda word: max(sorted(set(word)), key=word.count))


def _support(votes: Tensor, labels: Tensor) -> Tensor:
    """How many voted for a label. Shape: as ``labels``, floats."""
    return (votes == labels[..., None]).sum(dim=-1).float()


def _share(votes: Tensor, labels: Tensor) -> Tensor:
    """The share of the votes that were given; 0 without votes. Shape: as ``labels``."""
    return _support(votes, labels) / (votes >= 0).sum(dim=-1).clamp(min=1)


def _some(votes: Tensor) -> Tensor:
    """Which words somebody has voted on. Shape: (batch, length)."""
    return (votes >= 0).any(dim=-1)


def _labels_are(name: str, says: str, *ways: Callable[[Tensor], Tensor]) -> list[Misconception]:
    """Wrong labels, told by the words with votes, whatever the weights are."""
    return forms(name, says, *[lambda votes, way=way: way(votes)[_some(votes)] for way in ways],
                 part=lambda answer, votes: answer[0][_some(votes)])  # fmt: skip


def _weights_are(name: str, says: str, *ways: Callable[[Tensor, Tensor], Tensor]) -> list[Misconception]:
    """Wrong weights of the right labels, told by the words with votes."""
    return forms(name, says, *[lambda votes, way=way: way(votes, _winners(votes))[_some(votes)] for way in ways],
                 part=lambda answer, votes: answer[1][_some(votes)])  # fmt: skip


def _largest_never_win(answer: tuple, right: tuple, votes: Tensor) -> bool:
    """Whether labels are wrong only where a label should win that is larger than all that do."""
    wrong = answer[0] != right[0]
    return bool(wrong.any() and (right[0][wrong] > answer[0].max()).all())


def _wrong_without_votes(answer: tuple, right: tuple, votes: Tensor) -> bool:
    some = _some(votes)
    return all(same(one[some], other[some]) for one, other in zip(answer, right, strict=True))


def _draw_votes(answer: tuple, right: tuple, votes: Tensor):
    """The votes of a sentence, and its labels, or its weights if the labels are right."""
    part = int(same(answer[0], right[0]))
    i = first_difference(answer[part], right[part])
    rows, title = positions(votes.shape[1]), ("labels", "weights")[part]
    shown = given(votes[i], kind="ids", title=f"votes on sentence {i}", rows=rows, columns=positions(votes.shape[2]),
                  axes=("position", "annotator"), blocked=votes[i] < 0,
                  meaning="What your function was given. Where no vote was given, −1, it is hatched.")  # fmt: skip
    pair = compared(answer[part][i][:, None], right[part][i][:, None], kind=("ids", "weight")[part], title=title,
                    rows=rows, columns=[title], axes=("position", "number"))  # fmt: skip
    return [shown, *pair]


_NO_VOTE = (
    "−1 has won at some words (clamp makes it look like label 0). It is no label: it says that an annotator gave no "
    "vote. Count the labels from 0 on, and nothing else."
)
vote_weights = Exercise(
    name="vote_weights",
    asks="the label with the most votes, and its share of the votes that were given: (batch, length) each",
    takes="votes",
    cases=_vote_cases(),
    definition=lambda votes: (_winners(votes), _share(votes, _winners(votes))),
    picture=_draw_votes,
    wrong=[
        Misconception("no vote counted", _NO_VOTE,
                      shows=lambda answer, right, votes: bool((answer[0][_some(votes)] == -1).any())),
        *_labels_are("no vote counted", _NO_VOTE, lambda votes: votes.mode(dim=-1).values.clamp(min=0)),
        *_weights_are("swapped", "the two are swapped: the labels come first, and then the weights.",
                      lambda votes, labels: labels),
        *_labels_are("no vote as label 0", "you count each missing vote as a vote for label 0. −1 means that no vote "
                     "was given: it supports nobody.",
                     lambda votes: _winners(votes.clamp(min=0))),
        *_labels_are("one too large", "your labels are one too large. If you add 1 to the votes, so that −1 becomes 0, "
                     "take it away again in the end, and leave out what was −1.",
                     lambda votes: _winners(votes) + 1,
                     lambda votes: _winners(votes + 1)),
        *_labels_are("the largest of a tie", "where two labels have equally many votes, you take the one with the "
                     "larger id. The task asks for the smaller one.",
                     lambda votes: _voted(votes, lambda word: max(sorted(set(word))[::-1], key=word.count))),
        *_labels_are("the first of a tie", "where two labels have equally many votes, you take the one that was named "
                     "first. So the order of the annotators decides. The task asks for the smaller id.",
                     lambda votes: _voted(votes, lambda word: max(word, key=word.count))),
        *_labels_are("the most votes as label", "your labels say how many votes the winner has. Which label is it? "
                     "`max(dim=…)` returns both: the largest values, and where they are.",
                     lambda votes: _support(votes, _winners(votes))),
        *_weights_are("of all annotators", "your weights are shares of *all* annotators. Some gave no vote on a word: "
                      "divide by the number of votes that were given there.",
                      lambda votes, labels: _support(votes, labels) / votes.shape[-1]),
        *_weights_are("label 0 as no vote", "the votes for label 0 are missing from what you divide by. 0 is a label "
                      "like any other: only −1 means that no vote was given.",
                      lambda votes, labels: _support(votes, labels) / (votes > 0).sum(dim=-1).clamp(min=1),
                      lambda votes, labels: _support(votes, labels) / (votes > 0).sum(dim=-1),
                      lambda votes, labels: _support(votes, labels) / votes.count_nonzero(dim=-1)),
        *_weights_are("one too many", "you divide by one more than the number of votes. Adding 1 does avoid 0/0, but "
                      "it changes every share: clamp(min=1) changes only 0.",
                      lambda votes, labels: _support(votes, labels) / ((votes >= 0).sum(dim=-1) + 1)),
        *_weights_are("counts", "your weights are numbers of votes. A word that more people have labelled would weigh "
                      "more, even if they agree less. What *share* of the votes does the winner have?",
                      _support),
        *_weights_are("all or nothing", "your weights are 1 where all agree, and 0 elsewhere. Where 3 of 4 agree, the "
                      "weight should be 0.75. (`//` drops what comes after the decimal point, `/` keeps it.)",
                      lambda votes, labels: (_share(votes, labels) == 1).float()),
        Misconception("labels left out", "the largest labels never win. Do you count the votes for all of them? There "
                      "are votes.max() + 1, from 0 on, whatever the number of annotators is.",
                      shows=_largest_never_win, always=True),
        Misconception("0/0", "NaN, where nobody has voted: 0 votes of 0 is 0/0. Such a word has the weight 0. What "
                      "can you divide by there?",
                      shows=lambda answer, right, votes: bool(answer[1][~_some(votes)].isnan().any())),
        Misconception("without votes", "only words without votes go wrong. Their label is 0, and so is their weight.",
                      shows=_wrong_without_votes, always=True),
        Misconception("not int64", "the numbers are right, but the labels are not int64, and F.cross_entropy takes no "
                      "other class ids. .long() makes int64.",
                      shows=lambda answer, right, votes: same(answer, right) and answer[0].dtype != torch.int64),
    ],
)  # fmt: skip

# --- 2 · Missing labels ---------------------------------------------------------------------------------------------


def _labelled(logits: Tensor, labels: Tensor) -> Tensor:
    """Which labels are not missing."""
    return labels >= 0


def _label_cases() -> list[tuple[Tensor, Tensor]]:
    """Logits for 5 classes, and labels of which some are missing, each fourth time all, once all but one."""
    g, found = cases.generator(), []
    for i in range(16):
        shape = (2 + i % 3, 4 + i % 2)
        labels = torch.randint(5, shape, generator=g)
        labels[torch.rand(shape, generator=g) < (0.3, 0.6, 0.2, 1.0)[i % 4]] = -1
        if i % 4 != 3:
            labels[0, :3] = torch.tensor([0, -1, 4])
        logits = 2 * torch.randn(*shape, 5, generator=g)
        if i % 4 == 2:
            logits[0, 0, 0] = 40.0  # so sure of it that the loss is exactly 0
        found.append((logits, labels))
    return [*found, (torch.zeros(1, 3, 5), torch.tensor([[-1, 2, -1]]))]


def _each(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of each label, and 0 where it is missing. Shape: (batch, length)."""
    return F.cross_entropy(logits.mT, labels, ignore_index=-1, reduction="none")


def _number(labels: Tensor) -> Tensor:
    """How many labels there are, at least 1."""
    return (labels >= 0).sum().clamp(min=1)


def _in_place_of_missing(label: int) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """The losses with this label where one is missing: over all positions, or over as many as have a label."""

    def every(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.mT, labels.where(labels >= 0, label), reduction="none")

    return [
        lambda logits, labels: every(logits, labels).mean(),
        lambda logits, labels: every(logits, labels).sum() / _number(labels),
    ]


def _by_sentence(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over each sentence's labels; NaN where there are none. Shape: (batch,)."""
    return _each(logits, labels).sum(dim=1) / (labels >= 0).sum(dim=1)


def _draw_labelled_loss(answer: dict, right: dict, logits: Tensor, labels: Tensor):
    """The losses and both numbers; the gradient of one sentence if only that differs."""
    missing = labels < 0
    losses = given(oracles.word_losses(logits, labels, ~missing), kind="loss", title="losses", blocked=missing,
                   meaning="The loss of each label. Where it is missing, it is hatched.",
                   **sentence_grid(labels))  # fmt: skip
    if not same(answer["value"], right["value"]):
        return [losses, *_numbers(answer["value"], right["value"])]
    if same(answer["gradient"], right["gradient"]):
        return ()
    i = first_difference(answer["gradient"], right["gradient"])
    return compared(answer["gradient"][i], right["gradient"][i], kind="gradient", title=f"gradient of sentence {i}",
                    rows=positions(labels.shape[1]), columns=positions(logits.shape[2]),
                    axes=("position", "class"))  # fmt: skip


def _numbers(answer: Tensor, right: Tensor):
    """Two numbers, compared."""
    return compared(answer[None, None], right[None, None], kind="loss", title="number", rows=["all"], columns=["loss"],
                    axes=("sentences", "number"))  # fmt: skip


def _hides_nan(what: str, *case: Tensor) -> Note:
    """A NaN that counts, and that the answer hides."""
    return Note("NaN that counts", f"One thing to know: a NaN that has a {what} is lost as well. Then nobody notices "
                "that training has gone wrong: leave out what doesn't count, and nothing else.",
                case=case, shows=lambda answer: bool(answer["value"].isfinite()))  # fmt: skip


def _something_of_nothing(counts: Callable[..., Tensor]) -> Misconception:
    """A wrong value where nothing counts."""
    return Misconception("nothing counts", "only a batch in which nothing counts goes wrong. Its loss is 0.",
                         shows=lambda answer, right, *case: not (
                             counts(*case).any() or same(answer["value"], right["value"])), always=True)  # fmt: skip


_MORE = (1, 0.1, 0.01, 0.001, 0.0001, 0.00001)  # what is added to avoid 0/0, and is too much


def _loss_is(name: str, says: str, *ways: Callable) -> list[Misconception]:
    """A wrong mean, told by its value where there are labels."""
    return forms(name, says, *ways, part=value_if_any(_labelled))


labelled_loss = Exercise(
    name="labelled_loss",
    asks="the mean cross-entropy over the labels that are not −1, and 0 if all are: one number",
    takes="logits, labels",
    cases=_label_cases(),
    definition=lambda logits, labels: oracles.mean_word_loss(logits, labels, labels >= 0),
    observed=value_and_gradient(_labelled),
    picture=_draw_labelled_loss,
    wrong=[
        *_loss_is("the last class", "a missing label counts as the *last* class: to an index, −1 is the last one, and "
                  "nothing raises an error. Leave these positions out.",
                  *_in_place_of_missing(4)),
        *_loss_is("class 0", "a missing label counts as class 0. That is a class like any other, and the model would "
                  "learn to say it. Leave these positions out.",
                  *_in_place_of_missing(0)),
        *_loss_is("divided by all positions", "the sum is right, but you divide it by the number of *all* positions. "
                  "How many have a label?",
                  lambda logits, labels: _each(logits, labels).mean()),
        *_loss_is("not divided", "this is the sum of the losses. A mean divides it: by which number?",
                  lambda logits, labels: _each(logits, labels).sum()),
        *_loss_is("divided by the sentences", "you divide by the number of sentences. How many *labels* are there?",
                  lambda logits, labels: _each(logits, labels).sum() / len(labels)),
        *_loss_is("nothing with a gap", "you return 0 as soon as *any* label is missing. The loss is 0 only if all of "
                  "them are.",
                  lambda logits, labels: _each(logits, labels).sum() / _number(labels) * (labels >= 0).all()),
        *_loss_is("class 0 left out", "labels of 0 are left out of your sum, or of the number that you divide by. 0 is "
                  "a class like any other: only −1 means that a label is missing.",
                  lambda logits, labels: _each(logits, labels)[labels > 0].sum() / (labels > 0).sum().clamp(min=1),
                  lambda logits, labels: _each(logits, labels)[labels > 0].sum() / _number(labels),
                  lambda logits, labels: _each(logits, labels).sum() / (labels > 0).sum().clamp(min=1),
                  lambda logits, labels: F.cross_entropy(
                      logits.mT, labels.clamp(min=0).where(labels != 0, -100), reduction="sum") / (
                          labels != 0).sum().clamp(min=1)),
        *_loss_is("mean of means", "this is the mean of the sentences' means. Here all labels weigh the same.",
                  lambda logits, labels: _by_sentence(logits, labels).nanmean(),
                  lambda logits, labels: _by_sentence(logits, labels).nan_to_num().mean(),
                  lambda logits, labels: _by_sentence(logits, labels).mean()),
        *_loss_is("losses of 0 left out", "you count the losses that are not 0. Where the model is sure, the loss of a "
                  "label may be exactly 0. Count the labels.",
                  lambda logits, labels: _each(logits, labels).sum() / _each(logits, labels).count_nonzero()),
        *_loss_is("too much", "you divide by more than the number of labels: is there a `+ 1`, or something else that "
                  "is not very small?",
                  *[lambda logits, labels, more=more: _each(logits, labels).sum() / ((labels >= 0).sum() + more)
                    for more in _MORE]),
        *_loss_is("softmax twice", "softmax is taken twice: cross_entropy takes logits and does it itself.",
                  lambda logits, labels: _each(logits.softmax(dim=-1), labels).sum() / _number(labels)),
        *_loss_is("logits set to 0", "you set the logits to 0 where a label is missing. Equal logits are a guess, and "
                  "it still has a loss: leave these positions out of the loss.",
                  *[lambda logits, labels, way=way: way(logits * (labels >= 0)[..., None], labels)
                    for way in (*_in_place_of_missing(0), *_in_place_of_missing(4))]),
        *_loss_is("only the first sentence", "only the first sentence is in your mean. Is a `return` inside the loop, "
                  "or did you take [0]?",
                  lambda logits, labels: _each(logits[:1], labels[:1]).sum() / _number(labels[:1])),
        *_loss_is("classes on the wrong axis", "the logits get mixed. cross_entropy wants the classes on axis 1, and "
                  "`view` or `reshape` doesn't swap axes: transpose(1, 2) does.",
                  lambda logits, labels: _each(logits.reshape(len(logits), 5, -1).mT, labels).sum() / _number(labels)),
        *_loss_is("sign", "the sign is wrong: a loss is the *negative* logarithm of a probability, and at least 0.",
                  lambda logits, labels: -_each(logits, labels).sum() / _number(labels)),
        Misconception("NaN for another reason", "your value is NaN or infinite even where there are labels. Is there a "
                      "0/0, a log of 0, or a mask that picks nothing?",
                      shows=value_is_not_finite(_labelled, empty=False)),
        Misconception("0/0", "where no label is left, your value is NaN. How many labels are there, and what do you "
                      'divide by? cross_entropy\'s own mean is 0/0, too: reduction="sum" leaves the division to you.',
                      shows=value_is_not_finite(_labelled, empty=True)),
        _something_of_nothing(_labelled),
        *gradient_faults(_labelled, to="logits"),
    ],
    notes=[_hides_nan("label", torch.tensor([[[math.nan, 1.0]]]), torch.tensor([[0]]))],
)  # fmt: skip

# --- 3 · Prompt and completion --------------------------------------------------------------------------------------

END = 2  # the id of the end token, and of the padding, too, in two of three batches


def _chat(prompt: list[int], answer: list[int] | None, *, marker: list[int], ends: bool = True) -> list[int]:
    """A prompt, the marker and an answer, with its end token; without an answer the prompt alone."""
    completion = [] if answer is None else marker + answer
    return prompt + completion + [END] * ends


def _chat_cases() -> list[tuple[Tensor, Tensor, list[int], int]]:
    """Chats in which some prompts have an end token, or none at the end, and a marker may be missing.

    A prompt holds parts of the marker, or its tokens with others between them, an answer may hold it again, or
    nothing but the end token, and before a marker there may be another beginning of it. A sentence that was cut short
    may end in half a marker, which the padding seems to complete.
    """
    g, found = cases.generator(), []
    markers = [[7], [7, 8], [7, 7, 8], [8, 9, 7], [7, END]]
    for i in range(15):
        marker = markers[i % 5]

        def words(count: int) -> list[int]:
            return torch.randint(10, 20, (count,), generator=g).tolist()  # noqa: B023

        half, again = marker[:-1], [*words(1), *(words(1) if END in marker else marker), *words(1)]
        sentences = [
            _chat(
                [*words(2), END, *half, *words(1), *(marker[-1:] if half else [])],
                words(3),
                marker=marker,
                ends=i % 4 != 3,
            ),
            _chat([*words(1), *marker[1:], *words(1)] if len(marker) > 1 else words(3), again, marker=marker),
            _chat(words(2 + i % 3), None, marker=marker),
            _chat([*words(1), marker[0]] if marker == [7, 7, 8] else words(1), words(2), marker=marker),
            _chat([*words(3), *half], None, marker=marker, ends=False),
            _chat([], words(i % 3), marker=marker),
        ]
        order = torch.randperm(len(sentences), generator=g).tolist()[: 3 + i % 3]
        if 3 + i % 3 < 5 and not {0, 1, 3, 5} & set(order):
            order[0] = 0
        chosen, pad = [sentences[k] for k in order], (END, 0, END)[i % 3]
        total = max(map(len, chosen)) + i % 2
        ids = torch.tensor([one + [pad] * (total - len(one)) for one in chosen])
        found.append((ids, torch.tensor([len(one) for one in chosen]), marker, END))
    return found


def _starts(row: list[int], marker: list[int]) -> list[int]:
    """Where the marker begins in a row."""
    return [t for t in range(len(row)) if row[t : t + len(marker)] == marker]


def _after(row: list[int], marker: list[int]) -> int | None:
    """The position after the marker's first occurrence."""
    return next((t + len(marker) for t in _starts(row, marker)), None)


def _from(
    first: Callable[[list[int], list[int]], int | None],
    *,
    shift: Callable[[list[int]], int] = lambda marker: 0,
    until: Callable[[list[int], int, int], int] = lambda row, length, start: length,
) -> Callable[..., Tensor]:
    """True from ``first(row, marker)`` on, moved by ``shift(marker)``, up to ``until(row, length, start)``."""

    def mask(ids: Tensor, lengths: Tensor, marker: list[int], end_id: int) -> Tensor:
        found = torch.zeros(ids.shape, dtype=torch.bool)
        for i, (row, length) in enumerate(zip(ids.tolist(), lengths.tolist(), strict=True)):
            start = first(row, marker)
            if start is not None:
                moved = max(start + shift(marker), 0)
                found[i, moved : until(row, length, start)] = True
        return found

    return mask


_completions = _from(_after)


def _after_one(part: slice, *, steps: slice = slice(1)) -> Callable[..., Tensor]:
    """True after the first id that is in a part of the marker, one step further or as many as ``steps`` takes."""
    return _from(lambda row, marker: next(
        (t + len(marker[steps]) for t, one in enumerate(row) if one in marker[part]), None))  # fmt: skip


def _end_at(row: list[int]) -> int:
    """Where the first end token is, or a pad that looks like one."""
    return [*row, END].index(END)


def _words(ids: Tensor, lengths: Tensor, marker: list[int], end_id: int) -> Tensor:
    return torch.arange(ids.shape[1]) < lengths[:, None]


def _without_marker(ids: Tensor, lengths: Tensor, marker: list[int], end_id: int) -> Tensor:
    """Which sentences have no marker: (batch,) bool."""
    return torch.tensor([not _starts(row[:n], marker) for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)])


def _head(mask: Tensor, *case) -> Tensor:
    """A mask at all words but the last, of the sentences with a marker: what depends on where the answer begins."""
    last = _words(*case).sum(dim=1, keepdim=True) - 1
    return mask[(torch.arange(mask.shape[1]) < last) & ~_without_marker(*case)[:, None]]


def _end(mask: Tensor, *case) -> Tensor:
    """A mask at the last word of each answer."""
    last = _words(*case).sum(dim=1, keepdim=True) - 1
    return mask[(torch.arange(mask.shape[1]) == last) & _completions(*case)]


def _begins(name: str, says: str, *ways: Callable[..., Tensor]) -> list[Misconception]:
    """Another place where the answer begins, whatever is at its end and in sentences without a marker."""
    return forms(name, says, *[lambda *case, way=way: _head(way(*case), *case) for way in ways], part=_head)


def _missing_from_a_second_one(answer: Tensor, right: Tensor, ids: Tensor, _, marker: list[int], end_id: int) -> bool:
    """Whether all that is missing is in or after the marker's second occurrence."""
    seconds = [[*_starts(row, marker)[1:2], len(row)][0] for row in ids.tolist()]
    return not ((answer != right) & (torch.arange(ids.shape[1]) < torch.tensor(seconds)[:, None])).any()


def _overlooked(answer: Tensor, right: Tensor, ids: Tensor, lengths: Tensor, marker: list[int], end_id: int) -> bool:
    """Whether wrong sentences are those of which the first marker was not found: nothing is True, or a later part."""
    for i in (answer != right).any(dim=1).nonzero().flatten().tolist():
        later = [t + len(marker) for t in _starts(ids[i].tolist(), marker)[1:]]
        first = answer[i].tolist().index(True) if answer[i].any() else None
        if first is not None and (first not in later or not same(answer[i, first:], right[i, first:])):
            return False
    return True


def _draw_completion(answer: Tensor, right: Tensor, ids: Tensor, lengths: Tensor, marker: list[int], end_id: int):
    title = f"ids; marker {' '.join(map(str, marker))}, end {end_id}"
    meaning = "What your function was given. The padding is hatched."
    words = _words(ids, lengths, marker, end_id)
    shown = given(ids, kind="ids", title=title, meaning=meaning, blocked=~words, **sentence_grid(ids))
    return [shown, *compared(answer, right, kind="mask", title="mask", **sentence_grid(ids))]


completion_mask = Exercise(
    name="completion_mask",
    asks="which words come after the marker, the end token included: (batch, length) bool",
    takes="ids, lengths, marker, end_id",
    cases=_chat_cases(),
    definition=_completions,
    picture=_draw_completion,
    wrong=[
        Misconception("nothing found", "nothing is ever True: no marker is found. A tensor is never == a list, so "
                      "compare lists: tolist() makes one. And a list is not *in* a list of numbers.",
                      shows=lambda answer, *_rest: not answer.any(), always=True),
        *_begins("prompt counted", "all words count, the prompt's too. The model should learn to write what comes "
                 "*after* the marker.",
                 _words),
        *_begins("inverted", "inverted: you mark the prompt. True should be the words after the marker.",
                 lambda *case: ~_completions(*case)),
        *_begins("last occurrence", "you look for the *last* marker. A text that is part of the answer may hold it "
                 "again: the answer begins after the first one.",
                 _from(lambda row, marker: max((t + len(marker) for t in _starts(row, marker)), default=None))),
        *_begins("marker included", "the marker, or its last token, is in your mask. It is given to the model, like "
                 "the prompt. The answer begins len(marker) positions after the marker's first token.",
                 *[_from(_after, shift=shift) for shift in (
                     lambda marker: -len(marker), lambda marker: 1 - len(marker), lambda marker: -1)]),
        *_begins("first word missing", "the first word of the answer is not in your mask: you begin one too late.",
                 _from(_after, shift=lambda marker: 1)),
        *_begins("part of the marker", "you look for a *part* of the marker. It may occur in a prompt, too: all of its "
                 "tokens have to follow one another.",
                 _after_one(slice(1)), _after_one(slice(1), steps=slice(None)), _after_one(slice(-1, None)),
                 _after_one(slice(None))),
        *_begins("stops too early", "you stop at the first end token that you find. Does your search begin after the "
                 "marker? A prompt may have an end token, too.",
                 _from(_after, until=lambda row, length, start: min(length, _end_at(row))),
                 _from(_after, until=lambda row, length, start: min(length, _end_at(row) + 1))),
        Misconception("pads counted", "some pads are True. A pad may have the same id as the end token: only the "
                      "lengths say where a sentence ends. Its last word is at `length - 1`.",
                      shows=lambda answer, right, *case: bool((answer & ~_words(*case)).any())),
        Misconception("no marker", "something is True in a sentence without the marker. Nothing should be. If you use "
                      "argmax: on a row that is all False it says 0. Ask `any` whether there is a marker.",
                      shows=lambda answer, right, *case: bool(answer[_without_marker(*case)].any())),
        *forms("end wiped by its id", "nothing that holds `end_id` is in your mask. So the end of the answer is not "
               "learned, and the model never stops. A pad may look the same: the lengths tell them apart.",
               lambda *case: _end(case[0] != END, *case), part=_end),
        *forms("end forgotten", "one too short: the last word of each sentence is not in your mask. That is where its "
               "end token is, and a model that never learns it never stops.",
               lambda *case: ~_end(_completions(*case), *case), part=_end),
        Misconception("marker in the answer", "from a second marker on, something is missing. Only the first one "
                      "counts: what looks like it in the answer is a part of the answer.",
                      shows=_missing_from_a_second_one, always=True),
        Misconception("overlooked", "in some sentences you don't find the marker, though it is there. It may begin at "
                      "any position, even inside another beginning: 7 7 8 is in 7 7 7 8.",
                      shows=_overlooked, always=True),
    ],
)  # fmt: skip

# --- 4 · Hard words wait --------------------------------------------------------------------------------------------


def _curriculum_cases() -> list[tuple[Tensor, float, float]]:
    """Difficulties from 0 to 4 in quarters, ∞ at the padding; each third ramp is 0, and some words are at the stage."""
    g, found = cases.generator(), []
    for i, is_word in enumerate(cases.padded_batches(18)):
        difficulty = torch.randint(17, is_word.shape, generator=g) / 4
        stage, ramp = (1.0, 0.5, 2.0, 1.5)[i % 4], (0.0, 1.0, 2.5)[i % 3]
        words = is_word.nonzero().tolist()
        for (row, column), value in zip(words, (stage, 0.0, stage + (ramp or 0.1) / 4, 4.0), strict=False):
            difficulty[row, column] = value
        found.append((difficulty.masked_fill(~is_word, math.inf), stage, ramp))
    return found


def _weight(difficulty: float, stage: float, ramp: float) -> float:
    """What one word weighs."""
    if difficulty <= stage:
        return 1.0
    if difficulty >= stage + ramp:
        return 0.0
    return 1 - (difficulty - stage) / ramp


def _stepwise(difficulty: Tensor, stage: float, ramp: float) -> Tensor:
    return torch.tensor([[_weight(one, stage, ramp) for one in row] for row in difficulty.tolist()])


def _lines(name: str, says: str, *ways: Callable[[Tensor, float, float], Tensor]) -> list[Misconception]:
    """Other weights where there is a ramp, told by the words: the padding, and a ramp of 0, may be right or wrong."""

    def words(weights: Tensor, difficulty: Tensor, stage: float, ramp: float):
        return weights[difficulty.isfinite()] if ramp else ...

    return forms(name, says, *[lambda *case, way=way: words(way(*case).float(), *case) for way in ways], part=words)


def _slope(difficulty: Tensor, stage: float, ramp: float) -> Tensor:
    """The line through 1 at the stage and 0 at stage + ramp."""
    return 1 - (difficulty - stage) / ramp


def _rises(answer: Tensor, right: Tensor, difficulty: Tensor, *_rest) -> bool:
    """Whether a harder word weighs more than an easier one."""
    words = difficulty.isfinite()
    harder = difficulty[words][:, None] > difficulty[words]
    return bool((harder & (answer[words][:, None] > answer[words] + 1e-5)).any())


def _nan_at(cells: Callable[[Tensor, float, float], Tensor]) -> Callable[..., bool]:
    """The symptom of NaN at cells of one kind."""
    return lambda answer, right, *case: bool(answer[cells(*case)].isnan().any())


def _wrong_only(cells: Callable[[Tensor, float, float], Tensor]) -> Callable[..., bool]:
    """The symptom of an answer that is right but at cells of one kind."""
    return lambda answer, right, *case: same(answer[~cells(*case)], right[~cells(*case)])


def _draw_curriculum(answer: Tensor, right: Tensor, difficulty: Tensor, stage: float, ramp: float):
    grid = sentence_grid(difficulty)
    title = f"difficulty; stage {stage:g}, ramp {ramp:g}"
    shown = given(difficulty, kind="score", title=title, blocked=difficulty.isinf(),
                  meaning="What your function was given. The padding is infinitely difficult, and hatched.",
                  **grid)  # fmt: skip
    return [shown, *compared(answer, right, kind="weight", title="weights", **grid)]


curriculum = Exercise(
    name="curriculum",
    asks="1 up to the stage, then down in a straight line to 0 at stage + ramp: (batch, length) floats",
    takes="difficulty, stage, ramp",
    cases=_curriculum_cases(),
    definition=_stepwise,
    picture=_draw_curriculum,
    wrong=[
        Misconception("0/0", "NaN, where a word is exactly as difficult as the stage and the ramp is 0: 0/0. Such a "
                      "word counts. Which weights need no division?",
                      shows=_nan_at(lambda difficulty, stage, ramp: (difficulty == stage) & (ramp == 0))),
        Misconception("NaN at the padding", "NaN, where the difficulty is infinite. A line there is −∞, and −∞ × 0 is "
                      "NaN. Clamp the line between 0 and 1 before anything is multiplied, or choose with torch.where.",
                      shows=_nan_at(lambda difficulty, stage, ramp: difficulty.isinf())),
        Misconception("padding counts", "only the padding goes wrong. Its difficulty is infinite, so its weight is 0.",
                      shows=_wrong_only(lambda difficulty, stage, ramp: difficulty.isinf()), always=True),
        *_lines("not clamped", "some weights are below 0 or above 1: the line goes on beyond its two ends. "
                "`clamp(0, 1)` cuts it off there.",
                _slope, lambda *case: _slope(*case).clamp(min=0), lambda *case: _slope(*case).clamp(max=1)),
        *_lines("no ramp", "there is no ramp: your weights fall from 1 to 0 at once. Between `stage` and "
                "`stage + ramp` there is a straight line.",
                lambda difficulty, stage, ramp: difficulty <= stage,
                lambda difficulty, stage, ramp: difficulty < stage,
                lambda difficulty, stage, ramp: difficulty <= stage + ramp,
                lambda difficulty, stage, ramp: difficulty < stage + ramp),
        *_lines("not divided by the ramp", "your line falls by 1 from one difficulty to the next, whatever the ramp "
                "is. Dividing by the ramp makes it as long as the ramp.",
                lambda difficulty, stage, ramp: (stage + ramp - difficulty).clamp(0, 1),
                lambda difficulty, stage, ramp: (stage + 1 - difficulty).clamp(0, 1),
                lambda difficulty, stage, ramp: torch.where(
                    difficulty <= stage, 1.0, (stage + ramp - difficulty).clamp(0, 1))),
        *_lines("ramp in the wrong place", "your line is in another place. It begins *at* the stage, where the "
                "weight is still 1, and it ends at stage + ramp.",
                *[lambda difficulty, stage, ramp, by=by: _stepwise(difficulty, stage + by * ramp, ramp)
                  for by in (-1, -0.5, 1)],
                lambda difficulty, stage, ramp: _stepwise(difficulty, stage, max(ramp - stage, 0.0)),
                lambda difficulty, stage, ramp: ((ramp - difficulty) / (ramp - stage)).clamp(0, 1),
                lambda difficulty, stage, ramp: (1 - difficulty / (stage + ramp)).clamp(0, 1),
                lambda difficulty, stage, ramp: torch.where(
                    difficulty <= stage, 1.0, (1 - difficulty / (stage + ramp)).clamp(0, 1))),
        Misconception("the wrong way", "a harder word weighs more than an easier one. Weights go *down*: 1 up to "
                      "the stage, then a line from 1 to 0 at stage + ramp.",
                      shows=_rises),
        Misconception("strict", "a word that is exactly as difficult as the stage counts fully: the comparison is ≤, "
                      "not <. (And if a 0/0 was turned into a 0, it should be 1.)",
                      shows=_wrong_only(lambda difficulty, stage, ramp: difficulty == stage), always=True),
        Misconception("within the ramp", "only words between `stage` and `stage + ramp` go wrong. A straight line from "
                      "1 to 0: what is it halfway, and after a quarter?",
                      shows=_wrong_only(lambda difficulty, stage, ramp: (difficulty > stage) & (
                          difficulty <= stage + ramp)), always=True),
        Misconception("a ramp of 0", "only a ramp of 0 goes wrong. Then there is no line: 1 up to the stage, 0 after "
                      "it.",
                      shows=lambda answer, right, difficulty, stage, ramp: ramp == 0, always=True),
    ],
)  # fmt: skip

# --- 5 · A mean with weights ----------------------------------------------------------------------------------------


def _weigh(losses: Tensor, weights: Tensor) -> Tensor:
    """Which losses weigh anything."""
    return weights > 0


def _weighted_cases() -> list[tuple[Tensor, Tensor]]:
    """Losses with NaN, ∞ or −∞ where the weight is 0, by turns; weights in tenths, in each third batch small ones."""
    g, found = cases.generator(), []
    for i, (losses, mask) in enumerate(cases.losses_with_odd_ones(20)):
        weights = (torch.randint(1, 11, mask.shape, generator=g) / 10).masked_fill(~mask, 0.0)
        some = mask.nonzero().tolist()
        for (row, column), value in zip(some, (1.0, 0.5), strict=False):
            weights[row, column] = value
        found.append((losses, weights / 20 if i % 3 == 1 else weights))
    return [*found, (torch.tensor([[2.0, math.nan]]), torch.tensor([[0.08, 0.0]]))]


def _weighted(losses: Tensor, weights: Tensor) -> dict:
    """The weighted mean, and its gradient, weight by weight: each one's share of their sum; zeros if that is 0."""
    total = sum(weights.flatten().tolist())
    share = [[one / total if one else 0.0 for one in row] for row in weights.tolist()]
    pairs = zip(losses.flatten().tolist(), torch.tensor(share).flatten().tolist(), strict=True)
    value = sum(loss * one for loss, one in pairs if one)
    return {"value": torch.tensor(float(value)), "linked": True, "gradient": torch.tensor(share)}


def _times(losses: Tensor, weights: Tensor) -> Tensor:
    """Losses × weights, 0 where the weight is. Shape: (batch, length)."""
    return losses.masked_fill(weights == 0, 0.0) * weights


def _means(losses: Tensor, weights: Tensor) -> Tensor:
    """Each sentence's weighted mean; NaN without weights. Shape: (batch,)."""
    return _times(losses, weights).sum(dim=1) / weights.sum(dim=1)


def _nan_of_finite(*, empty: bool) -> Callable[..., bool]:
    """The symptom of NaN though all losses are finite: where all weights are 0, or elsewhere."""
    return lambda answer, right, losses, weights: bool(
        answer["value"].isnan() and losses.isfinite().all() and empty != weights.any())  # fmt: skip


def _draw_weighted_mean(answer: dict, right: dict, losses: Tensor, weights: Tensor):
    """Losses, weights and both numbers; the gradients if only they differ."""
    zero = weights == 0
    if not same(answer["value"], right["value"]):
        dotted = ", or dotted if NaN" if losses.isnan().any() else ""
        meaning = f"What your function was given. Losses of weight 0 are hatched{dotted}."
        return [
            given(losses, kind="loss", title="losses", meaning=meaning, blocked=zero, **sentence_grid(losses)),
            given(weights, kind="weight", title="weights", **sentence_grid(losses)),
            *_numbers(answer["value"], right["value"]),
        ]
    if different(answer["gradient"], right["gradient"]).any():
        return compared(answer["gradient"], right["gradient"], kind="gradient", title="gradient", blocked=zero,
                        **sentence_grid(losses))  # fmt: skip
    return ()


def _mean_is(name: str, says: str, *ways: Callable) -> list[Misconception]:
    """A wrong mean, told by its value where there are weights."""
    return forms(name, says, *ways, part=value_if_any(_weigh))


_GETS_IN = (
    "a loss of weight 0 gets into the value, and it is NaN or infinite: NaN × 0 is NaN, and ∞ × 0 is NaN, too. Fill "
    "such losses *before* you multiply or add, or leave them out."
)
weighted_mean = Exercise(
    name="weighted_mean",
    asks="the weighted mean of the losses, 0 if all weights are 0; no NaN in the value or in the gradient",
    takes="losses, weights",
    cases=_weighted_cases(),
    definition=_weighted,
    observed=value_and_gradient(_weigh),
    picture=_draw_weighted_mean,
    wrong=[
        *_mean_is("divided by all positions", "you divide by the number of *all* positions. Then small weights make a "
                  "small loss, and a small step. A mean divides by the sum of the weights.",
                  lambda losses, weights: _times(losses, weights).mean()),
        *_mean_is("divided by the count", "you divide by how *many* weights are not 0. A loss of weight 0.5 adds half "
                  "of itself to the sum. So it counts as half a loss in what you divide by: the sum of the weights.",
                  lambda losses, weights: _times(losses, weights).sum() / (weights > 0).sum().clamp(min=1)),
        *_mean_is("not divided", "this is the sum of losses × weights. A weighted mean divides it: by which number?",
                  lambda losses, weights: _times(losses, weights).sum()),
        *_mean_is("weights as a mask", "each loss with a weight counts fully, however small the weight is. Multiply "
                  "the losses by the weights.",
                  lambda losses, weights: losses[weights > 0].sum() / (weights > 0).sum().clamp(min=1),
                  lambda losses, weights: losses[weights > 0].sum() / weights.sum().clamp(min=1e-9)),
        *_mean_is("at least 1", "you divide by at least 1. That is right for a count. The sum of some weights may be "
                  "less than 1, and still it is what the mean divides by. You need another number only where it is "
                  "exactly 0.",
                  lambda losses, weights: _times(losses, weights).sum() / weights.sum().clamp(min=1)),
        *_mean_is("too much", "you divide by more than the sum of the weights. What you add to avoid 0/0 has to be "
                  "very small, because the sum may be small, too. Or add it only where the sum is 0.",
                  *[lambda losses, weights, more=more: _times(losses, weights).sum() / (weights.sum() + more)
                    for more in _MORE],
                  lambda losses, weights: _times(losses, weights).sum() / weights.sum().clamp(min=0.1)),
        *_mean_is("mean of means", "you take the mean of each sentence first. Here one sum over the whole batch is "
                  "divided by the sum of all weights.",
                  lambda losses, weights: _means(losses, weights).nan_to_num().mean(),
                  lambda losses, weights: _means(losses, weights).nanmean(),
                  lambda losses, weights: _means(losses, weights).nansum(),
                  lambda losses, weights: (
                      _times(losses, weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)).mean()),
        Misconception("NaN for another reason", "your value is NaN even where all losses are finite. Is there a 0/0, "
                      "an ∞ × 0, or a mask that picks nothing?",
                      shows=_nan_of_finite(empty=False)),
        Misconception("NaN gets in", _GETS_IN, shows=value_is_not_finite(_weigh, empty=False)),
        Misconception("0/0", "where all weights are 0, your value is NaN: 0/0. What can you divide by there, so that "
                      "the result is 0?",
                      shows=_nan_of_finite(empty=True)),
        Misconception("NaN gets in", _GETS_IN, shows=value_is_not_finite(_weigh, empty=True)),
        _something_of_nothing(_weigh),
        *gradient_faults(_weigh),
    ],
    notes=[_hides_nan("weight", torch.tensor([[math.nan, 1.0]]), torch.tensor([[0.5, 0.5]]))],
)  # fmt: skip
