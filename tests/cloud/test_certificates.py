"""Certificates as rows, and when the keeper writes the revocation list anew; on both databases."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authorities import made_authority
from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.api.ready import _probe, escalation_faults
from hearthline_cloud.desk import beat
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import Authority, Revoked, write_public
from hearthline_cloud.identity.keeping import ROLE, is_good
from hearthline_cloud.telling import Fault, FaultKind

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_NS = round(NOW.timestamp()) * NS
DAY_NS = 24 * 3600 * NS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("ca"), NOW)


def issue(cloud: Cloud, authority: Authority, now_ns: int = NOW_NS) -> list[str]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with cloud.database.transaction() as connection:
        made = certificates.issue(connection, authority, "gw-1", key, now_ns, "mei")
    return [each.serial for each in made]


def revoke(cloud: Cloud, now_ns: int = NOW_NS) -> int:
    with cloud.database.transaction() as connection:
        return certificates.revoke(connection, "gw-1", "stolen", now_ns, "mei")


def standing(cloud: Cloud, now_ns: int = NOW_NS) -> certificates.Standing:
    with cloud.database.reading() as connection:
        return certificates.standing(connection, now_ns)


def test_a_gateway_may_come_while_a_certificate_of_it_is_valid(cloud: Cloud, authority: Authority) -> None:
    assert standing(cloud).gateways == frozenset()
    issue(cloud, authority)
    assert standing(cloud, NOW_NS + 60 * DAY_NS) == certificates.Standing(frozenset({"gw-1"}), (), {})
    assert standing(cloud, NOW_NS + 91 * DAY_NS).gateways == frozenset()


def test_a_gateway_that_will_be_locked_out_soon_is_named_until_it_has_new_certificates(
    cloud: Cloud, authority: Authority
) -> None:
    issue(cloud, authority)
    late_ns = NOW_NS + 75 * DAY_NS
    assert standing(cloud, late_ns).ending == {"gw-1": NOW_NS + 90 * DAY_NS}
    issue(cloud, authority, late_ns)
    assert standing(cloud, late_ns).ending == {}


def test_what_is_revoked_is_listed_until_its_end_and_thrown_out_once(cloud: Cloud, authority: Authority) -> None:
    serials = issue(cloud, authority)
    assert revoke(cloud) == 2
    assert revoke(cloud) == 0
    found = standing(cloud)
    assert found.gateways == frozenset()
    assert {each.serial for each in found.revoked} == set(serials)
    assert sorted(found.unenforced.values()) == ["gw-1", "gw-1~second"]
    again = issue(cloud, authority, NOW_NS + NS)
    assert standing(cloud, NOW_NS + NS).gateways == {"gw-1"}
    assert set(standing(cloud, NOW_NS + NS).unenforced) == set(serials)
    with cloud.database.transaction() as connection:
        certificates.enforced(connection, serials, NOW_NS + 2 * NS)
    assert standing(cloud, NOW_NS + 2 * NS).unenforced == {}
    assert {each.serial for each in standing(cloud, NOW_NS + 90 * DAY_NS).revoked} == set(serials)
    assert standing(cloud, NOW_NS + 92 * DAY_NS).revoked == ()
    assert set(again).isdisjoint(serials)


def test_both_are_in_the_journal_with_who_and_why(cloud: Cloud, authority: Authority) -> None:
    serials = issue(cloud, authority)
    revoke(cloud)
    told = {row.kind: (row.actor, row.detail) for row in cloud.rows(schema.journal)}
    assert told["certificate-issued"][0] == told["certificate-revoked"][0] == "mei"
    assert told["certificate-issued"][1]["serials"] == serials
    assert set(told["certificate-revoked"][1]["serials"]) == set(serials)
    assert told["certificate-revoked"][1]["reason"] == "stolen"


def test_a_gateway_that_nobody_knows_gets_no_certificate(cloud: Cloud, authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(RefusedError, match="no gateway gw-9"), cloud.database.transaction() as connection:
        certificates.issue(connection, authority, "gw-9", key, NOW_NS, "mei")
    assert cloud.rows(schema.certificate) == []


@pytest.mark.parametrize(
    ("age_days", "named", "good"),
    [(0, "ab", True), (1.9, "ab", True), (2.1, "ab", False), (8, "ab", False), (-1, "ab", False), (0, "a", False)],
)
def test_the_list_is_written_anew_early_and_for_whatever_it_lacks(
    tmp_path: Path, authority: Authority, age_days: float, named: str, good: bool
) -> None:
    """A list from the future is one too: the clock was wrong when it was written, and the broker refuses it."""
    made = authority.revocation_list([Revoked(each, NOW) for each in named], 1, NOW - timedelta(days=age_days))
    write_public(tmp_path / "list", made)
    assert is_good(tmp_path / "list", {"a", "b"}, NOW) is good


def test_a_list_that_is_none_is_written_anew(tmp_path: Path) -> None:
    assert not is_good(tmp_path / "absent", set(), NOW)
    (tmp_path / "torn").write_bytes(b"-----BEGIN X509 CRL-----\nMIIB")
    assert not is_good(tmp_path / "torn", set(), NOW)


def test_what_the_keeper_cannot_do_is_a_warning_of_readyz_and_on_the_console(cloud: Cloud) -> None:
    fault = Fault(FaultKind.LIST_OLD, {"ends": "2026-11-24 08:00 UTC"})
    now_ns = time.time_ns()
    with cloud.database.transaction() as connection:
        beat(connection, ROLE, now_ns, {"faults": [fault.as_row()]})
    look = _probe(cloud.database, now_ns)
    assert (look.parts[ROLE], look.warnings) == ("ok", [str(fault)])
    assert _probe(cloud.database, now_ns + 60 * NS).parts[ROLE] == "not heard for 30 s"
    with cloud.database.reading() as connection:
        assert escalation_faults(connection) == [fault.as_row()]
