"""A cut amid the laying of the ballast leaves it half-made; that may not cost the ballast its room for ever."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from power.rig import Rig

_LAY = """
import os, sys
from pathlib import Path
from hearthline_edge.ballast import BALLAST_BYTES, Ballast

folder = Path(sys.argv[1])
with (folder / "ballast.new").open("wb") as half_made:
    os.posix_fallocate(half_made.fileno(), 0, BALLAST_BYTES)
print(Ballast(folder / "ballast").laid, sorted(each.name for each in folder.glob("ballast*")))
"""


@pytest.mark.power
@pytest.mark.usefixtures("root")
def test_a_half_made_ballast_gives_its_room_to_the_new_one(tmp_path: Path) -> None:
    """48 MiB have room for it twice over, but not three times."""
    with Rig(tmp_path / "rig", mib=48) as rig, rig.powered():
        assert rig.run([sys.executable, "-c", _LAY, str(rig.mount)]) == "True ['ballast']\n"
