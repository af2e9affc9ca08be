"""The front door: the `labmitra` command, one subcommand per thing a person does. No logic lives here.

Turns a command line into one call of the part that does the work.
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

from middleware.ending import in_order, with_starter
from middleware.kit.cli import add_to
from simulators.cli import app as simulate_app

if TYPE_CHECKING:
    from middleware.settings import Settings

app = typer.Typer(
    help="Lab Mitra: from analyzer bytes to the patient's phone.", no_args_is_help=True, pretty_exceptions_enable=False
)
driver_app = typer.Typer(help="The analyzers that are known.", no_args_is_help=True)
db_app = typer.Typer(help="The lab's and the report service's databases.", no_args_is_help=True)
user_app = typer.Typer(help="People who may log in.", no_args_is_help=True)
app.add_typer(driver_app, name="driver")
app.add_typer(db_app, name="db")
app.add_typer(user_app, name="user")
app.add_typer(simulate_app, name="simulate", help="Pretend to be an analyzer, of which some ask; or the SMS gateway.")

Config = Annotated[
    Path,
    typer.Option(
        "--config", exists=True, file_okay=False, help="Folder with lab.toml, analyzers.toml, tests.csv, rules.toml."
    ),
]
HERE = Path(__file__).parent / "config"


def _fail(text: str, code: int = 2) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(code)


@contextmanager
def _in_words() -> Iterator[None]:
    """A database or disk that cannot be used is one sentence and exit 1, never a traceback."""
    from middleware.trouble import Trouble, in_words

    try:
        with in_words():
            yield
    except Trouble as trouble:
        raise _fail(str(trouble), 1) from trouble


@contextmanager
def _service(told_to_end: int = 0) -> Iterator[None]:
    """What is true of all that runs for long: trouble in words, and an ordered end also while it starts."""
    with in_order(told_to_end), _in_words():
        yield


@contextmanager
def _who_reads_may_leave() -> Iterator[None]:
    """`labmitra trace … | head` has seen enough: that is no trouble. Python flushes once more at its end."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="Bytes of a line, ASTM records, MLLP blocks or one HL7 message.")],
    driver: Annotated[str, typer.Option("--driver", help="Which driver reads it, e.g. sysmex_xn.")],
) -> None:
    """Show what a driver reads in a file, as one JSON object."""
    from drivers.decode import decode_file
    from drivers.driver import DecodeError

    try:
        data = file.read_bytes()
        typer.echo(json.dumps(decode_file(data, driver), ensure_ascii=False, indent=1))
    except OSError as error:
        raise _fail(f"{file}: {error.strerror}") from error
    except DecodeError as error:
        raise _fail(f"{file}: {error}") from error


@driver_app.command("list")
def driver_list(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As docs/analyzers.md has them, each with its page.")
    ] = False,
) -> None:
    """List the drivers: name, analyzer, proof, directions, codes that are mapped."""
    from drivers.engine import handbook

    typer.echo(handbook.markdown() if markdown else "\n".join(handbook.listing()), nl=not markdown)


@driver_app.command("show")
def driver_show(name: Annotated[str, typer.Argument(help="A file of drivers/, without .py.")]) -> None:
    """Show a driver's page: manual, proof, where things sit, quirks, what it cannot."""
    from drivers.engine import handbook

    try:
        typer.echo(handbook.show(name))
    except KeyError as error:
        raise _fail(error.args[0]) from error


@app.command()
def trace(
    analyzer: Annotated[str, typer.Argument(help="Its name in analyzers.toml.")],
    since: Annotated[str, typer.Option(help='From when: 15m, 3d (ago), 10:30, 2026-01-30, "2026-01-30 10:30".')] = "",
    until: Annotated[str, typer.Option(help="Up to when, written likewise.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the line speaks, until Ctrl-C.")] = False,
    message: Annotated[str, typer.Option("--message", help="Only what was said around this message's id.")] = "",
    as_hex: Annotated[bool, typer.Option("--hex", help="Bytes in hexadecimal.")] = False,
    config: Config = HERE,
) -> None:
    """Show what was said on a line, byte for byte, live and from the past: without a time, the newest conversations.

    → in: the analyzer said it; ← out: we did; in brackets what we made of it. Patients' data appears on purpose:
    this is the engineer's tool, for the lab's own computer. Do not send its output outside the laboratory.
    """
    from middleware.trace_command import Wrong, run

    settings = _settings(config)
    try:
        with _in_words(), _who_reads_may_leave():
            run(settings, analyzer, since, until, follow, message, as_hex, typer.echo)
    except Wrong as wrong:
        raise _fail(str(wrong)) from wrong
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def journal(config: Config = HERE) -> None:
    """Say what the flight recorder holds, what waits, and what of it would go ([store] journal_days)."""
    from datetime import UTC, datetime

    from middleware.journal_overview import overview

    settings = _settings(config)
    with _in_words():
        lines = overview(settings.journal, settings.journal_days, datetime.now(UTC), settings.lab.timezone)
    typer.echo("\n".join(lines))


@app.command()
def check(
    config: Config = HERE,
    deep: Annotated[bool, typer.Option("--deep", help="Read journal and databases from end to end, too.")] = False,
) -> None:
    """Name every mistake in the configuration: file, key, reason, what to write instead."""
    from middleware.check import check as find
    from middleware.check import report
    from middleware.sound import deep as read_all

    typer.echo(report(config, os.environ))
    if find(config, os.environ):
        raise typer.Exit(1)
    told = list(read_all(_settings(config))) if deep else []
    for sentence, _ in told:
        typer.echo(sentence)
    raise typer.Exit(0 if all(whole for _, whole in told) else 1)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="The whole day at full speed, without a person.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Begin anew: forget the demo's data.")] = False,
    config: Config = HERE,
) -> None:
    """A whole lab with simulated analyzers on this machine, under var/."""
    with _service(told_to_end=1 if once else 0):  # a day that was not played to its end does not balance
        from middleware.check import check as find
        from middleware.check import table
        from server.demo import live
        from server.demo import once as once_module

        if problems := find(config, os.environ):
            raise _fail(table(problems))
        raise typer.Exit(once_module.run(config) if once else live.run(config, Path("var/demo"), reset))


@app.command()
def conform(
    driver: Annotated[str, typer.Option("--driver", help="What the peer is taken for: its language, its messages.")],
    to: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT or serial:PATH of a host; we play the analyzer.")
    ] = None,
    listen: Annotated[str | None, typer.Option(help="tcp://HOST:PORT: an analyzer connects; we are the host.")] = None,
    analyzer: Annotated[bool, typer.Option("--analyzer", help="At --to is an analyzer; we are the host.")] = False,
    clause: Annotated[list[str] | None, typer.Option(help="Only these: LL-24, ML, H7-02; repeatable.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows to this file too.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the cases that must wait 10 s or more.")] = False,
    jobs: Annotated[int, typer.Option(help="Cases side by side, where the peer takes several connections.")] = 8,
    wait: Annotated[float, typer.Option(help="Seconds for an analyzer to begin a session.")] = 120.0,
    config: Config = HERE,
) -> None:
    """Try a receiver or a sender clause by clause: our own middleware, or with --to or --listen anybody's."""
    from contextlib import nullcontext

    from middleware.check import table
    from middleware.settings import ConfigError
    from server.own_line import own_line
    from simulators.conform import cli

    ours = to is None and listen is None
    if analyzer and ours:
        raise _fail("--analyzer says what is at --to: name its address, too")
    try:
        with own_line(config, driver) if ours else nullcontext(to) as address:
            wanted = cli.Wanted(driver, address, listen, cli.clauses(clause), json_file, quick, jobs, wait, analyzer)
            code = cli.run(wanted, typer.echo, cli.progress)
    except ConfigError as error:
        raise _fail(table(error.problems)) from error
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise _fail(str(error.args[0] if isinstance(error, KeyError) else error)) from error
    raise typer.Exit(code)


@app.command()
def middleware(config: Config = HERE) -> None:
    """Hold the lines to the analyzers: read, journal, acknowledge, decode, match, verify."""
    with _service():
        from middleware.service import serve

        raise typer.Exit(serve(_settings(config)))


@app.command()
def lab(config: Config = HERE) -> None:
    """Serve the technician pages and hand released reports over."""
    with _service():
        from server.lab.main import serve

        raise typer.Exit(serve(_settings(config)))


@app.command()
def reports(config: Config = HERE) -> None:
    """Serve the report service: links, patient pages, PDF, SMS."""
    with _service():
        from server.reports.main import serve

        raise typer.Exit(serve(_settings(config)))


@app.command()
def run(config: Config = HERE) -> None:
    """Upgrade the databases and run all three services on this machine until Ctrl-C."""
    with _service():
        from server.run import run_all

        raise typer.Exit(run_all(config, _settings(config)))


@app.command()
def backup(to: Annotated[Path, typer.Argument(help="Folder to write the copies into.")], config: Config = HERE) -> None:
    """Copy journal and SQLite databases consistently while everything runs."""
    from middleware.backup import copy_all

    settings = _settings(config)
    with _in_words():
        for line in copy_all(settings, to):
            typer.echo(line)


@db_app.command("upgrade")
def db_upgrade(config: Config = HERE) -> None:
    """Bring both databases to today's shape."""
    from server.run import upgrade_all

    settings = _settings(config)
    with _in_words():
        upgrade_all(settings)
    typer.echo("lab and report databases are up to date")


@user_app.command("add")
def user_add(
    username: str,
    name: Annotated[str, typer.Option(prompt=True)],
    role: Annotated[str, typer.Option(help="reception, technician, pathologist, engineer or admin.")] = "admin",
    qualification: str = "",
    password: Annotated[str, typer.Option(prompt=True, confirmation_prompt=True, hide_input=True)] = "",
    config: Config = HERE,
) -> None:
    """Add a person (the first admin, on a new installation)."""
    from middleware.actions import SYSTEM
    from middleware.actions.users import create_user
    from middleware.lab import open_lab
    from middleware.model import Refused, Role

    if role not in list(Role):
        raise _fail(f'There is no role "{role}". Write one of: {", ".join(Role)}.')
    lab = open_lab(_settings(config))
    try:
        with _in_words():
            create_user(lab, SYSTEM, username, name, qualification, Role(role), password)
    except Refused as error:
        raise _fail(str(error)) from error
    finally:
        lab.engine.dispose()
    typer.echo(f"{username} may log in and will be asked for a new password")


def _settings(config: Path) -> Settings:
    """The settings, or every mistake in words and exit 2."""
    from middleware.check import table
    from middleware.settings import ConfigError, load

    try:
        return load(config, os.environ)
    except ConfigError as error:
        raise _fail(table(error.problems)) from error


add_to(app, driver_app)  # driver new, identify, capture, replay


def main() -> None:
    """Entry of the console script."""
    with_starter(os.environ)
    sys.exit(app())


if __name__ == "__main__":
    main()
