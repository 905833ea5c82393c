"""The wizard of `hearthline device add`: family, press, name, room, buttons, press again; then the agent binds.

Each step asks only for what was not given beforehand. Nothing is changed before the agent binds, which is one step; so
whatever ends the wizard, it can simply be repeated.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearthline.commissioning import PAIRING
from hearthline.errors import ConfigError, HearthlineError, LinkError, ProtocolError, RefusedError
from hearthline.model import EventType
from hearthline.wire import MAX_ID
from hearthline_edge.control_client import TEXTS, ControlClient, Line
from hearthline_edge.pairing import (
    PRESS,
    ROOMS,
    VITAL,
    Candidate,
    Candidates,
    Family,
    device_of_label,
    families_of,
    kind_of,
    roles_of,
)
from hearthline_edge.pairing_choice import chosen
from hearthline_edge.pairing_label import in_terminal, write_svg
from hearthline_edge.pairing_texts import SPEECH
from hearthline_edge.terminal import LeftError, Terminal

_HINT_S = 30.0
_EXPECT_S = 300.0
_RUN_S = 1800  # after so long the center takes no press of this wizard for an asked one
_STORED_S = 10.0
_COMMIT_S = 0.5
_ANOTHER_S = 2.0  # after the first one, for a second that makes it doubtful
_say = SPEECH.say


@dataclass(slots=True)
class Given:
    """What needs no question. `asks`: whether there may be any; else what is missing is a default or a mistake."""

    family: str = ""
    device: str = ""
    name: str = ""
    room: str = ""
    kind: str = ""
    buttons: dict[str, str] = field(default_factory=dict)
    user: int | None = None
    label: Path | None = None
    seconds: float = 60.0
    wait_s: float = 10.0
    asks: bool = True


class Wizard:
    """`drivers`: those that this gateway runs."""

    def __init__(self, client: ControlClient, drivers: Collection[str], given: Given, terminal: Terminal) -> None:
        self._client = client
        self._drivers = drivers
        self._given = given
        self._terminal = terminal
        self._run = f"{PAIRING}{uuid.uuid4()}"
        self._bound: dict[str, dict[str, Any]] = {}
        self._is_connected = False

    def run(self) -> dict[str, Any]:
        """Bind one device; what was bound, and the `result`. Raises LeftError, HearthlineError."""
        state = self._state()
        link = _say("link.up" if self._is_connected else "link.down")
        if self._given.asks:
            self._terminal.say(_say("intro", gateway=state["gateway"], link=link))
        family = self._family()
        with self._asked_for():
            candidate = self._candidate(family)
            device = self._described(family, candidate)
            self._confirm(family, candidate)
        device["result"] = self._bind(device)
        if device["result"] in ("bound", "waiting", "unknown-gateway"):
            with suppress(LeftError):  # it is bound; whoever leaves here wants no label
                self._label(device)
        return device

    def _state(self) -> dict[str, Any]:
        try:
            state = self._client.ask({"do": "state"})
        except LinkError as error:
            raise RefusedError(f"{_say('agent-away')} ({error})") from None
        self._bound = {each["id"]: each for each in state["devices"] if each.get("state") != "refused"}
        self._bound = {name: each for name, each in self._bound.items() if each.get("file") != "edge.toml"}
        self._is_connected = bool(state["link"]["connected"])
        return state

    # --- which device ---

    def _family(self) -> Family:
        families = families_of(self._drivers)
        wanted = self._given.family
        if wanted:
            found = next((each for each in families if each.name == wanted), None)
            if found is None:
                names = ", ".join(each.name for each in families)
                raise ConfigError(_say("no-family", family=wanted, names=names))
            return found
        if not self._given.asks or self._given.device:
            return families[-1]
        texts = [_say(f"family.{each.name}") for each in families]
        return families[chosen(self._terminal, _say("choose-family"), texts, 0)]

    @contextmanager
    def _asked_for(self) -> Iterator[None]:
        """Presses that are expected page nobody: the center knows of a run, which is over afterwards."""
        word = {"do": "tell", "type": EventType.COMMISSIONING.value}
        self._client.ask(word | {"data": {"run": self._run, "state": "begun", "seconds": _RUN_S}})
        try:
            yield
        finally:
            with suppress(HearthlineError):
                self._client.ask(word | {"data": {"run": self._run, "state": "ended"}})

    @contextmanager
    def _listening(self) -> Iterator[tuple[Line, _Expectation]]:
        """From here on everything that is heard is told, and the next press of a new device is asked for."""
        with self._client.open({"do": "hear"}) as hearing, _Expectation(self._client, self._run) as expecting:
            hearing.next(_STORED_S)
            yield hearing, expecting

    def _candidate(self, family: Family) -> Candidate:
        if self._given.device:
            return self._of_label(self._given.device)
        candidates = Candidates(family, self._bound)
        if not self._given.asks:
            return self._heard_alone(candidates)
        with self._listening() as (hearing, expecting):
            self._terminal.say(_say(f"do.{family.name}"))
            self._terminal.say(_say("listening"))
            hint_at: float | None = time.monotonic() + _HINT_S
            while True:
                left = None if hint_at is None else max(hint_at - time.monotonic(), 0.0)
                text = self._terminal.typed([hearing, expecting], left)
                expecting.renew()
                for heard in _heard(hearing):
                    if (news := candidates.hear(heard)) is not None:
                        expecting.renew(_COMMIT_S)
                        self._show(candidates, news)
                if text is not None and (found := self._taken(text, candidates)) is not None:
                    return found
                if hint_at is not None and time.monotonic() >= hint_at:
                    hint_at = None
                    if not candidates.found:
                        self._terminal.say(_say("nothing-heard", do=_say(f"do.{family.name}")))

    def _show(self, candidates: Candidates, news: Candidate | str) -> None:
        if isinstance(news, str):
            known = self._bound[news]
            place = known.get("room") or "?"
            self._terminal.say(_say("bound-already", device=news, name=known.get("name") or news, room=place))
        else:
            button = _say("candidate.button", button=", ".join(news.buttons)) if news.buttons else ""
            level = "" if news.radio_level is None else _say("candidate.level", level=round(news.radio_level))
            number = candidates.found.index(news) + 1
            self._terminal.say(_say("candidate", number=number, device=news.device, button=button, level=level))
            if len(candidates.found) == 1 and len(news.buttons) < 2:
                self._terminal.say(_say("candidate.one", device=news.device))

    def _taken(self, text: str, candidates: Candidates) -> Candidate | None:
        """What was typed: a number, a label, or nothing where only one was heard."""
        if not text:
            return candidates.found[0] if len(candidates.found) == 1 else None
        if text.isdecimal() and len(text) < 4:
            if 0 < int(text) <= len(candidates.found):
                return candidates.found[int(text) - 1]
            self._terminal.say(_say("no-such-number"))
            return None
        try:
            return self._of_label(text)
        except HearthlineError as error:
            self._terminal.say(str(error))
            return None

    def _of_label(self, text: str) -> Candidate:
        """Raises RefusedError."""
        try:
            device = device_of_label(text)
        except ProtocolError as error:
            raise RefusedError(_say(str(error))) from None
        if (known := self._bound.get(device)) is not None and self._given.asks:
            place = known.get("room") or "?"
            told = _say("bound-already", device=device, name=known.get("name") or device, room=place)
            raise RefusedError(told.strip())
        return Candidate(device)

    def _heard_alone(self, candidates: Candidates) -> Candidate:
        """The one device that is heard in time. Raises RefusedError for none, and for more."""
        until = time.monotonic() + self._given.seconds
        with self._listening() as (hearing, expecting):
            while (left := until - time.monotonic()) > 0:
                told = hearing.next(min(left, 0.5))
                expecting.renew()
                if (
                    told is not None
                    and "heard" in told
                    and candidates.hear(told["heard"])
                    and len(candidates.found) == 1
                ):
                    until = min(until, time.monotonic() + _ANOTHER_S)
        if not candidates.found:
            do = _say(f"do.{candidates.family.name}")
            raise RefusedError(_say("none-heard", seconds=self._given.seconds, do=do))
        if len(candidates.found) > 1:
            names = ", ".join(each.device for each in candidates.found)
            raise RefusedError(_say("many-heard", count=len(candidates.found), devices=names))
        return candidates.found[0]

    # --- what it is ---

    def _described(self, family: Family, candidate: Candidate) -> dict[str, Any]:
        given = self._given
        kind = given.kind or kind_of(family, candidate)
        default = candidate.device[:MAX_ID] if family.name == "any" else _say(f"name.{family.name}")
        name = given.name or (self._named(default) if given.asks else default)
        room = self._room()
        device: dict[str, Any] = {"id": candidate.device, "name": name, "room": room}
        if kind:
            device["kind"] = kind
        if buttons := self._roles(family, candidate):
            device["buttons"] = buttons
        user = given.user if given.user is not None or VITAL not in family.says else self._user()
        if user is not None:
            device["user"] = user
        if given.asks:
            told = device.get("buttons", {}).items()
            roles = "".join(_say("role.of", button=key, role=_say(f"role.{role}")) for key, role in told)
            self._terminal.say(_say("summary", device=candidate.device, name=name, room=room, roles=roles))
        return device

    def _named(self, default: str) -> str:
        while True:
            text = self._terminal.ask(_say("ask-name", default=default)) or default
            if _fits(text):
                return text
            self._terminal.say(_say("too-long"))

    def _room(self) -> str:
        rooms = [_say(f"room.{name}") for name in ROOMS]
        if self._given.room:
            return _say(f"room.{self._given.room}") if self._given.room in ROOMS else self._given.room
        if not self._given.asks:
            raise ConfigError(_say("missing", option="room"))
        for number, room in enumerate(rooms, 1):
            self._terminal.say(f"  {number}) {room}")
        while True:
            text = self._terminal.ask(_say("ask-room"))
            if text.isdecimal():
                if 0 < int(text) <= len(rooms):
                    return rooms[int(text) - 1]
                self._terminal.say(_say("no-such-number"))
            elif not _fits(text):
                self._terminal.say(_say("too-long"))
            elif text:
                return text
            else:
                self._terminal.say(_say("needed"))

    def _roles(self, family: Family, candidate: Candidate) -> dict[str, str]:
        if self._given.buttons or not self._given.asks:
            return self._given.buttons
        if family.name == "detector" or not (candidate.buttons or (PRESS in family.says and not candidate.says)):
            return {}
        roles = {each: self._role(_say("ask-role", button=each)) for each in candidate.buttons}
        return roles_of(candidate.buttons, roles, self._role(_say("ask-others")))

    def _role(self, question: str) -> str:
        while True:
            match self._terminal.ask(question):
                case "" | "1":
                    return "emergency"
                case "2":
                    return "service"
                case _:
                    self._terminal.say(_say("one-or-two"))

    def _user(self) -> int | None:
        if not self._given.asks:
            return None
        while text := self._terminal.ask(_say("ask-user")):
            if text.isdecimal() and int(text) <= 255:
                return int(text)
            self._terminal.say(_say("no-number"))
        return None

    # --- the second press, and the end ---

    def _confirm(self, family: Family, candidate: Candidate) -> None:
        """The device that was named is the one in his hand. What is no button has been heard, which is enough."""
        if not self._given.asks or (candidate.says and not candidate.is_button):
            return
        wanted = frozenset({PRESS}) if candidate.is_button else family.says
        others: set[str] = set()
        with self._listening() as (hearing, expecting):
            self._terminal.say(_say("press-again", device=candidate.device))
            while True:
                text = self._terminal.typed([hearing, expecting], None)
                expecting.renew()
                for heard in _heard(hearing):
                    if heard["device"] == candidate.device and heard["kind"] in wanted:
                        expecting.renew(_COMMIT_S)
                        self._terminal.say(_say("confirmed"))
                        return
                    if heard["kind"] == PRESS and heard["device"] not in {candidate.device, *others}:
                        others.add(heard["device"])
                        expecting.renew(_COMMIT_S)
                        self._terminal.say(_say("another-pressed", device=heard["device"]))
                if text == "":
                    self._terminal.say(_say("unconfirmed"))
                    return

    def _bind(self, device: dict[str, Any]) -> str:
        """What came of it: bound, elsewhere, refused, unknown-gateway, or waiting."""
        with self._client.open({"do": "bind", "device": device}) as line:
            if line.next(_STORED_S) is None:
                raise LinkError(TEXTS.say("not-stored", path=self._client.path))
            answer = line.next(self._given.wait_s if self._is_connected else 0.0)
        result = "waiting" if answer is None else str(answer["answer"]["result"])
        if result in ("elsewhere", "refused"):
            with suppress(HearthlineError):
                self._client.ask({"do": "unbind", "device": device["id"]})
        return result

    def _label(self, device: dict[str, Any]) -> None:
        path = self._given.label
        if self._given.asks:
            self._terminal.say(_say(f"result.{device['result']}"))
        if path is None and self._given.asks:
            text = self._terminal.ask(_say("ask-label"))
            if text == "1":
                self._terminal.say(in_terminal(device["id"]))
            elif text == "2":
                path = Path(f"{''.join(each if each.isalnum() else '-' for each in device['id'])}.svg")
        if path is not None:
            try:
                write_svg(path, device["id"], device["name"], device["room"])
            except OSError as error:
                self._terminal.say(_say("label-failed", file=path, why=error.strerror))
            else:
                device["label"] = str(path)
                if self._given.asks:
                    self._terminal.say(_say("label-written", file=path))


class _Expectation:
    """Lets the agent expect the next press of a device that is not this home's, again and again."""

    def __init__(self, client: ControlClient, run: str) -> None:
        self._client = client
        self._order = {"do": "expect", "new": True, "run": run, "seconds": _EXPECT_S}
        self._open()

    def _open(self) -> None:
        self._conversation = self._client.open(self._order)
        self._line = self._conversation.__enter__()
        self._line.next(_STORED_S)

    def renew(self, seconds: float = 0.0) -> None:
        """Expect the next one, when the last was pressed; it may be on its way to the disk for so long."""
        if self._line.next(seconds) is not None:
            self.__exit__()
            self._open()

    def fileno(self) -> int:
        return self._line.fileno()

    def __enter__(self) -> _Expectation:
        return self

    def __exit__(self, *_: object) -> None:
        self._conversation.__exit__(None, None, None)


def _heard(hearing: Line) -> Iterator[dict[str, Any]]:
    """What has come by now."""
    while (told := hearing.next(0.0)) is not None:
        if "heard" in told:
            yield told["heard"]


def _fits(text: str) -> bool:
    return len(text) <= MAX_ID and text.isprintable()
