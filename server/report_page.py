"""Turns a Sheet into the HTML body of a report page, for the patient's phone and the lab's screen.

Law: everything a person typed is escaped; no script, no style attribute, no address but ours, so any content security
policy holds; phone first; a flag is a word, never colour alone. Source: ISO 15189:2022 7.4.1.6, domain 1.3 and 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from server.sheet import Banner, Pairs, Panel, Row, Sheet

EMPTY = Markup("")


def page(sheet: Sheet) -> Markup:
    """One <article> with the whole report."""
    return Markup('<article class="lm-report" lang="{}">{}</article>').format(
        sheet.lang,
        EMPTY.join(
            (
                _head(sheet),
                _text("p", "lm-urgent", sheet.urgent),
                _banner(sheet.banner),
                _pairs("lm-who", sheet.identity),
                _text("p", "lm-sum", sheet.summary),
                EMPTY.join(_panel(panel, sheet) for panel in sheet.panels),
                _list("lm-comments", sheet.comments_title, sheet.comments),
                _signed(sheet),
                _pairs("lm-facts", (*sheet.details, *sheet.times)),
                _text("p", "lm-small", sheet.zone),
                _samples(sheet),
                EMPTY.join(_text("p", "lm-note", note) for note in sheet.notes),
                _text("p", "lm-end", sheet.end),
            )
        ),
    )


def _text(tag: str, name: str, text: str, lang: str = "") -> Markup:
    """One element with text; nothing at all when there is no text."""
    if not text:
        return EMPTY
    spoken = Markup(' lang="{}"').format(lang) if lang else EMPTY
    return Markup('<{} class="{}"{}>{}</{}>').format(Markup(tag), name, spoken, text, Markup(tag))


def _head(sheet: Sheet) -> Markup:
    return Markup("<header>{}<h1>{}{}</h1>{}<h2>{} · {}</h2></header>").format(
        _text("p", "lm-small", sheet.state_line),
        sheet.facility,
        _text("span", "lm-hi", sheet.facility_hi, "hi"),
        _text("p", "lm-small", sheet.contact),
        sheet.title,
        sheet.status,
    )


def _banner(banner: Banner | None) -> Markup:
    if banner is None:
        return EMPTY
    lines = EMPTY.join(Markup("<p>{}</p>").format(line) for line in banner.lines)
    return Markup('<section class="lm-banner lm-{}"><h3>{}</h3>{}</section>').format(banner.kind, banner.title, lines)


def _pairs(name: str, pairs: Pairs) -> Markup:
    inner = EMPTY.join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(*pair) for pair in pairs if pair[1])
    return Markup('<dl class="{}">{}</dl>').format(name, inner)


def _list(name: str, title: str, lines: Iterable[str]) -> Markup:
    inner = EMPTY.join(Markup("<p>{}</p>").format(line) for line in lines)
    return Markup('<section class="{}"><h3>{}</h3>{}</section>').format(name, title, inner) if inner else EMPTY


def _panel(panel: Panel, sheet: Sheet) -> Markup:
    heads = EMPTY.join(Markup('<th scope="col" role="columnheader">{}</th>').format(h) for h in sheet.head)
    return Markup(
        '<table class="lm-tests" role="table"><caption>{}{}</caption>'
        '<thead role="rowgroup"><tr role="row">{}</tr></thead><tbody role="rowgroup">{}</tbody></table>'
    ).format(
        panel.title,
        _text("span", "lm-small", panel.specimen),
        heads,
        EMPTY.join(_row(row, sheet) for row in panel.rows),
    )


def _row(row: Row, sheet: Sheet) -> Markup:
    kind = Markup(' class="lm-ab lm-crit"') if row.critical else Markup(' class="lm-ab"') if row.abnormal else EMPTY
    name = Markup('<th scope="row" role="rowheader">{} {}{}</th>').format(
        row.name, _bare("i", row.beside, Markup(' lang="hi"')), _bare("small", row.small)
    )
    if row.said:
        cells = Markup('<td class="lm-s" colspan="4" role="cell">{}</td>').format(row.said)
    else:
        cells = _cells(row, sheet)
    return Markup('<tr role="row"{}>{}{}</tr>').format(kind, name, cells)


def _bare(tag: str, text: str, attribute: Markup = EMPTY) -> Markup:
    """An element that repeats on every row: no class, so that sixty rows stay small."""
    return Markup("<{}{}>{}</{}>").format(Markup(tag), attribute, text, Markup(tag)) if text else EMPTY


def _cells(row: Row, sheet: Sheet) -> Markup:
    """Value, flag, unit, interval; the classes are one letter because they stand sixty times."""
    word = Markup("<b>{}</b> {}").format(row.flag, row.word) if row.flag else row.word
    label = Markup(' data-l="{}"').format(sheet.head[4]) if row.interval else EMPTY
    return Markup(
        '<td class="lm-v" role="cell">{}{}{}</td><td class="lm-f" role="cell">{}</td>'
        '<td class="lm-u" role="cell">{}</td><td class="lm-r" role="cell"{}>{}</td>'
    ).format(
        row.value, _bare("small", row.value_small), _bare("strong", row.change), word, row.unit, label, row.interval
    )


def _signed(sheet: Sheet) -> Markup:
    return _list("lm-signed", sheet.signed_title, (f"{who} · {at}" for who, at in sheet.signed))


def _samples(sheet: Sheet) -> Markup:
    cards = EMPTY.join(
        Markup("<li>{}</li>").format(EMPTY.join(_fact(*pair) for pair in zip(sheet.sample_head, sample, strict=True)))
        for sample in sheet.samples
    )
    return Markup('<section class="lm-samples"><h3>{}</h3><ul>{}</ul></section>').format(sheet.samples_title, cards)


def _fact(label: str, text: str) -> Markup:
    return Markup("<div><i>{}</i> {}</div>").format(label, text)


REPORT_CSS = """\
.lm-report{max-width:52rem;margin:0 auto;padding:.75rem;font:1rem/1.5 system-ui,"Noto Sans","Noto Sans Devanagari",
Mangal,sans-serif;color:#111;background:#fff;overflow-wrap:anywhere}
.lm-report *{box-sizing:border-box}
.lm-report h1{font-size:1.25rem;line-height:1.3;margin:0;color:#16324f}
.lm-report h1 .lm-hi{display:block;font-size:1.1rem}
.lm-report h2{font-size:1.1rem;margin:.5rem 0 0}
.lm-report h3{font-size:1rem;margin:0 0 .25rem}
.lm-report p{margin:.2rem 0}
.lm-report .lm-small,.lm-tests small{font-size:.85rem;color:#4a4f55;font-weight:400}
.lm-report .lm-hi{font-weight:400}
.lm-report header{border-bottom:2px solid #16324f;padding-bottom:.5rem;margin-bottom:.75rem}
.lm-urgent{border:3px solid #8c1113;background:#fdecec;padding:.6rem .75rem;font-weight:700;font-size:1.1rem}
.lm-banner{border:2px solid #16324f;border-left-width:8px;background:#eef3f7;padding:.6rem .75rem;margin:.75rem 0}
.lm-interim{border-style:dashed}
.lm-who,.lm-facts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.5rem .75rem;margin:.75rem 0;
padding:.6rem .75rem;background:#eef3f7}
.lm-facts{background:none;border-top:1px solid #9fb0c0}
.lm-who div:nth-child(3n+1){grid-column:1/-1}
.lm-who div:first-child{font-size:1.15rem;font-weight:700}
.lm-report dt,.lm-samples i{font-size:.85rem;color:#4a4f55;font-weight:400;font-style:normal}
.lm-report dd{margin:0}
.lm-sum{font-weight:700}
.lm-tests{width:100%;border-collapse:collapse;margin:1rem 0 0}
.lm-tests caption{text-align:left;font-weight:700;color:#16324f;background:#eef3f7;padding:.4rem .6rem}
.lm-tests caption .lm-small{float:right;margin-left:.5rem}
.lm-tests thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.lm-tests,.lm-tests caption,.lm-tests tbody,.lm-tests th,.lm-tests td{display:block}
.lm-tests tbody tr{display:grid;grid-template-columns:auto auto minmax(42%,1fr);gap:0 .5rem;align-items:baseline;
padding:.6rem;border-bottom:1px solid #c3cdd6}
.lm-tests th[scope=row]{grid-column:1/-1;text-align:left;font-weight:600}
.lm-tests th i{font-weight:400;font-style:normal;color:#33383d}
.lm-tests th small,.lm-v small,.lm-v strong{display:block}
.lm-v{order:1;font-size:1.2rem}
.lm-u{order:2}
.lm-f{order:3;text-align:right}
.lm-r{order:4;grid-column:1/-1;font-size:.95rem}
.lm-r[data-l]::before{content:attr(data-l) ": ";color:#4a4f55}
.lm-v strong{font-size:.85rem}
.lm-s{grid-column:1/-1;font-style:italic}
.lm-ab .lm-v,.lm-ab .lm-f{font-weight:700}
.lm-ab .lm-f b{border:2px solid #111;border-radius:3px;padding:0 .3rem}
.lm-crit .lm-f b{background:#111;color:#fff}
.lm-crit{box-shadow:inset 6px 0 #8c1113}
.lm-comments,.lm-signed,.lm-samples{margin:1rem 0}
.lm-samples ul{list-style:none;margin:0;padding:0}
.lm-samples li{padding:.4rem 0;border-bottom:1px solid #c3cdd6}
.lm-note{font-size:.9rem}
.lm-end{text-align:center;font-weight:700;margin:1rem 0!important}
@media (min-width:44rem){
.lm-who,.lm-facts{grid-template-columns:repeat(3,minmax(0,1fr))}
.lm-who div:nth-child(3n+1){grid-column:auto}
.lm-tests{display:table;table-layout:fixed}
.lm-tests caption{display:table-caption}
.lm-tests thead{position:static;display:table-header-group;clip-path:none}
.lm-tests tbody{display:table-row-group}
.lm-tests tbody tr,.lm-tests thead tr{display:table-row}
.lm-tests th,.lm-tests td{display:table-cell;text-align:left;padding:.35rem .6rem;border-bottom:1px solid #c3cdd6}
.lm-tests thead th:first-child{width:36%}
.lm-r::before{content:none!important}
.lm-samples li{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
}
@media print{.lm-report{font-size:10pt;max-width:none}.lm-tests tr{break-inside:avoid}}
"""
