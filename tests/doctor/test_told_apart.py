"""What looks alike and isn't: rounding and a leak, one mistake and its neighbour, a position and a token."""

import pytest
import torch
from torch import nn

from masklab.doctor import check_model
from masklab.doctor.cache import CACHES
from masklab.doctor.inputs import make_case, other_ids
from masklab.models import GPT
from tests.doctor import zoo

L = zoo.L


def codes_of(mask, ids, **options):
    """The codes of a model of one layer with this mask, (query, key) or with four axes."""
    model = zoo.stack(0, torch.float32, zoo.with_mask(mask), layers=1)
    return check_model(model, ids, **{"allowed": "causal"} | options).codes


# --- Rounding and a leak ----------------------------------------------------------------------------------------------


class Irregular(torch.autograd.Function):
    """Nothing on the way there; on the way back a position gets a little of the one before, never in proportion."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(context, inputs, output):
        pass

    @staticmethod
    def backward(context, slope):
        return slope + 1e-3 * (1e3 * slope).sin().roll(1, dims=1)


def test_what_is_large_and_not_proportional_is_rounding():
    """In size this would be a leak: the second test decides."""
    layer = zoo.Attention(zoo.with_mask(zoo.TRIL))
    report = check_model(lambda x: Irregular.apply(x) + layer(x), zoo.floats(0, torch.float32), allowed="causal")
    assert report.ok, report


def test_a_bias_of_10_is_no_rounding_in_a_text_of_128():
    """The docs page: the limit is 3e-6 there, and such a bias leaks 2e-5 and more."""
    mask = torch.zeros(128, 128).masked_fill(torch.ones(128, 128).triu(1).bool(), -10.0)
    x = torch.randn(2, 128, zoo.D, generator=torch.Generator().manual_seed(0))
    layer = zoo.mixed(0, torch.float32, lambda: zoo.Attention(zoo.with_mask(mask))).layers[0]
    report = check_model(layer, x, allowed="causal")  # there are no ids that could be changed: only the gradients tell
    assert report.codes == ("future-visible",)


def test_without_a_gradient_the_smallest_leak_is_found_by_changes():
    mask = torch.zeros(L, L).masked_fill(~zoo.TRIL, -7.0)
    model = zoo.stack(0, torch.float32, zoo.with_mask(mask))
    assert check_model(lambda ids: model(ids).detach(), zoo.ids_of(0), allowed="causal").codes == ("future-visible",)


# --- A position and a token -------------------------------------------------------------------------------------------


def test_what_depends_on_positions_alone_is_no_leak():
    """The look-up of the positions 0, 1, 2 … is not the tokens', though the ids are the same here."""

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.stack = zoo.stack(0, torch.float32, zoo.with_mask(zoo.TRIL))
            self.where, self.out = nn.Embedding(L, zoo.D), nn.Linear(zoo.D, zoo.V)

        def forward(self, ids):
            return self.stack(ids) + self.out(self.where(torch.arange(L)[None]).mean(dim=1, keepdim=True))

    assert check_model(Positions(), torch.arange(L)[None], allowed="causal").codes == ()


def test_a_word_never_becomes_the_id_of_padding():
    """Where the end and the padding share an id, a model that finds pads by their id would see another text."""
    ids, pad = torch.tensor([[7, 8, 9, 9]]), torch.tensor([[True, True, True, False]])
    assert other_ids(make_case(len, ids, pad), "")[0, :2].tolist() == [8, 7]


# --- One mistake and its neighbour ------------------------------------------------------------------------------------


def test_one_cell_of_the_next_position_is_no_moved_diagonal():
    mask = zoo.TRIL.clone()
    mask[2, 3] = True
    assert codes_of(mask, zoo.ids_of(0)) == ("future-visible",)
    assert codes_of(torch.ones(L, L, dtype=torch.bool).tril(1), zoo.ids_of(0)) == ("off-by-one",)


def test_an_open_future_opens_the_next_document_and_is_told_once():
    """The past document stays closed: nothing is wrong with the documents."""
    mask = zoo.documents() | ~zoo.TRIL
    assert codes_of(mask, zoo.ids_of(0), allowed=zoo.documents()) == ("future-visible",)


def test_an_open_future_opens_the_padding_behind_it_and_is_told_once():
    ids, pad = zoo.padded(0, "right")
    assert codes_of(torch.ones(L, L, dtype=torch.bool), ids, pad=pad) == ("future-visible",)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("hides", [False, True])
def test_a_causal_mask_is_inverted_with_padding_too(side, hides):
    """Whether the pads are hidden or not: they say nothing of which way the words look."""
    ids, pad = zoo.padded(0, side)
    keys = pad[:, None, :] if hides else torch.ones_like(pad)[:, None, :]
    mask = ~zoo.TRIL & keys | torch.eye(L, dtype=torch.bool)
    assert codes_of(mask[:, None], ids, pad=pad) == ("inverted",)


# --- With a cache -----------------------------------------------------------------------------------------------------


def with_cache(several):
    """A model with a cache, and what becomes of its logits where several tokens come after the cache at once."""
    gpt = GPT(zoo.V, dim=8, seed=0)

    def model(ids, cache=None):
        if cache is None:
            return gpt(ids)
        logits, longer = gpt(ids, cache=cache)
        return (several(logits) if cache and ids.shape[1] > 1 else logits), longer

    return model


def test_several_tokens_at_once_after_a_cache_are_tried():
    """Jamba is right with one token at a time, and forgets its state with two."""
    assert check_model(with_cache(lambda logits: logits), zoo.ids_of(0), allowed="causal").codes == ()
    assert check_model(with_cache(lambda logits: logits + 1), zoo.ids_of(0), allowed="causal").codes == (
        "misaligned-cache",
    )


@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("more", [(), ("a loss",)], ids=["pair", "triple"])
def test_a_cache_goes_by_several_names(name, more):
    """As people write it: None means no cache, and what is returned ends in the longer one."""
    gpt = GPT(zoo.V, dim=8, seed=0)

    class Own(nn.Module):
        def __init__(self, wrong):
            super().__init__()
            self.gpt, self.wrong = gpt, wrong

        def step(self, ids, cache):
            logits, longer = self.gpt(ids, cache=cache or ())
            return (logits + self.wrong * bool(cache), *more, longer)

    forward = {}
    exec(f"def forward(self, ids, {name}=None): return self.step(ids, {name})", forward)
    Own.forward = forward["forward"]
    report = check_model(Own(0), zoo.ids_of(0), allowed="causal")
    assert report.codes == () and "with and without a cache" in report.checked
    assert check_model(Own(1), zoo.ids_of(0), allowed="causal").codes == ("misaligned-cache",)


def test_a_leak_is_told_and_not_what_it_makes_of_a_cache():
    gpt, everything = GPT(zoo.V, dim=8, seed=0), torch.ones(1, 1, L, L, dtype=torch.bool)

    def model(ids, cache=None):
        return gpt(ids, everything) if cache is None else gpt(ids, cache=cache)

    report = check_model(model, zoo.ids_of(0), allowed="causal")
    assert report.codes == ("future-visible",) and "not a cache: what was found comes first" in report.checked


# --- Of several, the right one ----------------------------------------------------------------------------------------


def test_what_one_head_may_see_may_be_seen():
    wide, narrow = zoo.TRIL, torch.eye(L, dtype=torch.bool)
    heads = torch.stack([wide] + [narrow] * (zoo.H - 1))[None]
    assert codes_of(heads, zoo.ids_of(0), allowed=heads) == ()


def test_the_panels_show_the_sentence_with_the_leak():
    mask = zoo.TRIL.repeat(zoo.B, 1, 1)
    mask[1] = True
    model = zoo.stack(0, torch.float32, zoo.with_mask(mask[:, None]), layers=1)
    report = check_model(model, zoo.ids_of(0), allowed="causal")
    assert report.codes == ("future-visible",)
    assert all("Sentence 1." in panel.meaning for panel in report.panels)


def test_what_is_added_is_no_gate():
    """A zero that is multiplied lets nothing through; one that is added changes nothing, whatever it is called."""

    class Added(nn.Module):
        def __init__(self, **names):
            super().__init__()
            self.stack = zoo.stack(0, torch.float32, zoo.with_mask(zoo.TRIL))
            for name in names:
                setattr(self, name, nn.Parameter(torch.zeros(zoo.V)))

        def forward(self, ids):
            return self.stack(ids) + sum(self._parameters.values())

    for name in ("beta", "shift", "cls_token"):
        assert check_model(Added(**{name: 0}), zoo.ids_of(0), allowed="causal").codes == ()
