"""A community of two homes, with one gateway that belongs to nobody."""

from __future__ import annotations

from typing import Any

from hearthline_cloud import schema

COMMUNITY: list[tuple[Any, list[dict[str, Any]]]] = [
    (schema.community, [{"id": "c-1", "name": "梧桐苑社区"}]),
    (
        schema.home,
        [
            {"id": "h-1", "community_id": "c-1", "name": "3号楼 502室", "address": "梧桐路18弄3号502室"},
            {"id": "h-2", "community_id": "c-1", "name": "7号楼 101室", "address": "梧桐路18弄7号101室"},
        ],
    ),
    (
        schema.resident,
        [
            {
                "id": "r-1",
                "home_id": "h-1",
                "name": "王秀兰",
                "birth_year": 1941,
                "phone": "021-5550-0142",
                "illnesses": "高血压；膝关节炎",
                "notes": "听力不好，请大声说话。备用钥匙在居委会。",
                "contacts": [{"name": "王建国", "relation": "儿子", "phone": "138-0000-0142"}],
            },
            {"id": "r-2", "home_id": "h-2", "name": "陈阿宝", "birth_year": 1938, "contacts": []},
        ],
    ),
    (
        schema.gateway,
        [
            {
                "id": "gw-east-1",
                "home_id": "h-1",
                "status": {
                    "state": "online",
                    "version": "0.1.0",
                    "clock": "synced",
                    "event": {"depth": 0},
                    "telemetry": {"depth": 12, "oldest_s": 4.0, "room_h": 9000.0, "dropped": 0},
                },
            },
            {"id": "gw-east-2", "home_id": "h-2", "status": {"state": "online", "clock": "free"}},
            {"id": "gw-stray", "home_id": None},
        ],
    ),
    (
        schema.device,
        [
            {
                "gateway_id": "gw-east-1",
                "id": "enocean:01a2b3c4",
                "registered": True,
                "name": "挂件",
                "room": "卧室",
                "resident_id": "r-1",
                "last_note": "",
            },
            {
                "gateway_id": "gw-east-1",
                "id": "bp:cuff-1",
                "registered": True,
                "name": "血压计",
                "room": "客厅",
                "resident_id": "r-1",
                "last_note": "",
            },
            {
                "gateway_id": "gw-east-2",
                "id": "rf433:a1b2c3",
                "registered": True,
                "name": "服务按钮",
                "room": "厨房",
                "resident_id": "r-2",
                "last_note": "low-battery: 3 %",
            },
            {
                "gateway_id": "gw-stray",
                "id": "rf433:ffee01",
                "registered": False,
                "name": "",
                "room": "",
                "resident_id": None,
                "last_note": "",
            },
        ],
    ),
]
