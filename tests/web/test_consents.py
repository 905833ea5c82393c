"""Consents on the console and the API: who may write them down, what a withdrawal stops at once."""

from __future__ import annotations

from urllib.parse import urlencode

from sqlalchemy import select

from hearthline.clock import NS
from hearthline_cloud import schema
from web.client import Client
from web.seeding import Center

DAY = 1_789_948_800 * NS
PAGE = "/residents/r-1/consents"


def post(who: Client, form: dict[str, str]) -> tuple[int, str]:
    answer = who.request(
        "POST",
        PAGE,
        body=urlencode(form).encode(),
        headers={"content-type": "application/x-www-form-urlencoded", "accept-language": "en"},
    )
    return answer.status, answer.data.decode()


def shown(who: Client) -> str:
    return who.request("GET", PAGE, headers={"accept-language": "en"}).data.decode()


def test_agreed_and_withdrawn_on_the_page(served: Center) -> None:
    mei = served.client("mei")
    assert shown(mei).count("Nothing recorded") == 4
    assert post(mei, {"kind": "vitals", "document": "form 3 of 2026-05", "guardian": "王建国"})[0] == 303
    page = shown(mei)
    assert "form 3 of 2026-05" in page
    assert "the guardian 王建国" in page
    status, refused = post(mei, {"kind": "vitals", "document": "form 4"})
    assert (status, "vitals is agreed to already" in refused) == (422, True)
    assert post(mei, {"kind": "vitals", "withdraw": "true"})[0] == 303
    assert "Withdrawn" in shown(mei)
    with served.database.reading() as connection:
        query = select(schema.journal.c.kind, schema.journal.c.actor).where(schema.journal.c.kind.like("consent-%"))
        assert [tuple(row) for row in connection.execute(query)] == [
            ("consent-agreed", "mei"),
            ("consent-withdrawn", "mei"),
        ]


def test_a_withdrawal_hides_what_was_measured_and_a_new_consent_shows_it_again(served: Center) -> None:
    served.measure("r-1", DAY, systolic=142, diastolic=88, heart_rate=71)
    mei = served.client("mei")
    assert len(mei.get("residents/r-1/vitals").json()) == 1
    assert mei.post("residents/r-1/consents/withdraw", {"kind": "vitals"}).status == 200
    assert mei.get("residents/r-1/vitals").json() == []
    said = mei.post("residents/r-1/consents", {"kind": "vitals", "document": "form 3 of 2026-05"}).json()
    assert [(each["agreed_by"], each["document"], each["withdrawn"] is None) for each in said] == [
        ("resident", "", False),
        ("resident", "form 3 of 2026-05", True),
    ]
    assert len(mei.get("residents/r-1/vitals").json()) == 1


def test_what_cannot_be_is_refused_in_words(served: Center) -> None:
    mei = served.client("mei")
    assert mei.get("residents/r-none/consents").status == 404
    assert mei.post("residents/r-none/consents", {"kind": "vitals", "document": "x"}).status == 404
    assert mei.post("residents/r-1/consents", {"kind": "blood", "document": "x"}).status == 422
    assert mei.post("residents/r-1/consents", {"kind": "vitals", "document": "  "}).status == 422
    assert post(mei, {"kind": "vitals"})[0] == 422
    assert mei.get("residents/r-1/consents").json() == []
