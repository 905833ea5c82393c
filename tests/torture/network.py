"""The home and the center as two network namespaces, and the line between them, which can be made bad.

    home (192.0.2.1) ---- veth, one line ---- center (192.0.2.2)
      nft: what arrives is dropped              nft: what arrives is dropped
      tc tbf: what leaves is slowed             tc tbf: what leaves is slowed

Each end drops what arrives, so loss in both directions is drawn packet by packet, acknowledgements too. `tc netem` is
in few kernels; nft's `numgen` and tbf are in all. Names carry the process id and a number; `close` removes both.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME_ADDRESS = "192.0.2.1"
CENTER_ADDRESS = "192.0.2.2"
_CLONE_NEWNET = 0x40000000
_NUMBERS = itertools.count(1)
_LIBC = ctypes.CDLL(None, use_errno=True)


class Network:
    """Two namespaces and the line. Every setting holds until the next one; `heal` takes all away."""

    def __init__(self) -> None:
        """Raises CalledProcessError without root, `ip`, `nft` or `tc`."""
        name = f"hl{os.getpid()}n{next(_NUMBERS)}"
        self.home, self.center = f"{name}h", f"{name}c"
        self._ends = (self.home, self.center)
        try:
            for space in self._ends:
                _run("ip", "netns", "add", space)
                _run("ip", "-n", space, "link", "set", "lo", "up")
            peer = ("peer", "line0", "netns", self.center)
            _run("ip", "link", "add", "line0", "netns", self.home, "type", "veth", *peer)
            for space, address in ((self.home, HOME_ADDRESS), (self.center, CENTER_ADDRESS)):
                _run("ip", "-n", space, "addr", "add", f"{address}/30", "dev", "line0")
                _run("ip", "-n", space, "link", "set", "line0", "up")
        except BaseException:
            self.close()
            raise

    def enter(self, space: str) -> tuple[str, ...]:
        """The command in front of a command that is to run in a namespace; it execs, so the process id stays."""
        return (_tool("nsenter"), f"--net=/run/netns/{space}")

    @contextmanager
    def inside(self, space: str) -> Iterator[None]:
        """This thread, and the threads and processes it starts meanwhile, live in the namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/run/netns/{space}", os.O_RDONLY)
            try:
                _setns(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _setns(before)
        finally:
            os.close(before)

    def lose(self, percent: int) -> None:
        """Drop so many of a hundred packets at random, in each direction; 100: a half-open line, that says nothing."""
        for space in self._ends:
            rules = "flush ruleset\n"
            if percent:
                dropped = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
                rules += (
                    "table inet line { chain arriving { type filter hook input priority 0; policy accept; "
                    f'iifname "line0" {dropped}counter drop; }}; }}\n'
                )
            _run(*self.enter(space), _tool("nft"), "-f", "-", stdin=rules)

    def slow(self, bits_per_s: int | None) -> None:
        """Both directions at this rate with a queue of 1.5 s at the most, as a modem has; None: as fast as memory."""
        for space in self._ends:
            _run(*self.enter(space), _tool("tc"), "qdisc", "del", "dev", "line0", "root", check=False)
            if bits_per_s is not None:
                rate = ("rate", f"{bits_per_s}bit", "burst", "1600", "latency", "1500ms")
                _run(*self.enter(space), _tool("tc"), "qdisc", "add", "dev", "line0", "root", "tbf", *rate)

    def be_quick_in_asking_again(self) -> None:
        """The settings of a center's broker that docs/operations.md asks for; the agent sets its own sockets."""
        with self.inside(self.center):
            Path("/proc/sys/net/ipv4/tcp_thin_linear_timeouts").write_text("1", encoding="ascii")
            Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno", encoding="ascii")

    def cut(self) -> None:
        """Pull the plug: the interface goes down and with it the route; programs get errors."""
        _run("ip", "-n", self.home, "link", "set", "line0", "down")

    def join(self) -> None:
        _run("ip", "-n", self.home, "link", "set", "line0", "up")

    def kill_sockets(self) -> int:
        """Abort every TCP connection across the line, both ends told; how many there were.

        `ss -K` needs the protocol (`-t`): for "all families" the kernel answers "Invalid argument".
        """
        told = _run(*self.enter(self.home), _tool("ss"), "-H", "-4", "-t", "-K", "dst", CENTER_ADDRESS)
        return len(told.splitlines())

    def dropped(self) -> int:
        """Packets lost by `lose`, since it was last set."""
        total = 0
        for space in self._ends:
            words = _run(*self.enter(space), _tool("nft"), "list", "ruleset").split()
            total += sum(int(words[at + 1]) for at, word in enumerate(words) if word == "packets")
        return total

    def heal(self) -> None:
        self.lose(0)
        self.slow(None)
        self.join()

    def close(self) -> None:
        """Removing a namespace removes what is in it; whoever still lives in it keeps a nameless one."""
        for space in self._ends:
            _run("ip", "netns", "del", space, check=False)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tool(name: str) -> str:
    return next((str(path) for path in (Path("/usr/sbin") / name, Path("/sbin") / name) if path.exists()), name)


def _run(command: str, *arguments: str, stdin: str = "", check: bool = True) -> str:
    done = subprocess.run(
        [_tool(command), *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=20
    )
    if check and done.returncode:
        raise RuntimeError(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _setns(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
