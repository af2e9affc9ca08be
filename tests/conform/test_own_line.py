"""`labmitra conform` and `labmitra simulate scenario` as commands: our own middleware is started, tried and ended."""

from __future__ import annotations

import errno
import json
import socket
import tempfile
from pathlib import Path

import pytest
import serial
from typer.testing import CliRunner

from labmitra import app
from server import own_line
from simulators.line import SerialPort


def test_our_own_middleware_is_started_tried_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = tmp_path / "rows.json"
    shown = CliRunner().invoke(
        app, ["conform", "--driver", "generic_hl7", "--clause", "H7-01,H7-04", "--json", str(file)]
    )
    assert shown.exit_code == 0, shown.stderr
    assert [line.split()[:2] for line in shown.stdout.splitlines()[:2]] == [["pass", "H7-01"], ["pass", "H7-04"]]
    assert shown.stdout.splitlines()[-1] == "2 pass"
    assert json.loads(file.read_text())["driver"] == "generic_hl7"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"], "its folder is gone, and so is the process"


def test_a_middleware_that_does_not_come_up_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(own_line, "START", -1.0)
    shown = CliRunner().invoke(app, ["conform", "--driver", "generic_hl7"])
    assert (shown.exit_code, shown.stderr.splitlines()[0]) == (2, "the middleware did not come up:")


def test_a_mistake_in_the_configuration_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(own_line, "ANALYZER", own_line.ANALYZER + "nonsense = 1\n")
    shown = CliRunner().invoke(app, ["conform", "--driver", "generic_hl7"])
    assert shown.exit_code == 2
    assert "nonsense" in shown.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["conform", "--driver", "toaster", "--to", "tcp://127.0.0.1:1"], "there is no driver 'toaster'"),
        (["conform", "--driver", "generic_astm", "--to", "here"], "'here' is not an address"),
        (
            ["conform", "--driver", "generic_astm", "--to", "tcp://h:1", "--listen", "tcp://h:1"],
            "say either --to",
        ),
        (
            ["conform", "--driver", "generic_astm", "--to", "tcp://127.0.0.1:1", "--json", "/no/such/folder.json"],
            "there is no folder /no/such",
        ),
        (["conform", "--driver", "beckman_au", "--to", "tcp://127.0.0.1:1"], "speaks a language of its own"),
        (["conform", "--driver", "generic_astm", "--to", "folder:/tmp"], "gives no answers to judge"),
        (["conform", "--driver", "generic_astm", "--to", "tcp://127.0.0.1:99999"], "is not an address"),
        (["conform", "--driver", "generic_astm", "--to", "tcp://127.0.0.1:1", "--json", "/"], "/ is a folder"),
        (["conform", "--driver", "generic_astm", "--analyzer"], "name its address, too"),
        (["simulate", "generic_astm", "--to", "http://127.0.0.1:99999/x"], "is not an address"),
        (["simulate", "scenario", "no-such-file.toml"], "no-such-file.toml"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words: list[str], why: str) -> None:
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 2
    assert why in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        for words in (["conform", "--driver", "generic_astm"], ["simulate", "generic_astm", "--once"]):
            shown = CliRunner().invoke(app, [*words, "--listen", address])
            assert shown.exit_code == 2
            assert f"{address} cannot be listened on: another program listens there" in shown.stderr


def test_a_serial_port_that_is_not_there_or_not_ours_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionError, match=r"^there is no /dev/nothere: is the cable plugged in\?$"):
        SerialPort("/dev/nothere").open()

    def refused(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "Serial", refused)
    with pytest.raises(ConnectionError, match=r"^/dev/ttyS0 may not be opened by this user: put them into the group"):
        SerialPort("/dev/ttyS0").open()


def test_ctrl_c_ends_the_run_with_the_table_so_far(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is not tried by then is left out, and says so; the exit code is a shell's for SIGINT."""

    def pressed(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simulators.conform.kit.wait", pressed)
    file = tmp_path / "rows.json"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        shown = CliRunner().invoke(
            app, ["conform", "--driver", "generic_hl7", "--to", address, "--clause", "H7", "--json", str(file)]
        )
    assert shown.exit_code == 130
    rows = json.loads(file.read_text())["rows"]
    assert {(row["verdict"], row["why"]) for row in rows} == {("left out", "stopped by Ctrl-C")}
    assert shown.stdout.splitlines()[-1] == f"{len(rows)} left out"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hi", "is no day file: Expecting value"),
        ('{"samples": [{"sample_id": "1"}]}', "'tests' is missing in it"),
        ('{"samples": [{"sample_id": "1", "container": "S", "tests": 3}]}', "tests is a list"),
        ("[3]", "is no day file"),
    ],
)
def test_a_file_that_is_no_day_file_is_one_sentence(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "day.json"
    file.write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(app, ["simulate", "generic_astm", "--to", "tcp://h:1", "--once", "--day", str(file)])
    assert (shown.exit_code, f"{file} is no day file" in shown.stderr, why in shown.stderr) == (2, True, True)


def test_books_that_cannot_be_kept_are_told_before_anything_is_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as lab:
        words = ["--to", f"tcp://127.0.0.1:{lab.getsockname()[1]}", "--once", "--ids", "1", "--log", "/no/such/books"]
        shown = CliRunner().invoke(app, ["simulate", "generic_astm", *words])
    assert shown.exit_code == 2
    assert "there is no folder /no/such" in shown.stderr
