"""Where the time goes between a key and the lab's pixels."""

import cProfile
import io
import pstats
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from playwright.sync_api import Browser, Page

from tests.bench.keystrokes import KERNEL, SHOWN, Server, opened, press, resize
from tests.bench.sentences import letters, sentences

STAGES = ("key → sent", "→ kernel", "draw", "serialize", "rest of kernel", "→ page", "JS", "paint")


def measure(
    server: Server, browser: Browser, sizes: Sequence[int], presses: int, say: Callable[[str], None]
) -> dict[int, dict[str, float]]:
    """The median of each stage in ms, for each width in tokens."""
    page = opened(browser, server, "timed", scripts=["sockets.js"])
    results = {}
    for tokens in sizes:
        say(f"where the time goes at {tokens} tokens")
        results[tokens] = medians(split_presses(page, tokens, presses))
    page.context.close()
    return results


def split_presses(page: Page, tokens: int, presses: int) -> list[dict[str, float]]:
    """Each press's stages in ms, after two that fill caches."""
    resize(page, tokens)
    edits = letters(sentences(tokens)[SHOWN])
    for _ in range(2):
        press(page, "lab", SHOWN, next(edits))
    return [one_press(page, next(edits)) for _ in range(presses)]


def one_press(page: Page, edit: tuple[int, int, str]) -> dict[str, float]:
    """One press's stages in ms."""
    page.evaluate(KERNEL, ["import json; taken()", "'0'"])
    page.evaluate("() => void benchFrames.splice(0)")
    stamps = press(page, "lab", SHOWN, edit)
    frames = page.evaluate("() => benchFrames")
    return stages(stamps, frames, page.evaluate(KERNEL, ["", "json.dumps(taken())"]))


def stages(stamps: Mapping[str, float], frames: Sequence, steps: Sequence) -> dict[str, float]:
    """Put the page's and the kernel's stamps on one clock, and subtract.

    ``stamps`` has pressed, changed, painted (ms of the page) and origin (ms since 1970 where that count starts);
    ``frames`` are ["in" or "out", ms of the page, bytes]; ``steps`` are [name, start, end] in seconds since 1970.
    """
    pressed, changed = stamps["pressed"], stamps["changed"]
    sent = next(at for way, at, _ in frames if way == "out" and at >= pressed)
    came = max((size, at) for way, at, size in frames if way == "in" and pressed <= at <= changed)[1]
    kernel = {name: [1000 * t - stamps["origin"] for t in (start, end)] for name, start, end in steps}
    draw, serialize = (kernel[name][1] - kernel[name][0] for name in ("draw", "serialize"))
    start, end = kernel["update"]
    times = (sent - pressed, start - sent, draw, serialize, end - start - draw - serialize, came - end,
             changed - came, stamps["painted"] - changed)  # fmt: skip
    return dict(zip(STAGES, times, strict=True))


def medians(presses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each stage, and of their sum."""
    return {stage: median(one[stage] for one in presses) for stage in STAGES} | {
        "sum": median(sum(one.values()) for one in presses)
    }


def profile(tokens: int, *, lines: int = 25, presses: int = 50) -> str:
    """What one answer of the kernel costs, function by function, without a browser."""
    from masklab.labs import attention_padding  # only here: it imports torch

    lab = attention_padding.lab(sentences=sentences(tokens))
    lab._update(None)
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(presses):
        lab._update(None)
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("cumulative").print_stats(lines)
    return f"{presses} × Lab._update at {tokens} tokens\n{out.getvalue()}"
