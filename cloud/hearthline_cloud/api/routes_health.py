"""`/healthz`: this process lives. `/readyz`: the center can do its work, or which part cannot."""

from __future__ import annotations

from fastapi import APIRouter, Response

from hearthline_cloud.api.access import PartsOf
from hearthline_cloud.api.model import Ready

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="The process is alive and its event loop turns")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz", summary="Ready to take and show alarms", responses={503: {"model": Ready}})
async def readyz(parts: PartsOf, response: Response) -> Ready:
    """Writes to the database, and looks for the ingester's heartbeat of the last 5 s, its broker and its store."""
    look = await parts.readiness.look()
    found = look.parts
    found["journal"] = "ok" if parts.follower.is_fresh else "not read for 3 s"
    ready = all(state == "ok" for state in found.values())
    response.status_code = 200 if ready else 503
    return Ready(ready, found, look.warnings)
