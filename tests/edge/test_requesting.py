"""A gateway's own key and its signing request; and what a certificate says, read without a library of certificates."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hearthline.cli import run
from hearthline.clock import NS
from hearthline.errors import ConfigError, ProtocolError
from hearthline_cloud.identity.authority import requested_key
from hearthline_edge.certificate import facts
from hearthline_edge.requesting import Task, carry_out

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)


def private(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def certificate(begins: datetime, ends: datetime, serial: int = 0x7F00FF) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-1")])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(serial).not_valid_before(begins).not_valid_after(ends)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(f'gateway = "gw-1"\ndata_dir = "{tmp_path}"\n[uplink]\nhost = "127.0.0.1"\n', encoding="utf-8")
    return path


def test_the_key_stays_and_the_request_is_what_the_center_takes(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = os.umask(0)  # the mode must not rest on it
    try:
        assert run(["edge", "request", "--config", str(config), "--out", str(tmp_path / "pki"), "--json"]) == 0
    finally:
        os.umask(old)
    told = json.loads(capsys.readouterr().out)
    key, request = Path(told["key"]), Path(told["request"])
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert requested_key(request.read_bytes(), "gw-1") == private(key).public_key()
    assert b"PRIVATE" not in request.read_bytes()
    before = key.read_bytes()
    assert run(["edge", "request", "--config", str(config), "--out", str(tmp_path / "pki")]) == 1
    assert "never written over" in capsys.readouterr().err
    assert key.read_bytes() == before


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["edge", "request", "--config", str(config), "--out", str(config / "in-a-file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_renewal_has_a_new_key_proved_by_the_present_one_and_is_the_same_when_made_again(tmp_path: Path) -> None:
    present = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "present.key").write_bytes(
        present.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    task = Task("gw-1", str(tmp_path / "next.key"), str(tmp_path / "present.key"))
    first, again = carry_out(task), carry_out(task)
    made = private(tmp_path / "next.key")
    assert requested_key(first.request.encode(), "gw-1") == made.public_key() != present.public_key()
    assert first.key == again.key
    for each in (first, again):
        present.public_key().verify(bytes.fromhex(each.proof), each.request.encode(), ec.ECDSA(hashes.SHA256()))
    assert (tmp_path / "next.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "next.key").write_bytes(b"what a power cut has left")
    assert carry_out(task).key != first.key


@pytest.mark.parametrize("content", [None, b"", b"no key"])
def test_without_a_present_key_there_is_no_renewal_and_no_new_key(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "present.key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"present\.key"):
        carry_out(Task("gw-1", str(tmp_path / "next.key"), str(tmp_path / "present.key")))
    assert not (tmp_path / "next.key").exists()


# --- what a certificate says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (NOW, NOW + timedelta(days=90)),
        (datetime(1999, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(2049, 12, 1, tzinfo=UTC), datetime(2050, 3, 1, tzinfo=UTC)),  # the form of the time changes here
    ],
)
@pytest.mark.parametrize("serial", [1, 0x80, 0x7F00FF, 2**158 + 1])
def test_serial_and_times_are_read_as_they_were_written(begins: datetime, ends: datetime, serial: int) -> None:
    read = facts(b"some words before it\n" + certificate(begins, ends, serial) + certificate(NOW, NOW, 5))
    assert read.serial == f"{serial:x}"
    assert (read.begins_ns, read.ends_ns) == (round(begins.timestamp()) * NS, round(ends.timestamp()) * NS)


def test_a_new_one_is_due_when_two_thirds_are_used_and_not_for_all_at_once() -> None:
    dues = []
    for serial in range(1, 40):
        read = facts(certificate(NOW, NOW + timedelta(days=90), serial))
        dues.append((read.due_ns - read.begins_ns) / (24 * 3600 * NS))
    assert 60 <= min(dues) < 60.5
    assert 62.5 < max(dues) <= 63


def cut(pem: bytes) -> list[bytes]:
    """Shorter and shorter: whatever a torn file may hold."""
    import base64

    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    head, tail = b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"
    return [head + base64.b64encode(der[:length]) + tail for length in range(90)]


def test_what_is_no_certificate_is_told_so() -> None:
    whole = certificate(NOW, NOW + timedelta(days=90))
    bad: list[bytes] = [b"", b"no", whole[:60], whole.replace(b"CERTIFICATE", b"PRIVATE KEY"), *cut(whole)]
    for each in bad:
        with pytest.raises(ProtocolError, match="no certificate in PEM"):
            facts(each)
