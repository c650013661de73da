"""What the pictures of lesson 05 claim is so."""

import torch

from masklab.panels import number
from tests.test_figures_scripts import SCRIPTS, load


def test_the_pictures_claim_what_is_so():
    pictures = load(SCRIPTS["attention_padding"]).drawings()
    seen = {drawing.name: {one.name: one for one in drawing.panels} for drawing in pictures}
    q, k, scores = (seen["scores"][name].values for name in ("Q", "K", "scores"))
    assert torch.allclose(q @ k / 2, scores, atol=1e-6)
    adding = seen["adding"]
    assert torch.equal(adding["scores"].values + adding["mask"].values, adding["masked"].values)
    weights = seen["softmax"]["weights"]
    assert torch.allclose(seen["softmax"]["masked"].values.softmax(-1), weights.values)
    assert list(weights.row_notes) == [number(1.0)] * 5
    output = seen["output"]
    assert torch.allclose(output["weights"].values @ output["V"].values, output["output"].values)
    assert (output["weights"].values[:, 3:] == 0).all()
    left, right = next(drawing.panels for drawing in pictures if drawing.name == "two_masks")
    assert left.blocked.all(dim=1).tolist() == [False] * 3 + [True] * 2
    assert not right.blocked.all(dim=1).any()
    three = next(drawing.panels for drawing in pictures if drawing.name == "batch")
    assert [int(one.blocked.sum()) for one in three] == [10, 0, 5]
