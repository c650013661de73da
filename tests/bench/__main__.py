"""`make bench`: one run, tables, and the README's part.

make bench                         everything; writes the README's part, and the part of the doctor's page
make bench ARGS=--quick            fewer widths and repetitions; leaves both as they are
make bench ARGS="--only doctor"    one part; leaves a page as it is if it has others, too
make bench ARGS="--profile 128"    what the kernel does for one answer, function by function
"""

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path

from tests.bench import imports, keystrokes, notebooks, report, stages

README = Path(__file__).parents[2] / "README.md"
PAGES = {  # which tables are written into which page
    README: ("keystrokes", "labs", "imports", "notebooks"),
    README.parent / "masklab" / "doctor" / "README.md": ("doctor_costs", "doctor_zoo", "doctor_compared"),
}
PARTS = ("keystrokes", "labs", "stages", "imports", "notebooks", "masks", "experiments", "doctor")
STAGE_SIZES = (5, 16, 32, 128)


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line asks for, and print it."""
    options = parsed(arguments)
    if options.profile:
        print(stages.profile(options.profile))
        return 0
    tables = measure(options.only or PARTS, quick=options.quick)
    print("\n\n".join(map(report.plain, tables.values())))
    for page, parts in PAGES.items():
        if not options.quick and set(parts) <= set(tables):
            write(page, [tables[part] for part in parts])
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer widths and repetitions")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="only these parts")
    parser.add_argument("--profile", type=int, metavar="TOKENS", help="profile the kernel's part of an answer")
    return parser.parse_args(arguments)


def measure(parts, *, quick: bool) -> dict[str, report.Table]:
    """One table for each part, in the order in which they are printed."""
    tables = {}
    if {"keystrokes", "labs", "stages"} & set(parts):
        tables |= in_the_browser(parts, quick=quick)
    if "imports" in parts:
        say("importing")
        tables["imports"] = report.imports(imports.measure(3 if quick else 9))
    if "notebooks" in parts:
        tables["notebooks"] = report.notebooks(notebooks.measure(1 if quick else 3, say))
    if "masks" in parts:
        from tests.bench import masks  # only here: it imports torch

        tables["masks"] = report.masks(masks.measure(masks.SIZES[::2] if quick else masks.SIZES, say))
    if "experiments" in parts:
        from tests.bench import experiments

        tables["experiments"] = report.experiments(experiments.measure(say, quick=quick))
    if "doctor" in parts:
        from tests.bench import doctor

        seeds = 2 if quick else doctor.SEEDS
        tables["doctor_costs"] = report.doctor_costs(doctor.costs(doctor.SIZES[::3] if quick else doctor.SIZES, say))
        tables["doctor_zoo"] = report.doctor_zoo(doctor.found(say, seeds))
        tables["doctor_compared"] = report.doctor_compared(doctor.compared(say, seeds))
    return tables


def in_the_browser(parts, *, quick: bool) -> dict[str, report.Table]:
    """What needs a JupyterLab and a Chromium."""
    tables = {}
    with keystrokes.lab_server() as (server, browser):
        facts = machine(browser.version)
        plan = keystrokes.QUICK if quick else keystrokes.FULL
        if "keystrokes" in parts:
            tables["keystrokes"] = report.keystrokes(keystrokes.measure(server, browser, plan, say), machine=facts)
        if "labs" in parts:
            tables["labs"] = report.labs(keystrokes.measure_labs(server, browser, plan, say), words=plan.lab_size)
        if "stages" in parts:
            tables["stages"] = report.stages(stages.measure(server, browser, STAGE_SIZES, 8 if quick else 20, say))
    return tables


def machine(chromium: str) -> str:
    """What the numbers were measured on, as far as it matters."""
    lab = ".".join(version("jupyterlab").split(".")[:2])
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{os.cpu_count()} cores, headless Chromium {chromium.split('.')[0]}, JupyterLab {lab}, Python {python}"


def write(page: Path, tables: list[report.Table]) -> None:
    """Put the tables between the page's markers, or say that there are none."""
    text = report.placed(page.read_text(encoding="utf-8"), "\n\n".join(map(report.markdown, tables)))
    if text is None:
        print(f"\n{page} is unchanged: it has no lines {report.START} and {report.END}.")
        return
    page.write_text(text, encoding="utf-8")
    print(f"\nWrote the part of {page}.")


def say(what: str) -> None:
    """Say what is going on, on stderr."""
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
