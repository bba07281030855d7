from __future__ import annotations

import pytest

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import consent
from pgflow_stress.target.choice import Choice

_TYPED = Choice(False, "", True, "--dsn")
_UNTYPED = Choice(False, "", False, "DATABASE_URL")


@pytest.mark.parametrize("host", ["", "/var/run/postgresql", "@abstract", "localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_sockets_and_loopback_are_this_machine(host: str) -> None:
    consent.check_host({"host": host}, {}, allow_remote=False)


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.1", "localhost,db.example.com", "localhost.example.com"])
def test_any_other_host_needs_consent(host: str) -> None:
    with pytest.raises(SetUpFault, match="--allow-remote"):
        consent.check_host({"host": host}, {}, allow_remote=False)
    consent.check_host({"host": host}, {}, allow_remote=True)


def test_an_address_behind_a_local_name_needs_consent() -> None:
    with pytest.raises(SetUpFault, match=r"10\.0\.0\.1 is not this machine"):
        consent.check_host({"host": "localhost", "hostaddr": "10.0.0.1"}, {}, allow_remote=False)


def test_the_host_of_the_environment_counts_where_none_is_given() -> None:
    with pytest.raises(SetUpFault, match="db is not this machine"):
        consent.check_host({}, {"PGHOST": "db"}, allow_remote=False)
    consent.check_host({"host": "localhost"}, {"PGHOST": "db"}, allow_remote=False)


def test_a_database_that_nobody_typed_needs_its_name_or_our_mark() -> None:
    with pytest.raises(SetUpFault, match="--yes-on shop"):
        consent.check_named(_UNTYPED, "shop", marked=False, yes_on=("other",))

    consent.check_named(_UNTYPED, "shop", marked=True, yes_on=())
    consent.check_named(_UNTYPED, "shop", marked=False, yes_on=("shop",))
    consent.check_named(_TYPED, "shop", marked=False, yes_on=())
    consent.check_named(_UNTYPED, "pgflow_stress_s01234567_0123456789abcdef", marked=False, yes_on=())


@pytest.mark.parametrize("dsn", ["postgresql://u:p@ss@h/d", "postgres://u:p/ss@h/d"])
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(SetUpFault, match="percent-encoded") as told:
        consent.check_readable(Choice(False, dsn, True, "--dsn"))
    assert "ss" not in str(told.value).replace("password", "")


@pytest.mark.parametrize("dsn", ["postgresql://u:p%40ss@h/d?options=a@b", "postgresql:///d", "host=h password=a@b@c"])
def test_other_connection_strings_are_readable(dsn: str) -> None:
    consent.check_readable(Choice(False, dsn, True, "--dsn"))
