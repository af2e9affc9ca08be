"""Arkray ADAMS A1c HPLC (HA-81xx by its layout; the capture's source does not name it), HbA1c. LIS2-A2 over RS-232.

Manual  Arkray, ADAMS A1c host interface (not public)
Proof   capture: the order and results of one sample, without its header; not yet run beside a lab's own analyzer

Where things sit: sample O-3 component 1, padded to 18 characters with hyphens, then rack and position · code R-3
component 4 (ValueHbA1c, ValueIFCC) · value R-4 · unit R-5 · flag R-7 and range R-6, both empty in the capture · status
R-9 · time R-12, twelve digits, in the first row alone · O-20 two words of eight error marks, the kind of sample, then
lots and dates of what was loaded: marks that are not all zero are set beside the results · control O-12 or H-12 Q.
Quirks: Every frame ends with ETB, the last one too: the message ends with its L record. A recording that begins at O is
read with the usual delimiters; its rows are whole: each record is a frame of its own. Only ValueHbA1c (per cent, NGSP)
is reported; IFCC is shown.
Cannot: name the error marks; tell controls but by O-12 or H-12 Q; answer queries (no query was seen).
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, Observation, known, measurement
from drivers.engine import lis2a
from drivers.engine.form import Form, RowText

USUAL = b"H|\\^&\r"


def read(form: Form, message: Message) -> Decoded:
    """The records, with a header of the usual delimiters where the recording has none."""
    if message.body[:1] in (b"O", b"P") and not message.body[1:2].isalnum():
        cut = message.incomplete and not message.body.endswith(b"\r")
        message = replace(message, body=USUAL + message.body, incomplete=cut)
    return lis2a.read(form, {}, message)


def unpadded(row: Observation, text: RowText) -> Observation:
    """The id without its padding; the error marks beside the result."""
    words = [word for word in (text.get("O.20.1"), text.get("O.20.2")) if word and word.strip("0 ")]
    identity = (row.sample_id or "").rstrip("-").strip() or None
    return row._replace(sample_id=identity, comments=(*row.comments, *(f"O-20 {word}" for word in words)))


DRIVER = replace(
    ASTM,
    name="arkray_adams",
    title="Arkray ADAMS A1c",
    grade=Grade.CAPTURE,
    observed_at=("R.12", "R.13"),
    one_record_a_frame=True,
    reads=read,
    tests={"ValueHbA1c": measurement("HBA1C", "%"), "ValueIFCC": known()},
    retells=unpadded,
)
