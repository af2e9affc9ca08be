// Quick work at the counter and the bench: filter the tests, count what is ticked, open PDFs in a new tab, scan again.
// Everything works without this file.
const form = document.querySelector("[data-register]");
const box = document.querySelector("[data-filter]");

function filter() {
  const words = box.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  for (const label of document.querySelectorAll("[data-words]")) {
    const fits = words.every((word) => label.dataset.words.includes(word));
    label.hidden = !fits;
  }
  for (const group of document.querySelectorAll("details.group")) {
    const fits = group.querySelector("[data-words]:not([hidden])");
    const ticked = group.querySelector("input:checked");
    group.hidden = words.length > 0 && !fits;
    group.open = words.length > 0 ? Boolean(fits) : Boolean(ticked);
  }
}

function count() {
  const said = document.querySelector("[data-count]");
  if (said) said.textContent = said.dataset.countText.replace("#", document.querySelectorAll("[name=tests]:checked").length);
}

if (box) {
  box.addEventListener("input", filter);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // Enter in the filter ticks the first test that is left; it does not send the form
    const first = document.querySelector("[data-words]:not([hidden]) input");
    if (first && box.value.trim()) {
      first.checked = !first.checked;
      box.value = "";
      filter();
      count();
    }
  });
  document.addEventListener("change", (event) => event.target.name === "tests" && count());
  if (box.value) filter(); // typed before this file was here, or kept by the browser when one comes back
  count();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]):not([type=radio]), select, textarea");
  if (event.key === "/" && box && !typing) {
    event.preventDefault();
    box.focus();
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form) form.requestSubmit();
});

// A slip or label opens in its own tab; this page then shows the new state (the slip's number of copies, a print time).
for (const sheet of document.querySelectorAll("form[target=_blank][data-again]")) {
  sheet.addEventListener("submit", () => setTimeout(() => location.reload(), 1500));
}
for (const wanted of document.querySelectorAll("[data-ask]")) {
  wanted.addEventListener("submit", (event) => {
    if (!confirm(wanted.dataset.ask)) event.preventDefault();
  });
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
