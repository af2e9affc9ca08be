"""The `labmitra simulate` commands: one per simulated analyzer, and `sms` for the gateway.

Turns a command line into a player on a line, or a served gateway. Law: no logic; heavy parts are imported when used.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

NAMES = ("sysmex_xn", "erba_xl", "mindray_bc", "roche_cobas_e411", "generic_astm", "generic_hl7")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

To = Annotated[
    str | None, typer.Option(help="tcp://HOST:PORT, serial:PATH, or pty:PATH (makes a cable, PATH is its lab end).")
]
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
    """Pretend to be an analyzer, or the SMS gateway."""


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
    ) -> None:
        """Play the analyzer's day."""
        from simulators.play import nothing_more
        from simulators.run import Days, check_plan, make_faults, make_plan, play

        try:
            days = Days(name, day, 0.0 if fast else pace, log) if day and day.is_dir() else None
            steps = days.more() if days else make_plan(name, day, seed, 0.0 if fast else pace, datetime.now(UTC))
            more = days.more if days else nothing_more
            if check:
                raise typer.Exit(check_plan(name, steps, typer.echo))
            stop = stopping()
            faults = make_faults(name, fault or (), seed, stop)
            play(name, steps, to, listen, stop, pace=pace, fast=fast, retry=retry, once=once, books=log,
                 called=called, more=more, faults=faults)  # fmt: skip
        except (ValueError, KeyError, OSError) as error:
            typer.echo(f"{name}: {error}", err=True)
            raise typer.Exit(2) from error

    return run


for _name in NAMES:
    app.command(_name, help=f"Pretend to be an analyzer that {_name} reads.")(_command(_name))


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
        lines = dict(text.split("=", 1) for text in line or ())
        raise typer.Exit(run(read(file), stopping(), lines=lines, books=log, fast=fast, retry=retry, said=typer.echo))
    except (ValueError, OSError) as error:
        typer.echo(f"{file}: {error}", err=True)
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
