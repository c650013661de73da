"""Look inside a model while it runs: every stage of every attention."""

from torch import nn

from masklab.attention import Attention, attend
from masklab.models.layers import Attend


def trace_attention(model: nn.Module, *inputs, **options):
    """Run a model once, and keep what each of its attentions computed on the way.

    Returns the model's output, and a dict from the name of each attention to its `Attention`: scores,
    bias, masked, weights, output. `attend` computes them from the queries, keys, values and mask that
    the attention received, so they are what the fast kernel saw. The name is the attention's place in the
    model, such as ``"blocks.0.attention"``; an attention that is looked at by itself is ``"attention"``.

    An attention that is run twice keeps the last run only; a model in train mode shows dropout (call
    ``model.eval()`` first); a model without attention, as the recurrent networks are, gives an empty dict.

    >>> import torch
    >>> from masklab.models import GPT
    >>> logits, stages = trace_attention(GPT(10, dim=4, heads=2, layers=1), torch.tensor([[1, 2, 3]]))
    >>> list(stages), stages["blocks.0.attention"].weights.shape
    (['blocks.0.attention'], torch.Size([1, 2, 3, 3]))
    """
    stages: dict[str, Attention] = {}

    def keeper(name: str):
        place = "attention" if name in ("", "attend") else name.removesuffix(".attend")
        return lambda module, received, output: stages.update({place: attend(*received)})

    hooks = [
        module.register_forward_hook(keeper(name))
        for name, module in model.named_modules()
        if isinstance(module, Attend)
    ]
    try:
        return model(*inputs, **options), stages
    finally:
        for hook in hooks:
            hook.remove()
