"""What the product is made of, from the hashed locks, without a network.

    python .ci/supply.py check ......... locks whole and within pyproject's bounds, licences, nothing broken installed
    python .ci/supply.py sbom [FILE] ... bill of materials, CycloneDX 1.6 as JSON, of the locks `edge` and `cloud`
    python .ci/supply.py audit ......... known vulnerabilities by pip-audit; exit 2 when it could not be asked

A check without a database of advisories finds no vulnerability, and does not claim to: that is what `audit` is for.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / ".ci" / "locks"
SHIPPED = ("edge", "cloud")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
_FORBIDDEN = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
_UNSAID = {  # whose metadata says nothing; their licence's text was read
    "atheris": "Apache-2.0",
    "axe-playwright-python": "MIT",
    "enocean": "MIT",
    "promql-parser": "MIT",
    "types-jsonschema": "Apache-2.0",
}


@dataclass(frozen=True)
class Locked:
    """One line of a lock. `wanted_by`: names of the packages that need it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def read_lock(path: Path) -> list[Locked]:
    """Raises ValueError for a line that pins nothing."""
    found: list[Locked] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8").strip()):
        pin = _PIN.match(block)
        if pin is None:
            if block and not block.startswith("#"):
                raise ValueError(f"{path.name}: pins nothing: {block.splitlines()[0]}")
            continue
        via = re.findall(r"^ +#(?: via)? +([A-Za-z0-9._-]+)", block.replace("# via\n", ""), re.MULTILINE)
        names = tuple(sorted({canonicalize_name(name) for name in via if name != "via"}))
        found.append(Locked(canonicalize_name(pin[1]), pin[2], tuple(_HASH.findall(block)), names))
    return found


# --- check ----------------------------------------------------------------------------------------------------------


def problems() -> list[str]:
    """What is wrong, one sentence each."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    for path in sorted(LOCKS.glob("*.txt")):
        locked = {each.name: each for each in read_lock(path)}
        found += [f"{path.name}: {each.name} has no hash" for each in locked.values() if not each.hashes]
        for text in wanted(extras, path.stem):
            need = Requirement(text)
            have = locked.get(canonicalize_name(need.name))
            if have is None:
                found.append(f"{path.name}: {canonicalize_name(need.name)} of pyproject.toml is not in it: sh .ci/lock")
            elif not need.specifier.contains(have.version, prereleases=True):
                found.append(f"{path.name}: {need.name} {have.version} is not {need.specifier}: sh .ci/lock")
        found += [problem for each in locked.values() if (problem := licence_problem(each.name))]
    return sorted(set(found))


def wanted(project: dict, extra: str) -> list[str]:
    """The direct dependencies of an extra, those of extras that it names too."""
    texts = list(project["dependencies"])
    waiting = [extra, *(["build"] if extra in ("demo", "dev") else [])]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in project["optional-dependencies"][name]:
            need = Requirement(text)
            if need.name == "hearthline":
                waiting += need.extras
            else:
                texts.append(text)
    return texts


def licence_of(name: str) -> str | None:
    """As the installed package says; None when it is not installed here, empty when it says nothing."""
    try:
        facts = distribution(name).metadata
    except PackageNotFoundError:
        return None
    if name in _UNSAID:
        return _UNSAID[name]
    classed = [each.rpartition(" :: ")[2] for each in facts.get_all("Classifier") or [] if each.startswith("License")]
    said = facts.get("License-Expression") or next(iter((facts.get("License") or "").strip().splitlines()), "")
    return "; ".join(part for part in (said, *classed) if part and part != "UNKNOWN")


def licence_problem(name: str) -> str | None:
    licence = licence_of(name)
    if licence == "":
        return f"{name}: its metadata names no licence; read it, and note it in .ci/supply.py"
    if licence is not None and _FORBIDDEN.search(licence):
        return f"{name}: {licence}: no GPL dependency"
    return None


# --- bill of materials ----------------------------------------------------------------------------------------------


def bill() -> dict:
    """The same for the same locks: no time, no random number."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    locked = {each.name: each for extra in SHIPPED for each in read_lock(LOCKS / f"{extra}.txt")}
    product = f"pkg:pypi/hearthline@{version[1]}"
    needs: dict[str, list[str]] = {product: [], **{purl(each): [] for each in locked.values()}}
    for each in locked.values():
        for name in each.wanted_by:
            needs[product if name == "hearthline" else purl(locked[name])].append(purl(each))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": "hearthline",
                "version": version[1],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": product,
            }
        },
        "components": [component(each) for each in sorted(locked.values(), key=lambda each: each.name)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(set(below))} for ref, below in sorted(needs.items())],
    }


def purl(each: Locked) -> str:
    return f"pkg:pypi/{each.name}@{each.version}"


def component(each: Locked) -> dict:
    """`hashes`: of every file of this version that the lock allows."""
    made = {
        "type": "library",
        "bom-ref": purl(each),
        "name": each.name,
        "version": each.version,
        "hashes": [{"alg": "SHA-256", "content": content} for content in each.hashes],
        "purl": purl(each),
    }
    licence = licence_of(each.name)
    if licence:
        made["licenses"] = [{"license": {"name": licence}}]
    return made


# --- audit ----------------------------------------------------------------------------------------------------------


def audit() -> int:
    """0: no known vulnerability, 1: some, 2: nothing was audited."""
    done = 0
    for extra in SHIPPED:
        command = [sys.executable, "-m", "pip_audit", "--strict", "--require-hashes", "--disable-pip"]
        command += ["--progress-spinner", "off", "--requirement", str(LOCKS / f"{extra}.txt")]
        told = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        print(told.stdout, end="")
        if told.returncode and ("vulnerabilit" not in told.stderr or "Traceback" in told.stderr):
            why = (told.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
            print(f"Nothing was audited: {why}", file=sys.stderr)
            print("This needs a network and `.venv/bin/pip install pip-audit`.", file=sys.stderr)
            return 2
        done = max(done, told.returncode)
    return done


def main(arguments: list[str]) -> int:
    match arguments:
        case ["check"]:
            found = problems()
            print("\n".join(found) or "Locks, bounds, licences: nothing is wrong. Known vulnerabilities: make audit.")
            broken = subprocess.run([sys.executable, "-m", "pip", "check"], check=False).returncode
            return 1 if found or broken else 0
        case ["sbom", *file]:
            text = json.dumps(bill(), indent=1, ensure_ascii=False) + "\n"
            if file:
                Path(file[0]).parent.mkdir(parents=True, exist_ok=True)
                Path(file[0]).write_text(text, encoding="utf-8")
            else:
                print(text, end="")
            return 0
        case ["audit"]:
            return audit()
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
