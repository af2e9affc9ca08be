"""What a serial line's URL says about its characters, judged before any port is opened.

Turns `serial:/dev/ttyUSB0?baud=9600&parity=E` into nothing, or into what is wrong with it. Law: pure; what pyserial
would refuse when the port is opened is refused when the settings are read. Source: LIS01-A2 5.2.2.4-5, 5.2.3.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

SCHEMES = ("serial", "rfc2217", "socket")
ALLOWED = {
    "bits": ("8", "7", "6", "5"), "parity": ("N", "E", "O", "M", "S"), "stop": ("1", "1.5", "2"),
    "flow": ("none", "xonxoff", "rtscts", "dsrdtr"),
}  # fmt: skip
BAUD = re.compile(r"[1-9][0-9]{1,6}")


def bad_serial(url: str) -> str:
    """Why a serial line cannot be set so; "" when it can, or is another kind of line."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return ""
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key == "baud" and not BAUD.fullmatch(value):
            return f"baud={value} is no speed such as 9600"
        if key in ALLOWED and (value.upper() if key == "parity" else value) not in ALLOWED[key]:
            return f"{key}={value} is not one of {', '.join(ALLOWED[key])}"
        if parts.scheme == "serial" and key not in ALLOWED and key != "baud":  # a network box passes others on
            return f"{key} is unknown: known are baud, {', '.join(ALLOWED)}"
    return ""
