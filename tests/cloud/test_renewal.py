"""What a gateway that asks for new certificates gets, and who gets none; on both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import insert

from authorities import made_authority
from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.api.ready import _probe, escalation_faults
from hearthline_cloud.desk import beat
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import Authority
from hearthline_cloud.identity.renewal import RENEWALS_A_DAY, is_news, renew, take_use
from hearthline_cloud.identity.renewing import ROLE
from hearthline_cloud.telling import Fault, FaultKind

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_NS = round(NOW.timestamp()) * NS
DAY_NS = 24 * 3600 * NS
LATE_NS = NOW_NS + 62 * DAY_NS
Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("ca"), NOW)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Key | rsa.RSAPrivateKey, name: str = "gw-1") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def word(serial: str, present: Key, request: str) -> wire.CertificateWord:
    proof = present.sign(request.encode(), ec.ECDSA(hashes.SHA256())).hex()
    return wire.CertificateWord(serial=serial, request=request, proof=proof)


@dataclass
class Center:
    """A gateway `gw-1` whose certificates are 62 days old, and one `gw-2`."""

    cloud: Cloud
    authority: Authority
    key: Key
    serial: str
    other: Key
    other_serial: str

    def issue(self, gateway: str, key: Key, at_ns: int = NOW_NS) -> str:
        with self.cloud.database.transaction() as connection:
            made = certificates.issue(connection, self.authority, gateway, key.public_key(), at_ns, "mei")
        return made[0].serial

    def ask(self, asked: wire.CertificateWord, gateway: str = "gw-1", at_ns: int = LATE_NS) -> wire.CertificateAnswer:
        with self.cloud.database.transaction() as connection:
            return renew(connection, self.authority, gateway, asked, at_ns)

    def revoke(self, at_ns: int = LATE_NS) -> None:
        with self.cloud.database.transaction() as connection:
            assert certificates.revoke(connection, "gw-1", "stolen", at_ns, "mei") > 0

    def enforce(self, at_ns: int = LATE_NS) -> None:
        with self.cloud.database.transaction() as connection:
            unenforced = certificates.standing(connection, at_ns).unenforced
            certificates.enforced(connection, unenforced, at_ns)

    def uses(self, gateway: str, serial: str, at_ns: int = LATE_NS) -> None:
        with self.cloud.database.transaction() as connection:
            take_use(connection, gateway, serial, at_ns)

    def standing(self, at_ns: int) -> certificates.Standing:
        with self.cloud.database.reading() as connection:
            return certificates.standing(connection, at_ns)

    @property
    def rows(self) -> int:
        return len(self.cloud.rows(schema.certificate))


@pytest.fixture
def center(cloud: Cloud, authority: Authority) -> Center:
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-2"))
    made = Center(cloud, authority, new_key(), "", new_key(), "")
    return replace(made, serial=made.issue("gw-1", made.key), other_serial=made.issue("gw-2", made.other))


def read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_a_new_key_gets_two_certificates_and_the_old_ones_stay_valid(center: Center) -> None:
    key = new_key()
    answer = center.ask(word(center.serial, center.key, csr(key)))
    first, second = read(answer.first), read(answer.second)
    assert [each.subject.rfc4514_string() for each in (first, second)] == ["CN=gw-1", "CN=gw-1~second"]
    assert first.public_key() == second.public_key() == key.public_key()
    assert (first.not_valid_after_utc.timestamp() - LATE_NS / NS) / 86400 == 90
    standing = center.standing(LATE_NS)
    assert standing.gateways == {"gw-1", "gw-2"}
    assert (standing.revoked, standing.unenforced) == ((), {})
    told = [row for row in center.cloud.rows(schema.journal) if row.kind == "certificate-issued"]
    assert (told[-1].actor, told[-1].detail["serials"][0]) == ("gateway", f"{first.serial_number:x}")


def test_asked_again_it_is_the_same_and_nothing_is_signed_twice(center: Center) -> None:
    request = csr(new_key())
    answer = center.ask(word(center.serial, center.key, request))
    rows, entries = center.rows, len(center.cloud.rows(schema.journal))
    again = center.ask(word(center.serial, center.key, request), at_ns=LATE_NS + DAY_NS)
    assert again == answer
    assert (center.rows, len(center.cloud.rows(schema.journal))) == (rows, entries)


def weak(center: Center) -> wire.CertificateWord:
    return word(center.serial, center.key, csr(rsa.generate_private_key(65537, 2048)))


def of_another_curve(center: Center) -> wire.CertificateWord:
    return word(center.serial, center.key, csr(ec.generate_private_key(ec.SECP384R1())))


def for_another_name(center: Center) -> wire.CertificateWord:
    return word(center.serial, center.key, csr(new_key(), "gw-2"))


def with_anothers_certificate(center: Center) -> wire.CertificateWord:
    return word(center.other_serial, center.other, csr(new_key()))


def with_a_serial_that_nobody_has(center: Center) -> wire.CertificateWord:
    return word("abc", center.key, csr(new_key()))


def without_the_present_key(center: Center) -> wire.CertificateWord:
    return word(center.serial, new_key(), csr(new_key()))


def with_a_proof_of_another_request(center: Center) -> wire.CertificateWord:
    proof = word(center.serial, center.key, csr(new_key())).proof
    return wire.CertificateWord(serial=center.serial, request=csr(new_key()), proof=proof)


def with_a_proof_that_is_none(center: Center) -> wire.CertificateWord:
    return wire.CertificateWord(serial=center.serial, request=csr(new_key()), proof="no hexadecimal")


def for_the_key_that_it_has(center: Center) -> wire.CertificateWord:
    return word(center.serial, center.key, csr(center.key))


def for_anothers_key(center: Center) -> wire.CertificateWord:
    return word(center.serial, center.key, csr(center.other))


def with_no_request_in_it(center: Center) -> wire.CertificateWord:
    return word(
        center.serial, center.key, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
    )


def of_a_revoked_gateway(center: Center) -> wire.CertificateWord:
    center.revoke()
    return word(center.serial, center.key, csr(new_key()))


def of_a_thief_while_the_true_one_has_new_ones(center: Center) -> wire.CertificateWord:
    """The stolen session is live until the keeper has thrown it out; meanwhile somebody lets the gateway in again."""
    center.revoke()
    center.issue("gw-1", new_key(), LATE_NS + NS)
    return word(center.serial, center.key, csr(new_key()))


def of_the_true_one_while_the_thief_is_live(center: Center) -> wire.CertificateWord:
    center.revoke()
    key = new_key()
    return word(center.issue("gw-1", key, LATE_NS + NS), key, csr(new_key()))


def of_one_whose_certificate_has_ended(center: Center) -> wire.CertificateWord:
    key = new_key()
    return word(center.issue("gw-1", key, NOW_NS - 40 * DAY_NS), key, csr(new_key()))


def refused(center: Center, asked: wire.CertificateWord, said: str) -> None:
    rows, entries = center.rows, len(center.cloud.rows(schema.journal))
    with pytest.raises(RefusedError, match=said):
        center.ask(asked, at_ns=LATE_NS + 2 * NS)
    assert (center.rows, len(center.cloud.rows(schema.journal))) == (rows, entries)


def test_who_gets_nothing(center: Center) -> None:
    asks: list[tuple[Callable[[Center], wire.CertificateWord], str]] = [
        (weak, "P-256"),
        (of_another_curve, "P-256"),
        (for_another_name, "another name"),
        (with_anothers_certificate, "not of this gateway"),
        (with_a_serial_that_nobody_has, "not of this gateway"),
        (without_the_present_key, "not signed by the key"),
        (with_a_proof_of_another_request, "not signed by the key"),
        (with_a_proof_that_is_none, "not signed by the key"),
        (for_the_key_that_it_has, "not a new one"),
        (for_anothers_key, "not a new one"),
        (with_no_request_in_it, "no signing request"),
        (of_one_whose_certificate_has_ended, "has ended"),
    ]
    for each, said in asks:
        refused(center, each(center), said)


@pytest.mark.parametrize(
    "asks",
    [of_a_revoked_gateway, of_a_thief_while_the_true_one_has_new_ones, of_the_true_one_while_the_thief_is_live],
)
def test_a_revoked_gateway_gets_nothing(center: Center, asks: Callable[[Center], wire.CertificateWord]) -> None:
    refused(center, asks(center), "revoked")


def test_one_that_was_let_in_again_renews_once_the_thief_is_out(center: Center) -> None:
    asked = of_the_true_one_while_the_thief_is_live(center)
    center.enforce()
    assert center.ask(asked, at_ns=LATE_NS + 2 * NS).first


def test_a_key_that_was_revoked_is_not_given_again(center: Center) -> None:
    key = new_key()
    center.ask(word(center.serial, center.key, csr(key)))
    center.revoke()
    center.enforce()
    present = new_key()
    serial = center.issue("gw-1", present, LATE_NS + NS)
    with pytest.raises(RefusedError, match="not a new one"):
        center.ask(word(serial, present, csr(key)), at_ns=LATE_NS + 2 * NS)


def test_a_gateway_that_never_stops_asking_is_stopped(center: Center) -> None:
    for _ in range(RENEWALS_A_DAY):
        center.ask(word(center.serial, center.key, csr(new_key())))
    with pytest.raises(RefusedError, match="enough"):
        center.ask(word(center.serial, center.key, csr(new_key())), at_ns=LATE_NS + DAY_NS - NS)
    assert center.ask(word(center.other_serial, center.other, csr(new_key(), "gw-2")), "gw-2").first
    assert center.ask(word(center.serial, center.key, csr(new_key())), at_ns=LATE_NS + DAY_NS + NS).first


# --- which one it uses -----------------------------------------------------------------------------------------------


def test_what_was_signed_and_never_used_lets_nobody_believe_that_all_is_well(center: Center) -> None:
    """The answer was lost, or the gateway's disk takes nothing: what it uses ends, and that is told."""
    center.uses("gw-1", center.serial, NOW_NS)
    answer = center.ask(word(center.serial, center.key, csr(new_key())))
    soon_ns = NOW_NS + 75 * DAY_NS
    assert center.standing(soon_ns).ending["gw-1"] == NOW_NS + 90 * DAY_NS
    center.uses("gw-1", f"{read(answer.first).serial_number:x}")
    assert "gw-1" not in center.standing(soon_ns).ending
    assert center.standing(LATE_NS + 75 * DAY_NS).ending["gw-1"] == LATE_NS + 90 * DAY_NS


def test_use_is_noted_once_for_both_sessions_and_never_for_anothers_certificate(center: Center) -> None:
    def news(serial: str) -> bool:
        with center.cloud.database.reading() as connection:
            return is_news(connection, "gw-1", serial)

    assert (news(center.serial), news(center.other_serial), news("abc")) == (True, False, False)
    for _ in range(2):
        center.uses("gw-1", center.serial, NOW_NS)
    center.uses("gw-1", center.other_serial)
    assert not news(center.serial)
    seen = {row.session: row.seen_ns for row in center.cloud.rows(schema.certificate)}
    assert seen == {"gw-1": NOW_NS, "gw-1~second": NOW_NS, "gw-2": None, "gw-2~second": None}
    told = [row.detail for row in center.cloud.rows(schema.journal) if row.kind == "certificate-in-use"]
    assert told == [{"gateway": "gw-1", "serial": center.serial}]


def test_that_nothing_can_be_signed_is_a_warning_of_readyz_and_on_the_console(cloud: Cloud, tmp_path: Path) -> None:
    fault = Fault(FaultKind.RENEWAL, {"why": "issuing.key: no such file"})
    now_ns = time.time_ns()
    with cloud.database.transaction() as connection:
        beat(connection, ROLE, now_ns, {"faults": [fault.as_row()]})
    assert _probe(cloud.database, now_ns).warnings == [str(fault)]
    with cloud.database.reading() as connection:
        assert escalation_faults(connection) == [fault.as_row()]
