"""The lab's app for a test: one like any other, but what only depends on the code is made once in a process.

Most of a page test's time went into compiling the same templates and reading the same signatures for each new app.
"""

from __future__ import annotations

from types import CodeType

from fastapi import FastAPI
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from starlette.routing import BaseRoute

from middleware.lab import Lab
from server.lab.api import calls
from server.lab.app import create_app, routers


class Compiled(BytecodeCache):
    """Templates that were compiled, in memory; one whose text changed is compiled anew."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """The code of this very text, where it is known."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


LAB_TEMPLATES, REPORT_TEMPLATES = Compiled(), Compiled()  # apart: what is compiled depends on the environment's options
_routes: dict[int, BaseRoute] = {}  # by the router they are of, which is a module's and lives on


def app_of(lab: Lab) -> FastAPI:
    """`create_app(lab)`; its pages' routes are the first app's: they know no lab, each request brings its own."""
    app = create_app(lab)
    app.state.templates.bytecode_cache = LAB_TEMPLATES
    lasting = {id(router) for router in (*routers(), calls)}
    shared = 0
    for routes in (app.router.routes, app.state.api.router.routes):
        for at, route in enumerate(routes):
            if (router := id(getattr(route, "original_router", None))) in lasting:
                routes[at] = _routes.setdefault(router, route)
                shared += 1
    assert shared == len(lasting)
    return app
