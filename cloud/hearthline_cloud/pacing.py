"""How often one person, address or link may ask for what is expensive. Never for what answers an alarm.

Each key has a generic cell rate (GCRA, ITU-T I.371): one number, the time until which its requests are paid for. A
request is refused when that lies more than a burst ahead. In the memory of this process; pure, `now_ns` is any clock
that does not go back.

    search, figures, export, readings .. a person's, and an address's at five times the rate
    demand ............................. what makes rows or messages: a self-test, a policy, a declared window
    register, import ................... changes of the registry; whole tables
    enrolment .......................... an address's: nobody is logged in, and behind a carrier many share one
    link ............................... each token's: behind a carrier all phones have one address
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from hearthline.clock import NS
from hearthline_cloud.permissions import ROUTES

ADDRESS_FACTOR = 5  # people of one desk share an address
_KEYS = 10_000  # each some 200 bytes
_MINUTE_NS = 60 * NS
_API = "/api/v1"


class Cost(StrEnum):
    SEARCH = "search"
    FIGURES = "figures"
    EXPORT = "export"
    READINGS = "readings"
    DEMAND = "demand"
    REGISTER = "register"
    IMPORT = "import"
    LINK = "link"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, then `a_minute`, evenly."""

    burst: int
    a_minute: int


RATES: dict[Cost, Rate] = {
    Cost.SEARCH: Rate(30, 60),
    Cost.FIGURES: Rate(20, 30),
    Cost.EXPORT: Rate(6, 6),
    Cost.READINGS: Rate(60, 240),
    Cost.DEMAND: Rate(20, 30),
    Cost.REGISTER: Rate(60, 120),
    Cost.IMPORT: Rate(4, 6),
    Cost.LINK: Rate(30, 60),
    Cost.ENROLMENT: Rate(6, 12),
}

COSTS: dict[str, Cost] = {
    "GET /history": Cost.SEARCH,
    "POST /history": Cost.SEARCH,
    f"GET {_API}/audit": Cost.SEARCH,
    f"GET {_API}/events": Cost.READINGS,
    "GET /history.csv": Cost.EXPORT,
    f"GET {_API}/protection.csv": Cost.EXPORT,
    "GET /figures": Cost.FIGURES,
    f"GET {_API}/figures": Cost.FIGURES,
    "GET /protection": Cost.FIGURES,
    f"GET {_API}/protection": Cost.FIGURES,
    f"GET {_API}/readings": Cost.READINGS,
    f"GET {_API}/homes/{{home_id}}/energy": Cost.READINGS,
    "GET /homes/{home_id}/energy": Cost.READINGS,
    "GET /residents/{resident_id}/charts": Cost.READINGS,
    f"GET {_API}/residents/{{resident_id}}/vitals": Cost.READINGS,
    "POST /homes/gateways/{gateway_id}/self-tests": Cost.DEMAND,
    f"POST {_API}/gateways/{{gateway_id}}/self-tests": Cost.DEMAND,
    "POST /homes/gateways/{gateway_id}/commissioning": Cost.DEMAND,
    f"POST {_API}/gateways/{{gateway_id}}/commissioning/to-dos": Cost.DEMAND,
    "POST /homes/gateways/{gateway_id}/ask": Cost.DEMAND,
    "POST /homes/gateways/{gateway_id}/configuration": Cost.DEMAND,
    "POST /homes/gateways/{gateway_id}/devices": Cost.DEMAND,
    f"POST {_API}/gateways/{{gateway_id}}/asks": Cost.DEMAND,
    f"PUT {_API}/gateways/{{gateway_id}}/configuration": Cost.DEMAND,
    "POST /watch": Cost.DEMAND,
    "POST /watch/{number}/end": Cost.DEMAND,
    f"POST {_API}/maintenance": Cost.DEMAND,
    f"POST {_API}/absences": Cost.DEMAND,
    f"POST {_API}/declared/{{number}}/end": Cost.DEMAND,
    "POST /policy": Cost.DEMAND,
    f"PUT {_API}/policy": Cost.DEMAND,
    f"POST {_API}/enrolment": Cost.ENROLMENT,
    **{route: Cost.REGISTER for route in ROUTES if f" {_API}/registry/" in route and not route.startswith("GET")},
    f"POST {_API}/registry/import": Cost.IMPORT,
    "GET /f/{token}": Cost.LINK,
    "POST /f/{token}": Cost.LINK,
    "GET /v/{token}": Cost.LINK,
    "HEAD /v/{token}": Cost.LINK,
}
"""What each route costs; what does not stand here is cheap, or answers an alarm."""


class Pacing:
    """Counts requests. Of more than 10,000 keys those that have been quiet longest are forgotten."""

    def __init__(self, rates: Mapping[Cost, Rate] = RATES) -> None:
        self._rates = rates
        self._paid_until: OrderedDict[tuple[Cost, str, str], int] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, cost: Cost, person: str, address: str, now_ns: int) -> float:
        """How long to wait; 0: now, and the request is counted for both. An empty name is not counted."""
        rate = self._rates[cost]
        wide = Rate(rate.burst * ADDRESS_FACTOR, rate.a_minute * ADDRESS_FACTOR)
        asked = [((cost, "person", person), rate), ((cost, "address", address), wide)]
        paid: list[tuple[tuple[Cost, str, str], int]] = []
        with self._lock:
            for key, allowed in asked:
                if not key[2]:
                    continue
                each_ns = _MINUTE_NS // allowed.a_minute
                until_ns = max(self._paid_until.get(key, 0), now_ns) + each_ns
                ahead_ns = until_ns - now_ns - allowed.burst * each_ns
                if ahead_ns > 0:
                    return ahead_ns / NS
                paid.append((key, until_ns))
            for key, until_ns in paid:
                self._paid_until[key] = until_ns
                self._paid_until.move_to_end(key)
            while len(self._paid_until) > _KEYS:
                self._paid_until.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._paid_until)
