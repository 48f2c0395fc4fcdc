// What the page can do beyond being read. Every part works on what the HTML already holds, and on
// the one block of data; nothing is fetched but the codes of a run that a person chooses.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => (isDark.matches ? "dark" : "light");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let toastTimer;
function say(text) {
  one("#toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { one("#toast").textContent = ""; }, 2500);
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers give pages of a disk no clipboard; a selected text can be copied in all.
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${name} copied`);
}

function choose(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => element("option", { value, textContent: text })));
  if (values.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}

// --- charts ---------------------------------------------------------------------------------

function vegaTheme(range) {
  const [ink, quiet, rule] = ["--ink", "--quiet", "--rule"].map(colour);
  const font = colour("--sans");
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: {
      labelColor: quiet, titleColor: quiet, gridColor: rule, domainColor: rule, tickColor: rule,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelOverlap: true,
    },
    text: { color: ink },
    range: { category: range },
  };
}

async function draw(place, spec, datasets, params, range, renderer) {
  const filled = structuredClone(spec);
  filled.datasets = datasets;
  const own = new Map(Object.entries(params));
  const set = (params = []) => params.forEach((p) => { if (own.has(p.name)) p.value = own.get(p.name); });
  set(filled.params);
  const { view } = await window.vaebenchVega.vegaEmbed(place, filled, {
    actions: false, renderer, config: vegaTheme(range), mode: "vega-lite",
  });
  return view;
}

function scaled([low, high], factor) {
  const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
  return [middle - half, middle + half];
}

// --- answer ---------------------------------------------------------------------------------

for (const place of all(".copy")) {
  for (const button of all("button", place)) {
    const name = button.textContent;
    button.addEventListener("click", () => copy(data.copies[place.dataset.experiment][name], name));
  }
}

// --- claims ---------------------------------------------------------------------------------

const claims = all(".claim");
claims.forEach((claim, k) => { claim.dataset.order = k; claim.search = claim.textContent.toLowerCase(); });
const verdicts = new Set(), FEW = 10;
let isWhole = false;

function filterClaims() {
  const words = one("#claim-search").value.toLowerCase().split(/\s+/).filter(Boolean);
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

// --- permalinks -----------------------------------------------------------------------------

function follow() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
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

// --- curves ---------------------------------------------------------------------------------

const curve = { hidden: new Set(), factor: 1, view: null };
const curveInputs = Object.fromEntries(["experiment", "n", "metric", "mode", "range"].map((k) => [k, one(`#curve-${k}`)]));
const chosenCurves = () => data.curves.find((each) => each.experiment === curveInputs.experiment.value);

function offerCurves() {
  const from = chosenCurves();
  const dims = [...new Set(from.runs.map((run) => run.n))].sort((a, b) => a - b);
  choose(curveInputs.n, dims.map((n) => [n, n]), curveInputs.n.value);
  const known = Object.entries(data.metrics).filter(([name]) => from.runs.some((run) => name in run.values));
  choose(curveInputs.metric, known, curveInputs.metric.value);
  curve.hidden.clear();
}

// The mean over seeds and its 95% interval at each place where every run has a value.
function summary(runs, metric, from) {
  const quantile = data.quantiles[runs.length];
  return from.places.flatMap((place, k) => {
    const values = runs.map((run) => run.values[metric][k]);
    if (values.some((x) => x === null)) return [];
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const std = Math.sqrt(values.reduce((a, x) => a + (x - mean) ** 2, 0) / (values.length - 1));
    const half = values.length > 1 ? (quantile * std) / Math.sqrt(values.length) : 0;
    return [{ place, value: mean, low: mean - half, high: mean + half }];
  });
}

function curveRows(groups, metric, from, single) {
  const rows = { band: [], lines: [] };
  for (const [group, runs] of groups) {
    const points = summary(runs, metric, from);
    if (single || runs.length === 1) {
      for (const run of runs) {
        from.places.forEach((place, k) => {
          const value = run.values[metric][k];
          if (value !== null) rows.lines.push({ group, seed: String(run.seed), place, value, weight: runs.length > 1 ? 1 : 2, text: value.toFixed(2) });
        });
      }
    } else {
      for (const point of points) {
        const text = `${point.value.toFixed(2)} [${point.low.toFixed(2)}, ${point.high.toFixed(2)}]`;
        rows.band.push({ group, ...point });
        rows.lines.push({ group, seed: `${runs.length} seeds`, place: point.place, value: point.value, weight: 2.2, text });
      }
    }
  }
  return rows;
}

// In the first twentieth of training, bounds rise from very low values, which would squash the rest.
function settledRange(rows, all) {
  const last = Math.max(...rows.lines.map((row) => row.place));
  const late = (row) => all || row.place >= 0.05 * last;
  const sorted = [...rows.lines.filter(late).map((row) => row.value)].sort((a, b) => a - b);
  const ends = rows.band.filter(late).flatMap((row) => [row.low, row.high]);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const low = all ? Math.min(...sorted, ...ends) : at(0.03), high = all ? Math.max(...sorted, ...ends) : at(0.995);
  const span = high - low || 1;
  return [low - 0.05 * span, high + 0.08 * span];
}

async function drawCurves() {
  const from = chosenCurves(), metric = curveInputs.metric.value, n = Number(curveInputs.n.value);
  const names = [...new Set(from.runs.map((run) => run.group))];
  const palette = data.colours.groups[theme()];
  const colours = Object.fromEntries(names.map((name, k) => [name, palette[k % palette.length]]));
  const runsOf = (group) => from.runs.filter((run) => run.group === group && run.n === n && run.values[metric]);
  const here = names.filter((name) => runsOf(name).length);
  one("#curve-groups").replaceChildren(...here.map((name) => {
    const shown = !curve.hidden.has(name);
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = colours[name];
    const chip = element("button", { type: "button", className: "chip group" }, swatch, name);
    chip.setAttribute("aria-pressed", shown);
    chip.addEventListener("click", async () => {
      if (shown) curve.hidden.add(name); else curve.hidden.delete(name);
      await drawCurves();
      all("#curve-groups button").find((each) => each.textContent === name)?.focus();
    });
    return chip;
  }));
  const groups = here.filter((name) => !curve.hidden.has(name)).map((name) => [name, runsOf(name)]);
  const rows = curveRows(groups, metric, from, curveInputs.mode.value === "seeds");
  const spec = JSON.parse(JSON.stringify(data.charts.curves).replaceAll('"title":"epoch"', `"title":"${from.unit}"`));
  const [yLow, yHigh] = rows.lines.length ? scaled(settledRange(rows, curveInputs.range.value === "all"), curve.factor) : [0, 1];
  const range = groups.map(([name]) => colours[name]);
  curve.view = await draw("#curve-plot", spec, rows, { yLow, yHigh }, range.length ? range : palette, "svg");
  const seeds = groups.map(([name, runs]) => `${name}: ${runs.length} seed${runs.length > 1 ? "s" : ""}`).join(", ");
  const unscaled = from.unscaled && ["bound", "train"].includes(metric) ? " of the unscaled data" : "";
  one("#curve-caption").textContent = `${data.metrics[metric]}${unscaled}, n = ${n}. ${seeds || "No group is chosen"}.`;
}

if (data.curves.length) {
  choose(curveInputs.experiment, data.curves.map((each) => [each.experiment, each.experiment]));
  offerCurves();
  for (const [name, input] of Object.entries(curveInputs)) {
    input.addEventListener("change", () => {
      if (name === "experiment") offerCurves();
      curve.factor = 1;
      drawCurves();
    });
  }
  for (const button of all("#curves [data-zoom]")) {
    button.addEventListener("click", () => {
      curve.factor = Number(button.dataset.zoom) * curve.factor || 1;
      drawCurves();
    });
  }
  for (const button of all("#curves [data-save]")) {
    button.addEventListener("click", async () => {
      const href = await curve.view.toImageURL(button.dataset.save, 2);
      element("a", { href, download: `${data.tier}-${curveInputs.experiment.value}-${curveInputs.metric.value}.${button.dataset.save}` }).click();
    });
  }
} else one("#curves").hidden = true;

// --- codes ----------------------------------------------------------------------------------

const loadedCodes = new Map();
window.vaebenchCodes = (key, content) => loadedCodes.set(key, content);

function load(key) {
  if (loadedCodes.has(key)) return Promise.resolve(loadedCodes.get(key));
  return new Promise((resolve, reject) => {
    const script = element("script", { src: `codes/${key}.js` });
    script.addEventListener("load", () => { script.remove(); resolve(loadedCodes.get(key)); });
    script.addEventListener("error", () => { script.remove(); reject(new Error(key)); });
    document.head.append(script);
  });
}

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function pointsOf(content) {
  const steps = new Uint16Array(bytes(content.points).buffer), labels = bytes(content.labels);
  return Array.from(labels, (label, k) => ({
    a: content.low[0] + (content.span[0] * steps[2 * k]) / 65535,
    b: content.low[1] + (content.span[1] * steps[2 * k + 1]) / 65535,
    label,
  }));
}

class CodePanel {
  constructor(root) {
    this.root = root;
    this.experiment = one(".code-experiment", root);
    this.run = one(".code-run", root);
    const names = [...new Set(data.codes.map((run) => run.experiment))];
    choose(this.experiment, names.map((name) => [name, name]));
    this.experiment.addEventListener("change", () => this.offer());
    this.run.addEventListener("change", () => this.show());
    for (const button of all("[data-zoom]", root)) {
      button.addEventListener("click", () => {
        this.factor = Number(button.dataset.zoom) * this.factor || 1;
        this.drawPoints();
      });
    }
    this.offer();
  }

  offer() {
    const runs = data.codes.filter((run) => run.experiment === this.experiment.value);
    choose(this.run, [["", "choose a run"], ...runs.map((run) => [run.key, run.codes ? run.name : `${run.name} (samples)`])]);
    one(".code-view", this.root).hidden = true;
  }

  async show() {
    const key = this.run.value, status = one(".code-status", this.root), view = one(".code-view", this.root);
    view.hidden = true;
    if (!key) return;
    status.textContent = "loading";
    try {
      this.content = await load(key);
    } catch {
      status.textContent = "The folder codes is not beside this page, so there is nothing to show.";
      return;
    }
    if (this.run.value !== key) return;
    status.textContent = "";
    view.hidden = false;
    this.factor = 1;
    this.off = new Set();
    one(".code-points", this.root).hidden = !this.content.points;
    if (this.content.points) {
      this.points = pointsOf(this.content);
      await this.drawPoints();
    }
    const sheets = Object.entries(data.pictures).filter(([name]) => this.content[name]);
    one(".code-sheets", this.root).replaceChildren(...sheets.flatMap(([name, text]) => [
      element("p", { className: "quiet", textContent: text }),
      element("img", { src: this.content[name], alt: `${text} of ${this.run.selectedOptions[0].textContent}` }),
    ]));
  }

  async drawPoints() {
    const labels = [...new Set(this.points.map((point) => point.label))].sort((a, b) => a - b);
    const palette = data.colours.labels[theme()];
    one(".code-labels", this.root).replaceChildren(...labels.map((label) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = palette[label % palette.length];
      const chip = element("button", { type: "button", className: "chip" }, swatch, String(label));
      chip.setAttribute("aria-pressed", !this.off.has(label));
      chip.setAttribute("aria-label", `label ${label}`);
      chip.addEventListener("click", async () => {
        if (!this.off.delete(label)) this.off.add(label);
        await this.drawPoints();
        all(".code-labels button", this.root)[labels.indexOf(label)].focus();
      });
      return chip;
    }));
    const shown = this.points.filter((point) => !this.off.has(point.label));
    const place = one(".plot", this.root), width = place.clientWidth - 60, height = 360;
    const { low, span } = this.content;
    // One unit is as long on both axes.
    const unit = 1.06 * this.factor * Math.max(span[0] / width, span[1] / height);
    const centre = [0, 1].map((k) => low[k] + span[k] / 2);
    const [xLow, xHigh] = [-1, 1].map((s) => centre[0] + (s * unit * width) / 2);
    const [yLow, yHigh] = [-1, 1].map((s) => centre[1] + (s * unit * height) / 2);
    const kept = labels.filter((label) => !this.off.has(label));
    const range = kept.map((label) => palette[label % palette.length]);
    const codes = [...shown].map((point) => ({ ...point, label: String(point.label) }));
    const spec = structuredClone(data.charts.codes);
    spec.encoding.color.scale = { domain: kept.map(String), range };
    const view = await draw(place, spec, { codes }, { xLow, xHigh, yLow, yHigh }, range.length ? range : palette, "canvas");
    view.addEventListener("pointermove", (event) => {
      const box = place.querySelector("canvas").getBoundingClientRect(), [left, top] = view.origin();
      const a = view.scale("x").invert(event.clientX - box.left - left), b = view.scale("y").invert(event.clientY - box.top - top);
      this.under(a, b, shown, unit);
    });
  }

  // What is stored of the place under the cursor: the decoder's image of the nearest place of the
  // grid, or the image and its reconstruction, where they are kept.
  under(a, b, shown, unit) {
    const fixed = (x) => x.toFixed(2).replace("-", "−");
    const { content } = this, text = [`z = (${fixed(a)}, ${fixed(b)})`];
    let nearest = null, best = (8 * unit) ** 2;
    for (const point of shown) {
      const distance = (point.a - a) ** 2 + (point.b - b) ** 2;
      if (distance < best) [nearest, best] = [point, distance];
    }
    if (nearest) text.push(`the nearest image has label ${nearest.label}`);
    const canvas = one("canvas[aria-hidden]", this.root), brush = canvas.getContext("2d");
    brush.clearRect(0, 0, canvas.width, canvas.height);
    const index = nearest ? this.points.indexOf(nearest) : -1;
    const closest = (values, x) => values.reduce((k, v, i) => (Math.abs(v - x) < Math.abs(values[k] - x) ? i : k), 0);
    if (content.reconstructions && content.inputs && index >= 0 && index < content.count) {
      text.push("left: the image, right: its reconstruction");
      this.tile(brush, "inputs", content.columns, content.count, index, 0, 56);
      this.tile(brush, "reconstructions", content.columns, content.count, index, 56, 56);
    } else if (content.grid) {
      const [column, row] = [closest(content.across, a), closest(content.down, b)], side = content.across.length;
      text.push(`the decoder’s image at (${fixed(content.across[column])}, ${fixed(content.down[row])})`);
      this.tile(brush, "grid", side, side * side, row * side + column, 0, 112);
    }
    one(".code-at", this.root).textContent = text.join("; ");
  }

  tile(brush, name, columns, count, index, left, size) {
    this.images ??= new Map();
    const source = this.content[name];
    if (!this.images.has(source)) this.images.set(source, element("img", { src: source }));
    const image = this.images.get(source), width = image.naturalWidth / columns, height = image.naturalHeight / Math.ceil(count / columns);
    if (!image.complete) return;
    brush.drawImage(image, (index % columns) * width, Math.floor(index / columns) * height, width, height, left, 0, size, size);
  }
}

const panels = data.codes.length ? all(".code-panel").map((root) => new CodePanel(root)) : [];
if (!panels.length) one("#codes").hidden = true;

// --- figures --------------------------------------------------------------------------------

const dialog = one("#zoomed");
for (const button of all(".enlarge")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure"), small = one("img", figure), large = one("img", dialog);
    one("#zoomed-title").textContent = one("h3", figure).textContent;
    large.alt = small.alt;
    // The sharp drawing lies beside the page; a page that was moved alone shows its own.
    large.onerror = () => { large.onerror = null; large.src = small.src; };
    large.src = `figures/${figure.id}.svg`;
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

// --- runs -----------------------------------------------------------------------------------

const body = one("#run-table tbody"), runRows = [...body.rows];
const valueOf = (row, k) => row.cells[k].dataset.value ?? row.cells[k].textContent;
all("#run-table th:not([data-fixed])").forEach((heading, k) => {
  const button = element("button", { type: "button", textContent: heading.textContent });
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    all("#run-table th").forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(valueOf(a, k), valueOf(b, k))));
  });
});
function filterRuns() {
  const words = one("#run-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  runRows.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
  const shown = runRows.filter((row) => !row.hidden).length;
  one("#run-count").textContent = shown === runRows.length ? `${shown} runs` : `${shown} of ${runRows.length} runs`;
}
one("#run-search").addEventListener("input", filterRuns);
filterRuns();

// --- the whole page -------------------------------------------------------------------------

const redraw = () => Promise.all([data.curves.length && drawCurves(), ...panels.map((panel) => panel.points && !one(".code-view", panel.root).hidden && panel.drawPoints())]);
isDark.addEventListener("change", redraw);
addEventListener("beforeprint", () => all("details.experiment, details.notes").forEach((fold) => { fold.open = true; }));
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const link = one(`nav a[href="#${target.id}"]`);
    if (isIntersecting) link?.setAttribute("aria-current", "true"); else link?.removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0px -65% 0px" });
all("main > section").forEach((section) => watcher.observe(section));
follow();
await redraw();
document.documentElement.dataset.ready = "";
