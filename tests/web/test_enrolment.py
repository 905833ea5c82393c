"""The open route of enrolment over HTTP: what it tells to whom, and how often."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hearthline.enrolment import MAX_REQUEST, Keys, unlock
from hearthline.enrolment_code import new_code
from hearthline_cloud.enrolment.offers import offer
from hearthline_cloud.enrolment.signing import Place, sign
from hearthline_cloud.identity.authority import Authority, make_issuing, make_root, utc_now
from hearthline_cloud.pacing import ADDRESS_FACTOR, RATES, Cost
from web.client import Client
from web.seeding import Center

PATH = "/api/v1/enrolment"
PLACE = Place("center.example.org", 8883, "-----BEGIN CERTIFICATE-----\nroot\n")


def fresh() -> Keys:
    return unlock(new_code(secrets.choice), 2**4)


def asked(keys: Keys, **changes: Any) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    request = made.public_bytes(serialization.Encoding.PEM).decode()
    return {"offer": keys.offer, "request": request, "proof": keys.prove(request), **changes}


def test_a_code_is_answered_once_the_desk_has_signed(served: Center) -> None:
    make_root(served.folder / "root", "East", utc_now())
    make_issuing(served.folder / "pki", served.folder / "root", "East", utc_now())
    authority, keys, now = Authority(served.folder / "pki", utc_now()), fresh(), time.time_ns()
    with served.database.transaction() as connection:
        offer(connection, authority, keys, "gw-east-1", now, hours=1, again=False, actor="mei")
    client, words = Client(served.url), asked(keys)
    waiting = client.request("POST", PATH, words)
    assert (waiting.status, json.loads(waiting.data), waiting.headers["retry-after"]) == (202, {"sealed": ""}, "1")
    with served.database.transaction() as connection:
        sign(connection, authority, PLACE, keys.offer, time.time_ns())
    told = [client.request("POST", PATH, words) for _ in range(2)]
    assert [each.status for each in told] == [200, 200]
    assert told[0].data == told[1].data
    assert told[0].headers["cache-control"] == "no-store"
    other = client.request("POST", PATH, asked(keys))
    assert (other.status, json.loads(other.data)["error"]["code"]) == (403, "enrolment-used")
    stranger = client.request("POST", PATH, {**words, "proof": "00" * 64})
    unknown = client.request("POST", PATH, asked(fresh()))
    assert (stranger.status, stranger.data) == (unknown.status, unknown.data)
    assert json.loads(unknown.data)["error"]["code"] == "enrolment-unknown"


def test_a_stranger_is_told_after_the_same_time(served: Center) -> None:
    began = time.monotonic()
    assert Client(served.url).request("POST", PATH, asked(fresh())).status == 403
    assert time.monotonic() - began >= 0.2


ODD: list[dict[str, Any]] = [
    {"offer": ""}, {"offer": "abcdef"}, {"offer": "ABCDEFG"}, {"offer": "ABCDE\n"}, {"offer": "ABCDEF\n"},
    {"offer": None}, {"offer": "' OR 1"}, {"request": ""}, {"request": "x" * (MAX_REQUEST + 1)}, {"request": 7},
    {"proof": ""}, {"proof": "zz" * 64}, {"proof": "00" * 65}, {"proof": ["00"]},
]  # fmt: skip


def test_what_is_no_request_is_refused_and_not_repeated(served: Center) -> None:
    client = Client(served.url)
    for change in ODD:
        answer = client.request("POST", PATH, asked(fresh(), **change))
        assert answer.status == 422, change
        assert b"OR 1" not in answer.data


def test_who_asks_too_often_waits(served: Center) -> None:
    rate = RATES[Cost.ENROLMENT].burst * ADDRESS_FACTOR
    client = Client(served.url)
    statuses = [client.request("POST", PATH, {}).status for _ in range(rate + 3)]
    assert 429 in statuses[-3:]
    last = client.request("POST", PATH, {})
    assert last.status == 429
    assert int(last.headers["retry-after"]) >= 1
