"use strict";
// The page is whole without this script: it only opens what a link points at, copies a command, and narrows the list.
function reveal() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!place) return;
  for (let one = place; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
  place.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}

const search = document.getElementById("search");
const checks = [...document.querySelectorAll("details.check")];
search.closest("p").hidden = checks.length < 2;
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const check of checks) {
    const text = check.dataset.find.toLowerCase();
    check.hidden = !words.every((word) => text.includes(word));
    shown += check.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = words.length ? `${shown} of ${checks.length}` : "";
});
