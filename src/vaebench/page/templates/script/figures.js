// Figures in a dialog, and what each was made from.
const dialog = one("#zoomed");
for (const button of all(".enlarge")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure"), small = one("img", figure), large = one("img", dialog);
    one("#zoomed-title").textContent = one("h3", figure).textContent;
    large.alt = small.alt;
    // The sharp drawing lies beside the page. A thin copy has none, and a page that was moved alone
    // does not find it: they show the page's own.
    large.onerror = () => { large.onerror = null; large.src = small.src; };
    large.src = figure.querySelector(".vector")?.getAttribute("href") ?? small.src;
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

for (const fold of all(".made-from")) {
  fold.addEventListener("toggle", () => {
    const keys = fold.dataset.runs.split(" ").filter(Boolean), text = one(".explained", fold);
    text.textContent = keys.map((key) => data.facts.runs[key].map((k) => data.facts.texts[k]).join("\n")).join("\n\n");
    text.hidden = !keys.length;
  });
}
