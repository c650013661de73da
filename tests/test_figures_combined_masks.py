"""What the pictures of lesson 07 claim is so."""

import torch

from tests.test_figures_scripts import SCRIPTS, load


def test_the_pictures_claim_what_is_so():
    pictures = load(SCRIPTS["combined_masks"]).drawings()
    seen = {drawing.name: {one.title: one for one in drawing.panels} for drawing in pictures}
    for side, empty in {"right": [], "left": [0, 1]}.items():
        padding, causal, both = (one.values for one in seen[side].values())
        assert torch.equal(padding & causal, both)
        assert torch.equal(padding[0], torch.tensor([1, 1, 1, 0, 0]).roll(len(empty)))
        assert (both.sum(dim=1) == 0).nonzero().flatten().tolist() == empty

    scores, mask, masked = (one.values for one in seen["adding"].values())
    assert torch.equal(scores + mask, masked)
    assert torch.equal(mask == 0, seen["right"]["combined"].values == 1)
    weights, values, output = (one.values for one in seen["output"].values())
    torch.testing.assert_close(masked.softmax(dim=-1), weights)
    torch.testing.assert_close(weights @ values, output)

    zeros, uniform, nan = (one.values for one in seen["three_answers"].values())
    assert (zeros[:2] == 0).all() and nan[:2].isnan().all() and (uniform[:2] == 1 / 5).all()
    assert torch.equal(zeros[2:], nan[2:]) and torch.allclose(zeros[2:], uniform[2:])
    assert torch.equal(zeros > 0, seen["left"]["combined"].values == 1)

    encoder, decoder, cross = seen["three_masks"].values()
    for one in (encoder, decoder, cross):
        assert one.blocked[:, -1].all() and one.columns[-1] == "[PAD]"  # the padding of the keys
        assert not one.blocked.all(dim=1).any()
    assert (list(cross.rows), list(cross.columns)) == (list(decoder.rows), list(encoder.columns))
    assert not cross.blocked[:, :-1].any() and decoder.blocked.triu(1).sum() == 10
