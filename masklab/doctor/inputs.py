"""What a model is called with, and how its inputs can be changed: nudged, sliced, padded.

A *case* is one model with its inputs. Its *main* input is the one whose positions the output has; the *padded* input
is the one that the padding mask is about: the same, or the source of an encoder–decoder. A small vector is added to
the embedding of a token, its *nudge*, and the gradient of an output with respect to a nudge is what the output
depends on. Embeddings are found while the model runs: the look-ups that are made with exactly these ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from masklab import validate
from masklab.doctor.undisturbed import modules_of, seed_all

TARGETS = ("decoder_input_ids", "decoder_inputs_embeds", "tgt", "target")
SOURCES = ("input_ids", "inputs_embeds", "ids", "src", "source", "tokens", "x", "inputs", "input")
# Masks of (batch, position) that a model is given by name, and the value that means padding.
PADS: dict[str, Any] = {
    "attention_mask": 0, "decoder_attention_mask": 0, "is_word": False, "pad": False, "key_padding_mask": True,
    "src_key_padding_mask": True, "tgt_key_padding_mask": True, "memory_key_padding_mask": True,
}  # fmt: skip
ZEROS = ("token_type_ids", "position_ids", "positions")  # what else has one number a position; a pad gets 0
OF_THE_TARGET = ("decoder_", "tgt", "target", "labels")
NARROW = (torch.float16, torch.bfloat16)
LOOKUPS = (F.embedding, torch.embedding)
ATTENTIONS = (F.scaled_dot_product_attention, F.multi_head_attention_forward, F.softmax, torch.softmax, Tensor.softmax)
DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)
WATCHED = frozenset((*LOOKUPS, *ATTENTIONS, *DROPOUTS, torch.dropout))


@dataclass(frozen=True)
class Case:
    """One model with its inputs.

    ``inputs`` are keyword arguments, or one tensor under the name "". ``main`` and ``padded`` are names of inputs;
    ``pad`` (B, S) bool, True = a real token, or None; ``words`` (B, L) bool says which outputs are looked at.
    ``lookups`` has the look-ups of an input's ids: their numbers, how wide their vectors are, and their spread.
    A ``plain`` case runs with nothing around it: torch leaves its fast path as soon as somebody watches.
    """

    model: Callable
    inputs: Mapping[str, Any]
    main: str
    padded: str
    pad: Tensor | None
    words: Tensor
    lookups: Mapping[str, tuple[frozenset[int], int, float]] = field(default_factory=dict)
    plain: bool = False

    @property
    def x(self) -> Tensor:
        """The main input."""
        return self.inputs[self.main]

    @property
    def told(self) -> bool:
        """Whether the inputs themselves say where the pads are."""
        return any(name in PADS for name in self.inputs)

    @property
    def unwatched(self) -> Case:
        """The same case, run with nothing around it: its ids can be changed, and its embeddings can't be nudged."""
        return replace(self, lookups={}, plain=True)

    def changed(self, name: str, values: Tensor) -> Case:
        """The same case with another input."""
        return replace(self, inputs={**self.inputs, name: values})

    def width(self, name: str) -> int | None:
        """How long the nudge of one position of an input is; None where no embedding was found."""
        if self.inputs[name].is_floating_point():
            return self.inputs[name].shape[-1]
        return self.lookups[name][1] if name in self.lookups else None

    def spread(self, name: str) -> float:
        """The standard deviation of an input's vectors; 1 where it is 0 or unknown."""
        x = self.inputs[name]
        spread = _spread(x) if x.is_floating_point() else self.lookups[name][2] if name in self.lookups else 1.0
        return spread if 0 < spread < float("inf") else 1.0

    def nudge(self, name: str) -> Tensor:
        """A nudge of zeros for an input, (B, L, d), in the dtype of its vectors."""
        x = self.inputs[name]
        dtype = x.dtype if x.is_floating_point() else _dtype(self.model)
        return torch.zeros(*x.shape[:2], self.width(name) or 0, dtype=dtype, device=x.device)

    def run(self, nudges: Mapping[str, Tensor] | None = None, *, random: bool = False, seed: int = 0) -> Tensor:
        """The output as (B, L, features), with these nudges, and without dropout unless ``random``."""
        seed_all(seed)
        nudges = nudges or {}
        inputs = dict(self.inputs)
        for name, nudge in nudges.items():
            if inputs[name].is_floating_point():
                inputs[name] = inputs[name] + nudge
        if self.plain:
            return features(call(self.model, inputs), self.x)
        with Watch({number: nudges[name] for name in nudges for number in self.lookups.get(name, ((),))[0]}, random):
            output = call(self.model, inputs)
        return features(output, self.x)


def call(model: Callable, inputs: Mapping[str, Any], **options: Any) -> Any:
    """Call a model with its inputs: by name, or the only one.

    >>> call(len, {"": "abc"})
    3
    """
    return model(inputs[""], **options) if "" in inputs else model(**inputs, **options)


class Watch(TorchFunctionMode):
    """While a model runs: number its look-ups, add nudges to some, switch functional dropout off."""

    def __init__(self, nudges: Mapping[int, Tensor] | None = None, random: bool = False):
        super().__init__()
        self.nudges, self.random = nudges or {}, random
        self.seen: list[tuple[Tensor, Tensor]] = []  # the ids of each look-up, and their vectors
        self.attentions = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function not in WATCHED:
            return function(*args, **kwargs)
        if function in LOOKUPS:
            return self._look_up(function, args, kwargs)
        self.attentions += function in ATTENTIONS
        if not self.random:
            args, kwargs = without_dropout(function, args, kwargs)
        return function(*args, **kwargs)

    def _look_up(self, function, args, kwargs):
        ids = kwargs.get("input", args[0] if args else None) if function is F.embedding else args[1]
        vectors = function(*args, **kwargs)
        number = len(self.seen)
        self.seen.append((ids.detach().clone(), vectors.detach()))
        nudge = self.nudges.get(number)
        if nudge is None or nudge.shape[-1] != vectors.shape[-1]:
            return vectors
        return vectors + nudge.to(vectors.dtype).reshape(vectors.shape)


def without_dropout(function: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a torch function with its dropout at 0.

    >>> without_dropout(F.dropout, (1,), {"p": 0.5, "training": True})
    ((1,), {'p': 0.0, 'training': False})
    """
    if function in DROPOUTS or function is torch.dropout:
        named = dict(zip(("input", "p", "training", "inplace"), args, strict=False)) | kwargs
        off = {"p": 0.0, "training": False} if function in DROPOUTS else {"p": 0.0, "train": False}
        return (named["input"],), off
    if function is F.scaled_dot_product_attention:
        return args[:4], (kwargs | {"is_causal": args[5]} if len(args) > 5 else kwargs) | {"dropout_p": 0.0}
    if function is F.multi_head_attention_forward:  # its 11th argument
        if len(args) > 10:
            return (*args[:10], 0.0, *args[11:]), kwargs
        return args, kwargs | {"dropout_p": 0.0}
    return args, kwargs


def features(output: Any, x: Tensor) -> Tensor:
    """The tensor in what a model returned, as (B, L, features). TypeError and ValueError say what doesn't fit.

    >>> features((torch.zeros(2, 5, 3, 4), "more"), torch.zeros(2, 5)).shape
    torch.Size([2, 5, 12])
    """
    for name in ("logits", "last_hidden_state"):
        if isinstance(output, Mapping) and name in output:
            output = output[name]
        elif not isinstance(output, Tensor | tuple) and getattr(output, name, None) is not None:
            output = getattr(output, name)
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model must return a tensor (batch, length, …), or something with .logits or .last_hidden_state, "
            f"got {type(output).__name__}."
        )
    B, L = x.shape[:2]
    if not output.is_floating_point():
        raise TypeError(f"the model must return floats, such as logits, got {validate.got(output)}. Leave argmax out.")
    if output.shape[:2] != (B, L):
        swapped, last = output.shape[:2] == (L, B), output.shape[:2] == (B, 1)
        raise ValueError(
            f"the model's output must be (batch, length, …) = ({B}, {L}, …), as its inputs, got {tuple(output.shape)}."
            + " Is batch_first=True missing?" * swapped
            + " Does it give only the last one? Ask for all: some models want the labels for that." * last
            + f" Cut off what it adds, as in lambda x: model(x)[:, -{L}:]." * (output.shape[1] > L and not swapped)
        )
    return output[..., None].flatten(2) if output.ndim == 2 else output.flatten(2)


def make_case(
    model: Callable, inputs: Tensor | Mapping[str, Any], pad: Tensor | None, *, main: str | None = None
) -> Case:
    """The case of a model and what the user gave. Raises TypeError and ValueError with a sentence each.

    >>> make_case(len, {"input_ids": torch.tensor([[7, 0]]), "attention_mask": torch.tensor([[1, 0]])}, None).pad
    tensor([[ True, False]])
    """
    if not callable(model):
        raise TypeError(f"model must be a module or another callable, got {validate.got(model)}.")
    named = _named(inputs)
    main = _main(named, main)
    x = named[main]
    _check_device(model, x)
    padded, mask = _padded(named, main)
    pad = mask if pad is None else validate.bool_mask("pad", pad, true="a real token", axes=("batch", "position"))
    if pad is not None and pad.shape != named[padded].shape[:2]:
        padded = main
    if pad is not None and pad.shape != named[padded].shape[:2]:
        shape = tuple(named[padded].shape[:2])
        raise ValueError(f"pad must be (batch, position) = {shape}, as the inputs, got {tuple(pad.shape)}.")
    words = pad if padded == main else _as_pad(named, "decoder_attention_mask")
    everywhere = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    return Case(model, named, main, padded, pad, everywhere if words is None else words)


def _named(inputs: Tensor | Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by name; a tensor alone has the name ""."""
    if isinstance(inputs, Tensor):
        return {"": inputs}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    raise TypeError(
        f"inputs must be ids (batch, length), floats (batch, length, features) or a dict of keyword arguments, "
        f"got {validate.got(inputs)}."
    )


def _main(named: Mapping[str, Any], asked: str | None) -> str:
    """The name of the input whose positions the output has: as asked for, by a known name, or the only one."""
    fitting = [name for name, value in named.items() if isinstance(value, Tensor) and _is_sequence(name, value)]
    if asked is not None:
        validate.one_of(tuple(fitting), main=asked)
    for name in (asked, *TARGETS, *SOURCES):
        if name in fitting:
            return name
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(fitting)
        raise ValueError(f"which of {names} has a position for each output? Name it, as in main={fitting[-1]!r}.")
    got = ", ".join(f"{name or 'a tensor'}: {validate.got(value)}" for name, value in named.items())
    raise ValueError(f"inputs must hold ids (batch, length) or floats (batch, length, features), got {got}.")


def _is_sequence(name: str, value: Tensor) -> bool:
    """Whether this can be the ids or the vectors of a batch of sentences."""
    if value.dtype == torch.bool or name in PADS or name in ZEROS or name == "labels" or 0 in value.shape:
        return False
    return value.ndim == (3 if value.is_floating_point() else 2)


def _padded(named: Mapping[str, Any], main: str) -> tuple[str, Tensor | None]:
    """The name of the input that a padding mask is about, and the mask that is among the inputs."""
    sources = [name for name in SOURCES if name in named and isinstance(named[name], Tensor)]
    padded = sources[0] if main in TARGETS and sources else main
    names = ("attention_mask", "is_word", "pad", "src_key_padding_mask", "key_padding_mask")
    masks = [_as_pad(named, name) for name in names]
    fitting = [mask for mask in masks if mask is not None and mask.shape == named[padded].shape[:2]]
    return padded, fitting[0] if fitting else None


def _as_pad(named: Mapping[str, Any], name: str) -> Tensor | None:
    """A mask among the inputs as (batch, position) bool, True = a real token."""
    mask = named.get(name)
    if not isinstance(mask, Tensor) or mask.ndim != 2:
        return None
    if mask.is_floating_point() and (PADS[name] is True or not ((mask == 0) | (mask == 1)).all()):
        return None  # it is added to the scores
    return mask != PADS[name]


def _check_device(model: Callable, x: Tensor) -> None:
    """Refuse inputs on another device than the model."""
    devices = {p.device for root in modules_of(model) for p in root.parameters()}
    if devices and x.device not in devices:
        there = sorted(map(str, devices))[0]
        raise ValueError(f"the model is on {there} and its inputs on {x.device}: move them, inputs.to({there!r}).")


def _dtype(model: Callable) -> torch.dtype:
    """The floating-point dtype of a model's first parameter."""
    found = (p.dtype for root in modules_of(model) for p in root.parameters() if p.is_floating_point())
    return next(found, torch.get_default_dtype())


def widened(case: Case) -> Case:
    """The same case with float inputs in float32, if they are narrower.

    >>> widened(make_case(len, torch.ones(1, 2, 3, dtype=torch.bfloat16), None)).x.dtype
    torch.float32
    """
    return replace(case, inputs={name: _wide(value) for name, value in case.inputs.items()})


def _wide(value: Any) -> Any:
    """A tensor in float32, if it is float16 or bfloat16."""
    return value.float() if isinstance(value, Tensor) and value.dtype in NARROW else value


def precision(case: Case, output: Tensor) -> float:
    """The largest relative rounding step in play; at least float32's, in which many float64 models keep some parts.

    >>> precision(make_case(len, torch.tensor([[7, 8]]), None), torch.zeros(1, dtype=torch.bfloat16))
    0.0078125
    """
    dtypes = {p.dtype for root in modules_of(case.model) for p in root.parameters() if p.is_floating_point()}
    dtypes |= {torch.float32, output.dtype} | ({case.x.dtype} if case.x.is_floating_point() else set())
    return max(torch.finfo(dtype).eps for dtype in dtypes)


def with_lookups(case: Case, watch: Watch) -> Case:
    """The case with the embeddings of its ids: the look-ups that follow the ids when these change.

    ``watch`` has seen the model run with the case as it is.

    >>> case = make_case(torch.nn.Embedding(9, 4), torch.tensor([[7, 8]]), None)
    >>> with Watch() as watch:
    ...     _ = case.run()
    >>> with_lookups(case, watch).width(""), case.width("")
    (4, None)
    """
    found: dict[str, tuple[frozenset[int], int, float]] = {}
    for name in {case.main, case.padded}:
        ids = case.inputs[name]
        numbers = set() if ids.is_floating_point() else _look_ups_of(watch, ids)
        if numbers:
            numbers &= _after_a_change(case, name, numbers)
        if numbers:
            vectors = watch.seen[min(numbers)][1]
            found[name] = (frozenset(numbers), vectors.shape[-1], _spread(vectors))
    return replace(case, lookups=found)


def _look_ups_of(watch: Watch, ids: Tensor) -> set[int]:
    """The numbers of the look-ups that were made with exactly these ids."""
    return {n for n, (got, _) in enumerate(watch.seen) if got.numel() == ids.numel() and _equal(got, ids)}


@torch.no_grad()
def _after_a_change(case: Case, name: str, numbers: set[int]) -> set[int]:
    """The look-ups that are made with an input's ids when these are others; ``numbers`` where the model raises."""
    form = other_ids(case, name)
    seed_all(0)
    try:
        with Watch() as watch:
            call(case.model, case.changed(name, form).inputs)
    except Exception:  # other ids may mean something to a model: an image, an end
        return numbers
    return _look_ups_of(watch, form)


def _spread(x: Tensor) -> float:
    """The standard deviation of all numbers."""
    return x.detach().double().std(correction=0).item()


def _equal(got: Tensor, ids: Tensor) -> bool:
    """Whether the same ids come in the same order, whatever their shape and dtype."""
    return bool(torch.equal(got.flatten().long(), ids.flatten().long()))


def other_ids(case: Case, name: str, where: Tensor | None = None) -> Tensor:
    """Other ids at the real positions (at ``where``, bool): each becomes another id of the batch, never a pad's.

    >>> other_ids(make_case(len, torch.tensor([[7, 8, 9]]), None), "")
    tensor([[8, 9, 7]])
    """
    ids = case.inputs[name]
    real = case.pad if case.pad is not None and name == case.padded else torch.ones_like(ids, dtype=torch.bool)
    known = ids[real].unique()
    if len(known) > 1 and not real.all() and len(rest := known[~torch.isin(known, ids[~real])]) > 1:
        known = rest
    if len(known) < 2:
        return torch.where(real if where is None else where, (ids - 1).abs(), ids)
    after = known[(torch.searchsorted(known, ids.contiguous()) + 1) % len(known)]
    return torch.where(real if where is None else where, after, ids)
