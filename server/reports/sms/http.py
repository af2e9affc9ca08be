"""Turns one SMS into one HTTP request, and its answer into Accepted or GatewayError: any gateway, described by data.

The table [sms.http] of lab.toml, every key but `url`, `fields` and `success` optional:

    url = "https://sms.example.in/send"     method = "POST"      timeout_seconds = 20      rate = 10      # SMS a second
    body = "form"                           # form · json · query
    number = "91"                           # how {to} is written: 91 (91…), 10 (ten digits), e164 (+91…)
    unicode = "utf-8"                       # utf-8 · entities (&#2310;) · ucs2hex, for texts outside GSM-7
    headers = {authkey = "{secret.key}"}    # secrets = {key = "…"} comes from the environment
    fields = {to = "{to}", message = "{text}", template = "{template_id}", ref = "{message_id}"}
    unicode_fields = {type = "unicode"}     # added when the text is outside GSM-7
    hashes = {sign = {algorithm = "sha512", of = "{header}{text}{secret.key}"}}      # then {hash.sign}
    success = {path = "type", equals = "success"}     # or {regex = "^402,"}: the body decides, not the HTTP status
    id = {path = "message"}                           # or {regex = "MsgID = (\\S+)"}
    errors = [{regex = "(?i)throttl", kind = "throttled"}, {regex = "template", kind = "rejected"}]
    receipt = {list = "", id = "id", status = "status", code = "code", map = {DELIVRD = "delivered"}}

Blanks: {to} {text} {message_id} {template_id} {header} {language} {secret.NAME} {hash.NAME}, and {callback}: where
receipts are to be posted.

Law: the number, the text and the secret never appear in an error or a log. A time-out after sending is `unknown`.
Source: public interfaces of Indian gateways (domain 4.5), what a generic one needs (domain 4.7).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from server.reports import texts
from server.reports.schema import Status
from server.reports.sms import Accepted, GatewayError, Kind, Outgoing, Told

_BLANK = re.compile(r"\{([a-z_.0-9A-Z]+)\}")
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_RECEIPT_STATUSES = {s.value for s in (Status.ACCEPTED, Status.DELIVERED, Status.FAILED, Status.EXPIRED)}


_CHOICES = {
    "body": ("form", "json", "query"),
    "number": ("91", "10", "e164"),
    "unicode": ("utf-8", "entities", "ucs2hex"),
    "method": ("POST", "GET", "PUT"),
}
_OTHER_KEYS = {"dlr_secret"}  # read by the service, not by the gateway
_BODY_ARGUMENT = {"form": "data", "json": "json", "query": "params"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How one gateway wants to be spoken to; the keys are explained at the head of this file."""

    url: str
    fields: Mapping[str, Any]
    success: Mapping[str, str]
    method: str = "POST"
    body: str = "form"
    number: str = "91"
    unicode: str = "utf-8"
    timeout_seconds: float = 20.0
    rate: float = 0.0  # SMS a second; 0: as fast as it goes
    headers: Mapping[str, str] = field(default_factory=dict)
    unicode_fields: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    id: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()
    receipt: Mapping[str, Any] = field(default_factory=dict)


def shape(table: Mapping[str, object]) -> Shape:
    """Read the table; ValueError names key, mistake and what to write."""
    known: Any = {name: value for name, value in table.items() if name not in _OTHER_KEYS}
    names = list(Shape.__dataclass_fields__)
    for name in known:
        if name not in names:
            raise ValueError(f"sms.http.{name} is not a key; write one of {', '.join(names)}")
    for name in ("url", "fields", "success"):
        if not known.get(name):
            raise ValueError(f"sms.http.{name} is missing")
    for name, choices in _CHOICES.items():
        if name in known and known[name] not in choices:
            raise ValueError(f"sms.http.{name} = {known[name]!r}; write one of {', '.join(choices)}")
    return _proven(Shape(**known))


def _proven(made: Shape) -> Shape:
    """The rules about answers, checked before the first SMS depends on them."""
    for error in made.errors:
        if error.get("kind") not in set(Kind):
            raise ValueError(f"sms.http.errors: kind {error.get('kind')!r}; write one of {', '.join(Kind)}")
    rules = [("success", made.success), *((("id", made.id),) if made.id else ()), *(("errors", e) for e in made.errors)]
    for name, rule in rules:
        if not isinstance(rule, Mapping) or not ("regex" in rule or "path" in rule):
            raise ValueError(f'sms.http.{name}: write {{regex = "…"}} or {{path = "…", equals = "…"}}, of the body')
        try:
            re.compile(rule.get("regex", ""))
        except re.error as fault:
            raise ValueError(f"sms.http.{name}: {rule['regex']!r} is no pattern: {fault}") from None
    return made


class HttpGateway:
    """Any gateway that takes one SMS by one HTTP request."""

    def __init__(
        self, made: Shape, header: str, callback: str = "", transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._shape = made
        self._header = header
        self._callback = callback
        self._pace = threading.Lock()
        self._last = 0.0
        self._client = httpx2.Client(timeout=made.timeout_seconds, follow_redirects=False, transport=transport)

    def send(self, message: Outgoing) -> Accepted:
        """One request; the body of the answer decides. Raises GatewayError."""
        values = self._values(message)
        more = self._shape.unicode_fields if texts.size(message.text).encoding == "UCS-2" else {}
        fields = {**self._shape.fields, **more}
        self._wait_turn()
        try:
            answer = self._client.request(
                self._shape.method,
                _filled(self._shape.url, values),
                headers=_filled(self._shape.headers, values),
                **{_BODY_ARGUMENT[self._shape.body]: _filled(fields, values)},
            )
        except _NOT_SENT as error:
            raise GatewayError(Kind.TRANSPORT, type(error).__name__) from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise GatewayError(Kind.UNKNOWN, type(error).__name__) from None
        except (httpx2.InvalidURL, ValueError) as error:
            raise GatewayError(Kind.REJECTED, f"the request cannot be made: {type(error).__name__}") from None
        return self._judge(answer.status_code, answer.text, values)

    def receipts(self, body: object, /) -> list[Told]:
        """Receipts by the map of [sms.http.receipt]; unknown words and unknown fields are passed over."""
        found = _at(body, str(self._shape.receipt.get("list", "")))
        rows = found if isinstance(found, list) else [found]
        return [told for row in rows if (told := _receipt(self._shape.receipt, row)) is not None]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _wait_turn(self) -> None:
        """Keep to the gateway's rate, all threads together."""
        if self._shape.rate > 0:
            with self._pace:
                time.sleep(max(0.0, self._last + 1 / self._shape.rate - time.monotonic()))
                self._last = time.monotonic()

    def _judge(self, status: int, body: str, values: Mapping[str, str]) -> Accepted:
        said = f"HTTP {status}: {_scrubbed(body, values)}"
        if status < 300 and _holds(self._shape.success, body):
            return Accepted(_found(self._shape.id, body) or values["message_id"])
        for error in self._shape.errors:
            if _holds(error, body):
                raise GatewayError(Kind(error["kind"]), said)
        raise GatewayError(_kind_of(status), said)

    def _values(self, message: Outgoing) -> dict[str, str]:
        made = self._shape
        values = {
            "message_id": message.message_id,
            "to": _number(message.to, made.number),
            "text": _encoded(message.text, made.unicode),
            "template_id": message.template_id,
            "language": message.language,
            "header": self._header,
            "callback": self._callback,
        }
        values |= {f"secret.{name}": secret for name, secret in made.secrets.items()}
        for name, rule in made.hashes.items():
            values[f"hash.{name}"] = hashlib.new(rule["algorithm"], _filled(rule["of"], values).encode()).hexdigest()
        return values


def _kind_of(status: int) -> Kind:
    """The HTTP status decides only when the body says nothing we know; a 2xx we cannot read may have gone out."""
    if status == 429:
        return Kind.THROTTLED
    if status >= 500:
        return Kind.TRANSPORT
    return Kind.UNKNOWN if status < 300 else Kind.REJECTED


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _BLANK.sub(lambda m: values.get(m[1], m[0]), value)
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


def _holds(rule: Mapping[str, str], body: str) -> bool:
    if "regex" in rule:
        return re.search(rule["regex"], body) is not None
    found = _at(json_or_none(body), rule["path"])
    return found is not None and ("equals" not in rule or str(found) == str(rule["equals"]))


def _found(rule: Mapping[str, str], body: str) -> str | None:
    """The gateway's own id: by a pattern (its first group, if it has one) or by a path in its JSON."""
    if "regex" in rule:
        hit = re.search(rule["regex"], body)
        return None if hit is None else hit[1 if hit.re.groups else 0][:200]
    found = _at(json_or_none(body), rule["path"]) if rule else None
    return str(found)[:200] if isinstance(found, (str, int)) else None


def json_or_none(body: str) -> Any:
    """The decoded JSON of a text; None when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path ("recipients.0.id"); None when nothing does."""
    for step in filter(None, path.split(".")):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _receipt(rule: Mapping[str, Any], row: object) -> Told | None:
    provider_id, word = _at(row, str(rule.get("id", "id"))), _at(row, str(rule.get("status", "status")))
    status = str(rule.get("map", {}).get(str(word), word)).lower()
    if not isinstance(provider_id, (str, int)) or provider_id == "" or status not in _RECEIPT_STATUSES:
        return None
    code = _at(row, str(rule["code"])) if rule.get("code") else None
    return Told(str(provider_id)[:200], status, str(code)[:60] if isinstance(code, (str, int)) else "")


def _number(e164: str, way: str) -> str:
    return {"e164": e164, "91": e164.removeprefix("+"), "10": e164.removeprefix("+91")}[way]


def _encoded(text: str, way: str) -> str:
    if way == "utf-8" or texts.size(text).encoding == "GSM-7":
        return text
    if way == "ucs2hex":
        return text.encode("utf-16-be").hex().upper()
    return "".join(c if c.isascii() else f"&#{ord(c)};" for c in text)


def _scrubbed(body: str, values: Mapping[str, str]) -> str:
    """The start of an answer without what must not be kept: our text, secrets, numbers, links."""
    for name, value in values.items():
        if value and (name in ("to", "text", "callback") or name.startswith(("secret.", "hash."))):
            body = body.replace(value, "…")
    body = re.sub(r"https?://\S+|\+?\d{8,}", "…", body)
    return re.sub(r"\s+", " ", body)[:120].strip()
