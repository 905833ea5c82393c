"""The installers' whole way against a real broker with TLS: enrol, use, revoke, enrol again; by network, by stick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud_processes import until
from hearthline_cloud import commands_identity, schema
from installers.home import GATEWAY, Home, open_home
from installers.office import PATIENCE_S, Office, open_office
from installers.terminal import Terminal
from integration.edge.gateway import HomeEar

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with open_office(tmp_path / "center") as opened:
        yield opened


def enrol_by_network(office: Office, home: Home, terminal: Terminal, *more: str) -> None:
    code = office.ask("gateway", "code", GATEWAY, *more)["code"]
    terminal.type(f"hearthline gateway enrol {code} --center {office.url} {home.places} --no-start")


def enrol_by_stick(office: Office, home: Home, terminal: Terminal, *more: str) -> None:
    stick = home.root / f"stick-{len(list(home.root.glob('stick-*')))}"
    code = office.ask("gateway", "bundle", GATEWAY, "--out", str(stick), *more)["code"]
    terminal.type(f"hearthline gateway enrol --bundle {stick} {code} {home.places} --no-start")


def bind(home: Home, terminal: Terminal) -> None:
    """The wizard: press the pendant to learn it, name its room, press it again."""
    terminal.type(
        f"hearthline device add --config {home.config}",
        ("[1] > ", ""),
        ("or type or scan its label", home.press),
        ("Enter takes", ""),
        ("Name", "pendant"),
        ("A number, or any word: ", "7"),
        ("[1]: ", ""),
        ("Its other buttons", ""),
        ("once more to confirm", home.press),
        ("Label: ", ""),
        ("Bind another one", "n"),
        shown="hearthline device add",
    )


def commission(home: Home, terminal: Terminal, rooms: str) -> None:
    """Each room once; nobody is paged."""
    terminal.type(
        f"hearthline gateway commission --config {home.config} --folder {home.root} --rooms {rooms}",
        *[("press pendant", partial(home.press, button)) for button, _ in enumerate(rooms.split(","))],
        shown=f"hearthline gateway commission --rooms {rooms}",
    )


def use(office: Office, home: Home, ear: HomeEar, presses: int) -> None:
    """A press becomes an alert, the home hears of it, and that somebody has taken it."""
    heard, taken = len(ear.signals("received")), len(ear.signals("accepted"))
    home.press()
    until(lambda: sum(alert.presses for alert in office.alerts()) == presses, PATIENCE_S)
    until(lambda: len(ear.signals("received")) > heard, PATIENCE_S)
    office.acknowledge(office.alerts()[-1].id)
    until(lambda: len(ear.signals("accepted")) > taken, PATIENCE_S)


@pytest.mark.parametrize("enrol", [enrol_by_network, enrol_by_stick], ids=["network", "stick"])
def test_from_the_box_to_a_dead_card_and_back(
    enrol: Callable[..., None], office: Office, tmp_path: Path, stack: ExitStack
) -> None:
    home, ear = stack.enter_context(open_home(tmp_path / "home"))
    terminal = Terminal()
    enrol(office, home, terminal)
    home.attach()
    home.start()
    bind(home, terminal)
    commission(home, terminal, "bedroom,bathroom")
    assert office.alerts() == [], "nobody was paged"
    runs = office.rows(select(schema.commissioning).where(schema.commissioning.c.standing != ""))
    assert [(run.gateway_id, run.standing) for run in runs] == [(GATEWAY, "signed")], "the center keeps the report"
    use(office, home, ear, presses=1)

    assert commands_identity.revoke(GATEWAY, office.made.config, "stolen", PATIENCE_S) == 0
    until(lambda: home.told("uplink lost"), PATIENCE_S)
    home.new_card()
    enrol(office, home, terminal, "--again")
    home.attach()
    home.start()
    home.press()
    until(lambda: sum(alert.presses for alert in office.alerts()) == 2, PATIENCE_S)
