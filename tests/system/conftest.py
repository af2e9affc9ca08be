"""What the tests of alarms stand on; their tools are in alarm_kit.py."""

from __future__ import annotations

import pytest

from middleware.lab import Lab
from tests.labs import Clock, Desk
from tests.system.alarm_kit import Watch, with_alarms


@pytest.fixture
def here(desk: Desk) -> Lab:
    """The laboratory, with two analyzers and one engineer's number."""
    return with_alarms(desk.lab)


@pytest.fixture
def watch(here: Lab, clock: Clock) -> Watch:
    """Its lines, looked at when the test says so."""
    return Watch(here, clock)
