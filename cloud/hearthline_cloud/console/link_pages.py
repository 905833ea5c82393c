"""What every page behind a signed link shares: opening the link, and the one answer to a dead one.

A link that is right is never held up: behind a proxy all phones have one address. Wrong ones are answered with 429 and
the same page after twenty a minute, before anything is read.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.responses import Response

from hearthline_cloud.api.access import client_address
from hearthline_cloud.api.parts import parts_of
from hearthline_cloud.console.view import page
from hearthline_cloud.links import DeadLinkError, Link, Purpose

WRONG_PER_MINUTE = 20


def opened(request: Request, purpose: Purpose, token: str) -> Link:
    """What the link of this request is about. Raises DeadLinkError."""
    parts = parts_of(request)
    return parts.links.open(purpose, token, parts.now_ns())


def dead_link(request: Request, error: Exception) -> Response:
    """One page in both languages, whatever is the matter with the link."""
    assert isinstance(error, DeadLinkError)
    parts = parts_of(request)
    is_allowed = parts.wrong_links.allow("link", client_address(request), parts.now_ns())
    return page(request, "dead_link.html", None, 404 if is_allowed else 429)


def check_form(request: Request) -> None:
    """A POST with the token is allowed by the token; still refuse one that the browser says another site made.

    Our pages send no referrer, so a browser without `Sec-Fetch-Site` says `Origin: null` of our own forms.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "null")
    is_foreign = origin != "null" and urlsplit(origin).netloc != request.headers.get("host")
    if (site is not None and site != "same-origin") or (site is None and is_foreign):
        raise HTTPException(403, "a change must come from this site's own pages")
