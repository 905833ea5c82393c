"""The demo's stack: configuration files and command lines of every process of the product, in one folder.

home broker <-- simulated home --> serial ports
     |                                  |
     +------------> agent <-------------+
                      |
                center broker <--> ingest, desk --> database, store <-- web (console, API)
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hearthline.errors import HearthlineError, LinkError
from hearthline_sim.demo.broker import BrokerPlan, free_port, plan_broker
from hearthline_sim.demo.operator import Operator
from hearthline_sim.demo.processes import Processes, wait_for_port

GATEWAY = "gw-demo-1"
METER = "000000000161"
PLUG = "shellyplusplugs-083af2018c80"
OPERATOR = "operator"
_START_S = 60.0

_ROOMS = ("Bedroom 卧室", "Bathroom 卫生间", "Kitchen 厨房", "Living room 客厅", "Hall 走廊", "Balcony 阳台")

_PEOPLE = f"""
[[community]]
id = "jingan"
name = "静安社区 Jing'an"
[[home]]
id = "home-1"
community = "jingan"
name = "3号楼 502"
address = "上海市静安区某路 1 弄 3 号 502 室"
[[resident]]
id = "r-7f3a"
home = "home-1"
name = "王秀英"
birth_year = 1942
phone = "021-5555 0101"
illnesses = "高血压 hypertension"
contacts = [{{ name = "王建国", relation = "儿子 son", phone = "139 5555 0102" }}]
[[gateway]]
id = "{GATEWAY}"
home = "home-1"
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `store_url`: an InfluxDB instead of the embedded store. `patience_s`: of the elder.

    `uplink`, `ingest_port`: where the agent and the ingester find the center's broker, if something lies between.
    `uplink_keys`, `broker_keys`: further lines of their sections; `center_tables`: further tables of the center.
    `enter_home`: the command in front of what runs in the home, into its network namespace for one.
    """

    pendants: int = 1
    sos: int = 1
    patience_s: float = 12.0
    store_url: str | None = None
    store_database: str = "hearthline_demo"
    meter_interval_s: float = 10.0
    plug_interval_s: float = 10.0
    vitals_every_s: float = 20.0
    local_alarm_after_s: float = 10.0
    brokers: tuple[BrokerPlan, BrokerPlan] | None = None
    uplink: tuple[str, int] | None = None
    ingest_port: int | None = None
    uplink_keys: str = ""
    broker_keys: str = ""
    center_tables: str = ""
    enter_home: tuple[str, ...] = ()


class Stack:
    """One running product. `start()` everything, use `operator`, `stop()`."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.processes = Processes(folder)
        home_broker, center_broker = plan.brokers or (plan_broker(folder, "home"), plan_broker(folder, "center"))
        self.home_broker, self.center_broker = home_broker, center_broker
        self.web_port = free_port()
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.password = secrets.token_urlsafe(9)
        self.operator = Operator(self.url, OPERATOR, self.password)
        self.ledger_path = folder / "ledger.jsonl"

    @property
    def senders(self) -> list[str]:
        """The EnOcean sender ids of the pendants."""
        return [f"{0x002EE196 + i:08X}" for i in range(self.plan.pendants)]

    def start(self) -> None:
        """Bring everything but the simulated home up, in order. Raises LinkError, with the log of what failed."""
        self._write_files()
        enter = list(self.plan.enter_home)
        self.processes.start("home-broker", enter + self.home_broker.command)
        self.processes.start("center-broker", self.center_broker.command)
        for broker in (self.center_broker,) if enter else (self.home_broker, self.center_broker):
            wait_for_port(broker.port_v311)
            wait_for_port(broker.port_v5)
        self._prepare_center()
        for role in ("ingest", "desk", "web"):
            self.processes.start(role, self._python("hearthline_cloud", "--config", "cloud.toml", "--role", role))
        self._wait_until("the center is ready", self.operator.is_ready)
        self.operator.log_in()
        self.processes.start("agent", enter + self._python("hearthline_edge", "--config", "edge.toml"))

    def sim_command(self, *arguments: str) -> list[str]:
        """The command line of the simulated home."""
        ledger = str(self.ledger_path)
        run = self._python("hearthline_sim", "run", "--home", "home.toml", "--ledger", ledger, *arguments)
        return [*self.plan.enter_home, *run]

    def wait_for_gateway(self) -> None:
        """Return when the center has heard the agent."""
        self._wait_until("the gateway is online", self._gateway_is_online)

    def waiting_at_home(self) -> int:
        """How many records the outbox holds, which the center has not acknowledged yet."""
        command = [sys.executable, "-m", "hearthline", "edge", "outbox", "--config", str(self.folder / "edge.toml")]
        done = subprocess.run([*command, "--json"], capture_output=True, check=False, timeout=30)
        if done.returncode:
            raise HearthlineError(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace').strip()}")
        view = msgspec.json.decode(done.stdout)
        return int(view["event"]["depth"] + view["telemetry"]["depth"])

    def stop(self) -> None:
        self.processes.stop()

    def _gateway_is_online(self) -> bool:
        gateways = self.operator.get("/api/v1/gateways")
        return any(gateway["id"] == GATEWAY and gateway["state"] == "online" for gateway in gateways)

    def _wait_until(self, what: str, test: object) -> None:
        assert callable(test)
        deadline = time.monotonic() + _START_S
        while not test():
            dead = self.processes.dead()
            if dead or time.monotonic() > deadline:
                name = dead[0] if dead else "web"
                raise LinkError(
                    f"waiting until {what}: {name} did not come up. Its log ends:\n{self.processes.tail(name)}"
                )
            time.sleep(0.05)

    def _prepare_center(self) -> None:
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.password, encoding="utf-8")
        common = ("--config", str(self.folder / "cloud.toml"))
        for arguments in (
            ("registry", "load", str(self.folder / "registry.toml"), *common),
            ("user", "add", OPERATOR, "--password-file", str(password), *common),
        ):
            command = [sys.executable, "-m", "hearthline", "cloud", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise HearthlineError(f"{' '.join(command)} failed: {done.stderr.strip()}")
        password.unlink()

    def _python(self, module: str, *arguments: str) -> list[str]:
        files = [str(self.folder / a) if a.endswith(".toml") else a for a in arguments]
        return [sys.executable, "-m", module, *files]

    def _write_files(self) -> None:
        for name, text in (
            ("cloud.toml", self._cloud_toml()),
            ("registry.toml", self._registry_toml()),
            ("edge.toml", self._edge_toml()),
            ("home.toml", self._home_toml()),
        ):
            (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / "center").mkdir(exist_ok=True)
        (self.folder / "gateway").mkdir(exist_ok=True)
        (self.folder / "dev").mkdir(exist_ok=True)

    def _cloud_toml(self) -> str:
        store = 'kind = "embedded"'
        if self.plan.store_url is not None:
            store = f'kind = "influxdb"\nurl = "{self.plan.store_url}"\ndatabase = "{self.plan.store_database}"'
        return (
            f'data_dir = "{self.folder / "center"}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self.plan.ingest_port or self.center_broker.port_v5}\n'
            f"{self.plan.broker_keys}{self.plan.center_tables}"
            f"[store]\n{store}\n[web]\nport = {self.web_port}\n"
            "[self_test]\nenabled = false\n"  # the ledger knows of presses alone
        )

    def _registry_toml(self) -> str:
        devices = [(f"enocean:{sender}", "Pendant 吊坠") for sender in self.senders]
        devices += [(f"z2m:SOS {i + 1}", "SOS button 求助按钮") for i in range(self.plan.sos)]
        devices += [
            ("raycome:cuff", "Blood pressure 血压计"),
            (f"dlt645:{METER}", "Meter 电表"),
            (f"shelly:{PLUG}", "Plug 插座"),
        ]
        return _PEOPLE + "".join(
            f'[[device]]\ngateway = "{GATEWAY}"\nid = "{device}"\nname = "{name}"\n'
            f'room = "{_ROOMS[index % len(_ROOMS)]}"\nresident = "r-7f3a"\n'
            for index, (device, name) in enumerate(devices)
        )

    def _edge_toml(self) -> str:
        dev = self.folder / "dev"
        host, port = self.plan.uplink or ("127.0.0.1", self.center_broker.port_v5)
        buttons = "".join(
            f'[[device]]\nid = "enocean:{sender}"\nbuttons = {{ AO = "emergency", BO = "service" }}\n'
            for sender in self.senders
        )
        buttons += "".join(
            f'[[device]]\nid = "z2m:SOS {i + 1}"\nbuttons = {{ emergency = "emergency", single = "service" }}\n'
            for i in range(self.plan.sos)
        )
        # one machine, one clock: synced, whatever its kernel says
        # pseudo-terminals carry neither baud nor parity: 8N1 here, the simulator paces the bytes itself
        return f"""gateway = "{GATEWAY}"
data_dir = "{self.folder / "gateway"}"
local_alarm_after_s = {self.plan.local_alarm_after_s}
[clock]
trust = "synced"
[uplink]
host = "{host}"
port = {port}
protocol = "5"
{self.plan.uplink_keys}[local_mqtt]
port = {self.home_broker.port_v311}
[[serial]]
name = "radio"
port = "{dev / "radio"}"
driver = "enocean-esp3"
[[serial]]
name = "cuff"
port = "{dev / "cuff"}"
driver = "raycome-bp"
[[serial]]
name = "meter"
port = "{dev / "meter"}"
driver = "dlt645-2007"
parity = "N"
options = {{ meters = ["{METER}"], interval_s = {self.plan.meter_interval_s} }}
[[siren]]
kind = "zigbee"
target = "zigbee2mqtt/siren"
[[siren]]
kind = "relay"
target = "{dev / "relay"}"
{buttons}"""

    def _home_toml(self) -> str:
        dev = self.folder / "dev"
        pendants = ", ".join(f'{{ sender = "{sender}" }}' for sender in self.senders)
        sos = "".join(f'[[sos]]\nname = "SOS {i + 1}"\n' for i in range(self.plan.sos))
        return f"""gateway = "{GATEWAY}"
patience_s = {self.plan.patience_s}
plug_interval_s = {self.plan.plug_interval_s}
vitals_every_s = {self.plan.vitals_every_s}
[mqtt]
port = {self.home_broker.port_v311}
[[radios]]
name = "radio"
path = "{dev / "radio"}"
pendants = [{pendants}]
[cuff]
name = "cuff"
path = "{dev / "cuff"}"
measure_s = 6.0
[meter]
name = "meter"
path = "{dev / "meter"}"
address = "{METER}"
[siren]
name = "siren"
[relay]
name = "relay"
path = "{dev / "relay"}"
{sos}[[plugs]]
id = "{PLUG}"
"""
