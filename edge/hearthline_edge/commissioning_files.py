"""The report of a commissioning as files: signed JSON for machines, a page to print for people.

The key is the one that the gateway shows the center now; it is read here and never by the running agent. A gateway
without a certificate has none, and its report is not signed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hearthline.commissioning import Report, Step, StepState, canonical
from hearthline.errors import ConfigError
from hearthline.speech import language
from hearthline.whole_file import write_whole
from hearthline_edge.commissioning_texts import TEXTS, say
from hearthline_edge.config import EdgeConfig
from hearthline_edge.wallet import Wallet

_STYLE = """
body { font: 11pt/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #111; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid #bbb; }
th, .number, .short { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.todo { background: #fff3d6; }
@media print { body { margin: 0; } tr { break-inside: avoid; } }
"""
_HEADS = ("room", "device", "what", "result", "stored", "sent", "received", "radio", "time")


def uplink_key(config: EdgeConfig) -> ec.EllipticCurvePrivateKey | None:
    """The key of the certificate that is in use; None: there is none. Raises ConfigError for an unreadable one."""
    if config.uplink.cert_file is None:
        return None
    files = Wallet(config.uplink, Path(config.data_dir), looks_only=True).chosen.files
    path = Path(files.key_file or files.cert_file or "")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise ConfigError(say("key-not-read", path=path, error=error.strerror)) from None
    except (ValueError, TypeError):
        raise ConfigError(say("key-no-key", path=path)) from None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def signature(document: Mapping[str, Any], key: ec.EllipticCurvePrivateKey | None) -> str:
    """Over the canonical form; empty without a key."""
    return "" if key is None else key.sign(canonical(document), ec.ECDSA(hashes.SHA256())).hex()


def write_report(folder: Path, report: Report, document: Mapping[str, Any], signed: str) -> tuple[Path, Path]:
    """`.json` and `.html` in the folder; readable for their owner. Raises ConfigError."""
    name = f"commissioning-{report.ended[:19].replace(':', '')}"
    told = {"report": document, "signature": signed}
    contents = {
        folder / f"{name}.json": msgspec.json.format(msgspec.json.encode(told), indent=2),
        folder / f"{name}.html": page(report, bool(signed)).encode(),
    }
    for path, content in contents.items():
        try:
            write_whole(path, content)
        except OSError as error:
            raise ConfigError(say("not-written", path=path, error=error.strerror)) from None
    first, second = contents
    return first, second


def page(report: Report, is_signed: bool) -> str:
    """A page that needs nothing else, in the terminal's language; names of devices and rooms are shown as they are."""
    left = [step for step in report.steps if step.state is not StepState.PASSED]
    counted = {"passed": len(report.steps) - len(left), "steps": len(report.steps)}
    title = _e(say("page-title", gateway=report.gateway))
    to_dos = "".join(f"<li>{_e(in_words(step))}</li>" for step in left)
    columns = "".join(f"<th scope='col'>{_e(say(f'page-{head}'))}</th>" for head in _HEADS)
    parts = [
        f"<!doctype html><html lang='{'zh-CN' if language() == 'zh' else 'en'}'><head><meta charset='utf-8'>",
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><title>{title}</title>",
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>",
        f"<p>{_e(say('page-times', begun=_short(report.begun), ended=_short(report.ended)))}</p>",
        f"<p>{_e(say('page-passed', **counted, seconds=f'{report.within_ms / 1000:g}'))}</p>",
        f"<p>{_e(say('page-signed' if is_signed else 'page-unsigned'))}</p><h2>{_e(say('page-to-dos'))}</h2>",
        f"<ul>{to_dos}</ul>" if left else f"<p>{_e(say('page-nothing'))}</p>",
        f"<h2>{_e(say('page-steps'))}</h2><table><thead><tr>{columns}</tr></thead><tbody>",
        *map(_row, report.steps),
        "</tbody></table></main></body></html>",
    ]
    return "\n".join(parts)


def in_words(step: Step) -> str:
    """A to-do in one line."""
    where = step.room or say("no-room")
    return f"{where}: {step.device}, {say('what-' + step.what)}: {reason_in_words(step.reason)}"


def reason_in_words(reason: str) -> str:
    key = f"reason-{reason}"
    return say(key) if key in TEXTS.texts else reason


def _row(step: Step) -> str:
    hops = step.hops_ms
    times = ("", "", "") if hops is None else tuple(map(_seconds, (hops.committed, hops.sent, hops.received)))
    level = f"{step.radio_dbm} dBm" if step.radio_dbm is not None else ""
    level = level or (f"{step.link_quality} / 255" if step.link_quality is not None else "")
    is_passed = step.state is StepState.PASSED
    result = say("state-passed") if is_passed else f"{say('state-' + step.state)}: {reason_in_words(step.reason)}"
    words = (step.room or say("no-room"), step.device, result)
    room, device, outcome = (f"<td>{_e(each)}</td>" for each in words)
    cells = f"{room}{device}<td class='short'>{_e(say(f'what-{step.what}'))}</td>{outcome}"
    numbers = "".join(f"<td class='number'>{_e(each)}</td>" for each in (*times, level))
    kind = "passed" if is_passed else "todo"
    return f"<tr class='{kind}'>{cells}{numbers}<td class='short'>{_e(_short(step.at))}</td></tr>"


def _short(at: str) -> str:
    """Of a time by RFC 3339 the day and the clock."""
    return at[:19].replace("T", " ")


def _seconds(ms: int | None) -> str:
    return "" if ms is None else f"{ms / 1000:.2f} s"


def _e(text: object) -> str:
    return html.escape(str(text))
