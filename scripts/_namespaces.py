"""Test hosts of their own on this machine: network namespaces on one switch, joined by veth; root only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = f"ps{os.getpid() % 10000}"
SWITCH = f"{PREFIX}-switch"


def available() -> str | None:
    """Why there are none; None where they can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and iproute2"
    probe = f"{PREFIX}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"network namespaces do not work here: {done.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


def name(host: str) -> str:
    """The namespace of a host."""
    return f"{PREFIX}-{host}"


def inside(host: str, *command: str) -> list[str]:
    """A command as it is typed on a host."""
    return ["ip", "netns", "exec", name(host), *command]


@contextlib.contextmanager
def network(addresses: dict[str, str]) -> Iterator[None]:
    """Hosts by name, each with its address, on one switch for the length of the block."""
    made = [SWITCH]
    _ip("netns", "add", SWITCH)
    try:
        _ip("-n", SWITCH, "link", "add", "switch", "type", "bridge")
        _ip("-n", SWITCH, "link", "set", "switch", "up")
        for host, address in addresses.items():
            _ip("netns", "add", name(host))
            made.append(name(host))
            _ip("-n", SWITCH, "link", "add", "name", host, "type", "veth", "peer", "name", "eth0", "netns", name(host))
            _ip("-n", SWITCH, "link", "set", "dev", host, "master", "switch", "up")
            _ip("-n", name(host), "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name(host), "link", "set", "eth0", "up")
            _ip("-n", name(host), "link", "set", "lo", "up")
        yield
    finally:
        for one in reversed(made):
            subprocess.run(["ip", "netns", "del", one], capture_output=True, check=False)


def cut(host: str, seconds: float) -> None:
    """Nothing goes to a host or comes from it for so long."""
    _ip("-n", SWITCH, "link", "set", "dev", host, "down")
    time.sleep(seconds)
    _ip("-n", SWITCH, "link", "set", "dev", host, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def postgres(host: str, address: str, folder: Path, password: str) -> Iterator[None]:
    """A server of our own on a host, that wants the password from whoever comes over the network."""
    from pgflow_stress.target.pginstall import server_user, usable_tree

    folder.chmod(0o755)
    user, data, secret = server_user(), folder / "data", folder / "secret"
    tree = usable_tree(folder / "tree-state", user)
    secret.write_text(password)
    data.mkdir()
    as_user = []
    if user is not None:
        for path in (data, secret):
            shutil.chown(path, user.name, user.gid)
        as_user = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    initdb = [*as_user, str(tree / "bin" / "initdb"), "-D", str(data), "-U", "postgres", "--pwfile", str(secret)]
    subprocess.run([*initdb, "--auth=scram-sha-256", "--no-sync"], check=True, stdout=subprocess.DEVNULL)
    secret.unlink()
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {address.rpartition('.')[0]}.0/24 scram-sha-256\n")
    options = ["-c", f"listen_addresses={address}", "-c", "unix_socket_directories=", "-c", "fsync=off",
               "-c", "max_connections=100", "-c", "shared_buffers=256MB"]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            inside(host, *as_user, str(tree / "bin" / "postgres"), "-D", str(data), *options),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
