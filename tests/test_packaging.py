"""What surrounds the course: the two commands, conda and Binder, Jupyter's settings."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.browser.server import jupyterlab

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
NEW_PYTHON = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
OLD_PYTHON = "#!/bin/sh\nexit 1\n"  # what `sys.exit(sys.version_info < (3, 11))` gives in Python 3.9
NO_VENV = '#!/bin/sh\ncase "$*" in "-m venv"*) mkdir .venv; echo no ensurepip; exit 1;; esac\n' + NEW_PYTHON
# Makes a .venv in no time, whose pip says what a real one says when nothing answers, or what $PIP_SAYS holds.
FAKE_VENV = f"""#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
[ -z "$PIP_SAYS" ] || {{ echo "$PIP_SAYS"; exit 1; }}
END
chmod +x .venv/bin/python
"""


def make(folder, *arguments, python=OLD_PYTHON, target="environment", **environment):
    """Run make in a folder with a stand-in for Python."""
    stand_in = folder / "stand-in-python"
    stand_in.write_text(python)
    stand_in.chmod(0o755)
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", target, f"PYTHON={stand_in}", *arguments]
    return subprocess.run(command, cwd=folder, env=outer | environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def clone(tmp_path):
    """The part of a fresh clone that the environment is made from."""
    for name in ("Makefile", "pyproject.toml", "jupyter/overrides.json", "jupyter/jupyter_server_config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def sentences(ran):
    """What was said on stderr, without make's own line."""
    return [line for line in ran.stderr.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize(("python", "pip_says", "sentence"), [
    (OLD_PYTHON, "", "masklab needs Python 3.11 or newer"),
    (NO_VENV, "", "'sudo apt install python3-venv' fixes that"),
    (FAKE_VENV, "NewConnectionError: Connection refused", "pip cannot reach the package index"),
    (FAKE_VENV, "ERROR: No space left on device", "pip could not install the packages: ERROR: No space left"),
])  # fmt: skip
def test_what_can_go_wrong_is_one_sentence_and_leaves_nothing_to_believe_in(clone, python, pip_says, sentence):
    ran = make(clone, python=python, PIP_SAYS=pip_says)
    assert ran.returncode != 0
    (said,) = sentences(ran)
    assert sentence in said
    assert not (clone / ".venv" / ".done").exists()
    again = make(clone, python=FAKE_VENV)
    assert again.returncode == 0, "a second try starts anew"


def test_a_pip_that_cannot_reach_its_index_says_what_make_looks_for():
    """The words that `offline` in the Makefile looks for are those of the pip that is installed here."""
    pip = [sys.executable, "-m", "pip", "--isolated", "download", "--no-deps", "--retries=1", "--dest", os.devnull]
    ran = subprocess.run([*pip, "--index-url=http://127.0.0.1:9/", "masklab-none"], capture_output=True, text=True)
    pattern = re.search(r"^offline := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert re.search(pattern, ran.stdout + ran.stderr)


def test_the_environment_is_made_once_and_again_when_asked_for_more(clone):
    first = make(clone, python=FAKE_VENV)
    assert first.stdout.startswith("Making the environment in .venv"), first
    assert len(first.stdout.splitlines()) == 1
    assert make(clone, python=FAKE_VENV).stdout == "", "nothing is said when nothing changed"
    later = (clone / ".venv" / ".done").stat().st_mtime + 5
    os.utime(clone / "pyproject.toml", (later, later))
    assert make(clone, python=FAKE_VENV).stdout == first.stdout


def test_an_environment_from_another_folder_is_not_believed(clone):
    make(clone, python=FAKE_VENV)
    (clone / ".venv" / ".done").write_text("/another/folder\n")
    assert "Making the environment" in make(clone, python=FAKE_VENV).stdout


def test_help_comes_first_and_names_every_command(clone):
    ran = subprocess.run(["make"], cwd=clone, capture_output=True, text=True, check=True)
    for target in ("lab", "test", "lint", "notebooks", "check-notebooks", "figures", "bench"):
        assert re.search(rf"^make {target} ", ran.stdout, re.MULTILINE)


# --- one lesson, and style ---------------------------------------------------------------------------------------


@pytest.fixture
def lessons(clone):
    """The clone with two lessons in it."""
    for name in ("00_start_here", "05_attention_padding"):
        (clone / "notebooks" / "src").mkdir(parents=True, exist_ok=True)
        (clone / "notebooks" / "src" / f"{name}.md").touch()
    return clone


def test_one_lesson_is_tested_by_the_name_of_its_module(lessons):
    tests = ("test_dialects.py", "test_models.py", "test_lab_attention_padding.py")
    for name, line in zip(tests, ("import transformers", "import torch", "from transformers import x"), strict=True):
        (lessons / "tests").mkdir(exist_ok=True)
        (lessons / "tests" / name).write_text(line)
    one = make(lessons, "--dry-run", "LESSON=05", target="test").stdout
    assert "\t-k attention_padding --ignore=tests/test_dialects.py tests masklab" in one
    everything = make(lessons, "--dry-run", target="test").stdout
    assert "-k " not in everything and "--ignore" not in everything


@pytest.mark.parametrize("lesson", ["07", "5", "attention", "0%", "*", "05 00"])
def test_an_unknown_lesson_is_told_which_there_are_before_anything_is_made(lessons, lesson):
    ran = make(lessons, f"LESSON={lesson}", target="test")
    (said,) = sentences(ran)
    assert said.startswith(f"There is no lesson '{lesson}'. The lessons are: 00_start_here 05_attention_padding.")
    assert ran.returncode != 0 and ran.stdout == "" and not (lessons / ".venv").exists()


def lint(folder):
    """Run `make lint` there with this environment."""
    (folder / ".venv").symlink_to(sys.prefix)
    return make(folder, "--old-file=.venv/.done", target="lint")


@pytest.mark.parametrize(("code", "said"), [
    ('"""A module."""\n\n\ndef one() -> int:\n    """Give 1."""\n    return 1\n', ""),
    ('"""A module."""\n\n\ndef one() -> int:\n    """Give 1."""\n    return "1"\n', "Incompatible return value type"),
    ('"""A module."""\nx=1\n', "'make format' fixes it"),
    ('"""A module."""\n\nimport os\n', "F401"),
])  # fmt: skip
def test_lint_finds_wrong_types_and_wrong_style(clone, code, said):
    for name in ("masklab/one.py", "notebooks/build.py"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(code)
    ran = lint(clone)
    assert said in ran.stdout + ran.stderr
    assert (ran.returncode != 0) == bool(said), ran


# --- conda and Binder ------------------------------------------------------------------------------------------


def conda_wants():
    """Name → version in environment.yml, without Python and pip."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    wants = dict(entry.partition("=")[::2] for entry in listed)
    return {name: version for name, version in wants.items() if name not in ("python", "pip")}


def pip_wants():
    """Conda's name → version in pyproject.toml: ``torch==2.13.0`` gives pytorch-cpu 2.13.0, ``x==4.6.*`` gives 4.6."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wants = dict(entry.split("==") for entry in listed)
    return {CONDA_NAMES.get(name, name): version.removesuffix(".*") for name, version in wants.items()}


def test_conda_and_pip_ask_for_the_same_versions():
    assert conda_wants() == pip_wants()


@pytest.fixture(scope="module")
def dockerfile():
    """What repo2docker would do with this checkout: its no-build mode, with no Docker and no network."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("line", [
    "Building conda environment for python=3.11",
    'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"', "RUN ./postBuild",
    'ENV R2D_ENTRYPOINT="${REPO_DIR}/start"',
])  # fmt: skip
def test_binder_finds_conda_python_post_build_and_start(dockerfile, line):
    assert line in dockerfile


@pytest.mark.parametrize("name", ["postBuild", "start", ".ci/run"])
def test_scripts_can_be_run(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_start_hands_over_to_what_binder_wants_to_start():
    ran = subprocess.run([ROOT / "start", "echo", "a b"], capture_output=True, text=True, check=True)
    assert ran.stdout == "a b\n"


# --- JupyterLab's settings -------------------------------------------------------------------------------------


def test_the_course_settings_stand_where_jupyterlab_reads_them():
    from jupyterlab.commands import get_app_dir

    ours = json.loads((ROOT / "jupyter" / "overrides.json").read_text())
    assert json.loads((Path(get_app_dir()) / "settings" / "overrides.json").read_text()) == ours


def test_every_course_setting_exists_in_jupyterlab_and_has_the_right_type():
    import jsonschema
    from jupyterlab.commands import get_app_dir

    for plugin, settings in json.loads((ROOT / "jupyter" / "overrides.json").read_text()).items():
        schema = json.loads((Path(get_app_dir()) / "schemas" / f"{plugin.replace(':', '/')}.json").read_text())
        assert set(settings) <= set(schema["properties"]), plugin
        jsonschema.validate(settings, schema)


def listed(server, folder):
    """The names that the file browser shows for a folder, by the server's contents API."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
    with opener.open(f"{server.url}/api/contents/{folder}?token={server.token}", timeout=60) as answer:
        return {entry["name"] for entry in json.load(answer)["content"]}


def test_the_file_browser_shows_the_lessons_and_not_what_they_are_made_from(tmp_path):
    """A real server with nothing said on its command line, as after conda and on Binder; `make lab` adds to that."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("my notes.md", "mine.py", "__pycache__/a.pyc", "old~"):
        (tmp_path / "notebooks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "notebooks" / name).touch()
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    with jupyterlab(tmp_path) as server:
        assert listed(server, "notebooks") == {*lessons, "solutions", "my notes.md", "mine.py"}
        assert listed(server, "notebooks/solutions") == lessons


def test_what_jupyter_hides_by_itself_stays_hidden():
    """A setting replaces Jupyter's own list, so ours repeats it."""
    from jupyter_server.services.contents.manager import ContentsManager

    ours = json.loads((ROOT / "jupyter" / "jupyter_server_config.json").read_text())["ContentsManager"]["hide_globs"]
    assert set(ours) == {*ContentsManager().hide_globs, "src", "build.py"}
