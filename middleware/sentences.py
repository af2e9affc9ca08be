"""Why a result is held or a row is nobody's, in sentences a technician understands, English and Hindi.

Turns (rule, sentence, values) into a Reason. Law: each sentence names the numbers it is about; never a patient.
Source: domain 7.7 for the Hindi (spoken words, digits 0-9, never a frightening word).
"""

from __future__ import annotations

from middleware.model import Reason

HOLD, BLOCK, CRITICAL, NOTE = "hold", "block", "critical", "note"

SENTENCES: dict[str, tuple[str, str]] = {
    # nobody's rows
    "unread": (
        "The analyzer could not read the barcode (it sent {sample_id}). Look which tube it was.",
        "मशीन बारकोड नहीं पढ़ सकी ({sample_id} भेजा)। देखें कि कौन सी ट्यूब थी।",
    ),
    "not_ours": (
        "{sample_id} is not a sample number of this laboratory.",
        "{sample_id} इस लैब का सैंपल नंबर नहीं है।",
    ),
    "damaged": (
        "Sample number {sample_id} is damaged: its check digit is wrong. Compare it with the label.",
        "सैंपल नंबर {sample_id} गलत है: जांच अंक मेल नहीं खाता। लेबल से मिलाएं।",
    ),
    "not_registered": (
        "No sample {sample_id} is registered.",
        "सैंपल {sample_id} रजिस्टर नहीं है।",
    ),
    "sample_rejected": (
        "Sample {sample_id} was rejected. A new sample was to be taken.",
        "सैंपल {sample_id} रिजेक्ट किया जा चुका है। नया सैंपल लेना था।",
    ),
    "no_code": (
        "The analyzer sent a value without a test code.",
        "मशीन ने बिना टेस्ट कोड के नतीजा भेजा।",
    ),
    "unknown_code": (
        "Test code {code} of {analyzer} is not known here. An engineer gives it a meaning (Unknown codes).",
        "{analyzer} का टेस्ट कोड {code} यहां पता नहीं है। इंजीनियर “मशीनें”, “अनजान कोड” में इसका मतलब तय करें।",
    ),
    "no_such_test": (
        "Test code {code} of {analyzer} means {test}, which is not in the catalogue.",
        "{analyzer} का टेस्ट कोड {code} यानी {test}, जो जांच सूची में नहीं है।",
    ),
    "not_ordered": (
        "{test} was not ordered on sample {sample_id}.",
        "सैंपल {sample_id} पर {test} की जांच नहीं लिखी गई है।",
    ),
    "cancelled": (
        "{test} on sample {sample_id} was cancelled or closed.",
        "सैंपल {sample_id} पर {test} रद्द या बंद की जा चुकी है।",
    ),
    "several": (
        "Code {code} can mean {tests}, and more than one of them is ordered on sample {sample_id}.",
        "कोड {code} का मतलब {tests} हो सकता है, और सैंपल {sample_id} पर इनमें से एक से ज़्यादा लिखी हैं।",
    ),
    "other_message": (
        "The message is of a kind that this driver does not know; its values are not filed by themselves.",
        "यह संदेश इस ड्राइवर के लिए अनजान है; इसके नतीजे अपने आप नहीं जोड़े जाते।",
    ),
    # reading the value
    "masked": (
        "The analyzer gave no value for {test} (it sent {value}). Run the test again.",
        "मशीन ने {test} का नतीजा नहीं दिया ({value} भेजा)। जांच दोबारा करें।",
    ),
    "not_a_number": (
        "{value} cannot be read as a number for {test}.",
        "{test} के लिए {value} को संख्या नहीं माना जा सकता।",
    ),
    "comma": (
        "{value} can mean two numbers: is the comma a decimal point or a separator? Look at the analyzer.",
        "{value} के दो मतलब हो सकते हैं: अल्पविराम दशमलव है या हज़ार का चिह्न? मशीन पर देखें।",
    ),
    "unit_unknown": (
        "{test} came as {value} in the unit {unit}, which is not known for it (expected {expected}). Not converted.",
        "{test} का नतीजा {value} इकाई {unit} में आया, जो इसके लिए मान्य नहीं है ({expected} चाहिए)। बदला नहीं गया।",
    ),
    "unit_missing": (
        "{test} came as {value} without a unit (expected {expected}).",
        "{test} का नतीजा {value} बिना इकाई के आया ({expected} चाहिए)।",
    ),
    "not_allowed": (
        "{value} is not one of the answers of {test}: {allowed}.",
        "{value}, {test} के मान्य नतीजों में नहीं है: {allowed}।",
    ),
    "approximate_age": (
        "The age is approximate; with the exact age another normal range may hold.",
        "उम्र अंदाज़न है; सही उम्र पर सामान्य सीमा दूसरी हो सकती है।",
    ),
    "suspects": ("The analyzer suspects: {suspect}.", "मशीन को शक है: {suspect}।"),
    # rules
    "not_received": (
        "Sample {sample_id} was not recorded as received in the laboratory. Check the tube.",
        "सैंपल {sample_id} लैब में पहुंचा हुआ दर्ज नहीं है। ट्यूब जांचें।",
    ),
    "wrong_sex": (
        "{test} cannot be for a male patient. Check whose tube it is.",
        "{test} पुरुष मरीज की नहीं हो सकती। देखें कि ट्यूब किसकी है।",
    ),
    "bad_check_digit": (
        "Sample number {sample_id} has a wrong check digit. Compare it with the label.",
        "सैंपल नंबर {sample_id} का जांच अंक गलत है। लेबल से मिलाएं।",
    ),
    "absurd_low": (
        "{test} {value} is below {limit}: hardly possible. Check sample and analyzer, run it again.",
        "{test} {value}, {limit} से कम है: ऐसा होना लगभग नामुमकिन है। सैंपल और मशीन जांचें, दोबारा करें।",
    ),
    "absurd_high": (
        "{test} {value} is above {limit}: hardly possible. Check sample and analyzer, run it again.",
        "{test} {value}, {limit} से ज़्यादा है: ऐसा होना लगभग नामुमकिन है। सैंपल और मशीन जांचें, दोबारा करें।",
    ),
    "critical_low": (
        "{test} {value} is below the critical limit {limit}. Call the doctor.",
        "{test} {value}, क्रिटिकल सीमा {limit} से कम है। डॉक्टर को फोन करें।",
    ),
    "critical_high": (
        "{test} {value} is above the critical limit {limit}. Call the doctor.",
        "{test} {value}, क्रिटिकल सीमा {limit} से ज़्यादा है। डॉक्टर को फोन करें।",
    ),
    "critical_maybe": (
        "{test} {value} may be beyond the critical limit {limit}. Repeat or dilute, and call the doctor.",
        "{test} {value}, क्रिटिकल सीमा {limit} के पार हो सकता है। दोबारा या डाइल्यूट करें, और डॉक्टर को फोन करें।",
    ),
    "critical_coded": (
        "{test} is {value}: a critical result. Call the doctor.",
        "{test}: {value} - क्रिटिकल नतीजा। डॉक्टर को फोन करें।",
    ),
    "release_low": (
        "{test} {value} is below {limit}, the lowest value released without a second look.",
        "{test} {value}, {limit} से कम है। इससे कम नतीजा देखकर ही जारी होता है।",
    ),
    "release_high": (
        "{test} {value} is above {limit}, the highest value released without a second look.",
        "{test} {value}, {limit} से ज़्यादा है। इससे ज़्यादा नतीजा देखकर ही जारी होता है।",
    ),
    "release_maybe_low": (
        "{test} {value} may be below {limit}, the lowest value released without a second look.",
        "{test} {value}, {limit} से कम हो सकता है। इससे कम नतीजा देखकर ही जारी होता है।",
    ),
    "release_maybe_high": (
        "{test} {value} may be above {limit}, the highest value released without a second look.",
        "{test} {value}, {limit} से ज़्यादा हो सकता है। इससे ज़्यादा नतीजा देखकर ही जारी होता है।",
    ),
    "no_interval": (
        "There is no normal range of {test} for this age and sex. Look at it.",
        "इस उम्र और लिंग के लिए {test} की सामान्य सीमा नहीं है। देखकर जारी करें।",
    ),
    "abnormal_coded": (
        "{test} is {value}, not among the normal answers ({normal}).",
        "{test}: {value}, सामान्य नतीजों ({normal}) में नहीं है।",
    ),
    "repeat_coded": (
        "{test} is {value}: the test is to be repeated.",
        "{test}: {value} - जांच दोबारा करें।",
    ),
    "delta": (
        "{test} was {previous} {days} days ago and is {value} now: a change of {percent} % (limit {limit} %). "
        "Check that it is the right tube.",
        "{test} {days} दिन पहले {previous} था, अब {value} है: {percent} % का फर्क (सीमा {limit} %)। देखें कि ट्यूब सही है।",
    ),
    "delta_from_zero": (
        "{test} was {previous} {days} days ago and is {value} now. Check that it is the right tube.",
        "{test} {days} दिन पहले {previous} था, अब {value} है। देखें कि ट्यूब सही है।",
    ),
    "lifelong": (
        "{test} was {previous} before and is {value} now. It never changes: check whose tube it is.",
        "{test} पहले {previous} था, अब {value} है। यह कभी नहीं बदलता: देखें कि ट्यूब किसकी है।",
    ),
    "flag": (
        "The analyzer marked {test} with {flag}{meaning}.",
        "मशीन ने {test} पर {flag} लगाया है{meaning}।",
    ),
    "status": (
        "The analyzer sends {test} {value} as {meaning}.",
        "मशीन ने {test} {value} को {meaning} बताया है।",
    ),
    "status_unknown": (
        "The analyzer sends {test} {value} with the status {status}, which says nothing of a final result.",
        "मशीन ने {test} {value} को {status} स्थिति के साथ भेजा है: यह अंतिम नतीजा नहीं बताती।",
    ),
    "interpretation": (
        "The analyzer's own interpretation of {test} {value}: {said}.",
        "{test} {value} पर मशीन की अपनी राय: {said}।",
    ),
    "controls_invalid": (
        "The analyzer says that its controls were not right when it measured {test} ({said}). Run the controls, then "
        "the sample again.",
        "मशीन के अनुसार {test} नापते समय उसके कंट्रोल ठीक नहीं थे ({said})। पहले कंट्रोल चलाएं, फिर सैंपल दोबारा करें।",
    ),
    "below_range": (
        "{test} {value}: below what the analyzer can measure.",
        "{test} {value}: मशीन की माप सीमा से कम।",
    ),
    "above_range": (
        "{test} {value}: above what the analyzer can measure. Dilute if the method allows.",
        "{test} {value}: मशीन की माप सीमा से ज़्यादा। हो सके तो डाइल्यूट करें।",
    ),
    "never_list": (
        "{test} is never released without a person who looked at it.",
        "{test} बिना देखे कभी जारी नहीं होती।",
    ),
    "unproven_driver": (
        "The driver {driver} is proven by {grade} only, not in the field: nothing is released by itself.",
        "ड्राइवर {driver} अभी लैब में परखा नहीं गया है ({grade}): अपने आप कुछ जारी नहीं होता।",
    ),
    "correction": (
        "The analyzer sends {test} {value} as a correction of an earlier value.",
        "मशीन ने {test} {value} पहले के नतीजे के सुधार के रूप में भेजा है।",
    ),
    "second_open": (
        "Another result of this test exists: {others}. Choose one.",
        "इस जांच का एक और नतीजा है: {others}। एक चुनें।",
    ),
    "second_released": (
        "This test was already released with {others}. Releasing this one amends the report.",
        "यह जांच {others} के साथ जारी हो चुकी है। इसे जारी करने पर रिपोर्ट सुधारी जाएगी।",
    ),
    "second_in_message": (
        "The message holds more than one result of this test: {others}. Choose one.",
        "संदेश में इस जांच के एक से ज़्यादा नतीजे हैं: {others}। एक चुनें।",
    ),
}  # fmt: skip

FLAG_MEANINGS: dict[str, tuple[str, str]] = {
    "<": (" (below its measuring range)", " (माप सीमा से कम)"),
    ">": (" (above its measuring range)", " (माप सीमा से ज़्यादा)"),
    "*": (" (doubtful)", " (भरोसे लायक नहीं)"),
    "@": (" (out of linearity)", " (लिनियरिटी से बाहर)"),
    "A": (" (abnormal)", " (असामान्य)"),
    "W": (" (to be checked)", " (जांचें)"),
}


# LIS02-A2 9.9, HL7 table 0085: a final result says one of these. R: sent before, or not verified by a person. Q: asked
# for. V: verified. U: final, was preliminary. C has a rule of its own.
FINAL = frozenset({"", "F", "C", "R", "Q", "V", "U"})
# What the others mean; W is doubtful in LIS02-A2 and sent by mistake in HL7.
STATUS_MEANINGS: dict[str, tuple[str, str]] = {
    "P": ("preliminary: the final result is still to come", "शुरुआती नतीजा (अंतिम अभी आना है)"),
    "W": ("doubtful or wrong: check it", "शक वाला या गलत नतीजा (जांचें)"),
    "D": ("deleted: it takes the result back", "हटाया गया नतीजा (मशीन इसे वापस लेती है)"),
    "X": ("not done: it could get no result", "न हो सका (कोई नतीजा नहीं मिला)"),
    "I": ("pending: not measured yet", "बाकी (अभी मापा नहीं गया)"),
    "S": ("partial: the rest is still to come", "अधूरा नतीजा (बाकी अभी आना है)"),
}


def reason(rule: str, sentence: str, severity: str = HOLD, **values: str) -> Reason:
    """The Reason with this sentence filled in. Values that differ by language end in `_hi` for the Hindi one."""
    english, hindi = SENTENCES[sentence]
    in_hindi = {k: values.get(f"{k}_hi", v) for k, v in values.items()}
    kept = {k: v for k, v in values.items() if not k.endswith("_hi")}
    return Reason(rule, english.format(**values), hindi.format(**in_hindi), kept, severity)
