"""Turns the drivers into the page that engineers read, docs/analyzers.md: each one's docstring, and what its form says.

Law: nothing stands on the page that is not in a driver; the same drivers make the same page, byte for byte.
Source: the docstrings (parts of one order: opening, Manual, Proof, where things sit, Quirks, Cannot) and the forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NamedTuple

from drivers.driver import Driver, driver_names, load_driver
from drivers.engine.form import no_answer
from drivers.engine.words import Kind
from drivers.wire.fields import place

# Word of an opening → where the driver stands on the page, in this order. The first of them in the opening decides.
DISCIPLINES = {
    "haematology": "Haematology",
    "chemistry": "Clinical chemistry",
    "immunoassay": "Immunoassay",
    "HbA1c": "HbA1c and point of care",
    "point of care": "HbA1c and point of care",
    "point-of-care": "HbA1c and point of care",
    "blood gas": "Blood gas and electrolytes",
    "electrolytes": "Blood gas and electrolytes",
    "urine": "Urine",
    "coagulation": "Coagulation",
    "molecular": "Molecular",
    "Any well-behaved analyzer": "Any analyzer",
}
PARTS = re.compile(
    r"(?P<what>.+?\S)\. (?P<speaks>[^\n]+?)\.\n\nManual +(?P<manual>.+?)\nProof +(?P<proof>.+?)\n\n"
    r"Where things sit,?(?P<where>.+?)\nQuirks: (?P<quirks>.+?)\nCannot: (?P<cannot>.+)",
    re.DOTALL,
)
ADDRESSES = (
    ("sample id", "sample_id"), ("code", "code"), ("name", "code_name"), ("value", "value"), ("unit", "unit"),
    ("flags", "flag"), ("range", "range"), ("status", "status"), ("time", "observed_at"),
    ("which of several", "aspect"), ("interpretation", "coded"), ("sample id of a query", "query_id"),
    ("sample id further on in a list", "query_further"),
)  # fmt: skip

HEAD = """# Analyzers

What each driver reads, and what it cannot. Made from the drivers themselves by `make docs`; a change goes into the
driver's own file, `drivers/<name>.py`, never in here. `labmitra driver show NAME` prints one of these pages.

- **Directions**: every driver reads results. *answers* means that it tells an analyzer that asks what to run;
  *is told orders* means that orders are sent to it without being asked.
- **Proof**: *manual* was written from the vendor's text or from working interfaces, *capture* reads recorded messages,
  *field* ran beside a laboratory's own analyzer. Only *field* may release by itself.
- **Codes**: how many of the analyzer's codes are mapped to how many tests of the catalogue. `[analyzer.codes]` in
  config/analyzers.toml adds others and overrides these; *by the site* means that all of them stand there.
"""


class Page(NamedTuple):
    """One driver's docstring, cut into its parts, each one line."""

    what: str
    speaks: str
    manual: str
    proof: str
    where: str
    quirks: str
    cannot: str

    def escaped(self) -> Page:
        """The same, with what Markdown would read as its own marks made text; between backticks nothing is."""
        return Page(*map(_escaped, self))

    @property
    def discipline(self) -> str:
        """Where it stands on the page; ValueError when its opening names no discipline."""
        found = [(at, name) for word, name in DISCIPLINES.items() if (at := self.what.find(word)) >= 0]
        if not found:
            raise ValueError(f"the opening names no discipline: {self.what}")
        return min(found)[1]


def page(name: str) -> Page:
    """The parts of a driver's docstring; ValueError when one is missing or out of order."""
    text = (import_module(f"drivers.{name}").__doc__ or "").strip()
    found = PARTS.fullmatch(text)
    if found is None:
        raise ValueError(f"drivers/{name}.py does not open with manual, proof, where things sit, quirks, cannot")
    return Page(**{part: " ".join(said.splitlines()).strip() for part, said in found.groupdict().items()})


def markdown() -> str:
    """The whole of docs/analyzers.md."""
    shown = _in_order()
    rows = [f"| {d} | [{f.title}](#{f.name}) | `{f.name}` | {p.speaks} | {directions(f)} | {f.grade} | {codes(f)} |"
            for d, f, p in shown]  # fmt: skip
    table = ["| discipline | analyzer | driver | speaks | directions | proof | codes |", "|" + "---|" * 7, *rows]
    sections = []
    for number, (discipline, form, of) in enumerate(shown):
        if not number or shown[number - 1][0] != discipline:
            sections.append(f"## {discipline}\n")
        sections.append("\n".join(_section(form, of)))
    return "\n".join([HEAD, *table, "", *sections])


def listing() -> list[str]:
    """The drivers as a table for a screen: name, title, proof, directions, codes."""
    rows = [(f.name, f.title, str(f.grade), directions(f), codes(f)) for _, f, _ in _in_order()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def show(name: str) -> str:
    """One driver's section, to be read in a terminal; KeyError, naming those there are, when there is none."""
    return "\n".join(_section(load_driver(name), page(name))).replace(f'<a id="{name}"></a>', "")


def directions(form: Driver) -> str:
    """What goes which way, in words."""
    told = ["results"]
    told += ["answers"] if form.answers is not no_answer else []
    told += ["is told orders"] if form.pushes is not None else []
    return ", ".join(told)


def codes(form: Driver) -> str:
    """How many codes are mapped to how many tests."""
    count = sum(known.test is not None for known in form.tests.values())
    if not count or form.codes_are_the_sites:
        return "the catalogue's own, LOINC" if form.codes_are_catalogue else "by the site"
    return f"{count} for {len(_tests(form))} test{'s' * (len(_tests(form)) > 1)}"


def spoken(address: str) -> str:
    """An address in words: R.3.4 → R-3 component 4."""
    record, _, inside = address.partition(".")
    where = place(inside)
    told = f"{record}-{where.field}"
    for word, number in (("repeat", where.repeat), ("component", where.component), ("part", where.sub)):
        told += f" {word} {number}" if number else ""
    return told


def _in_order() -> list[tuple[str, Driver, Page]]:
    order = list(dict.fromkeys(DISCIPLINES.values()))
    shown = [(page(name).discipline, load_driver(name), page(name).escaped()) for name in driver_names()]
    return sorted(shown, key=lambda one: (order.index(one[0]), one[1].title.casefold()))


def _section(form: Driver, of: Page) -> Iterator[str]:
    yield f'### <a id="{form.name}"></a>{form.title}\n'
    yield f"{of.what}. {of.speaks}.\n"
    yield f"- **Driver** `{form.name}`; {directions(form)}"
    yield f"- **Manual** {of.manual}"
    yield f"- **Proof** {of.proof}"
    yield f"- **Codes** {_mapped(form)}"
    yield from _settings(form)
    yield f"- **Cannot** {of.cannot}\n"
    rows = [f"| {what} | {where} |" for what, where in _addresses(form)]
    yield from ("| what | where |", "|---|---|", *rows, "") if rows else ()
    title, _, items = of.where.partition(": ") if not of.where.startswith(":") else ("", "", of.where[1:])
    yield f"**Where things sit**{f', {title.strip()}' if title else ''}\n"
    yield from (f"- {item.strip()}" for item in items.split(" · "))
    yield f"\n**Quirks** {of.quirks}\n"


def _mapped(form: Driver) -> str:
    """How many codes, for which tests, and what else is known."""
    tests, known = _tests(form), form.tests.values()
    told = [codes(form) + (f": {', '.join(tests)}" if tests else "; others in `[analyzer.codes]`")]
    for count, what in (
        (sum(one.kind is Kind.MEASUREMENT and one.test is None for one in known), "known and never reported"),
        (sum(one.kind is Kind.SUSPECT for one in known), "by which it doubts itself"),
    ):
        told += [f"{count} {what}"] if count else []
    return "; ".join(told)


def _tests(form: Driver) -> list[str]:
    """The catalogue tests its codes stand for; where the order decides between several, all of them in one."""
    return list(dict.fromkeys(known.test.replace("|", "/") for known in form.tests.values() if known.test))


def _settings(form: Driver) -> Iterator[str]:
    """What the site may have to set, and what the line has to know."""
    if form.sender:
        yield f"- **Sender** {'MSH-3' if form.speaks == 'HL7' else 'H-5'} begins like `{form.sender}`"
    if form.framings:
        yield f"- **Framings** {', '.join(f'`{name}`' for name in form.framings)} (key `framing`)"
    if form.columns:
        yield f"- **Columns** that the analyzer sets (table `layout`): {', '.join(form.columns)}"
    frames = [f"frames sent to it hold {form.frame_size} characters"] if form.frame_size != 240 else []
    frames += ["each record has a frame of its own"] if form.one_record_a_frame else []
    frames += ["frames end without a CR"] if form.bare_frames else []
    frames += ["frame numbers are not checked"] if form.free_numbering else []
    if frames:
        yield f"- **Frames** {'; '.join(frames)}"


def _addresses(form: Driver) -> Iterator[tuple[str, str]]:
    """What → where, in words, for all that the form itself says."""
    for what, field in ADDRESSES:
        said: str | tuple[str, ...] = getattr(form, field)
        if said:
            yield what, ", else ".join(map(spoken, (said,) if isinstance(said, str) else said))
    marks = _marks(form.control) + ([f"an id like `{_cell(form.control_id)}`"] if form.control_id else [])
    told = {
        "control": ", or ".join(marks),
        "calibration": ", or ".join(_marks(form.calibration)),
        "sent again": f"status {form.resent}" if form.resent and form.status else "",
        "its own flags": ", ".join(f"`{_cell(own)}` is {plain}" for own, plain in form.flag_words.items()),
        "ids that name no tube": f"`{_cell(form.pseudo)}`" if form.pseudo else "",
    }
    yield from ((what, where) for what, where in told.items() if where)


def _marks(marks: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{spoken(address)} is {value}" for address, value in marks]


def _escaped(text: str) -> str:
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*<~])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _cell(pattern: str) -> str:
    """A pattern that may stand in a table: a bar would end its cell."""
    return pattern.replace("|", "\\|")
