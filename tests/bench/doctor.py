"""What the mask doctor costs, beside a plain loop and beside causal-certificate, and what each of them finds."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from causal_certificate import certify
from torch import Tensor, nn

from masklab.doctor import check_model
from masklab.doctor.dependence import by_gradients, for_gradients
from masklab.doctor.inputs import make_case
from masklab.models import GPT
from tests.doctor import zoo, zoo_losses, zoo_masks, zoo_transformers
from tests.doctor.patients import BUGS, DTYPES, SEEDS, Patient, bad, examined

WORDS, DIM, HEADS, BATCH = 50, 128, 4, 2
SIZES = [(tokens, 4) for tokens in (16, 32, 64, 128, 256)] + [(128, layers) for layers in (1, 2, 8)]
ZOOS = (zoo_masks.ZOO, zoo.ZOO, zoo_transformers.ZOO, zoo_losses.ZOO)

Say = Callable[[str], None]


# --- What it costs ----------------------------------------------------------------------------------------------------


def costs(sizes: Sequence[tuple[int, int]], say: Say, rounds: int = 3) -> dict[tuple[int, int], dict[str, float]]:
    """For each (tokens, layers) the seconds of: the whole examination, its matrix, a plain loop, causal-certificate.

    They take turns, and the fastest time of each counts.
    """
    results = {}
    for tokens, layers in sizes:
        say(f"the doctor: {tokens} tokens, {layers} layers")
        ways = ways_of(tokens, layers)
        for run in ways.values():  # the first time fills caches
            run()
        times = {name: [seconds(run) for _ in range(rounds)] for name, run in ways.items()}
        results[tokens, layers] = {name: min(several) for name, several in times.items()}
    return results


def ways_of(tokens: int, layers: int) -> dict[str, Callable[[], object]]:
    """The same healthy GPT, examined in four ways."""
    gpt = GPT(WORDS, dim=DIM, heads=HEADS, layers=layers, max_len=tokens, seed=0)
    ids = torch.randint(1, WORDS, (BATCH, tokens), generator=torch.Generator().manual_seed(0))
    run, x = on_vectors(gpt, ids, words=WORDS)
    allowed = torch.ones(BATCH, tokens, tokens, dtype=torch.bool).tril()
    return {
        "check_model": lambda: check_model(gpt, ids, allowed="causal"),
        "matrix": lambda: matrix(run, x, allowed),
        "loop": lambda: plain_loop(run, x),
        "certificate": lambda: certify(run, x),
    }


def on_vectors(model: nn.Module, ids: Tensor, *, words: int = zoo.V) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A language model as a function of its tokens' vectors, as causal-certificate wants it, and the vectors."""
    table = table_of(model, words)

    def run(x: Tensor) -> Tensor:
        hook = table.register_forward_hook(lambda *_: x)
        try:
            output = model(ids)
        finally:
            hook.remove()
        return getattr(output, "logits", output)

    return run, table(ids).detach()


def table_of(model: nn.Module, words: int) -> nn.Embedding | None:
    """The table of the tokens, which has a row for each; None if there is none."""
    tables = [part for part in model.modules() if isinstance(part, nn.Embedding) and part.num_embeddings == words]
    return tables[0] if tables else None


def matrix(run: Callable, x: Tensor, allowed: Tensor) -> Tensor:
    """Which output depends on which position, by the doctor's batched products: one mode, and nothing else."""
    case = make_case(run, x, None)
    with for_gradients():
        nudge = case.nudge("").requires_grad_()
        return by_gradients(case, allowed, case.run({"": nudge}), nudge).real


def plain_loop(run: Callable, x: Tensor) -> Tensor:
    """The same as one would write it: a backward pass for each position. (B, L, L)"""
    x = x.clone().requires_grad_()
    y = run(x)
    y = (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).sum(-1)
    rows = [torch.autograd.grad(y[:, i].sum(), x, retain_graph=True)[0].norm(dim=-1) for i in range(y.shape[1])]
    return torch.stack(rows, dim=1) > 0


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# --- What it finds ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a kind of patients was found as: how many there are, with how many seeds each, and the codes."""

    patients: int
    seeds: int
    codes: Counter


def found(say: Say, seeds: int = SEEDS) -> dict[str, Found]:
    """Each bug, and the codes that its planted mistakes were found as; the last line is of the healthy patients."""
    warnings.simplefilter("ignore")  # models warn of what they are asked to do
    results = {}
    for bug in BUGS:
        say(f"the zoo: {bug}")
        results[bug] = _found([one.make for part in ZOOS for one in part.ill.values() if one.bug == bug], seeds)
    say("the zoo: the healthy")
    results["healthy"] = _found([make for part in ZOOS for make in part.healthy.values()], seeds)
    return results


def _found(makes: Sequence[Callable], seeds: int) -> Found:
    codes = Counter()
    for make in makes:
        for seed in range(seeds):
            codes.update(bad(examined(make, seed)))
    return Found(len(makes), seeds, codes)


@dataclass(frozen=True)
class Compared:
    """On patients that both can be given: how many there are, and the names of those that each judges wrongly."""

    patients: int
    doctor: list[str]
    certificate: list[str]


def compared(say: Say, seeds: int = SEEDS) -> dict[str, Compared]:
    """The doctor beside causal-certificate, on what that takes: ids or vectors, no padding, said to be causal."""
    warnings.simplefilter("ignore")
    results = {}
    for kind in ("ill", "healthy"):
        say(f"causal-certificate on the {kind}")
        cases = dict(_causal_patients(kind))
        wrong = {
            judge: [name for name, make in cases.items() if any(judge(make, seed) != kind for seed in range(seeds))]
            for judge in (by_doctor, by_certificate)
        }
        results[kind] = Compared(len(cases), wrong[by_doctor], wrong[by_certificate])
    return results


def by_doctor(make: Callable, seed: int) -> str:
    """What the doctor calls a patient, "ill" or "healthy"."""
    return "healthy" if examined(make, seed).ok else "ill"


def by_certificate(make: Callable, seed: int) -> str:
    """What causal-certificate calls it. A model that refuses to run with gradients is taken as found."""
    try:
        return "healthy" if certify(*as_vectors(make(seed, DTYPES[seed % len(DTYPES)]))).ok else "ill"
    except RuntimeError:
        return "ill"


def _causal_patients(kind: str) -> Iterator[tuple[str, Callable]]:
    for part in (zoo.ZOO, zoo_transformers.ZOO):
        for name, one in getattr(part, kind).items():
            make = one if kind == "healthy" else one.make
            if as_vectors(make(0, torch.float32)):
                yield name, make


def as_vectors(patient: Patient) -> tuple[Callable, Tensor] | None:
    """What causal-certificate is given of a patient; None where that can't be."""
    inputs = patient.inputs.get("input_ids") if isinstance(patient.inputs, dict) else patient.inputs
    alone = not isinstance(patient.inputs, dict) or len(patient.inputs) == 1
    if patient.allowed != "causal" or patient.pad is not None or inputs is None or not alone:
        return None
    if inputs.is_floating_point():
        return patient.model, inputs
    has_table = isinstance(patient.model, nn.Module) and table_of(patient.model, zoo.V)
    return on_vectors(patient.model, inputs) if has_table else None
