"""Run nbval as `make test` does, in a process of its own, and read what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SANITIZE = Path(__file__).with_name("sanitize.cfg")
NBVAL = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]


def nbval(paths: Sequence[Path], *, rootdir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run these notebooks and compare their cells, with some environment variables changed; stdout has no colours."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--rootdir", rootdir, "-c", os.devnull]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTEST", "MPL"))}
    ran = subprocess.run(
        [*command, *NBVAL, *paths], env=outer | environment, capture_output=True, text=True, timeout=300
    )
    ran.stdout = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)
    return ran
