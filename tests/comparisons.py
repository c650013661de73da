"""What tests of experiments ask of a result, beyond its verdict."""

from itertools import product


def apart(result, other: str) -> bool:
    """Whether *every* seed of the right variant is better than every seed of the other: the verdict compares pairs."""
    pairs = product(result.scores[result.right], result.scores[other])
    return all(ours > theirs if result.better == "higher" else ours < theirs for ours, theirs in pairs)
