"""A tiny GPT: it predicts the next token, under a mask that you choose, with a cache of keys and values.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3 (pre-norm blocks).
"""

import torch
from torch import Tensor, nn

from masklab import masks
from masklab.models.layers import Block, Embeddings, positions_of
from masklab.models.private import private_seed
from masklab.text import PAD_ID, word_positions


def choose(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """The next token: the most likely one at temperature 0, else one drawn from softmax(logits / temperature).

    Shapes: ``logits`` (B, vocabulary) → (B,) int64.

    >>> choose(torch.tensor([[0.0, 2.0, 1.0]]), temperature=0, generator=torch.Generator())
    tensor([1])
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    return torch.multinomial((logits / temperature).softmax(dim=-1), 1, generator=generator)[:, 0]


class GPT(nn.Module):
    """Embeddings → blocks → norm → a logit for each next token.

    Shapes: ``ids`` (B, L) int64 → logits (B, L, vocabulary). ``mask`` bool, True = may attend, is (L, P+L) or
    (B, 1 or heads, L, P+L), each of which may be 1, with P tokens in the cache. None means causal.
    ``positions`` as for `Embeddings`; by default 0, 1, 2 …, going on after the cache: wrong with left padding.
    ``cache``: give ``()`` first, and you get (logits, cache); give that cache with the tokens that follow, and
    the result is the same as for the whole text at once, since keys and values of the past never change.
    Raises TypeError and ValueError for a mask that does not fit, ValueError for a position over ``longest`` − 1.

    >>> model = GPT(10, dim=8)
    >>> text = torch.tensor([[1, 2, 3, 4]])
    >>> logits, cache = model(text[:, :3], cache=())
    >>> last, cache = model(text[:, 3:], cache=cache)
    >>> torch.allclose(last, model(text)[:, 3:], atol=1e-5)
    True
    """

    def __init__(
        self, vocabulary: int, *, dim: int = 32, heads: int = 2, layers: int = 2, longest: int = 64,
        dropout: float = 0.0, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        with private_seed(seed):
            self.embed = Embeddings(vocabulary, dim, longest)
            self.blocks = nn.ModuleList(Block(dim, heads, dropout=dropout) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, vocabulary, bias=False)

    def forward(self, ids: Tensor, mask: Tensor | None = None, *, positions: Tensor | None = None, cache=None):
        """Logits (B, L, vocabulary); with a cache, also the longer cache: keys and values of each layer."""
        B, L = ids.shape
        past = cache[0][0].shape[2] if cache else 0  # how many tokens the cache holds
        if mask is None:
            mask = masks.causal(offset=past).tensor(queries=L, keys=past + L)  # (1, 1, L, P+L)
        x = self.embed(ids, positions, start=past)  # (B, L, dim)
        longer = []
        for i, block in enumerate(self.blocks):
            x, keys_values = block(x, mask, cache[i] if cache else None)
            longer.append(keys_values)  # (B, H, P+L, D), twice
        logits = self.head(self.norm(x))  # (B, L, vocabulary)
        return logits if cache is None else (logits, tuple(longer))

    @torch.no_grad()
    def generate(
        self, ids: Tensor, lengths: Tensor | None = None, *, new: int, stop: int | None = None,
        temperature: float = 0.0, seed: int = 0,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Write up to ``new`` tokens after each prompt, one cached step at a time.

        Shapes: ``ids`` (B, L), with prompts of ``lengths`` (B,) words padded on the *left*, so that all end in
        the last column → the new tokens (B, N) with N ≤ new, padded on the right, and how many each sentence
        has (B,). A sentence ends with its first ``stop``, which counts. ``temperature`` 0 takes the most
        likely token; above 0 it divides the logits, and draws from a generator of its own with this seed.
        Raises ValueError for an empty prompt or a negative temperature.

        >>> GPT(10, dim=8).generate(torch.tensor([[0, 0, 1], [4, 5, 6]]), torch.tensor([1, 3]), new=4)[1]
        tensor([4, 4])
        """
        B, L = ids.shape
        lengths = torch.full((B,), L) if lengths is None else lengths
        if lengths.min() < 1 or temperature < 0:
            raise ValueError(
                "every prompt must have a word and temperature must be at least 0, "
                f"and lengths are {lengths.tolist()} and temperature is {temperature}."
            )
        generator = torch.Generator().manual_seed(seed)
        going, count = torch.ones(B, dtype=torch.bool), torch.zeros(B, dtype=torch.int64)
        step, cache, written = ids, (), [ids[:, :0]]
        for n in range(new):
            word = word_positions(lengths + n, total=L + n, side="left")  # (B, L+n), True for all that was written
            Q = step.shape[1]  # L at first, then 1
            mask = word[:, None, None, :] & masks.causal(offset=L + n - Q).tensor(queries=Q, keys=L + n)
            logits, cache = self(step, mask, positions=positions_of(word)[:, -Q:], cache=cache)  # (B, Q, vocabulary)
            step = choose(logits[:, -1], temperature=temperature, generator=generator).where(going, PAD_ID)[:, None]
            written, count = [*written, step], count + going
            if stop is not None:
                going = going & (step[:, 0] != stop)
            if not going.any():
                break
        return torch.cat(written, dim=1), count  # (B, N), (B,)
