"""The line to the broker's dynamic-security plugin: commands in, answers out, as the account of the keeper.

The plugin answers each message of commands with one message; a command that it refuses says why and stops none of the
others. While it works through a message the broker does nothing else, alarms included, and each command that changes
something writes its whole file anew: so a message has few of them.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from hearthline.errors import LinkError
from hearthline_cloud.config import BrokerConfig
from hearthline_cloud.identity.broker import CONTROL, KEEPER, Present, present_of

AT_ONCE = 10  # commands a message
_PAGE = 200  # clients or roles an answer
_PATIENCE_S = 10.0
_CONNECT_S = 4.0


class Control:
    """One connection, made when it is needed. Every method raises LinkError when the broker does not do its part."""

    def __init__(self, config: BrokerConfig, password: str) -> None:
        """`config`: where the center's own processes reach the broker."""
        self._config = config
        self._password = password
        self._client: paho.Client | None = None
        self._answers: queue.SimpleQueue[list[dict[str, Any]] | None] = queue.SimpleQueue()

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected()

    def connect(self) -> None:
        """Anew, whatever was before."""
        self.close()
        self._answers = queue.SimpleQueue()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{KEEPER}-{secrets.token_hex(4)}", protocol=paho.MQTTv5
        )
        client.username_pw_set(KEEPER, self._password)
        if self._config.ca_file is not None:
            client.tls_set(self._config.ca_file, self._config.cert_file, self._config.key_file)
        client.connect_timeout = _CONNECT_S
        ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        answers = self._answers

        def connected(client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
            if reason.is_failure:
                ready.put(str(reason))
            else:
                client.subscribe(f"{CONTROL}/response", 1)

        def subscribed(client: paho.Client, data: Any, mid: int, reasons: list[ReasonCode], props: Any) -> None:
            ready.put("".join(str(reason) for reason in reasons if reason.is_failure))

        client.on_connect, client.on_subscribe = connected, subscribed
        client.on_disconnect = lambda *_: answers.put(None)
        client.on_message = lambda client, data, message: answers.put(_responses(message.payload))
        try:
            client.connect(self._config.host, self._config.port, keepalive=20)
        except (OSError, ValueError) as error:
            raise LinkError(str(error) or type(error).__name__) from None
        self._client = client
        client.loop_start()
        try:
            refused = ready.get(timeout=_CONNECT_S)
        except queue.Empty:
            refused = "no answer"
        if refused:
            self.close()
            raise LinkError(refused)

    def run(self, commands: Sequence[dict[str, Any]]) -> list[str]:
        """Do them in this order, a few at a time; what the plugin said of those that it refused."""
        refused = []
        for start in range(0, len(commands), AT_ONCE):
            for answer in self._ask(commands[start : start + AT_ONCE]):
                if "error" in answer:
                    refused.append(f"{answer.get('command')}: {answer['error']}")
        return refused

    def present(self) -> Present:
        """The broker's clients and roles."""
        return present_of(self._list("listClients", "clients"), self._list("listRoles", "roles"))

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _list(self, command: str, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            asked = {"command": command, "verbose": True, "count": _PAGE, "offset": len(found)}
            (answer,) = self._ask([asked])
            if "error" in answer:
                raise LinkError(f"{command}: {answer['error']}")
            page = answer["data"][what]
            found += page
            if not page or len(found) >= answer["data"]["totalCount"]:
                return found

    def _ask(self, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._client is None:
            raise LinkError("not connected")
        mark = secrets.token_hex(8)
        marked = [{**command, "correlationData": mark} for command in commands]
        self._client.publish(CONTROL, msgspec.json.encode({"commands": marked}), qos=1)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answers = self._answers.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                answers = None
            if answers is None:
                self.close()
                raise LinkError("the dynamic-security plugin does not answer")
            if len(answers) == len(commands) and all(each.get("correlationData") == mark for each in answers):
                return answers


def _responses(payload: bytes | bytearray) -> list[dict[str, Any]]:
    with suppress(msgspec.DecodeError, KeyError, TypeError):
        found: list[dict[str, Any]] = msgspec.json.decode(payload)["responses"]
        return found
    return []
