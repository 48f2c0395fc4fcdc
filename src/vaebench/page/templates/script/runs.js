// The table of runs, by any column.
const body = one("#run-table tbody"), runRows = [...body.rows];
const valueOf = (row, k) => row.cells[k].dataset.value ?? row.cells[k].textContent;
all("#run-table th:not([data-fixed])").forEach((heading, k) => {
  const button = element("button", { type: "button", textContent: heading.textContent });
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    all("#run-table th").forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    // The collator alone would put 0.95 before 0.4321, since it compares the digits after the point as a whole number.
    const words = new Intl.Collator("en", { numeric: true }).compare;
    const isNumber = (text) => text.trim() !== "" && !Number.isNaN(Number(text));
    const compare = (a, b) => (isNumber(a) && isNumber(b) ? a - b : words(a, b));
    body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(valueOf(a, k), valueOf(b, k))));
  });
});
function filterRuns() {
  const words = phrases(one("#run-search").value);
  runRows.forEach((row) => { row.hidden = !words.every((word) => plain(row.textContent).includes(word)); });
  const shown = runRows.filter((row) => !row.hidden).length;
  one("#run-count").textContent = shown === runRows.length ? `${shown} runs` : `${shown} of ${runRows.length} runs`;
}
one("#run-search").addEventListener("input", filterRuns);
filterRuns();
