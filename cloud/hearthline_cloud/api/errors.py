"""Every error as `{"error": {"code", "message"}}`, or as a page for whoever looks at pages.

A message names what the caller can mend and nothing else.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from hearthline.clock import rfc3339
from hearthline.errors import LinkError, RefusedError
from hearthline.log import Log
from hearthline_cloud.alerts.lifecycle import ImpossibleError
from hearthline_cloud.api.access import find_session
from hearthline_cloud.api.lane import TooManyError
from hearthline_cloud.api.pace import busy_page
from hearthline_cloud.console.navigation import ENROL
from hearthline_cloud.console.view import page
from hearthline_cloud.database import is_away
from hearthline_cloud.desk import ConflictError, NotFoundError
from hearthline_cloud.enrolment.offers import EnrolmentError
from hearthline_cloud.people import CodeError, CodeNeededError, EnrolFirstError, LoginError, Session, ThrottledError
from hearthline_cloud.policy_store import PolicyError, StalePolicyError
from hearthline_cloud.registry.editing import RegistryError
from hearthline_cloud.registry.report import as_row

_log = Log("hearthline.web")

_CODES = {
    400: "bad-request",
    401: "not-logged-in",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    503: "not-available",
}


_SAID = {403: 403, 404: 404, 405: 404, 503: 503}  # what a page says of a status; others are 422 or 500


def error_response(status: int, code: str, message: str, **facts: Any) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, **facts}}, status)


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(LinkError, _store_away)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(SQLAlchemyError, _database_away)
    app.add_exception_handler(Exception, _bug)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 401 and _wants_page(request):
        return RedirectResponse("/login", 303)
    if _wants_page(request):
        return _problem(request, error.status_code)
    return error_response(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail))


def _problem(request: Request, status: int, message: str = "") -> Response:
    """A page that says what happened and where to go on, around it what the visitor sees elsewhere."""
    kind = _SAID.get(status, 500 if status >= 500 else 422)
    return page(request, "problem.html", _visitor(request), status, kind=kind, message=message)


def _visitor(request: Request) -> Session | None:
    """Who asks, as far as that can be found out now."""
    try:
        return find_session(request)
    except SQLAlchemyError:
        return None


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def _validation(request: Request, error: Exception) -> Response:
    """Names the fields and what is wrong with them; never repeats what was sent."""
    assert isinstance(error, RequestValidationError)
    if _wants_page(request):
        return _problem(request, 422)
    wrong = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return error_response(422, "invalid", "; ".join(wrong[:5]))


def _refused(request: Request, error: Exception) -> Response:
    match error:
        case RegistryError():
            return _registry(request, error)
        case TooManyError():
            return _too_many(request, error)
        case ConflictError():
            return error_response(409, "conflict", str(error), **_who_was_first(error))
        case ImpossibleError():
            return error_response(422, "refused", str(error), reason=error.reason.value)
        case EnrolFirstError() if _wants_page(request):
            return RedirectResponse(ENROL, 303)
        case EnrolFirstError():
            return error_response(403, "second-factor-needed", str(error))
        case EnrolmentError():
            return error_response(403, f"enrolment-{error.refusal}", str(error))
        case NotFoundError() if _wants_page(request):
            return _problem(request, 404)
        case _ if _wants_page(request):
            return _problem(request, 422, str(error))
        case NotFoundError():
            return error_response(404, "not-found", str(error))
        case ThrottledError():
            return error_response(429, "too-many-attempts", str(error))
        case PolicyError():
            return error_response(422, "policy", str(error), problems=[each.as_row() for each in error.problems])
        case StalePolicyError():
            return error_response(409, "conflict", str(error), version=error.version, by=error.by)
        case CodeNeededError():
            return error_response(401, "code-needed", str(error))
        case CodeError():
            return error_response(401, "wrong-code", str(error))
        case LoginError():
            return error_response(401, "wrong-login", str(error))
    return error_response(422, "refused", str(error))


def _registry(request: Request, error: RegistryError) -> Response:
    """Each problem with its field, and where it stands in a table, in both languages."""
    problems = [{name: value for name, value in as_row(each).items() if name != "file"} for each in error.found]
    message = "; ".join(f"{each['field']}: {each['message']}" for each in problems[:5])
    return error_response(422, "registry", message, problems=problems)


def _too_many(request: Request, error: TooManyError) -> Response:
    answer = busy_page(request, error) if _wants_page(request) else error_response(429, "too-many", str(error))
    answer.headers["retry-after"] = str(error.wait_s)
    return answer


def _who_was_first(error: ConflictError) -> dict[str, Any]:
    facts: dict[str, Any] = {"version": error.version, "first": None}
    if error.first is not None:
        first = error.first
        at = rfc3339(first.at_ns)
        facts["first"] = {"by": first.actor, "did": first.did, "state": first.state, "at": at, "to": first.to}
    return facts


def _store_away(request: Request, error: Exception) -> Response:
    _log.warning("the time-series store did not answer", path=_route(request), error=str(error))
    if _wants_page(request):
        return _problem(request, 503)
    return error_response(503, "store-away", "the time-series store does not answer now; alerts are not affected")


def _route(request: Request) -> str:
    """As it is declared: a path may hold a link's token, and whoever reads that can use it."""
    return getattr(request.scope.get("route"), "path", "?")


def _unstorable(request: Request, error: Exception) -> Response:
    if _wants_page(request):
        return _problem(request, 422)
    return error_response(422, "invalid", "a value holds the character NUL, or is longer or greater than it may be")


def _database_away(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    if not is_away(error):
        raise error
    _log.error("the database did not answer", path=_route(request), kind=type(error).__name__)
    if _wants_page(request):
        return _problem(request, 503)
    return error_response(503, "database-away", "the database does not answer now; try again")


def _bug(request: Request, error: Exception) -> Response:
    if _wants_page(request):
        return page(request, "problem.html", None, 500, kind=500, message="")
    return error_response(500, "internal", "something went wrong here; it has been logged")
