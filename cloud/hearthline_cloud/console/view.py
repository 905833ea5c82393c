"""Rendering: templates with the visitor's language, everything escaped, nothing inline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from hearthline_cloud.alerts import notes
from hearthline_cloud.console.case import spell
from hearthline_cloud.console.navigation import entries_for, is_here
from hearthline_cloud.console.texts import HTML_LANG, LANGUAGES, TEXTS, Language, choose_language, script_texts, text
from hearthline_cloud.people import Session

HERE = Path(__file__).parent
LANGUAGE_COOKIE = "hearthline_language"

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def language_of(request: Request) -> Language:
    """By `?lang=` (pages behind a link set no cookie), the visitor's cookie, or the browser's languages."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return choose_language(chosen, request.headers.get("accept-language"))


def page(request: Request, template: str, session: Session | None, status: int = 200, **values: Any) -> HTMLResponse:
    """One page or fragment. Beside what a part knows, templates know `session`, `here` and `rooms`.

    `here` is where a change of the language leads back to; it may be given, where no page answers at this address.
    `is_live`: the console's script follows the journal.
    """
    language = language_of(request)
    body = part(
        language,
        template,
        script_texts=msgspec.json.encode(script_texts(language)).decode(),
        session=session,
        here=values.pop("here", request.url.path),
        is_live=session is not None and not session.must_enrol,
        rooms=[(entry, is_here(entry, request.url.path)) for entry in entries_for(session)] if session else [],
        **values,
    )
    return html(body, status)


def part(language: Language, template: str, **values: Any) -> str:
    """A template that knows nothing of who asks.

    Templates know `t`, `span` (a length of time in words), `noted` (a device's last note in words), `both`, `lang` and
    the given values.
    """
    translate = _translator(language)
    return _environment.get_template(template).render(
        t=translate,
        span=lambda seconds: spell(seconds, translate),
        noted=lambda told: _noted(told, translate),
        both=_in_both,
        lang=language,
        html_lang=HTML_LANG[language],
        languages=LANGUAGES,
        **values,
    )


def html(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(body, status, headers={"vary": "Cookie, Accept-Language"})


def _noted(told: str, translate: Callable[..., str]) -> tuple[str, str, bool]:
    """A device's stored note `code: detail` as (the code in words, detail, whether it is bad news)."""
    code, _, detail = told.partition(": ")
    bad = notes.FAULTS | notes.LOST | {"measurement-error", "dismounted", "update-undone"}
    return translate(f"note.{code}"), detail, code in bad


def _in_both(key: str, **values: object) -> list[tuple[str, str]]:
    """(language, text) of a key in every language, for a page whose reader is not known."""
    return [(HTML_LANG[language], text(key, language, **values)) for language in LANGUAGES]


def _translator(language: Language) -> Callable[..., str]:
    def translate(key: str, **values: object) -> str:
        if key not in TEXTS:  # a word of a newer version is shown as it is: nothing may hide an alert
            return key.rpartition(".")[2]
        return text(key, language, **values)

    return translate
