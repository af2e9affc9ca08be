"""What the Sysmex haematology analyzers of the XN and XP series share: where their ASTM puts the tube and the test.

Turns the standard's form into theirs. Law: verbatim; an id that the analyzer made up (ERR…, zeros) names no tube.
Source: Sysmex, ASTM host interface of the XN and of the XP series; captures of both.

The tube is component 3 of O-4, `rack^position^id^how it was read`, right-justified (O-3 stays empty); the code
component 5 of R-3; an id that begins QC- is a control's. Frames may hold a whole message.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.driver import ASTM

FORM = replace(
    ASTM, sample_id="O.4.3", code="R.3.5", control_id=r"QC-", pseudo=r"ERR\d*|0+", query_id="Q.3.3", frame_size=63_993
)
"""What the forms of XN and XP have in common."""
