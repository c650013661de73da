"""The console: a table or JSON, the exit code, one sentence for what can't be read, and nothing in a file is run."""

import io
import json
import pickle
import runpy
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from masklab.doctor.__main__ import main
from masklab.doctor.reading import DIALECTS

TRIL = torch.ones(4, 4, dtype=torch.bool).tril()
PAD = torch.tensor([[True, True, True, False]])


def save_pt(file, tensors):
    torch.save(tensors, file)


def save_npz(file, tensors):
    np.savez(file, **{name: one.numpy() for name, one in tensors.items()})


SAVE = {
    ".pt": save_pt,
    ".pth": save_pt,
    ".npz": save_npz,
    ".safetensors": lambda file, tensors: save_file(tensors, file),
}


def run(capsys, file, *options):
    code = main([str(file), *options])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("suffix", SAVE)
def test_every_format_gives_the_same_report(suffix, tmp_path, capsys):
    file = tmp_path / f"masks{suffix}"
    SAVE[suffix](file, {"good": TRIL.clone(), "leaky": torch.ones(4, 4, dtype=torch.bool).tril(1).clone()})
    code, out, err = run(capsys, file, "--causal")
    assert (code, err) == (1, "")
    assert out.splitlines()[:3] == [
        "good   (4, 4)  torch.bool  nothing found",
        "leaky  (4, 4)  torch.bool  1 error",
        "  ✗ error off-by-one, query 0, key 1 and 2 more pairs",
    ]
    assert run(capsys, file)[0] == 0, "without --causal nothing is claimed"


def test_padding_in_the_file_is_used(tmp_path, capsys):
    SAVE[".npz"](tmp_path / "a.npz", {"mask": torch.ones(1, 1, 4, 4, dtype=torch.bool), "pad": PAD})
    assert "pad-visible" in run(capsys, tmp_path / "a.npz")[1]


def test_one_array_and_a_list_of_tensors(tmp_path, capsys):
    np.save(tmp_path / "a.npy", TRIL.numpy())
    assert run(capsys, tmp_path / "a.npy", "--causal") == (0, "mask  (4, 4)  torch.bool  nothing found\n", "")
    np.save(tmp_path / "b.npy", TRIL.numpy().astype(">i4"))
    assert run(capsys, tmp_path / "b.npy", "--causal")[0] == 0
    torch.save({"layers": [TRIL, ~TRIL]}, tmp_path / "c.pt")
    code, out, _ = run(capsys, tmp_path / "c.pt", "--causal")
    assert code == 1 and out.startswith("layers.0") and "\nlayers.1" in out and "inverted" in out


def test_json(tmp_path, capsys):
    torch.save(~TRIL, tmp_path / "a.pt")
    code, out, _ = run(capsys, tmp_path / "a.pt", "--causal", "--json")
    (mask,) = json.loads(out).values()
    assert code == 1 and not mask["ok"] and mask["shape"] == [4, 4]
    (one,) = mask["findings"]
    assert one.keys() == {"code", "severity", "where", "says", "fix", "source"} and one["code"] == "inverted"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_be_named(dialect, tmp_path, capsys):
    torch.save(torch.ones(2, 1, 4, 4, dtype=torch.bool), tmp_path / "a.pt")
    assert run(capsys, tmp_path / "a.pt", "--dialect", dialect)[0] in (0, 1, 2)


class Evil:
    """What a hostile file would do when it is loaded."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


def _evil_zip(file, payload):
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", payload)
        made.writestr("archive/version", "3")


@pytest.mark.parametrize("name", ["pickle.pt", "legacy.pt", "object.npy", "object.npz", "text.safetensors"])
def test_a_hostile_file_runs_nothing(name, tmp_path, capsys):
    file, trace = tmp_path / name, tmp_path / "trace"
    payload = pickle.dumps(Evil(trace), protocol=2)
    pickle.loads(payload).close()
    assert trace.exists(), "whoever unpickles it runs it"
    if name == "pickle.pt":
        _evil_zip(file, payload)
    elif name.startswith("object"):
        save = np.save if name.endswith("npy") else np.savez
        save(file, np.array([Evil(trace)], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(payload)
    trace.unlink(missing_ok=True)
    code, out, err = run(capsys, file)
    assert code == 2 and out == "" and not trace.exists()
    assert err.count("\n") == 1 and str(file) in err and "weights_only" not in err


def _write(file, data):
    file.write_bytes(data)
    return file


UNREADABLE = {
    "missing": (lambda path: path / "none.pt", "No such file or directory"),
    "a folder": (lambda path: (path / "a.pt").mkdir() or path / "a.pt", "Is a directory"),
    "another name": (lambda path: _write(path / "a.txt", b"1"), "its name must end in .pt"),
    "empty": (lambda path: _write(path / "a.pt", b""), "broken"),
    "cut": (lambda path: _write(path / "a.npy", b"\x93NUMPY\x01\x00v\x00"), "can't be read: "),
    "no zip": (lambda path: _write(path / "a.npz", b"PK\x03\x04nonsense"), "can't be read: "),
    "a huge header": (lambda path: _write(path / "a.safetensors", b"\xff" * 64), "can't be read: "),
    "a text": (lambda path: torch.save("mask", path / "a.pt") or path / "a.pt", "must be a tensor, or named tensors"),
    "no mask": (lambda path: torch.save({}, path / "a.pt") or path / "a.pt", "no mask is in it"),
    "words": (lambda path: np.save(path / "a.npy", np.array(["a"])) or path / "a.npy", "can't be read: "),
    "ids": (lambda path: torch.save(torch.arange(4), path / "a.pt") or path / "a.pt", "must hold 0 and 1 only"),
    "five axes": (lambda path: torch.save(TRIL[None, None, None], path / "a.pt") or path / "a.pt", "axes"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told_in_one_sentence(make, words, tmp_path, capsys):
    code, out, err = run(capsys, make(tmp_path))
    assert code == 2 and out == "" and words in err and err.count("\n") == 1, err


def test_safetensors_may_be_missing(tmp_path, capsys, monkeypatch):
    save_file({"a": TRIL.clone()}, tmp_path / "a.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    assert "pip install safetensors" in run(capsys, tmp_path / "a.safetensors")[2]


def test_a_console_without_signs_still_works(tmp_path, monkeypatch):
    """As `python -m masklab.doctor` runs it, in this process: torch takes two seconds to import."""
    torch.save(~TRIL, tmp_path / "a.pt")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "argv", ["masklab.doctor", str(tmp_path / "a.pt")])
    monkeypatch.delitem(sys.modules, "masklab.doctor.__main__")
    with pytest.raises(SystemExit) as left:
        runpy.run_module("masklab.doctor", run_name="__main__", alter_sys=True)
    out.flush()
    assert left.value.code == 1 and b"inverted" in out.buffer.getvalue()


def test_a_name_in_a_file_cannot_move_the_cursor(tmp_path, capsys):
    torch.save({"\x1b[31mred\n": TRIL}, tmp_path / "a.pt")
    out = run(capsys, tmp_path / "a.pt")[1]
    assert "\x1b" not in out and out.count("\n") == 1


def test_one_tensor_that_is_no_mask_hides_no_other(tmp_path, capsys):
    file = tmp_path / "batch.npz"
    np.savez(file, input_ids=np.arange(6).reshape(2, 3), mask=np.triu(np.ones((3, 3), dtype=bool)))
    assert main([str(file), "--causal"]) == 2
    printed = capsys.readouterr()
    assert "mask" in printed.out and "inverted" in printed.out
    assert printed.err.startswith("input_ids in ") and len(printed.err.splitlines()) == 1
