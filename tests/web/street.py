"""A center whose first home has volunteers, and the rounds of its desk role by hand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import SHIPPED, Reach
from hearthline_cloud.config import CloudConfig, WebConfig
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.links import Purpose, open_links
from hearthline_cloud.ordering import follow_orders
from personal_rows import put
from web.seeding import Center

REACHES = (Reach("street"), Reach("sms", contacts=True))


def pair(center: Center) -> None:
    """Two volunteers for the first home."""
    with center.database.transaction() as connection:
        for place, (key, name) in enumerate((("v-1", "周敏"), ("v-2", "孙立"))):
            values = {"id": key, "community_id": "c-1", "name": name, "phone": f"138-0000-010{place}"}
            put(connection, schema.volunteer, **values)
            connection.execute(insert(schema.pairing).values(home_id="h-1", place=place, volunteer_id=key))


def climb(center: Center, alert: int, seconds: float) -> None:
    """Rounds of the desk role, so long after the press."""
    with center.database.reading() as connection:
        raised = connection.execute(select(schema.alert.c.raised_ns).where(schema.alert.c.id == alert)).scalar_one()
    now_ns = raised + round(seconds * NS)
    while escalate_once(center.database, SHIPPED, REACHES, now_ns) + follow_orders(center.database, REACHES, now_ns):
        pass
    center.waker.wake("web")


class Street(Center):
    """Its first home has two volunteers, and the center a telephone."""

    @property
    def config(self) -> CloudConfig:
        web = WebConfig(port=self.port, public_url=self.url, center_phone="021-5550-0199")
        return CloudConfig(data_dir=str(self.folder), web=web)

    def pair(self) -> None:
        pair(self)

    def climb(self, alert: int, seconds: float) -> None:
        climb(self, alert, seconds)

    def orders(self) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(select(schema.work_order).order_by(schema.work_order.c.id)).all())

    def link(self, order: int) -> str:
        found = next(row for row in self.orders() if row.id == order)
        url = open_links(self.config).url(Purpose.VOLUNTEER, order, found.expires_ns)
        assert url is not None
        return url.removeprefix(self.url)
