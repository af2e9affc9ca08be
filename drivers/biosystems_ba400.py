"""BioSystems BA400 and BA200, clinical chemistry. HL7 2.5.1 (IHE LAW) over MLLP; the analyzer dials us.

Manual  BioSystems, BA400 LIS protocol (IHE LAW: LAB-27 query, LAB-28 work order, LAB-29 results)
Proof   capture: results, a query and an acknowledgement; not yet run beside a lab's own analyzer

Where things sit: sample SPM-2 · code OBX-3 component 1, the test's name on the analyzer (`ALT-GPT^ALT-GPT^A400`) ·
value OBX-5, eight decimals · unit OBX-6 component 1 · flag OBX-8, NONE when there is none · range OBX-7 · status OBX-11
· time OBX-19 · control SPM-11 Q.
Quirks: OBR-2 is `""`; every OBX has set id 1. MSH-15 ER and MSH-16 AL: it wants an application acknowledgement always,
of acceptance only errors. A message longer than 1 kB comes in several reads. A query is QPD-3; the answer is RSP^K11
and then OML^O33 (engine/law), acknowledged by ORL^O34; an OML^O33 may come without a question too
(LAB-28). TESTS holds the names seen; others are mapped in config/analyzers.toml.
Cannot: tell the code system of a BA200 (it is sent A400).
"""

from dataclasses import replace

from drivers.driver import HL7, Grade
from drivers.engine.chemistry import ANY_GLUCOSE, chemistry, latest_with_a_value
from drivers.engine.law import answerer, pusher, settles

NAMES = {
    "CREAT": "CREATININE",
    "ALT": "ALT-GPT",
    "AST": "AST-GOT",
    "CRP": "CRP",
    ANY_GLUCOSE: "GLUCOSE",
    "CHOL": "CHOLESTEROL",
    "TG": "TRIGLYCERIDES",
    "ALB": "ALBUMIN",
}

DRIVER = replace(
    HL7,
    name="biosystems_ba400",
    title="BioSystems BA400",
    grade=Grade.CAPTURE,
    sender=r"BA[24]00",
    sample_id="SPM.2.1.1",
    code_name="OBX.3.2",
    observed_at=("OBX.19", "OBX.14"),
    control=(("SPM.11.1", "Q"), ("MSH.11", "Q")),
    flag_words={"NONE": "N"},
    query_id="QPD.3.1.1",
    tests=chemistry(NAMES),
    settles=settles,
    reports=latest_with_a_value,
    answers=answerer("A400"),
    pushes=pusher("A400"),
)
