"""The API for hospital systems: register an order, fetch its results and its report. The same actions as the pages.

Turns JSON into actions and what is stored into JSON. Law: every answer that is not a success has one shape,
{"error": {"code", "message", "fields"?}}; a key (Authorization: Bearer …) may do what the counter does and no more;
only released results go out. `external_ref` makes a registration repeatable: the same one again gives the same order.
Source: issue 2 (REST API), FastAPI for the OpenAPI document at /api/v1/openapi.json, read by people at /api/docs.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from middleware import store
from middleware.actions import register as actions
from middleware.lab import Lab
from middleware.model import Actor, NotAllowed, Refused, Role
from middleware.store import order_view, patients_view, register_view, reports_view
from middleware.store.order_view import OrderView
from server.lab import api_words as words
from server.lab.intake import Known, Typed, check
from server.lab.refusals import Refusals
from server.lab.web import page
from server.render import report_pdf
from server.strings import Strings
from server.verify import verify_url

docs = APIRouter()
BEARER = HTTPBearer(auto_error=False, description="The key of a hospital system, as configured in [web.api_keys].")


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, code: str, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields


class Cancel(BaseModel):
    """Why a test is cancelled."""

    reason: str = Field(min_length=1, max_length=200)


@dataclass(frozen=True, slots=True)
class Served:
    """What the endpoints work with."""

    lab: Lab
    strings: Strings
    refusals: Refusals


def served(request: Request) -> Served:
    """The lab behind this app."""
    found: Served = request.app.state.served
    return found


Lends = Annotated[Served, Depends(served)]


def system(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)], at: Lends) -> Actor:
    """The hospital system whose key this is, with the rights of the counter."""
    digest = hashlib.sha256((given.credentials if given else "").encode()).hexdigest()
    for name, known in at.lab.settings.web.api_keys.items():
        if given and hmac.compare_digest(digest, known.lower()):
            return Actor(id=None, name=f"API {name}", role=Role.RECEPTION, username=name)
    raise ApiError(401, "unauthorized", "Send the key of a configured hospital system: Authorization: Bearer …")


System = Annotated[Actor, Depends(system)]
WHY = {
    401: "no such key",
    404: "not found",
    409: "does not fit the state of things",
    422: "these values cannot be used",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    n: {"model": words.ErrorAnswer, "description": why} for n, why in WHY.items()
}
calls = APIRouter(responses=ERRORS)


@calls.post("/orders", status_code=201, tags=["orders"])
def register(body: words.NewOrder, answer: Response, at: Lends, actor: System) -> words.OrderAnswer:
    """Register a patient and the tests asked for. The same `external_ref` again answers 200 with the first order.

    A `uhid` that is known here names that patient; name and sex must then be those on record.
    """
    lab, now = at.lab, at.lab.now()
    typed = _typed(body)
    known = Known(words.codes(lab.settings), words.facilities(lab.settings), now, lab.settings.lab.timezone)
    patient_id, born = _known_patient(lab, body)
    registration, wrong = check(words.with_patient(typed, patient_id), known, born)
    if registration is None:
        fields = {w.where: at.strings.t(w.key, "en", **w.values) for w in wrong}
        raise ApiError(422, "invalid", "These values cannot be used.", fields)
    done = actions.register(lab, actor, registration)
    answer.status_code = 200 if done.again else 201
    return words.order_answer(_order(lab, done.order_no), lab.settings)


@calls.get("/orders/{ref}", tags=["orders"])
def order(ref: str, at: Lends, _actor: System) -> words.OrderAnswer:
    """An order by its number here, its report number, or the hospital system's own `external_ref`."""
    return words.order_answer(_order(at.lab, ref), at.lab.settings)


@calls.get("/orders/{ref}/results", tags=["orders"])
def results(ref: str, at: Lends, _actor: System) -> words.ResultsAnswer:
    """The released results of an order. `complete` is true when none of its tests is awaited any more."""
    found = _order(at.lab, ref)
    if found.withdrawn_at is not None:
        raise ApiError(409, "withdrawn", "The report of this order was withdrawn.")
    return words.results_answer(found, at.lab.settings)


@calls.post("/orders/{ref}/tests/{code}/cancel", tags=["orders"])
def cancel(ref: str, code: str, body: Cancel, at: Lends, actor: System) -> words.OrderAnswer:
    """Cancel one test that is still awaited; the report says so."""
    found = _order(at.lab, ref)
    test = next((t for t in found.tests if t.test == code), None)
    if test is None:
        raise ApiError(404, "not_found", f"This order has no test {code}.")
    actions.cancel_test(at.lab, actor, test.id, body.reason)
    return words.order_answer(_order(at.lab, ref), at.lab.settings)


@calls.get("/reports/{report_no}.pdf", tags=["reports"], response_class=Response)
def report_as_pdf(report_no: str, at: Lends, actor: System, lang: Literal["en", "hi"] = "en") -> Response:
    """The newest version of a report as PDF, in English or Hindi."""
    report = words.REPORT.validate_python(_document(at.lab, report_no))
    url = report.verify_url or verify_url(at.lab.settings.hub.public_url, report)
    made = report_pdf(report, lang, url, at.strings, printed_at=at.lab.now())
    with at.lab.write() as conn:
        detail = {"version": report.version, "language": lang}
        store.audit(conn, at.lab.now(), actor, "print report", "report", report_no, detail)
    return Response(made, media_type="application/pdf")


@calls.get("/reports/{report_no}", tags=["reports"])
def report(report_no: str, at: Lends, _actor: System) -> dict[str, Any]:
    """The newest version of a report, the frozen document itself."""
    return _document(at.lab, report_no)


def create_api(lab: Lab, strings: Strings, refusals: Refusals) -> FastAPI:
    """The app that is mounted at /api/v1."""
    api = FastAPI(
        title="Lab Mitra", version="1", description=(__doc__ or "").split("\n\n")[1], docs_url=None, redoc_url=None
    )
    api.state.served = Served(lab, strings, refusals)
    api.include_router(calls)
    api.add_exception_handler(ApiError, _trouble)
    api.add_exception_handler(Refused, _refused)
    api.add_exception_handler(NotAllowed, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _broken)
    return api


@docs.get("/api/docs")
def show(request: Request) -> Response:
    """The API for people: our own page, nothing is fetched from elsewhere."""
    return page(request, "api.html", words.describe(request.app.state.api.openapi()))


def _typed(body: words.NewOrder) -> Typed:
    person = body.patient
    return Typed(
        name=person.name, sex=person.sex, age="" if person.age is None else str(person.age), age_unit=person.age_unit,
        birth_date=person.birth_date.isoformat() if person.birth_date else "", guardian=person.guardian,
        mobile=person.mobile, mobile_owner=person.mobile_owner, sms_consent=person.sms_consent,
        language=person.language, uhid=person.uhid, abha=person.abha, doctor=body.doctor, department=body.department,
        facility=body.facility, ordered_at=body.ordered_at.isoformat() if body.ordered_at else "",
        collected_now=body.collected_now, tests=tuple(body.tests), external_ref=body.external_ref,
    )  # fmt: skip


def _known_patient(lab: Lab, body: words.NewOrder) -> tuple[int | None, Any]:
    """The patient with this UHID and his birth date; ApiError when name or sex are somebody else's."""
    if not body.patient.uhid:
        return None, None
    with lab.read() as conn:
        found = register_view.by_uhid(conn, body.patient.uhid)
        hit = patients_view.patient(conn, found) if found is not None else None
    if hit is None:
        return None, None
    card, person = hit.patient, body.patient
    if (card.name.casefold(), card.sex) != (" ".join(person.name.split()).casefold(), person.sex):
        raise ApiError(409, "other_patient", f"UHID {card.uhid} stands here with another name or sex.")
    return card.id, (card.birth_date, card.birth_precision)


def _order(lab: Lab, ref: str) -> OrderView:
    with lab.read() as conn:
        order_id = order_view.order_id_for(conn, ref)
        found = order_view.order(conn, order_id) if order_id is not None else None
    if found is None:
        raise ApiError(404, "not_found", "There is no such order.")
    return found


def _document(lab: Lab, report_no: str) -> dict[str, Any]:
    with lab.read() as conn:
        document = reports_view.document(conn, report_no)
        order_id = order_view.order_id_for(conn, report_no)
        found = order_view.order(conn, order_id) if order_id is not None else None
    if document is None or found is None:
        raise ApiError(404, "not_found", "There is no such report yet.")
    if found.withdrawn_at is not None:
        raise ApiError(409, "withdrawn", "This report was withdrawn.")
    return dict(document)


def _error(status: int, code: str, message: str, fields: dict[str, str] | None = None) -> JSONResponse:
    error: dict[str, Any] = {"code": code, "message": message}
    return JSONResponse({"error": error | ({"fields": fields} if fields else {})}, status)


async def _trouble(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    answer = _error(error.status, error.code, error.message, error.fields)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _refused(request: Request, error: Exception) -> Response:
    said = request.app.state.served.refusals.say(str(error), "en")
    return _error(403, "forbidden", said) if isinstance(error, NotAllowed) else _error(409, "refused", said)


async def _invalid(_request: Request, error: Exception) -> Response:
    """422 with each field's path; what was sent is not given back."""
    assert isinstance(error, RequestValidationError)
    fields = {".".join(str(p) for p in e["loc"] if p != "body") or "body": str(e["msg"]) for e in error.errors()}
    return _error(422, "invalid", "These values cannot be used.", fields)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method"}.get(error.status_code, "bad_request")
    return _error(error.status_code, code, str(error.detail))


async def _broken(_request: Request, _fault: Exception) -> Response:
    return _error(500, "broken", "Our own fault. The request id in X-Request-ID leads the engineer to the log.")
