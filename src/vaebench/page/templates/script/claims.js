// Copies of the answer; filters, order and permalinks of the claims.
for (const place of all(".copy")) {
  for (const button of all("button", place)) {
    const name = button.textContent;
    button.addEventListener("click", () => copy(data.copies[place.dataset.experiment][name], name));
  }
}

const claims = all(".claim");
claims.forEach((claim, k) => { claim.dataset.order = k; claim.search = plain(claim.textContent); });
const verdicts = new Set(), FEW = 10;
let isWhole = false;

function filterClaims() {
  const words = phrases(one("#claim-search").value);
  let shown = 0;
  for (const claim of claims) {
    const fits = (!verdicts.size || verdicts.has(claim.dataset.verdict)) && words.every((word) => claim.search.includes(word));
    claim.hidden = !fits;
    shown += fits;
  }
  for (const list of all(".claims:not(details .claims)")) {
    const fitting = all(".claim:not([hidden])", list), later = isWhole ? [] : fitting.slice(FEW);
    all(".claim", list).forEach((claim) => claim.classList.toggle("later", later.length > 1 && later.includes(claim)));
    const button = one("button", list.nextElementSibling);
    button.hidden = later.length < 2;
    button.textContent = `show ${later.length} more`;
  }
  for (const fold of all(".not-run-claims")) {
    fold.hidden = all(".claim", fold).every((claim) => claim.hidden);
    if (verdicts.has("not run") || words.length) fold.open = !fold.hidden;
  }
  one("#claim-count").textContent = shown === claims.length ? `${shown} claims` : `${shown} of ${claims.length} claims`;
}

function sortClaims() {
  const key = one("#claim-sort").value || "order";
  for (const list of all(".claims")) {
    const sorted = [...list.children].sort((a, b) => a.dataset[key] - b.dataset[key] || a.dataset.order - b.dataset.order);
    list.append(...sorted);
  }
  filterClaims();
}

if (one("#claim-controls")) {
  for (const chip of all("#claim-controls .chip")) {
    chip.addEventListener("click", () => {
      const { verdict } = chip.dataset;
      const on = !verdicts.delete(verdict) && Boolean(verdicts.add(verdict));
      chip.setAttribute("aria-pressed", on);
      filterClaims();
    });
  }
  one("#claim-search").addEventListener("input", filterClaims);
  one("#claim-sort").addEventListener("change", sortClaims);
  for (const button of all(".more button")) {
    button.addEventListener("click", () => {
      isWhole = true;
      const next = one(".later", button.parentElement.previousElementSibling);
      filterClaims();
      next?.focus();
    });
  }
  filterClaims();
}

// A part of an address, as it stands if it is not well-formed.
function unescaped(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function follow() {
  const target = location.hash && document.getElementById(unescaped(location.hash.slice(1)));
  if (!target) return;
  if (target.matches(".later")) {
    isWhole = true;
    filterClaims();
  }
  if (target.hidden) {
    one("#claim-search").value = "";
    verdicts.clear();
    all("#claim-controls .chip").forEach((chip) => chip.setAttribute("aria-pressed", false));
    filterClaims();
  }
  for (let at = target; at; at = at.parentElement) if (at.matches("details")) at.open = true;
  if (target.matches(".claim")) one(".why", target).open = true;
  target.scrollIntoView();
  if (target.tabIndex === -1) target.focus({ preventScroll: true });
}
addEventListener("hashchange", follow);
