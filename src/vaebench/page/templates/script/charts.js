// Charts by Vega, in the colours of the page.
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

// The library is packed, and takes most of the page's bytes if it is not.
async function unpackVega() {
  const packed = new Blob([bytes(one("#vega").textContent)]).stream();
  const source = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
  new Function(`"use strict";${source}`)();
  return window.vaebenchVega.vegaEmbed;
}
const vegaEmbed = unpackVega();

async function draw(place, spec, datasets, params, range, renderer) {
  const filled = structuredClone(spec);
  filled.datasets = datasets;
  const own = new Map(Object.entries(params));
  const set = (params = []) => params.forEach((p) => { if (own.has(p.name)) p.value = own.get(p.name); });
  set(filled.params);
  const { view } = await (await vegaEmbed)(place, filled, {
    actions: false, renderer, config: vegaTheme(range), mode: "vega-lite",
  });
  const root = typeof place === "string" ? one(place) : place;
  root.view = view; // for whoever looks at the chart in the console, and for tests
  return view;
}

function scaled([low, high], factor) {
  const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
  return [middle - half, middle + half];
}
