"""The routes: each call is guarded, bounded, answered in a thread, and its errors explained."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.errors import QueryRefused, StoreError, StoreInvalidated
from engine.errors import EngineError
from jobs.api import endpoints, labelling, lists, mask_edits
from jobs.api.call import Call
from jobs.api.guards import Refused, check_caller
from jobs.errors import JobError, OwnerError
from jobs.owner import Owner

log = logging.getLogger(__name__)
Endpoint = Callable[[Owner, Call], Any]
PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox allow-popups"
MAX_JSON_BYTES = 4 * 2**20


TABLE: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/api/health", endpoints.health),
    ("GET", "/api/images", endpoints.images),
    ("POST", "/api/images", endpoints.upload),
    ("GET", "/api/images/{id}", endpoints.image),
    ("GET", "/api/files/{digest}", endpoints.file),
    ("GET", "/api/candidates", lists.candidates),
    ("GET", "/api/candidates/file", endpoints.candidate_file),
    ("POST", "/api/bundles", lists.ask_for_bundle),
    ("GET", "/api/bundles/{id}", endpoints.bundle),
    ("GET", "/api/clusters", lists.clusters),
    ("POST", "/api/clusters", lists.ask_for_clusters),
    ("POST", "/api/clusters/{id}/name", lists.name_cluster),
    ("GET", "/api/maps", lists.maps),
    ("POST", "/api/maps", lists.ask_for_map),
    ("GET", "/api/views", lists.views),
    ("POST", "/api/views", lists.save_view),
    ("GET", "/api/detections/{id}", endpoints.detection_evidence),
    ("GET", "/api/similar/{id}", endpoints.similar),
    ("GET", "/api/duplicates/{id}", endpoints.duplicates),
    ("GET", "/api/nights", endpoints.nights),
    ("POST", "/api/analyze/{id}", endpoints.analyze),
    ("GET", "/api/crossref", endpoints.crossref_objects),
    ("POST", "/api/crossref", endpoints.crossref_many),
    ("GET", "/api/crossref/summary", endpoints.crossref_summary),
    ("GET", "/api/crossref/regions", endpoints.crossref_regions),
    ("POST", "/api/crossref/{id}", endpoints.crossref),
    ("POST", "/api/scans", endpoints.scan),
    ("GET", "/api/scans/{id}", endpoints.scan_state),
    ("DELETE", "/api/scans/{id}", endpoints.cancel_scan),
    ("GET", "/api/labels", endpoints.labels),
    ("POST", "/api/labels", endpoints.add_label),
    ("GET", "/api/labels/agreement", labelling.agreement),
    ("GET", "/api/labels/consensus", labelling.consensus),
    ("GET", "/api/labels/rankings", labelling.rankings),
    ("POST", "/api/labels/rankings", labelling.rank),
    ("GET", "/api/gold", labelling.gold),
    ("POST", "/api/gold", labelling.set_gold),
    ("GET", "/api/mask-edits", mask_edits.edits),
    ("POST", "/api/mask-edits", mask_edits.add_edit),
    ("GET", "/api/mask-edits/frames", mask_edits.edited_frames),
    ("GET", "/api/mask-edits/frames/{id}", mask_edits.edited_frame),
    ("POST", "/api/query", endpoints.query),
    ("GET", "/api/export", endpoints.export),
    ("POST", "/api/backup", endpoints.backup),
    ("GET", "/api/schedules", endpoints.schedules),
    ("PATCH", "/api/schedules", endpoints.change_schedule),
    ("GET", "/api/digests", endpoints.digests),
    ("GET", "/api/digests/{id}", endpoints.digest),
    ("GET", "/api/descriptions/{id}", endpoints.descriptions_of),
    ("POST", "/api/descriptions/{id}", endpoints.describe),
    ("POST", "/api/learn", endpoints.learn),
    ("POST", "/api/learn/promote", endpoints.promote),
    ("POST", "/api/learn/rollback", endpoints.roll_back),
    ("POST", "/api/calibrations", endpoints.calibrate),
    ("GET", "/api/runs", endpoints.runs),
    ("GET", "/api/models", endpoints.models),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routes(owner_of: Callable[[], Owner], *, beyond_loopback: bool = False) -> list[Route]:
    """All routes for the owner that `owner_of` gives; whatever else is below /api is refused."""
    known = [
        Route(path, _answering(endpoint, owner_of, beyond_loopback), methods=[method])
        for method, path, endpoint in TABLE
    ]
    refuse = _answering(endpoints.nothing, owner_of, beyond_loopback)
    return [*known, Route("/api/{rest:path}", refuse, methods=list(METHODS))]


def _answering(
    endpoint: Endpoint, owner_of: Callable[[], Owner], beyond_loopback: bool
) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            owner = owner_of()
            check_caller(request, token=owner.token, beyond_loopback=beyond_loopback)
            is_upload = endpoint is endpoints.upload
            most = owner.settings.max_upload_bytes if is_upload else MAX_JSON_BYTES
            call = Call(
                dict(request.path_params),
                dict(request.query_params),
                request.headers.get("content-type", ""),
                await _bounded_body(request, most),
            )
            return _response(await run_in_threadpool(endpoint, owner, call))
        except (JobError, StoreError, EngineError) as error:
            return _refusal(error)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.url.path)
            return _broken(error)

    return answer


async def _bounded_body(request: Request, most: int) -> bytes:
    chunks, size = list[bytes](), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Refused(413, f"the body has more than {most:,} bytes", "send less at once")
        chunks.append(chunk)
    return b"".join(chunks)


def _response(result: Any) -> Response:
    if isinstance(result, endpoints.Content):
        headers = {"X-Content-Type-Options": "nosniff"}
        if result.media_type == "text/html":
            headers["Content-Security-Policy"] = PAGE_POLICY
        if result.file_name:
            headers["Content-Disposition"] = f'attachment; filename="{result.file_name}"'
        return Response(result.body, media_type=result.media_type, headers=headers)
    text = json.dumps(plain(result), allow_nan=False)
    return Response(text, media_type="application/json")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: times in ISO 8601, what is not a number as null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _broken(error: Exception) -> JSONResponse:
    hint = "this is a fault of skysieve: please report it with what its log says"
    return JSONResponse({"error": f"{type(error).__name__}: {error}", "hint": hint}, 500)


def _refusal(error: Exception) -> JSONResponse:
    status, hint = 400, "read what was expected, change the call and send it again"
    if isinstance(error, Refused):
        status, hint = error.status, error.hint
    elif isinstance(error, endpoints.NotThere):
        status, hint = 404, "list what there is with the route without the id"
    elif isinstance(error, QueryRefused):
        hint = "send one SELECT over the tables that `SHOW TABLES` lists"
    elif isinstance(error, OwnerError):
        status, hint = 503, "wait a moment, then send it again"
    elif isinstance(error, StoreInvalidated):
        log.error("the store was invalidated: %s", error)
        status, hint = 503, "free some disk space, then send it again"
    return JSONResponse({"error": str(error), "hint": hint}, status_code=status)
