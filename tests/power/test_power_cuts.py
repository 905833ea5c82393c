"""The power is cut at random moments; what was told as committed is there when it comes back, exactly once.

Each cut is a boot of the same disk: the product opens what the cut before has left, goes on, and is cut again. The same
writer with `synchronous=NORMAL`, set behind the product's back, loses rows: so the rig does cut.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from power.cloud_witness import ROWS as CLOUD_ROWS
from power.cloud_witness import CloudWitness
from power.edge_witness import ROWS as EDGE_ROWS
from power.edge_witness import EdgeWitness
from power.rig import Rig
from power.told import Boot, Line, Script
from trials import LONG, SEED, publish, rate_bound, trials

CUTS = trials(6, 100)
CONTROL_CUTS = trials(1, 10)

pytestmark = [pytest.mark.power, pytest.mark.usefixtures("root"), pytest.mark.timeout(1500 if LONG else 180)]


class Witness(Protocol):
    """Hears what was told until a cut, then looks at what is there after it."""

    rows: int
    lost: int
    mistakes: list[str]

    def hear(self, lines: list[Line]) -> None: ...

    def look(self, found: dict[str, Any]) -> int: ...

    def orders(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Subject:
    """Whose power is cut.

    `modes` take turns. `first`: a cut amid the making of a new file; `reopened`: amid the opening of one that a cut has
    left. `killed`: of two writers in a row the first is killed, having flushed nothing; what the second finds counts as
    told. The others: see the scripts.
    """

    name: str
    script: str
    witness: type[Witness]
    rows: frozenset[str]
    modes: tuple[str, ...]


OUTBOX_MODES = ("rows", "first", "checkpoint", "reopened", "ballast", "killed")
DATABASE_MODES = ("rows", "first", "checkpoint", "reopened", "killed")
OUTBOX = Subject("outbox", "edge_writer.py", EdgeWitness, EDGE_ROWS, OUTBOX_MODES)
DATABASE = Subject("database", "cloud_writer.py", CloudWitness, CLOUD_ROWS, DATABASE_MODES)


class Trial:
    """All boots and cuts of one subject on one disk."""

    def __init__(self, rig: Rig, script: Script, subject: Subject, control: bool) -> None:
        self._rig = rig
        self._script = script
        self._subject = subject
        self._control = control
        self._rng = random.Random(f"{SEED} {subject.name} {control}")
        self._opening_s = {"first": 0.0, "reopened": 0.0}
        self._folders = 0
        self._boots = 0
        self.witnesses: list[Witness] = []
        self.amid_opening = 0

    def run(self, cuts: int) -> None:
        """Boot and cut so often; a last boot looks at what the last cut has left."""
        for number in range(cuts + 1):
            turn = "last" if number == cuts else "rows" if self._control else self._turn(number)
            if turn == "first" or not self.witnesses:
                self._folders += 1
                self.witnesses.append(self._subject.witness())
            witness = self.witnesses[-1]
            with self._rig.powered():
                if turn == "killed":
                    self._kill_a_writer(witness)
                boot = self._boot(witness, turn, flushes=not self._control)
                self._wait_for_the_moment(boot, turn)
                told = boot.told()
                self._rig.cut()
            # What is told while the power goes counts for the product; against the control only what came before.
            lines = told if self._control else boot.told()
            self._judge(witness, lines)
            self.amid_opening += all(line[0] != "opened" for line in lines)
            assert self._control or (witness.lost, witness.mistakes) == (0, []), f"found after cut {number}"

    def _turn(self, number: int) -> str:
        return self._subject.modes[number % len(self._subject.modes)]

    def _boot(self, witness: Witness, turn: str, flushes: bool) -> Boot:
        self._boots += 1
        orders = {"data": str(self._rig.mount / f"data-{self._folders}"), "mode": turn, "boot": self._boots}
        return self._script.boot(control=not flushes, **orders, **witness.orders())

    def _kill_a_writer(self, witness: Witness) -> None:
        """It does not flush: what it wrote is in the kernel's memory, as after a sync that failed."""
        boot = self._boot(witness, "rows", flushes=False)
        boot.wait_for_rows(self._subject.rows, self._rng.randrange(1, 30))
        boot.kill()
        self._judge(witness, boot.told())

    def _judge(self, witness: Witness, lines: list[Line]) -> None:
        for line in lines:
            if line[0] == "opened":
                witness.look(line[1])
        witness.hear(lines)

    def _wait_for_the_moment(self, boot: Boot, turn: str) -> None:
        boot.wait_for("begun")
        began = time.monotonic()
        if turn in self._opening_s:
            time.sleep(self._rng.uniform(0.0, 1.2 * self._opening_s[turn]))
            return
        boot.wait_for("opened")
        self._opening_s["reopened" if self._opening_s["first"] else "first"] = time.monotonic() - began
        if turn == "last" or (turn == "killed" and self._rng.random() < 0.5):
            return
        if turn == "ballast" and self._rng.random() < 0.7:
            boot.wait_for(self._rng.choice(("released", "restored")))
        boot.wait_for_rows(self._subject.rows, self._rng.randrange(20 if self._control else 1, 100))
        time.sleep(self._rng.uniform(0.0, 0.01))

    def total(self, figure: str) -> int:
        return sum(getattr(witness, figure) for witness in self.witnesses)


def trial(folder: Path, subject: Subject, cuts: int, control: bool = False) -> Trial:
    folder.mkdir()
    with Rig(folder) as rig, Script(rig, subject.script, folder / "writer.log") as script:
        done = Trial(rig, script, subject, control)
        done.run(cuts)
    return done


@pytest.mark.parametrize("subject", [OUTBOX, DATABASE], ids=lambda subject: subject.name)
def test_no_cut_loses_a_committed_row_and_the_control_loses_some(tmp_path: Path, subject: Subject) -> None:
    began = time.monotonic()
    product = trial(tmp_path / "product", subject, CUTS)
    control = trial(tmp_path / "control", subject, CONTROL_CUTS, control=True)
    publish(
        f"power cuts: {subject.name}",
        cuts=CUTS,
        amid_opening=product.amid_opening,
        rows=product.total("rows"),
        lost=product.total("lost"),
        bound_per_cut=rate_bound(CUTS),
        control_cuts=CONTROL_CUTS,
        control_rows=control.total("rows"),
        control_lost=control.total("lost"),
        seconds=round(time.monotonic() - began, 1),
    )
    assert product.total("lost") == 0
    assert product.total("rows") >= CUTS
    assert control.total("lost") > 0, "synchronous=NORMAL lost nothing: this rig proves nothing"
