"""The certificate authority: what it signs holds against OpenSSL's own rules, and it signs nothing else."""

from __future__ import annotations

import os
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud.identity.authority import (
    ISSUING_KEY,
    ROOT_KEY,
    Authority,
    RequestError,
    Revoked,
    list_ends,
    make_issuing,
    make_root,
    requested_key,
    write_public,
)

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_root(tmp_path / "root", "East", NOW, b"in the safe")
    make_issuing(tmp_path / "pki", tmp_path / "root", "East", NOW, b"in the safe")
    return tmp_path


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, name: str = "gw-1") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def fresh() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def openssl(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)


def verified(folder: Path, name: str, purpose: str, *more: str | Path) -> bool:
    root, chain = folder / "root" / "root.crt", folder / "pki" / "chain.crt"
    where = ("-CAfile", root, "-untrusted", chain, "-purpose", purpose)
    return openssl("verify", *where, *more, folder / name).returncode == 0


def test_what_is_issued_is_for_one_use_and_ends_after_ninety_days(folder: Path) -> None:
    authority = Authority(folder / "pki", NOW)
    key = requested_key(request(ec.generate_private_key(ec.SECP256R1()), name="gw-1"), "gw-1")
    issued = authority.issue_client("gw-1", key, NOW)
    write_public(folder / "gw.crt", issued.pem)
    read = x509.load_pem_x509_certificate(issued.pem)
    assert read.subject.rfc4514_string() == "CN=gw-1"
    assert (read.public_key(), f"{read.serial_number:x}") == (key, issued.serial)
    assert read.not_valid_after_utc - NOW == timedelta(days=90)
    assert verified(folder, "gw.crt", "sslclient")
    assert not verified(folder, "gw.crt", "sslserver")
    server, pem = authority.issue_server(["broker.example.org", "10.0.0.5"], NOW)
    write_public(folder / "server.crt", server.pem)
    assert verified(folder, "server.crt", "sslserver", "-verify_hostname", "broker.example.org")
    assert verified(folder, "server.crt", "sslserver", "-verify_ip", "10.0.0.5")
    assert not verified(folder, "server.crt", "sslserver", "-verify_hostname", "evil.example.org")
    assert not verified(folder, "server.crt", "sslclient")
    (folder / "server.key").write_bytes(pem)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(folder / "server.crt", folder / "server.key")


def test_what_is_revoked_is_refused_and_the_rest_is_not(folder: Path) -> None:
    authority = Authority(folder / "pki", NOW)
    issued = []
    for name in ("gw-1", "gw-2"):
        issued.append(authority.issue_client(name, fresh(), NOW))
        write_public(folder / f"{name}.crt", issued[-1].pem)
    write_public(folder / "revoked.crl", authority.revocation_list([Revoked(issued[0].serial, NOW)], 2, NOW))
    assert list_ends(folder / "revoked.crl") == NOW + timedelta(days=7)
    heeding = ("-crl_check", "-CRLfile", folder / "revoked.crl")
    assert [verified(folder, f"{name}.crt", "sslclient", *heeding) for name in ("gw-1", "gw-2")] == [False, True]
    assert list_ends(folder / "gw-1.crt") is None
    assert list_ends(folder / "nothing") is None


def test_an_issuing_certificate_made_anew_keeps_its_key_and_what_it_has_issued(folder: Path) -> None:
    issued = Authority(folder / "pki", NOW).issue_client("gw-1", fresh(), NOW)
    write_public(folder / "old.crt", issued.pem)
    make_issuing(folder / "pki", folder / "root", "East", NOW, b"in the safe")
    authority = Authority(folder / "pki", NOW)
    write_public(folder / "new.crt", authority.issue_client("gw-2", fresh(), NOW).pem)
    write_public(folder / "revoked.crl", authority.revocation_list([Revoked(issued.serial, NOW)], 1, NOW))
    assert [verified(folder, name, "sslclient") for name in ("old.crt", "new.crt")] == [True, True]
    heeding = ("-crl_check", "-CRLfile", folder / "revoked.crl")
    assert [verified(folder, name, "sslclient", *heeding) for name in ("old.crt", "new.crt")] == [False, True]


def test_a_certificate_never_outlives_its_issuer(folder: Path) -> None:
    late = NOW + timedelta(days=5 * 365 - 10)
    authority = Authority(folder / "pki", late)
    assert authority.issue_client("gw-1", fresh(), late).ends == authority.ends
    with pytest.raises(ConfigError, match=r"issuing\.crt ended on"):
        Authority(folder / "pki", late + timedelta(days=11))


def altered() -> bytes:
    """Another key under the signature of the first."""
    der = x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1()))).public_bytes(
        serialization.Encoding.DER
    )
    other = x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1())))
    point = serialization.PublicFormat.UncompressedPoint

    def raw(asked: x509.CertificateSigningRequest) -> bytes:
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key.public_bytes(serialization.Encoding.X962, point)

    changed = der.replace(raw(x509.load_der_x509_csr(der)), raw(other))
    return x509.load_der_x509_csr(changed).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: b"", "no signing request"),
        (
            lambda: b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "no signing request",
        ),
        (lambda: b"x" * 9000, "8192 bytes"),
        (lambda: request(rsa.generate_private_key(65537, 2048)), "P-256"),
        (lambda: request(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (altered, "its own key"),
        (lambda: request(ec.generate_private_key(ec.SECP256R1()), name="gw-2"), "another name"),
    ],
)
def test_a_request_that_proves_nothing_is_refused(made: object, said: str) -> None:
    assert callable(made)
    asked = made()
    with pytest.raises(RequestError, match=said):
        requested_key(asked, "gw-1")


def test_keys_are_for_their_owner_alone_and_the_root_is_never_written_over(folder: Path) -> None:
    assert [os.stat(folder / at).st_mode & 0o777 for at in (f"root/{ROOT_KEY}", f"pki/{ISSUING_KEY}")] == [0o600] * 2
    with pytest.raises(RefusedError, match="never written over"):
        make_root(folder / "root", "East", NOW)
    with pytest.raises(ConfigError, match="passphrase is wrong"):
        make_issuing(folder / "pki", folder / "root", "East", NOW, b"guessed")
    (folder / "pki" / ISSUING_KEY).chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        Authority(folder / "pki", NOW)
