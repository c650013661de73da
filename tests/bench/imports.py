"""What importing masklab costs over torch alone, in time and memory."""

import json
import subprocess
import sys
from statistics import median

CORE = "masklab, masklab.text, masklab.masks, masklab.attention, masklab.dialects, masklab.panels"
LAB = "masklab.labs.attention_padding"
# A fresh process imports torch, then the rest, and prints what each added. psutil, which ipykernel needs, is
# imported first, so that it counts for neither.
SCRIPT = """
import json, psutil, time
memory, now = psutil.Process().memory_info, time.perf_counter
def look(): return now(), memory().rss
start = look()
import torch
between = look()
import {names}
end = look()
print(json.dumps([[b - a for a, b in zip(*both)] for both in ((start, between), (between, end))]))
"""


def measure(times: int) -> dict[str, tuple[float, float]]:
    """Seconds and MB of each import, medians: torch alone, and what the core or the lab adds to it.

    The kinds take turns, and the first turn, which reads from the disk, does not count.
    """
    torch, core, lab = [], [], []
    for turn in range(times + 1):
        for names, added in ((CORE, core), (LAB, lab)):
            alone, more = once(names)
            if turn:
                torch.append(alone)
                added.append(more)
    return {name: middle(every) for name, every in (("torch", torch), ("core", core), ("lab", lab))}


def once(names: str) -> list[list[float]]:
    """[seconds, bytes] of torch, and of what comes after it, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(names=names)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def middle(pairs: list[list[float]]) -> tuple[float, float]:
    """The median of each half of (seconds, bytes) pairs, as seconds and MB.

    >>> middle([[1.0, 3_000_000], [2.0, 1_000_000], [9.0, 2_000_000]])
    (2.0, 2.0)
    """
    seconds, size = zip(*pairs, strict=True)
    return median(seconds), median(size) / 1e6
