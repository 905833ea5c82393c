"""A table into the registry: the body is the CSV or XLSX itself. Larger ones go by `hearthline cloud registry import`.

The body is read once it is known who asks, and no further than its bound.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.model import refusals
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.registry_shapes import Counts, Imported, import_problem
from hearthline_cloud.api.shield import BODY_S, MAX_TABLE_BYTES
from hearthline_cloud.people import Session
from hearthline_cloud.registry import importing
from hearthline_cloud.registry.checking import Rules
from hearthline_cloud.registry.editing import RegistryError
from hearthline_cloud.registry.report import all_problems, as_row
from hearthline_cloud.registry.shape import Kind
from hearthline_cloud.registry.tables import Read, read_table

MAX_ROWS = 5000
_MAX_UNPACKED = 32 * 2**20
_TEXT, _BYTES = {"schema": {"type": "string"}}, {"schema": {"type": "string", "format": "binary"}}
_BODY = {"content": {"text/csv": _TEXT, "application/octet-stream": _BYTES}, "required": True}
router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=refusals(401, 403, 503))


@router.post(
    "/import",
    summary="Bring in a CSV or XLSX, whole or not at all",
    responses=refusals(400, 413, 422, 429),
    openapi_extra={"requestBody": _BODY},
)
async def post_import(
    request: Request,
    parts: PartsOf,
    session: Staff,
    kind: Annotated[
        Kind | None, Query(description="what a CSV holds; a workbook's sheets say it by their names")
    ] = None,
    dry_run: Annotated[bool, Query(description="only check: answers with every problem")] = False,
    update: Annotated[bool, Query(description="change what is there already and differs")] = False,
) -> Imported:
    """Of 2 MiB and 5,000 rows at most. With any problem nothing is written: 422 with `problems`."""
    data = await _body(request)
    return await run_in_threadpool(_import, parts, session, data, kind, dry_run, update)


def _import(parts: Parts, session: Session, data: bytes, kind: Kind | None, dry_run: bool, update: bool) -> Imported:
    read = Read()
    read_table(data, "table", kind, read, most=MAX_ROWS, most_bytes=_MAX_UNPACKED)
    rules, now_ns = Rules(update=update, seen=session.communities), parts.now_ns()
    if dry_run or read.problems:
        plan = importing.look_through(parts.database, read.entries, rules, now_ns)
    else:
        plan = importing.bring_in(parts.database, read.entries, rules, session.staff, now_ns)
    problems = all_problems(read, plan)
    if problems and not dry_run:
        raise RegistryError(problems)
    parts.waker.wake("web")
    counts = {name: Counts(**each) for name, each in importing.counts(plan).items()}
    return Imported(not dry_run, counts, [import_problem(as_row(each)) for each in problems])


async def _body(request: Request) -> bytes:
    """Raises HTTPException 413 for a body that is too large, 408 for one that does not come."""
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_TABLE_BYTES:
                    raise HTTPException(413, f"the table is larger than {MAX_TABLE_BYTES // 2**20} MiB")
    except TimeoutError:
        raise HTTPException(408, f"the table did not come within {BODY_S:g} s") from None
    return bytes(data)
