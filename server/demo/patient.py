"""The scripted patient: waits for the SMS, opens the link, mistypes the PIN once, reads the report, takes the PDF.

Turns an SMS in the simulated inbox into an opened report. Law: knows only the phone and the paper slip.
"""

from __future__ import annotations

import re
import time

import httpx2

from server.demo.visitor import Visitor


def inbox(gateway: str, mobile: str) -> list[str]:
    """Texts of the SMS that a phone got, newest first."""
    answer = httpx2.get(f"{gateway}/inbox.json", params={"to": mobile}, timeout=10, trust_env=False)
    return [str(sms["text"]) for sms in answer.json()]


def wait_for_sms(gateway: str, mobile: str, having: str, seconds: float) -> str:
    """The newest SMS to `mobile` that holds `having`. RuntimeError when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = next((text for text in inbox(gateway, mobile) if having in text), None)
        if found is not None:
            return found
        time.sleep(0.2)
    raise RuntimeError(f"no SMS with a link came to …{mobile[-4:]} within {seconds:.0f} s")


def open_report(base: str, sms: str, pin: str) -> dict[str, str]:
    """Open the link of an SMS as its patient does; what each step showed. RuntimeError when one fails."""
    link = re.search(r"https?://\S+", sms)
    if link is None:
        raise RuntimeError("the SMS holds no link")
    token = link[0].rstrip(".,।").rsplit("/", 1)[1]
    with Visitor(base) as phone:
        gate = phone.get(f"/{token}")
        wrong = f"{(int(pin) + 1) % 10**6:06d}"
        refused = phone.send(gate, gate.form(f"/{token}"), {"pin": wrong})
        if "report-line" in refused.text or refused.text.count("<table"):
            raise RuntimeError("a wrong PIN opened the report")
        report = phone.send(refused, refused.form(f"/{token}"), {"pin": pin})
        if report.status != 200 or "/pdf" not in " ".join(report.links):
            raise RuntimeError(f"the right PIN did not open the report (status {report.status})")
        pdf = phone.get(next(link for link in report.links if "/pdf" in link))
        if not pdf.content.startswith(b"%PDF"):
            raise RuntimeError("the PDF could not be downloaded")
        english = phone.get(f"/{token}?lang=en")
    return {
        "gate": f"{gate.status}",
        "wrong PIN": f"{refused.status}, still closed",
        "right PIN": f"{len(report.content) / 1024:.0f} KB",
        "PDF": f"{len(pdf.content) / 1024:.0f} KB",
        "English": f"{english.status}",
    }
