"""A tiny GPT: it predicts the next token, under a mask that you choose, with a cache of keys and values.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3 (pre-norm blocks).
"""

import torch
from torch import Tensor, nn

from masklab import masks, validate
from masklab.models.embeddings import Embeddings, positions_of
from masklab.models.inputs import cached_tokens, checked_ids, checked_lengths
from masklab.models.layers import Block
from masklab.models.private import eval_mode, private_seed, seeded
from masklab.models.rows import at_the_right
from masklab.models.sampling import choose
from masklab.text import PAD_ID, word_positions


class GPT(nn.Module):
    """Embeddings → blocks → norm → a logit for each next token.

    Shapes: ``ids`` (B, L) int64 → logits (B, L, vocab_size). ``mask`` bool, True = may attend, is
    (B, heads, L, P+L), each of which may be 1, with P tokens in the cache. None means causal.
    ``positions`` as for `Embeddings`; by default 0, 1, 2 …, going on after the cache: wrong with left padding.
    ``cache``: give ``()`` first, and you get (logits, cache); give that cache with the tokens that follow, and
    the result is the same as for the whole text at once, since keys and values of the past never change.
    Raises TypeError and ValueError for ids, positions or a mask that do not fit, ValueError for a position over
    ``max_len`` − 1 and for the cache of another model or batch.

    >>> model = GPT(10, dim=8)
    >>> text = torch.tensor([[1, 2, 3, 4]])
    >>> logits, cache = model(text[:, :3], cache=())
    >>> last, cache = model(text[:, 3:], cache=cache)
    >>> torch.allclose(last, model(text)[:, 3:], atol=1e-5)
    True
    """

    def __init__(
        self, vocab_size: int, *, dim: int = 32, heads: int = 2, layers: int = 2, max_len: int = 64,
        dropout: float = 0.0, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.heads = heads
        with private_seed(seed):
            self.embed = Embeddings(vocab_size, dim, max_len)
            self.blocks = nn.ModuleList(Block(dim, heads, dropout=dropout) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, ids: Tensor, mask: Tensor | None = None, *, positions: Tensor | None = None, cache=None):
        """Logits (B, L, vocab_size); with a cache, also the longer cache: keys and values of each layer."""
        ids = checked_ids(ids)
        B, L = ids.shape
        width = self.head.in_features // self.heads
        past = cached_tokens(cache, layers=len(self.blocks), batch=B, heads=self.heads, width=width)
        if mask is None:
            mask = masks.causal(offset=past).tensor(queries=L, keys=past + L, device=ids.device)  # (1, 1, L, P+L)
        x = self.embed(ids, positions, start=past)  # (B, L, dim)
        longer = []
        for i, block in enumerate(self.blocks):
            x, keys_values = block(x, mask, cache[i] if cache else None)
            longer.append(keys_values)  # (B, H, P+L, D), twice
        logits = self.head(self.norm(x))  # (B, L, vocab_size)
        return logits if cache is None else (logits, tuple(longer))

    def next_logits(self, ids: Tensor, is_word: Tensor, cache: tuple) -> tuple[Tensor, tuple]:
        """Logits of the token after the last column, (B, vocab_size), and the longer cache.

        Shapes: ``ids`` (B, Q), what the cache does not hold yet; ``is_word`` (B, P+Q) bool, True = a word.
        """
        Q, K = ids.shape[1], is_word.shape[1]
        causal = masks.causal(offset=K - Q).tensor(queries=Q, keys=K, device=ids.device)  # (1, 1, Q, P+Q)
        mask = is_word[:, None, None, :] & causal  # (B, 1, Q, P+Q)
        logits, cache = self(ids, mask, positions=positions_of(is_word)[:, -Q:], cache=cache)  # (B, Q, vocab_size)
        return logits[:, -1], cache  # (B, vocab_size)

    @torch.no_grad()
    def generate(
        self, ids: Tensor, lengths: Tensor | None = None, *, side: str | None = None, max_new_tokens: int,
        stop: int | None = None, temperature: float = 0.0, seed: int = 0,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Write up to ``max_new_tokens`` tokens after each prompt, one cached step at a time, without dropout.

        Shapes: ``ids`` (B, L), prompts of ``lengths`` (B,) words, padded on this ``side`` → the new tokens (B, N) with
        N ≤ max_new_tokens, padded on the right, and how many each sentence has (B,), on the device of ``ids``. A
        sentence ends with its first ``stop``, which counts. ``temperature`` 0 takes the most likely token; above
        0 it divides the logits, and tokens are drawn from a private generator with this ``seed``.
        Raises TypeError and ValueError for what does not fit, and for padding without a side.

        >>> prompts, lengths = torch.tensor([[1, 0, 0], [4, 5, 6]]), torch.tensor([1, 3])
        >>> GPT(10, dim=8).generate(prompts, lengths, side="right", max_new_tokens=4)[1]
        tensor([4, 4])
        """
        validate.at_least(0, max_new_tokens=max_new_tokens)
        ids = checked_ids(ids)
        B, L = ids.shape
        lengths = torch.full((B,), L) if lengths is None else lengths
        lengths = checked_lengths(lengths, batch=B, total=L).cpu()  # (B,)
        generator = seeded(seed)
        going = torch.ones(B, dtype=torch.bool, device=ids.device)
        count = torch.zeros(B, dtype=torch.int64, device=ids.device)
        step, cache, written = at_the_right(ids, lengths, side=side), (), [ids[:, :0]]  # the first step: the prompt
        with eval_mode(self):
            for n in range(max_new_tokens):
                if B == 0 or (stop is not None and not going.any()):
                    break
                is_word = word_positions(lengths + n, total=L + n, side="left").to(ids.device)  # (B, L+n)
                logits, cache = self.next_logits(step, is_word, cache)  # (B, vocab_size)
                chosen = choose(logits, temperature=temperature, generator=generator)  # (B,)
                step = chosen.where(going, PAD_ID)[:, None]  # (B, 1)
                written, count = [*written, step], count + going
                going = going & (chosen != stop) if stop is not None else going
        return torch.cat(written, dim=1), count  # (B, N), (B,)
