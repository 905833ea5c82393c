"""A list of contacts that is none: whoever can be told is, and nobody's oddity stops the telling of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud_center import Cloud
from hearthline_cloud import schema
from hearthline_cloud.notify.sending import contact_phones
from personal_rows import change


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        ([{"phone": "1"}, {"phone": "1"}, {"phone": "2"}], ["1", "2"]),
        ([None, 7, "x", {"name": "Mei"}, {"phone": None}, {"phone": 138}, {"phone": ""}, {"phone": "2"}], ["2"]),
        ({"phone": "1"}, []),
        ("1", []),
        (7, []),
    ],
)
def test_odd_contacts_are_left_out(tmp_path: Path, contacts: Any, expected: list[str]) -> None:
    cloud = Cloud(tmp_path)
    cloud.populate()
    with cloud.database.transaction() as connection:
        change(connection, schema.resident, contacts=contacts)
    with cloud.database.reading() as connection:
        assert contact_phones(connection, "res-1", None) == expected
        assert contact_phones(connection, None, "home-1") == expected
    cloud.close()
