"""npm's settings as our own reader takes them, against a registry on this machine's loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pgflow_stress.target import npm_registry
from pgflow_stress.target.npm_registry import RegistryError, Settings, Tarball


@dataclass
class Registry:
    """A registry that keeps what it was asked."""

    address: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Authorization
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)

    def publish(self, tarball: str) -> None:
        dist = {"tarball": tarball, "integrity": "sha512-told"}
        document = {"versions": {"0.8.1": {"dist": dist}}}
        self.answers["/npm/@pgflow%2Fcore"] = (200, {}, json.dumps(document).encode())


@pytest.fixture
def registry() -> Iterator[Registry]:
    state = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Authorization"]))
            code, headers, body = state.answers.get(self.path, (404, {}, b""))
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_address[1]}/npm/"
        state.publish(f"{state.address}core.tgz")
        state.answers["/npm/core.tgz"] = (200, {}, b"tarball")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither npm nor this machine's settings."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(npm_registry, "_GLOBAL_FILES", (str(tmp_path / "global"),))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig", "NPM_CONFIG_USERCONFIG"):
        monkeypatch.delenv(name, raising=False)


def read(tmp_path: Path, **environment: str) -> Settings:
    return Settings.read({"HOME": str(tmp_path), **environment}, tmp_path / "project")


def test_nothing_set_means_the_public_registry(tmp_path: Path) -> None:
    assert read(tmp_path).registry("@pgflow/core") == npm_registry.DEFAULT_REGISTRY


def test_the_environment_beats_the_project_which_beats_the_user_who_beats_the_machine(tmp_path: Path) -> None:
    project = tmp_path / "project" / ".npmrc"
    project.parent.mkdir()
    found = []

    (tmp_path / "global").write_text("registry=http://machine.test")
    found.append(read(tmp_path).registry("core"))
    (tmp_path / ".npmrc").write_text("registry = http://user.test/\n")
    found.append(read(tmp_path).registry("core"))
    project.write_text('; a comment\nregistry="http://project.test/"\n')
    found.append(read(tmp_path).registry("core"))
    found.append(read(tmp_path, NPM_CONFIG_REGISTRY="http://environment.test").registry("core"))

    assert found == [f"http://{who}.test/" for who in ("machine", "user", "project", "environment")]


def test_a_scope_may_have_a_registry_of_its_own(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=http://all.test/\n@pgflow:registry=http://scope.test/npm/\n")

    settings = read(tmp_path)

    assert settings.registry("@pgflow/core") == "http://scope.test/npm/"
    assert settings.registry("@other/core") == "http://all.test/"


def test_the_users_file_may_lie_elsewhere_and_name_variables(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("registry=http://${WHERE}/\n//host.test/:_authToken=${TOKEN}\n")

    settings = read(tmp_path, npm_config_userconfig=str(tmp_path / "mine"), WHERE="host.test", TOKEN="t0ken")

    assert settings.registry("core") == "http://host.test/"
    assert settings.authorization("http://host.test/core") == "Bearer t0ken"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("//host.test/npm/:_authToken=abc", "Bearer abc"),
        ("//host.test/npm/:_auth=dXNlcjpwYXNz", "Basic dXNlcjpwYXNz"),
        ("//host.test/npm/:username=user\n//host.test/npm/:_password=cGFzcw==", "Basic dXNlcjpwYXNz"),
        ("//host.test/other/:_authToken=abc", None),
        ("//elsewhere.test/npm/:_authToken=abc", None),
    ],
)
def test_credentials_go_only_where_they_belong(tmp_path: Path, lines: str, expected: str | None) -> None:
    (tmp_path / ".npmrc").write_text(lines)

    assert read(tmp_path).authorization("https://host.test/npm/@pgflow/core") == expected


def test_a_package_comes_from_the_configured_registry_with_its_token(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)
    (tmp_path / ".npmrc").write_text(f"{registry.address.removeprefix('http:')}:_authToken=t0ken\n")

    tarball = npm_registry.fetch("@pgflow/core", "0.8.1")

    assert tarball == Tarball(b"tarball", "sha512-told")
    assert registry.asked == [("/npm/@pgflow%2Fcore", "Bearer t0ken"), ("/npm/core.tgz", "Bearer t0ken")]


def test_a_redirect_is_not_shown_the_token(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)
    (tmp_path / ".npmrc").write_text(f"{registry.address.removeprefix('http:')}:_authToken=t0ken\n")
    registry.answers["/npm/core.tgz"] = (302, {"Location": registry.address.replace("/npm/", "/storage")}, b"")
    registry.answers["/storage"] = (200, {}, b"stored")

    tarball = npm_registry.fetch("@pgflow/core", "0.8.1")

    assert tarball.content == b"stored"
    assert registry.asked[-1] == ("/storage", None)


def test_a_mirror_that_repeats_public_addresses_is_asked_itself(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)
    registry.publish(f"{npm_registry.DEFAULT_REGISTRY}core.tgz")

    assert npm_registry.fetch("@pgflow/core", "0.8.1").content == b"tarball"


def test_a_version_that_was_never_published_is_said(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)

    with pytest.raises(RegistryError, match=r"has no @pgflow/core 0\.0\.1"):
        npm_registry.fetch("@pgflow/core", "0.0.1")


def test_an_answer_that_is_no_document_is_said(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)
    registry.answers["/npm/@pgflow%2Fcore"] = (200, {}, b"<html>sign in</html>")

    with pytest.raises(RegistryError, match="cannot be read"):
        npm_registry.fetch("@pgflow/core", "0.8.1")


def test_a_registry_that_refuses_is_not_asked_twice(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", registry.address)
    registry.answers["/npm/@pgflow%2Fcore"] = (403, {}, b"")

    with pytest.raises(RegistryError, match="answered 403"):
        npm_registry.fetch("@pgflow/core", "0.8.1")
    assert len(registry.asked) == 1


def test_a_registry_that_nobody_answers_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")

    with pytest.raises(RegistryError, match="cannot be reached"):
        npm_registry.fetch("@pgflow/core", "0.8.1")


def test_a_proxy_of_npms_is_used_and_its_exceptions_are_kept(registry: Registry) -> None:
    proxied = Settings({"proxy": "http://127.0.0.1:9", "noproxy": "example.test"})
    excepted = Settings({"proxy": "http://127.0.0.1:9", "noproxy": "example.test,127.0.0.1"})

    with pytest.raises(OSError, match="refused"):
        proxied.opener("127.0.0.1").open(f"{registry.address}core.tgz", timeout=5)
    with excepted.opener("127.0.0.1").open(f"{registry.address}core.tgz", timeout=5) as answer:
        assert answer.read() == b"tarball"
