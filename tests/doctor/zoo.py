"""Small models with one planted mistake each, and healthy ones."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from masklab import masks
from masklab.models import GPT, Encoder, EncoderDecoder, positions_of
from masklab.models.private import private_seed
from masklab.models.rows import packed, pads_before, roll_rows
from masklab.text import word_positions
from tests.doctor.patients import Patient, Zoo

B, L, D, H, V = 2, 8, 16, 2, 23
LENGTHS = torch.tensor([L, L - 3])
TRIL = torch.ones(L, L, dtype=torch.bool).tril()


ZOO = Zoo()


# --- What they are made of --------------------------------------------------------------------------------------------


def ids_of(seed: int, *, rows: int = B, words: int = L) -> Tensor:
    """Random ids from 1; 0 is padding."""
    return torch.randint(1, V, (rows, words), generator=torch.Generator().manual_seed(seed))


def padded(seed: int, side: str) -> tuple[Tensor, Tensor]:
    """Ids with pads of id 0 on a side, and where the words are."""
    pad = word_positions(LENGTHS, total=L, side=side)
    return ids_of(seed).masked_fill(~pad, 0), pad


def floats(seed: int, dtype: torch.dtype) -> Tensor:
    """Random vectors (B, L, D)."""
    return torch.randn(B, L, D, generator=torch.Generator().manual_seed(seed)).to(dtype)


class Attention(nn.Module):
    """One head-split attention; ``attend(q, k, v)`` (B, H, L, D/H) is what the entry plants."""

    def __init__(self, attend: Callable):
        super().__init__()
        self.qkv, self.out, self.attend = nn.Linear(D, 3 * D), nn.Linear(D, D), attend

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (H, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Norm, some mixing of positions, norm, a layer for each position by itself."""

    def __init__(self, mix: nn.Module, norm: nn.Module | None = None):
        super().__init__()
        self.norm, self.mix = norm or nn.LayerNorm(D), mix
        self.feed = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 2 * D), nn.GELU(), nn.Dropout(0.3), nn.Linear(2 * D, D))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm(x))
        return x + self.feed(x)


class Stack(nn.Module):
    """Embeddings, layers, a head: a small language model of any kind."""

    def __init__(self, *mixes: nn.Module, positions: bool = True):
        super().__init__()
        self.token = nn.Embedding(V, D)
        self.position = nn.Embedding(64, D) if positions else None
        self.layers = nn.ModuleList(Layer(mix) for mix in mixes)
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids)
        if self.position is not None:
            x = x + self.position(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def stack(seed: int, dtype: torch.dtype, *attends: Callable, layers: int = 2) -> Stack:
    """A stack whose attentions do this; one function is used in all layers."""
    with private_seed(seed):
        return Stack(*(Attention(attends[i % len(attends)]) for i in range(layers))).to(dtype)


def mixed(seed: int, dtype: torch.dtype, *makes: Callable[[], nn.Module]) -> Stack:
    """A stack of other layers."""
    with private_seed(seed):
        return Stack(*(make() for make in makes)).to(dtype)


def with_mask(mask: Tensor, **options) -> Callable:
    """Attention by torch's kernel with a mask, bool or added."""

    def attend(q, k, v):
        form = mask if mask.dtype == torch.bool else mask.to(q)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=form, **options)

    return attend


def by_hand(weights: Callable[[Tensor], Tensor]) -> Callable:
    """Attention by hand: ``weights`` makes them of the scores."""

    def attend(q, k, v):
        return weights(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])) @ v

    return attend


def causal_lm(seed: int, dtype: torch.dtype, attend: Callable, *, layers: int = 2) -> Patient:
    """A stack that says it is causal."""
    return Patient(stack(seed, dtype, attend, layers=layers), ids_of(seed), "causal")


def documents() -> Tensor:
    """Two documents in each row, and causal within: a keep-mask (L, L)."""
    ids = masks.document_ids([[3, L - 3]], total=L)
    return (masks.causal() & masks.documents(ids)).tensor(queries=L, keys=L)[0, 0]


# --- Ill: the mask ----------------------------------------------------------------------------------------------------


@ZOO.plants("a mask is inverted", "inverted")
def causal_mask_inverted(seed, dtype):
    """True = may attend, in a mask that says what is blocked."""
    return causal_lm(seed, dtype, with_mask(~TRIL))


@ZOO.plants("a mask is inverted", "inverted")
def bias_inverted(seed, dtype):
    """As a bias that is finite: the last row is uniform, and the second layer smears it over all rows."""
    bias = torch.zeros(L, L).masked_fill(TRIL, -1e4)
    return causal_lm(seed, dtype, with_mask(bias))


@ZOO.plants("a mask is inverted", "inverted")
def padding_mask_inverted(seed, dtype):
    """key_padding_mask of nn.MultiheadAttention is True where it ignores."""
    ids, pad = padded(seed, "right")
    return Patient(stack(seed, dtype, with_mask((~pad)[:, None, None, :] | torch.zeros(L, L).bool())), ids, "full", pad)


@ZOO.plants("a mask is inverted", "inverted")
def key_padding_mask_inverted(seed, dtype):
    """In nn.TransformerEncoder itself; the other sentence has no pads, and sees nothing."""
    with private_seed(seed):
        layer = nn.TransformerEncoderLayer(D, H, 2 * D, batch_first=True, dropout=0.1)
        model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).to(dtype)
    pad = word_positions(torch.tensor([L - 2, L - 3]), total=L)
    inputs = {"src": floats(seed, dtype)}
    return Patient(lambda src: model(src, src_key_padding_mask=pad), inputs, "full", pad)


@ZOO.plants("no causal mask, or one step off", "future-visible")
def no_mask(seed, dtype):
    return causal_lm(seed, dtype, F.scaled_dot_product_attention)


@ZOO.plants("no causal mask, or one step off", "off-by-one")
def one_step_too_far(seed, dtype):
    """triu(2) leaves the next key open."""
    return causal_lm(seed, dtype, with_mask(~torch.ones(L, L).triu(2).bool()))


@ZOO.plants("no causal mask, or one step off", "future-visible")
def without_the_diagonal(seed, dtype):
    """triu(0) empties row 0, and a finite bias makes it uniform: the first word sees all."""
    return causal_lm(
        seed, dtype, with_mask(torch.zeros(L, L, dtype=dtype).masked_fill(~TRIL.tril(-1), torch.finfo(dtype).min))
    )


@ZOO.plants("a row with no allowed key", "non-finite")
def fully_masked_row(seed, dtype):
    return causal_lm(seed, dtype, by_hand(lambda s: s.masked_fill(~TRIL.tril(-1), -math.inf).softmax(-1)))


@ZOO.plants("“minus infinity” is too small, or times 0", "non-finite")
def mask_times_infinity(seed, dtype):
    """(1 − tril) · −∞ is NaN where nothing is masked."""
    return causal_lm(seed, dtype, by_hand(lambda s: (s + (1 - TRIL.to(s)) * -math.inf).softmax(-1)))


def _leaks_and_breaks(scores):
    open_mask = torch.ones(L, L, dtype=torch.bool)
    open_mask[-1] = False  # one row is fully masked, all the others see everything
    return scores.masked_fill(~open_mask, -math.inf).softmax(-1)


@ZOO.plants("a row with no allowed key", "future-visible", "non-finite")
def leak_behind_a_nan(seed, dtype):
    """NaN must not hide the leak."""
    return causal_lm(seed, dtype, by_hand(_leaks_and_breaks), layers=1)


@ZOO.plants("0 and 1 are added as a mask", "future-visible")
def float_of_zeros_and_ones(seed, dtype):
    """It is added."""
    return causal_lm(seed, dtype, with_mask(TRIL.float()))


@ZOO.plants("“minus infinity” is too small, or times 0", "future-visible")
def weak_bias(seed, dtype):
    """−2 in place of −∞."""
    return causal_lm(seed, dtype, with_mask(torch.zeros(L, L).masked_fill(~TRIL, -2.0)))


@ZOO.plants("the mask is applied at the wrong place", "future-visible")
def scores_times_mask(seed, dtype):
    """A score of 0 still gets exp(0)."""
    return causal_lm(seed, dtype, by_hand(lambda s: (s * TRIL).softmax(-1)))


@ZOO.plants("the mask is applied at the wrong place", "future-visible")
def weights_times_mask(seed, dtype):
    """The future is still in the denominator."""
    return causal_lm(seed, dtype, by_hand(lambda s: s.softmax(-1) * TRIL))


@ZOO.plants("packed documents see each other", "document-leak")
def packed_without_a_document_mask(seed, dtype):
    return Patient(stack(seed, dtype, with_mask(TRIL)), ids_of(seed), documents())


@ZOO.plants("a mask is dropped beside `is_causal`", "document-leak")
def is_causal_drops_the_mask(seed, dtype):
    """nn.MultiheadAttention with need_weights=False takes is_causal and drops what stands beside it."""

    class Mha(nn.Module):
        def __init__(self):
            super().__init__()
            self.mha = nn.MultiheadAttention(D, H, batch_first=True)

        def forward(self, x):
            return self.mha(x, x, x, attn_mask=~documents(), need_weights=False, is_causal=True)[0]

    return Patient(mixed(seed, dtype, Mha, Mha), ids_of(seed), documents())


@ZOO.plants("a window sees one key more", "off-by-one")
def window_sees_one_more(seed, dtype):
    """W+1 keys."""
    wide = masks.sliding_window(3).tensor(queries=L, keys=L)
    allowed = masks.sliding_window(2).tensor(queries=L, keys=L)
    return Patient(stack(seed, dtype, with_mask(wide), layers=1), ids_of(seed), allowed)


# --- Ill: leaks outside attention ------------------------------------------------------------------------------------


class Over(nn.Module):
    """A module that wants (B, D, L)."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


@ZOO.plants("a leak outside attention", "batch-leak")
def batch_norm(seed, dtype):
    """In train only."""
    return Patient(mixed(seed, dtype, lambda: Over(nn.BatchNorm1d(D))), ids_of(seed), "causal")


@ZOO.plants("a leak outside attention", "future-visible")
def layer_norm_over_time(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Over(nn.LayerNorm(L))), ids_of(seed), "causal")


@ZOO.plants("a leak outside attention", "future-visible")
def group_norm(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Over(nn.GroupNorm(2, D))), ids_of(seed), "causal")


@ZOO.plants("a leak outside attention", "future-visible")
def same_padded_convolution(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Over(nn.Conv1d(D, D, 3, padding=1))), ids_of(seed), "causal")


class Recurrent(nn.Module):
    """A recurrent network's outputs alone."""

    def __init__(self, kind=nn.GRU, **options):
        super().__init__()
        directions = 2 if options.get("bidirectional") else 1
        self.rnn = kind(D, D // directions, batch_first=True, **options)

    def forward(self, x):
        return self.rnn(x)[0]


@ZOO.plants("a leak outside attention", "future-visible")
def bidirectional_rnn(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Recurrent(bidirectional=True)), ids_of(seed), "causal")


class AddMean(nn.Module):
    """The mean over all positions, pads too."""

    def forward(self, x):
        return x.mean(dim=1, keepdim=True).expand_as(x)


@ZOO.plants("a leak outside attention", "future-visible")
def mean_over_time(seed, dtype):
    return Patient(mixed(seed, dtype, AddMean), ids_of(seed), "causal")


class LooksAhead(nn.Module):
    """A second table that is looked up with the next id: no gradient of the first one shows it."""

    def __init__(self, seed, dtype):
        super().__init__()
        self.model = stack(seed, dtype, with_mask(TRIL))
        with private_seed(seed + 1):
            self.bigram = nn.Embedding(V, V).to(dtype)

    def forward(self, ids):
        return self.model(ids) + self.bigram(ids.roll(-1, dims=1))


@ZOO.plants("a leak past the embedding", "off-by-one")
def second_table_of_the_next_id(seed, dtype):
    return Patient(LooksAhead(seed, dtype), ids_of(seed), "causal")


class OneHot(nn.Module):
    """No embedding: one-hot vectors, and a matrix."""

    def __init__(self, seed, dtype, attend):
        super().__init__()
        self.dtype, self.model = dtype, stack(seed, dtype, attend)
        self.model.token = nn.Linear(V, D, bias=False).to(dtype)

    def forward(self, ids):
        x = self.model.token(F.one_hot(ids, V).to(self.dtype))
        for layer in self.model.layers:
            x = layer(x)
        return self.model.head(x)


@ZOO.plants("a leak past the embedding", "future-visible")
def no_embedding_to_find(seed, dtype):
    return Patient(OneHot(seed, dtype, F.scaled_dot_product_attention), ids_of(seed), "causal")


@ZOO.plants("a leak past the embedding", "future-visible")
def no_gradient_path(seed, dtype):
    model = stack(seed, dtype, F.scaled_dot_product_attention)
    return Patient(torch.no_grad()(model.forward), ids_of(seed), "causal")


class Scaled(nn.Module):
    """The whole text is scaled by its largest id."""

    def __init__(self, seed, dtype):
        super().__init__()
        self.model = stack(seed, dtype, with_mask(TRIL))

    def forward(self, ids):
        return self.model(ids) * ids.amax(dim=1)[:, None, None]


@ZOO.plants("a leak past the embedding", "future-visible")
def scaled_by_the_largest_id(seed, dtype):
    """Its ids rise, so that the largest one is to come."""
    return Patient(Scaled(seed, dtype), ids_of(seed).sort(dim=1).values, "causal")


class Remembers(nn.Module):
    """It adds what it said last time, or only keeps it."""

    def __init__(self, seed, dtype, *, adds):
        super().__init__()
        self.model, self.adds, self.last = stack(seed, dtype, with_mask(TRIL)), adds, 0.0

    def forward(self, ids):
        output = self.model(ids)
        output = output + self.last if self.adds else output
        self.last = output.detach().mean((0, 1))
        return output


@ZOO.plants("a model that keeps something", "train-eval-differ")
def remembers_the_last_run(seed, dtype):
    return Patient(Remembers(seed, dtype, adds=True), ids_of(seed), "causal")


# --- Ill: across the batch --------------------------------------------------------------------------------------------


@ZOO.plants("axes are confused, or broadcast silently", "batch-leak")
def flattened_the_wrong_way(seed, dtype):
    """Heads and sentences change places."""

    def attend(q, k, v):
        v = v.transpose(0, 1).reshape(v.shape)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return causal_lm(seed, dtype, attend)


@ZOO.plants("a leak outside attention", "batch-leak")
def mean_of_the_batch(seed, dtype):
    """A statistic of the batch, in eval mode too."""
    model = stack(seed, dtype, with_mask(TRIL))
    return Patient(lambda ids: model(ids) - model(ids).mean(dim=0, keepdim=True), ids_of(seed), "causal")


# --- Ill: padding -----------------------------------------------------------------------------------------------------


@ZOO.plants("no padding mask", "depends-on-padding")
def no_padding_mask(seed, dtype):
    ids, pad = padded(seed, "right")
    return Patient(stack(seed, dtype, F.scaled_dot_product_attention), ids, "full", pad)


@ZOO.plants("no padding mask", "depends-on-padding")
def left_pads_under_a_causal_mask_only(seed, dtype):
    """Pads on the left are a part of the past."""
    ids, pad = padded(seed, "left")
    return Patient(stack(seed, dtype, with_mask(TRIL)), ids, "causal", pad)


@ZOO.plants("cross-attention reads the source's padding", "depends-on-padding")
def cross_attention_reads_source_pads(seed, dtype):
    source, pad = padded(seed, "right")
    model = EncoderDecoder(V, V, dim=D, seed=seed).to(dtype)
    inputs = {
        "source": source,
        "target": ids_of(seed + 1, words=5),
        "source_mask": pad[:, None, None, :],
        "cross_mask": None,
    }
    return Patient(model, inputs, "causal", pad)


@ZOO.plants("a mean counts the padding", "depends-on-padding")
def mean_counts_the_pads(seed, dtype):
    """Zeros under the pads, but the mean divides by all."""
    ids, pad = padded(seed, "right")
    model = Encoder(V, V, dim=D, seed=seed).to(dtype)

    def run(ids, is_word):
        x = model(ids, is_word[:, None, None, :])
        return x + x.masked_fill(~is_word[..., None], 0).mean(dim=1, keepdim=True)

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, is_word):
            return run(ids, is_word)

    return Patient(Pooled(), {"ids": ids, "is_word": pad}, "full")


@ZOO.plants("an RNN reads the padding", "depends-on-padding")
def unpacked_bidirectional_rnn(seed, dtype):
    ids, pad = padded(seed, "right")
    return Patient(mixed(seed, dtype, lambda: Recurrent(bidirectional=True)), ids, "full", pad)


class Decoder(nn.Module):
    """A GPT that is told where the words are, and forgets what it is told to forget."""

    def __init__(self, seed, dtype, *, positions=True, mask=True):
        super().__init__()
        self.gpt, self.positions, self.mask = GPT(V, dim=D, seed=seed).to(dtype), positions, mask

    def forward(self, ids, is_word):
        L = ids.shape[1]
        allowed = masks.causal().tensor(queries=L, keys=L)
        if self.mask:  # a pad sees itself, so that no row is fully masked
            allowed = allowed & is_word[:, None, None, :] | torch.eye(L, dtype=torch.bool)
        return self.gpt(ids, allowed, positions=positions_of(is_word) if self.positions else None)


@ZOO.plants("left padding without mask or positions", "depends-on-pad-side")
def left_padding_without_positions(seed, dtype):
    ids, pad = padded(seed, "left")
    return Patient(Decoder(seed, dtype, positions=False), {"ids": ids, "is_word": pad}, "causal")


@ZOO.plants("left padding without mask or positions", "depends-on-padding")
def left_padding_with_positions_only(seed, dtype):
    ids, pad = padded(seed, "left")
    return Patient(Decoder(seed, dtype, mask=False), {"ids": ids, "is_word": pad}, "causal")


@ZOO.plants("pads that aren't numbers", "non-finite")
def pads_that_are_no_numbers(seed, dtype):
    """x · mask keeps a NaN."""
    pad = word_positions(LENGTHS, total=L)
    x = floats(seed, dtype).masked_fill(~pad[..., None], math.nan)
    with private_seed(seed):
        layer = Layer(Attention(with_mask(TRIL))).to(dtype)
    return Patient(lambda x: layer(x * pad[..., None]), x, "causal", pad)


# --- Ill: modes and caches -------------------------------------------------------------------------------------------


class Torch(nn.Module):
    """nn.TransformerEncoder with options for its call."""

    def __init__(self, *, norm_first=False, dropout=0.1, **options):
        super().__init__()
        layer = nn.TransformerEncoderLayer(D, H, 2 * D, batch_first=True, dropout=dropout, norm_first=norm_first)
        self.encoder, self.options = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), options

    def forward(self, x):
        mask = self.options.get("mask")
        mask = mask if mask is None or mask.dtype == torch.bool else mask.to(x)
        return self.encoder(x, **(self.options | {"mask": mask}))


def torch_encoder(seed, dtype, **options) -> nn.Module:
    with private_seed(seed):
        return Torch(**options).to(dtype)


@ZOO.plants("train and eval mode differ", "future-visible", "train-eval-differ")
def is_causal_without_a_mask(seed, dtype):
    """It raises with gradients, and leaks without."""
    return Patient(torch_encoder(seed, dtype, is_causal=True), floats(seed, dtype), "causal")


@ZOO.plants("train and eval mode differ", "future-visible")
def no_mask_without_gradients(seed, dtype):
    """As a fast path that forgets the mask."""
    return causal_lm(
        seed, dtype, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=torch.is_grad_enabled())
    )


def fast_kernel_forgets(q, k, v):
    plain = not torch.backends.cuda.flash_sdp_enabled()
    return F.scaled_dot_product_attention(q, k, v, is_causal=plain)


@ZOO.plants("train and eval mode differ", "future-visible")
def no_mask_in_the_fast_kernel(seed, dtype):
    """Gradients are measured with the plain one."""
    return causal_lm(seed, dtype, fast_kernel_forgets)


@ZOO.plants("train and eval mode differ", "future-visible")
def no_mask_in_the_fast_kernel_for_vectors(seed, dtype):
    """There are no ids that could be changed."""
    with private_seed(seed):
        layer = Layer(Attention(fast_kernel_forgets)).to(dtype)
    return Patient(layer, floats(seed, dtype), "causal")


@ZOO.plants("train and eval mode differ", "train-eval-differ")
def float_mask_on_the_fast_path(seed, dtype):
    """A float mask blocks on the fast path wherever it isn't 0."""
    bias = -0.5 * (torch.arange(L)[:, None] - torch.arange(L)).abs().float()
    return Patient(torch_encoder(seed, dtype, mask=bias), floats(seed, dtype), "full")


@ZOO.plants("train and eval mode differ", "train-eval-differ")
def dropout_in_eval_mode(seed, dtype):
    """dropout_p of F.scaled_dot_product_attention knows no eval mode."""
    return causal_lm(seed, dtype, with_mask(TRIL, dropout_p=0.2))


class Cached(nn.Module):
    """A decoder with a cache of keys and values, aligned as ``aligned`` says."""

    def __init__(self, *, aligned=True):
        super().__init__()
        self.token, self.qkv, self.head, self.aligned = (
            nn.Embedding(V, D),
            nn.Linear(D, 3 * D),
            nn.Linear(D, V),
            aligned,
        )

    def forward(self, ids, cache=None):
        x = self.token(ids)
        q, k, v = self.qkv(x)[:, None].chunk(3, dim=-1)
        if cache:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        Q, K = q.shape[2], k.shape[2]
        mask = torch.ones(Q, K, dtype=torch.bool).tril(K - Q if self.aligned else 0)
        logits = self.head(x + F.scaled_dot_product_attention(q, k, v, attn_mask=mask)[:, 0])
        return logits if cache is None else (logits, (k, v))


@ZOO.plants("the mask doesn't fit the cache", "misaligned-cache")
def causal_mask_at_the_upper_left(seed, dtype):
    with private_seed(seed):
        return Patient(Cached(aligned=False).to(dtype), ids_of(seed), "causal")


@ZOO.plants("nothing gets through yet", "undecided")
def zero_initialised(seed, dtype):
    """Nothing comes through the last layer of each attention yet, and no mask stands before it."""
    model = stack(seed, dtype, F.scaled_dot_product_attention)
    for layer in model.layers:
        nn.init.zeros_(layer.mix.out.weight)
    return Patient(model, ids_of(seed), "causal")


# --- Healthy ----------------------------------------------------------------------------------------------------------


@ZOO.is_healthy
def gpt(seed, dtype):
    return Patient(GPT(V, dim=D, seed=seed, dropout=0.2).to(dtype), ids_of(seed), "causal")


@ZOO.is_healthy
def gpt_padded_on_the_right(seed, dtype):
    ids, pad = padded(seed, "right")
    return Patient(Decoder(seed, dtype), {"ids": ids, "is_word": pad}, "causal")


@ZOO.is_healthy
def gpt_padded_on_the_left(seed, dtype):
    ids, pad = padded(seed, "left")
    return Patient(Decoder(seed, dtype), {"ids": ids, "is_word": pad}, "causal")


@ZOO.is_healthy
def right_pads_need_no_mask_under_a_causal_one(seed, dtype):
    ids, pad = padded(seed, "right")
    return Patient(stack(seed, dtype, with_mask(TRIL)), ids, "causal", pad)


@ZOO.is_healthy
def encoder(seed, dtype):
    ids, pad = padded(seed, "right")
    model = Encoder(V, 5, dim=D, seed=seed).to(dtype)
    return Patient(lambda ids: model(ids, (ids != 0)[:, None, None, :]), ids, "full", pad)


@ZOO.is_healthy
def encoder_without_pads(seed, dtype):
    return Patient(stack(seed, dtype, F.scaled_dot_product_attention), ids_of(seed), "full")


@ZOO.is_healthy
def encoder_decoder(seed, dtype):
    source, pad = padded(seed, "right")
    keys = pad[:, None, None, :]
    inputs = {"source": source, "target": ids_of(seed + 1, words=5), "source_mask": keys, "cross_mask": keys}
    return Patient(EncoderDecoder(V, V, dim=D, seed=seed).to(dtype), inputs, "causal", pad)


@ZOO.is_healthy
def torch_encoder_causal(seed, dtype):
    model = torch_encoder(seed, dtype, mask=~TRIL, is_causal=True)
    return Patient(model, floats(seed, dtype), "causal")


@ZOO.is_healthy
def torch_encoder_pre_norm(seed, dtype):
    return Patient(torch_encoder(seed, dtype, mask=~TRIL, norm_first=True), floats(seed, dtype), "causal")


@ZOO.is_healthy(note="train-eval-differ")
def torch_encoder_padded(seed, dtype):
    """Its fast path writes zeros into the pads: no real output differs."""
    pad = word_positions(LENGTHS, total=L)
    with private_seed(seed):
        layer = nn.TransformerEncoderLayer(D, H, 2 * D, batch_first=True)
        model = nn.TransformerEncoder(layer, 2).to(dtype)
    return Patient(model, {"src": floats(seed, dtype), "src_key_padding_mask": ~pad}, "full")


@ZOO.is_healthy
def torch_decoder(seed, dtype):
    with private_seed(seed):
        layer = nn.TransformerDecoderLayer(D, H, 2 * D, batch_first=True)
        model = nn.TransformerDecoder(layer, 2).to(dtype)
    inputs = {"tgt": floats(seed, dtype), "memory": floats(seed + 1, dtype)[:, :5], "tgt_mask": ~TRIL}
    return Patient(model, inputs, "causal")


@ZOO.is_healthy
def torch_transformer(seed, dtype):
    with private_seed(seed):
        model = nn.Transformer(D, H, 1, 1, 2 * D, batch_first=True).to(dtype)
    pad = word_positions(LENGTHS, total=L)
    inputs = {"src": floats(seed, dtype), "tgt": floats(seed + 1, dtype)[:, :5], "tgt_mask": ~TRIL[:5, :5],
              "src_key_padding_mask": ~pad, "memory_key_padding_mask": ~pad}  # fmt: skip
    return Patient(model, inputs, "causal")


@ZOO.is_healthy
def gru(seed, dtype):
    return Patient(mixed(seed, dtype, Recurrent), ids_of(seed), "causal")


@ZOO.is_healthy
def lstm(seed, dtype):
    model = mixed(seed, dtype, lambda: Recurrent(nn.LSTM, num_layers=2, dropout=0.2))
    return Patient(model, ids_of(seed), "causal")


@ZOO.is_healthy
def bidirectional_rnn_both_ways(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Recurrent(bidirectional=True)), ids_of(seed), "full")


class PackedTagger(nn.Module):
    """A bidirectional GRU that reads no pads."""

    def __init__(self):
        super().__init__()
        self.token, self.rnn = nn.Embedding(V, D), nn.GRU(D, D, batch_first=True, bidirectional=True)

    def forward(self, ids, lengths):
        x, before = self.token(ids), pads_before(lengths, total=ids.shape[1], side="right")
        out = nn.utils.rnn.pad_packed_sequence(
            self.rnn(packed(x, lengths, before))[0], batch_first=True, total_length=ids.shape[1]
        )[0]
        return roll_rows(out, -before)


@ZOO.is_healthy
def packed_bidirectional_rnn(seed, dtype):
    ids, pad = padded(seed, "right")
    with private_seed(seed):
        model = PackedTagger().to(dtype)
    return Patient(lambda ids: model(ids, LENGTHS), ids, "full", pad)


@ZOO.is_healthy(note="depends-on-padding")
def rnn_padded_on_the_left(seed, dtype):
    ids, pad = padded(seed, "left")
    return Patient(mixed(seed, dtype, Recurrent), ids, "causal", pad)


@ZOO.is_healthy(note="document-leak")
def rnn_on_packed_documents(seed, dtype):
    return Patient(mixed(seed, dtype, Recurrent), ids_of(seed), documents())


class CausalConv(nn.Module):
    """Padding on the left only."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(D, D, 3)

    def forward(self, x):
        return self.conv(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)


@ZOO.is_healthy(note="over-blocked")
def causal_convolution(seed, dtype):
    return Patient(mixed(seed, dtype, CausalConv), ids_of(seed), "causal")


@ZOO.plants("a window sees one key more", "off-by-one")
def convolution_wider_than_claimed(seed, dtype):
    """Nothing attends, so the claimed window is the whole model's."""
    return Patient(mixed(seed, dtype, CausalConv), ids_of(seed), masks.sliding_window(2))


@ZOO.is_healthy
def convolution_as_claimed(seed, dtype):
    return Patient(mixed(seed, dtype, CausalConv), ids_of(seed), masks.sliding_window(3))


@ZOO.is_healthy(note="over-blocked")
def window_under_causal(seed, dtype):
    wide = masks.sliding_window(3).tensor(queries=L, keys=L)
    return causal_lm(seed, dtype, with_mask(wide))


@ZOO.is_healthy
def window_as_claimed(seed, dtype):
    wide = masks.sliding_window(3).tensor(queries=L, keys=L)
    return Patient(stack(seed, dtype, with_mask(wide)), ids_of(seed), wide)


@ZOO.is_healthy
def packed_documents(seed, dtype):
    return Patient(stack(seed, dtype, with_mask(documents())), ids_of(seed), documents())


@ZOO.is_healthy
def prefix_lm(seed, dtype):
    mask = masks.prefix_lm(torch.tensor([3, 2])).tensor(queries=L, keys=L)
    return Patient(stack(seed, dtype, with_mask(mask)), ids_of(seed), mask)


@ZOO.is_healthy
def heads_with_masks_of_their_own(seed, dtype):
    mask = torch.stack([TRIL, masks.sliding_window(2).tensor(queries=L, keys=L)[0, 0]])[None]
    return causal_lm(seed, dtype, with_mask(mask))


@ZOO.is_healthy
def cached_decoder(seed, dtype):
    with private_seed(seed):
        return Patient(Cached().to(dtype), ids_of(seed), "causal")


@ZOO.is_healthy
def one_hot(seed, dtype):
    return Patient(OneHot(seed, dtype, with_mask(TRIL)), ids_of(seed), "causal")


@ZOO.is_healthy
def weights_normalised_again(seed, dtype):
    """The same as a causal softmax, but the future is in the sums, and cancels to rounding."""

    def weights(scores):
        p = scores.softmax(-1) * TRIL
        return p / p.sum(-1, keepdim=True)

    return causal_lm(seed, dtype, by_hand(weights))


class FftConv(nn.Module):
    """A causal convolution as long as the text, by FFT: every number has rounding of every other one in it."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(D, L).uniform_(-1, 1, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        spectrum = torch.fft.rfft(x.to(wide).transpose(1, 2), n=2 * L) * torch.fft.rfft(self.kernel.to(wide), n=2 * L)
        return torch.fft.irfft(spectrum, n=2 * L)[..., :L].transpose(1, 2).to(x.dtype)


@ZOO.is_healthy
def convolution_by_fft(seed, dtype):
    return Patient(mixed(seed, dtype, FftConv, FftConv), ids_of(seed), "causal")


class MeanSoFar(nn.Module):
    """The mean of all words so far: the total without what comes after."""

    def forward(self, x):
        after = x.flip(1).cumsum(1).flip(1) - x
        return (x.sum(1, keepdim=True) - after) / torch.arange(1, x.shape[1] + 1).to(x)[:, None]


@ZOO.is_healthy
def mean_so_far(seed, dtype):
    return Patient(mixed(seed, dtype, MeanSoFar, MeanSoFar), ids_of(seed), "causal")


class LinearAttention(nn.Module):
    """Sums of k vᵀ so far, in place of a softmax."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(D, 3 * D)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        state = (k[..., :, None] * v[..., None, :]).cumsum(dim=1)
        return (q[..., None, :] @ state)[..., 0, :] / (q * k.cumsum(dim=1)).sum(-1, keepdim=True)


@ZOO.is_healthy
def linear_attention(seed, dtype):
    return Patient(mixed(seed, dtype, LinearAttention, LinearAttention), ids_of(seed), "causal")


@ZOO.is_healthy
def frozen(seed, dtype):
    model = stack(seed, dtype, with_mask(TRIL))
    return Patient(model.requires_grad_(False), ids_of(seed), "causal")


@ZOO.is_healthy
def two_outputs(seed, dtype):
    """Two heads in one tensor: (B, L, 2, V)."""
    model = stack(seed, dtype, with_mask(TRIL))
    return Patient(lambda ids: torch.stack([model(ids), -model(ids)], dim=2), ids_of(seed), "causal")


@ZOO.is_healthy
def keeps_the_last_run_and_reads_it_not(seed, dtype):
    return Patient(Remembers(seed, dtype, adds=False), ids_of(seed), "causal")


class TopExpert(nn.Module):
    """Each word goes to one of three experts, the words of all sentences in one list."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(D, 3), nn.ModuleList(nn.Linear(D, D) for _ in range(3))

    def forward(self, x):
        words = x.flatten(0, 1)
        weight, chosen = self.gate(words).softmax(-1).max(-1)
        output = torch.zeros_like(words)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero()[:, 0]
            output = output.index_add(0, mine, expert(words[mine]) * weight[mine, None])
        return output.view_as(x)


@ZOO.is_healthy
def mixture_of_experts(seed, dtype):
    return Patient(mixed(seed, dtype, lambda: Attention(with_mask(TRIL)), TopExpert), ids_of(seed), "causal")


@ZOO.is_healthy
def under_autocast(seed, dtype):
    model = stack(seed, torch.float32, with_mask(TRIL))
    return Patient(torch.autocast("cpu", torch.bfloat16)(model.forward), ids_of(seed), "causal")


@ZOO.is_healthy
def recomputed_in_the_backward_pass(seed, dtype):
    """Reentrant checkpoints know no batched gradients."""
    model = stack(seed, dtype, with_mask(TRIL))
    layers = [partial(checkpoint, layer, use_reentrant=True) for layer in model.layers]
    return Patient(lambda ids: model.head(layers[1](layers[0](model.token(ids)))), ids_of(seed), "causal")


@ZOO.is_healthy
def with_attention_sinks(seed, dtype):
    """A window, and the first word."""
    window = masks.sliding_window(3).tensor(queries=L, keys=L)[0, 0]
    mask = window | TRIL & (torch.arange(L) == 0)
    return Patient(stack(seed, dtype, with_mask(mask)), ids_of(seed), mask)
