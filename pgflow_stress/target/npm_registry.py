"""Fetch one package from the user's npm registry: by npm itself where it is present, else by npm's own settings.

Without npm the settings are read where npm reads them: the environment (`npm_config_…`), the project's, the user's and
the global .npmrc. Supported: registry, a scope's registry, tokens and passwords, proxies, certificate authorities,
strict-ssl.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_REGISTRY = "https://registry.npmjs.org/"
_NPM_SECONDS = 300
_REQUEST_SECONDS = 60
_TRIES = 3
_GLOBAL_FILES = ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")  # of Debian's npm, and by its prefix


class RegistryError(Exception):
    """The registry could not be reached or does not have it; one line."""


@dataclass(frozen=True, slots=True)
class Tarball:
    """A package as the registry gave it."""

    content: bytes
    integrity: str | None  # the registry's word for it, "sha512-…"; None where it gave none


def fetch(name: str, version: str) -> Tarball:
    """One version of a package.

    Raises:
        RegistryError: it cannot be had; says why.
    """
    npm = shutil.which("npm")
    tarball = _by_npm(npm, f"{name}@{version}") if npm else None
    return tarball or _by_settings(name, version, Settings.read())


def _by_npm(npm: str, spec: str) -> Tarball | None:
    """By npm's own client; None where it fails, since a broken npm is no reason to give up."""
    options = ["--json", "--ignore-scripts", "--loglevel=error"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            _npm_says([npm, "pack", spec, "--pack-destination", folder, *options])
            packed = list(Path(folder).glob("*.tgz"))
            integrity = json.loads(_npm_says([npm, "view", spec, "dist.integrity", *options]))
            if len(packed) != 1:
                return None
            return Tarball(packed[0].read_bytes(), integrity if isinstance(integrity, str) else None)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _npm_says(command: list[str]) -> str:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_NPM_SECONDS, check=True
    ).stdout


@dataclass(frozen=True, slots=True)
class Settings:
    """npm's settings, the nearest source first."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
        """The settings that npm would use when called in `folder` (the current one) with this environment."""
        environment = os.environ if environment is None else environment
        given = dict(_from_environment(environment))
        home = Path(environment.get("HOME") or Path.home())
        shared = [given["globalconfig"]] if "globalconfig" in given else list(_GLOBAL_FILES)
        files = [*map(Path, reversed(shared)), Path(given.get("userconfig") or home / ".npmrc")]
        project = (folder or Path.cwd()) / ".npmrc"
        values: dict[str, str] = {}
        for file in [*files, project]:
            values.update(_from_file(file, environment))
        return cls({**values, **given})

    def registry(self, name: str) -> str:
        """The address that serves a package, with a slash at its end."""
        scope = name.partition("/")[0] if name.startswith("@") else ""
        address = self.values.get(f"{scope}:registry") or self.values.get("registry") or DEFAULT_REGISTRY
        return address.rstrip("/") + "/"

    def authorization(self, address: str) -> str | None:
        """What to send to an address: the credentials of the longest path that it lies under."""
        parts = urllib.parse.urlsplit(address)
        path = parts.path
        while "/" in path:
            path = path[: path.rindex("/")]
            place = f"//{parts.netloc}{path}/"
            if token := self.values.get(f"{place}:_authToken"):
                return f"Bearer {token}"
            if pair := self.values.get(f"{place}:_auth"):
                return f"Basic {pair}"
            user, secret = (self.values.get(f"{place}:{key}") for key in ("username", "_password"))
            if user and secret:
                plain = f"{user}:{base64.b64decode(secret).decode()}"
                return f"Basic {base64.b64encode(plain.encode()).decode()}"
        return None

    def opener(self, host: str) -> urllib.request.OpenerDirector:
        """What sends requests to a host: its proxy and whom to trust."""
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=self._trust())]
        plain, secure = self.values.get("proxy"), self.values.get("https-proxy")
        direct = [name.strip().lstrip(".") for name in self.values.get("noproxy", "").split(",") if name.strip()]
        if any(host == name or host.endswith(f".{name}") for name in direct):
            handlers.append(urllib.request.ProxyHandler({}))
        elif plain or secure:  # else urllib's own handler takes HTTPS_PROXY and NO_PROXY from the environment
            proxies = {"http": plain or secure, "https": secure or plain}
            handlers.append(urllib.request.ProxyHandler({scheme: to for scheme, to in proxies.items() if to}))
        return urllib.request.build_opener(*handlers)

    def _trust(self) -> ssl.SSLContext:
        if self.values.get("strict-ssl") == "false":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context = ssl.create_default_context(
            cafile=self.values.get("cafile") or None, cadata=self.values.get("ca") or None
        )
        if extra := os.environ.get("NODE_EXTRA_CA_CERTS"):
            context.load_verify_locations(extra)
        return context


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """`NPM_CONFIG_HTTPS_PROXY` is `https-proxy`; a name with `//` or `@` in it is taken as it is."""
    for name, value in environment.items():
        if name.lower().startswith("npm_config_") and value:
            key = name[len("npm_config_") :]
            yield (key if key.startswith(("//", "@")) else key.lower().replace("_", "-")), value


def _from_file(file: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or line.lstrip().startswith((";", "#")):
            continue
        value = value.strip().strip("\"'").replace("\\n", "\n")
        yield key.strip().strip("\"'"), re.sub(r"\$\{(\w+)\}", lambda name: environment.get(name[1], name[0]), value)


def _by_settings(name: str, version: str, settings: Settings) -> Tarball:
    registry = settings.registry(name)
    address = registry + urllib.parse.quote(name, safe="@")
    try:
        listed = json.loads(_get(address, settings, accept="application/vnd.npm.install-v1+json, application/json"))
        dist = listed["versions"][version]["dist"]
        tarball = str(dist["tarball"])
    except (ValueError, TypeError) as fault:
        raise RegistryError(f"the npm registry's answer about {name} cannot be read") from fault
    except KeyError as fault:
        raise RegistryError(f"the npm registry has no {name} {version}") from fault
    if tarball.startswith(DEFAULT_REGISTRY):  # a mirror that repeats the public addresses, as npm itself reads them
        tarball = registry + tarball.removeprefix(DEFAULT_REGISTRY)
    return Tarball(_get(tarball, settings), dist.get("integrity"))


def _get(address: str, settings: Settings, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(address, headers={"Accept": accept, "User-Agent": "pgflow-stress"})
    if credentials := settings.authorization(address):
        request.add_unredirected_header("Authorization", credentials)  # never to where a redirect leads
    host = urllib.parse.urlsplit(address).hostname or ""
    for tries_left in reversed(range(_TRIES)):
        try:
            with settings.opener(host).open(request, timeout=_REQUEST_SECONDS) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as fault:
            if fault.code < 500 or not tries_left:  # a server's error may pass; ours does not
                raise RegistryError(f"the npm registry answered {fault.code} {fault.reason} for {address}") from fault
        except (OSError, ValueError) as fault:
            if not tries_left:
                raise RegistryError(
                    f"the npm registry cannot be reached ({getattr(fault, 'reason', fault)})"
                ) from fault
    raise AssertionError("unreachable")
