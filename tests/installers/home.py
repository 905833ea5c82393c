"""The home for the installers' whole way: a machine that becomes a gateway, its own broker, a radio, a pendant."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud_processes import until
from hearthline_sim.port import PtyPort
from installers.office import PATIENCE_S
from integration.edge.gateway import SENDER, HomeEar, press_telegram, release_telegram
from servers import mosquitto

GATEWAY = "gw-7"


@dataclass
class Home:
    """`folder`: what is /etc/hearthline on a Pi; `data`: what is /var/lib/hearthline-edge."""

    root: Path
    local_port: int
    radio: PtyPort
    process: subprocess.Popen[bytes] | None = None
    began: int = 0

    @property
    def folder(self) -> Path:
        return self.root / "hearthline"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    @property
    def log(self) -> str:
        path = self.root / "agent.log"
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def places(self) -> str:
        """Options that put everything under the test's own folder."""
        return f"--folder {self.folder} --data-dir {self.data}"

    def attach(self) -> None:
        """What the installer writes into edge.toml: the ports of this machine."""
        text = re.sub(r"(?m)^(# )?port = 1883$", f"port = {self.local_port}", self.config.read_text("utf-8"))
        text = re.sub(r'(?m)^# (\[local_mqtt\]|host = "127.0.0.1")', r"\1", text)
        text += f'\n[[serial]]\nname = "radio"\nport = "{self.radio.path}"\ndriver = "enocean-esp3"\nparity = "N"\n'
        self.config.write_text(text, encoding="utf-8")

    def start(self) -> None:
        self.began = len(self.log)
        with (self.root / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hearthline_edge", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONWARNINGS": "error"},
            )
        until(lambda: self.told("port open") and self.told("uplink connected"), PATIENCE_S)

    def told(self, message: str) -> int:
        """How often the agent has logged this since its last start."""
        return self.log[self.began :].count(message)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE_S)
            self.process = None

    def press(self, button: int = 0) -> None:
        """Another button of it is a new press at once; the same one is so after a moment of quiet."""
        self.radio.send(press_telegram(button, SENDER) + release_telegram(SENDER))

    def new_card(self) -> None:
        """The SD card has died: nothing of before is there."""
        self.kill()
        for folder in (self.folder, self.data):
            folder.rename(folder.with_name(f"{folder.name}-of-the-dead-card"))


@contextmanager
def open_home(root: Path) -> Iterator[tuple[Home, HomeEar]]:
    """A machine with a broker and a radio, that is nobody's gateway yet."""
    root.mkdir()
    with ExitStack() as stack:
        local = stack.enter_context(mosquitto(root))
        radio = PtyPort(root / "ttyENOCEAN", 10, 57600)
        stack.callback(radio.close)
        home = Home(root, local.port, radio)
        stack.callback(home.kill)
        ear = HomeEar(local.port, GATEWAY)
        stack.callback(ear.close)
        yield home, ear
