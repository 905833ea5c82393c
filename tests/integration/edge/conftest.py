"""Two real brokers for the module, and for each test a gateway of its own with a pendant's port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hearthline_sim.port import PtyPort
from integration.edge.gateway import Center, Gateway, HomeEar, wait_for
from servers import Server, mosquitto

_names = iter(f"gw-{number}" for number in range(1, 10_000))


@pytest.fixture(scope="module")
def center_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("center")) as server:
        yield server


@pytest.fixture(scope="module")
def local_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("local"), extra="queue_qos0_messages true") as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what the test opened, the last first."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def port(tmp_path: Path, stack: ExitStack) -> PtyPort:
    port = PtyPort(tmp_path / "ttyENOCEAN", 10, 57600)
    stack.callback(port.close)
    return port


MakeGateway = Callable[..., Gateway]


@pytest.fixture
def make_gateway(tmp_path: Path, stack: ExitStack, center_broker: Server, local_broker: Server) -> MakeGateway:
    """A gateway that is not started yet, at the module's brokers."""

    def make(**changes: Any) -> Gateway:
        name = next(_names)
        folder = tmp_path / name
        folder.mkdir()
        settings: dict[str, Any] = {"center_port": center_broker.port, "local_port": local_broker.port, **changes}
        gateway = Gateway(folder, name, **settings)
        stack.callback(gateway.end)
        return gateway

    return make


@pytest.fixture
def make_center(stack: ExitStack, center_broker: Server) -> Callable[..., Center]:
    def make(gateway: Gateway, **changes: Any) -> Center:
        center = Center(changes.pop("port", center_broker.port), gateway.name, **changes)
        stack.callback(center.close)
        return center

    return make


@pytest.fixture
def make_ear(stack: ExitStack, local_broker: Server) -> Callable[..., HomeEar]:
    def make(gateway: Gateway, **changes: Any) -> HomeEar:
        ear = HomeEar(changes.pop("port", local_broker.port), gateway.name, **changes)
        stack.callback(ear.close)
        return ear

    return make


@pytest.fixture
def pressing(make_gateway: MakeGateway, port: PtyPort) -> Gateway:
    """A running gateway that listens to the pendant's port."""
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")})
    gateway.start()
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    return gateway
