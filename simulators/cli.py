"""The `labmitra simulate` commands: one per simulated analyzer, and `sms` for the gateway.

Turns a command line into a player on a line, or a served gateway. Law: no logic; heavy parts are imported when used.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
import typer.core

# those with a day of their own; every other driver's analyzer says its captures anew
NAMES = ("sysmex_xn", "erba_xl", "mindray_bc", "roche_cobas_e411", "generic_astm", "generic_hl7")


class Analyzers(typer.core.TyperGroup):
    """A command for every driver there is, made when it is called: nobody waits for sixty commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The analyzers in the order of their names, then the rest."""
        from drivers.driver import driver_names

        return [*driver_names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        found = super().get_command(ctx, cmd_name)
        if found is None:
            from drivers.driver import driver_names

            if cmd_name in driver_names():
                alone = typer.Typer(pretty_exceptions_enable=False)
                alone.command(cmd_name, help=_what(cmd_name))(_command(cmd_name))
                return typer.main.get_command(alone)
        return found


def _what(name: str) -> str:
    """What a driver's simulator does, in a line."""
    from drivers.driver import load_driver
    from simulators.two_way import FAMILIES

    how = "a day" if name in NAMES else "captures"
    return f"{load_driver(name).title}: {how}{', asks' if name in FAMILIES else ''}"


app = typer.Typer(cls=Analyzers, no_args_is_help=True, pretty_exceptions_enable=False)

To = Annotated[
    str | None,
    typer.Option(
        help="tcp://HOST:PORT, serial:PATH, pty:PATH (makes a cable, PATH is its lab end), http://HOST:PORT/path "
        "(posts), folder:PATH (leaves files)."
    ),
]
Ids = Annotated[str | None, typer.Option("--ids", help="Sample ids, commas between them: results of these tubes.")]
Ask = Annotated[
    str | None,
    typer.Option("--ask", help="Sample ids: ask the lab about these tubes and run exactly what it orders."),
]
Captures = Annotated[list[Path] | None, typer.Option("--capture", help="A recording of its bytes, repeatable.")]
Framing = Annotated[str, typer.Option(help="How it marks its messages, where its driver knows several ways.")]
ListenOn = Annotated[str | None, typer.Option("--listen", help="tcp://HOST:PORT: the lab connects to us.")]
DayFile = Annotated[Path | None, typer.Option("--day", help="Day file, or a folder of them; without it made up.")]
Pace = Annotated[float, typer.Option(help="Seconds between two messages.")]
Books = Annotated[
    Path | None, typer.Option("--log", help="A line for each acknowledged message; those in it are not sent again.")
]
Retry = Annotated[float | None, typer.Option(help="Seconds before a message that was not accepted is repeated.")]
Wrong = Annotated[
    list[str] | None,
    typer.Option("--fault", help="KIND[:option=value,...], repeatable; see `labmitra simulate --list-faults`."),
]


def _list_faults(wanted: bool) -> None:
    if wanted:
        from simulators.faults import KINDS

        typer.echo("\n".join(fault.text for fault in KINDS.values()))
        raise typer.Exit


@app.callback()
def simulate(
    list_faults: Annotated[
        bool, typer.Option("--list-faults", is_eager=True, callback=_list_faults, help="What --fault can be.")
    ] = False,
) -> None:
    """Pretend to be an analyzer, or the SMS gateway.

    An analyzer plays a day of its own, or says its captures anew; those that ask the lab what to run take --ask.
    """


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """What is wrong with the command line is one sentence and exit 2."""
    try:
        yield
    except (ValueError, KeyError, OSError) as error:
        said = error.args[0] if isinstance(error, KeyError) else error
        typer.echo(f"{name}: {said}", err=True)
        raise typer.Exit(2) from error


def _command(name: str) -> Callable[..., None]:
    def run(
        to: To = None,
        listen: ListenOn = None,
        day: DayFile = None,
        pace: Pace = 2.0,
        log: Books = None,
        called: Annotated[str, typer.Option("--name", help="What the log calls it; as in analyzers.toml.")] = "",
        fast: Annotated[bool, typer.Option("--fast", help="No pauses that only look real.")] = False,
        seed: Annotated[int, typer.Option(help="For made-up samples, and for when faults strike.")] = 1,
        fault: Wrong = None,
        once: Annotated[bool, typer.Option("--once", help="Exit when the plan is played.")] = False,
        retry: Retry = None,
        check: Annotated[bool, typer.Option("--check", help="Send nothing; have the messages checked.")] = False,
        ids: Ids = None,
        ask: Ask = None,
        capture: Captures = None,
        framing: Framing = "",
        orders: Annotated[bool, typer.Option("--orders", help="Run what the lab orders unasked, too.")] = False,
    ) -> None:
        """Play the analyzer's day."""
        how = {"pace": pace, "fast": fast, "retry": retry, "once": once, "books": log, "called": called}
        with _in_words(name):
            if name in NAMES and not (ids or capture) and ask is None:
                _play_its_day(name, to, listen, day, seed, fault or [], check, how, orders)
            else:
                _play_captures(name, to, listen, day, seed, fault or [], check, how, _list(ids), _list(ask),
                               capture or [], framing)  # fmt: skip

    return run


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [each.strip() for each in text.split(",") if each.strip()]


def _play_its_day(
    name: str, to: str | None, listen: str | None, day: Path | None, seed: int, fault: list[str], check: bool,
    how: dict[str, Any], orders: bool,
) -> None:  # fmt: skip
    from simulators.run import Days, check_plan, make_faults, make_plan, play
    from simulators.run_any import listener

    pace = 0.0 if how["fast"] else how["pace"]
    days = Days(name, day, pace, how["books"]) if day and day.is_dir() else None
    steps = days.more() if days else make_plan(name, day, seed, pace, datetime.now(UTC))
    if check:
        raise typer.Exit(check_plan(name, steps, typer.echo))
    stop = stopping()
    faults = make_faults(name, fault, seed, stop)
    talks = listener(name, typer.echo) if orders else None
    sources = [source.more for source in (days, talks) if source is not None]
    play(name, steps, to, listen, stop, more=lambda: [step for more in sources for step in more()], faults=faults,
         talks=talks, **how)  # fmt: skip


def _play_captures(
    name: str, to: str | None, listen: str | None, day: Path | None, seed: int, fault: list[str], check: bool,
    how: dict[str, Any], ids: list[str] | None, ask: list[str] | None, captures: list[Path], framing: str,
) -> None:  # fmt: skip
    from simulators import run_any

    wanted = run_any.Wanted(name, ids, ask, captures, framing, day, seed)
    if check:
        raise typer.Exit(run_any.check(wanted, typer.echo))
    run_any.play_any(wanted, to, listen, stopping(), fault=fault, say=typer.echo, **how)


@app.command("scenario")
def scenario(
    file: Annotated[Path, typer.Argument(help="A TOML file; simulators/scenarios/ has some, every key explained.")],
    line: Annotated[
        list[str] | None, typer.Option("--line", help="NAME=ADDRESS: another address for an analyzer of the file.")
    ] = None,
    log: Books = None,
    fast: Annotated[bool, typer.Option("--fast", help="No pauses that only look real.")] = False,
    retry: Retry = None,
) -> None:
    """Play a sequence: analyzers side by side, faults, pauses, pulled cables."""
    from simulators.scenario import read, run

    try:
        if unnamed := [text for text in line or () if "=" not in text]:
            raise ValueError(f"--line {unnamed[0]}: write NAME=ADDRESS, the name as in the file")
        lines = dict(text.split("=", 1) for text in line or ())
        raise typer.Exit(run(read(file), stopping(), lines=lines, books=log, fast=fast, retry=retry, said=typer.echo))
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.filename == str(file) else None
        typer.echo(f"{file}: {why or error}", err=True)
        raise typer.Exit(2) from error


@app.command("sms")
def sms(
    listen: Annotated[str, typer.Option(help="HOST:PORT")] = "127.0.0.1:8095",
    inbox: Annotated[Path | None, typer.Option(help="Keep the messages in this file, one JSON object a line.")] = None,
    callback: Annotated[str, typer.Option(help="URL that gets delivery reports.")] = "",
    dlr_seconds: Annotated[float, typer.Option(help="Seconds until a delivery report.")] = 1.0,
) -> None:
    """Pretend to be an SMS gateway; its phones are at /inbox."""
    from simulators.sms_gateway import create_app, serve

    host, _, port = listen.rpartition(":")
    serve(create_app(inbox, callback=callback, dlr_seconds=dlr_seconds), host, int(port))


def stopping() -> Event:
    """An event that SIGTERM and SIGINT set; and the log lines of this process on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
