"""The laboratory of tests/labs.py on both engines. One PostgreSQL server per session, one database per test."""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine

from middleware import migrate
from middleware.lab import Lab, make_engine
from server.processes import held_port
from tests.labs import Clock, Desk, fill, named, run_sql, settings_for
from tests.postgres import postgres_in

LONG = (  # files that wait for real processes: begun first, or one worker ends long after the other
    "test_demo", "test_kill", "test_outage", "test_gate", "test_service", "test_crash", "test_bad_input",
    "test_pipeline", "test_handover", "test_work_apart",
)  # fmt: skip
ON_SQLITE = pytest.mark.parametrize("lab_url", ["sqlite"], indirect=True)  # what no engine does differently
ON_POSTGRES = pytest.mark.postgres
hypothesis.settings.load_profile("ci")  # everywhere as there: the same examples in each run, and none judged by a clock
ROOM = 4 << 30  # bytes; more than a server for each of two workers comes to, with a log of 1 GB each
_number = itertools.count(1)


def pytest_configure() -> None:
    """Under nohup the programs that the tests start would be deaf to SIGHUP, too. A handler, unlike "ignored", is not
    handed on to them; the tests themselves hear nothing of it as before."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first; the order within a file stays."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def lab_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated lab database with its users, to be copied."""
    path = tmp_path_factory.mktemp("lab") / "lab.sqlite3"
    migrate.upgrade(f"sqlite:///{path}")
    fill(f"sqlite:///{path}")
    return path


def in_memory() -> Path | None:
    """A folder in memory where that has room: a test's database is made there in 0.02 s, on a disk in 0.25 s."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server."""
    with postgres_in(in_memory()) as server:
        for careless in ("fsync", "full_page_writes", "synchronous_commit"):  # a test's data may go with the power
            run_sql(server.get_uri(), f"ALTER SYSTEM SET {careless} = off")
        run_sql(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()


@pytest.fixture(scope="session")
def lab_postgres(postgres: str) -> str:
    """A migrated template database with its users."""
    run_sql(postgres, "CREATE DATABASE lab_template")
    migrate.upgrade(named(postgres, "lab_template"))
    fill(named(postgres, "lab_template"))
    return postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=ON_POSTGRES)])
def lab_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated lab database of this test's own; its address is the same for every test, see `engines`."""
    if request.param == "sqlite":
        template = request.getfixturevalue("lab_sqlite")
        folder = template.parent / "now"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield f"sqlite:///{shutil.copy(template, folder / 'lab.sqlite3')}"
        return
    server = request.getfixturevalue("lab_postgres")
    run_sql(server, "CREATE DATABASE lab_now TEMPLATE lab_template STRATEGY FILE_COPY")
    yield named(server, "lab_now")
    run_sql(server, "DROP DATABASE lab_now WITH (FORCE)")


@pytest.fixture(scope="session")
def engines() -> dict[str, Engine]:
    """One engine for each address: an engine keeps the statements it compiled, which is most of a test's time."""
    return {}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=ON_POSTGRES)])
def empty_lab_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty 100%.sqlite3'}"
        return
    server, name = request.getfixturevalue("postgres"), f"empty_{next(_number)}"
    run_sql(server, f"CREATE DATABASE {name}")
    yield named(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def port() -> Iterator[int]:
    """A port where nobody listens, and that no other program is given before the test's own server listens there."""
    with held_port() as held:
        yield int(held.getsockname()[1])


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def lab(lab_url: str, engines: dict[str, Engine], tmp_path: Path, clock: Clock) -> Iterator[Lab]:
    """A laboratory, open for work."""
    settings = settings_for(tmp_path / "var", lab_url)
    engine = engines.get(lab_url) or engines.setdefault(lab_url, make_engine(lab_url))
    lab = Lab(engine=engine, settings=settings, now=clock)
    yield lab
    lab.engine.dispose()


@pytest.fixture
def desk(lab: Lab, clock: Clock) -> Desk:
    """The people of the laboratory."""
    return Desk(lab, clock)
