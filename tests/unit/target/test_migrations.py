from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.target.install import Pgmq, Recipe, without_extensions
from pgflow_stress.target.migrations import directory_migrations, find_migrations


def _project(root: Path) -> Path:
    folder = root / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "2_20250601000000_pgflow_b.sql").write_text("SELECT 2")
    (folder / "1_pgflow_a.sql").write_text("SELECT 1")
    (folder / "3_shop.sql").write_text("DROP TABLE everything")
    (folder / "20250601000000_orders_use_pgflow_now.sql").write_text("DROP TABLE everything")
    return root


def test_a_projects_own_migrations_are_left_out_and_pgflows_run_in_order(tmp_path: Path) -> None:
    found = directory_migrations(_project(tmp_path))

    assert [name for name, _ in found.files] == ["1_pgflow_a.sql", "2_20250601000000_pgflow_b.sql"]
    assert found.version is None


def test_the_folder_itself_gives_the_same_as_its_project(tmp_path: Path) -> None:
    project = _project(tmp_path)

    assert directory_migrations(project).sha256 == directory_migrations(project / "supabase" / "migrations").sha256


def test_the_label_of_a_directory_is_its_name_and_no_path(tmp_path: Path) -> None:
    assert directory_migrations(_project(tmp_path)).label == tmp_path.name


def test_another_content_is_another_hash(tmp_path: Path) -> None:
    before = directory_migrations(_project(tmp_path)).sha256
    (tmp_path / "supabase" / "migrations" / "2_20250601000000_pgflow_b.sql").write_text("SELECT 3")

    assert directory_migrations(tmp_path).sha256 != before


def test_a_directory_without_pgflow_is_told(tmp_path: Path) -> None:
    (tmp_path / "1_shop.sql").write_text("")

    with pytest.raises(UsageFault, match="no migration there"):
        directory_migrations(tmp_path)


def test_what_is_neither_version_nor_directory_is_told() -> None:
    with pytest.raises(UsageFault, match="neither a version"):
        find_migrations("0.8", lambda _: None)


def test_only_extensions_that_are_missing_are_taken_out() -> None:
    text = (
        'CREATE SCHEMA IF NOT EXISTS "pgmq";\n'
        'CREATE EXTENSION IF NOT EXISTS "pgmq" WITH SCHEMA "pgmq";\n'
        "create extension pg_cron;\n-- Create extension\nSELECT 1;\n"
    )

    assert without_extensions(text, {"pgmq"}) == (
        'CREATE SCHEMA IF NOT EXISTS "pgmq";\n\ncreate extension pg_cron;\n-- Create extension\nSELECT 1;\n'
    )
    assert without_extensions(text, set()) == text


def test_a_recipes_key_depends_on_every_ingredient(tmp_path: Path) -> None:
    migrations = directory_migrations(_project(tmp_path))
    recipe = Recipe(migrations, Pgmq("1.13.0", "SELECT 1"), "supabase")

    keys = {
        recipe.key(),
        recipe.key("pg_stat_statements"),
        Recipe(migrations, Pgmq("1.13.0", "SELECT 2"), "supabase").key(),
        Recipe(migrations, Pgmq("1.13.0", "SELECT 1"), "noop").key(),
    }

    assert len(keys) == 4
    assert all(len(key) == 12 for key in keys)
