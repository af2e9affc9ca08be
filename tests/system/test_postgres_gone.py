"""A computer at either end of a PostgreSQL connection that went dark: both ends are told to look, and how often.

That they do is the kernel's work; a connection over a Unix socket, as here, has no far end, but keeps what it was told.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from middleware.lab import make_engine, reading_engine
from server.reports.database import connect
from tests.conftest import ON_POSTGRES

pytestmark = [ON_POSTGRES, pytest.mark.parametrize("lab_url", ["postgres"], indirect=True)]
WE_LOOK = {"keepalives_idle": "10", "keepalives_interval": "10", "keepalives_count": "3"}
IT_LOOKS = {f"tcp_{name}": value for name, value in WE_LOOK.items()}


def told_us(conn: Connection) -> dict[str, str]:
    options = conn.connection.driver_connection.info.get_parameters()
    return {name: value for name, value in options.items() if name in WE_LOOK}


def told_the_server(conn: Connection) -> dict[str, str]:
    query = "SELECT name, reset_val FROM pg_settings WHERE name LIKE 'tcp_keep%' AND source = 'client'"
    return dict(map(tuple, conn.execute(text(query))))


def test_a_laboratory_that_lost_its_power_holds_no_lock_for_hours(lab_url: str) -> None:
    for engine in (make_engine(lab_url), reading_engine(lab_url)):
        with engine.connect() as conn:
            assert (told_us(conn), told_the_server(conn)) == (WE_LOOK, IT_LOOKS)
        engine.dispose()


def test_the_report_service_notices_too_and_asks_nothing_that_a_pooler_would_refuse(lab_url: str) -> None:
    reports = connect(lab_url)
    with reports.read() as conn:
        assert (told_us(conn), told_the_server(conn)) == (WE_LOOK, {})
    reports.close()
