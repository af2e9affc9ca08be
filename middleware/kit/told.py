"""What the kit's commands print: an Identity and a WhatIf as lines of text and as JSON.

Turns findings into words. Law: pure; ids of tubes are shown by their last four characters, values as they are: the
output belongs on the laboratory's own computer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from middleware.kit.identify import Identity
from middleware.kit.stream import ENQ, Shape
from middleware.kit.what_if import KINDS, WhatIf

SHOWN = 5  # drivers, and examples of each test
MOST = 40  # examples
KEPT_BACK = (
    "An analyzer that speaks LIS01 is there and the line is sound: it asks (ENQ) and keeps its frames until it is "
    "acknowledged, which this listener does not do. Connect it to the middleware, then `identify --analyzer`; or let "
    "this one acknowledge into a file that you answer for: --acknowledge-and-keep FILE."
)
ADVICE = "This is advice: which driver a line has is written by a person, in config/analyzers.toml."


def identity(found: Identity, expected: str = "", unanswered: bool = False) -> Iterator[str]:
    """Who speaks there, best first; what is wrong; how the driver that was expected fits. `unanswered`: the line was
    listened to without acknowledging anything."""
    stream = found.stream
    marks = f", delimiters {' '.join(stream.marks)}" if stream.marks else ""
    yield f"{len(stream.data)} bytes: {stream.shape}{marks}, {len(stream.bodies)} messages"
    if unanswered and stream.shape is Shape.CONTROLS and ENQ in stream.data:
        yield KEPT_BACK
        return
    for sign in found.signs:
        yield f"  line: {sign}"
    if stream.shape in (Shape.EMPTY, Shape.CONTROLS):
        return
    fitting = [fit for fit in found.fits if fit.fits]
    for number, fit in enumerate((fitting or found.fits)[:SHOWN], 1):
        head = f"{number}. " if fitting else "   not sure: "
        yield f"{head}{fit.driver} ({fit.title}), {fit.score:.0%}: {'; '.join(fit.reasons)}"
    if len(fitting) > 1 and round(fitting[0].score, 2) == round(fitting[1].score, 2):
        yield "   the bytes do not tell the first ones apart: look at the analyzer's name plate"
    if not fitting:
        yield "no driver fits: `labmitra driver new --from-capture FILE --name maker_model` drafts one of ASTM or HL7"
    if expected:
        yield _expected(found, expected)
    yield ADVICE


def _expected(found: Identity, expected: str) -> str:
    fit = next((one for one in found.fits if one.driver == expected), None)
    if fit is None:
        return f"{expected} reads nothing there: this line is configured for another analyzer, or set wrongly"
    best = found.fits[0]
    if not fit.fits or best.score > fit.score + 0.1:
        return f"{expected} fits badly ({fit.score:.0%}: {'; '.join(fit.reasons)}); {best.driver} fits better"
    return f"{expected} fits"


def what_if(found: WhatIf, since: datetime | None) -> Iterator[str]:
    """What would change, by test, with examples."""
    when = f" since {since:%Y-%m-%d %H:%M}" if since else ""
    if not found.messages:
        yield f"No stored message{when} to try it on. Nothing was written."
    else:
        yield f"{found.messages} messages, {found.rows} measured rows{when}: {found.changed} messages would change"
    by_test = found.by_test()
    if by_test:
        width = max(len("test"), *(len(test) for test in by_test))
        kinds = [kind for kind in KINDS if any(kind in counts for counts in by_test.values())]
        yield "  ".join([f"{'test':<{width}}", "rows", *kinds, "released"])
        for test, counts in by_test.items():
            cells = [f"{counts[kind]:>{len(kind)}}" for kind in ("rows", *kinds, "released")]
            yield "  ".join([f"{test:<{width}}", *cells])
        yield from _examples(found)
    yield from _apart(found)
    if found.messages:
        yield "Nothing was written. To file a message anew: its page, “Replay”."


def _examples(found: WhatIf) -> Iterator[str]:
    """Some of each test, those that are released first: patients have them."""
    shown: Counter[str] = Counter()
    for change in sorted(found.changes, key=lambda one: not one.out):
        if shown[change.test] < SHOWN and shown.total() < MOST:
            shown[change.test] += 1
            yield f"  {change.sentence()}"
    hidden = len(found.changes) - shown.total()
    if hidden:
        yield f"  … and {hidden} more rows (--json gives all)"


def _apart(found: WhatIf) -> Iterator[str]:
    if found.registered:
        yield f"{found.registered} rows of the tray would find their tube, registered since: not counted"
    if found.gone:
        yield f"{found.gone} results whose tube was rejected or whose test was cancelled since: not counted"
    if found.waiting:
        yield f"{found.waiting} messages are not processed yet: nothing to compare with"
    for analyzer, count in sorted(found.foreign.items()):
        yield f"{count} messages of {analyzer}, which is not configured: not tried"


def what_if_json(found: WhatIf) -> dict[str, object]:
    """All of it for --json."""
    return {
        "messages": found.messages, "changed": found.changed, "rows": found.rows, "registered": found.registered,
        "gone": found.gone, "waiting": found.waiting, "not_configured": dict(found.foreign),
        "by_test": {test: dict(counts) for test, counts in found.by_test().items()},
        "changes": [
            {"message": change.message_id, "kinds": list(change.kinds), "test": change.test, "released": change.out,
             "sample": change.tube, "before": _held(change.before), "after": _held(change.after), "why": change.why}
            for change in found.changes
        ],
    }  # fmt: skip


def _held(held: object) -> dict[str, str] | None:
    names = ("place", "code", "test", "value", "unit", "flag", "rule")
    return None if held is None else {name: getattr(held, name) for name in names}
