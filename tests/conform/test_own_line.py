"""`labmitra conform` and `labmitra simulate scenario` as commands: our own middleware is started, tried and ended."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labmitra import app
from server import own_line


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
        (["simulate", "scenario", "no-such-file.toml"], "no-such-file.toml"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words: list[str], why: str) -> None:
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 2
    assert why in shown.stderr
    assert "Traceback" not in shown.stderr
