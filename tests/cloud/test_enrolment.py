"""What a one-time code gives, to whom, how often and how long; on both databases."""

from __future__ import annotations

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from authorities import made_authority
from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.enrolment import Keys, Kind, Kit, decode_kit, open_sealed, unlock
from hearthline.enrolment_code import Code, new_code
from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.enrolment.offers import MOST_WRONG, EnrolmentError, Made, Refusal, ask, end, offer, over, withdraw
from hearthline_cloud.enrolment.signing import Place, Signed, make_bundle, sign, waiting
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.authority import (
    Authority,
    RequestError,
    key_digest,
    requested_key,
)
from hearthline_cloud.identity.renewal import take_use

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_NS = round(NOW.timestamp()) * NS
HOUR_NS = 3600 * NS
PLACE = Place("center.example.org", 8883, "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n")
Key = ec.EllipticCurvePrivateKey
on_sqlite = pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)  # alike on both: tried on one


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("ca"), NOW)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Key) -> str:
    """As a gateway makes it, that does not know its name yet."""
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Desk:
    """The center's side, and a code that was made there."""

    cloud: Cloud
    authority: Authority
    keys: Keys = field(default_factory=lambda: fresh())

    def offer(self, at_ns: int = NOW_NS, **changes: Any) -> Made:
        how: dict[str, Any] = {"hours": 72.0, "again": False, "actor": "mei", **changes}
        with self.cloud.database.transaction() as connection:
            return offer(connection, self.authority, self.keys, "gw-1", at_ns, **how)

    def bundle(self, at_ns: int = NOW_NS, again: bool = False) -> Kit:
        with self.cloud.database.transaction() as connection:
            _, sealed = make_bundle(
                connection, self.authority, PLACE, self.keys, "gw-1", at_ns, hours=24.0, again=again, actor="mei"
            )
        return decode_kit(open_sealed(self.keys.key(Kind.BUNDLE), Kind.BUNDLE, self.keys.offer, sealed))

    def ask(self, request: str, at_ns: int = NOW_NS, proof: str = "") -> str:
        return ask(self.cloud.database, self.keys.offer, request, proof or self.keys.prove(request), at_ns)

    def sign(self, at_ns: int = NOW_NS) -> list[Signed | None]:
        with self.cloud.database.reading() as connection:
            found = waiting(connection, at_ns)
        with self.cloud.database.transaction() as connection:
            return [sign(connection, self.authority, PLACE, each, at_ns) for each in found]

    def end(self, at_ns: int) -> list[str]:
        with self.cloud.database.transaction() as connection:
            return end(connection, over(connection, at_ns), at_ns)

    def enrol(self, key: Key, at_ns: int = NOW_NS) -> Kit:
        request = csr(key)
        assert self.ask(request, at_ns) == ""
        self.sign(at_ns)
        return self.opened(self.ask(request, at_ns), request)

    def opened(self, answer: str, request: str) -> Kit:
        digest = key_digest(requested_key(request.encode(), "gw-1"))
        content = open_sealed(
            self.keys.key(Kind.ANSWER), Kind.ANSWER, self.keys.offer, base64.b64decode(answer), digest
        )
        return decode_kit(content)

    def use(self, kit: Kit, at_ns: int = NOW_NS) -> int:
        with self.cloud.database.transaction() as connection:
            return take_use(connection, "gw-1", serial(kit.first), at_ns)

    def refusal(self, request: str, at_ns: int = NOW_NS, proof: str = "") -> Refusal:
        with pytest.raises(EnrolmentError) as refused:
            self.ask(request, at_ns, proof)
        return refused.value.refusal

    def row(self) -> Any:
        (found,) = [row for row in self.cloud.rows(schema.enrolment) if row.id == self.keys.offer]
        return found

    def valid(self, at_ns: int = NOW_NS) -> set[str]:
        table = schema.certificate
        with self.cloud.database.reading() as connection:
            query = select(table.c.serial).where(table.c.session == "gw-1", certificates.is_valid(at_ns))
            return set(connection.execute(query).scalars())

    def told(self) -> list[str]:
        kinds = [row.kind for row in self.cloud.rows(schema.journal)]
        return [kind.removeprefix("enrolment-") for kind in kinds if kind.startswith("enrolment-")]


def fresh() -> Keys:
    return unlock(new_code(secrets.choice), 2**4)


def serial(pem: str) -> str:
    return f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:x}"


@pytest.fixture
def desk(cloud: Cloud, authority: Authority) -> Desk:
    return Desk(cloud, authority)


def test_a_machine_that_proves_its_code_becomes_the_gateway(desk: Desk) -> None:
    assert desk.offer().ends_ns == NOW_NS + 72 * HOUR_NS
    key = new_key()
    kit = desk.enrol(key)
    assert (kit.gateway, kit.host, kit.port, kit.root, kit.key) == ("gw-1", PLACE.host, PLACE.port, PLACE.root, "")
    for pem, name in ((kit.first, "gw-1"), (kit.second, "gw-1~second")):
        certificate = x509.load_pem_x509_certificate(pem.encode())
        assert certificate.public_key() == key.public_key()
        assert name in certificate.subject.rfc4514_string()
    assert {each.id for each in kit.devices} == {row.id for row in desk.cloud.rows(schema.device) if row.registered}
    assert desk.use(kit) == 0
    assert desk.told() == ["offered", "asked", "answered", "taken"]


@on_sqlite
def test_what_is_kept_of_a_code_is_neither_the_code_nor_what_opens_its_answer(desk: Desk) -> None:
    code = new_code(secrets.choice)
    desk.keys = unlock(code, 2**4)
    desk.offer()
    desk.enrol(new_key())
    row = desk.row()
    kept = str(tuple(row)) + "".join(str(each.detail) for each in desk.cloud.rows(schema.journal))
    assert code.secret not in kept
    for secret in (desk.keys.key(Kind.ANSWER), desk.keys.key(Kind.BUNDLE)):
        assert secret.hex() not in kept
        assert base64.b64encode(secret).decode() not in kept


def test_the_same_key_gets_the_same_answer_and_another_key_none(desk: Desk) -> None:
    desk.offer()
    request = csr(new_key())
    assert desk.ask(request) == ""
    assert desk.ask(request) == "", "the desk has not signed yet"
    desk.sign()
    answers = {desk.ask(request, NOW_NS + hour * HOUR_NS) for hour in (0, 1, 71)}
    assert len(answers) == 1
    assert desk.sign() == []
    assert len(desk.valid()) == 1
    assert desk.refusal(csr(new_key())) is Refusal.USED
    assert desk.told() == ["offered", "asked", "answered"]


def test_of_many_machines_at_once_one_is_the_gateway_and_two_desks_sign_once(desk: Desk) -> None:
    desk.offer()
    requests = [csr(new_key()) for _ in range(6)]

    def attempt(request: str) -> str:
        try:
            return desk.ask(request)
        except EnrolmentError as error:
            return error.refusal

    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(attempt, requests))
        assert sorted(told) == ["", *[Refusal.USED] * 5]
        list(threads.map(lambda _: desk.sign(), range(2)))
    assert len(desk.valid()) == 1
    assert desk.told() == ["offered", "asked", "answered"]
    winner = requests[told.index("")]
    assert desk.opened(desk.ask(winner), winner).gateway == "gw-1"


@on_sqlite
def test_a_request_made_anew_with_the_same_key_gets_the_answer(desk: Desk) -> None:
    """The signature of a request differs each time: the key counts."""
    desk.offer()
    key = new_key()
    kit = desk.enrol(key)
    again = csr(key)
    assert desk.opened(desk.ask(again), again) == kit


def test_it_ends_by_time_and_leaves_nothing_that_opens(desk: Desk) -> None:
    desk.offer(hours=1)
    desk.enrol(new_key())
    late_ns = NOW_NS + HOUR_NS
    assert desk.refusal(csr(new_key()), late_ns) is Refusal.EXPIRED
    assert desk.end(late_ns - 1) == []
    assert desk.row().answer != ""
    assert desk.end(late_ns) == []
    assert desk.end(late_ns) == []
    row = desk.row()
    assert (row.sealed, row.answer, row.request, row.proof) == ("", "", "", "")
    assert desk.told()[-1] == "ended"
    assert desk.told().count("ended") == 1
    assert len(desk.valid()) == 1, "what was signed stays"


def test_who_does_not_prove_the_code_learns_nothing_and_locks_it(desk: Desk) -> None:
    desk.offer()
    request = csr(new_key())
    stranger = unlock(Code(desk.keys.offer, "0" * 13), 2**4)
    unknown = fresh()
    with pytest.raises(EnrolmentError) as nothing_there:
        ask(desk.cloud.database, unknown.offer, request, unknown.prove(request), NOW_NS)
    for _ in range(MOST_WRONG):
        with pytest.raises(EnrolmentError) as wrong:
            desk.ask(request, proof=stranger.prove(request))
        assert (wrong.value.refusal, str(wrong.value)) == (Refusal.UNKNOWN, str(nothing_there.value))
    assert desk.refusal(request, proof=stranger.prove(request)) is Refusal.UNKNOWN
    assert desk.refusal(request) is Refusal.LOCKED
    assert desk.row().wrong == MOST_WRONG
    assert desk.told().count("wrong") == MOST_WRONG


@on_sqlite
@pytest.mark.parametrize("fate", ["locked", "ended", "withdrawn", "unknown"])
def test_a_wrong_proof_that_does_not_count_takes_no_lock(desk: Desk, fate: str) -> None:
    desk.offer(hours=1)
    at_ns = NOW_NS + HOUR_NS * (fate == "ended")
    with desk.cloud.database.transaction() as connection:
        if fate == "locked":
            connection.execute(update(schema.enrolment).values(wrong=MOST_WRONG))
        if fate == "withdrawn":
            withdraw(connection, desk.keys.offer, NOW_NS, "mei")
    if fate == "unknown":
        desk.keys = fresh()
    with ThreadPoolExecutor(1) as threads, desk.cloud.database.transaction():
        told = threads.submit(desk.refusal, csr(new_key()), at_ns, "00" * 64)
        assert told.result(timeout=20) is Refusal.UNKNOWN, "while another holds the writer's lock"
    assert "wrong" not in desk.told()


@on_sqlite
def test_a_few_wrong_attempts_do_no_harm(desk: Desk) -> None:
    desk.offer()
    for _ in range(MOST_WRONG - 1):
        assert desk.refusal(csr(new_key()), proof="00" * 64) is Refusal.UNKNOWN
    assert desk.enrol(new_key()).gateway == "gw-1"


@on_sqlite
def test_a_newer_code_takes_the_older_ones_place(desk: Desk) -> None:
    desk.offer()
    older, desk.keys = desk.keys, fresh()
    desk.offer()
    request = csr(new_key())
    with pytest.raises(EnrolmentError) as refused:
        ask(desk.cloud.database, older.offer, request, older.prove(request), NOW_NS)
    assert refused.value.refusal is Refusal.WITHDRAWN
    assert desk.enrol(new_key()).gateway == "gw-1"


@on_sqlite
def test_what_is_no_signing_request_binds_nothing(desk: Desk) -> None:
    desk.offer()
    for request in ("", "x", csr(new_key()).replace("M", "N", 3), "-----BEGIN CERTIFICATE REQUEST-----\n"):
        with pytest.raises(RequestError):
            desk.ask(request)
    assert desk.row().key == ""
    assert desk.enrol(new_key()).gateway == "gw-1"


@on_sqlite
@pytest.mark.parametrize("hours", [0, -1, 721, float("nan"), float("inf")])
def test_odd_times_are_refused(desk: Desk, hours: float) -> None:
    with pytest.raises(RefusedError, match="--hours"):
        desk.offer(hours=hours)
    assert desk.cloud.rows(schema.enrolment) == []


@on_sqlite
def test_no_code_for_a_gateway_that_is_not_there_or_has_its_certificates(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="gw-nowhere"), desk.cloud.database.transaction() as connection:
        offer(connection, desk.authority, desk.keys, "gw-nowhere", NOW_NS, hours=1, again=False, actor="mei")
    desk.offer()
    desk.enrol(new_key())
    desk.keys = fresh()
    with pytest.raises(RefusedError, match="--again"):
        desk.offer()


def test_again_another_machine_takes_its_place_and_its_history(desk: Desk) -> None:
    desk.offer()
    old = desk.enrol(new_key())
    desk.use(old)
    desk.keys = fresh()
    desk.offer(again=True)
    assert desk.valid() == {serial(old.first)}, "until another machine is there the old one goes on"
    request = csr(new_key())
    desk.ask(request)
    assert desk.sign() == [Signed("gw-1", has_revoked=True)]
    new = desk.opened(desk.ask(request), request)
    assert desk.valid() == {serial(new.first)}
    assert new.gateway == old.gateway


@on_sqlite
def test_what_came_on_another_way_meanwhile_is_not_doubled(desk: Desk) -> None:
    desk.offer()
    request = csr(new_key())
    desk.ask(request)
    with desk.cloud.database.transaction() as connection:
        certificates.issue(connection, desk.authority, "gw-1", new_key().public_key(), NOW_NS, "mei")
    (signed,) = desk.sign()
    assert signed == Signed("gw-1", refused=desk.row().refused)
    assert desk.refusal(request) is Refusal.REFUSED
    assert len(desk.valid()) == 1
    assert desk.told()[-1] == "refused"


@on_sqlite
@pytest.mark.parametrize(
    "change",
    [
        {"gateway_id": "gw-2"},
        {"verifier": "11" * 32},
        {"again": True},
        {"ends_ns": NOW_NS + 999 * HOUR_NS},
        {"sealed": "AA"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_who_may_write_to_the_database_gets_nothing_signed(desk: Desk, change: dict[str, Any]) -> None:
    """The role web, taken over, has the database: whose offer it is stands under the issuing key."""
    desk.offer()
    table = schema.enrolment
    thief, request = fresh(), csr(new_key())
    asked = {"key": key_digest(requested_key(request.encode(), "gw-1")), "request": request, "asked_ns": NOW_NS}
    proof = thief.prove(request) if "verifier" in change else desk.keys.prove(request)
    with desk.cloud.database.transaction() as connection:
        if "gateway_id" in change:
            connection.execute(schema.gateway.insert().values(id="gw-2"))
        connection.execute(update(table).values(**change, **asked, proof=proof))
    (signed,) = desk.sign()
    assert signed is not None
    assert "was changed" in signed.refused
    assert signed.refused == desk.row().refused
    assert desk.cloud.rows(schema.certificate) == []


@on_sqlite
def test_a_request_put_in_anothers_place_is_not_signed(desk: Desk) -> None:
    desk.offer()
    request, other = csr(new_key()), csr(new_key())
    desk.ask(request)
    digest = key_digest(requested_key(other.encode(), "gw-1"))
    with desk.cloud.database.transaction() as connection:
        connection.execute(update(schema.enrolment).values(request=other, key=digest))
    (signed,) = desk.sign()
    assert signed is not None
    assert "was changed" in signed.refused
    assert desk.cloud.rows(schema.certificate) == []


@on_sqlite
def test_what_ended_before_the_desk_came_to_it_is_not_signed_and_takes_nothing(desk: Desk) -> None:
    desk.offer()
    old = desk.enrol(new_key())
    desk.keys = fresh()
    desk.offer(again=True, hours=1)
    request = csr(new_key())
    desk.ask(request)
    late_ns = NOW_NS + HOUR_NS
    assert desk.sign(late_ns) == []
    with desk.cloud.database.transaction() as connection:  # it ended between the look and the signature
        assert sign(connection, desk.authority, PLACE, desk.keys.offer, late_ns) is None
    assert desk.valid(late_ns) == {serial(old.first)}
    assert desk.row().refused == ""
    assert desk.sign(late_ns - 1) == [Signed("gw-1", has_revoked=True)], "a clock that was wrong spoiled nothing"


# --- the bundle ---


@on_sqlite
def test_a_bundle_is_all_that_a_gateway_needs_and_its_code_opens_nothing_else(desk: Desk) -> None:
    kit = desk.bundle()
    key = serialization.load_pem_private_key(kit.key.encode(), None)
    assert key.public_key() == x509.load_pem_x509_certificate(kit.first.encode()).public_key()
    assert kit.until_ns == NOW_NS + 24 * HOUR_NS
    assert desk.refusal(csr(new_key())) is Refusal.BUNDLE
    assert desk.row().sealed != ""


def test_a_bundles_key_is_revoked_when_the_gateway_uses_its_own(desk: Desk) -> None:
    kit = desk.bundle()
    assert desk.use(kit) == 0
    renewed = renew(desk, NOW_NS + HOUR_NS)
    assert desk.use(renewed, NOW_NS + HOUR_NS) == 2
    assert desk.valid() == {serial(renewed.first)}
    later = renew(desk, NOW_NS + 61 * 24 * HOUR_NS)
    assert desk.use(later, NOW_NS + 61 * 24 * HOUR_NS) == 0, "only a bundle's key is revoked"
    assert len(desk.valid()) == 2


def test_a_bundle_takes_anothers_place_when_it_is_there_and_not_before(desk: Desk) -> None:
    desk.offer()
    old = desk.enrol(new_key())
    desk.keys = fresh()
    kit = desk.bundle(again=True)
    assert desk.valid() == {serial(old.first), serial(kit.first)}
    renewed = renew(desk, NOW_NS + HOUR_NS)  # by the old machine, which does not know
    assert desk.use(renewed, NOW_NS + HOUR_NS) == 0
    assert desk.use(kit, NOW_NS + 2 * HOUR_NS) == 4
    assert desk.valid() == {serial(kit.first)}


def test_a_bundle_that_nobody_used_is_worth_nothing_in_the_end(desk: Desk) -> None:
    desk.bundle()
    assert desk.end(NOW_NS + 24 * HOUR_NS) == ["gw-1"]
    assert desk.valid() == set()
    desk.keys = fresh()
    kit = desk.bundle()
    first, desk.keys = desk.keys, fresh()
    assert desk.offer(again=True).has_revoked
    assert desk.valid() == set()
    assert first.offer != desk.keys.offer
    assert desk.use(kit) == 0


@on_sqlite
def test_a_bundle_in_use_outlives_its_offer(desk: Desk) -> None:
    kit = desk.bundle()
    desk.use(kit)
    assert desk.end(NOW_NS + 24 * HOUR_NS) == []
    assert desk.valid() == {serial(kit.first)}
    renewed = renew(desk, NOW_NS + 48 * HOUR_NS)
    assert desk.use(renewed, NOW_NS + 48 * HOUR_NS) == 2


def renew(desk: Desk, at_ns: int) -> Kit:
    with desk.cloud.database.transaction() as connection:
        first, second = certificates.issue(connection, desk.authority, "gw-1", new_key().public_key(), at_ns, "gateway")
    return Kit(gateway="gw-1", host="h", port=1, first=first.pem.decode(), second=second.pem.decode(), root=PLACE.root)
