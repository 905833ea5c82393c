"""The list at a gateway: what of the center's cannot be understood costs no device, and a removal cut short ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.clock import SystemClock
from hearthline.model import EventType
from hearthline_edge.binding import Binding
from hearthline_edge.custody import Custody
from hearthline_edge.device_list import ListedDevice, as_listed, load_list, write_list
from hearthline_edge.loading import load_edge_config
from hearthline_edge.outbox import Outbox


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "edge.toml").write_text(
        f'gateway = "gw-1"\ndata_dir = "{tmp_path / "data"}"\n[uplink]\nhost = "127.0.0.1"\n', encoding="utf-8"
    )
    return tmp_path


class CutError(Exception):
    """The power is gone."""


class Cut(Binding):
    """Loses power at its n-th step on the disk: before it, or right after. 0: never."""

    left, after = 0, False

    async def _step(self, step: Awaitable[Any]) -> Any:
        self.left -= 1
        if self.left == 0 and not self.after:
            step.close()  # type: ignore[attr-defined]
            raise CutError
        done = await step
        if self.left == 0:
            raise CutError
        return done

    async def _write(self, listed: Sequence[ListedDevice]) -> None:
        await self._step(super()._write(listed))

    async def _append(self, data: dict[str, Any]) -> str:
        return str(await self._step(super()._append(data)))


def with_binding(home: Path, test: Callable[[Cut], Awaitable[None]]) -> list[str]:
    """A run of the agent's part; what it leaves in the outbox about bindings."""

    async def run() -> list[str]:
        custody = Custody(Outbox(home / "data"))
        try:
            config = load_edge_config(home / "edge.toml")
            await test(Cut(config, custody, SystemClock(), lambda rows: None, lambda: None))
            rows = await custody.submit(lambda ob: ob.events_of(EventType.BINDING))
            return [str(row.data["state"]) for row in rows]
        finally:
            await custody.stop()

    return asyncio.run(run())


async def next_start(binding: Cut) -> None:
    await binding._ask_again()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("state", ["bound", "waiting"])
def test_a_removal_that_is_cut_short_ends_as_a_removal_or_has_not_begun(
    home: Path, state: str, at: int, after: bool
) -> None:
    device = as_listed({"id": "sos", "room": "bedroom", "state": state})
    write_list(home / "agent", [device])

    async def cut_short(binding: Cut) -> None:
        binding.left, binding.after = at, after
        with pytest.raises(CutError):
            await binding._unbind("sos")

    with_binding(home, cut_short)
    told = with_binding(home, next_start)
    if (at, after) == (1, False):
        assert load_list(home / "agent") == [device]
        assert told == ([] if state == "bound" else ["wanted"])
    else:
        assert (load_list(home / "agent"), told) == ([], ["removed"])
    assert with_binding(home, next_start) == told


@pytest.mark.parametrize("rebound", [False, True])
def test_a_removal_that_the_disk_did_not_take_is_told_though_the_device_was_asked_for_just_before(
    home: Path, rebound: bool
) -> None:
    device = as_listed({"id": "sos", "state": "waiting"})

    async def test(binding: Cut) -> None:
        await binding._bind(device)
        if rebound:
            await binding._unbind("sos")
            await binding._bind(device)
        binding.left = 2  # the list has been written, the event has not
        with pytest.raises(CutError):
            await binding._unbind("sos")
        await binding._ask_again()

    told = with_binding(home, test)
    assert (load_list(home / "agent"), told[-1]) == ([], "removed")
    assert told.count("removed") == 1 + rebound


def test_while_it_leaves_neither_an_answer_nor_the_centers_list_brings_it_back(home: Path) -> None:
    write_list(home / "agent", [as_listed({"id": "sos", "state": "waiting"})])

    async def test(binding: Cut) -> None:
        binding.left, binding.after = 1, True
        with pytest.raises(CutError):
            await binding._unbind("sos")
        binding.left = 0
        await binding.bound(wire.Command(id="a", type="bound", device="sos", result="bound"))
        await binding.devices(wire.Command(id="l", type="devices", devices=[{"id": "sos"}]))
        assert (binding.faults, binding.role("sos", "A")) == ([], "emergency")
        await binding._ask_again()

    assert with_binding(home, test) == ["removed"]
    assert load_list(home / "agent") == []


def test_the_answer_to_a_removal_is_none_to_the_binding_that_came_after_it(home: Path) -> None:
    write_list(home / "agent", [as_listed({"id": "sos"})])

    async def test(binding: Cut) -> None:
        await binding._unbind("sos")
        await binding._bind(as_listed({"id": "sos", "state": "waiting"}))
        for result in ("removed", "bound"):
            await binding.bound(wire.Command(id=result, type="bound", device="sos", result=result))

    assert with_binding(home, test) == ["removed", "wanted"]
    assert [device.state for device in load_list(home / "agent")] == ["bound"]


def test_a_device_whose_entry_is_not_understood_stays_as_it_was(home: Path, tmp_path: Path) -> None:
    kept = as_listed({"id": "kept", "room": "bedroom", "buttons": {"*": "service"}, "bound": "2026-11-22T10:00:00Z"})
    write_list(tmp_path / "agent", [kept, as_listed({"id": "gone"})])
    told: list[dict[str, Any]] = [{"id": "kept", "buttons": {"*": "shout"}}, {"id": 7}, {}, {"id": "new"}]

    async def run() -> None:
        custody = Custody(Outbox(tmp_path / "data"))
        config = load_edge_config(tmp_path / "edge.toml")
        binding = Binding(config, custody, SystemClock(), lambda rows: None, lambda: None)
        await binding.devices(wire.Command(id="l1", type="devices", devices=told))
        await custody.stop()
        assert load_list(tmp_path / "agent") == [kept, as_listed({"id": "new"})]
        assert binding.role("kept", "A") == "service"

    asyncio.run(run())
