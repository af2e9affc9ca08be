"""Autoverification: verify() gives each result its verdict; then one function per rule, named as the rule.

Turns a Result and its Context into Reasons. Law: pure; every rule runs and every reason is kept, the technician sees
them together; the limits themselves stand in the catalogue. Source: CLSI AUTO10/AUTO15 (the families of rules),
domain 2.2 (order, comparison of the displayed value, limits are inside) and 2.5 (delta).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from middleware.model import (
    CatalogueTest,
    Context,
    OrderedTest,
    Reason,
    Result,
    SampleFacts,
    SampleState,
    Sex,
    TestState,
    Verdict,
)
from middleware.sentences import BLOCK, CRITICAL, FINAL, FLAG_MEANINGS, HOLD, STATUS_MEANINGS, reason
from middleware.values import Limits, is_above, is_below, limits_for, maybe_above, maybe_below

if TYPE_CHECKING:  # the shape alone: rules read no files
    from middleware.settings import RuleSettings

HIGH_AND_LOW = frozenset({"H", "L", "HH", "LL"})
BY_LIMITS = frozenset({"absurd", "critical", "release_limits"})
QUIET = frozenset({"", "N"}) | HIGH_AND_LOW


class Subject(NamedTuple):
    """One result with all a rule may look at."""

    result: Result
    test: CatalogueTest
    sample: SampleFacts
    limits: Limits | None
    context: Context
    twins: tuple[Result, ...]  # other results of the same ordered test in this message
    settings: RuleSettings

    def say(self, rule: str, sentence: str, severity: str = HOLD, **values: str) -> Reason:
        """A Reason that names test and value."""
        named = {"test": self.test.name_en, "test_hi": self.test.name_hi, "value": self.result.display}
        return reason(rule, sentence, severity, **{**named, **values})

    def setting(self, rule: str, key: str, default: Any) -> Any:
        """A number or word of rules.toml."""
        table = self.settings.raw.get(rule)
        if type(table) is dict or isinstance(table, Mapping):  # almost always a dict, and that is known at once
            return table.get(key, default)
        return default


Rule = Callable[[Subject], Iterable[Reason]]


def verify(results: Sequence[Result], context: Context, settings: RuleSettings) -> tuple[Verdict, ...]:
    """A verdict for each result, in their order: what reading it gave, then what each enabled rule says."""
    samples = {sample.id: sample for sample in context.samples.values()}
    of_one_test: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        of_one_test[result.order_test_id].append(result)
    silent = _silent(results, context)
    enabled = {name: rule for name, rule in RULES.items() if name in settings.enabled and name not in silent}
    calmly = [rule for name, rule in enabled.items() if name not in BY_LIMITS]
    loudly = list(enabled.values())
    subjects = [_subject(r, of_one_test[r.order_test_id], samples[r.sample_pk], context, settings) for r in results]
    return tuple([_verdict(subject, calmly if _is_calm(subject) else loudly) for subject in subjects])


def _subject(
    result: Result, of_one_test: Sequence[Result], sample: SampleFacts, context: Context, settings: RuleSettings
) -> Subject:
    test = context.catalogue[result.test]
    patient = sample.patient
    limits = None if test.coded else limits_for(test, patient.sex, patient.age_days)
    twins = tuple([r for r in of_one_test if r.identity != result.identity]) if len(of_one_test) > 1 else ()
    return Subject(result, test, sample, limits, context, twins, settings)


def _is_calm(subject: Subject) -> bool:
    """A plain number that is within all limits of its test, as most are: `BY_LIMITS` has nothing to say about it."""
    result, limits = subject.result, subject.limits
    if result.value is None or result.comparator or result.coded is not None or limits is None or limits.calm is None:
        return False
    low, high = limits.calm
    return low <= result.value <= high


def _silent(results: Sequence[Result], context: Context) -> set[str]:
    """Rules that have nothing to say about any of these results, seen at one glance: they are not asked one by one."""
    facts, samples = context.analyzer, context.samples.values()
    speaks = {
        "delta": any(sample.previous for sample in samples),
        "suspects": any(result.notes for result in results),
        "controls_invalid": any(result.comments for result in results),
        "unproven_driver": facts.auto_release and facts.grade != "field",
        "correction": any(_status(result) == "C" for result in results),
        "second_result": len({result.order_test_id for result in results}) < len(results)
        or any(_has_result(ordered) for sample in samples for ordered in sample.tests.values()),
    }
    return {name for name, some in speaks.items() if not some}


def _verdict(subject: Subject, enabled: Sequence[Rule]) -> Verdict:
    reasons = [note for note in subject.result.notes if note.rule not in RULES] if subject.result.notes else []
    for rule in enabled:
        if told := rule(subject):
            reasons += told
    return Verdict(subject.result.identity, tuple(reasons))


# ---- the rules, in the order of domain 2.2 ----------------------------------------------------------------------


def identity(subject: Subject) -> Iterable[Reason]:
    """Is it this patient's tube, and may the test be this patient's?"""
    sample, found = subject.sample, []
    if not sample.check_digit_ok:
        found.append(subject.say("identity", "bad_check_digit", BLOCK, sample_id=sample.sample_id))
    if subject.setting("identity", "require_received", True) and sample.state is not SampleState.RECEIVED:
        found.append(subject.say("identity", "not_received", BLOCK, sample_id=sample.sample_id))
    if subject.test.code in subject.setting("identity", "female_only", ()) and sample.patient.sex is Sex.MALE:
        found.append(subject.say("identity", "wrong_sex", BLOCK))
    return found


def absurd(subject: Subject) -> Iterable[Reason]:
    """Is the value possible at all? If not it is blocked until repeated."""
    value, comparator, limits = subject.result.value, subject.result.comparator, subject.limits
    if value is None or limits is None:
        return ()
    found = []
    if limits.absurd_low is not None and not comparator.startswith(">") and value < limits.absurd_low:
        found.append(subject.say("absurd", "absurd_low", BLOCK, limit=str(limits.absurd_low)))
    if limits.absurd_high is not None and not comparator.startswith("<") and value > limits.absurd_high:
        found.append(subject.say("absurd", "absurd_high", BLOCK, limit=str(limits.absurd_high)))
    return found


def critical(subject: Subject) -> Iterable[Reason]:
    """Must somebody be called? Also when `<` or `>` leaves it open."""
    result, limits = subject.result, subject.limits
    found = []
    if result.coded is not None and result.coded in subject.test.critical:
        found.append(subject.say("critical", "critical_coded", CRITICAL))
    if result.value is None or limits is None:
        return found
    if not result.comparator and _inside(result.value, limits.crit_low, limits.crit_high):
        return found
    at = (result.value, result.comparator)
    if is_below(*at, limits.crit_low):
        found.append(subject.say("critical", "critical_low", CRITICAL, limit=str(limits.crit_low)))
    elif maybe_below(*at, limits.crit_low):
        found.append(subject.say("critical", "critical_maybe", CRITICAL, limit=str(limits.crit_low)))
    if is_above(*at, limits.crit_high):
        found.append(subject.say("critical", "critical_high", CRITICAL, limit=str(limits.crit_high)))
    elif maybe_above(*at, limits.crit_high):
        found.append(subject.say("critical", "critical_maybe", CRITICAL, limit=str(limits.crit_high)))
    return found


def _inside(value: Decimal, low: Decimal | None, high: Decimal | None) -> bool:
    """A plain number is within both limits, which are inside; one that is not known limits nothing."""
    return (low is None or value >= low) and (high is None or value <= high)


def release_limits(subject: Subject) -> Iterable[Reason]:
    """Is the value inside the window that is released without a second look?"""
    result = subject.result
    if result.coded is not None:
        return _coded_window(subject)
    if result.value is None:
        return ()
    if subject.limits is None:
        return [subject.say("release_limits", "no_interval")]
    found = []
    low, high = _window(subject.limits, subject.setting("release_limits", "without_window", "reference"))
    if not result.comparator and _inside(result.value, low, high):
        return ()
    at = (result.value, result.comparator)
    if low is not None and (is_below(*at, low) or maybe_below(*at, low)):
        sentence = "release_low" if is_below(*at, low) else "release_maybe_low"
        found.append(subject.say("release_limits", sentence, limit=str(low)))
    if high is not None and (is_above(*at, high) or maybe_above(*at, high)):
        sentence = "release_high" if is_above(*at, high) else "release_maybe_high"
        found.append(subject.say("release_limits", sentence, limit=str(high)))
    return found


def _window(limits: Limits, without: str) -> tuple[Decimal | None, Decimal | None]:
    """The lab's own window; where it set none on either side, its reference interval or nothing."""
    if limits.release_low is not None or limits.release_high is not None:
        return limits.release_low, limits.release_high
    return (limits.ref_low, limits.ref_high) if without == "reference" else (None, None)


def _coded_window(subject: Subject) -> Iterable[Reason]:
    coded, normal = subject.result.coded, subject.test.normal
    if coded in subject.setting("release_limits", "repeat_coded", ()):
        return [subject.say("release_limits", "repeat_coded")]
    if normal and coded not in normal and subject.setting("release_limits", "hold_abnormal_coded", True):
        return [subject.say("release_limits", "abnormal_coded", normal=", ".join(normal))]
    return ()


def delta(subject: Subject) -> Iterable[Reason]:
    """Does it fit the patient's last released value? Per cent and days, and never below the absolute floor."""
    result, test, before = subject.result, subject.test, subject.sample.previous.get(subject.test.code)
    if before is None:
        return ()
    if result.coded is not None and before.coded is not None:
        if test.code in subject.setting("delta", "lifelong", ()) and result.coded != before.coded:
            return [subject.say("delta", "lifelong", previous=before.coded)]
        return ()
    now = subject.context.now
    if result.value is None or before.value is None or result.comparator or before.unit != result.unit:
        return ()
    if test.delta_pct is None or test.delta_days is None or now is None:
        return ()
    age = now - before.at
    change = abs(result.value - before.value)
    if age > timedelta(days=test.delta_days) or change == 0 or change < (test.delta_floor or 0):
        return ()
    told = {"previous": str(before.value), "days": str(age.days), "limit": str(test.delta_pct)}
    if before.value == 0:
        return [subject.say("delta", "delta_from_zero", **told)]
    if (percent := change / abs(before.value) * 100) > test.delta_pct:
        shown = percent.quantize(Decimal(1), rounding=ROUND_HALF_UP)
        return [subject.say("delta", "delta", percent=str(shown), **told)]
    return ()


def analyzer_flags(subject: Subject) -> Iterable[Reason]:
    """What the analyzer says about the value. Its own high and low are not looked at, our intervals judge that."""
    result, found = subject.result, []
    quiet = subject.setting("analyzer_flags", "ignore", QUIET)
    final = (status := _status(result)) in FINAL
    if final and not result.comparator and all(map(quiet.__contains__, result.analyzer_flags)):
        return ()
    loud = {flag for flag in result.analyzer_flags if flag not in quiet}
    if result.comparator.startswith("<"):
        found.append(subject.say("analyzer_flags", "below_range"))
    if result.comparator.startswith(">"):
        found.append(subject.say("analyzer_flags", "above_range"))
    if status in STATUS_MEANINGS:
        english, hindi = STATUS_MEANINGS[status]
        found.append(subject.say("analyzer_flags", "status", meaning=english, meaning_hi=hindi))
    elif not final:
        found.append(subject.say("analyzer_flags", "status_unknown", status=status))
    if "A" in loud and not HIGH_AND_LOW.isdisjoint(result.analyzer_flags):
        loud.remove("A")
    for flag in sorted(loud):
        english, hindi = FLAG_MEANINGS.get(flag, ("", ""))
        found.append(subject.say("analyzer_flags", "flag", flag=flag, meaning=english, meaning_hi=hindi))
    return found


def _status(result: Result) -> str:
    """R-9 or OBX-11, padding off; "" when it was not sent."""
    return (result.status or "").strip()


def suspects(subject: Subject) -> Iterable[Reason]:
    """The analyzer doubts itself about this value: matching found which doubts touch it."""
    notes = subject.result.notes
    return [note for note in notes if note.rule == "suspects"] if notes else ()


def controls_invalid(subject: Subject) -> Iterable[Reason]:
    """The analyzer says, in a comment, that its controls were not right when it measured this."""
    if not subject.result.comments:
        return ()
    words = [text.casefold() for text in subject.setting("controls_invalid", "said", ())]
    told = [c for c in subject.result.comments if any(word in c.casefold() for word in words)]
    return [subject.say("controls_invalid", "controls_invalid", said=told[0][:80])] if told else ()


def never_list(subject: Subject) -> Iterable[Reason]:
    """Blood groups, HIV, smears, malaria: always a person."""
    return [subject.say("never_list", "never_list")] if subject.test.never_auto else ()


def unproven_driver(subject: Subject) -> Iterable[Reason]:
    """Only a driver proven in the field may release by itself; where a person releases anyway nothing is said."""
    facts = subject.context.analyzer
    if facts.auto_release and facts.grade != "field":
        return [subject.say("unproven_driver", "unproven_driver", HOLD, driver=facts.driver, grade=facts.grade)]
    return ()


def correction(subject: Subject) -> Iterable[Reason]:
    """The analyzer says that this value replaces one it sent before."""
    return [subject.say("correction", "correction")] if _status(subject.result) == "C" else ()


def second_result(subject: Subject) -> Iterable[Reason]:
    """One test, two values: a person chooses."""
    ordered, found = subject.sample.tests.get(subject.test.code), []
    if ordered is not None and ordered.has_open_result:
        others = ", ".join(ordered.open_values)
        found.append(subject.say("second_result", "second_open", others=others))
    if ordered is not None and (ordered.state is TestState.RELEASED or ordered.released_value is not None):
        found.append(subject.say("second_result", "second_released", others=ordered.released_value or "–"))
    if subject.twins:
        others = ", ".join(twin.display or twin.verbatim for twin in subject.twins)
        found.append(subject.say("second_result", "second_in_message", others=others))
    return found


def _has_result(ordered: OrderedTest) -> bool:
    return ordered.has_open_result or ordered.state is TestState.RELEASED or ordered.released_value is not None


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        identity, absurd, critical, release_limits, delta, analyzer_flags, suspects, controls_invalid, never_list,
        unproven_driver, correction, second_result,
    )
}  # fmt: skip
