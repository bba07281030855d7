"""The life of one embedded server: booted by its first user, stopped with its last unless it is kept.

Users are lease files held by flock, so that kill -9 of one needs no clean-up of his: whoever comes next sees a dead
lease. Everything that changes the server's state happens under the instance's lock; nothing that a user of the server
does while measuring needs it.

    <state>/instances/<key>/lock          the instance's lock
                            leases/       a file a user, held locked while he lives
                            keep          `db up` was given
                            booted        it was ready once with these --pg-settings (JSON)
                            server/       the server user's: data, run (socket), extensions, server.log
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.target import postmaster
from pgflow_stress.target.base import Restarted, Say
from pgflow_stress.target.locking import Lease, held, held_if_free, live_leases, remove_dead_leases
from pgflow_stress.target.naming import FILE_LEASE, new_lease_id
from pgflow_stress.target.pginstall import ServerUser, reachable
from pgflow_stress.target.settings import Settings, conf_text

_SOCKET_PATH_LIMIT_BYTES = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_READY_TIMEOUT_SECONDS = 300.0  # crash recovery after a long run replays up to max_wal_size
_STOP_TIMEOUT_SECONDS = 60.0
_ORPHANS_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class InstancePlan:
    """What an instance is made of."""

    key: str
    tree: Path  # pginstall
    ours: Settings
    users: Settings  # of --pg-setting, given on the server's command line so that a complaint names no file
    user: ServerUser | None


class Instance:
    """One embedded server, running or not."""

    def __init__(self, root: Path) -> None:
        """Name its files; nothing is made."""
        self.root = root
        self.data = root / "server" / "data"
        self.log = root / "server" / "server.log"
        self.extensions = root / "server" / "extensions"
        self.leases = root / "leases"
        self._lock = root / "lock"
        self._keep = root / "keep"
        self._booted = root / "booted"

    @property
    def socket_folder(self) -> Path:
        """Beside the data, or a short private folder under the temporary directory where that path is too long."""
        beside = self.root / "server" / "run"
        if len(os.fsencode(beside / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT_BYTES:
            return beside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path("/tmp") / f"pgflow-stress-{os.geteuid()}-{digest}"

    @property
    def kept(self) -> bool:
        """Whether it outlives its last user."""
        return self._keep.exists()

    def user_settings(self) -> Settings:
        """What --pg-setting made it an instance of its own; empty where it was never up."""
        try:
            return tuple((str(name), str(value)) for name, value in json.loads(self._booted.read_text()))
        except (OSError, ValueError):
            return ()

    def running(self) -> postmaster.Postmaster | None:
        """Its postmaster, whatever its state; None where it is down."""
        return postmaster.find_postmaster(self.data)

    def join(self, plan: InstancePlan, say: Say, meanwhile: Callable[[], None] = lambda: None) -> Lease:
        """Become a user: boot the server where it is down, and hold a lease.

        Args:
            meanwhile: called while the server boots, for what takes time and doesn't need it.
        Raises:
            SetUpFault: it can't be booted.
            UsageFault: it can't because of a setting of the user's.
        """
        self._make_folders(plan.user)
        with held(self._lock):
            remove_dead_leases(self.leases)
            lease = Lease(self.leases, new_lease_id(FILE_LEASE))
            try:
                self._ensure_running(plan, say, meanwhile)
            except BaseException:
                lease.end()
                self._stop_if_unused()
                raise
        return lease

    def leave(self, lease: Lease) -> None:
        """Give the lease back and stop the server where nobody else is left."""
        with held(self._lock):
            lease.end()
            remove_dead_leases(self.leases)
            self._stop_if_unused()

    def restart(self, plan: InstancePlan, *, immediate: bool, gone: Callable[[], None]) -> Restarted:
        """Stop the server and start it again, with nobody joining or leaving meanwhile; `gone` is called in between.

        Args:
            immediate: as by a crash, so that it has to recover.
        Raises:
            SetUpFault: others use it, or it did not stop or start.
        """
        with held(self._lock):
            if len(live_leases(self.leases)) > 1:
                raise SetUpFault("the embedded server has other users, who would lose it as well")
            found, log_from_bytes = self.running(), postmaster.log_size_bytes(self.log)
            if found is None or not postmaster.shut_down(self.data, immediate=immediate, seconds=_STOP_TIMEOUT_SECONDS):
                raise SetUpFault("the embedded server was not running, or did not stop")
            gone()
            pid = self._start(plan)
            if not postmaster.wait_until_ready(self.data, pid, _READY_TIMEOUT_SECONDS):
                self._retry_or_tell(plan, log_from_bytes)
            following = self.running()
            recovered = postmaster.recovered(self.log, log_from_bytes)
            return Restarted(found.pid, following.pid if following else 0, recovered)

    def keep(self, wanted: bool) -> None:
        """Let it outlive its last user, or not; takes effect when the last user leaves."""
        with held(self._lock):
            if wanted:
                self._keep.touch()
            else:
                self._keep.unlink(missing_ok=True)

    def stop_if_unused(self) -> bool:
        """Stop a server that nobody uses and nobody keeps; whether it is down afterwards."""
        with held(self._lock):
            remove_dead_leases(self.leases)
            self._stop_if_unused()
            return self.running() is None

    def forsake(self) -> None:
        """Ask an orphan, left by users that were killed, to stop; doesn't wait, nor for its lock."""
        if self.kept or self.running() is None or live_leases(self.leases):
            return
        with held_if_free(self._lock) as free:
            if free and not self.kept and not live_leases(self.leases):
                postmaster.ask_to_stop(self.data)

    def remove_if_unused(self) -> bool:
        """Delete an instance that is down and not kept; whether it is gone."""
        with held_if_free(self._lock) as free:
            if not free or self.kept or live_leases(self.leases) or self.running() is not None:
                return False
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            shutil.rmtree(self.root, ignore_errors=True)
        return not self.root.exists()

    def _stop_if_unused(self) -> None:
        if not self.kept and not live_leases(self.leases):
            postmaster.stop(self.data, _STOP_TIMEOUT_SECONDS)

    def _make_folders(self, user: ServerUser | None) -> None:
        try:
            self.leases.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not reachable(self.root, user):
                name = user.name if user else "this user"
                raise SetUpFault(
                    f"{name}, whom the embedded server runs as, cannot enter {self.root}: "
                    "allow others to pass (chmod o+x) or set PGFLOW_STRESS_STATE to another directory"
                )
            for folder in (self.root / "server", self.socket_folder):
                _private_folder(folder, user)
        except OSError as error:
            raise SetUpFault(f"no room for the embedded server under {self.root}: {error.strerror}") from error

    def _ensure_running(self, plan: InstancePlan, say: Say, meanwhile: Callable[[], None]) -> None:
        found = self.running()
        if found is not None and found.status != "stopping":
            pid, log_from_bytes = found.pid, postmaster.log_size_bytes(self.log)
        else:
            if found is not None:
                postmaster.wait_until_gone(found.pid, _STOP_TIMEOUT_SECONDS)
            self._ensure_data(plan, say)
            for proxy in self.socket_folder.glob(".s.PGSQL.4????"):  # of faults whose run was killed
                proxy.unlink(missing_ok=True)
            log_from_bytes = postmaster.log_size_bytes(self.log)
            pid = self._start(plan)
        meanwhile()
        if not postmaster.wait_until_ready(self.data, pid, _READY_TIMEOUT_SECONDS):
            self._retry_or_tell(plan, log_from_bytes)
        self._booted.write_text(json.dumps(plan.users))

    def _start(self, plan: InstancePlan) -> int:
        postmaster.remove_false_pid_files(self.data, self.socket_folder)
        options = [f"--{name}={value}" for name, value in plan.users]
        return postmaster.start(plan.tree / "bin" / "postgres", self.data, self.log, options, plan.user)

    def _retry_or_tell(self, plan: InstancePlan, log_from_bytes: int) -> None:
        """Backends of a killed postmaster hold its shared memory for a moment longer than it lives.

        And one that was killed while we joined it said nothing.
        """
        reason = postmaster.complaint(self.log, log_from_bytes)
        for _ in range(50):
            if reason != postmaster.NO_WORD and "still in use" not in reason and "already exists" not in reason:
                break
            time.sleep(_ORPHANS_PATIENCE_SECONDS / 50)
            log_from_bytes = postmaster.log_size_bytes(self.log)
            if postmaster.wait_until_ready(self.data, self._start(plan), _READY_TIMEOUT_SECONDS):
                return
            reason = postmaster.complaint(self.log, log_from_bytes)
        if plan.users and not self._booted.exists():
            shutil.rmtree(self.data, ignore_errors=True)
            raise UsageFault(f"--pg-setting: the embedded server refuses {_listed(plan.users)}: {reason}")
        raise SetUpFault(f"the embedded server does not start: {reason}; its log is server.log of instance {plan.key}")

    def _ensure_data(self, plan: InstancePlan, say: Say) -> None:
        """initdb into a folder of its own, then one rename: an interrupted one never looks finished."""
        server = self.root / "server"
        for half_made in server.glob("data.new*"):
            shutil.rmtree(half_made, ignore_errors=True)
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(self.data, ignore_errors=True)
            say("making the embedded server's data directory")
            building = Path(tempfile.mkdtemp(prefix="data.new", dir=server))
            _private_folder(building, plan.user)
            postmaster.run_initdb(plan.tree / "bin" / "initdb", building, plan.user)
            building.rename(self.data)
        conf = (
            *plan.ours,
            ("unix_socket_directories", str(self.socket_folder)),
            ("extension_control_path", f"$system:{self.extensions}"),
        )
        _write(self.data / "postgresql.conf", conf_text(conf), plan.user)


@contextlib.contextmanager
def joined(instance: Instance, plan: InstancePlan, say: Say, meanwhile: Callable[[], None]) -> Iterator[Lease]:
    """Use a server for as long as the block lasts."""
    lease = instance.join(plan, say, meanwhile)
    try:
        yield lease
    finally:
        instance.leave(lease)


def instances(state: Path) -> list[Instance]:
    """All instances under a state directory, running or not."""
    folder = state / "instances"
    return [Instance(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


def _private_folder(folder: Path, user: ServerUser | None) -> None:
    """A folder that only the server's user enters: with trust authentication it is the lock on the door."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    owners = {os.geteuid()} if user is None else {os.geteuid(), user.uid}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise SetUpFault(f"{folder} belongs to someone else: remove it, or set PGFLOW_STRESS_STATE to a shorter path")
    if user is not None and found.st_uid != user.uid:
        os.chown(folder, user.uid, user.gid)
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _write(path: Path, text: str, user: ServerUser | None) -> None:
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return
    building = path.with_name(f"{path.name}.new")
    building.write_text(text)
    if user is not None:
        os.chown(building, user.uid, user.gid)
    building.rename(path)


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings)
