// Curves of what a person chooses, over training.
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
  const seeds = groups.map(([name, runs]) => `${name}: ${runs.length} seed${runs.length > 1 ? "s" : ""}`).join(", ");
  const unscaled = from.unscaled && ["bound", "train"].includes(metric) ? " of the unscaled data" : "";
  one("#curve-caption").textContent = `${data.metrics[metric]}${unscaled}, n = ${n}. ${seeds || "No group is chosen"}.`;
  if (!rows.lines.length) {
    one("#curve-plot").replaceChildren();
    return;
  }
  const spec = JSON.parse(JSON.stringify(data.charts.curves).replaceAll('"title":"epoch"', `"title":"${from.unit}"`));
  // Vega complains of layers without data.
  spec.layer = spec.layer.filter((layer) => rows[layer.data.name].length);
  const [yLow, yHigh] = scaled(settledRange(rows, curveInputs.range.value === "all"), curve.factor);
  curve.view = await draw("#curve-plot", spec, rows, { yLow, yHigh }, groups.map(([name]) => colours[name]), "svg");
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
