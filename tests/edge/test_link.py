"""Whose certificate the center shows always counts; from when until when, only where the clock is right."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from edge.renewed_home import NOW, Signer, make_signer
from hearthline_edge.config import UplinkConfig
from hearthline_edge.link import judge_times, tls_context

HOST = "center.example.org"


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("center")
    make_signer(folder)
    return folder


def serving(signer: Signer, folder: Path, days: float, name: str = HOST) -> ssl.SSLContext:
    """A broker whose certificate was made so many days from now, for a year."""
    issued, key = signer.authority.issue_server([name], NOW + timedelta(days=days))
    (folder / "server.crt").write_bytes(issued.pem)
    (folder / "server.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """A handshake without a network. Raises SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(down, up, server_hostname=HOST)
    far = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (near, far):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert near.getpeercert()


@pytest.mark.parametrize("days", [-400.0, 30.0])
def test_an_ended_or_future_certificate_is_taken_only_while_nobody_knows_the_time(
    center: Path, tmp_path: Path, days: float
) -> None:
    signer = Signer.opened(center)
    server = serving(signer, tmp_path, days)
    context = tls_context(UplinkConfig(host=HOST, ca_file=str(center / "root" / "root.crt")))
    assert context is not None
    judge_times(context, clock_is_right=False)
    shake(context, server)
    judge_times(context, clock_is_right=True)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
        shake(context, server)
    shake(context, serving(signer, tmp_path, 0))


def test_another_name_or_another_authority_is_never_taken(center: Path, tmp_path: Path) -> None:
    context = tls_context(UplinkConfig(host=HOST, ca_file=str(center / "root" / "root.crt")))
    assert context is not None
    judge_times(context, clock_is_right=False)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        shake(context, serving(Signer.opened(center), tmp_path, 0, "evil.example.org"))
    (tmp_path / "evil").mkdir()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate"):
        shake(context, serving(make_signer(tmp_path / "evil"), tmp_path, 0))
