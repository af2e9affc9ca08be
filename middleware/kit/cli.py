"""The engineer's commands: `driver new`, `identify`, `capture`, `replay --diff`. No logic lives here.

Turns a command line into one call of the kit. Law: what cannot be done is one sentence and exit 2; exit 1 says that no
driver fits, or that something would change; nothing here writes a secret, the journal or the lab database.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from middleware.kit.capture_files import Source
    from middleware.kit.listen import Answers
    from middleware.settings import Settings

HOME = Path(__file__).parents[2]

Config = Annotated[
    Path, typer.Option("--config", exists=True, file_okay=False, help="Folder with lab.toml, analyzers.toml, …")
]
ListenOn = Annotated[
    str, typer.Option("--listen", help="tcp://HOST:PORT (the analyzer dials us) or serial:PATH?baud=9600.")
]
Dial = Annotated[str, typer.Option("--to", help="tcp://HOST:PORT of an analyzer that we dial.")]
AnswerBusy = Annotated[
    bool, typer.Option("--answer-busy", help="Answer ENQ with NAK: the analyzer waits, asks again, keeps its data.")
]
Keep = Annotated[
    Path | None,
    typer.Option(
        "--acknowledge-and-keep",
        help="Acknowledge, after writing to this new file, synced: it is then the only copy of these results.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="As one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Write over files that are there.")]


def add_to(app: typer.Typer, drivers: typer.Typer) -> None:
    """Add the kit's commands to the front door; `drivers` are those of `labmitra driver`."""
    drivers.command("new")(driver_new)
    for command in (identify, capture, replay):
        app.command()(command)


def _fail(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(2)


@contextmanager
def _in_words() -> Iterator[None]:
    """What a person can mend is one sentence and exit 2; 1 is a finding, never a disk or database that is wrong."""
    from middleware.kit import Misuse
    from middleware.trouble import Trouble, in_words

    try:
        with in_words():
            yield
    except (Misuse, Trouble) as wrong:
        raise _fail(str(wrong)) from wrong


def _settings(config: Path) -> Settings:
    """The settings, without making a secret; every mistake in words and exit 2."""
    from middleware.check import table
    from middleware.settings_loader import read_settings

    settings, problems = read_settings(config, os.environ, make_secrets=False)
    if settings is None or problems:
        raise _fail(table(problems))
    return settings


def _progress(done: int, all_: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{done} of {all_}" + ("\n" if done == all_ else ""), err=True, nl=False)


def driver_new(
    capture_file: Annotated[Path, typer.Option("--from-capture", exists=True, dir_okay=False, help="Bytes of a line.")],
    name: Annotated[str, typer.Option(help="maker_model, such as sysmex_xn.")],
    into: Annotated[Path, typer.Option(file_okay=False, help="The folder that holds drivers/ and tests/.")] = HOME,
    force: Force = False,
    config: Config = HOME / "config",
) -> None:
    """Draft a driver from a capture: where ids, codes, values, times seem to sit, and why. The engineer corrects it.

    Writes drivers/NAME.py, tests/captures/NAME/first.raw and first.json. Exit 0: drafted. 2: it cannot be, and why.
    """
    from middleware.catalogue import read_catalogue
    from middleware.kit.draft_files import make

    with _in_words():
        drafted = make(capture_file, name, read_catalogue(config).tests, into, force)
    typer.echo("\n".join(drafted.told()))


def identify(
    file: Annotated[Path | None, typer.Argument(help="Bytes of a line; or --analyzer, --listen, --to.")] = None,
    analyzer: Annotated[str, typer.Option(help="What this analyzer of analyzers.toml said last.")] = "",
    listen: ListenOn = "",
    to: Dial = "",
    seconds: Annotated[float, typer.Option(help="How long to listen; Ctrl-C ends it sooner.")] = 60.0,
    busy: AnswerBusy = False,
    keep: Keep = None,
    save: Annotated[Path | None, typer.Option(help="Write what was heard to this new file, for `driver new`.")] = None,
    driver: Annotated[str, typer.Option(help="The driver this line should have: does it fit?")] = "",
    as_json: Json = False,
    config: Config = HOME / "config",
) -> None:
    """Say which drivers fit a stream and why, and what is wrong with a line. Advice: it never chooses a driver.

    While listening nothing is acknowledged, so the analyzer keeps its results. Exit 0: a driver fits. 1: none does.
    2: it cannot be done, and why.
    """
    from middleware.kit import told
    from middleware.kit.identify import identify as look
    from middleware.kit.recorded import said_by

    if sum(map(bool, (file, analyzer, listen, to))) != 1 or (busy and keep):
        raise _fail("Name one of FILE, --analyzer, --listen, --to; --answer-busy or --acknowledge-and-keep, not both.")
    if save and save.exists():
        raise _fail(f"{save} is there already: name another file.")
    with _in_words():
        if analyzer:
            data, has = said_by(_settings(config), analyzer)
        else:
            data, has = file.read_bytes() if file else _heard(listen or to, bool(to), seconds, busy, keep), ""
        if save:
            save.write_bytes(data)
        found = look(data, _progress)
    typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1) if as_json
               else "\n".join(told.identity(found, driver or has, bool(listen or to) and not keep)))  # fmt: skip
    raise typer.Exit(0 if any(fit.fits for fit in found.fits) else 1)


def _heard(url: str, dials: bool, seconds: float, busy: bool, keep: Path | None) -> bytes:
    from datetime import datetime

    from middleware.kit.listen import Busy, Keeping, Silent, line_of
    from middleware.kit.listen import listen as hear

    line = line_of(url, dials)
    keeping = Keeping(keep, lambda: datetime.now().astimezone()) if keep else None
    answers: Answers = keeping or (Busy() if busy else Silent())
    try:
        heard = hear(line, seconds, answers, lambda text: typer.echo(text, err=True))
    finally:
        if keeping:
            keeping.close()
    if keeping and keeping.kept:
        typer.echo(
            f"{keeping.path} holds {keeping.kept} frames or messages that the analyzer will not send again: bring them "
            "in by a folder line (folder:PATH) of the right driver, and keep the file until they are released.",
            err=True,
        )
    return bytes(heard.data)


def capture(
    message_id: Annotated[str, typer.Argument(help="Id of a stored message; or --live, or --file.")] = "",
    live: Annotated[str, typer.Option(help="The next message of this analyzer of analyzers.toml.")] = "",
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Bytes of a line; with --driver.")
    ] = None,
    driver: Annotated[str, typer.Option(help="Which driver reads it, where analyzers.toml does not say.")] = "",
    into: Annotated[Path, typer.Option(file_okay=False, help="Folder of captures.")] = Path("tests/captures"),
    case: Annotated[str, typer.Option(help="Name of the case: letters, digits and _.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds that --live waits.")] = 600.0,
    force: Force = False,
    config: Config = HOME / "config",
) -> None:
    """Write a capture with other names and numbers: byte for byte, both directions, times; ready for tests/captures.

    The engineer still has to look at it before it leaves the laboratory. Exit 0: written. 2: it cannot be, and why.
    """
    import re

    from middleware.kit import capture_files as files

    if sum(map(bool, (message_id, live, file))) != 1:
        raise _fail("Name one of MESSAGE_ID, --live ANALYZER and --file FILE.")
    if case and not re.fullmatch(r"\w{1,80}", case):
        raise _fail(f'"{case}" is no name for a case: write letters, digits and _.')
    with _in_words():
        source = files.from_file(file, driver) if file else _source(_settings(config), message_id, live, wait, driver)
        captured = files.make(source)
        written = files.write(captured, into, case or source.case, force)
    typer.echo("\n".join(files.told(captured, written)))


def _source(settings: Settings, message_id: str, live: str, wait: float, driver: str) -> Source:
    import time

    from middleware.kit import capture_files as files

    if message_id:
        return files.from_message(settings, message_id, driver)
    typer.echo(f"waiting for the next message of {live} …", err=True)
    return files.from_line(settings, live, wait, time.sleep, driver)


def replay(
    since: Annotated[
        str, typer.Option(help='From when: 12h, 7d (ago), 2026-01-30, "2026-01-30 10:30"; "" for all.')
    ] = "7d",
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change: all that this command does.")] = False,
    driver: Annotated[str, typer.Option(help="Analyzers with this driver; with --analyzer: as if it had it.")] = "",
    analyzer: Annotated[str, typer.Option(help="Only this analyzer of analyzers.toml.")] = "",
    as_json: Json = False,
    config: Config = HOME / "config",
) -> None:
    """Run stored messages through today's drivers and this configuration, and show which reported values would change.

    Writes nothing: journal and lab database are opened read only. Exit 0: nothing would change. 1: something would.
    2: it cannot be done, and why.
    """
    from datetime import UTC, datetime

    from middleware.kit import Misuse, told
    from middleware.kit.what_if_run import Asked, run
    from middleware.trace import moment_of

    if not diff:
        raise _fail("Write --diff. To file a message anew use “Replay” on its page: that is a person's step.")
    settings = _settings(config)
    with _in_words():
        try:
            moment = moment_of(since, settings.lab.timezone, datetime.now(UTC)) if since else None
        except (ValueError, OverflowError) as wrong:
            raise Misuse(str(wrong)) from wrong
        found = run(settings, Asked(moment, driver, analyzer), lambda: datetime.now(UTC), _progress)
    typer.echo(json.dumps(told.what_if_json(found), ensure_ascii=False, indent=1) if as_json
               else "\n".join(told.what_if(found, moment)))  # fmt: skip
    raise typer.Exit(1 if found.changes else 0)
