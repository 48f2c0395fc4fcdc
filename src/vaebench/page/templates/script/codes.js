// Codes and samples of the runs that a person chooses. Their files are loaded then.
const loadedCodes = new Map();
window.vaebenchCodes = (key, content) => loadedCodes.set(key, content);

function load(key) {
  if (loadedCodes.has(key)) return Promise.resolve(loadedCodes.get(key));
  return new Promise((resolve, reject) => {
    const { file } = data.codes.find((run) => run.key === key);
    const script = element("script", { src: file.split("/").map(encodeURIComponent).join("/") });
    script.addEventListener("load", () => { script.remove(); resolve(loadedCodes.get(key)); });
    script.addEventListener("error", () => { script.remove(); reject(new Error(key)); });
    document.head.append(script);
  });
}

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
    const content = await load(key).catch(() => null);
    if (this.run.value !== key) return; // Another run was chosen meanwhile.
    if (!content) {
      status.textContent = "The folder codes is not beside this page, so there is nothing to show.";
      return;
    }
    this.content = content;
    this.points = content.points && pointsOf(content);
    status.textContent = "";
    view.hidden = false;
    this.factor = 1;
    this.off = new Set();
    one(".code-points", this.root).hidden = !this.content.points;
    if (this.points) await this.drawPoints();
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
    if (!shown.length) {
      one(".plot", this.root).replaceChildren();
      return;
    }
    const place = one(".plot", this.root), width = place.clientWidth - 60, height = 360;
    const { low, span } = this.content;
    // One unit is as long on both axes.
    const unit = 1.06 * this.factor * Math.max(span[0] / width, span[1] / height);
    const centre = [0, 1].map((k) => low[k] + span[k] / 2);
    const [xLow, xHigh] = [-1, 1].map((s) => centre[0] + (s * unit * width) / 2);
    const [yLow, yHigh] = [-1, 1].map((s) => centre[1] + (s * unit * height) / 2);
    const kept = labels.filter((label) => !this.off.has(label));
    const range = kept.map((label) => palette[label % palette.length]);
    const codes = shown.map((point) => ({ ...point, label: String(point.label) }));
    const spec = structuredClone(data.charts.codes);
    spec.encoding.color.scale = { domain: kept.map(String), range };
    const view = await draw(place, spec, { codes }, { xLow, xHigh, yLow, yHigh }, range, "canvas");
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
