"""Every experiment of the course, in full: its result, and how long it took."""

import time
from collections.abc import Callable

from masklab.experiments import NAMES, run
from masklab.training import Result


def measure(say: Callable[[str], None], *, quick: bool) -> dict[str, tuple[Result, float]]:
    """The result and the seconds of each experiment; ``quick`` takes one seed, so there is no spread."""
    results = {}
    for name in NAMES:
        say(f"experiment {name}")
        start = time.perf_counter()
        result = run(name, **({"seeds": (0,)} if quick else {}))
        results[name] = (result, time.perf_counter() - start)
    return results
