"""docs/devices.md names every driver with a chapter of its own, and its examples are right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hearthline_edge import devices
from hearthline_edge.devices import find_drivers
from hearthline_edge.loading import load_edge_config

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "devices.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
CHAPTERS = {
    match[1]: chapter for chapter in PAGE.split("\n## ")[1:] if (match := re.search(r"^`([a-z0-9-]+)`", chapter, re.M))
}
EXAMPLES = re.findall(r"^```toml edge\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_driver_has_a_chapter() -> None:
    assert set(CHAPTERS) == set(find_drivers())
    for name, chapter in CHAPTERS.items():
        assert re.search(r"^Recorded: |^By the specification|\. Recorded: |known\. Recorded", chapter, re.M), (
            f"{name}: how well is it proved?"
        )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split("\n")[0])
def test_an_example_is_a_right_configuration(example: str, tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(f'gateway = "gw"\ndata_dir = "{tmp_path}"\n[uplink]\nhost = "h"\n{example}', encoding="utf-8")
    load_edge_config(path)


def test_every_driver_with_options_has_an_example() -> None:
    shown = {port["driver"] for example in EXAMPLES for port in tomllib.loads(example).get("serial", [])}
    for example in EXAMPLES:
        shown |= set(tomllib.loads(example).get("local_mqtt", {}).get("options", {}))
    assert set(find_drivers()) - shown == {"shelly-gen2", "contec08a-hid"}, "these have no options"


def test_every_note_that_a_driver_spells_out_is_in_operations() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(devices.__file__).parent.glob("*.py"))
    kinds = set(re.findall(r'DeviceNote\([^,()]+, "([a-z-]+)"', sources))
    assert len(kinds) >= 7
    missing = [kind for kind in kinds if not re.search(rf"^\| [^|]*`{kind}`", OPERATIONS, re.M)]
    assert not missing
