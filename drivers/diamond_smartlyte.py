"""Diamond SmartLyte Plus, Human HumaLyte Plus5 and their like, electrolytes. It posts an HTML form to us.

Manual  none public: the fields are as the analyzer names them
Proof   capture: one serum's form; not yet run beside a lab's own analyzer

Where things sit, by the names of the form: sample pId as typed or scanned, else test · time dt, milliseconds since 1970
by the analyzer's clock, given here as UTC · control sampleStr[en], the kind of sample · for each ion: code
ionData[Na][name], value [conc], unit [strUnits], flag [strFlag] (LOW, HIGH), range [min] and [max].
Quirks: The line is `http-listen://HOST:PORT/path` (config/analyzers.toml); a message is the body of one POST,
application/x-www-form-urlencoded. Millivolts, temperatures and [correl] (whether a correlation was applied: not known
how) are kept in the message.
Cannot: tell controls but by the kind of sample QC or Control (not seen yet), or an id that begins QC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from drivers.driver import Decoded, Driver, Grade, Message, MessageType
from drivers.engine.form import Form
from drivers.engine.gas import ions, says_control
from drivers.engine.text import Sheet, other
from drivers.wire.blocks import Framing

ION = re.compile(r"ionData\[([^\]]+)\]\[conc\]")
KEYS = ("name", "conc", "strUnits", "strFlag", "min", "max")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_799_999  # milliseconds: the end of the year 9999


def moment(milliseconds: str) -> str | None:
    """Milliseconds since 1970 as a time in UTC; None when they are none."""
    if not re.fullmatch(r"[0-9]{1,15}", milliseconds) or int(milliseconds) > LATEST:
        return None
    return f"{EPOCH + timedelta(milliseconds=int(milliseconds)):%Y%m%d%H%M%S}+0000"


def read(form: Form, message: Message) -> Decoded:
    """One form."""
    body = message.body.decode("latin-1").strip()
    said = dict(parse_qsl(body, keep_blank_values=True, encoding=form.charset or "utf-8"))
    ions_said = [found[1] for key in said if (found := ION.fullmatch(key))]
    if not ions_said:
        return other(MessageType.OTHER, "a form that measures no ion")
    sheet = Sheet(form, said.get("pId", "").strip() or said.get("test"), moment(said.get("dt", "")))
    for ion in ions_said:
        name, value, unit, flag, low, high = (said.get(f"ionData[{ion}][{key}]", "").strip() for key in KEYS)
        sheet.add(name or ion, value, unit, (flag,) if flag else (), range_=f"{low}-{high}" if low or high else None)
    return sheet.decoded(control=says_control(said.get("sampleStr[en]", "")))


DRIVER = Driver(
    name="diamond_smartlyte",
    title="Diamond SmartLyte",
    grade=Grade.CAPTURE,
    speaks="blocks",
    framing=Framing(start=b"", end=b"", ack=b"", nak=b""),
    reads=read,
    control_id=r"QC",
    flag_words={"HIGH": "H", "LOW": "L"},
    pseudo=r"0+",
    tests=ions("Na", "K", "Cl", "Ca"),
)
