"""What is drawn at random: whose generator it comes from, and which shares are too odd for chance."""

import math
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from masklab.check.answers import settled
from masklab.check.gradients import fitting

RARE = 1e-15  # what is less likely than this does not happen
AGAIN = 20  # calls from the same state: in two cases that is enough for a difference that one call in three shows


def everyones_randomness() -> tuple:
    """Where the generators stand that all code shares.

    >>> before = everyones_randomness()
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(1)
    ...     before == everyones_randomness()
    False
    >>> before == everyones_randomness()
    True
    """
    of_numpy = np.random.get_state(legacy=False)["state"]
    return random.getstate(), of_numpy["pos"], of_numpy["key"].tobytes(), torch.get_rng_state().tolist()


def limits(probability: float, count: int, *, rare: float = RARE) -> tuple[float, float]:
    """Between which shares ``count`` independent draws stay: outside them they are, on each side, ``rare``-ly.

    That is Chernoff's bound: a share of q or beyond has at most the probability exp(−count · D), where
    D = q·log(q/p) + (1−q)·log((1−q)/(1−p)). It holds for any count, so a right answer passes with any seed.

    >>> [round(one, 2) for one in limits(0.5, 100)], [round(one, 2) for one in limits(0.1, 8000)]
    ([0.11, 0.89], [0.07, 0.13])
    >>> limits(1.0, 5), limits(0.1, 0)
    ((1.0, 1.0), (0.0, 1.0))
    """
    if probability in (0.0, 1.0):
        return probability, probability
    low, high = (_furthest(probability, end, count, rare) for end in (0.0, 1.0))
    return low, high


def _furthest(probability: float, end: float, count: int, rare: float) -> float:
    """The share nearest to ``probability``, on the side of ``end``, that is rare: found by halving."""
    near, far = probability, end
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (near, middle) if count * _divergence(middle, probability) > -math.log(rare) else (middle, far)
    return far


def _divergence(share: float, probability: float) -> float:
    pairs = ((share, probability), (1 - share, 1 - probability))
    return sum(q * math.log(q / p) for q, p in pairs if q > 0)


def within(shares: Tensor, probability: float, count: int, *, rare: float = RARE) -> Tensor:
    """Whether shares of ``count`` draws are what chance gives. Shape: as ``shares``.

    >>> within(torch.tensor([0.0, 0.4, 0.6]), 0.5, 100)
    tensor([False,  True,  True])
    """
    low, high = limits(probability, count, rare=rare)
    return (shares >= low - 1e-6) & (shares <= high + 1e-6)


def drawn(function: Callable, *arguments, generator: torch.Generator, calls: int, like: Tensor) -> tuple[Tensor, dict]:
    """What a function gives, called again and again with one generator, and how it draws from that.

    The properties: "own generator", nobody else's random numbers have changed; "same again", from the same state comes
    the same; "moves on", the calls differ; "is drawn from", the generator has moved; "goes on", it moves in each call.

    Shapes: ``like`` is an answer of the right form → (calls, …), and a bool for each property. Raises a Complaint for
    another form.

    >>> found, holds = drawn(lambda n, generator: torch.rand(n, generator=generator), 2,
    ...                      generator=torch.Generator().manual_seed(0), calls=3, like=torch.ones(2))
    >>> found.shape, all(holds.values())
    (torch.Size([3, 2]), True)
    """
    before, states = everyones_randomness(), [generator.get_state()]

    def once(one: torch.Generator) -> Tensor:
        given = (part.clone() if isinstance(part, Tensor) else part for part in arguments)
        answer = settled(fitting(function(*given, one), like))
        states.append(one.get_state())
        return answer

    found = torch.stack([once(generator) for _ in range(calls)])
    start = torch.Generator().manual_seed(0).set_state(states[0])
    again = torch.stack([once(start) for _ in range(min(calls, AGAIN))])
    return found, {
        "own generator": before == everyones_randomness(),
        "same again": torch.equal(again, found[: len(again)]),
        "moves on": bool((found != found[:1]).any()),
        "is drawn from": not all(torch.equal(state, states[0]) for state in states),
        "goes on": not torch.equal(states[1], states[2]),
    }
