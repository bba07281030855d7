from __future__ import annotations

import pytest

from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.choice import choose_target

_EVERYTHING = {"DATABASE_URL": "postgresql://h/env", "PGHOST": "elsewhere"}


def test_nothing_given_is_the_embedded_server() -> None:
    choice = choose_target(TargetOptions(), {"HOME": "/home/someone", "DATABASE_URL": "", "PGHOST": ""})

    assert choice.embedded
    assert choice.typed


def test_a_typed_dsn_beats_the_environment_and_is_consent() -> None:
    choice = choose_target(TargetOptions(dsn="dbname=typed", dsn_typed=True), _EVERYTHING)

    assert (choice.embedded, choice.conninfo, choice.typed, choice.origin) == (False, "dbname=typed", True, "--dsn")


def test_a_dsn_of_a_file_beats_the_environment_and_is_no_consent() -> None:
    choice = choose_target(TargetOptions(dsn="dbname=file"), _EVERYTHING)

    assert (choice.conninfo, choice.typed) == ("dbname=file", False)


def test_database_url_beats_libpqs_variables() -> None:
    choice = choose_target(TargetOptions(), _EVERYTHING)

    assert (choice.conninfo, choice.typed, choice.origin) == ("postgresql://h/env", False, "DATABASE_URL")


@pytest.mark.parametrize("variable", ["PGHOST", "PGSERVICE", "PGDATABASE"])
def test_each_of_libpqs_variables_chooses_a_given_target(variable: str) -> None:
    choice = choose_target(TargetOptions(), {variable: "x"})

    assert (choice.embedded, choice.conninfo, choice.typed, choice.origin) == (False, "", False, variable)


@pytest.mark.parametrize("variable", ["PGUSER", "PGPORT", "PGPASSWORD", "PGOPTIONS"])
def test_no_other_variable_of_libpqs_does(variable: str) -> None:
    assert choose_target(TargetOptions(), {variable: "x"}).embedded


@pytest.mark.parametrize(
    ("dsn", "environment", "wants"),
    [
        ("postgresql://h/d?sslmode=require", {}, True),
        ("host=h sslmode = 'verify-full'", {}, True),
        ("host=h sslmode=prefer", {"PGSSLMODE": "require"}, False),
        ("host=h", {"PGSSLMODE": "verify-ca"}, True),
        ("host=h", {}, False),
    ],
)
def test_tls_is_wanted_where_the_mode_demands_it(dsn: str, environment: dict[str, str], wants: bool) -> None:
    assert choose_target(TargetOptions(dsn=dsn), environment).wants_tls is wants


def test_cells_of_a_sweep_that_differ_in_workers_alone_share_a_target() -> None:
    assert TargetOptions(sessions=2) == TargetOptions(sessions=8)
    assert TargetOptions(direct_dsn="host=/a") != TargetOptions()
