"""Pretends to be a generic HTTP SMS gateway with phones behind it: an inbox page instead of a mast.

Turns POST /send into a message on a pretended phone and a delivery report to a callback. Law: it can be down, slow,
lying or choosy on demand, because real gateways are; it keeps nothing but an optional JSON-lines file.
Source: the common shape of Indian bulk SMS interfaces (to, text, DLT template id, message id; status and id back).
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import httpx2
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse

LINK = re.compile(r"https?://[^\s<>\"]+")
Mode = Literal["ok", "down", "slow", "lying", "refuse-dlr"]
MODES: tuple[Mode, ...] = ("ok", "down", "slow", "lying", "refuse-dlr")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sms:
    """One message as the phone shows it."""

    id: str
    at: str
    to: str
    text: str
    template_id: str
    message_id: str


@dataclass(slots=True)
class Gateway:
    """What the gateway remembers and how it behaves. `rejected` are numbers it will not send to."""

    inbox_file: Path | None = None
    callback: str = ""
    dlr_seconds: float = 1.0
    slow_seconds: float = 20.0
    mode: Mode = "ok"
    rejected: frozenset[str] = frozenset()
    inbox: list[Sms] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)  # message id → our id: a repeated call is one SMS

    def store(self, fields: Mapping[str, str]) -> Sms:
        """Put the message on the phone; the same message id again changes nothing."""
        message_id = fields.get("message_id", "")
        if message_id and message_id in self.seen:
            return next(sms for sms in self.inbox if sms.id == self.seen[message_id])
        at = datetime.now(UTC).isoformat(timespec="seconds")
        number = f"SIM{len(self.inbox) + 1:06d}"
        sms = Sms(number, at, fields["to"], fields["text"], fields.get("template_id", ""), message_id)
        self.inbox.append(sms)
        self.seen[message_id] = sms.id
        if self.inbox_file is not None:
            with self.inbox_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(sms), ensure_ascii=False) + "\n")
        return sms

    def load(self) -> None:
        """Read what an earlier run kept."""
        if self.inbox_file is not None and self.inbox_file.exists():
            self.inbox = [Sms(**json.loads(line)) for line in self.inbox_file.read_text(encoding="utf-8").splitlines()]
            self.seen = {sms.message_id: sms.id for sms in self.inbox}

    def newest(self, to: str = "", limit: int = 200) -> list[Sms]:
        """Newest first; `to` keeps the numbers that end with these digits."""
        digits = re.sub(r"\D", "", to)
        return [sms for sms in reversed(self.inbox) if re.sub(r"\D", "", sms.to).endswith(digits)][:limit]


def create_app(
    inbox: Path | None = None,
    *,
    callback: str = "",
    dlr_seconds: float = 1.0,
    slow_seconds: float = 20.0,
    rejected: frozenset[str] = frozenset(),
    transport: httpx2.AsyncBaseTransport | None = None,
) -> FastAPI:
    """The gateway. `callback` gets delivery reports unless a call names its own; `transport` is for tests."""
    gateway = Gateway(inbox, callback, dlr_seconds, slow_seconds, rejected=rejected)
    gateway.load()
    app = FastAPI(title="Simulated SMS gateway")
    app.state.gateway = gateway
    app.state.transport = transport
    _sending(app, gateway)
    _reading(app, gateway)
    return app


class _Server(uvicorn.Server):
    """A server that leaves signals to us: uvicorn raises them again after its end, and the exit code would not be 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = _Server(uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1))

    def end(_number: int, _frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run()


def _sending(app: FastAPI, gateway: Gateway) -> None:
    @app.post("/send")
    async def send(request: Request, background: BackgroundTasks) -> JSONResponse:
        """Accept one SMS: to, text, template_id, message_id, callback; a form or JSON. ?mode= overrides the mode."""
        fields = await _fields(request)
        mode = request.query_params.get("mode", gateway.mode)
        trouble = await _trouble(gateway, mode, fields)
        if trouble is not None:
            return trouble
        sms = gateway.store(fields)
        callback = fields.get("callback") or gateway.callback
        if callback:
            status = "FAILED" if mode == "refuse-dlr" else "DELIVERED"
            background.add_task(_deliver, app, callback, sms, status, gateway.dlr_seconds)
        return JSONResponse({"status": "accepted", "id": sms.id})

    @app.post("/settings")
    async def settings(request: Request) -> JSONResponse:
        """Change how it behaves: {"mode": …, "rejected": [numbers]}."""
        wanted = await request.json()
        if wanted.get("mode", gateway.mode) not in MODES:
            raise HTTPException(422, f"mode is one of {', '.join(MODES)}")
        gateway.mode = wanted.get("mode", gateway.mode)
        gateway.rejected = frozenset(wanted.get("rejected", gateway.rejected))
        return JSONResponse({"mode": gateway.mode, "rejected": sorted(gateway.rejected)})


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").startswith("application/json"):
        sent = await request.json()
    else:
        sent = dict(await request.form())
    fields = {key: str(value) for key, value in {**request.query_params, **sent}.items() if value is not None}
    if "id" in fields:
        fields.setdefault("message_id", fields["id"])
    missing = [key for key in ("to", "text") if not fields.get(key)]
    if missing:
        raise HTTPException(422, f"missing: {', '.join(missing)}")
    return fields


async def _trouble(gateway: Gateway, mode: str, fields: Mapping[str, str]) -> JSONResponse | None:
    """What a bad day answers, or None for a good one."""
    if mode == "down":
        return JSONResponse({"status": "error", "reason": "service unavailable"}, 503)
    if mode == "slow":
        await asyncio.sleep(gateway.slow_seconds)
    if mode == "lying":  # HTTP says yes, the body says no
        return JSONResponse({"status": "error", "code": "E401", "reason": "insufficient balance"}, 200)
    if fields["to"] in gateway.rejected:
        return JSONResponse({"status": "rejected", "reason": "number on the do-not-disturb list"}, 200)
    return None


async def _deliver(app: FastAPI, callback: str, sms: Sms, status: str, seconds: float) -> None:
    """The delivery report, a moment later. A callback that cannot be reached is the caller's trouble, and logged."""
    await asyncio.sleep(seconds)
    report = {"id": sms.id, "message_id": sms.message_id, "status": status, "at": datetime.now(UTC).isoformat()}
    try:
        async with httpx2.AsyncClient(transport=app.state.transport, timeout=10) as client:
            await client.post(callback, json=report)
    except httpx2.HTTPError as error:
        log.warning("delivery report %s not taken: %s", sms.id, type(error).__name__)


def _reading(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/inbox.json")
    def inbox_json(to: str = "", limit: int = 200) -> list[dict[str, str]]:
        """Messages newest first, of the numbers ending in `to`."""
        return [asdict(sms) for sms in gateway.newest(to, limit)]

    @app.get("/inbox", response_class=HTMLResponse)
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def inbox_page(to: str = "") -> str:
        """The phone."""
        return _page(gateway.newest(to), to)


def _linked(text: str) -> str:
    """The text as HTML, its links clickable."""
    parts, last = [], 0
    for match in LINK.finditer(text):
        address = html.escape(match.group().rstrip(".,;।"))
        parts += [html.escape(text[last : match.start()]), f'<a href="{address}" rel="noreferrer">{address}</a>']
        last = match.start() + len(match.group().rstrip(".,;।"))
    return "".join([*parts, html.escape(text[last:])])


def _page(messages: list[Sms], to: str) -> str:
    items = "".join(
        f'<li><p class="who"><b>{html.escape(sms.to)}</b> <time datetime="{html.escape(sms.at)}">'
        f'{html.escape(sms.at[11:19])}</time></p><p class="text">{_linked(sms.text)}</p></li>'
        for sms in messages
    )
    return PAGE.format(items=items or '<li class="none">No messages yet.</li>', to=html.escape(to), count=len(messages))


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5"><title>Phone inbox (simulated)</title>
<style>
body{{font:16px/1.5 system-ui,"Noto Sans",sans-serif;background:#dfe5e8;color:#16232b;margin:0}}
main{{max-width:26rem;margin:0 auto;background:#f7fafb;min-height:100vh;padding:1rem;box-sizing:border-box}}
h1{{font-size:1.2rem;margin:0 0 .5rem}} ul{{list-style:none;margin:0;padding:0}}
li{{background:#fff;border:1px solid #c8d3d9;border-radius:.8rem;padding:.6rem .8rem;margin:.7rem 0}}
.who{{display:flex;justify-content:space-between;margin:0;color:#37505e}}
.text{{margin:.3rem 0 0;overflow-wrap:anywhere}}
a{{color:#0b4f8a}} input,button{{font:inherit;padding:.35rem .6rem;border:1px solid #5d7683;border-radius:.4rem}}
</style></head><body><main>
<h1>Phone inbox (simulated)</h1>
<form method="get" action="/inbox">
<label>Number ends with <input name="to" value="{to}" inputmode="numeric" size="12"></label>
<button>Show</button></form>
<p>Messages: {count}, newest first. The page renews itself every 5 seconds.</p>
<ul>{items}</ul>
</main></body></html>
"""
