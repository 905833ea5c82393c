"""A mail server on this machine that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller

from servers import HOST, free_ports


@dataclass
class MailServer:
    """`got`: (recipients, content) of each mail."""

    port: int
    got: list[tuple[list[str], bytes]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.got.append((list(envelope.rcpt_tos), bytes(envelope.content)))
        return "250 OK"

    def url(self, to: str) -> str:
        """For Apprise."""
        return f"mailto://{HOST}:{self.port}/{to}?from=center@example.org&smtp={HOST}&mode=insecure&format=text"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    (port,) = free_ports(1)
    server = MailServer(port)
    controller = Controller(server, hostname=HOST, port=port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
