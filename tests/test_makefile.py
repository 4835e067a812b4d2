"""The Makefile and the lock: how a fresh machine gets from a clone to a running ledger.

Nothing here installs anything or needs a network: the lock is read as text, and setup is asked what
it would do, in a folder of its own.
"""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements/run.txt", "requirements/dev.txt"]
STAMPS = [".venv/.made", ".venv/.run", ".venv/.project"]
PIN = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[\w.!+]+)(?: ; [^#]+?)?(?: --hash=sha256:[0-9a-f]{64})+"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what setup reads, in a path with a space."""
    root = tmp_path / "a checkout"
    (root / "requirements").mkdir(parents=True)
    for name in ["Makefile", "pyproject.toml", *LOCKS]:
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.mark.parametrize("target", ["help", "setup", "run", "test", "lint", "bench"])
def test_make_help_explains_every_target(target: str) -> None:
    """Each target has a line of its own with its purpose."""
    assert re.search(rf"^make {target} +\S+", make(ROOT, "help").stdout, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_only_hashed_pins(lock: str) -> None:
    """Every requirement is one exact version with its hashes: no option, no editable, no link."""
    assert requirements(lock)
    assert [line for line in requirements(lock) if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_index_and_no_machine(lock: str) -> None:
    """The lock works behind any index: no URL and no absolute path, in comments neither."""
    assert re.findall(r"\S*://\S*|file:\S*|(?<!\S)/\S+", (ROOT / lock).read_text()) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_runtime_dependency_is_locked(lock: str) -> None:
    """What pyproject asks for at run time, with Postgres and the docs page, is in both locks."""
    assert declared("embedded", "docs") - pins(lock).keys() == set()


def test_every_development_dependency_is_locked() -> None:
    """What `make test` and `make lint` need comes from the lock as well."""
    assert declared("dev") - {"issue-ledger"} - pins("requirements/dev.txt").keys() == set()


def test_developing_runs_the_versions_that_users_run() -> None:
    """The development lock only adds to the other: the same packages at the same versions."""
    assert pins("requirements/run.txt").items() <= pins("requirements/dev.txt").items()


def test_setup_refuses_an_old_python_in_one_line(checkout: Path) -> None:
    """Someone with Python 3.10 reads what is needed, not a traceback."""
    setup = make(checkout, ".venv/.made", f"PYTHON={python(checkout, knows='nothing')}")

    assert setup.returncode != 0
    assert "needs Python 3.11 or newer" in setup.stderr.splitlines()[0]
    assert not (checkout / ".venv").exists()


def test_setup_refuses_a_python_without_venv_in_one_line(checkout: Path) -> None:
    """Debian's bare python3 cannot make environments; the message says what to install."""
    setup = make(checkout, ".venv/.made", f"PYTHON={python(checkout, knows='version_info')}")

    assert setup.returncode != 0
    assert "python3-venv" in setup.stderr.splitlines()[0]
    assert not (checkout / ".venv").exists()


def test_setup_done_once_is_done(checkout: Path) -> None:
    """A second `make setup` has nothing to do."""
    stamp(checkout, *STAMPS)

    assert make(checkout, "setup", "--question").returncode == 0


def test_setup_follows_a_changed_lock(checkout: Path) -> None:
    """A newer lock is installed into the environment that is there."""
    stamp(checkout, *STAMPS, "requirements/run.txt")

    plan = make(checkout, "setup", "--dry-run").stdout

    assert "--requirement requirements/run.txt" in plan
    assert "venv --clear" not in plan


def test_setup_interrupted_in_the_middle_starts_over(checkout: Path) -> None:
    """Half an environment, which pip left without .made, is never trusted."""
    stamp(checkout, *STAMPS)
    (checkout / ".venv/.made").rename(checkout / ".venv/.busy")

    plan = make(checkout, "setup", "--dry-run").stdout

    assert "venv --clear" in plan
    assert "--requirement requirements/run.txt" in plan


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder, untouched by the `make test` that may have started us."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=root,
        env=environment | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def python(root: Path, *, knows: str) -> Path:
    """An interpreter that fails on every line of code but those that say this word."""
    fake = root / "python3"
    fake.write_text(f'#!/bin/sh\ncase "$2" in *{knows}*) exit 0;; esac\nexit 1\n')
    fake.chmod(0o755)
    return fake


def stamp(root: Path, *paths: str) -> None:
    """Make files in this order, each clearly newer than the one before."""
    newest = max(path.stat().st_mtime for path in root.rglob("*"))
    for seconds, path in enumerate(paths, start=1):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
        os.utime(root / path, (newest + seconds, newest + seconds))


def requirements(lock: str) -> list[str]:
    """The lock's requirements, each in one line, without comments."""
    text = re.sub(r"\s*\\\n\s*", " ", (ROOT / lock).read_text())
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def pins(lock: str) -> dict[str, str]:
    """The version that the lock holds of each package."""
    found = (PIN.fullmatch(line) for line in requirements(lock))
    return {pin["name"]: pin["version"] for pin in found if pin}


def declared(*extras: str) -> set[str]:
    """The packages that pyproject asks for: always, and in these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", each)[0]).lower() for each in wanted}
