"""The page behind a question's link: were you helped? On a phone, without an account and without a script.

Looking never uses the link up: messengers open links by themselves to show a preview. The answer does.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline_cloud.alerts.figures import HELPED
from hearthline_cloud.api.access import PartsOf
from hearthline_cloud.console.link_pages import check_form, opened
from hearthline_cloud.console.view import language_of, page
from hearthline_cloud.feedback import MAX_WORDS, answer, question
from hearthline_cloud.links import Purpose

router = APIRouter(include_in_schema=False)


@router.get("/f/{token}")
def question_page(token: str, request: Request, parts: PartsOf) -> Response:
    link = opened(request, Purpose.FEEDBACK, token)
    with parts.database.reading() as connection:
        row = question(connection, link.subject)
    return _page(request, is_answered=row.helped is not None)


@router.post("/f/{token}")
def give_answer(
    token: str,
    request: Request,
    parts: PartsOf,
    helped: Annotated[str, Form(max_length=16)] = "",
    words: Annotated[str, Form(max_length=2 * MAX_WORDS)] = "",
) -> Response:
    """A second answer changes nothing and is thanked for all the same: whoever reloads his page has done no wrong."""
    check_form(request)
    link = opened(request, Purpose.FEEDBACK, token)
    if helped not in HELPED:
        return _page(request, is_answered=False, problem="feedback.choose", words=words, status=422)
    if len(words.strip()) > MAX_WORDS:
        return _page(request, False, "feedback.too-long", words, helped, 422)
    if answer(parts.database, link.subject, helped, words, parts.now_ns()):
        parts.waker.wake("web")
    return RedirectResponse(f"/f/{token}?lang={language_of(request)}", 303)


def _page(
    request: Request, is_answered: bool, problem: str = "", words: str = "", helped: str = "", status: int = 200
) -> Response:
    return page(
        request,
        "feedback.html",
        None,
        status,
        is_answered=is_answered,
        problem=problem,
        words=words,
        helped=helped,
        choices=HELPED,
        most=MAX_WORDS,
    )
