"""Experiments that the lessons will show: tiny models, three seeds, seconds, and an honest verdict."""

from importlib import import_module

from masklab import validate
from masklab.training import Result

EXPERIMENTS = {  # the functions of each module, in the order of the lessons
    "packing": ("documents",),
}
NAMES = tuple(f"{module}.{name}" for module, names in EXPERIMENTS.items() for name in names)


def run(name: str, **options) -> Result:
    """Run one experiment by its name; options such as ``seeds`` and ``steps`` are passed on.

    Raises ValueError for a name that is not in ``NAMES``.

    >>> NAMES[0]
    'packing.documents'
    """
    validate.one_of(NAMES, name=name)
    module, function = name.split(".")
    return getattr(import_module(f"masklab.experiments.{module}"), function)(**options)
