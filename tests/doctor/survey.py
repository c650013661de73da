"""Every language model of a version of Transformers, seen by the doctor: `make doctor-survey`.

    python -m tests.doctor.survey                             # the version that is installed
    python -m tests.doctor.survey --version 5.17.0            # another one, installed into a folder of its own
    python -m tests.doctor.survey --only DogeForCausalLM      # one model, with its whole report

Models are tiny, have random weights and come from their configurations alone: nothing is downloaded. Each is examined
in a process of its own, a fork of one that has imported everything, with so much time and memory and no more. It needs
Linux or macOS.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "test-artefacts"  # ignored by git
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
HUB = {"5.17.0": "huggingface-hub>=1.5,<2"}  # what a version wants and the environment does not have
SECONDS, GIGABYTES = 120, 8
BUILDS = "not built"
L, PADS, FIRST_ID = 12, 4, 10  # ids below are special

Examine = Callable[[str, str], tuple[str, list[dict[str, str]]]]


@dataclass(frozen=True)
class Row:
    """One model with one kind of attention: the verdict, the findings, how long it took.

    The verdict is "healthy", "note", "warning" or "error", the worst of its findings; or "not built", "not run" or
    "stopped", and then ``why`` says why.
    """

    model: str
    attention: str
    verdict: str
    findings: list[dict[str, str]]
    seconds: float
    why: str = ""


# --- One model --------------------------------------------------------------------------------------------------------


def examine(name: str, attention: str) -> tuple[str, list[dict[str, str]]]:
    """Build a model and give it to the doctor, without padding and with it: the worst severity, and the findings."""
    from masklab.doctor import check_model, merged
    from tests.doctor import tiny_models

    allowed = next(claim for end, claim in tiny_models.KINDS.items() if name.endswith(end))
    try:
        model = tiny_models.tiny(name, attention)
    except Exception as error:
        raise NotBuilt(_short(error)) from error
    texts = (_text(model, padded=False), _text(model, padded=True))
    report = merged(check_model(model, text, allowed=allowed) for text in texts)
    findings = [{key: getattr(one, key) for key in ("severity", "code", "where", "says")} for one in report.findings]
    return findings[0]["severity"] if findings else "healthy", findings


class NotBuilt(Exception):
    """A model that can't be built; the text says why."""


def _text(model: Any, *, padded: bool) -> dict[str, Any]:
    """Two sentences, and with ``padded`` the second is shorter: pads on the right, as the model's mask says."""
    import torch

    from tests.doctor.tiny_models import VOCABULARY

    g = torch.Generator().manual_seed(0)
    ids = torch.stack([torch.randperm(VOCABULARY - FIRST_ID, generator=g)[:L] + FIRST_ID for _ in range(2)])
    if not padded:
        return {"input_ids": ids}
    mask = torch.ones_like(ids)
    mask[1, -PADS:] = 0
    pad_id = getattr(model.config, "pad_token_id", None)
    return {"input_ids": ids.masked_fill(mask == 0, pad_id if isinstance(pad_id, int) else 0), "attention_mask": mask}


def _short(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


# --- Each in a process of its own -------------------------------------------------------------------------------------


def each_apart(
    tasks: Iterable[tuple[str, str]], examine: Examine, *, jobs: int = 2, seconds: float = SECONDS,
    gigabytes: float = GIGABYTES,
) -> Iterator[Row]:  # fmt: skip
    """Examine each (model, attention) in a process of its own; one that takes too long is stopped."""
    context = multiprocessing.get_context("fork")
    todo, running = list(tasks)[::-1], {}
    while todo or running:
        while todo and len(running) < jobs:
            task = todo.pop()
            ours, its = context.Pipe(duplex=False)
            process = context.Process(target=_in_child, args=(its, examine, task, gigabytes), daemon=True)
            process.start()
            its.close()
            running[ours] = (task, process, time.monotonic())
        ready = wait(list(running), timeout=0.1)
        for pipe, (task, process, start) in list(running.items()):
            took = time.monotonic() - start
            if pipe in ready or took > seconds:
                yield _row(task, pipe, process, took)
                del running[pipe]


def _in_child(pipe: Connection, examine: Examine, task: tuple[str, str], gigabytes: float) -> None:
    """What the process of one model does."""
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)  # models print
    os.dup2(devnull, 2)
    try:
        verdict, findings = examine(*task)
        pipe.send((verdict, findings, ""))
    except NotBuilt as error:
        pipe.send((BUILDS, [], str(error)))
    except BaseException as error:
        pipe.send(("stopped" if isinstance(error, MemoryError) else "not run", [], _short(error)))


def _row(task: tuple[str, str], pipe: Connection, process: Any, took: float) -> Row:
    """The row of a model that is done, died, or is out of time; its process is gone afterwards."""
    verdict, findings, why = "stopped", [], f"after {took:.0f} s"
    try:
        if pipe.poll():
            verdict, findings, why = pipe.recv()
    except EOFError:
        why = "its process died"
    process.kill()
    process.join()
    pipe.close()
    return Row(*task, verdict, findings, round(took, 1), why)


# --- All models of a version ------------------------------------------------------------------------------------------


def tasks(only: list[str]) -> list[tuple[str, str]]:
    """Each model with each kind of attention that it has."""
    import transformers

    from tests.doctor.tiny_models import language_models

    names = [name for name in language_models() if not only or name in only]
    return [
        (name, how)
        for name in names
        for how in (["sdpa"] if getattr(transformers, name)._supports_sdpa else []) + ["eager"]
    ]


def preload() -> None:
    """Import what all models need, once, before the processes part."""
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name in ("LlamaForCausalLM", "BertForMaskedLM", "MixtralForCausalLM"):
        examine(name, "sdpa")


def site_of(version: str) -> Path:
    """The folder with this version of Transformers, and nothing of it outside; pip fills it when it is missing."""
    site = ARTEFACTS / f"transformers-{version}"
    if not site.exists():
        wanted = [f"transformers=={version}", *([HUB[version]] if version in HUB else [])]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--target",
        ]
        subprocess.run([*pip, str(site), *wanted], check=True)
    return site


def main() -> None:
    """Run the survey, print a line for each model as it comes, and then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.doctor.survey", description="The doctor on real models.")
    parser.add_argument("--version", help="of Transformers; installed into a folder of its own (the environment's)")
    parser.add_argument("--only", default="", help="names of models, with commas")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"the most for one model ({SECONDS})")
    asked = parser.parse_args()
    if asked.version:  # once more, in a process that imports that version
        path = os.pathsep.join([str(site_of(asked.version)), str(ROOT)])
        arguments = ["--only", asked.only, "--jobs", str(asked.jobs), "--seconds", str(asked.seconds)]
        environment = {**os.environ, "PYTHONPATH": path}
        sys.exit(subprocess.call([sys.executable, "-m", "tests.doctor.survey", *arguments], env=environment, cwd=ROOT))
    survey([name for name in asked.only.split(",") if name], jobs=asked.jobs, seconds=asked.seconds)


def survey(only: list[str], *, jobs: int, seconds: float) -> None:
    """Examine all models of the version that can be imported."""
    os.environ.update(OFFLINE)
    import transformers

    preload()
    rows = []
    for row in each_apart(tasks(only), examine, jobs=jobs, seconds=seconds):
        rows.append(row)
        found = ", ".join(one["code"] for one in row.findings)
        print(f"{row.model:38} {row.attention:6} {row.verdict:10} {row.seconds:5.1f} s  {found or row.why}", flush=True)
        if only:
            print(
                *(f"    {one['severity']} {one['code']}, {one['where']}: {one['says']}" for one in row.findings),
                sep="\n",
            )
    if not only:
        ARTEFACTS.mkdir(exist_ok=True)
        kept = ARTEFACTS / f"survey-{transformers.__version__}.json"
        kept.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False))
    print(f"\nTransformers {transformers.__version__}\n\n{table(rows)}")


# --- The table --------------------------------------------------------------------------------------------------------


def table(rows: list[Row]) -> str:
    """What was found, as Markdown: models with errors and warnings, and how many had none."""
    rows = sorted(rows, key=lambda row: (row.model, row.attention))
    lines = ["| model | attention | verdict | code | seconds |", "|---|---|---|---|--:|"]
    for row in rows:
        if row.verdict in ("error", "warning"):
            codes = ", ".join(f"`{one['code']}`" for one in row.findings if one["severity"] != "note")
            lines.append(f"| {row.model} | {row.attention} | {row.verdict} | {codes} | {row.seconds:.1f} |")
    counts = Counter(row.verdict for row in rows)
    return "\n".join([*lines, "", ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common())])


if __name__ == "__main__":
    main()
