"""PgBouncer with a pool smaller than its clients, seen by its console. Debian's package, where it is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.engine.orders import SamplerOrder
from pgflow_stress.engine.probes import Means, Unseen
from pgflow_stress.engine.probes.pooler import Pooler
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.telemetry_accounts import ends_of, take_telemetry
from pgflow_stress.target.base import Target
from pgflow_stress.target.pginstall import server_user
from tests.integration.target.helpers import until

PORT = 6432
UNPACKED = Path(__file__).resolve().parents[3] / ".setup" / "pgbouncer"
BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:{UNPACKED / 'usr/sbin'}")
LIBRARIES = ":".join(map(str, UNPACKED.glob("usr/lib/*-linux-*")))
SIZE = ArenaSize(processes=1, flows=1, runs=1, tasks=1, rows=1, points=100_000)


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(SIZE)
    yield arena
    arena.close()


def means(arena: Arena, pooler_admin_dsn: str | None) -> Means:
    return Means(arena, SamplerOrder(0, SIZE, "", True, "light", 10**9, os.getpid(), pooler_admin_dsn), Book(arena))


@pytest.fixture
def bouncer(target: Target) -> Iterator[Path]:
    """A pooler before the embedded server with one server connection: the folder of its socket."""
    assert BOUNCER, "scripts/test fetches pgbouncer where apt-get is; else install your system's package for it"
    conninfo = psycopg.conninfo.conninfo_to_dict(target.conninfo("postgres"))  # type: ignore[attr-defined]
    folder = Path(tempfile.mkdtemp(prefix="pgflow-stress-pooler-"))
    folder.chmod(0o755)
    user = server_user()
    (folder / "run").mkdir()
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(
        f"[databases]\npostgres = host={conninfo['host']} port={conninfo['port']} dbname=postgres\n"
        f"[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {folder}/run\nauth_type = trust\n"
        f"auth_file = {folder}/users\nadmin_users = postgres\npool_mode = session\ndefault_pool_size = 1\n"
        "ignore_startup_parameters = options,extra_float_digits\n"
    )
    if user is not None:
        os.chown(folder / "run", user.uid, user.gid)
    as_user = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    running = subprocess.Popen(
        [BOUNCER, "-q", str(folder / "ini")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES},
        **as_user,
    )  # type: ignore[call-overload]
    try:
        assert until((folder / "run" / f".s.PGSQL.{PORT}").exists), running.stderr
        yield folder / "run"
    finally:
        running.kill()
        running.communicate()
        shutil.rmtree(folder)


def test_clients_that_wait_for_a_pool_that_is_too_small_are_seen(bouncer: Path, arena: Arena) -> None:
    dsn = f"host={bouncer} port={PORT} user=postgres"
    seen = means(arena, f"{dsn} dbname=pgbouncer")
    probe = Pooler(seen)
    with contextlib.closing(probe), psycopg.connect(f"{dsn} dbname=postgres", autocommit=True) as first:
        first.execute("select 1")
        second = psycopg.pq.PGconn.connect(f"{dsn} dbname=postgres".encode())
        second.send_query(b"select 1")

        def waits() -> bool:
            probe.tick()
            seen.book.flush()
            return any(
                series.metric == "clients_waiting" and value == 1
                for series, value in ends_of(take_telemetry(arena)).last.items()
            )

        assert until(waits)
        second.finish()
    found = {(s.subject, s.metric): value for s, value in ends_of(take_telemetry(arena)).last.items()}
    assert found[("postgres/postgres", "clients_active")] == 1
    assert found[("postgres/postgres", "servers_active")] == 1
    assert found[("postgres", "pool_size")] == 1
    assert found[("postgres", "queries_total")] >= 1


def test_without_a_console_it_is_silent_and_one_that_is_not_there_is_told(arena: Arena) -> None:
    with pytest.raises(Unseen, match=r"^$"):
        Pooler(means(arena, None))
    with pytest.raises(Unseen, match="console cannot be reached"):
        Pooler(means(arena, "host=/nowhere dbname=pgbouncer"))
