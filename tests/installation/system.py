"""A machine that is booted for a test: this one's own files under a layer that is thrown away, with a real systemd.

systemd-nspawn gives it processes, users and a loopback of its own. Nothing that it does reaches the machine underneath.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = ("core", "edge")
PYTHON = Path("/opt/hearthline/bin/python")
_BOOT_S = 60.0


@dataclass(frozen=True, slots=True)
class Booted:
    """`root`: its files, seen from here. `leader`: the process id of its systemd, seen from here."""

    root: Path
    leader: int

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", *command)
        done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def log(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit).stdout


@contextmanager
def booted(folder: Path) -> Iterator[Booted]:
    """Boot one; it is gone afterwards, with everything it wrote."""
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
        (root / "etc/machine-id").unlink(missing_ok=True)
        (root / "etc/machine-id").touch()
        yield Booted(root, _boot(stack, root, folder / "boot.log"))


def _mount(stack: ExitStack, place: Path, *how: str) -> None:
    subprocess.run(["mount", *how, str(place)], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)


def _lay_python(root: Path) -> None:
    """An environment as an installation has it, outside of anybody's home, of the packages that this test runs with."""
    home = root / "opt/hearthline"
    packages = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (home / "bin").mkdir()
    base = "/opt/python/bin" if _interpreter_is_bound() else "/usr/bin"
    (home / "bin/python").symlink_to(f"{base}/python3.{sys.version_info.minor}")
    (home / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = false\n", encoding="utf-8")
    lines = ["/opt/site", *(f"/opt/sources/{name}" for name in SOURCES)]
    (packages / "hearthline.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("python", "site", "sources"):
        (root / "opt" / name).mkdir(exist_ok=True)


def _interpreter_is_bound() -> bool:
    return Path(sys.base_prefix) != Path("/usr")


def _boot(stack: ExitStack, root: Path, log: Path) -> int:
    checkout = Path(__file__).parents[2]
    binds = {sysconfig.get_path("purelib"): "/opt/site", str(checkout): "/opt/sources"}
    if _interpreter_is_bound():
        binds[sys.base_prefix] = "/opt/python"
    command = ["systemd-nspawn", "--quiet", "--directory", str(root), "--boot", "--register=no", "--keep-unit"]
    command += ["--private-network", "--system-call-filter=@clock", "--link-journal=no", "--console=pipe"]
    command += [f"--bind-ro={source}:{place}" for source, place in binds.items()]
    command += ["systemd.unit=basic.target", "systemd.mask=tmp.mount"]
    with log.open("wb") as output:
        container = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    stack.callback(_end, container)
    until = time.monotonic() + _BOOT_S
    while time.monotonic() < until:
        assert container.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text(encoding="ascii").split()
        if children and _is_up(leader := int(children[-1]), root):
            return leader
        time.sleep(0.1)
    raise AssertionError(f"no systemd after {_BOOT_S:.0f} s: {log.read_text(encoding='utf-8', errors='replace')}")


def _is_up(leader: int, root: Path) -> bool:
    asked = Booted(root, leader).run("systemctl", "is-system-running", check=False).stdout.strip()
    return asked in ("running", "degraded")


def _end(container: subprocess.Popen[bytes]) -> None:
    container.terminate()
    try:
        container.wait(20)
    except subprocess.TimeoutExpired:
        container.kill()
        container.wait(10)
