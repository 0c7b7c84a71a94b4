/* --- views: one is shown, the address says which: #table2, #patient=brats/SIM0003&slice=12&outlines=truth,multi_condos --- */

const main = document.getElementById("main");
const views = [...document.querySelectorAll(".view")];
let shownAddress = null; // the one that the views show: a link that has been followed since waits for its event

function route() {
  shownAddress = location.hash;
  const address = new URLSearchParams(location.hash.slice(1));
  const place = decodeURIComponent(location.hash.slice(1));
  const inside = place && !place.includes("=") && byId(place);
  const name = address.has("patient") ? "patients" : (inside && inside.closest(".view")?.dataset.view) || place;
  const view = views.find((one) => one.dataset.view === name) ?? views[0];
  for (const one of views) one.hidden = one !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${view.dataset.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.dataset.view = view.dataset.view;
  if (view.dataset.view === "patients") showPatient(address);
  else if (inside && inside !== view) {
    inside.closest("details")?.setAttribute("open", "");
    inside.scrollIntoView();
  } else window.scrollTo(0, 0);
  stick();
}

/* --- what can be switched off in a table goes off in all of them --- */

for (const box of document.querySelectorAll("[data-show]"))
  box.addEventListener("change", () => {
    for (const other of document.querySelectorAll(`[data-show="${box.dataset.show}"]`)) other.checked = box.checked;
  });

/* --- claims --- */

function filterClaims() {
  const chosen = [...document.querySelectorAll("button[data-by][aria-pressed=true]")].map((button) => button.dataset);
  const words = byId("claim-words").value.toLowerCase();
  const rows = [...document.querySelectorAll("tr[data-run]")];
  for (const row of rows)
    row.hidden =
      chosen.some(({ by, verdict }) => verdict && row.dataset[by] !== verdict) ||
      !row.closest(".claim").querySelector(".block").textContent.concat(row.textContent).toLowerCase().includes(words);
  for (const block of document.querySelectorAll(".claim")) block.hidden = ![...block.querySelectorAll("tr[data-run]")].some((row) => !row.hidden);
  byId("claims-missing")?.toggleAttribute("open", rows.every((row) => row.hidden || row.closest("#claims-missing")));
  byId("claim-count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
}

for (const button of document.querySelectorAll("button[data-by]"))
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(`button[data-by=${button.dataset.by}]`))
      other.setAttribute("aria-pressed", String(other === button));
    filterClaims();
  });
byId("claim-words")?.addEventListener("input", filterClaims);

/* --- patients --- */

const known = JSON.parse(byId("page-data").textContent);
const COLOURS = known.outlines; // a seventh outline begins again, dashed
const TRUTH = "#FFFFFF";
const state = { patient: "", slice: 1, on: [], modalities: new Set(), region: "", source: "", metric: "DSC", scored: "" };
const volumes = new Map();
let current = null; // what the chosen patient's element holds
let choices = 0; // both count, so that what was asked first and comes late does not overwrite what was asked later
let drawings = 0;

/* The inverse of `pack` in mcd/reporting/page/patients.py. */
async function unpack(text, width) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const volume = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = 0; i < volume.length; i += 1) if (i % width) volume[i] += volume[i - 1];
  return volume;
}

function volume(text) {
  if (!volumes.has(text)) volumes.set(text, unpack(text, current.shape[2]));
  return volumes.get(text);
}

const label = (method) => (method === "truth" ? "Truth" : known.methods[method]?.label ?? method);
const cohort = () => known.cohorts[state.patient.split("/")[0]];
const shownMethods = () => {
  const methods = new Set(Object.values(current.predictions ?? {}).flatMap((runs) => Object.keys(runs)));
  return Object.keys(known.methods).filter((method) => methods.has(method));
};

async function showPatient(address) {
  const named = known.patients.map((one) => one.join("/"));
  const patient = [address.get("patient"), state.patient, ...named].find((one) => named.includes(one));
  if (!patient) return;
  const element = byId(patient);
  const turn = (choices += 1);
  if (patient !== state.patient) {
    volumes.clear();
    const before = state.patient && cohort();
    state.patient = patient;
    current = JSON.parse(element.textContent);
    if (before !== cohort()) {
      state.modalities = new Set(cohort().modalities);
      state.region = state.source = state.scored = "";
    }
    const first = shownMethods();
    state.on = state.on.filter((method) => method === "truth" || first.includes(method));
    if (!state.on.length) state.on = ["truth", ...first.filter((method) => method === known.reference)];
    if (current.shape) state.slice = 1 + (await largest());
    if (turn !== choices) return;
  }
  if (address.has("outlines"))
    state.on = address.get("outlines").split(",").filter((name) => name === "truth" || shownMethods().includes(name));
  if (address.has("modalities")) {
    const chosen = address.get("modalities").split(",");
    state.modalities = new Set(cohort().modalities.filter((name) => chosen.includes(name)));
  }
  const slice = Number(address.get("slice"));
  if (current.shape && Number.isInteger(slice) && slice >= 1 && slice <= current.shape[0]) state.slice = slice;
  drawPatient();
}

/* The slice in which the label is largest: where to begin. */
async function largest() {
  const areas = await truthAreas();
  return areas.indexOf(Math.max(...areas));
}

async function truthAreas() {
  const [depth, height, width] = current.shape;
  const truth = await volume(current.truth);
  return Array.from({ length: depth }, (_, z) => {
    let area = 0;
    for (let i = z * height * width; i < (z + 1) * height * width; i += 1) area += truth[i] > 0;
    return area;
  });
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, words]) => new Option(words, value, false, value === chosen)));
}

function drawPatient() {
  const { title, simulated, modalities, regions } = cohort();
  byId("patient").value = state.patient;
  const facts = [`${title}${simulated ? ", simulated" : ""}`];
  if (current.shape) {
    const [z, y, x] = current.shape;
    facts.push(`${x} × ${y} × ${z} voxels of ${[...current.spacing].reverse().join(" × ")} mm`, `predictions: ${known.shown}`);
  }
  byId("patient-facts").replaceChildren(...facts.map((words) => make("li", { textContent: words })));
  byId("viewer").hidden = !current.shape;
  byId("no-slices").hidden = Boolean(current.shape);
  const boxes = modalities.map((name) => {
    const box = make("input", { type: "checkbox", value: name, checked: state.modalities.has(name) });
    box.addEventListener("change", () => {
      if (box.checked) state.modalities.add(name);
      else state.modalities.delete(name);
      drawPanels();
    });
    return make("label", {}, box, name);
  });
  byId("modalities").replaceChildren(make("legend", { textContent: "Modalities" }), ...boxes);
  options(byId("region"), [["", regions.length > 1 ? "mean" : regions[0]], ...(regions.length > 1 ? regions.map((r) => [r, r]) : [])], state.scored);
  options(byId("outlined"), [["", "all"], ...regions.map((r) => [r, r])], state.region);
  options(byId("source"), [["", "each modality’s own model"], ...modalities.map((m) => [m, `the ${m} model`])], state.source);
  drawScores();
  drawPanels();
}

/* --- the scores of one patient: one row per run, with a box where there are outlines to draw --- */

function drawScores() {
  const metric = known.metrics.findIndex((one) => one.key === state.metric);
  const { decimals, unit, label: words, higher } = known.metrics[metric];
  const { modalities } = cohort();
  const here = shownMethods();
  const rows = new Map(); // ratio -> method -> modality -> values of the regions
  for (const [ratio, method, modality, region, ...values] of current.scores) {
    if (state.scored && region !== state.scored) continue;
    if (!rows.has(ratio)) rows.set(ratio, new Map());
    const methods = rows.get(ratio);
    if (!methods.has(method)) methods.set(method, {});
    (methods.get(method)[modality] ??= []).push(values[metric]);
  }
  const mean = (values) => {
    const defined = (values ?? []).filter((value) => value !== null);
    return defined.length ? defined.reduce((a, b) => a + b, 0) / defined.length : null;
  };
  const table = byId("scores");
  const head = make("tr", {}, make("th", { scope: "col", className: "text", textContent: "Outlines and method" }));
  for (const name of modalities) head.append(make("th", { scope: "col", textContent: `${name} ${higher ? "↑" : "↓"}` }));
  table.replaceChildren(make("thead", {}, head));
  if (current.shape) {
    const line = make("tr", {}, nameCell("truth", true));
    for (const _ of modalities) line.append(make("td"));
    table.append(make("tbody", {}, line));
  }
  const ratios = [...rows.keys()].sort((a, b) => (b === known.ratio) - (a === known.ratio) || a - b);
  for (const ratio of ratios) {
    const body = make("tbody");
    const span = make("th", { colSpan: modalities.length + 1, scope: "rowgroup" }, make("span", { textContent: `${+(100 * ratio).toFixed(4)} % of the labels` }));
    body.append(make("tr", { className: "block" }, span));
    const methods = [...rows.get(ratio)];
    const best = modalities.map((name) => {
      const values = methods.map(([, found]) => mean(found[name])).filter((value) => value !== null).map((value) => Number(value.toFixed(decimals)));
      return new Set(values).size > 1 ? (higher ? Math.max : Math.min)(...values) : null;
    });
    for (const [method, found] of methods) {
      const line = make("tr", { className: method === known.reference ? "run own" : "run" }, nameCell(method, ratio === known.ratio && here.includes(method)));
      modalities.forEach((name, place) => {
        const value = mean(found[name]);
        const text = value === null ? "–" : value.toFixed(decimals);
        line.append(make("td", {}, make(value !== null && Number(text) === best[place] ? "b" : "span", { textContent: text })));
      });
      body.append(line);
    }
    table.append(body);
  }
  sortable(table);
  stick();
  byId("scores-words").textContent =
    `${words}${unit ? ` in ${unit}` : ""}, ${higher ? "higher" : "lower"} is better; bold is the best of a block. ` +
    "A box draws the outline that the method’s model found; – is undefined or was not computed.";
  colourBoxes();
}

function nameCell(method, drawn) {
  const cell = make("th", { scope: "row", className: "text" });
  cell.dataset.value = label(method);
  if (!drawn) {
    cell.append(make("span", { className: "swatch none" }), label(method));
    return cell;
  }
  const box = make("input", { type: "checkbox", value: method, checked: state.on.includes(method) });
  box.addEventListener("change", () => {
    state.on = box.checked ? [...state.on, method] : state.on.filter((other) => other !== method);
    colourBoxes();
    drawPanels();
  });
  cell.append(make("label", { className: "outline" }, box, make("span", { className: "swatch" }), label(method)));
  return cell;
}

const places = new Map(); // method -> its place among the colours, kept as long as it is switched on

function colourBoxes() {
  for (const method of places.keys()) if (!state.on.includes(method)) places.delete(method);
  for (const method of state.on) {
    if (method === "truth" || places.has(method)) continue;
    const used = new Set(places.values());
    let free = 0;
    while (used.has(free)) free += 1;
    places.set(method, free);
  }
  for (const box of document.querySelectorAll("#scores input")) {
    const swatch = box.nextElementSibling;
    box.checked = state.on.includes(box.value);
    swatch.style.borderTopColor = box.checked ? stroke(box.value).colour : "transparent";
    swatch.style.borderTopStyle = stroke(box.value).dashed ? "dashed" : "solid";
    swatch.classList.toggle("truth", box.checked && box.value === "truth");
  }
}

function stroke(method) {
  if (method === "truth") return { colour: TRUTH, dashed: false };
  const place = places.get(method) ?? 0;
  return { colour: COLOURS[place % COLOURS.length], dashed: place >= COLOURS.length };
}

/* --- slices --- */

async function drawPanels() {
  if (!current.shape) return remember(0);
  const turn = (drawings += 1);
  const [depth, height, width] = current.shape;
  const [, tall, wide] = current.spacing;
  const z = state.slice - 1;
  const names = cohort().modalities.filter((name) => state.modalities.has(name) && current.images[name]);
  const loaded = await Promise.all(
    names.map(async (name) => {
      const own = current.predictions[state.source || name] ?? {};
      const masks = state.on.map(async (method) => {
        const text = method === "truth" ? current.truth : own[method];
        return text ? [method, await volume(text)] : null;
      });
      return { name, image: await volume(current.images[name]), masks: (await Promise.all(masks)).filter(Boolean) };
    }),
  );
  const areas = await truthAreas();
  if (turn !== drawings) return;
  const panels = byId("panels");
  if ([...panels.children].map((panel) => panel.dataset.modality).join() !== names.join())
    panels.replaceChildren(
      ...names.map((name) => {
        const panel = make("figure", {}, make("canvas"), make("figcaption"));
        panel.dataset.modality = name;
        panel.firstChild.setAttribute("role", "img");
        return panel;
      }),
    );
  let drawn = 0;
  loaded.forEach(({ name, image, masks }, place) => {
    const [canvas, caption] = panels.children[place].children;
    const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const scale = side / width;
    canvas.style.aspectRatio = `${width * wide} / ${height * tall}`;
    canvas.width = side;
    canvas.height = Math.round((scale * height * tall) / wide);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(greyCanvas(image.subarray(z * height * width, (z + 1) * height * width), width, height), 0, 0, canvas.width, canvas.height);
    let edges = 0;
    for (const [method, mask] of masks) {
      const { path, count } = outline(mask.subarray(z * height * width, (z + 1) * height * width), width, height, scale, canvas.height / height);
      const { colour, dashed } = stroke(method);
      context.setLineDash(dashed ? [scale / 2, scale / 2] : []);
      context.lineJoin = context.lineCap = "round";
      context.strokeStyle = "rgb(0 0 0 / 70%)"; // a halo, so that a bright outline is seen on bright tissue
      context.lineWidth = (method === "truth" ? 3.6 : 3.4) * devicePixelRatio;
      context.stroke(path);
      context.strokeStyle = colour;
      context.lineWidth = 2 * devicePixelRatio;
      context.stroke(path);
      edges += count;
    }
    drawn += edges;
    caption.textContent = name;
    canvas.dataset.edges = edges;
    canvas.setAttribute("aria-label", `${name}, slice ${state.slice} of ${depth}; outlines: ${masks.map(([method]) => label(method)).join(", ") || "none"}`);
  });
  const slider = byId("slice");
  slider.max = depth;
  slider.value = state.slice;
  byId("slice-words").textContent = `${state.slice} of ${depth}`;
  drawExtent(areas, z);
  remember(drawn);
}

function greyCanvas(pixels, width, height) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

/* The pixel edges between inside and outside, of each region (a bit of the mask) that is asked for. */
function outline(mask, width, height, across, down) {
  const regions = cohort().regions;
  const path = new Path2D();
  let count = 0;
  regions.forEach((region, bit) => {
    if (state.region && region !== state.region) return;
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && (mask[y * width + x] >> bit) & 1;
    for (let y = 0; y <= height; y += 1)
      for (let x = 0; x <= width; x += 1) {
        if (Boolean(inside(x, y)) !== Boolean(inside(x - 1, y))) {
          path.moveTo(x * across, y * down);
          path.lineTo(x * across, (y + 1) * down);
          count += 1;
        }
        if (Boolean(inside(x, y)) !== Boolean(inside(x, y - 1))) {
          path.moveTo(x * across, y * down);
          path.lineTo((x + 1) * across, y * down);
          count += 1;
        }
      }
  });
  return { path, count };
}

/* Bars above the slider: how large the label is in each slice. */
function drawExtent(areas, z) {
  const canvas = byId("extent");
  const style = getComputedStyle(document.documentElement);
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  const most = Math.max(1, ...areas);
  const step = canvas.width / areas.length;
  areas.forEach((area, slice) => {
    context.fillStyle = style.getPropertyValue(slice === z ? "--ink" : "--bar");
    const tall = area ? Math.max(2, (area / most) * canvas.height) : 1;
    context.fillRect(slice * step + 1, canvas.height - tall, Math.max(1, step - 2), tall);
  });
}

/* What is seen, in the address and as attributes. */
function remember(drawn) {
  Object.assign(main.dataset, { patient: state.patient, slice: state.slice, outlines: state.on.join(","), modalities: [...state.modalities].join(","), edges: drawn });
  if (main.dataset.view !== "patients" || location.hash !== shownAddress) return;
  const parts = [`patient=${encodeURIComponent(state.patient).replace("%2F", "/")}`];
  if (current.shape) parts.push(`slice=${state.slice}`, `outlines=${state.on.join(",")}`, `modalities=${[...state.modalities].join(",")}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
  shownAddress = location.hash;
}

function moveTo(slice) {
  if (!current?.shape) return;
  state.slice = Math.min(current.shape[0], Math.max(1, slice));
  drawPanels();
}

const choose = (patient) => showPatient(new URLSearchParams({ patient }));
const neighbour = (step) => {
  const ids = known.patients.map((one) => one.join("/"));
  choose(ids[(ids.indexOf(state.patient) + step + ids.length) % ids.length]);
};

byId("slice").addEventListener("input", (event) => moveTo(Number(event.target.value)));
byId("patient").addEventListener("change", (event) => choose(event.target.value));
byId("previous").addEventListener("click", () => neighbour(-1));
byId("next").addEventListener("click", () => neighbour(1));
byId("metric").addEventListener("change", (event) => { state.metric = event.target.value; drawScores(); });
byId("region").addEventListener("change", (event) => { state.scored = event.target.value; drawScores(); });
byId("outlined").addEventListener("change", (event) => { state.region = event.target.value; drawPanels(); });
byId("source").addEventListener("change", (event) => { state.source = event.target.value; drawPanels(); });
document.addEventListener("keydown", (event) => {
  if (main.dataset.view !== "patients" || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("input, select, button, .scroll, nav")) return; // these have arrow keys of their own
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  if (event.target.closest("#panels")) Object.assign(steps, { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5, Home: -1e6, End: 1e6 });
  if (!(event.key in steps)) return;
  event.preventDefault();
  moveTo(state.slice + steps[event.key]);
});
new ResizeObserver(() => { if (main.dataset.view === "patients" && current) drawPanels(); }).observe(byId("viewer"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (current) drawPanels(); });

const groups = Map.groupBy ? Map.groupBy(known.patients, ([name]) => name) : known.patients.reduce((all, one) => all.set(one[0], [...(all.get(one[0]) ?? []), one]), new Map());
for (const [name, patients] of groups)
  byId("patient").append(make("optgroup", { label: known.cohorts[name].title }, ...patients.map((one) => new Option(one[1], one.join("/")))));
options(byId("metric"), known.metrics.map((metric) => [metric.key, metric.label]), state.metric);
for (const table of document.querySelectorAll(".view table")) if (!table.matches("#scores, .claims")) sortable(table);
if (byId("claim-words")) filterClaims();
addEventListener("hashchange", route);
route();
