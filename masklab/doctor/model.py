"""The doctor of a model: `check_model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn

from masklab.doctor import dependence as look
from masklab.doctor.cache import look_at_cache
from masklab.doctor.codes import NOTE
from masklab.doctor.exam import EVAL, FAST, LEAKS, TRAIN, Exam, in_mode, run_in
from masklab.doctor.inputs import Case
from masklab.doctor.leaking import look_for_leaks
from masklab.doctor.padding import look_at_padding
from masklab.doctor.pictures import draw
from masklab.doctor.report import Report, diagnosis, finding
from masklab.doctor.sentences import look_across
from masklab.doctor.undecided import look_for_gates
from masklab.doctor.undisturbed import in_float32, named_parts, undisturbed
from masklab.doctor.words import begins, token
from masklab.masks import Rule


def check_model(
    model: Callable, inputs: Tensor | Mapping[str, Any], *, allowed: str | Tensor | Rule, pad: Tensor | None = None,
    main: str | None = None, layers: bool = False,
) -> Report:  # fmt: skip
    """Measure what each output of a model depends on, and say in plain words what is wrong.

    ``model`` is any callable whose output is a tensor (B, L, …) or has ``.logits`` or ``.last_hidden_state``.
    ``inputs``: ids (B, L), floats (B, L, d), or a dict of keyword arguments, as Transformers models take them.
    ``allowed``: ``"causal"``, ``"full"``, or a keep-mask (query, key), (batch, query, key) or (batch, head, query,
    key), True = may depend on it. ``pad`` (B, S) bool, True = a real token, of the source in an encoder–decoder; by
    default the ``attention_mask`` among the inputs. ``main`` names the input that has a position for each output,
    where the names don't tell. With ``layers`` the measured matrix is also shown after every layer. The model is left
    as it was, also when it raises.
    Raises TypeError and ValueError for inputs that don't fit; what the model itself raises goes through.

    >>> import torch
    >>> from masklab.models import GPT
    >>> ids = torch.tensor([[5, 3, 8, 2], [4, 9, 1, 7]])
    >>> check_model(GPT(10, dim=8), ids, allowed="causal").ok
    True
    >>> everything = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    >>> check_model(lambda ids: GPT(10, dim=8)(ids, everything), ids, allowed="causal").codes
    ('future-visible',)
    """
    with undisturbed(model):
        exam = Exam.of(model, inputs, allowed=allowed, pad=pad, main=main)
        _finite(exam)  # in float16 and bfloat16 rounding hides small leaks: all that follows is in float32
        with in_float32(model) if exam.widen() else nullcontext():
            exam.prepare()
            for step in STEPS:
                step(exam)
            draw(exam, layers=layers)
    return diagnosis(exam.found, exam.panels, exam.checked)


def _finite(exam: Exam) -> None:
    """First of all: is every number finite? A NaN hides what comes after."""
    exam.checked.append("finite outputs")
    for mode, output in exam.outputs.items():
        bad = ~output.isfinite().all(dim=-1)  # (B, L)
        if bad.any():
            b, i = bad.nonzero()[0].tolist()
            share = "no output is" if bad.all() else f"{int(bad.sum())} of {bad.numel()} outputs are not"
            says = f"In {mode} {share} finite, the first bad one at {token(exam.case, b, i)} of sentence {b}."
            says += begins(_first_bad(exam.case, mode))
            exam.found.append(finding("non-finite", says, where=f"sentence {b}, output {i}"))
            return


def _first_bad(case: Case, mode: str) -> tuple[str, nn.Module] | None:
    """The first module that returns a number that is not finite."""
    bad: list[tuple[str, nn.Module]] = []

    def keep(name: str, module: nn.Module, output: Tensor) -> None:
        if not output.isfinite().all():
            bad.append((name, module))

    with look.recorded(named_parts(case.model), keep):
        run_in(case, mode)
    return bad[0] if bad else None


def _randomness(exam: Exam) -> None:
    """Does a run in eval mode with another seed, dropout and all, agree with the first, without dropout?"""
    if EVAL not in exam.outputs:
        return
    _unseeded(exam)
    exam.checked.append("two runs in eval mode")
    with in_mode(exam.case, EVAL):
        again = exam.case.run(random=True, seed=1).detach()
    if look.differ(again, exam.outputs[EVAL], exam.tolerance).any():
        exam.found.append(finding(
            "train-eval-differ", "Two runs in eval mode with the same inputs differ: something is drawn at random.",
            fix="dropout_p=self.dropout if self.training else 0.0  # for F.scaled_dot_product_attention",
        ))  # fmt: skip


def _unseeded(exam: Exam) -> None:
    """Leave train mode out if it draws what no seed controls: every run differs, and would look like a leak."""
    if TRAIN in exam.outputs and look.differ(run_in(exam.case, TRAIN), exam.outputs[TRAIN], exam.tolerance).any():
        del exam.outputs[TRAIN]
        says = "Two runs in train mode with the same seed differ, without dropout: only eval mode can be measured."
        exam.found.append(
            finding("undecided", says, fix="torch.Generator().manual_seed(0)  # in place of torch.seed()")
        )


def _modes(exam: Exam) -> None:
    """Do train and eval mode agree, with dropout off?"""
    exam.checked.append("train and eval mode")
    for mode, error in exam.errors.items():
        runs = " and ".join(exam.outputs)
        says = f"In {mode} the model raises {type(error).__name__} ({error}); it runs in {runs}."
        forward_only = isinstance(error, NotImplementedError)  # such as FlexAttention on a CPU
        says += " A kernel without a backward pass: positions were changed one by one instead." * forward_only
        severity = NOTE if forward_only and FAST in exam.outputs else None
        exam.found.append(finding("train-eval-differ", says, severity=severity))
        return
    if exam.has(*LEAKS, "non-finite"):
        return  # a leak in one mode is the cause of the difference
    base = exam.outputs[EVAL]
    for mode in [mode for mode in (TRAIN, FAST) if mode in exam.outputs]:
        apart = look.differ(exam.outputs[mode], base, exam.tolerance)
        if not apart.any():
            continue
        words = apart & exam.case.words
        b, i = (words if words.any() else apart).nonzero()[0].tolist()
        says = f"The outputs of {mode} and of {EVAL} differ, first at {token(exam.case, b, i)} of sentence {b}"
        says += ", without dropout." if words.any() else ", at padding only: read the real positions only."
        exam.found.append(
            finding(
                "train-eval-differ", says, where=f"sentence {b}, output {i}", severity=None if words.any() else "note"
            )
        )
        return


STEPS: tuple[Callable[[Exam], None], ...] = (
    _randomness, look_for_leaks, look_across, _modes, look_at_padding, look_at_cache, look_for_gates,
)  # fmt: skip
