"""A prompt and its completion, for the lab of lesson 04: which tokens a model learns to write, the end among them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from masklab.labs.guess import TOLD_OF_LOSSES, Guess
from masklab.labs.tagged import SEED
from masklab.labs.two_ways import Way
from masklab.labs.weight_views import Places, View, turned
from masklab.panels import Edit, counted
from masklab.text import Batch, vectors, word_id

END = "[END]"
CHATS = (f"User: food? Bot: The cat ate {END}", f"User: play? Bot: Cats fish {END}", f"User: nap? Bot: Now {END}")
HIDDEN = "?"  # under a chip, in the place of a role that is still to be guessed
DIM = 8  # of the made-up vectors that a token's logits come from
Rows = Sequence[Sequence[str]]


def completion(batch: Batch, *, marker: str, pad: str, wipe: bool, changed: Places, guess: Guess | None = None) -> View:
    """The tokens after the marker count; if the pad's id is wiped, but for those that are spelt like padding.

    A ``guess`` of what `answers` gives is looked at by itself: then nothing is wiped, and nothing was ``changed``.

    >>> from masklab.labs.sentences import batch_of
    >>> pair = batch_of(["Hi Bot: Meow [END]", "Hi Bot: [END]"])
    >>> completion(pair, marker="Bot:", pad="[PAD]", wipe=True, changed=[]).counts.int()
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 0]], dtype=torch.int32)
    >>> completion(pair, marker="Bot:", pad="[END]", wipe=True, changed=[]).counts.int()
    tensor([[0, 0, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    is_word, flips = batch.is_word, turned(changed, batch.ids.shape)
    tokens, marks, is_answer = filled(batch, pad), marks_of(batch, marker), answers(batch, marker)
    counts = guess.used if guess else is_word & (is_answer ^ flips)
    if wipe and not guess:
        counts &= ~torch.tensor([[token == pad for token in row] for row in tokens])
    classes, labels = _classes(tokens, is_word, is_answer, first=(END, marker))
    is_hidden = guess is not None and not guess.reveal
    roles = [_roles(row, mark, words) for row, mark, words in zip(tokens, marks, is_word.tolist(), strict=True)]
    told = "" if is_hidden else _told(tokens, is_word, marks, counts, marker=marker, by_id=wipe and pad == END)
    return View(
        ways=[
            Way("your mask" if is_hidden else "completion", labels, counts.float()),
            Way("all words", labels, is_word.float()),
        ],
        logits=_writer(batch.ids, classes),
        meaning="How hard it is for a made-up model to write each token after the one before it.",
        classes=classes,
        # The roles would give the answer away, so a sign is in the place of each: nothing below moves.
        # Who wrote a token can be told from the tokens themselves.
        below=[[role and HIDDEN for role in row] for row in roles] if is_hidden else roles,
        guessed=_guessed(guess, tokens) if guess else "",
        told=told,
        edits=guess.edits if guess else Edit("roles", cells=flips.nonzero().tolist()),
        counts=counts,
        guess=guess,
    )


def marks_of(batch: Batch, marker: str) -> list[int]:
    """Where each sentence has its first marker, beyond its end if it has none.

    >>> from masklab.labs.sentences import batch_of
    >>> marks_of(batch_of(["Hi Bot: Meow", "Hi"]), "Bot:")
    [1, 3]
    """
    return [row.index(marker) if marker in row else len(row) for row in batch.tokens]


def answers(batch: Batch, marker: str) -> Tensor:
    """The tokens that the model writes: those after the marker, the end among them. Shape: (B, L) bool.

    >>> from masklab.labs.sentences import batch_of
    >>> answers(batch_of(["Hi Bot: Meow [END]", "Hi Bot: [END]"]), "Bot:").int()
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 0]], dtype=torch.int32)
    """
    return batch.is_word & (torch.arange(batch.ids.shape[1]) > torch.tensor(marks_of(batch, marker))[:, None])


def _guessed(guess: Guess, tokens: Rows) -> str:
    """How to make a guess, or how it did, and whether an end was lost that the model has to write."""
    ends = guess.mask & torch.tensor([[token == END for token in row] for row in tokens])
    lost, of = int((ends & guess.painted).sum()), counted(int(ends.sum()), "end")
    told = guess.told(*TOLD_OF_LOSSES)
    return f"{told} ✗ You masked {lost} of {of}: only they teach the model to stop." if guess.reveal and lost else told


def filled(batch: Batch, pad: str) -> list[list[str]]:
    """The tokens of a batch, with another token in the place of padding.

    >>> from masklab.labs.sentences import batch_of
    >>> filled(batch_of(["Hi Bot:", "Hi"]), "[END]")
    [['Hi', 'Bot:'], ['Hi', '[END]']]
    """
    rows = zip(batch.tokens, batch.is_word.tolist(), strict=True)
    return [[token if word else pad for token, word in zip(*row, strict=True)] for row in rows]


def _classes(tokens: Rows, is_word: Tensor, is_answer: Tensor, *, first: Sequence[str]) -> tuple[list[str], Tensor]:
    """Each token once, the most telling first, and its place among them as the label, (B, L); a mere pad is last."""
    flat = [token for row in tokens for token in row]
    written, words = ([flat[i] for i in flags.flatten().nonzero().flatten()] for flags in (is_answer, is_word))
    places: dict[str, int] = {}
    for token in [*(one for one in first if one in words), *written, *words, *flat]:
        places.setdefault(token, len(places))
    return list(places), torch.tensor([[places[token] for token in row] for row in tokens])


def _writer(ids: Tensor, classes: Sequence[str]) -> Tensor:
    """A made-up model's logits for each token, from the token before it. Shapes: ``ids`` (B, L) → (B, L, T)."""
    before = vectors(ids, dim=DIM, seed=SEED).roll(1, dims=1)
    before[:, 0] = 0.0  # nothing comes before the first
    after = vectors(torch.tensor(list(map(word_id, classes))), dim=DIM, seed=SEED + 1)
    return before @ after.T / DIM**0.5


def _roles(tokens: Sequence[str], mark: int, is_word: Sequence[bool]) -> list[str]:
    """The roles to write under the chips of one sentence.

    >>> _roles(["Hi", "Bot:", "Meow", "[END]", "[PAD]"], 1, [True] * 4 + [False])
    ['prompt', 'marker', 'answer', 'end', '']
    """
    after = ["end" if token == END else "answer" for token in tokens[mark + 1 :]]
    names = [*["prompt"] * mark, "marker", *after]
    return [name if word else "" for name, word in zip(names, is_word, strict=False)]


def _told(tokens: Rows, is_word: Tensor, marks: Sequence[int], counts: Tensor, *, marker: str, by_id: bool) -> str:
    """How many words and ends count, and what goes wrong. Shapes: ``is_word``, ``counts`` (B, L) bool."""
    ends = is_word & torch.tensor([[token == END for token in row] for row in tokens])
    have, all_ends = int((ends & counts).sum()), int(ends.sum())
    of = counted(int(is_word.sum()), "token")
    told = [f"{int(counts.sum())} of {of} count, {have} of {counted(all_ends, 'end')}."]
    lost = [str(i + 1) for i, (row, mark) in enumerate(zip(tokens, marks, strict=True)) if mark == len(row)]
    if len(lost) == len(marks):
        told.append(f"No sentence has the marker “{marker}” as one token: look at the tokens, and stop such a run.")
    elif lost:
        told.append(f"No marker “{marker}” in sentence{'s' * (len(lost) > 1)} {' and '.join(lost)}.")
    if counts.any() and all_ends and not have:
        why = f"Wiping the pads' id wipes {END}, too" if by_id else "No end counts"
        told.append(f"✗ {why}: nothing teaches the model to stop.")
    return " ".join(told)
