"""Every case of tests/rules/<rule>.toml: one result, one rule switched on, released or held because of it."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Decoded, Kind, MessageType, Observation, load_driver
from middleware import model  # model.TestState: a bare TestState would be collected
from middleware import rules as rules_module
from middleware.catalogue import read_catalogue
from middleware.match import match
from middleware.model import (
    AnalyzerFacts,
    CatalogueTest,
    Context,
    OrderedTest,
    PatientFacts,
    Previous,
    Result,
    SampleFacts,
    SampleState,
    Sex,
    Verdict,
)
from middleware.rules import RULES, verify
from middleware.settings import RuleSettings
from middleware.settings_loader import RULE_NAMES, read_settings
from middleware.values import flag, limits_for

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "rules"
SAMPLE = "107632600424"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CATALOGUE = read_catalogue(ROOT / "config").tests
LOADED = read_settings(ROOT / "config", {}, make_secrets=False)[0]


def all_cases() -> list[Any]:
    """Each case with the rule its file is named after."""
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
        for file in sorted(CASES.glob("*.toml"))
        for case in tomllib.loads(file.read_text(encoding="utf-8"))["case"]
    ]


@pytest.mark.parametrize(("rule", "case"), all_cases())
def test_case(rule: str, case: dict[str, Any]) -> None:
    """The rule alone decides; reasons, severity, words and values are those of the case."""
    result, verdict = judged(case, settings(rule, case))
    assert verdict.green is not case["hold"]
    said = [r for r in verdict.reasons if r.rule == rule]
    assert said == list(verdict.reasons), "only the rule under test speaks"
    if "reasons" in case or not case["hold"]:
        assert len(said) == case.get("reasons", 0)
    if case["hold"] or "severity" in case:
        assert {r.severity for r in said} == {case.get("severity", "hold")}
    if "because" in case:
        assert case["because"] in [r.text for r in said]
    if "because_hi" in case:
        assert case["because_hi"] in [r.text_hi for r in said]
    if "values" in case:
        assert dict(said[0].values) == case["values"]
    assert result.flag == case.get("flag", result.flag)


def test_the_rules_their_files_and_the_names_of_rules_toml_are_the_same() -> None:
    """A rule without cases, or one that cannot be switched, would be no rule of this lab."""
    assert {file.stem for file in CASES.glob("*.toml")} == set(RULES) == set(RULE_NAMES)


def test_all_reasons_are_kept_and_a_critical_potassium_has_three() -> None:
    """Nothing stops at the first reason."""
    assert LOADED is not None
    case = {"test": "K", "value": "10.4", "flags": ["*"], "sample": {"state": "collected"}}
    _, verdict = judged(case, LOADED.rules)
    assert [(r.rule, r.severity) for r in verdict.reasons] == [
        ("identity", "block"),
        ("absurd", "block"),
        ("critical", "critical"),
        ("release_limits", "hold"),
        ("analyzer_flags", "hold"),
    ]


def test_a_rule_that_is_switched_off_says_nothing() -> None:
    """Also the doubts that matching found are then not told."""
    case = {"test": "PLT", "code": "PLT", "driver": "sysmex_xn", "value": "210"}
    case["beside"] = [{"code": "PLT_Clumps?", "value": "140"}]
    _, verdict = judged(case, RuleSettings(frozenset(), "", {}))
    assert verdict.reasons == ()


def settings(rule: str, case: dict[str, Any]) -> RuleSettings:
    """This rule alone, with the numbers of config/rules.toml or the case's own."""
    assert LOADED is not None
    numbers = LOADED.rules.raw[rule]
    assert isinstance(numbers, dict)
    return RuleSettings(frozenset({rule}), "test", {rule: {**numbers, **case.get("numbers", {})}})


def judged(case: dict[str, Any], rules: RuleSettings) -> tuple[Result, Verdict]:
    """The case's first row, matched and verified."""
    driver = load_driver(case.get("driver", "generic_astm"))
    context = context_of(case)
    decoded = Decoded(MessageType.RESULT, None, observations=tuple(rows(case)))
    matched = match(decoded, context, driver)
    assert matched.unmatched == ()
    return matched.results[0], verify(matched.results, context, rules)[0]


def rows(case: dict[str, Any]) -> list[Observation]:
    """The row under test, then those beside it."""
    test = CATALOGUE[case["test"]]
    first = row({"code": test.code, "unit": test.unit, **{k: case[k] for k in ROW if k in case}}, Kind.MEASUREMENT)
    known = load_driver(case.get("driver", "generic_astm")).tests
    others = case.get("beside", ())
    return [first, *(row(o, known[o["code"]].kind if o["code"] in known else Kind.MEASUREMENT) for o in others)]


ROW = ("code", "value", "unit", "flags", "status", "coded", "comments")


def row(said: dict[str, Any], kind: Kind) -> Observation:
    """One observation."""
    return Observation(
        sample_id=said.get("sample_id", SAMPLE), code=said["code"], name=None, value=said["value"], raw=said["value"],
        unit=said.get("unit"), flags=tuple(said.get("flags", ())), status=said.get("status"), kind=kind,
        comments=tuple(said.get("comments", ())),
    )  # fmt: skip


def context_of(case: dict[str, Any]) -> Context:
    """The sample, its order, the patient's last value, the analyzer."""
    told = {"sex": "M", "age_days": 14600, "state": "received", "check_digit_ok": True, **case.get("sample", {})}
    ordered = case.get("ordered", {})
    test = OrderedTest(
        id=7, code=case["test"], state=model.TestState(ordered.get("state", "awaited")),
        has_open_result=bool(ordered.get("open")), open_values=tuple(ordered.get("open", ())),
        released_value=ordered.get("released"),
    )  # fmt: skip
    sample = SampleFacts(
        id=1, sample_id=SAMPLE, state=SampleState(told["state"]), specimen="Serum", container="S", patient_id=3,
        patient=PatientFacts(Sex(told["sex"]), told["age_days"]), tests={case["test"]: test},
        previous=previous(case), check_digit_ok=told["check_digit_ok"],
    )  # fmt: skip
    driver = case.get("driver", "generic_astm")
    facts = AnalyzerFacts(
        name="a1", driver=driver, codes={}, **{"grade": "manual", "auto_release": False, **case.get("analyzer", {})}
    )
    return Context(facts, {SAMPLE: sample}, CATALOGUE, now=NOW)


def previous(case: dict[str, Any]) -> dict[str, Previous]:
    """The patient's latest released value of the same test."""
    told = case.get("previous")
    if told is None:
        return {}
    value = Decimal(told["value"]) if "value" in told else None
    unit = told.get("unit", CATALOGUE[case["test"]].unit)
    return {case["test"]: Previous(value, told.get("coded"), unit, NOW - timedelta(days=told["days_ago"]))}


def bands() -> list[tuple[CatalogueTest, Sex, int]]:
    """Every test with limits, for each sex and an age of each of its bands."""
    return [
        (test, sex, age)
        for test in CATALOGUE.values()
        if test.intervals and not test.coded
        for sex in Sex
        for age in sorted({i.age_min for i in test.intervals})
    ]


@pytest.mark.parametrize("without_window", ["reference", "none"])
def test_a_glance_at_a_value_sees_what_every_rule_and_the_flag_would_say(
    without_window: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On, just below and just above each limit of the catalogue."""
    assert LOADED is not None
    numbers = {**LOADED.rules.raw, "release_limits": {"without_window": without_window}}
    driver = load_driver("generic_astm")
    rules, calm = RuleSettings(LOADED.rules.enabled, "test", numbers), 0
    for test, sex, age in bands():
        limits = limits_for(test, sex, age)
        if limits is None:
            continue
        step = Decimal(1).scaleb(-test.decimals)
        told = {limit + n * step for limit in limits[:8] if isinstance(limit, Decimal) for n in (-1, 0, 1)}
        case = {"test": test.code, "sample": {"sex": sex.value, "age_days": age}}
        context = context_of({**case, "value": "1"})
        unit = {"code": test.code, "unit": test.unit}
        said = [row({**unit, "value": f"{value:f}"}, Kind.MEASUREMENT) for value in sorted(told)]
        results = match(Decoded(MessageType.RESULT, None, observations=tuple(said)), context, driver).results
        for result in results:
            if result.value is not None:
                assert result.flag == flag(result.value, "", limits._replace(normal=None))
        alone = [verify([result], context, rules) for result in results]
        with monkeypatch.context() as asked:
            asked.setattr(rules_module, "_is_calm", lambda subject: False)
            assert [verify([result], context, rules) for result in results] == alone
        calm += sum(1 for (verdict,) in alone if verdict.green)
    assert calm > 500
