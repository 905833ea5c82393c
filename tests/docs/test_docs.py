"""The docs say what the code does: keys, commands, drivers, the alert's diagram, links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer

from hearthline.config import Config, check_config, load_config
from hearthline_cloud.alerts.lifecycle import SERVICE_TRANSITIONS, TRANSITIONS, Action, State
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.ingest.role import EVENT_RECEIVE_MAXIMUM, TELEMETRY_RECEIVE_MAXIMUM
from hearthline_cloud.registry.file import Registry, load_registry
from hearthline_edge import devices
from hearthline_edge.config import EdgeFile
from hearthline_edge.devices import MqttDriver, SerialDriver, find_drivers
from hearthline_edge.loading import load_edge_config
from hearthline_sim.home_config import HomeConfig, load_home
from personal_rows import with_key

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SHAPES: dict[str, type[Config]] = {
    "edge.toml": EdgeFile,
    "cloud.toml": CloudConfig,
    "registry.toml": Registry,
    "home.toml": HomeConfig,
}
_ABSENT_KEY = re.compile(r"^# (\w+ = )", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


# --- configuration -----------------------------------------------------------------------------------------------


def tree_of(name: str) -> dict[str, Any]:
    """An example file with the keys that are absent by default."""
    return tomllib.loads(_ABSENT_KEY.sub(r"\1", (EXAMPLES / name).read_text(encoding="utf-8")))


def unshown_keys(shape: Any, trees: list[Any], place: str) -> Iterator[str]:
    """The keys of `shape`, at every level, that none of the trees of this place has."""
    for struct in structs_in(shape):
        for field in msgspec.structs.fields(struct):
            key = field.encode_name
            below = [tree[key] for tree in trees if key in tree]
            if not below:
                yield f"{place}{key}"
            nested = [one for value in below for one in (value if isinstance(value, list) else [value])]
            yield from unshown_keys(field.type, nested, f"{place}{key}.")


def structs_in(shape: Any) -> Iterator[type[msgspec.Struct]]:
    """The struct that a type is, or those that it may hold (`X | None`, `list[X]`, `tuple[X, ...]`)."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        yield shape
    for part in get_args(shape):
        yield from structs_in(part)


@pytest.mark.parametrize("name", SHAPES)
def test_every_key_is_shown(name: str) -> None:
    assert not list(unshown_keys(SHAPES[name], [tree_of(name)], ""))


@pytest.mark.parametrize("name", SHAPES)
def test_example_loads_with_its_absent_keys_too(name: str) -> None:
    load_config(EXAMPLES / name, SHAPES[name])
    check_config(tree_of(name), SHAPES[name], name)


def test_edge_example_passes_the_agents_own_checks() -> None:
    config = load_edge_config(EXAMPLES / "edge.toml")
    drivers = find_drivers()
    for port in config.serial:
        driver = drivers[port.driver]
        assert isinstance(driver, SerialDriver)
        driver.open_session(port.options, port.name)
    assert config.local_mqtt is not None
    for name, options in config.local_mqtt.options.items():
        mqtt_driver = drivers[name]
        assert isinstance(mqtt_driver, MqttDriver)
        mqtt_driver.open_session(options)


def test_home_example_passes_the_simulators_own_checks() -> None:
    assert load_home(EXAMPLES / "home.toml").radios


def test_the_agent_of_the_simulated_home_serves_each_of_its_ports_and_senders() -> None:
    home, config = load_home(EXAMPLES / "home.toml"), load_edge_config(EXAMPLES / "edge-sim.toml")
    drivers = find_drivers()
    assert (config.gateway, config.faults) == (home.gateway, ())
    assert config.local_mqtt is not None
    assert (home.mqtt.host, home.mqtt.port) == (config.local_mqtt.host, config.local_mqtt.port)
    assert (home.mqtt.host, home.mqtt.port) == (config.uplink.host, config.uplink.port) == ("127.0.0.1", 1883)
    assert home.cuff is not None
    assert home.meter is not None
    assert home.relay is not None
    lines: list[Any] = [*home.radios, *home.buses, *home.push_meters, *home.rflinks, home.cuff, home.meter]
    served = {port.name: os.path.abspath(ROOT / port.port) for port in config.serial}
    assert served == {line.name: os.path.abspath(line.path) for line in lines}
    assert os.path.abspath(home.relay.path) in [os.path.abspath(ROOT / siren.target) for siren in config.siren]
    for port in config.serial:
        driver = drivers[port.driver]
        assert isinstance(driver, SerialDriver)
        assert port.line(driver).parity == "N", f"{port.name}: a pseudo-terminal takes no parity"
    options = {port.name: port.options for port in config.serial}
    meters = {bus.name: [meter.address for meter in bus.meters] for bus in home.buses}
    assert [str(meter["unit"]) for meter in options["modbus0"]["meters"]] == meters["modbus0"]
    assert options["meter0"]["meters"] == [home.meter.address]
    assert all(address in repr(options["dlt0"]["meters"]) for address in meters["dlt0"])
    for command in ("sim run --home docs/examples/home.toml", "edge run --config docs/examples/edge-sim.toml"):
        assert f"\n.venv/bin/hearthline {command}\n" in OPERATIONS


def test_registry_example_loads_into_a_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'hearthline.db'}")
    database.migrate()
    with_key(database, tmp_path)
    counts = load_registry(database, EXAMPLES / "registry.toml")
    database.close()
    assert counts == {"community": 1, "home": 1, "resident": 2, "gateway": 1, "device": 3, "volunteer": 2, "pairing": 1}


def wrong_defaults(value: Any, place: str) -> Iterator[str]:
    for field in msgspec.structs.fields(value):
        shown = getattr(value, field.name)
        if isinstance(shown, msgspec.Struct):
            yield from wrong_defaults(shown, f"{place}.{field.name}")
        elif isinstance(field.default, str | int | float) and shown != field.default:
            yield f"{place}.{field.name} = {shown!r}, default {field.default!r}"


@pytest.mark.parametrize("name", ["edge.toml", "cloud.toml"])
def test_examples_show_the_defaults(name: str) -> None:
    assert not list(wrong_defaults(load_config(EXAMPLES / name, SHAPES[name]), name))


def test_demo_files_are_of_the_documented_kind() -> None:
    """Whatever the examples are called, operations.md sends its reader to each of them."""
    for name in SHAPES:
        assert f"examples/{name}" in OPERATIONS


def test_the_centers_broker_lets_through_what_the_ingester_asks_for() -> None:
    shown = re.search(r"^max_inflight_messages (\d+)$", OPERATIONS, re.MULTILINE)
    assert shown is not None
    assert int(shown[1]) >= max(EVENT_RECEIVE_MAXIMUM, TELEMETRY_RECEIVE_MAXIMUM)


# --- drivers ------------------------------------------------------------------------------------------------------


def test_every_driver_is_in_operations_with_its_line() -> None:
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `([a-z0-9-]+)` \|.*$", OPERATIONS, re.MULTILINE) if match}
    for name, driver in find_drivers().items():
        assert name in rows, f"{name} has no row in the table of drivers"
        if isinstance(driver, SerialDriver):
            line = driver.line
            assert f"{line.baudrate} {line.bytesize}{line.parity}{line.stopbits}" in rows[name]
        else:
            base = [topic for topic in driver.subscriptions if f"`{topic}`" not in rows[name]]
            assert not base, f"{name}: {base} not in its row"


def test_every_option_of_a_driver_is_in_its_row() -> None:
    for name in find_drivers():
        options = driver_options(name)
        row = next(line for line in OPERATIONS.splitlines() if line.startswith(f"| `{name}` |"))
        for field in msgspec.structs.fields(options):
            assert f"`{field.encode_name}`" in row, f"{name}: option {field.encode_name}"


def driver_options(name: str) -> type[Config]:
    for path in Path(devices.__file__).parent.glob("*.py"):
        module = (
            __import__(f"hearthline_edge.devices.{path.stem}", fromlist=["DRIVER"]) if path.stem[0] != "_" else None
        )
        if module is not None and getattr(getattr(module, "DRIVER", None), "name", None) == name:
            options: type[Config] = module._Options
            return options
    raise AssertionError(f"no module of driver {name}")


# --- commands -----------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Every command line that there is: `hearthline cloud user add`, …"""
    for entry in entry_points(group="hearthline.commands"):
        yield from commands_below(f"hearthline {word_of(entry)}", typer.main.get_command(entry.load()))


def word_of(entry: EntryPoint) -> str:
    """What people type of an entry point that two rooms share, such as `device.home`."""
    return entry.name.partition(".")[0]


def commands_below(path: str, command: Any) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if not below:
        yield path
    for name, child in below.items():
        yield from commands_below(f"{path} {name}", child)


def test_every_command_is_documented() -> None:
    found = list(commands())
    assert "hearthline demo" in found
    missing = [line for line in found if f"`{line}" not in OPERATIONS]
    assert not missing


def test_every_option_is_documented() -> None:
    missing = []
    for entry in entry_points(group="hearthline.commands"):
        command: Any = typer.main.get_command(entry.load())
        for line, parameters in options_below(f"hearthline {word_of(entry)}", command):
            row = next((row for row in OPERATIONS.splitlines() if f"`{line}" in row and row.startswith("|")), "")
            missing += [f"{line} {option}" for option in parameters if option not in row]
    assert not missing


def options_below(path: str, command: Any) -> Iterator[tuple[str, list[str]]]:
    below = getattr(command, "commands", {})
    if not below:
        yield (
            path,
            [
                option
                for parameter in command.params
                for option in parameter.opts
                if option.startswith("--") and option not in ("--help", "--json", "--config")
            ],
        )
    for name, child in below.items():
        yield from options_below(f"{path} {name}", child)


# --- the alert's diagram ------------------------------------------------------------------------------------------


def diagram(table: dict[tuple[State, Action], State]) -> str:
    """An alert's life as Mermaid, from its transition table."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.RAISED}: a press"]
    lines += [f"    {start} --> {end}: {action}" for (start, action), end in table.items()]
    lines.append(f"    {State.RESOLVED} --> [*]")
    return "\n".join(lines)


@pytest.mark.parametrize(("name", "table"), [("alert", TRANSITIONS), ("service", SERVICE_TRANSITIONS)])
def test_the_diagram_is_the_transition_table(name: str, table: dict[tuple[State, Action], State]) -> None:
    shown = re.search(
        rf"<!-- {name} lifecycle: begin -->\n```mermaid\n(.*?)\n```\n<!-- {name} lifecycle: end -->",
        ARCHITECTURE,
        re.DOTALL,
    )
    assert shown is not None
    assert shown[1] == diagram(table)


# --- links --------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    rooms = ["docs", "dashboards", "tests", "bench"]
    return [*ROOT.glob("*.md"), *(page for room in rooms for page in (ROOT / room).rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    dead = [link for link in links if not (page.parent / link).exists()]
    assert not dead


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = sorted(int(path.name[:3]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


# --- recordings ----------------------------------------------------------------------------------------------------


def test_a_folder_of_recordings_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    asked = [sys.executable, "-m", "pytest", "tests/edge/outside", "--captures", nowhere]
    for command in (["make", "captures", f"HEARTHLINE_CAPTURES={nowhere}"], asked):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"recordings at {nowhere}; say where" in done.stderr or f"recorded frames: {nowhere}" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) <= 2
