"""Turns HTTP calls of laboratories and of the SMS gateway into stored facts: PUT and GET of a report, receipts.

Law: the key is checked before the body is read; every refusal says in words what is wrong, never a patient's value.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from server.reports import intake, notices, outbox, store
from server.reports.hub import Hub
from server.reports.schema import Status
from server.reports.sms.http import json_or_none

MOST = 1_048_576  # bytes of one body; a report of a hundred tests is 60 KB
router = APIRouter()
_bearer = HTTPBearer(auto_error=False, description="the facility's key")
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The key is missing or unknown."},
    403: {"description": "The report or notice belongs to another facility."},
    404: {"description": "There is no such report."},
    409: {"description": "This version is stored already, with other content."},
    413: {"description": "The body is larger than 1 MiB."},
    422: {"description": "The body cannot be stored; every fault is named."},
}


def hub_of(request: Request) -> Hub:
    """The service this request belongs to."""
    hub: Hub = request.app.state.hub
    return hub


HubHere = Annotated[Hub, Depends(hub_of)]


def facility_of(hub: HubHere, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    """The facility whose key came along; 401 without."""
    code = None
    if given is not None:
        with hub.db.read() as conn:
            code = store.find_facility(conn, hashlib.sha256(given.credentials.encode()).hexdigest())
    if code is None:
        raise HTTPException(401, "the facility key is missing or unknown", {"WWW-Authenticate": "Bearer"})
    return code


FacilityHere = Annotated[str, Depends(facility_of)]


async def body_of(request: Request) -> bytes:
    """The body; 413 as soon as it is too large, whatever its head promised."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MOST:
            raise HTTPException(413, f"the body is larger than {MOST} bytes")
        parts.append(part)
    return b"".join(parts)


@router.put(
    "/api/v1/reports/{report_no}/versions/{version}",
    tags=["laboratories"],
    summary="Hand over one report version; the same body again changes nothing",
    responses={n: _ANSWERS[n] for n in (401, 403, 409, 413, 422)},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": intake.HANDOVER.json_schema()}}}
    },
)
async def put_version(
    report_no: str, version: int, hub: HubHere, facility: FacilityHere, request: Request
) -> JSONResponse:
    """Store a report version, how it may be reached, its links and its SMS, in one transaction."""
    return await run_in_threadpool(_put, hub, facility, report_no, version, await body_of(request))


def _put(hub: Hub, facility: str, report_no: str, version: int, body: bytes) -> JSONResponse:
    try:
        handover = intake.read(body, report_no, version)
        return JSONResponse(intake.take(hub, facility, handover))
    except intake.MalformedError as error:
        faults = [{"where": f.where, "what": f.what} for f in error.faults]
        return JSONResponse({"detail": str(error), "faults": faults}, 422)
    except intake.ForeignError:
        return JSONResponse({"detail": "this report belongs to another facility than the key"}, 403)
    except intake.ConflictError:
        detail = f"version {version} of this report is stored with other content; a change needs a new version"
        return JSONResponse({"detail": detail}, 409)


@router.get(
    "/api/v1/reports/{report_no}",
    tags=["laboratories"],
    summary="How the delivery of a report stands",
    responses={n: _ANSWERS[n] for n in (401, 403, 404)},
)
def get_report(report_no: str, hub: HubHere, facility: FacilityHere) -> dict[str, Any]:
    """Its versions, every SMS with the number masked, how often it was opened, who said it is not theirs."""
    try:
        found = intake.describe(hub, facility, report_no)
    except intake.ForeignError:
        raise HTTPException(403, "this report belongs to another facility than the key") from None
    if found is None:
        raise HTTPException(404, "there is no such report here")
    return found


@router.put(
    "/api/v1/notices/{notice_id}",
    tags=["laboratories"],
    summary="Tell a laboratory's engineer of a line in trouble; the same notice again changes nothing",
    responses={n: _ANSWERS[n] for n in (401, 403, 413, 422)},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": notices.NOTICE.json_schema()}}}
    },
)
async def put_notice(notice_id: str, hub: HubHere, facility: FacilityHere, request: Request) -> JSONResponse:
    """Store a notice and its SMS, one for each number, in one transaction."""
    return await run_in_threadpool(_put_notice, hub, facility, notice_id, await body_of(request))


def _put_notice(hub: Hub, facility: str, notice_id: str, body: bytes) -> JSONResponse:
    try:
        return JSONResponse(notices.take(hub, facility, notice_id, notices.read(body, notice_id)))
    except intake.MalformedError as error:
        faults = [{"where": f.where, "what": f.what} for f in error.faults]
        return JSONResponse({"detail": str(error), "faults": faults}, 422)
    except intake.ForeignError:
        return JSONResponse({"detail": "this notice belongs to another facility than the key"}, 403)


@router.post("/sms/dlr/{secret}", include_in_schema=False)
async def post_receipt(secret: str, hub: HubHere, request: Request) -> JSONResponse:
    """Delivery receipts of the gateway, JSON or form; the same one again changes nothing."""
    if not hmac.compare_digest(secret.encode(), hub.receipt_secret.encode()):
        raise HTTPException(404)
    body = await body_of(request)
    kept = await run_in_threadpool(_keep_receipts, hub, _decoded(body, str(request.url.query)))
    return JSONResponse({"kept": kept})


def _decoded(body: bytes, query: str) -> object:
    text = body.decode("utf-8", "replace")
    found = json_or_none(text)
    return found if found is not None else dict(parse_qsl(text or query, keep_blank_values=True))


def _keep_receipts(hub: Hub, body: object) -> int:
    told = hub.gateway.receipts(body)
    with hub.db.write() as conn:
        for one in told:
            outbox.add_receipt(conn, one.provider_id, Status(one.status), one.code, hub.now())
    return len(told)


@router.get("/healthz", tags=["operation"], summary="Is the service alive, with its database?")
def healthz(hub: HubHere) -> dict[str, str]:
    """Answers 200 when the database answers; the error page's 500 else."""
    with hub.db.read() as conn:
        store.find_report(conn, "")
    return {"status": "ok"}
