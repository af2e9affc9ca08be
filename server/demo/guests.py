"""Further analyzers of the day that is played at once: each asks what to run, or tells what it measured, and leaves.

Turns a table into lines of the demo's configuration, a few patients of their own, and simulators. Law: their tests are
nobody else's, so what each is told to run can be seen; a few messages each, for the day is to be short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from middleware import store
from middleware.lab import Lab
from middleware.schema import Sample
from server.demo.people import PEOPLE, visitors
from server.demo.seed import admit
from server.processes import Processes

if TYPE_CHECKING:
    from server.demo.stage import Stage

PATIENTS = 2


@dataclass(frozen=True, slots=True)
class Guest:
    """One further analyzer: its driver, its title, the tube it takes, the tests it may report; `asks`: it asks what to
    run and runs that; else it tells results of the tubes. `posts`: by HTTP."""

    driver: str
    title: str
    container: str
    tests: tuple[str, ...]
    asks: bool = True
    posts: bool = False


GUESTS: Mapping[str, Guest] = {
    "c311": Guest("roche_cobas_c311", "Roche cobas c 311, chemistry", "S", ("CREAT", "ALT", "CHOL")),
    "ba400": Guest("biosystems_ba400", "BioSystems BA400, chemistry", "S", ("ALB", "CRP")),
    "xpand": Guest("siemens_dimension", "Siemens Dimension Xpand, chemistry", "S", ("AST", "TP", "CA")),
    "x8": Guest("snibe_maglumi", "Snibe Maglumi X8, immunoassay", "S", ("TSH", "FT4")),
    "ca660": Guest("sysmex_ca", "Sysmex CA-660, coagulation", "C", ("PT", "INR", "APTT")),
    "d10": Guest("biorad_d10", "Bio-Rad D-10, HbA1c", "E", ("HBA1C",), asks=False),
    "ise": Guest("diamond_smartlyte", "Diamond SmartLyte, electrolytes", "S", ("NA", "K"), asks=False, posts=True),
}


def tables(ports: Mapping[str, int]) -> str:
    """The [[analyzer]] tables of the guests, on these ports."""
    return "".join(_table(name, guest, ports[name]) for name, guest in GUESTS.items())


def _table(name: str, guest: Guest, port: int) -> str:
    line = f"http-listen://127.0.0.1:{port}/ions" if guest.posts else f"tcp-listen://127.0.0.1:{port}"
    tests = ", ".join(f'"{test}"' for test in guest.tests)
    return (
        f'\n[[analyzer]]\nname = "{name}"\ndriver = "{guest.driver}"\ntitle = "{guest.title}"\nline = "{line}"\n'
        f"enabled = true\nauto_release = false\ntests = [{tests}]\n"
    )


def admit_patients(lab: Lab) -> dict[str, list[str]]:
    """A few more people, ordered what the guests can do; container → their tubes' numbers."""
    tests = tuple(test for guest in GUESTS.values() for test in guest.tests)
    people = [replace(one, tests=tests) for one in visitors(PATIENTS, len(PEOPLE))]
    pks = [pk for made in admit(lab, tuple(people)) for pk in made.sample_pks]
    s = store.table(Sample)
    with lab.read() as conn:
        rows = conn.execute(select(s.c.container, s.c.sample_id).where(s.c.id.in_(pks)).order_by(s.c.id)).all()
    tubes: dict[str, list[str]] = {}
    for row in rows:
        tubes.setdefault(row.container, []).append(row.sample_id)
    return tubes


def start(stage: Stage, processes: Processes, tubes: Mapping[str, list[str]]) -> None:
    """Each guest's simulator, over the transport it really uses, until it has nothing more to say."""
    for name, guest in GUESTS.items():
        where = f"127.0.0.1:{stage.guests[name]}"
        stage.books(name).parent.mkdir(parents=True, exist_ok=True)
        processes.start(
            f"simulator-{name}", "simulate", guest.driver, "--to",
            f"http://{where}/ions" if guest.posts else f"tcp://{where}", "--ask" if guest.asks else "--ids",
            ",".join(tubes[guest.container]), "--name", name, "--log", str(stage.books(name)), "--retry", "1",
            "--fast", "--once",
        )  # fmt: skip
