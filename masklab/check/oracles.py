"""The definitions, as slow loops that a reader can check by eye: what answers are compared with."""

import math

import torch
from torch import Tensor, nn


def word_positions(lengths: Tensor, total: int, *, side: str = "left") -> Tensor:
    """Which positions hold words when the padding is on one side: position by position.

    Shapes: ``lengths`` (batch,) → (batch, total) bool, True = a word.

    >>> word_positions(torch.tensor([1, 3]), 4).int()
    tensor([[0, 0, 0, 1],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    rows = []
    for length in lengths.tolist():
        first = total - length if side == "left" else 0
        rows.append([first <= position < first + length for position in range(total)])
    return torch.tensor(rows)


def padded(sequences: list[list[int]], side: str) -> Tensor:
    """The ids of each sentence with zeros on one side, as many as it is shorter than the longest.

    Shapes: lists of ids, some may be empty → (batch, longest) int64.

    >>> padded([[7], [8, 9]], "left")
    tensor([[0, 7],
            [8, 9]])
    """
    longest, rows = max(map(len, sequences)), []
    for ids in sequences:
        zeros = [0] * (longest - len(ids))
        rows.append(zeros + ids if side == "left" else ids + zeros)
    return torch.tensor(rows, dtype=torch.int64)


def padding_mask(is_word: Tensor) -> Tensor:
    """May this query attend to this key? Only the key decides.

    Shapes: ``is_word`` (batch, length) bool → (batch, query, key) bool, True = may attend.

    >>> padding_mask(torch.tensor([[True, False]])).int()
    tensor([[[1, 0],
             [1, 0]]], dtype=torch.int32)
    """
    return torch.tensor([[[bool(key) for key in sentence] for _query in sentence] for sentence in is_word])


def causal_mask(queries: int, keys: int) -> Tensor:
    """May this query attend to this key? The queries are the last of the keys; what is before them is in the cache.

    Shape: (query, key) bool, True = may attend.

    >>> causal_mask(2, 4).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    cached = keys - queries
    return torch.tensor([[key <= cached + query for key in range(keys)] for query in range(queries)])


def prefix_lengths(mask: Tensor) -> Tensor:
    """How many keys each query sees, if they are the first ones and no others; −1 if they are not.

    Shapes: ``mask`` (query, key) bool, True = may attend → (query,) int64.

    >>> prefix_lengths(torch.tensor([[True, True, False], [True, False, True]]))
    tensor([ 2, -1])
    """
    counts = [sum(row) for row in mask.tolist()]
    return torch.tensor([n if all(row[:n]) else -1 for n, row in zip(counts, mask.tolist(), strict=True)])


def next_tokens(ids: Tensor, is_word: Tensor) -> Tensor:
    """The label of each word is the word after it; −100 where there is none, and at the padding.

    Shapes: ``ids`` int64 and ``is_word`` bool (batch, length) → (batch, length) int64.

    >>> next_tokens(torch.tensor([[0, 7, 8, 9]]), torch.tensor([[False, True, True, True]]))
    tensor([[-100,    8,    9, -100]])
    """
    labels = torch.full_like(ids, -100)
    for i, sentence in enumerate(is_word.tolist()):
        for t in range(len(sentence) - 1):
            if sentence[t] and sentence[t + 1]:
                labels[i, t] = ids[i, t + 1]
    return labels


def dependencies(model: nn.Module, ids: Tensor) -> Tensor:
    """Which positions' logits depend on which tokens: each token is replaced by every other one.

    Shapes: ``model(ids)`` (batch, length) → (batch, length, vocabulary); ``ids`` (1, length) → (logits, token) bool.

    >>> dependencies(lambda ids: ids.roll(1, dims=1)[..., None] * torch.ones(5), torch.tensor([[3, 4]])).int()
    tensor([[0, 1],
            [1, 0]], dtype=torch.int32)
    """
    columns, vocabulary = [], model(ids).shape[-1]
    for token in range(ids.shape[1]):
        texts = ids.repeat(vocabulary, 1)
        texts[:, token] = torch.arange(vocabulary)
        logits = model(texts)
        columns.append((logits.amax(dim=0) - logits.amin(dim=0)).amax(dim=-1) > 1e-4)  # more than rounding
    return torch.stack(columns, dim=1)


def mean_by_token(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean loss over the positions that count, position by position; 0 if none does.

    Shapes: ``losses`` float and ``mask`` bool (batch, length), True = counts → a number.

    >>> mean_by_token(torch.tensor([[2.0, 4.0, 9.0]]), torch.tensor([[True, True, False]]))
    tensor(3.)
    """
    counted = [losses[i, t].item() for i, t in mask.nonzero().tolist()]
    return torch.tensor(sum(counted) / max(len(counted), 1))


def mean_by_sentence(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean of the sentences' means; a sentence with nothing that counts has none.

    Shapes: ``losses`` float and ``mask`` bool (batch, length), True = counts → a number.

    >>> mean_by_sentence(torch.tensor([[2.0, 4.0], [9.0, 0.0]]), torch.tensor([[True, True], [True, False]]))
    tensor(6.)
    """
    each = [mean_by_token(losses[[i]], mask[[i]]).item() for i in range(len(mask)) if mask[i].any()]
    return torch.tensor(sum(each) / len(each))


def shares(mask: Tensor, count: int) -> Tensor:
    """How a mean changes with each loss: 1/count where the mask is True, 0 elsewhere.

    Shapes: ``mask`` bool, any shape → floats of the same shape.

    >>> shares(torch.tensor([[True, True, False]]), 2)
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    share = 1 / max(count, 1)
    return torch.tensor([[share if counts else 0.0 for counts in row] for row in mask.tolist()])


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the allowed keys of each row; zeros in a row that has none.

    Shapes: ``scores`` (query, key) floats, ``mask`` (query, key) bool, True = may attend → (query, key).

    >>> softmax(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    weights = torch.zeros_like(scores)
    for q in range(scores.shape[0]):
        total = sum(math.exp(scores[q, k]) for k in range(scores.shape[1]) if mask[q, k])
        for k in range(scores.shape[1]):
            weights[q, k] = math.exp(scores[q, k]) / total if mask[q, k] else 0.0
    return weights


def gradient_of_squares(weights: Tensor) -> Tensor:
    """How the sum of the squared softmax weights changes with each score: w·(2w − Σ 2w²), row by row.

    Shape: ``weights`` (query, key) → (query, key).

    >>> gradient_of_squares(torch.tensor([[0.5, 0.5], [0.0, 0.0]])).abs()
    tensor([[0., 0.],
            [0., 0.]])
    """
    inner = (2 * weights * weights).sum(dim=-1, keepdim=True)
    return weights * (2 * weights - inner)


def alone(layer: nn.MultiheadAttention, x: Tensor, is_word: Tensor) -> Tensor:
    """What the layer gives for each sentence by itself, without padding; zeros at the padding.

    Shapes: ``x`` (batch, length, width), ``is_word`` (batch, length) bool → (batch, length, width).

    >>> layer = nn.MultiheadAttention(4, 2, batch_first=True)
    >>> alone(layer, torch.ones(1, 3, 4), torch.tensor([[True, True, False]]))[0, 2]
    tensor([0., 0., 0., 0.])
    """
    out = torch.zeros_like(x)
    for i, sentence in enumerate(is_word):
        words = x[i : i + 1, sentence]  # (1, n, width)
        out[i, sentence] = layer(words, words, words)[0][0].detach()
    return out


def padding_and_causal(is_word: Tensor) -> Tensor:
    """May this query attend to this key? If the key is a word, and does not come later.

    Shapes: ``is_word`` (batch, length) bool → (batch, 1, query, key) bool, True = may attend.

    >>> padding_and_causal(torch.tensor([[False, True, True]]))[0, 0].int()
    tensor([[0, 0, 0],
            [0, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    length = is_word.shape[1]
    return torch.tensor(
        [[[[words[k] and k <= q for k in range(length)] for q in range(length)]] for words in is_word.tolist()]
    )


def word_numbers(is_word: Tensor) -> Tensor:
    """Number the words of each sentence from 0, one after the other; 0 at the padding.

    Shapes: ``is_word`` (batch, length) bool → the same shape, int64.

    >>> word_numbers(torch.tensor([[False, True, True, False]]))
    tensor([[0, 0, 1, 0]])
    """
    numbers = torch.zeros(is_word.shape, dtype=torch.int64)
    for i, sentence in enumerate(is_word.tolist()):
        found = 0
        for position, word in enumerate(sentence):
            if word:
                numbers[i, position] = found
                found += 1
    return numbers


def ignored_by_head(mask: Tensor, heads: int) -> Tensor:
    """What each head of each sentence ignores: all heads of the first sentence, then those of the next.

    Shapes: ``mask`` (batch, 1 or heads, query, key) bool, True = may attend → (batch · heads, query, key) bool,
    True = ignore.

    >>> ignored_by_head(torch.tensor([[[[True]]], [[[False]]]]), 2).flatten()
    tensor([False, False,  True,  True])
    """
    own = mask.shape[1] > 1
    return torch.stack([~sentence[head if own else 0] for sentence in mask for head in range(heads)])


def encoder_decoder_masks(source_is_word: Tensor, target_is_word: Tensor) -> dict[str, Tensor]:
    """The three masks of an encoder–decoder, written out: each reads words only, and the decoder no later ones.

    Shapes: (batch, S) bool and (batch, T) bool → (batch, 1, S, S), (batch, 1, T, T), (batch, 1, T, S) bool,
    True = may attend.

    >>> masks = encoder_decoder_masks(torch.tensor([[True, False]]), torch.tensor([[True]]))
    >>> {name: mask[0, 0].tolist() for name, mask in masks.items()}
    {'encoder self': [[True, False], [True, False]], 'decoder self': [[True]], 'cross': [[True, False]]}
    """
    source, target = source_is_word.tolist(), target_is_word.tolist()
    of_source = [[[words for _query in words]] for words in source]
    cross = [[[words for _query in queries]] for words, queries in zip(source, target, strict=True)]
    return {
        "encoder self": torch.tensor(of_source),
        "decoder self": padding_and_causal(target_is_word),
        "cross": torch.tensor(cross),
    }


def with_itself(mask: Tensor) -> Tensor:
    """The mask in which each query without a key may attend to itself, row by row.

    Shape: ``mask`` (batch, 1, query, key) bool, True = may attend, as many keys as queries.

    >>> with_itself(torch.tensor([[[[False, False], [True, False]]]])).int()
    tensor([[[[1, 0],
              [1, 0]]]], dtype=torch.int32)
    """
    opened = mask.clone()
    for sentence in opened[:, 0]:
        for query, row in enumerate(sentence):
            if not any(row.tolist()):
                row[query] = True
    return opened


def last_words(is_word: Tensor) -> Tensor:
    """Where each sentence's last word is; −1 for a sentence without words.

    Shapes: ``is_word`` (batch, length) bool → (batch,) int64.

    >>> last_words(torch.tensor([[True, True, False], [False, False, False]]))
    tensor([ 1, -1])
    """
    found = [[position for position, word in enumerate(sentence) if word] for sentence in is_word.tolist()]
    return torch.tensor([positions[-1] if positions else -1 for positions in found])


def states_at_last_words(states: Tensor, is_word: Tensor) -> Tensor:
    """Each sentence's state at its last word.

    Shapes: ``states`` (batch, length, features), ``is_word`` (batch, length) bool → (batch, features).

    >>> states_at_last_words(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    return torch.stack([states[i, last] for i, last in enumerate(last_words(is_word).tolist())])


def read_alone(gru: nn.GRU, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What a GRU gives for each sentence by itself, without padding: its outputs, zeros after them, and its last state.

    With two directions the last layer's two final states stand side by side.

    Shapes: ``x`` (batch, length, width), ``lengths`` (batch,) → (batch, length, H) and (batch, H).

    >>> out, last = read_alone(nn.GRU(2, 3, batch_first=True), torch.ones(1, 4, 2), torch.tensor([2]))
    >>> out.shape, out[0, 2:].any().item(), torch.equal(out[:, 1], last)
    (torch.Size([1, 4, 3]), False, True)
    """
    directions = 2 if gru.bidirectional else 1
    out = torch.zeros(*x.shape[:2], directions * gru.hidden_size)
    last = []
    for i, n in enumerate(lengths.tolist()):
        words, final = gru(x[i : i + 1, :n])
        out[i, :n] = words[0].detach()
        last.append(torch.cat([state[0].detach() for state in final[-directions:]]))
    return out, torch.stack(last)


def word_losses(logits: Tensor, tags: Tensor, is_word: Tensor) -> Tensor:
    """The cross-entropy at each word, word by word; 0 at the padding.

    Shapes: ``logits`` (batch, length, tags), ``tags`` int64 and ``is_word`` bool (batch, length) → (batch, length).

    >>> word_losses(torch.zeros(1, 2, 4), torch.tensor([[3, 99]]), torch.tensor([[True, False]]))  # log(4) = 1.3863
    tensor([[1.3863, 0.0000]])
    """
    losses = torch.zeros(is_word.shape)
    for i, sentence in enumerate(is_word.tolist()):
        for t, word in enumerate(sentence):
            if word:
                scores = logits[i, t].tolist()
                losses[i, t] = math.log(sum(map(math.exp, scores))) - scores[tags[i, t]]
    return losses


def word_means(states: Tensor, is_word: Tensor) -> Tensor:
    """The mean of each sentence's states over its words; zeros for a sentence without words.

    Shapes: ``states`` (batch, length, features), ``is_word`` (batch, length) bool → (batch, features).

    >>> word_means(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    means = torch.zeros(states.shape[0], states.shape[2])
    for i, sentence in enumerate(is_word.tolist()):
        count = 0
        for t, word in enumerate(sentence):
            if word:
                means[i], count = means[i] + states[i, t], count + 1
        means[i] = means[i] / max(count, 1)
    return means


def mean_word_loss(logits: Tensor, labels: Tensor, counts: Tensor) -> dict:
    """The mean cross-entropy over what counts, as `gradients.value_and_gradient` observes it; 0 if nothing does.

    The gradient at a position that counts is (p − 1 at the label, p elsewhere) / n.

    Shapes: ``logits`` (batch, length, classes), ``labels`` int64 and ``counts`` bool (batch, length) → a number, True,
    and (batch, length, classes).

    >>> found = mean_word_loss(torch.zeros(1, 2, 2), torch.tensor([[1, -1]]), torch.tensor([[True, False]]))
    >>> found["value"], found["gradient"][0].tolist()
    (tensor(0.6931), [[0.5, -0.5], [0.0, 0.0]])
    """
    n, gradient = max(int(counts.sum()), 1), torch.zeros_like(logits)
    for i, t in counts.nonzero().tolist():
        gradient[i, t] = logits[i, t].softmax(dim=-1) / n
        gradient[i, t, labels[i, t]] -= 1 / n
    return {"value": word_losses(logits, labels, counts).sum() / n, "linked": True, "gradient": gradient}
