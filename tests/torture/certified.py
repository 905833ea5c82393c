"""The center's broker as the product keeps it: TLS, a certificate for each session, roles; and what happens to those.

While a trial runs, the gateway's certificates are renewed, and other gateways' are revoked under its feet.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from brokers.certified import Client, Place, broker_login, identity_table, place
from hearthline_cloud import commands_identity as commands
from hearthline_cloud import schema
from hearthline_cloud.identity import certificates
from hearthline_cloud.identity.broker import CONF
from hearthline_sim.demo.broker import BrokerPlan
from hearthline_sim.demo.stack import GATEWAY
from servers import find_binary

if TYPE_CHECKING:
    from torture.stage import Stage

AGE_DAYS = 66.0  # of the certificates that the gateway is given: due, and not yet told of as ending
_OTHERS = 40


@dataclass
class Certified:
    """`others`: gateways that nobody needs; `revoked`: those that were revoked meanwhile."""

    place: Place
    home: Path
    address: str
    others: list[str]
    revoked: list[str] = field(default_factory=list)
    visitors: list[Client] = field(default_factory=list)

    @classmethod
    def made(cls, folder: Path, listens: str, address: str) -> Certified:
        """`listens`: the broker's address for gateways; `address`: where the gateway finds it."""
        center = folder / "center"
        center.mkdir()
        others = [f"gw-other-{number}" for number in range(_OTHERS)]
        names = (address, "127.0.0.1")
        made = cls(place(center, (), host=listens, names=names), folder / "certificates-of-the-home", address, others)
        made.place.register(GATEWAY, *others)
        for each in others[:2]:
            made.place.issue(each)
        made.bring_certificates()
        return made

    @property
    def broker_plan(self) -> BrokerPlan:
        command = [find_binary("mosquitto"), "-c", str(self.place.broker / CONF)]
        return BrokerPlan("center", command, self.place.local_port, self.place.local_port)

    @property
    def settings(self) -> dict[str, Any]:
        """What a `Plan` needs to know."""
        keys = {
            "ca_file": commands.ROOT,
            "cert_file": commands.CERTIFICATE,
            "second_cert_file": commands.SECOND_CERTIFICATE,
            "key_file": commands.KEY,
        }
        return {
            "uplink": (self.address, self.place.port),
            "uplink_keys": "".join(f'{key} = "{self.home / name}"\n' for key, name in keys.items()),
            "broker_keys": broker_login(self.place.folder),
            "center_tables": identity_table(self.place.folder, self.place.port, "0.0.0.0", (self.address,)),
        }

    def bring_certificates(self) -> None:
        """As an installer would: aged ones, which the agent renews at its next start."""
        issued = self.place.issue_aged(GATEWAY, AGE_DAYS, "brought")
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(issued, self.home)

    def renewals(self) -> int:
        """How often the gateway has got new certificates and used them."""
        table, now_ns = schema.certificate, time.time_ns()
        database = self.place.database()
        with database.reading() as connection:
            rows = connection.execute(
                select(table).where(table.c.session == GATEWAY, table.c.issued_ns > now_ns - 24 * 3600 * 10**9)
            ).all()
        database.close()
        return len([row for row in rows if row.seen_ns is not None])

    def unenforced(self) -> set[str]:
        database = self.place.database()
        with database.reading() as connection:
            found = set(certificates.standing(connection, time.time_ns()).unenforced.values())
        database.close()
        return found

    def close(self) -> None:
        for client in self.visitors:
            client.close()


def renew_again(stage: Stage, _rng: Random, over: threading.Event) -> str:
    """The agent is killed, finds older certificates and no renewed ones, and renews while it is pressed."""
    assert stage.certified is not None
    while not over.is_set():
        with stage.held("agent") as free:
            if free:
                stage.kill("agent")
                shutil.rmtree(stage.stack.folder / "gateway" / "certificates", ignore_errors=True)
                stage.certified.bring_certificates()
                stage.restart("agent")
                return "renew"
        over.wait(0.05)
    return "renew: no more time"


def revoke_another(stage: Stage, _rng: Random, _over: threading.Event) -> str:
    """Another gateway comes, is stolen, and is revoked, whatever is dead just then."""
    assert stage.certified is not None
    made = stage.certified
    other = made.others[len(made.revoked)]
    made.place.issue(other, f"{other}-stolen")
    made.visitors.append(Client(made.place, at=made.place.folder / f"{other}-stolen", name=other))
    commands.revoke(other, made.place.config, "stolen", wait=0)
    made.revoked.append(other)
    return "revoke another"
