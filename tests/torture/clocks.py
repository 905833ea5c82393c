"""Wall clocks that are set while the product runs: libfaketime before each process, the monotonic clock left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hearthline_sim.demo.stack import Plan, Stack

_LIBRARY = "faketime/libfaketimeMT.so.1"


def library() -> str:
    """Where Debian keeps it."""
    (found,) = Path("/usr/lib").glob(f"*-linux-gnu/{_LIBRARY}")
    return str(found)


@dataclass(frozen=True)
class Clocks:
    """One file a machine says how far its wall clock is off."""

    folder: Path

    def set(self, machine: str, seconds: int) -> None:
        """`machine`: home or center. Its clock steps now."""
        fresh = self.folder / f"{machine}.new"
        fresh.write_text(f"{seconds:+d}\n", encoding="ascii")
        fresh.replace(self.folder / f"{machine}.clock")

    def environment(self, machine: str) -> dict[str, str]:
        """Makes a process's clock that machine's."""
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / f"{machine}.clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def before(self, machine: str) -> list[str]:
        """The same in front of a command line."""
        return ["env", *(f"{name}={value}" for name, value in self.environment(machine).items())]


class StackOfClocks(Stack):
    """The product with a center whose clock `clocks` sets; the home's is right."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, plan)
        self.clocks = Clocks(folder)
        self.clocks.set("center", 0)

    def _python(self, module: str, *arguments: str) -> list[str]:
        command = super()._python(module, *arguments)
        return [*self.clocks.before("center"), *command] if module == "hearthline_cloud" else command
