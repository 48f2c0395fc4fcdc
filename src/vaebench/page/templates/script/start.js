// What concerns the whole page, once all parts are there.
const redraw = () => Promise.all([data.curves.length && drawCurves(), ...panels.map((panel) => panel.points && !one(".code-view", panel.root).hidden && panel.drawPoints())]);
isDark.addEventListener("change", redraw);
// On paper, every experiment is open; afterwards all is folded as before.
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details.experiment:not([open])");
  opened.forEach((fold) => { fold.open = true; });
});
addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }));
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const link = one(`nav a[href="#${target.id}"]`);
    if (isIntersecting) link?.setAttribute("aria-current", "true"); else link?.removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0px -65% 0px" });
all("main > section").forEach((section) => watcher.observe(section));
follow();
await redraw();
if (location.hash) follow(); // the charts have moved what is below them
document.documentElement.dataset.ready = "";
