"""The console: ``python -m masklab.doctor masks.pt`` says what is wrong with the masks in a file.

It exits with 0 if nothing is worse than a note, with 1 if something is, and with 2 if the file can't be read. Files
are data: nothing in them is ever run.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masklab.doctor.reading import DIALECTS
from masklab.doctor.report import Report
from masklab.doctor.static import check_mask
from masklab.panels import clean, one_line

FINE, BAD, UNREADABLE = range(3)  # exit codes
PAD = "pad"  # a tensor of this name in the file says which tokens are real


class Unreadable(Exception):
    """A file, or a tensor in it, that can't be read; the text says why in one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check every mask of a file, print a table or JSON, and return the exit code.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mask.pt"
    >>> torch.save(torch.ones(3, 3, dtype=torch.bool).tril(), file)
    >>> main([str(file), "--causal"])
    mask  (3, 3)  torch.bool  nothing found
    0
    """
    asked = _parser().parse_args(arguments)
    try:
        found, unread = check_file(asked.file, dialect=asked.dialect, causal=asked.causal)
    except Unreadable as error:
        found, unread = {}, [str(error)]
    if found:
        print(as_json(found) if asked.json else as_table(found))
    for sentence in unread:
        print(one_line(sentence), file=sys.stderr)
    return UNREADABLE if unread else FINE if all(report.ok for _, report in found.values()) else BAD


def _parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m masklab.doctor", description="Say what is wrong with masks.")
    parser.add_argument("file", type=Path, help=".pt, .npy, .npz or .safetensors; a tensor named pad: True = real")
    readers = f"who reads the masks: {', '.join(DIALECTS)} (keep)"
    parser.add_argument("--dialect", choices=tuple(DIALECTS), default="keep", metavar="NAME", help=readers)
    parser.add_argument("--causal", action="store_true", help="no query may see what comes after it")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return parser


def check_file(
    file: Path, *, dialect: str = "keep", causal: bool = False
) -> tuple[dict[str, tuple[Tensor, Report]], list[str]]:
    """Each mask of a file by its name, with its report; and a sentence for each tensor that is no mask.

    Raises Unreadable if the file can't be read.

    >>> check_file(Path("no-such-file.pt"))
    Traceback (most recent call last):
    masklab.doctor.__main__.Unreadable: no-such-file.pt can't be read: No such file or directory.
    """
    tensors = dict(read_tensors(file))
    pad = tensors.pop(PAD, None)
    if not tensors:
        raise Unreadable(f"{file} can't be read: no mask is in it.")
    found, unread = {}, []
    for name, mask in tensors.items():
        try:
            found[name] = mask, check_mask(mask, dialect=dialect, pad=pad, causal=causal)
        except (TypeError, ValueError) as error:
            unread.append(f"{name} in {file} can't be read: {error}")
    return found, unread


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; one without a name is called mask. Raises Unreadable.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "mask.npy"
    >>> np.save(file, np.array([[True, False]]))
    >>> read_tensors(file)
    {'mask': tensor([[ True, False]])}
    """
    readers = {".pt": _torch, ".pth": _torch, ".npy": _numpy, ".npz": _numpy, ".safetensors": _safetensors}
    if file.suffix not in readers:
        raise Unreadable(f"{file} can't be read: its name must end in {', '.join(readers)}.")
    try:
        with warnings.catch_warnings(action="ignore"):  # the sentence below says it all
            return dict(_named(readers[file.suffix](file)))
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(f"{file} can't be read: {error.strerror or error}.") from error
    except ImportError as error:
        raise Unreadable(f"{file} can't be read without the package safetensors: pip install safetensors.") from error
    except Exception as error:  # whatever a broken or hostile file makes of a reader
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise Unreadable(f"{file} can't be read: {reason}") from error


def _torch(file: Path) -> Any:
    """What torch.save wrote, if it is made of tensors and plain values alone: no object of it is built."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's own text advises to load it all the same, which would run what is in it
        raise Unreadable(f"{file} can't be read: it is broken, or holds more than tensors.") from error


def _numpy(file: Path) -> Any:
    """What np.save and np.savez wrote, without pickled objects."""
    try:
        loaded = np.load(file, allow_pickle=False)
    except ValueError as error:  # NumPy's own text advises to load it all the same
        raise Unreadable(f"{file} can't be read: it is broken, or holds more than numbers.") from error
    arrays = dict(loaded) if isinstance(loaded, Mapping) else loaded
    return {name: _of_numpy(one) for name, one in arrays.items()} if isinstance(arrays, dict) else _of_numpy(arrays)


def _of_numpy(array: np.ndarray) -> Tensor:
    """An array as a tensor, in this machine's byte order."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))


def _safetensors(file: Path) -> dict[str, Tensor]:
    """What safetensors wrote: a header and raw numbers."""
    from safetensors.torch import load_file  # it comes with transformers

    return load_file(file)


def _named(loaded: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """All tensors in what was loaded, with their names; a list's are numbered."""
    if isinstance(loaded, Tensor):
        return [(name or "mask", loaded)]
    if isinstance(loaded, Mapping | list | tuple):
        items = loaded.items() if isinstance(loaded, Mapping) else enumerate(loaded)
        return [one for key, value in items for one in _named(value, f"{name}.{key}".lstrip("."))]
    raise Unreadable(f"{name or 'what was saved'} must be a tensor, or named tensors, got {type(loaded).__name__}.")


def as_table(found: Mapping[str, tuple[Tensor, Report]]) -> str:
    """A line a mask, and under it what was found.

    >>> mask = torch.ones(2, 2, dtype=torch.bool)
    >>> print(as_table({"a": (mask, check_mask(mask, causal=True))}).splitlines()[0])
    a  (2, 2)  torch.bool  1 error
    """
    heads = [[clean(name), str(tuple(mask.shape)), str(mask.dtype), report.summary] for name, (mask, report) in
             found.items()]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    lines = []
    for head, (_, report) in zip(heads, found.values(), strict=True):
        lines.append("  ".join(map(str.ljust, head, widths)).rstrip())
        lines += [f"  {line}" for one in report.findings for line in str(one).splitlines()]
    return "\n".join(lines)


def as_json(found: Mapping[str, tuple[Tensor, Report]]) -> str:
    """The same as JSON: name → shape, dtype, ok, findings.

    >>> mask = torch.ones(2, 2, dtype=torch.bool).tril()
    >>> print(as_json({"a": (mask, check_mask(mask, causal=True))}))
    {"a": {"shape": [2, 2], "dtype": "torch.bool", "ok": true, "findings": []}}
    """
    plain = {
        name: {
            "shape": list(mask.shape), "dtype": str(mask.dtype), "ok": report.ok,
            "findings": [asdict(one) for one in report.findings],
        }
        for name, (mask, report) in found.items()
    }  # fmt: skip
    return json.dumps(plain)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a console that has no ✗ is no reason to die
    sys.exit(main())
