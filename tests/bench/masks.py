"""What building a mask costs, in time and memory: ours, FlexAttention's `create_mask`, Transformers' `sdpa_mask`."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_mask

from masklab import masks
from masklab.threads import one_thread

SIZES = (64, 256, 1024, 4096, 8192)
WINDOW = 64  # keys that a query sees
KINDS = ("causal", "window", "padding & causal", "documents & causal")
MAKERS = ("predicate", "ours", "flex", "transformers")
SECONDS = 0.3  # about so long each maker is asked again and again,
ROUNDS = 30  # and at least so often
MMAPPED = 32 * 2**20  # what is larger always comes fresh from the system: only then does the peak say what it took
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")

Makers = dict[str, Callable[[], object]]


def measure(
    sizes: Sequence[int], say: Callable[[str], None], seconds: float = SECONDS
) -> dict[tuple[str, int], dict[str, float]]:
    """For each kind and size: the seconds of each maker, and the peak memory of three of them in bool tensors.

    All compute with one thread, so that the ratios are of the work and not of the scheduler.
    """
    results = {}
    with one_thread():
        for tokens in sizes:
            say(f"masks of {tokens} tokens")
            for kind in KINDS:
                makers = makers_of(kind, tokens)
                times = seconds_of(makers, seconds)
                peaks = {f"{name} peak": peak(makers[name], size=tokens**2) / tokens**2 for name in MAKERS[1:]}
                results[kind, tokens] = times | peaks
    return results


def makers_of(kind: str, tokens: int) -> Makers:
    """The four ways to one mask of (1, 1, tokens, tokens): our rule alone, and three tensors.

    Each begins with the lengths or the ids, and makes all that it needs of them.
    """
    from transformers import masking_utils as theirs  # only here: it takes ten seconds to import

    lengths = torch.tensor([tokens - tokens // 4])
    ids = (torch.arange(tokens) * 8 // tokens)[None]  # eight documents
    rule = {
        "causal": masks.causal,
        "window": lambda: masks.sliding_window(WINDOW),
        "padding & causal": lambda: masks.padding(lengths, total=tokens) & masks.causal(),
        "documents & causal": lambda: masks.documents(ids) & masks.causal(),
    }[kind]
    function = {
        "window": lambda: theirs.sliding_window_causal_mask_function(WINDOW),
        "documents & causal": lambda: theirs.and_masks(
            theirs.packed_sequence_mask_function(ids), theirs.causal_mask_function
        ),
    }.get(kind, lambda: theirs.causal_mask_function)
    words = {"padding & causal": lambda: torch.arange(tokens)[None] < lengths}.get(kind, lambda: None)
    return {
        "predicate": rule,
        "ours": lambda: rule().tensor(queries=tokens, keys=tokens),
        "flex": lambda: create_mask(rule().mask_mod, 1, 1, tokens, tokens, device="cpu"),
        "transformers": lambda: theirs.sdpa_mask(
            1, tokens, tokens, mask_function=function(), attention_mask=words(), allow_is_causal_skip=False
        ),
    }


def seconds_of(makers: Makers, seconds: float) -> dict[str, float]:
    """The fastest time of each maker: the work never changes, so what is slower is the machine's doing.

    They take turns in a shuffled order, so that none has only quiet moments, or always the same predecessor.
    """
    order, times = random.Random(0), {name: [] for name in makers}
    for make in makers.values():  # the first time fills caches
        make()
    end = time.perf_counter() + seconds * len(makers)
    while time.perf_counter() < end or len(times["ours"]) < ROUNDS:
        for name, make in order.sample(list(makers.items()), len(makers)):
            start = time.perf_counter()
            make()
            times[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in times.items()}


def peak(make: Callable[[], Tensor], *, size: int) -> float:
    """How many bytes the process grew at most while ``size`` bytes were made; NaN where that cannot be told."""
    if size < MMAPPED:
        return float("nan")
    try:
        REFS.write_text("5")  # forget the highest mark
        before = status("VmHWM")
        kept = make()  # it must live until we have looked
        grown = status("VmHWM") - before
    except OSError:
        return float("nan")
    del kept
    return grown


def status(name: str) -> int:
    """One number of the process's memory, in bytes."""
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
