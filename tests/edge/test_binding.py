"""The center's list at a gateway: what of it cannot be understood costs no device that is here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hearthline import wire
from hearthline.clock import SystemClock
from hearthline_edge.binding import Binding
from hearthline_edge.config import load_edge_config
from hearthline_edge.custody import Custody
from hearthline_edge.device_list import as_listed, load_list, write_list
from hearthline_edge.outbox import Outbox


def test_a_device_whose_entry_is_not_understood_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "edge.toml").write_text(
        f'gateway = "gw-1"\ndata_dir = "{tmp_path / "data"}"\n[uplink]\nhost = "127.0.0.1"\n', encoding="utf-8"
    )
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
