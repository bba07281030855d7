from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import assets, npm_registry
from pgflow_stress.target.assets import pgflow_migrations, pgmq_sql
from pgflow_stress.target.npm_registry import RegistryError, Tarball

FIRST = "package/dist/supabase/migrations/1_first.sql"


def tarball(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


class Registry:
    """Stands for npm: gives one tarball, counts how often, can be unplugged."""

    def __init__(self) -> None:
        self.content = tarball({FIRST: b"select 1;", "package/dist/supabase/migrations/2_second.sql": b"select 2;"})
        self.told: str | None = integrity(self.content)
        self.reachable = True
        self.fetched = 0

    def fetch(self, name: str, version: str) -> Tarball:
        if not self.reachable:
            raise RegistryError("the npm registry cannot be reached (no network)")
        self.fetched += 1
        return Tarball(self.content, self.told)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    stand_in = Registry()
    monkeypatch.setattr(npm_registry, "fetch", stand_in.fetch)
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "cache"))
    return stand_in


def quiet(line: str) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_migrations_are_downloaded_once_and_then_need_no_network(registry: Registry) -> None:
    first = pgflow_migrations("9.0.0", quiet)
    registry.reachable = False

    again = pgflow_migrations("9.0.0", quiet)

    assert first == again
    assert names(again) == ["1_first.sql", "2_second.sql"]
    assert registry.fetched == 1


def test_a_pinned_version_is_refused_when_its_hash_differs(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(SetUpFault, match="does not match the hash pinned"):
        pgflow_migrations(assets.PGFLOW_VERSION, quiet)

    assert not (tmp_path / "cache").exists()


def test_an_unpinned_version_is_refused_when_the_registry_tells_another_hash(registry: Registry) -> None:
    registry.told = integrity(b"something else")

    with pytest.raises(SetUpFault, match="told by the registry"):
        pgflow_migrations("9.0.0", quiet)


def test_an_unpinned_version_without_any_hash_is_refused(registry: Registry) -> None:
    registry.told = None

    with pytest.raises(SetUpFault, match="does not match"):
        pgflow_migrations("9.0.0", quiet)


def test_what_an_unpinned_version_was_checked_against_is_said(registry: Registry) -> None:
    said: list[str] = []

    pgflow_migrations("9.0.0", said.append)

    assert any("no pinned hash" in line for line in said)


def test_a_damaged_tarball_in_the_cache_is_downloaded_again(registry: Registry, tmp_path: Path) -> None:
    pgflow_migrations("9.0.0", quiet)
    (tmp_path / "cache" / "pgflow" / "9.0.0.tgz").write_bytes(b"rotten")

    pgflow_migrations("9.0.0", quiet)

    assert registry.fetched == 2


def test_a_damaged_migration_in_the_cache_is_unpacked_again(registry: Registry) -> None:
    folder = pgflow_migrations("9.0.0", quiet)
    (folder / "1_first.sql").write_bytes(b"drop schema public;")
    (folder / "3_foreign.sql").write_bytes(b"select 3;")

    again = pgflow_migrations("9.0.0", quiet)

    assert names(again) == ["1_first.sql", "2_second.sql"]
    assert (again / "1_first.sql").read_bytes() == b"select 1;"
    assert registry.fetched == 1


def test_only_migrations_come_out_of_an_archive_and_never_elsewhere(registry: Registry, tmp_path: Path) -> None:
    registry.content = tarball(
        {
            FIRST: b"select 1;",
            "package/dist/supabase/migrations/../../../../../evil.sql": b"",
            "/etc/evil.sql": b"",
            "package/dist/index.js": b"",
            "package/dist/supabase/migrations/deeper/2.sql": b"",
        }
    )
    registry.told = integrity(registry.content)

    folder = pgflow_migrations("9.0.0", quiet)

    assert names(folder) == ["1_first.sql"]
    assert not list(tmp_path.rglob("evil.sql"))


def test_a_package_without_migrations_is_a_set_up_fault(registry: Registry) -> None:
    registry.content = tarball({"package/index.js": b""})
    registry.told = integrity(registry.content)

    with pytest.raises(SetUpFault, match="carries no migrations"):
        pgflow_migrations("9.0.0", quiet)


def test_many_at_once_get_the_same_whole_directory(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: pgflow_migrations("9.0.0", quiet), range(24)))

    (folder,) = folders
    assert names(folder) == ["1_first.sql", "2_second.sql"]
    assert names(folder.parent) == ["9.0.0", "9.0.0.integrity", "9.0.0.tgz"]


def test_an_unreachable_registry_says_what_to_do(registry: Registry) -> None:
    registry.reachable = False

    with pytest.raises(SetUpFault, match="check npm's settings, or name a directory"):
        pgflow_migrations("9.0.0", quiet)


@pytest.mark.parametrize("version", ["latest", "^0.8.1", "../../etc", "", "0.8"])
def test_a_version_that_is_not_exact_is_refused(registry: Registry, version: str) -> None:
    with pytest.raises(SetUpFault, match="neither a directory nor an exact npm version"):
        pgflow_migrations(version, quiet)


def test_a_cache_that_cannot_be_made_names_its_variable(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "file"))

    with pytest.raises(SetUpFault, match="PGFLOW_STRESS_CACHE"):
        pgflow_migrations("9.0.0", quiet)


def test_pgmqs_script_is_the_pinned_one() -> None:
    version, script = pgmq_sql()

    assert version == "1.13.0"
    assert "CREATE FUNCTION pgmq.read" in script.read_text(encoding="utf-8").replace("OR REPLACE ", "")
