"""Renewal at a real broker: two desks that answer alike, no issuing key, a gateway that never stops, one that is out.

The whole way with a real agent is in `test_certified_way`, under fire in tests/torture/test_kills.py; what is refused,
in tests/cloud/test_renewal.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from brokers.certified import Client, Place, faults, place, roles, running
from cloud_processes import until
from hearthline import wire
from hearthline_cloud import commands_identity as commands
from hearthline_cloud import schema
from hearthline_edge.certificate import facts
from hearthline_edge.requesting import Task, carry_out

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PATIENCE_S = 90.0


class Asker:
    """A gateway's second session, which asks for itself."""

    def __init__(self, made: Place, gateway: str, at: Path) -> None:
        self.gateway = gateway
        self._at = at
        self.client = Client(made, at=at, second=True)
        assert self.client.is_in
        self.client.subscribe(wire.topic(gateway, wire.DOWN_CERTIFICATE))

    def word(self, name: str = "next") -> wire.CertificateWord:
        """For a new key of this name."""
        made = carry_out(Task(self.gateway, str(self._at / f"{name}.key"), str(self._at / commands.KEY)))
        serial = facts((self._at / commands.CERTIFICATE).read_bytes()).serial
        return wire.CertificateWord(serial=serial, request=made.request, proof=made.proof)

    def say(self, word: wire.CertificateWord, gateway: str = "") -> None:
        self.client.publish(wire.topic(gateway or self.gateway, wire.UP_CERTIFICATE), wire.encode(word))

    @property
    def answers(self) -> list[wire.CertificateAnswer]:
        return [wire.decode_certificate_answer(payload) for _, payload in list(self.client.heard)]


def issued(made: Place, gateway: str) -> int:
    """How many certificates of the first session there are."""
    database = made.database()
    with database.reading() as connection:
        count = connection.execute(select(func.count()).where(schema.certificate.c.session == gateway)).scalar_one()
    database.close()
    return count


def renewal_faults(made: Place) -> list[str]:
    database = made.database()
    with database.reading() as connection:
        row = connection.execute(select(schema.heartbeat).where(schema.heartbeat.c.role == "renewal")).first()
    database.close()
    return [] if row is None else [fault["text"] for fault in row.detail.get("faults", ())]


def test_two_desks_answer_alike_and_nobody_wears_them_down(tmp_path: Path) -> None:
    with running(place(tmp_path, ("gw-1", "gw-2"))) as made, roles(made, "desk"), roles(made, "desk"):
        log = made.server.log
        until(lambda: log.read_text(encoding="utf-8").count(" as hearthline-keeper-renewal") >= 2, PATIENCE_S)
        until(lambda: faults(made) == {}, PATIENCE_S)
        one = Asker(made, "gw-1", made.issue_aged("gw-1", 66, "one"))
        two = Asker(made, "gw-2", made.issue_aged("gw-2", 66, "two"))

        before = issued(made, "gw-1")
        word = one.word()
        one.say(word)
        until(lambda: len(one.answers) >= 2, PATIENCE_S)
        for _ in range(5):
            one.say(word)
        until(lambda: len(one.answers) >= 4, PATIENCE_S)
        assert len({(each.first, each.second) for each in one.answers}) == 1
        assert one.answers[0].first
        assert issued(made, "gw-1") == before + 1

        two.say(one.word("of-another"))
        until(lambda: two.answers, PATIENCE_S)
        assert {each.refused for each in two.answers} == {"the signing request is for another name than gw-2"}
        two.say(one.word("of-another"), gateway="gw-1")  # the broker takes it from nobody else
        for number in range(200):
            two.say(wire.CertificateWord(serial="0", request=f"{number}" + "x" * 4000, proof="00"))
        heard = len(one.answers)
        began = time.monotonic()
        one.say(word)
        until(lambda: len(one.answers) > heard, PATIENCE_S)
        assert time.monotonic() - began < 30  # two hundred words, one at a time, would take longer
        assert issued(made, "gw-1") == before + 1

        key = made.folder / "pki" / "issuing.key"
        key.rename(key.with_suffix(".away"))
        one.say(one.word("while-away"))
        until(lambda: any("issuing.key" in fault for fault in renewal_faults(made)), PATIENCE_S)
        key.with_suffix(".away").rename(key)
        one.say(one.word("while-away"))  # the slower desk may still answer the word of before
        until(lambda: {each.first for each in one.answers} > {one.answers[0].first}, PATIENCE_S)
        until(lambda: not renewal_faults(made), PATIENCE_S)

        assert commands.revoke("gw-1", made.config, "stolen", PATIENCE_S) == 0
        until(one.client.ended.is_set, PATIENCE_S)
        assert not Client(made, at=tmp_path / "one").is_in
        one.client.close()
        two.client.close()
