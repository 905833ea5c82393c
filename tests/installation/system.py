"""A machine that is booted for a test: this one's own files under a layer that is thrown away, with a real systemd.

systemd-nspawn gives it processes, users and a loopback of its own. Nothing that it does reaches the machine underneath.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SOURCES = ("core", "edge", "cloud")
PYTHON = Path("/opt/environment/bin/python")
_BOOT_S = 60.0
# Servers of other tests, which would start with the machine.
_MASKED = ("tmp.mount", *(f"{name}.service" for name in ("influxdb", "nginx", "postgresql", "victoria-metrics")))


@dataclass
class Booted:
    """`root`: its files, seen from here. `leader`: the process id of its systemd, seen from here."""

    root: Path
    folder: Path
    target: str
    binds: dict[Path, str]
    leader: int = 0
    container: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", *command)
        done = subprocess.run(inside, capture_output=True, text=True, timeout=200, check=False)
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def log(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit).stdout

    def cut(self) -> None:
        """Every process ends where it stands, as when the power goes; what was written stays."""
        os.kill(self.leader, signal.SIGKILL)
        assert self.container is not None
        self.container.wait(20)

    def boot(self) -> None:
        """Returns once its systemd says that it is up."""
        checkout = Path(__file__).parents[2]
        binds = {sysconfig.get_path("purelib"): "/opt/site", str(checkout): "/opt/sources"}
        binds.update({str(source): place for source, place in self.binds.items()})
        if _interpreter_is_bound():
            binds[sys.base_prefix] = "/opt/python"
        command = ["systemd-nspawn", "--quiet", "--directory", str(self.root), "--boot", "--register=no"]
        command += ["--keep-unit", "--private-network", "--system-call-filter=@clock", "--link-journal=no"]
        command += ["--console=pipe", *(f"--bind-ro={source}:{place}" for source, place in binds.items())]
        command += [f"systemd.unit={self.target}", *(f"systemd.mask={name}" for name in _MASKED)]
        log = self.folder / "boot.log"
        with log.open("ab") as output:
            self.container = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until = time.monotonic() + _BOOT_S
        while time.monotonic() < until:
            pid = self.container.pid
            assert self.container.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
            if children:
                self.leader = int(children[-1])
                asked = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if asked in ("running", "degraded"):
                    return
            time.sleep(0.1)
        raise AssertionError(f"no systemd after {_BOOT_S:.0f} s: {log.read_text(encoding='utf-8', errors='replace')}")

    def end(self) -> None:
        if self.container is None:
            return
        self.container.terminate()
        try:
            self.container.wait(20)
        except subprocess.TimeoutExpired:
            self.container.kill()
            self.container.wait(10)


@contextmanager
def booted(folder: Path, target: str = "basic.target", binds: dict[Path, str] | None = None) -> Iterator[Booted]:
    """Boot one; it is gone afterwards, with everything it wrote. `binds`: folders of ours and where it sees them."""
    layer, root = folder / "layer", folder / "root"
    for each in (layer, root):
        each.mkdir()
    with ExitStack() as stack:
        _mount(stack, layer, "-t", "tmpfs", "tmpfs")
        (layer / "upper").mkdir()
        (layer / "work").mkdir()
        options = f"lowerdir=/,upperdir={layer / 'upper'},workdir={layer / 'work'}"
        _mount(stack, root, "-t", "overlay", "-o", options, "overlay")
        _lay_python(root)
        for place in (binds or {}).values():
            (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").touch()
        machine = Booted(root, folder, target, binds or {})
        stack.callback(machine.end)
        machine.boot()
        yield machine


def _mount(stack: ExitStack, place: Path, *how: str) -> None:
    subprocess.run(["mount", *how, str(place)], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)


def _lay_python(root: Path) -> None:
    """An environment outside of anybody's home, of the packages that this test runs with."""
    home = root / PYTHON.parents[1].relative_to("/")
    packages = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin/python").symlink_to(base_python())
    (home / "pyvenv.cfg").write_text(
        f"home = {base_python().parent}\ninclude-system-site-packages = false\n", encoding="utf-8"
    )
    lines = ["/opt/site", *(f"/opt/sources/{name}" for name in SOURCES)]
    (packages / "hearthline.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("python", "site", "sources"):
        (root / "opt" / name).mkdir(exist_ok=True)


def base_python() -> Path:
    """The machine's own interpreter, as it sees it."""
    folder = "/opt/python/bin" if _interpreter_is_bound() else "/usr/bin"
    return Path(f"{folder}/python3.{sys.version_info.minor}")


def _interpreter_is_bound() -> bool:
    return Path(sys.base_prefix) != Path("/usr")
