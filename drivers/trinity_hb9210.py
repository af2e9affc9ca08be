"""Trinity Biotech Premier Hb9210, HbA1c by boronate affinity HPLC. LIS2-A2 over TCP or RS-232, one record in a frame.

Manual  Trinity Biotech, Premier Hb9210 host interface (ASTM; not public); an interface that worked with one
Proof   capture: a patient's result; not yet run beside a lab's own analyzer

Where things sit: sample O-4 component 1 (O-3 is empty) · code R-3 component 4 (GHb, HbA1c, AG, mMA1c) · value R-4,
`---` where that unit is switched off · unit R-5 · flag R-7 and range R-6, both empty in the capture · status R-9 · time
R-13 · control O-12 or H-14 Q. H is shifted: the receiver in H-11, the mode in H-14, the version in H-15, the time in
H-16; an H as the standard has it (H-12, H-14) is read too.
Quirks: Two rows are no measurements: Code, the numbers of the analyzer's own messages about this run, which are set
beside the HbA1c as a comment; Data Points, the chromatogram. The time of these rows is not the run's. Only HbA1c in per
cent (NGSP) is reported; mMA1c (IFCC, mmol/mol), GHb and AG (average glucose) are shown.
Cannot: say what a message number means (the manual does, none is public), tell controls but by O-12 Q or the mode Q.
"""

from dataclasses import replace

from drivers.driver import ASTM, Decoded, Grade, Message, image, known, measurement, suspect
from drivers.wire import lis2a

TESTS = {
    "HbA1c": measurement("HBA1C", "%"),
    **dict.fromkeys(("GHb", "AG", "mMA1c"), known()),
    "Code": suspect("HbA1c"),
    "Data Points": image(),
}


def told(decoded: Decoded, message: Message) -> Decoded:
    """The analyzer's messages beside the HbA1c they are about; the time of sending from where this H has it."""
    codes = {row.sample_id: row.value for row in decoded.observations if row.code == "Code" and row.value}
    rows = tuple(
        row._replace(comments=(*row.comments, f"Code {codes[row.sample_id]}"))
        if row.code == "HbA1c" and row.sample_id in codes
        else row
        for row in decoded.observations
    )
    header = lis2a.parse(message.body)[0]
    times = ((header.raw(place) or "").strip() for place in ("16", "14"))  # shifted, or as the standard has it
    return replace(decoded, sent_at=next((time for time in times if time.isdigit()), None), observations=rows)


DRIVER = replace(
    ASTM,
    name="trinity_hb9210",
    title="Trinity Premier Hb9210",
    grade=Grade.CAPTURE,
    sender=r"PREMIER",
    sample_id="O.4.1",
    control=(*ASTM.control, ("H.14", "Q")),
    one_record_a_frame=True,
    tests=TESTS,
    settles=told,
)
