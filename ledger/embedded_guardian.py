"""The guardian: a process that starts one data dir's Postgres and stops it after its last user.

A process that is killed with -9 cannot stop what it started. So each user (a process inside
`embedded_postgres.postgres`) holds a shared flock on `users.lock`, which the kernel gives back
whatever becomes of the user, and this process, in a session of its own, waits until it can have
that lock to itself. While it stops Postgres it keeps the lock, so that the next user waits.

What lives is never guessed from a process number; the kernel's locks say it:

| file in the data dir | held                                     | so, when it is free           |
| -------------------- | ---------------------------------------- | ----------------------------- |
| `users.lock`         | shared, by each user                     | nobody needs Postgres         |
| `guardian.lock`      | by whoever starts Postgres and guards it | Postgres, if up, is unguarded |
| `server.lock`        | by Postgres and all its backends         | Postgres and they are gone    |

Postgres inherits `server.lock` from the guardian, and no other lock. A guardian that was killed
leaves Postgres running; the next one finds `server.lock` held and adopts that Postgres.

This file is run by its path with `python -I -S`, so that it starts fast and needs neither the
package nor its dependencies to be importable: it imports nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypedDict

POLL_SECONDS = 0.1

SETTINGS = {
    # What the ledger promises its users rests on these three. On the command line they win over
    # postgresql.conf and ALTER SYSTEM.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Only the socket folder, of mode 0700, leads in.
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",  # An embedded data dir lies on an SSD.
    "autovacuum_naptime": "5s",  # A young database grows faster than once a minute can tell.
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

SHUTDOWNS = (  # Each signal to the postmaster, and how many seconds it gets.
    (signal.SIGINT, 60.0),  # Fast: roll back, write a checkpoint. A slow disk may need its time.
    (signal.SIGQUIT, 10.0),  # Immediate: the next start replays the log.
    (signal.SIGKILL, 10.0),
)

# Postgres never leaves its folder, and no stranger that was given its old number is in there.
# Where there is no /proc (macOS), the stranger's name tells.
IS_POSTMASTER = """
if test -e /proc/self/cwd
then test "/proc/$0/cwd" -ef .
else ps -o stat= -o comm= -p "$0" | grep -q '^[^Z].*postgres'
fi
"""


class Lock:
    """A lock file as we have it open. Closing it gives up what we hold; so does our end."""

    def __init__(self, file: Path) -> None:
        """Opens it, so that no program that we start inherits it unless it is told to."""
        # Root may be here in another user's data dir, and must not be led out of it by a link.
        self.descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def __enter__(self) -> Lock:
        """The open lock file, not yet held."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        os.close(self.descriptor)

    def try_shared(self) -> bool:
        """Holds the lock together with others, unless one has it to itself."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Has the lock to itself, unless anybody else holds it."""
        return self._try(fcntl.LOCK_EX)

    def wait_exclusive(self) -> None:
        """Has the lock to itself as soon as nobody else holds it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def is_taken(self) -> bool:
        """Whether somebody has the lock to himself, asked by one who does not hold it."""
        if not self.try_shared():
            return True
        self.release()
        return False

    def release(self) -> None:
        """Gives up what is held, and keeps the file open."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Condition(Enum):
    """What a data dir's Postgres says when one knocks."""

    SILENT = "silent"
    STARTING = "starting"  # It is replaying its log, or shutting down.
    READY = "ready"


class User(TypedDict):
    """As whom `subprocess` runs a program."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """One data dir: where its files are, and which programs serve it as which user."""

    data_dir: Path
    programs: Path
    uid: int
    gid: int

    @property
    def files(self) -> Path:
        """The folder that initdb made. It belongs to the server's user."""
        return self.data_dir / "pg"

    @property
    def users_lock(self) -> Path:
        """Shared by all users."""
        return self.data_dir / "users.lock"

    @property
    def guardian_lock(self) -> Path:
        """Held by the guardian; the file names its process."""
        return self.data_dir / "guardian.lock"

    @property
    def server_lock(self) -> Path:
        """Held by Postgres itself."""
        return self.data_dir / "server.lock"

    @property
    def log(self) -> Path:
        """What Postgres and the guardian have to say."""
        return self.data_dir / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        """The same for every process and every start, so that a user's URL outlives a crash.

        It is not in the data dir, whose path may be too long for a socket's (103 bytes) or may
        lie where the server's user cannot go; and not named by the environment, which differs
        between two processes. (They must share /tmp, though: mind systemd's PrivateTmp.) The
        inode, not the path, names it: a data dir may be moved while it is served, and another
        put into its place.
        """
        status = self.data_dir.stat()
        name = hashlib.sha256(f"{status.st_dev}:{status.st_ino}".encode()).hexdigest()[:16]
        return Path("/tmp") / f"issue-ledger-{name}"

    def start(
        self,
        program: str,
        *arguments: str,
        folder: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[str]:
        """Starts a Postgres program on a folder of files, as the server's user."""
        return subprocess.Popen(
            [str(self.programs / program), *arguments],
            cwd=folder,  # Entered before the user changes, so parent folders do not matter.
            # And nothing else: no PG* variable of the user's may interfere.
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGDATA": self._name_for_server(folder)},
            **self._user(),
            start_new_session=True,  # Ctrl-C in a terminal is for the users.
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT if stdout is not None else None,
            pass_fds=pass_fds,
            text=True,
        )

    def reaches(self, folder: Path) -> bool:
        """Whether the server's user can get to a folder by its path."""
        return self.may_run("/bin/sh", "-c", 'test -x "$0"', folder)

    def may_run(self, *command: str | Path, folder: Path = Path("/")) -> bool:
        """Whether a command succeeds for the server's user."""
        quiet = subprocess.DEVNULL
        try:
            run = subprocess.run(command, cwd=folder, stdout=quiet, stderr=quiet, **self._user())
        except PermissionError:
            return False
        return run.returncode == 0

    def _user(self) -> User:
        if os.geteuid() != 0:
            return {"user": None, "group": None, "extra_groups": None}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def _name_for_server(self, folder: Path) -> str:
        # Postgres turns a relative path into an absolute one. Where that leads through a folder
        # closed to its user (/root, say), this name still works: Postgres never leaves the folder.
        return str(folder) if self.reaches(folder) else "/proc/self/cwd"


def main() -> None:
    """Guards the data dir that the command line names."""
    data_dir, programs, uid, gid, guardian_lock = sys.argv[1:]
    if os.fork() != 0:
        return  # The launcher waits for this half only; the other is nobody's zombie.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The users decide when it is over. SIG_IGN will not do: a Postgres that has just been
        # started would inherit it, and miss the signal to stop.
        signal.signal(ignored, lambda *_: None)
    os.ftruncate(int(guardian_lock), 0)
    os.write(int(guardian_lock), f"{os.getpid()}\n".encode())
    guard(Cluster(Path(data_dir), Path(programs), int(uid), int(gid)))


def guard(cluster: Cluster) -> None:
    """Sees to it that Postgres runs, and stops it when nobody uses it any more.

    When Postgres ends by itself the guardian ends too, which tells the users to start another.
    """
    # Found once and for all: the data dir may be moved or removed while it is guarded.
    socket_dir = cluster.socket_dir
    with Lock(cluster.users_lock) as users, Lock(cluster.server_lock) as server:
        postmaster = start_or_adopt(cluster)
        while server.is_taken():
            if users.try_exclusive():
                stop(postmaster, server)
                shutil.rmtree(socket_dir, ignore_errors=True)
                break
            time.sleep(POLL_SECONDS)
        with suppress(ChildProcessError):  # An adopted one has another parent.
            os.waitpid(postmaster, 0)


def start_or_adopt(cluster: Cluster) -> int:
    """The process number of the postmaster: a new one, or one whose guardian was killed."""
    while True:
        with Lock(cluster.server_lock) as server:
            if server.try_exclusive():
                return start(cluster, server)
        postmaster = postmaster_of(cluster)
        if postmaster is not None:
            return postmaster
        # A killed postmaster's backends are still ending, or a new one has just begun.
        time.sleep(POLL_SECONDS)


def start(cluster: Cluster, server: Lock) -> int:
    """Starts Postgres, which inherits and so holds `server.lock`."""
    clear_remains(cluster)
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    return cluster.start(
        "postgres",
        "-k",
        str(cluster.socket_dir),
        *settings,
        folder=cluster.files,
        pass_fds=(server.descriptor,),
    ).pid


def stop(postmaster: int, server: Lock) -> None:
    """Stops Postgres, politely first. When all of it is gone, nobody has `server.lock`."""
    for how, patience_seconds in SHUTDOWNS:
        with suppress(ProcessLookupError):
            os.kill(postmaster, how)
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            if not server.is_taken():
                return
            time.sleep(POLL_SECONDS / 10)


def clear_remains(cluster: Cluster) -> None:
    """Forgets a dead Postgres, whose process number may be somebody else's by now.

    Postgres would refuse to start then; in containers, where numbers are few, that is common.
    """
    if postmaster_of(cluster) is None:
        (cluster.files / "postmaster.pid").unlink(missing_ok=True)
    if not connects(cluster):
        for remains in cluster.socket_dir.glob(".s.PGSQL.*"):
            remains.unlink(missing_ok=True)


def postmaster_of(cluster: Cluster) -> int | None:
    """The live postmaster of this data dir, if there is one."""
    pid = first_number(cluster.files / "postmaster.pid")
    # Asked as the server's user: in a container, root may not look at other users' processes.
    if pid is not None and cluster.may_run(
        "/bin/sh", "-c", IS_POSTMASTER, str(pid), folder=cluster.files
    ):
        return pid
    return None


def condition(cluster: Cluster) -> Condition:
    """What this data dir's Postgres answers to a new connection."""
    # The socket's lock file tells the socket of this Postgres from one left by another.
    pid = first_number(cluster.files / "postmaster.pid")
    if pid is None or pid != first_number(cluster.socket_dir / ".s.PGSQL.5432.lock"):
        return Condition.SILENT
    reply = first_reply(cluster)
    if reply.endswith(b"Z\0\0\0\x05I") or b"C53300\0" in reply:  # Full is alive, too.
        return Condition.READY
    if b"C57P03\0" in reply:
        return Condition.STARTING
    return Condition.SILENT


def connects(cluster: Cluster) -> bool:
    """Whether anybody listens on the socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(cluster.socket_dir / ".s.PGSQL.5432")) == 0


def first_reply(cluster: Cluster) -> bytes:
    """What Postgres says to a start-up packet, until it is ready for a query or hangs up."""
    wish = b"user\0postgres\0database\0ledger\0\0"
    reply = b""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(cluster.socket_dir / ".s.PGSQL.5432"))
        connection.sendall(struct.pack("!ii", 8 + len(wish), 3 << 16) + wish)
        while not reply.endswith(b"Z\0\0\0\x05I") and (more := connection.recv(4096)):
            reply += more
        connection.sendall(b"X\0\0\0\x04")
    return reply


def first_number(file: Path) -> int | None:
    """The process number that opens a pid or lock file."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    main()
