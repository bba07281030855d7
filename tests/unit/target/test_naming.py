from __future__ import annotations

from pgflow_stress.core.ids import flow_slug_prefix, new_nonce
from pgflow_stress.target import naming


def test_a_repetitions_database_names_its_owner() -> None:
    lease_id = naming.new_lease_id(naming.FILE_LEASE)

    name = naming.database_name(lease_id, new_nonce())

    assert naming.lease_of_database(name) == lease_id
    assert len(name) <= 63


def test_no_other_database_is_taken_for_ours() -> None:
    for name in ("shop", "pgflow_stress", "pgflow_stress_template_0123456789ab", "pgflow_stress_x12345678_0", ""):
        assert naming.lease_of_database(name) is None


def test_templates_are_known_finished_or_not() -> None:
    assert naming.is_template_of_ours(naming.template_name("0123456789ab"))
    assert naming.is_template_of_ours(naming.building_name("0123456789ab"))
    assert not naming.is_template_of_ours("template1")


def test_a_slug_gives_its_nonce_back() -> None:
    nonce = new_nonce()

    assert naming.nonce_of_slug(flow_slug_prefix(nonce) + "12") == nonce
    assert naming.nonce_of_slug("psychology_department") is None


def test_lock_keys_are_signed_32_bits() -> None:
    assert naming.lock_key(0xFFFFFFFF) == -1
    assert naming.lock_key(0x17FFFFFFF) == 0x7FFFFFFF
    assert -(1 << 31) <= naming.lock_key(new_nonce()) < 1 << 31
