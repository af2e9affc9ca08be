"""The JSON of the API: what a hospital system sends and is given; and the API described for people.

Turns stored orders into answers. Law: times carry their zone; a value is text as printed, never a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from middleware.actions.issue import REPORT
from middleware.settings import Settings
from middleware.store.order_view import OrderView, TestLine
from server.lab.intake import Typed

__all__ = ["REPORT"]


class Strict(BaseModel):
    """A field nobody knows is a mistake, not something to overlook."""

    model_config = ConfigDict(extra="forbid")


class NewPatient(Strict):
    """Who. Either `birth_date`, or `age` with `age_unit`; neither for a `uhid` that is known here."""

    name: str = Field(max_length=120, examples=["Sunita Devi"])
    sex: Literal["M", "F", "O"]
    birth_date: date | None = None
    age: int | None = Field(default=None, ge=0, le=365)
    age_unit: Literal["years", "months", "days"] = "years"
    guardian: str = Field(default="", max_length=120)
    mobile: str = Field(default="", max_length=20, examples=["9812345670"])
    mobile_owner: Literal["", "self", "family", "asha"] = ""
    sms_consent: bool = False
    language: Literal["hi", "en"] = "hi"
    uhid: str = Field(default="", max_length=40)
    abha: str = Field(default="", max_length=20)


class NewOrder(Strict):
    """What is asked for whom. `tests` are codes of the catalogue or of panels."""

    patient: NewPatient
    tests: list[str] = Field(min_length=1, max_length=200, examples=[["CBC", "GLUF"]])
    external_ref: str = Field(default="", max_length=60, description="your own order number; makes the call repeatable")
    doctor: str = Field(default="", max_length=120)
    department: str = Field(default="", max_length=80)
    facility: str = Field(default="", max_length=20, description="code of config/facilities.csv; own when empty")
    ordered_at: datetime | None = None
    collected_now: bool = False


class SampleAnswer(BaseModel):
    """One tube: print `sample_id` as Code128 on it."""

    sample_id: str
    container: str
    specimen: str
    timing: str
    state: str
    collected_at: datetime | None
    received_at: datetime | None


class TestAnswer(BaseModel):
    """One ordered test and where it stands: awaited, released, rejected, cancelled."""

    code: str
    loinc: str
    name: str
    panel: str
    state: str
    note: str


class OrderAnswer(BaseModel):
    """One order."""

    order_no: str
    report_no: str
    external_ref: str | None
    uhid: str
    registered_at: datetime
    complete: bool
    withdrawn: bool
    report_versions: list[int]
    samples: list[SampleAnswer]
    tests: list[TestAnswer]


class ResultAnswer(BaseModel):
    """One released result. `flag` is N, L, H, LL, HH, A or empty; `value` is text as printed."""

    code: str
    loinc: str
    name: str
    value: str
    unit: str
    flag: str
    analyzer: str
    released_at: datetime | None


class ResultsAnswer(BaseModel):
    """The released results of an order, and the codes of tests that are still awaited."""

    order_no: str
    report_no: str
    complete: bool
    results: list[ResultAnswer]
    awaited: list[str]


class ErrorBody(BaseModel):
    """`code` is for programs, `message` for people; `fields` names what is wrong where."""

    code: str
    message: str
    fields: dict[str, str] | None = None


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    error: ErrorBody


def codes(settings: Settings) -> frozenset[str]:
    """Every test and panel code that can be ordered."""
    return frozenset(settings.catalogue) | {code for code, tests in settings.panels.items() if tests}


def facilities(settings: Settings) -> frozenset[str]:
    """Every facility code an order may come from."""
    return frozenset(f.code for f in settings.facilities) | {settings.lab.facility.code}


def with_patient(typed: Typed, patient_id: int | None) -> Typed:
    """The form for a patient who is known here."""
    return typed if patient_id is None else replace(typed, patient_id=str(patient_id))


def order_answer(order: OrderView, settings: Settings) -> OrderAnswer:
    """An order as JSON."""
    return OrderAnswer(
        order_no=order.order_no,
        report_no=order.report_no,
        external_ref=order.external_ref,
        uhid=order.patient.uhid,
        registered_at=order.registered_at,
        complete=order.completed_at is not None,
        withdrawn=order.withdrawn_at is not None,
        report_versions=sorted(v.version for v in order.versions),
        samples=[SampleAnswer(**{n: getattr(tube, n) for n in SampleAnswer.model_fields}) for tube in order.tubes],
        tests=[_test(test, settings) for test in order.tests],
    )


def _test(test: TestLine, settings: Settings) -> TestAnswer:
    known = settings.catalogue.get(test.test)
    return TestAnswer(
        code=test.test,
        loinc=known.loinc if known else "",
        name=known.name_en if known else test.test,
        panel=test.panel,
        state=test.state,
        note=test.note,
    )


def results_answer(order: OrderView, settings: Settings) -> ResultsAnswer:
    """The released results of an order as JSON."""
    return ResultsAnswer(
        order_no=order.order_no,
        report_no=order.report_no,
        complete=order.completed_at is not None,
        results=[_result(t, settings) for t in order.tests if t.state == "released" and t.result_state == "released"],
        awaited=[t.test for t in order.tests if t.state == "awaited"],
    )


def _result(test: TestLine, settings: Settings) -> ResultAnswer:
    known = settings.catalogue.get(test.test)
    return ResultAnswer(
        code=test.test,
        loinc=known.loinc if known else "",
        name=known.name_en if known else test.test,
        value=test.display,
        unit=known.display_unit if known and not known.coded else "",
        flag=test.flag,
        analyzer=test.analyzer,
        released_at=test.released_at,
    )


# ---- the API for people -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldWords:
    """One field of what is sent or given."""

    name: str
    type: str
    required: bool
    what: str


@dataclass(frozen=True, slots=True)
class CallWords:
    """One call of the API."""

    method: str
    path: str
    what: str
    parameters: tuple[FieldWords, ...]
    sends: str
    gives: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShapeWords:
    """One shape of JSON."""

    name: str
    what: str
    fields: tuple[FieldWords, ...]


@dataclass(frozen=True, slots=True)
class ApiPage:
    """The whole API, read from its own OpenAPI document."""

    description: str
    calls: tuple[CallWords, ...]
    shapes: tuple[ShapeWords, ...]


def describe(openapi: Mapping[str, Any]) -> ApiPage:
    """The OpenAPI document as a page's context."""
    calls = [
        _call(method.upper(), f"/api/v1{path}", call)
        for path, methods in openapi["paths"].items()
        for method, call in methods.items()
    ]
    shapes = openapi.get("components", {}).get("schemas", {})
    skipped = ("HTTPValidationError", "ValidationError")
    return ApiPage(
        description=openapi["info"]["description"],
        calls=tuple(calls),
        shapes=tuple(_shape(name, shape) for name, shape in shapes.items() if name not in skipped),
    )


def _call(method: str, path: str, call: Mapping[str, Any]) -> CallWords:
    sent = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = call["responses"]
    good: Mapping[str, Any] = next((answers[status] for status in ("200", "201") if status in answers), {})
    given = good.get("content", {}).get("application/json", {}).get("schema", {})
    parameters = (
        FieldWords(p["name"], _type(p["schema"]), p.get("required", False), p["in"]) for p in call.get("parameters", ())
    )
    errors = (f"{status} {a['description']}" for status, a in answers.items() if status >= "4")
    return CallWords(
        method, path, call.get("description", ""), tuple(parameters), _type(sent), _type(given), tuple(errors)
    )


def _shape(name: str, shape: Mapping[str, Any]) -> ShapeWords:
    required = shape.get("required", ())
    fields = (
        FieldWords(field, _type(of), field in required, of.get("description", ""))
        for field, of in shape.get("properties", {}).items()
    )
    return ShapeWords(name, shape.get("description", ""), tuple(fields))


def _type(schema: Mapping[str, Any]) -> str:
    """A schema's type in a few words: `text`, `NewOrder`, `list of text`, `"hi" | "en"`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("type") or "")
