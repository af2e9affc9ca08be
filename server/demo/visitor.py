"""A person at a browser without JavaScript: opens pages, finds forms, fills them in, presses a button.

Turns HTML into forms and forms into requests. Law: only what stands on the page is sent; the script has no other way
into the lab than a person has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2


@dataclass
class Form:
    """One form of a page: where it goes, its fields as they stand, its named buttons, the text inside it."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """What a field holds, None when there is no such field."""
        return next((v for n, v in self.fields if n == name), None)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._open: Form | None = None
        self._select = self._area = ""
        self._ids: dict[str, Form] = {}
        self._text: tuple[Form, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms, their fields and buttons, and links."""
        at = {k: v or "" for k, v in attrs}
        if tag == "form":
            self._open = Form(at.get("action", ""), at.get("method", "get").lower())
            self.forms.append(self._open)
            if "id" in at:
                self._ids[at["id"]] = self._open
        elif tag == "a" and "href" in at:
            self.links.append(at["href"])
        else:
            form = self._ids.get(at.get("form", "")) or self._open
            if form is not None:
                self._field(form, tag, at)

    def _field(self, form: Form, tag: str, at: Mapping[str, str]) -> None:
        name, kind = at.get("name", ""), at.get("type", "text")
        if "required" in at and name:
            form.required.append(name)
        if tag == "button":
            form.buttons.append((name, at.get("value", "")))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._option(form, at)
        elif tag == "textarea" and name:
            form.fields.append((name, ""))
        elif tag == "input" and name:
            self._input(form, name, kind, at)

    def _option(self, form: Form, at: Mapping[str, str]) -> None:
        if "value" in at:
            form.choices.setdefault(self._select, []).append(at["value"])
        self._text = (form, self._select) if "value" not in at else None  # its text is its value
        if "selected" in at and "value" in at:
            form.fields.append((self._select, at["value"]))

    def handle_data(self, data: str) -> None:
        """The text of an option without a value is its value."""
        if self._text is not None and data.strip():
            form, name = self._text
            form.choices.setdefault(name, []).append(data.strip())
            self._text = None

    def _input(self, form: Form, name: str, kind: str, at: Mapping[str, str]) -> None:
        if kind in ("checkbox", "radio"):
            form.choices.setdefault(name, []).append(at.get("value", "on"))
            if "checked" in at:
                form.fields.append((name, at.get("value", "on")))
        elif kind == "submit":
            form.buttons.append((name, at.get("value", "")))
        else:
            form.fields.append((name, at.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        """A form or a choice list ends."""
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""


@dataclass(frozen=True)
class Page:
    """One answered request."""

    url: str
    status: int
    text: str
    content: bytes
    forms: tuple[Form, ...]
    links: tuple[str, ...]

    def form(self, part: str) -> Form:
        """The first form whose action holds `part`. LookupError with the page's address when there is none."""
        for form in self.forms:
            if part in form.action:
                return form
        raise LookupError(f"no form to {part!r} on {self.url} (status {self.status})")

    def all_forms(self, part: str) -> list[Form]:
        """Every form whose action holds `part`."""
        return [form for form in self.forms if part in form.action]


class Visitor:
    """One browser with its cookies. Use as a context manager."""

    def __init__(self, base: str) -> None:
        """`base` is the address of the site."""
        self._client = httpx2.Client(base_url=base, follow_redirects=True, timeout=60, trust_env=False)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._client.close()

    def get(self, path: str) -> Page:
        """Open a page."""
        return _page(self._client.get(path))

    def send(
        self, page: Page, form: Form, filled: Mapping[str, str] | None = None, press: tuple[str, str] | None = None
    ) -> Page:
        """Fill the form in and press a button: fields as they stand, `filled` over them."""
        new = dict(filled or {})
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            if name not in new:
                data.setdefault(name, []).append(value)
        data.update({name: [value] for name, value in new.items()})
        if press is not None and press[0]:
            data[press[0]] = [press[1]]
        url = urljoin(page.url, form.action or page.url)
        if form.method == "get":
            return _page(self._client.get(url, params=data))
        return _page(self._client.post(url, data=data))

    def log_in(self, username: str, password: str) -> Page:
        """Through the login page, as everybody."""
        page = self.get("/login")
        return self.send(page, page.form("login"), {"username": username, "password": password})


def _page(answer: httpx2.Response) -> Page:
    reader = _Reader()
    is_html = "html" in answer.headers.get("content-type", "")
    if is_html:
        reader.feed(answer.text)
    text = answer.text if is_html else ""
    return Page(str(answer.url), answer.status_code, text, answer.content, tuple(reader.forms), tuple(reader.links))
