"""Whether a model that keeps keys and values in a cache says the same as without."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from masklab.doctor.dependence import differ
from masklab.doctor.exam import LEAKS, Exam, in_mode
from masklab.doctor.inputs import OF_THE_TARGET, Case, Watch, call, features
from masklab.doctor.report import finding
from masklab.doctor.undisturbed import seed_all
from masklab.doctor.words import token

CACHES = ("past_key_values", "cache", "kv_cache", "past_kv", "past")  # what people call the parameter


def look_at_cache(exam: Exam) -> None:
    """Does a model that keeps a cache say the same as without?

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> look_at_cache(exam)
    >>> exam.checked
    ["not a cache: none was found, or it can't be read in pieces"]
    """
    causal = not exam.claim.reach.triu(1).any()
    if not causal:
        return
    if exam.has(*LEAKS, "non-finite", "depends-on-pad-side"):
        exam.checked.append("not a cache: what was found comes first")
        return
    mode = exam.first
    with in_mode(exam.case, mode):
        hit = _cached(exam.case, exam.outputs[mode], exam.tolerance)
    if hit is None:
        exam.checked.append("not a cache: none was found, or it can't be read in pieces")
        return
    exam.checked.append("with and without a cache")
    if hit.any():
        b, i = hit.nonzero()[0].tolist()
        says = f"With a cache the output at {token(exam.case, b, i)} of sentence {b} differs from the one without."
        fix = "mask = torch.ones(L, S).bool().tril(S - L), positions = torch.arange(S - L, S)  # L new of S tokens"
        exam.found.append(finding("misaligned-cache", says, where=f"sentence {b}, output {i}", fix=fix))


def _cached(case: Case, base: Tensor, tolerance: float) -> Tensor | None:
    """Which real outputs (B, L) differ when the text is read in three pieces with a cache; None: there is no cache."""
    names = _parameters(case)
    style = next((name for name in CACHES if name in names), None)
    if style is None or case.x.is_floating_point() or case.x.shape[1] < 4 or case.inputs.get("use_cache") is False:
        return None
    options = {"use_cache": True} if "use_cache" in names else {}
    for first in (None, ()):  # where no option asks for a cache, an empty one may
        output = _in_pieces(case, style, first, options)
        if output is not None and output.shape == base.shape:
            return differ(output, base, tolerance) & case.words
    return None


def _in_pieces(case: Case, style: str, cache: Any, options: dict[str, Any]) -> Tensor | None:
    """The outputs (B, L, features) when the text is read in three pieces; None where that can't be done."""
    L = case.x.shape[1]
    parts = []
    for start, end in ((0, L - 3), (L - 3, L - 1), (L - 1, L)):  # a text, some tokens at once, one token
        inputs = {name: _piece(case, name, value, start, end) for name, value in case.inputs.items()}
        try:
            output, cache = _step(case, inputs, **{style: cache}, **options)
            parts.append(features(output, inputs[case.main]))
        except Exception:  # it wants its cache in another form
            return None
        if cache is None:
            return None
    return torch.cat(parts, dim=1)


def _parameters(case: Case) -> tuple[str, ...]:
    """The names of what the model can be called with."""
    run = case.model.forward if isinstance(case.model, nn.Module) else case.model
    try:
        return tuple(inspect.signature(run).parameters)
    except (TypeError, ValueError):
        return ()


def _step(case: Case, inputs: dict[str, Any], **options: Any) -> tuple[Any, Any]:
    """One call with a cache: what comes out, and the longer cache, an attribute or the last one of a tuple."""
    seed_all(0)
    with Watch():
        output = call(case.model, inputs, **options)
    if isinstance(output, tuple) and len(output) > 1:
        return output[0], output[-1]
    return output, getattr(output, "past_key_values", None)


def _piece(case: Case, name: str, value: Any, start: int, end: int) -> Any:
    """The part of an input that belongs to the positions from start to end; masks of keys reach from 0."""
    L = case.x.shape[1]
    if not isinstance(value, Tensor):
        return value
    if case.main != case.padded and not name.startswith(OF_THE_TARGET):
        return value  # the source is read whole
    if value.ndim == 4 and value.shape[-2:] == (L, L):
        return value[:, :, start:end, :end]
    if name in ("attention_mask", "decoder_attention_mask", "is_word") and value.ndim == 2:
        return value[:, :end]
    return value[:, start:end] if value.ndim >= 2 and value.shape[1] == L else value
