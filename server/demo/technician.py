"""The scripted technician: works through the real pages over HTTP, as a person without JavaScript would.

Turns a lab full of waiting results into released reports. Law: every decision uses only what stands on the page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from middleware import sample_id
from middleware.model import CatalogueTest
from server.demo.visitor import Form, Page, Visitor


class Technician:
    """One person at the bench. `done` counts what she did."""

    def __init__(self, visitor: Visitor, catalogue: Mapping[str, CatalogueTest]) -> None:
        """`catalogue` tells what a usual value looks like when she types one by hand."""
        self._at, self._catalogue = visitor, catalogue
        self.done: Counter[str] = Counter()

    def release_green(self) -> None:
        """Look over what no rule holds, release it all at once."""
        page = self._at.get("/worklist/green")
        form = next((f for f in page.all_forms("/worklist/green") if f.value("release")), None)
        if form is not None:
            self.done["released green"] += len((form.value("release") or "").split(","))
            _ok(self._at.send(page, form))

    def call_criticals(self) -> None:
        """Telephone every critical result and note who was told and read it back."""
        for _ in range(50):
            page = self._at.get("/critical")
            form = next((f for f in page.forms if "/critical" in f.action and f.value("told") is not None), None)
            if form is None:
                return
            _ok(self._at.send(page, form, {"told": "Medical officer on duty", "phone": "05420000001",
                                           "read_back": "1"}, press=("reached", "yes")))  # fmt: skip
            self.done["critical calls"] += 1

    def work_off_held(self) -> None:
        """Read the reasons, tube by tube: release what may be, reject what has no value or is blocked."""
        page = self._at.get("/worklist?show=held")
        tried: set[str] = set()
        while (found := self._next_tube(page, tried)) is not None:
            form, results = found
            tried.update(results.split(","))
            page = self._at.send(page, form, press=("release", results))
            if page.status != 409:  # 409: some were refused, the page says why
                _ok(page)
            left = [r for r in results.split(",") if f'data-row="{r}"' in page.text]
            self.done["released held"] += len(results.split(",")) - len(left)
            for result in left:
                page = self._reject(page, result)

    def _next_tube(self, page: Page, tried: set[str]) -> tuple[Form, str] | None:
        """The next tube's form and the ids its longest release button names."""
        for form in page.all_forms("/worklist/release"):
            named = [value for name, value in form.buttons if name == "release" and value]
            longest = max(named, key=len, default="")
            if longest and not tried & set(longest.split(",")):
                return form, longest
        return None

    def _reject(self, page: Page, result: str) -> Page:
        form = next((f for f in page.all_forms("/worklist/reject") if f.value("result") == result), None)
        if form is None:
            return page
        self.done["rejected, to run again"] += 1
        return _ok(self._at.send(page, form, {"note": "run again"}))

    def type_the_rest(self, tubes: int = 60) -> None:
        """What no analyzer measured is read from the card or microscope and typed, twice."""
        for _ in range(tubes):
            page = self._at.get("/enter")
            sheets = [link for link in page.links if link.startswith("/enter/sample/")]
            if not sheets:
                return
            sheet = self._at.get(sheets[0])
            form = sheet.form("/enter/sample/")
            filled = {n: v for n, v in self._sheet(sheet, form).items() if v}
            _ok(self._at.send(sheet, form, filled))
            self.done["typed"] += sum(1 for name in filled if name.startswith("first-"))

    def _sheet(self, page: Page, form: Form) -> dict[str, str]:
        """A usual value for every line of the sheet: the codes stand beside the names."""
        filled: dict[str, str] = {}
        for pk, code in re.findall(r'id="n-(\d+)">.*?<span class="muted small">([A-Z0-9]+)</span>', page.text, re.S):
            test = self._catalogue[code]
            value = (test.normal or test.allowed or ("",))[0] if test.coded else _middle(test)
            if test.coded and value not in form.choices.get(f"first-{pk}", [value]):
                value = form.choices[f"first-{pk}"][-1]
            filled |= {f"first-{pk}": value, f"second-{pk}": value}
        return filled

    def clear_the_tray(self) -> None:
        """Link what a mis-scanned tube gave: she has the tube in hand and scans its label; the rest stays."""
        tray = self._at.get("/unmatched")
        for link in dict.fromkeys(link for link in tray.links if re.fullmatch(r"/unmatched/\d+", link)):
            page = self._at.get(link)
            label = _label_of(page)
            if label is None:
                continue
            page = self._at.send(page, page.form("/find"), {"q": label})
            form = page.form("/link")
            rows, tubes = form.choices.get("row", []), form.choices.get("sample", [])
            if tubes and all(form.value(f"test{r}") for r in rows):
                reason = "tube in hand, name and number read from its label"
                _ok(self._at.send(page, form, {"sample": tubes[0], "reason": reason}))
                self.done["linked by hand"] += len(rows)

    def amend(self, sample_path: str) -> str:
        """Amend the first released number on a sample page by one in its last digit; "" when there was none."""
        page = self._at.get(sample_path)
        for form in page.all_forms("/amend"):
            row = re.search(rf'id="r{form.value("result")}".*?<strong class="num">([\d.]+)</strong>', page.text, re.S)
            if row is None or "first" in form.choices:
                continue
            value = Decimal(row[1])
            new = str(value + Decimal(1).scaleb(int(value.as_tuple().exponent)))
            reason = "read again from the analyzer's print"
            _ok(self._at.send(page, form, {"first": new, "second": new, "reason": reason}))
            self.done["amended"] += 1
            return page.url
        return ""


def _label_of(page: Page) -> str | None:
    """What stands on the tube that the scanner misread: the simulators' scanner makes the tenth digit one too high."""
    said = re.search(r"\b(\d{3})-(\d{4})-(\d{4})-(\d)\b", page.text)
    if said is None:
        return None
    number = "".join(said.groups())
    label = number[:9] + str((int(number[9]) - 1) % 10) + number[10:]
    return label if not sample_id.valid(number) and sample_id.valid(label) else None


def _middle(test: CatalogueTest) -> str:
    """A value in the middle of the last (adult) usual interval, as printed."""
    row = test.intervals[-1]
    low, high = row.ref_low, row.ref_high
    if low is not None and high is not None:
        value = (low + high) / 2
    elif high is not None:
        value = high / 2
    else:
        value = low or Decimal(1)  # only a lower limit: the limit itself is usual
    return str(round(value, test.decimals) if test.decimals else int(value))


def _ok(page: Page) -> Page:
    """A page that did not break. RuntimeError with its address otherwise."""
    if page.status >= 400:
        text = re.sub(r"<[^>]+>", " ", page.text)
        raise RuntimeError(f"{page.url} answered {page.status}: {' '.join(text.split())[:300]}")
    return page
