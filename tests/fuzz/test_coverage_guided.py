"""Coverage-guided fuzzing (libFuzzer through Atheris) of drivers, profiles, recordings and the wire, each by itself.

A mistake is shown with its input and the command that replays it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.asking import ASKING
from fuzz.families import MQTT, SERIAL
from fuzz.targets import TARGETS, seeds, words
from trials import SEED, publish, trials

SECONDS = trials(1, 60)
RUNNER = Path(__file__).parent / "run_target.py"
_LONGEST = 4096  # bytes of an input: longer ones only cost runs
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(300)]

if find_spec("atheris") is None:
    assert os.environ.get("CI") != "true", "CI needs atheris"
    pytest.skip("atheris has a wheel for Linux on x86_64 only", allow_module_level=True)


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    log: str
    crash: Path | None

    @property
    def inputs(self) -> int:
        """How many inputs were tried."""
        found = re.findall(r"stat::number_of_executed_units:\s+(\d+)", self.log)
        return int(found[-1]) if found else 0

    @property
    def coverage(self) -> int:
        return max((int(found) for found in re.findall(r"cov: (\d+)", self.log)), default=0)


def fuzz(name: str, folder: Path, seconds: int) -> Run:
    """Fuzz one target with its seeds; `folder` takes corpus, dictionary and crash."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = folder / "words"
    lines = ["".join(f"\\x{byte:02x}" for byte in word) for word in words(name)]
    dictionary.write_text("".join(f'"{line}"\n' for line in lines if line), encoding="ascii")
    options = [
        f"-max_total_time={seconds}",
        f"-seed={SEED}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={folder}/",
        *([f"-dict={dictionary}"] if lines else []),
        "-rss_limit_mb=1024",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    command = [sys.executable, str(RUNNER), name, str(corpus), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 120, cwd=folder)
    crashes = [path for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
    return Run(done.returncode, done.stdout + done.stderr, crashes[0] if crashes else None)


def tell_crash(name: str, run: Run) -> str:
    data = run.crash.read_bytes() if run.crash else b""
    mistake = run.log.rpartition("=== Uncaught Python exception: ===")[2]
    return (
        f"{mistake[:3000]}\n{run.log[-2000:]}\nthe input, in hex: {data.hex()}\n"
        f"replay: echo {data.hex()} | xxd -r -p > crash && python tests/fuzz/run_target.py {name} crash"
    )


def test_every_driver_and_message_is_a_target() -> None:
    assert {*SERIAL, *MQTT, *ASKING} <= set(TARGETS)
    assert {"profiles", "profile-paths", "profile-file", "recordings"} <= set(TARGETS)
    assert {"wire-event", "wire-pack", "wire-status", "wire-ack", "wire-command"} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_hold(name: str) -> None:
    assert seeds(name) or name == "planted"
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "planted"])
def test_coverage_guided(name: str, tmp_path: Path) -> None:
    run = fuzz(name, tmp_path, SECONDS)
    assert run.code == 0, tell_crash(name, run)
    assert run.crash is None, tell_crash(name, run)
    assert run.inputs >= len(seeds(name))  # a machine with much else to do gets little further
    publish(f"coverage-guided: {name}", inputs=run.inputs, failures=0, seconds=SECONDS, branches=run.coverage)


def test_a_planted_mistake_is_found_and_replayed(tmp_path: Path) -> None:
    run = fuzz("planted", tmp_path, 60)  # it stops at the first crash, after a second or so
    assert run.code == 77, run.log[-2000:]
    assert run.crash is not None
    data = run.crash.read_bytes()
    assert (data[0], data[2]) == (0xA5, 0x42)
    assert "IndexError" in run.log
    again = subprocess.run(
        [sys.executable, str(RUNNER), "planted", str(run.crash)], capture_output=True, text=True, timeout=60
    )
    assert again.returncode == 77
    assert "IndexError" in again.stdout + again.stderr
