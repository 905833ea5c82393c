r"""What the center has changed of this configuration, and the trial of a new change: two files in the agent's folder.

    center.toml         the keys that the center has changed and that have proved themselves, over those of edge.toml
    center-trial.json   what is being tried, how often the agent began with it, and what the last orders were answered

    quiet --propose--> trial --prove--> proved --settle--> quiet       center.toml is the new one
                         \--take_back--> undone --settle--> quiet      center.toml is as it was

Each arrow is one file put in the place of another, so a power cut or a kill leaves the state before it or after it.
While it is on trial or proved, what is tried is in force; `proved` may be done twice. The agent counts its starts
before it looks at the configuration: one that ends the agent is taken back at a later start.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import structs

from hearthline.remote import TRIAL_S, Result
from hearthline.toml_text import to_toml
from hearthline.whole_file import PUBLIC, write_whole
from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.foreign_folder import read_plain

CENTER_FILE: Final = "center.toml"
TRIAL_FILE: Final = "center-trial.json"
MAX_STARTS: Final = 2  # a power cut during a trial is no fault of it
_REMEMBERED: Final = 16  # orders that are not carried out twice
_NOTE = "What the center has changed, over edge.toml. Written by the agent: a change by hand does not last."

Stage = Literal["quiet", "trial", "proved", "undone"]


class Told(msgspec.Struct, frozen=True):
    """How an order was answered; for whoever asks again."""

    command: str
    result: Result
    detail: dict[str, Any]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What `center-trial.json` holds. `before`: who had a fault before the change; such a fault is none of its own."""

    stage: Stage = "quiet"
    command: str = ""
    config: dict[str, Any] = {}
    within_s: float = TRIAL_S
    starts: int = 0
    before: list[str] = []
    reason: str = ""
    told: list[Told] = []

    def answer_to(self, command: str) -> Told | None:
        return next((told for told in self.told if told.command == command), None)


class Folder:
    """The two files of a configuration file. What changes them raises OSError and has then changed nothing."""

    def __init__(self, config_file: Path) -> None:
        self.config_file = config_file
        own = agent_folder(config_file.parent)
        self.center_file = own / CENTER_FILE
        self._trial_file = own / TRIAL_FILE

    def trial(self) -> Trial:
        """A file that cannot be read tells of no trial: then what has proved itself is in force."""
        try:
            return msgspec.json.decode(read_plain(self._trial_file), type=Trial)
        except (OSError, msgspec.DecodeError, ValueError, RecursionError):
            return Trial()

    def in_force(self) -> dict[str, Any]:
        """Raises OSError, or ValueError for a file that is no TOML."""
        trial = self.trial()
        return trial.config if trial.stage in ("trial", "proved") else self.proved()

    def proved(self) -> dict[str, Any]:
        """What has proved itself. Raises OSError, or ValueError for a file that is no TOML."""
        try:
            text = read_plain(self.center_file).decode()
        except FileNotFoundError:
            return {}
        try:
            return tomllib.loads(text)
        except RecursionError:
            raise ValueError("it nests without end") from None

    def propose(self, command: str, config: dict[str, Any], within_s: float, before: list[str]) -> None:
        """From the next start on, what the order asks for is tried."""
        new = Trial(stage="trial", command=command, config=config, within_s=within_s, before=before)
        self._put(structs.replace(new, told=self.trial().told))

    def count_start(self) -> int:
        """Before the configuration on trial is looked at; which start of it this is."""
        trial = self.trial()
        self._put(structs.replace(trial, starts=trial.starts + 1))
        return trial.starts + 1

    def prove(self) -> None:
        trial = self.trial()
        if trial.stage == "trial":
            self._put(structs.replace(trial, stage="proved"))
        self._write(self.center_file, to_toml(trial.config, _NOTE).encode())

    def take_back(self, reason: str) -> None:
        self._put(structs.replace(self.trial(), stage="undone", reason=reason))

    def settle(self, command: str, result: Result, detail: dict[str, Any]) -> None:
        """The order is answered: the answer is in custody. The trial of another one goes on."""
        trial = self.trial()
        told = [*trial.told, Told(command, result, detail)][-_REMEMBERED:]
        self._put(Trial(told=told) if command == trial.command else structs.replace(trial, told=told))

    def _put(self, trial: Trial) -> None:
        self._write(self._trial_file, msgspec.json.encode(trial))

    def _write(self, path: Path, content: bytes) -> None:
        """Everybody may read it: it holds no secret, and the doctor is run by people."""
        path.parent.mkdir(mode=0o755, exist_ok=True)
        write_whole(path, content, PUBLIC)
