"""Experiments that prove the point: tiny models, three seeds, seconds, and an honest verdict."""

from importlib import import_module

from masklab.training import Result

EXPERIMENTS = {  # the functions of each module, in the order of the lessons
    "padding": ("read_state", "tag_loss_mask"),
    "accumulation": ("accumulated_gradients", "denominators"),
    "masked_lm": ("share", "replacement"),
    "weighting": ("annotator_noise", "curriculum"),
    "causal": ("causal_mask", "label_shift", "left_padding"),
    "leaks": ("canary",),
    "packing": ("neighbors", "documents", "padding_saved"),
}
NAMES = tuple(f"{module}.{name}" for module, names in EXPERIMENTS.items() for name in names)


def run(name: str, **options) -> Result:
    """Run one experiment by its name; options such as ``seeds`` and ``steps`` are passed on.

    Raises ValueError for a name that is not in ``NAMES``.

    >>> NAMES[0]
    'padding.read_state'
    """
    if name not in NAMES:
        raise ValueError(f"an experiment is one of {', '.join(NAMES)}, got {name!r}.")
    module, function = name.split(".")
    return getattr(import_module(f"masklab.experiments.{module}"), function)(**options)
