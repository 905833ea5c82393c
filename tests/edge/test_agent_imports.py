"""What the running agent carries in its memory: its own rooms, the libraries of the extra `edge`, no heavy module.

The import contracts read the source; this is what the interpreter has loaded when a configuration with every kind of
port is up, through whatever libraries.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
gateway = "gw-1"
data_dir = "data"
[uplink]
host = "127.0.0.1"
[local_mqtt]
"""
LOAD = """
import sys
from pathlib import Path
import hearthline_edge.__main__
from hearthline_edge.loading import load_edge_config
load_edge_config(Path(sys.argv[1]))
print(*sys.modules)
"""
OURS = {"hearthline", "hearthline_edge"}
LIBRARIES = {"aiomqtt", "msgspec", "paho", "serial", "serial_asyncio_fast", "typing_extensions", "uuid_utils"}
HEAVY = {
    "doctest",
    "distutils",
    "importlib.metadata",
    "multiprocessing",
    "pdb",
    "pydoc",
    "tkinter",
    "unittest",
    "xml",
    "zoneinfo",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules of an agent that has read its configuration; without `site`, whose .pth files may import anything."""
    config = tmp_path_factory.mktemp("agent") / "edge.toml"
    config.write_text(CONFIG, encoding="utf-8")
    path = [str(Path(entry).resolve()) for entry in sys.path if entry]
    code = f"import sys; sys.path[:0] = {path!r}\n{LOAD}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(config)], check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.split())


def test_the_agent_carries_its_own_libraries_alone(loaded: set[str]) -> None:
    """A library that comes in through another one costs every home's memory."""
    tops = {name.partition(".")[0] for name in loaded}
    assert tops - sys.stdlib_module_names - {"__main__"} - OURS <= LIBRARIES


def test_the_agent_loads_no_heavy_module_of_the_standard_library(loaded: set[str]) -> None:
    assert "hearthline_edge.devices.modbus_rtu" in loaded  # the drivers are there
    assert not loaded & HEAVY
