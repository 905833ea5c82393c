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
from power.told import Line, Writer
from trials import LONG, SEED, publish, rate_bound, trials

CUTS = trials(4, 100)
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
    """Whose power is cut. `modes` take turns; `first` is a cut amid the making of a new file."""

    name: str
    script: str
    witness: type[Witness]
    rows: frozenset[str]
    modes: tuple[str, ...]


OUTBOX = Subject("outbox", "edge_writer.py", EdgeWitness, EDGE_ROWS, ("rows", "first", "checkpoint", "ballast"))
DATABASE = Subject("database", "cloud_writer.py", CloudWitness, CLOUD_ROWS, ("rows", "first", "checkpoint"))


class Trial:
    """All boots and cuts of one subject on one disk."""

    def __init__(self, rig: Rig, subject: Subject, log: Path, control: bool) -> None:
        self._rig = rig
        self._subject = subject
        self._log = log
        self._control = control
        self._rng = random.Random(f"{SEED} {subject.name} {control}")
        self._opening_s = 0.0
        self._folders = 0
        self.witnesses: list[Witness] = []

    def run(self, cuts: int) -> None:
        """Boot and cut so often; a last boot looks at what the last cut has left."""
        for number in range(cuts + 1):
            turn = "last" if number == cuts else "rows" if self._control else self._turn(number)
            if turn == "first" or not self.witnesses:
                self._folders += 1
                self.witnesses.append(self._subject.witness())
            witness = self.witnesses[-1]
            with self._rig.powered():
                writer = Writer(self._rig, self._subject.script, self._log)
                data = str(self._rig.mount / f"data-{self._folders}")
                writer.go(data=data, control=self._control, mode=turn, boot=number, **witness.orders())
                self._wait_for_the_moment(writer, turn)
                told = writer.told()
                self._rig.cut()
            all_told = writer.last_words()
            # What is told while the power goes counts for the product; against the control only what came before.
            lines = told if self._control else all_told
            for line in lines:
                if line[0] == "opened":
                    witness.look(line[1])
            witness.hear(lines)
            assert self._control or (witness.lost, witness.mistakes) == (0, []), f"found after cut {number}"

    def _turn(self, number: int) -> str:
        return self._subject.modes[number % len(self._subject.modes)]

    def _wait_for_the_moment(self, writer: Writer, turn: str) -> None:
        writer.wait_for("begun")
        began = time.monotonic()
        if turn == "first":
            time.sleep(self._rng.uniform(0.0, 1.2 * self._opening_s))
            return
        writer.wait_for("opened")
        self._opening_s = self._opening_s or time.monotonic() - began
        if turn == "last":
            return
        if turn == "ballast" and self._rng.random() < 0.7:
            writer.wait_for(self._rng.choice(("released", "restored")))
        writer.wait_for_rows(self._subject.rows, self._rng.randrange(20 if self._control else 1, 100))
        time.sleep(self._rng.uniform(0.0, 0.01))

    def total(self, figure: str) -> int:
        return sum(getattr(witness, figure) for witness in self.witnesses)


def trial(folder: Path, subject: Subject, cuts: int, control: bool = False) -> Trial:
    folder.mkdir()
    with Rig(folder) as rig:
        done = Trial(rig, subject, folder / "writer.log", control)
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
