"""The commands of `labmitra` as a newcomer meets them, and its services under an operator's hands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.wire import lis1a
from labmitra import app
from middleware import migrate
from middleware.journal import Journal
from middleware.schema import AnalyzerMessage, AnalyzerState
from server.demo.stage import Stage, build
from server.processes import Processes, wait_for
from tests.conftest import ON_SQLITE
from tests.labs import Desk
from tests.system.support import CONFIG, ByHand, on_stage, start_middleware, unprocessed, until
from tests.system.test_demo import alive, children

CAPTURES = Path(__file__).parents[1] / "captures"

# ---- services ---------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_sigterm_ends_the_middleware_in_order_with_a_session_open(desk: Desk, lab_url: str, tmp_path: Path) -> None:
    made = desk.register("HB")
    frames = lis1a.frames(desk.message(desk.sample_id(made), "HB=13.1 g/dL").body, 240, one_record_a_frame=True)
    with on_stage(tmp_path / "home", lab_url) as (stage, processes):
        start_middleware(stage, processes)
        until(lambda: desk.rows(AnalyzerState, analyzer="xn550"), "the lamps are written")
        with ByHand(("127.0.0.1", stage.ports[9101])) as analyzer:
            for data in (b"\x05", *frames[:-1]):
                assert analyzer.ask(data) == b"\x06"
            until(lambda: desk.rows(AnalyzerState, analyzer="xn550")[0]["connected"], "the lamp is on")
            processes.running["middleware"].send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionError):
                analyzer.ask(b"")
        assert processes.running["middleware"].wait(20) == 0
        assert not desk.rows(AnalyzerState, analyzer="xn550")[0]["connected"]
        assert ended_sessions(stage) == ["closed"]
        start_middleware(stage, processes)  # what was acknowledged is shown, as what it is: half a message
        until(lambda: not unprocessed(stage), "the half message is processed")
    assert [row["type"] for row in desk.rows(AnalyzerMessage)] == ["incomplete"]


def ended_sessions(stage: Stage) -> list[str]:
    with closing(sqlite3.connect(stage.settings().journal)) as conn:
        return [how for (how,) in conn.execute("SELECT how FROM session WHERE protocol = 'LIS2-A2'")]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = build(CONFIG, tmp_path / "home", usual_ports=False)
    yield stage
    stage.close()


class Terminal:
    """`labmitra run` in a terminal of its own."""

    def __init__(self, stage: Stage) -> None:
        self.told = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labmitra", "run", "--config", str(stage.config)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **stage.environ},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told += line

    def service(self, name: str) -> int:
        """The process id of one of the three."""
        for pid in children(self.process.pid):
            with suppress(OSError):  # it may be gone by now
                if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                    return pid
        return 0

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def answers(url: str) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            wait_for(url, Processes(Path(), {}), 0.5)
        except RuntimeError:
            return False
        return True

    return asked


def test_run_starts_three_services_and_starts_again_what_dies(stage: Stage) -> None:
    pages, hub = stage.url(8080) + "/healthz", stage.url(8090) + "/healthz"
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", stage.ports[8080]))
        other.listen()
        terminal = Terminal(stage)
        try:
            until(lambda: re.search(r"lab ended \(exit 3\).*address already in use", terminal.told), "told so")
            until(answers(hub), "the others go on")
        except BaseException:
            terminal.stop()
            raise
    try:
        until(answers(pages), "the port is free again")
        before = {name: terminal.service(name) for name in ("middleware", "lab", "reports")}
        os.kill(before["middleware"], signal.SIGKILL)
        until(lambda: terminal.service("middleware") not in (0, before["middleware"]), "started again")
        after = {name: terminal.service(name) for name in ("middleware", "lab", "reports")}
        assert {name: after[name] == before[name] for name in before} == {
            "middleware": False, "lab": True, "reports": True,
        }  # fmt: skip
        assert "middleware ended (exit -9), it is started again in 1 s" in terminal.told
    finally:
        code = terminal.stop()
    assert code == 0
    assert [pid for pid in after.values() if alive(pid)] == []


# ---- commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration to change, with its data beside it."""
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("LABMITRA_STORE__VAR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "config"


def labmitra(*arguments: str | Path) -> Result:
    """Type a command. Whatever it does, it must not end in a traceback."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_without_a_command_it_tells_what_there_is() -> None:
    told = labmitra()
    assert told.exit_code == 2
    commands = ("decode", "check", "demo", "middleware", "lab", "reports", "run", "backup", "db", "user", "simulate")
    assert [name for name in commands if f" {name} " not in told.output] == []


def test_check_says_what_stands_there_or_every_mistake(config: Path) -> None:
    good = labmitra("check", "--config", config)
    assert good.exit_code == 0 and good.output.endswith("The configuration is right.\n")
    break_configuration(config)
    bad = labmitra("check", "--config", config)
    assert bad.exit_code == 1
    assert MISTAKES in bad.output
    nowhere = labmitra("check", "--config", config / "nowhere")
    assert nowhere.exit_code == 2 and "does not exist" in nowhere.output


MISTAKES = """\
analyzers.toml
  analyzer xn550.driver
      wrong:   "sysmex_xnn" is unknown
      instead: did you mean "sysmex_xn"?
lab.toml
  web.port
      wrong:   'eighty' is not a whole number
      instead: port = 8080
2 mistakes. Nothing starts until this is put right.
"""


def break_configuration(config: Path) -> None:
    for name, old, new in (
        ("lab.toml", "port = 8080", 'port = "eighty"'),
        ("analyzers.toml", 'driver = "sysmex_xn"', 'driver = "sysmex_xnn"'),
    ):
        path = config / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    "command", [("middleware",), ("lab",), ("reports",), ("run",), ("db", "upgrade"), ("backup", "x"), ("demo",)]
)
def test_nothing_starts_on_a_mistake(config: Path, command: tuple[str, ...]) -> None:
    break_configuration(config)
    told = labmitra(*command, "--config", config)
    assert told.exit_code == 2 and told.stderr == MISTAKES
    assert not (config.parent / "var" / "lab.sqlite3").exists()


def test_the_first_admin_is_added_without_a_question(config: Path) -> None:
    me = ("user", "add", "boss", "--name", "Anita Rao", "--password", "blue lamp 7", "--config", config)
    early = labmitra(*me)
    assert early.exit_code == 1 and "Write: labmitra db upgrade" in early.stderr
    for _ in range(2):
        done = labmitra("db", "upgrade", "--config", config)
        assert (done.exit_code, done.output) == (0, "lab and report databases are up to date\n")
    added = labmitra(*me)
    assert (added.exit_code, added.output) == (0, "boss may log in and will be asked for a new password\n")
    again = labmitra(*me)
    assert (again.exit_code, again.stderr) == (2, "The login name boss is taken.\n")
    short = labmitra(*me[:5], "--password", "short", "--config", config)
    assert short.exit_code == 2
    king = labmitra(*me, "--role", "king")
    assert king.exit_code == 2
    assert king.stderr.startswith('There is no role "king". Write one of: reception, technician')


def test_backup_tells_what_it_copied(config: Path) -> None:
    labmitra("db", "upgrade", "--config", config)
    told = labmitra("backup", config.parent / "copies", "--config", config)
    assert told.exit_code == 0
    assert "journal.sqlite3: not there yet" in told.output
    assert re.search(r"lab\.sqlite3: \d+ KiB copied and checked", told.output)
    assert migrate.difference(f"sqlite:///{config.parent / 'copies' / 'lab.sqlite3'}") == []
    file = config.parent / "a file"
    file.touch()
    nowhere = labmitra("backup", file, "--config", config)
    assert nowhere.exit_code == 1 and nowhere.stderr == f"{file}: File exists\n"


def test_a_database_that_cannot_be_reached_is_one_sentence(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABMITRA_STORE__DATABASE_URL", "postgresql://lab:secret@127.0.0.1:1/lab")
    told = labmitra("db", "upgrade", "--config", config)
    assert told.exit_code == 1
    assert told.stderr.startswith("The database cannot be used: connection failed") and "secret" not in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_second_middleware_on_one_journal_does_not_start(config: Path) -> None:
    var = config.parent / "var"
    var.mkdir()
    journal = Journal.open(var / "journal.sqlite3")
    try:
        told = labmitra("middleware", "--config", config)
    finally:
        journal.close()
    assert told.exit_code == 1
    assert told.stderr == f"{var / 'journal.sqlite3'} is in use by another middleware process. End that one first.\n"


def test_decode_prints_one_object_or_one_clear_line(tmp_path: Path) -> None:
    capture = sorted((CAPTURES / "sysmex_xn").glob("*.raw"))[0]
    told = labmitra("decode", capture, "--driver", "sysmex_xn")
    assert told.exit_code == 0
    assert set(json.loads(told.stdout)) == {"driver", "messages", "problems"}
    (tmp_path / "x").write_bytes(b"hello")
    for arguments, said in (
        ((tmp_path / "x", "--driver", "sysmex_xn"), "nothing in it can be read"),
        ((tmp_path / "nothing", "--driver", "sysmex_xn"), "No such file or directory"),
        ((tmp_path / "x", "--driver", "nosuch"), "there is no driver 'nosuch'; there are: abbott_afinion"),
    ):
        bad = labmitra("decode", *arguments)
        assert bad.exit_code == 2 and bad.stdout == ""
        assert said in bad.stderr and len(bad.stderr.splitlines()) == 1
