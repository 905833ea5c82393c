"""An update of the agent under a real systemd, taken, and one that goes back; every press meanwhile arrives once.

The other ways to go wrong, and power cuts, are in `test_update_trials.py`, in the long form.
"""

from __future__ import annotations

import pytest

from hearthline_edge.service import UNIT
from installation.gateway import ENDS, Gateway, until

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("root"), pytest.mark.timeout(400)]


def test_a_good_version_stays_and_a_bad_one_goes_back(gateway: Gateway) -> None:
    machine, first = gateway.machine, gateway.current()
    before = len(gateway.notes())  # in the long form others have updated this gateway before
    assert machine.property(UNIT, "ActiveState") == "active"
    with gateway.pressed_meanwhile():
        said = gateway.hearthline("edge", "update", gateway.release("second"))
        second = gateway.current()
        assert second != first
        assert f"{second} runs, and the center has received from it" in said
        bad = gateway.release("ends", ENDS)
        gateway.lay(bad, second)
        said = gateway.hearthline("edge", "update", bad, code=1)
        assert f"{second} runs: it ended 3 times" in said
    assert gateway.current() == second
    until(lambda: machine.property(UNIT, "ActiveState") == "active", "the version before to run")
    assert gateway.versions() == sorted([first, second]), "the bad one is gone, the one before is kept"
    told = ["update-begins", "updated", "update-begins", "update-undone"]
    until(lambda: len(gateway.notes()) >= before + len(told), "the center was told")
    assert [kind for kind, _ in gateway.notes()[before:]] == told
