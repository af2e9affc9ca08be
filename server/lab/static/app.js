// Keyboard work and live updates of the technician pages. Everything works without this file.
// Law: never takes the focus away from a person, never throws away what she typed, never releases by one wrong key
// (r presses the button of the marked row; a opens the page where all green results are looked over first).

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const rows = () => all("[data-row]");
const typing = (element) => element?.matches?.("input, select, textarea, [contenteditable]") ?? false;

// ---- keyboard: the marked row is the focused one, so a screen reader hears it too

let marked = null; // id of the row that was marked last, kept when the list is drawn anew

function mark(row) {
  if (!row) return;
  marked = row.id || row.dataset.row;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

const here = () => document.activeElement?.closest?.("[data-row]") ?? rows().find((r) => (r.id || r.dataset.row) === marked);

function step(by) {
  const list = rows();
  const at = list.indexOf(here());
  mark(at < 0 ? list[by > 0 ? 0 : list.length - 1] : list[Math.min(Math.max(at + by, 0), list.length - 1)]);
}

function reject() {
  const details = here() && $("[data-key=x]", here())?.closest("details");
  if (!details) return;
  details.open = true;
  $("input:not([type=hidden])", details)?.focus();
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  r: () => here() && $("[data-key=r]", here())?.click(),
  x: reject,
  a: () => $("[data-key=a]")?.click(),
  "/": () => { const field = $("[data-search]"); field?.focus(); field?.select(); },
  n: () => { if (!$("#news")?.hidden) $("#news button").click(); },
  "?": () => $("#help")?.showModal(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat && !"jk".includes(event.key)) return;
  if (event.key === "Escape" && typing(event.target)) {
    const row = event.target.closest("[data-row]");
    const open = event.target.closest("details[open]");
    if (open) open.open = false;
    if (row) mark(row); else event.target.blur();
    return;
  }
  if (typing(event.target) && !event.target.matches("[type=checkbox], [type=radio]")) return;
  if ($("dialog[open]") || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

addEventListener("focusin", (event) => {
  const row = event.target.closest?.("[data-row]");
  if (row) marked = row.id || row.dataset.row;
});

// ---- forms that answer with the same page: only <main>'s list and notices change, the place on the page stays

async function swap(form, submitter) {
  const before = rows();
  const at = before.indexOf(submitter?.closest("[data-row]") ?? here());
  const body = new URLSearchParams(new FormData(form, submitter));
  const answer = await fetch(form.action, { method: "POST", body });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!$("#live", fresh)) { location.href = answer.redirected ? answer.url : location.href; return; }
  notices(fresh);
  draw(fresh);
  const list = rows();
  const stay = list.find((r) => before.some((b) => b === before[at] && b.id && b.id === r.id));
  if (at >= 0 && list.length) mark(stay ?? list[Math.min(at, list.length - 1)]);
}

function notices(fresh) {
  all("main > .notice").forEach((notice) => notice.remove());
  $("main").prepend(...all("main > .notice", fresh));
}

function draw(fresh) {
  const old = $("#live"), next = $("#live", fresh);
  drawn += 1;
  old.replaceWith(document.adoptNode(next));
  $("#news")?.setAttribute("hidden", "");
  waiting = null;
}

addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-swap]") || event.defaultPrevented) return;
  event.preventDefault();
  if (form.dataset.busy) return; // a second press of the same key is not a second release
  form.dataset.busy = "1";
  swap(form, event.submitter).catch(() => location.reload()).finally(() => delete form.dataset.busy);
});

all("form[data-auto]").forEach((form) => form.addEventListener("change", () => form.requestSubmit()));
all("[data-plain]").forEach((button) => { button.hidden = true; });
all("[data-help]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => keys["?"]());
});

// ---- live updates

let waiting = null; // a newer list, held back while the person works in the old one
let drawn = 0; // how often the list was drawn anew: an answer that was asked for before may be older than what stands there

const busy = () => {
  const live = $("#live");
  const open = $("details[open]", live) || $("dialog[open]");
  const filled = all("input:not([type=hidden]), textarea, select", live).some((field) =>
    field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
      : field.matches("select") ? [...field.options].some((o) => o.selected !== o.defaultSelected && field.selectedIndex > 0)
      : field.value !== field.defaultValue);
  return Boolean(open || filled || live.contains(document.activeElement) || scrollY > 120);
};

async function look() {
  const before = drawn, signal = AbortSignal.timeout?.(30000);
  const answer = await fetch(location.href, { headers: { "X-Live": "1" }, signal });
  if (answer.redirected && new URL(answer.url).pathname === "/login") { location.href = answer.url; return; }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!$("#live", fresh)) return;
  if (drawn !== before) { await look(); return; }
  if (!busy()) { draw(fresh); return; }
  const known = new Set(rows().map((row) => row.dataset.row));
  offer(fresh, all("[data-row]", fresh).filter((row) => !known.has(row.dataset.row)).length);
}

function offer(fresh, count) {
  const news = $("#news");
  if (!news) return;
  if ($("#live", fresh).textContent === $("#live").textContent) return;
  waiting = fresh;
  const button = $("button", news);
  button.textContent = count === 1 ? button.dataset.one
    : count ? button.dataset.many.replace("#", count) : button.dataset.changed;
  news.hidden = false;
}

$("#news button")?.addEventListener("click", () => {
  if (!waiting) return;
  const keep = marked;
  draw(waiting);
  const row = rows().find((r) => (r.id || r.dataset.row) === keep);
  if (row) mark(row); else scrollTo({ top: 0 });
});

if ($("#live[data-live]") && "EventSource" in window) {
  let seen = JSON.parse(document.body.dataset.seen), timer = 0, last = Promise.resolve();
  const next = () => { last = last.then(look).catch(() => {}); }; // one after the other: none overtakes another
  const soon = () => { clearTimeout(timer); timer = setTimeout(next, 150); };
  const topics = () => $("#live").dataset.live.split(" ");
  const source = new EventSource("/live");
  source.addEventListener("counters", (event) => {
    const counters = JSON.parse(event.data);
    if (topics().some((topic) => counters[topic] !== seen[topic])) soon(); // changed since the page was made, or while the line was away
    seen = counters;
  });
  source.addEventListener("change", (event) => {
    const news = JSON.parse(event.data);
    seen = { ...seen, ...news };
    if (topics().some((topic) => topic in news)) soon();
  });
  addEventListener("pagehide", () => source.close());
}

// ---- nobody at the screen: patient data leaves it when the session ends

const idle = Number(document.body.dataset.idle || 0);
if (idle) {
  let last = Date.now(), gone = false;
  ["keydown", "pointerdown", "wheel", "touchstart"].forEach((name) => addEventListener(name, () => { last = Date.now(); }, { passive: true }));
  setInterval(() => {
    if (gone || Date.now() - last <= idle * 1000) return;
    gone = true;
    $("form[action='/lock']")?.submit();
  }, 5000);
}

// On a phone the menu starts closed; without this file it is open.
if (matchMedia("(max-width: 999px)").matches) $("details.menu")?.removeAttribute("open");
