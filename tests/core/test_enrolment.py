"""Codes as people type and scan them, and documents that open whole and with their own code, or not at all."""

from __future__ import annotations

import random
import secrets
from contextlib import suppress
from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthline.enrolment import (
    Kind,
    Kit,
    KitDevice,
    SealError,
    Unsealed,
    decode_kit,
    encode_kit,
    open_sealed,
    proves,
    seal,
    unlock,
)
from hearthline.enrolment_code import (
    ALPHABET,
    LENGTH,
    SCHEME,
    Code,
    Wrong,
    WrongCodeError,
    label_text,
    new_code,
    read_label,
)

QUICK = 2**4  # of scrypt: what the cost is makes no difference to anything but time
PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
KIT = Kit(
    gateway="gw-1", host="center.example.org", port=8883, first=PEM, second=PEM, root=PEM,
    devices=(KitDevice(id="enocean:002EE196", name="吊坠", room="卧室", kind="pendant"),),
)  # fmt: skip
codes = st.randoms(use_true_random=False).map(lambda rng: new_code(rng.choice))


def wrong(text: str) -> Wrong:
    with pytest.raises(WrongCodeError) as refused:
        read_label(text)
    return refused.value.wrong


def test_a_code_is_short_has_65_secret_bits_and_shows_itself_to_no_traceback() -> None:
    code = new_code(secrets.choice)
    assert len(code.text) == LENGTH + 4
    assert len(code.secret) * 5 >= 60
    assert not set("ILOU") & set(ALPHABET)
    assert code.secret not in repr(code) + repr(unlock(code, QUICK))
    assert len({new_code(secrets.choice) for _ in range(1000)}) == 1000


@given(codes, st.sampled_from(["", "https://center.example.org", "http://[::1]:8080"]))
def test_what_is_printed_is_what_is_read(code: Code, center: str) -> None:
    assert read_label(label_text(center, code)).center == center
    assert read_label(label_text(center, code)).code == code
    assert read_label(code.text).center == ""


@given(codes)
def test_it_may_be_typed_as_people_type(code: Code) -> None:
    plain = code.text
    full_width = "".join(chr(ord(each) + 0xFEE0) for each in plain)  # a Chinese keyboard's letters and hyphen
    letters = plain.replace("0", "o").replace("1", "l")
    for typed in (plain.lower(), plain.replace("-", ""), plain.replace("-", " "), f"  {plain}\n", full_width, letters):
        assert read_label(typed).code == code


@settings(max_examples=15)
@given(codes)
def test_no_single_wrong_character_and_no_swap_passes(code: Code) -> None:
    plain = code.text.replace("-", "")
    for at in range(LENGTH):
        for other in set(ALPHABET) - {plain[at]}:
            assert wrong(plain[:at] + other + plain[at + 1 :]) is Wrong.CHECK
    for one, two in combinations(range(LENGTH), 2):
        if plain[one] != plain[two]:
            swapped = list(plain)
            swapped[one], swapped[two] = plain[two], plain[one]
            assert wrong("".join(swapped)) is Wrong.CHECK


@pytest.mark.parametrize(
    "label",
    [
        "30S000002EE196+1P0000000",  # EnOcean
        "Z:00124B0001A2B3C4$I:83FED3407A939723A5C639B26916D505C3B5",  # a Zigbee install code
        "MT:Y.K9042C00KA0648G00",  # Matter
        "X-HM://0023ISYWYVPGH",  # HomeKit
        "https://example.org/a?b=c",
        "WIFI:T:WPA;S:net;P:secret;;",
        "服务热线 12349",
        "ABCU-ABCU-ABCU-ABCU-ABCU",
        "\x00" * LENGTH,
        "A" * 100_000,
    ],
)
def test_a_label_of_another_maker_is_told_from_a_mistyped_code(label: str) -> None:
    assert wrong(label) is Wrong.FOREIGN


def test_other_texts_that_are_no_codes() -> None:
    assert wrong(" \n") is wrong("--") is wrong(SCHEME) is Wrong.EMPTY
    assert wrong("00158D0001A2B3C4") is Wrong.LENGTH
    assert wrong("6901234567892") is Wrong.LENGTH  # an article number


@given(st.text(max_size=600))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(WrongCodeError):
        assert read_label(text).code.text


def test_a_request_is_of_who_knows_the_code() -> None:
    code = Code("ABCDEF", "0123456789ABC")
    keys = unlock(code, QUICK)
    proof = keys.prove("request")
    assert proves(keys.verifier, "ABCDEF", "request", proof)
    other = unlock(Code("ABCDEF", "0123456789ABD"), QUICK)
    for verifier, offer, request, shown in (
        (other.verifier, "ABCDEF", "request", proof),
        (keys.verifier, "ABCDEG", "request", proof),
        (keys.verifier, "ABCDEF", "request ", proof),
        (keys.verifier, "ABCDEF", "request", other.prove("request")),
        (keys.verifier, "ABCDEF", "request", proof[:-2]),
        (keys.verifier, "ABCDEF", "request", "no hex"),
        ("", "ABCDEF", "request", proof),
    ):
        assert not proves(verifier, offer, request, shown)


def test_each_offer_and_use_has_a_key_of_its_own() -> None:
    one, two = (unlock(Code(offer, "0123456789ABC"), QUICK) for offer in ("ABCDEF", "ABCDEG"))
    found = {each.key(kind) for each in (one, two) for kind in Kind} | {one.verifier, two.verifier}
    assert len(found) == 6


def test_the_stated_cost_is_what_is_used() -> None:
    code = Code("ABCDEF", "0123456789ABC")
    assert unlock(code).verifier == unlock(code, 2**15).verifier != unlock(code, QUICK).verifier


# --- sealed documents ---

KEY = bytes(range(32))


def why(document: bytes, **changes: Any) -> Unsealed:
    how: dict[str, Any] = {"key": KEY, "kind": Kind.ANSWER, "offer": "ABCDEF", "bound": "digest", **changes}
    with pytest.raises(SealError) as refused:
        open_sealed(how["key"], how["kind"], how["offer"], document, how["bound"])
    return refused.value.why


def test_a_document_opens_with_its_own_code_for_its_own_use_only() -> None:
    sealed = seal(KEY, Kind.ANSWER, "ABCDEF", b"content", "digest")
    assert open_sealed(KEY, Kind.ANSWER, "ABCDEF", sealed, "digest") == b"content"
    assert b"content" not in sealed
    assert seal(KEY, Kind.ANSWER, "ABCDEF", b"content", "digest") != sealed
    assert why(sealed, key=bytes(32)) is Unsealed.BROKEN
    assert why(sealed, bound="other") is Unsealed.BROKEN
    assert why(sealed, offer="ABCDEG") is Unsealed.OFFER
    assert why(sealed, kind=Kind.BUNDLE) is Unsealed.FOREIGN
    assert why(sealed[:3] + b"\x02" + sealed[4:]) is Unsealed.VERSION
    assert why(b"PK\x03\x04" + sealed) is Unsealed.FOREIGN
    assert why(b"") is Unsealed.FOREIGN


def test_no_bit_may_be_changed_and_no_byte_be_missing_or_more() -> None:
    sealed = seal(KEY, Kind.ANSWER, "ABCDEF", b"content", "digest")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert why(bytes(changed))
    for length in range(len(sealed)):
        assert why(sealed[:length])
    assert why(sealed + b"\0") is Unsealed.BROKEN


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"HLE\x01\x01ABCDEF" + rest))
def test_no_bytes_do_more_than_be_refused(document: bytes) -> None:
    assert why(document)


def test_a_kit_comes_back_as_it_was() -> None:
    assert decode_kit(encode_kit(KIT)) == KIT


@pytest.mark.parametrize(
    "change",
    [
        {"gateway": "../gw"}, {"gateway": "gw-1\n"}, {"gateway": ""}, {"host": "a b"}, {"host": ""}, {"host": "h\n"},
        {"port": 0}, {"port": 65536}, {"port": "8883"}, {"first": "no certificate"}, {"root": ""},
        {"first": PEM * 2000}, {"devices": [{"name": "no id"}]}, {"devices": [{"id": "a\nb"}]},
        {"devices": [{"id": "a"}] * 1001}, {"devices": [{"id": "a", "kind": 'x"'}]}, {"until_ns": -1},
    ],
    ids=str,
)  # fmt: skip
def test_a_kit_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    content = msgspec.json.encode({**msgspec.to_builtins(KIT), **change})
    with pytest.raises(SealError) as refused:
        decode_kit(content)
    assert refused.value.why is Unsealed.CONTENT


@settings(max_examples=200)
@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(repr).map(str.encode)
)
def test_no_content_does_more_than_be_refused(content: bytes) -> None:
    with pytest.raises(SealError):
        decode_kit(content)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(SealError):
        decode_kit(b"[" * 200_000)


def test_a_code_is_drawn_evenly() -> None:
    rng = random.Random(7)
    drawn = "".join(new_code(rng.choice).text.replace("-", "") for _ in range(2000))
    counts = [drawn.count(each) for each in ALPHABET]
    assert min(counts) > 0.8 * len(drawn) / len(ALPHABET)
