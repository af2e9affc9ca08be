"""How we connect to PostgreSQL: by psycopg 3, and neither end believes for long in one that lost its power.

Turns a database URL into SQLAlchemy's and into libpq's options. Law: a laboratory's computer that went dark in the
middle of a write holds its locks until the server notices; that is 40 s with these, and two hours without.
Source: PostgreSQL's documentation, 20.3.2 (tcp_keepalives_*; on a Unix socket they mean nothing) and 34.1.2 (libpq).
"""

from __future__ import annotations

IDLE, INTERVAL, COUNT = 10, 10, 3  # seconds of silence before the first question, between two, and how many

PEER_GONE = {"keepalives_idle": IDLE, "keepalives_interval": INTERVAL, "keepalives_count": COUNT}
"""Ours: connect_args by which we notice that the server's computer is gone."""

CLIENT_GONE = f"-c tcp_keepalives_idle={IDLE} -c tcp_keepalives_interval={INTERVAL} -c tcp_keepalives_count={COUNT}"
"""The server's: `options` by which it notices that we are gone, and lets go of what we held."""


def psycopg_url(url: str) -> str:
    """`postgresql://` means psycopg 3; a URL that names another driver, or another database, stays as it is."""
    scheme, rest = url.split("://", 1)
    return f"postgresql+psycopg://{rest}" if scheme in ("postgresql", "postgres") else url
