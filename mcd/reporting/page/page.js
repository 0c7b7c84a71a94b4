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
const COLOURS = known.outlines; // one more outline than these begins again, dashed
const TRUTH = "#FFFFFF";
const DASHES = [[], [7, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 6]]; // of methods, where colours are those of regions
const PLANES = {
  // the axis that is cut, those of rows and columns (0: z, 1: y, 2: x), and what lies left, right, top and bottom
  axial: { cut: 0, rows: 1, columns: 2, letters: "RLAP" },
  coronal: { cut: 1, rows: 0, columns: 2, letters: "RLSI" },
  sagittal: { cut: 2, rows: 0, columns: 1, letters: "APSI" },
};
const LOOK = { zoom: 1, centre: [0.5, 0.5], level: 128, window: 255 }; // all of a slice, with its own grey levels
const state = {
  patient: "", plane: "axial", at: { axial: 1, coronal: 1, sagittal: 1 }, on: [], modalities: new Set(), region: "", source: "",
  metric: "DSC", scored: "", ratio: known.ratio, seed: known.seeds[0] ?? 0, colours: "", order: "worst",
  ...LOOK,
};
const volumes = new Map();
const arrived = new Map(); // patient -> slices that came from a file beside the page
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

/* A file beside the page calls this with a patient's slices. A script is the one thing that a page on a disk may read. */
function patientArrived(patient, slices) {
  arrived.set(patient, slices);
}

function slicesBeside(patient, place) {
  if (arrived.has(patient)) return Promise.resolve(arrived.get(patient));
  return new Promise((resolve) => {
    const script = make("script", { src: place });
    script.addEventListener("load", () => resolve(arrived.get(patient) ?? {}));
    script.addEventListener("error", () => resolve({}));
    document.head.append(script);
  });
}

const label = (method) => (method === "truth" ? "Truth" : known.methods[method]?.label ?? method);
const cohort = () => known.cohorts[state.patient.split("/")[0]];
const percent = (ratio) => `${+(100 * ratio).toFixed(4)} %`;
const colouring = () => state.colours || (cohort().regions.length > 1 ? "regions" : "methods");
const shownRuns = () => (current.predictions ?? []).filter(([ratio, seed]) => ratio === state.ratio && seed === state.seed);
const shownMethods = () => {
  const methods = new Set(shownRuns().map((run) => run[3]));
  return Object.keys(known.methods).filter((method) => methods.has(method));
};
const masksOf = (modality) => Object.fromEntries(shownRuns().filter((run) => run[2] === modality).map((run) => [run[3], run[4]]));
const depth = () => current.shape[PLANES[state.plane].cut];

async function showPatient(address) {
  const named = known.patients.map(([name, id]) => `${name}/${id}`);
  const patient = [address.get("patient"), state.patient, ordered()[0]].find((one) => named.includes(one));
  if (!patient) return;
  const turn = (choices += 1);
  for (const [key, values] of [["ratio", known.ratios], ["seed", known.seeds]])
    if (address.has(key) && values.includes(Number(address.get(key)))) state[key] = Number(address.get(key));
  if (address.get("plane") in PLANES) state.plane = address.get("plane");
  if (patient !== state.patient) {
    let found = JSON.parse(byId(patient).textContent);
    if (found.beside) found = { ...found, ...(await slicesBeside(patient, found.beside)) };
    if (turn !== choices) return;
    volumes.clear();
    const before = state.patient && cohort();
    state.patient = patient;
    current = { ...found, areas: {} };
    if (before !== cohort()) {
      state.modalities = new Set(cohort().modalities);
      state.region = state.source = state.scored = state.colours = "";
    }
    state.on = state.on.filter((method) => method === "truth" || shownMethods().includes(method));
    if (!state.on.length) state.on = ["truth", ...shownMethods().filter((method) => method === known.reference)];
    if (current.shape)
      for (const plane of Object.keys(PLANES)) {
        const areas = await truthAreas(plane);
        state.at[plane] = 1 + areas.indexOf(Math.max(...areas)); // where the label is largest: where to begin
      }
    if (turn !== choices) return;
  }
  if (address.has("outlines"))
    state.on = address.get("outlines").split(",").filter((name) => name === "truth" || shownMethods().includes(name));
  if (address.has("modalities")) {
    const chosen = address.get("modalities").split(",");
    state.modalities = new Set(cohort().modalities.filter((name) => chosen.includes(name)));
  }
  const slice = Number(address.get("slice"));
  if (current.shape && Number.isInteger(slice) && slice >= 1 && slice <= depth()) state.at[state.plane] = slice;
  drawPatient();
}

/* How many voxels of the label are in each slice of a direction; counted when first asked for. */
function truthAreas(plane) {
  const { truth, shape, areas } = current;
  areas[plane] ??= volume(truth).then((masks) => {
    const [, tall, wide] = shape;
    const { cut } = PLANES[plane];
    const counts = new Array(shape[cut]).fill(0);
    masks.forEach((mask, i) => {
      if (mask) counts[cut === 0 ? Math.floor(i / (tall * wide)) : cut === 1 ? Math.floor(i / wide) % tall : i % wide] += 1;
    });
    return counts;
  });
  return areas[plane];
}

/* A slice of a volume, by rows; the head is at the top. */
function sliceOf(bytes, plane, at) {
  const { cut, rows, columns } = PLANES[plane];
  const [, tall, wide] = current.shape;
  const steps = [tall * wide, wide, 1];
  const [height, width] = [current.shape[rows], current.shape[columns]];
  const found = new Uint8Array(height * width);
  for (let row = 0; row < height; row += 1) {
    const from = at * steps[cut] + (rows === 0 ? height - 1 - row : row) * steps[rows];
    for (let column = 0; column < width; column += 1) found[row * width + column] = bytes[from + column * steps[columns]];
  }
  return found;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, words]) => new Option(words, value, false, value === chosen)));
}

/* --- the order of patients: the one that was segmented worst first, or by cohort and name --- */

function ordered() {
  const patients = [...known.patients];
  if (state.order === "worst") patients.sort((a, b) => (a[2] === null) - (b[2] === null) || a[2] - b[2]);
  return patients.map(([name, id]) => `${name}/${id}`);
}

function listPatients() {
  const scores = new Map(known.patients.map(([name, id, score]) => [`${name}/${id}`, score]));
  const entry = (one, words) => new Option(scores.get(one) === null ? words : `${words}: ${scores.get(one).toFixed(3)}`, one);
  const single = Object.keys(known.cohorts).length === 1;
  if (state.order === "worst")
    byId("patient").replaceChildren(
      ...ordered().map((one) => entry(one, single ? one.split("/")[1] : `${known.cohorts[one.split("/")[0]].title}, ${one.split("/")[1]}`)),
    );
  else {
    const groups = Object.keys(known.cohorts).map((name) => {
      const own = ordered().filter((one) => one.startsWith(`${name}/`));
      return make("optgroup", { label: known.cohorts[name].title }, ...own.map((one) => entry(one, one.split("/")[1])));
    });
    byId("patient").replaceChildren(...groups);
  }
  byId("patient").value = state.patient;
}

function drawPatient() {
  const { title, simulated, modalities, regions } = cohort();
  byId("patient").value = state.patient;
  byId("plane").value = state.plane;
  options(byId("ratio"), known.ratios.map((ratio) => [String(ratio), percent(ratio)]), String(state.ratio));
  options(byId("seed"), known.seeds.map((seed) => [String(seed), String(seed)]), String(state.seed));
  const facts = [`${title}${simulated ? ", simulated" : ""}`];
  if (current.shape) {
    const [z, y, x] = current.shape;
    const draw = known.draws > 1 ? ", first draw of the labels" : "";
    facts.push(`${x} × ${y} × ${z} voxels of ${[...current.spacing].reverse().join(" × ")} mm`);
    const fold = current.folds?.[state.seed];
    facts.push(`predictions: ${percent(state.ratio)} of the labels, seed ${state.seed}${fold ? `, fold ${fold}` : ""}${draw}`);
  }
  if (known.patients.length > 1) facts.push(`number and order of patients: mean DSC of ${label(known.sorted_by)} at ${percent(known.ratio)}`);
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
  for (const [ratio, seed, method, modality, region, ...values] of current.scores) {
    if (seed !== state.seed || (state.scored && region !== state.scored)) continue;
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
  const ratios = [...rows.keys()].sort((a, b) => (b === state.ratio) - (a === state.ratio) || a - b);
  for (const ratio of ratios) {
    const body = make("tbody");
    const span = make("th", { colSpan: modalities.length + 1, scope: "rowgroup" }, make("span", { textContent: `${percent(ratio)} of the labels` }));
    body.append(make("tr", { className: "block" }, span));
    const methods = [...rows.get(ratio)];
    const best = modalities.map((name) => {
      const values = methods.map(([, found]) => mean(found[name])).filter((value) => value !== null).map((value) => Number(value.toFixed(decimals)));
      return new Set(values).size > 1 ? (higher ? Math.max : Math.min)(...values) : null;
    });
    for (const [method, found] of methods) {
      const line = make("tr", { className: method === known.reference ? "run own" : "run" }, nameCell(method, ratio === state.ratio && here.includes(method)));
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
    `${words}${unit ? ` in ${unit}` : ""}${known.seeds.length > 1 ? `, seed ${state.seed}` : ""}, ${higher ? "higher" : "lower"} is better; bold is the best of a block. ` +
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

const places = new Map(); // method -> its place among the colours or dashes, kept as long as it is switched on

function colourBoxes() {
  for (const method of places.keys()) if (!state.on.includes(method)) places.delete(method);
  for (const method of state.on) {
    if (method === "truth" || places.has(method)) continue;
    const used = new Set(places.values());
    let free = 0;
    while (used.has(free)) free += 1;
    places.set(method, free);
  }
  const byRegion = colouring() === "regions";
  byId("colours").value = colouring();
  const chips = byRegion
    ? cohort().regions.map((region) => {
        const swatch = make("span", { className: "swatch" });
        swatch.style.borderTopColor = cohort().colours[region];
        return make("span", {}, swatch, region);
      })
    : [];
  byId("colours-words").replaceChildren(...chips, ...(byRegion ? ["; truth is filled"] : []));
  for (const box of document.querySelectorAll("#scores input")) {
    const swatch = box.nextElementSibling;
    const { colour, dash } = stroke(box.value, null);
    box.checked = state.on.includes(box.value);
    swatch.style.borderTopColor = box.checked ? colour : "transparent";
    swatch.style.borderTopStyle = dash.length ? (dash[0] < 4 ? "dotted" : "dashed") : "solid";
    swatch.classList.toggle("truth", box.checked && box.value === "truth");
  }
}

/* How an outline is drawn: in the colour of its region, or of its method. */
function stroke(method, region) {
  const place = places.get(method) ?? 0;
  if (colouring() === "regions")
    return { colour: region ? cohort().colours[region] : "currentColor", dash: method === "truth" ? [] : DASHES[(place + 1) % DASHES.length] };
  if (method === "truth") return { colour: TRUTH, dash: [] };
  return { colour: COLOURS[place % COLOURS.length], dash: place >= COLOURS.length ? [4, 4] : [] };
}

/* --- slices --- */

async function drawPanels() {
  if (!current.shape) return remember(0);
  const turn = (drawings += 1);
  const { rows, columns, letters } = PLANES[state.plane];
  const [height, width] = [current.shape[rows], current.shape[columns]];
  const [tall, wide] = [current.spacing[rows], current.spacing[columns]];
  const at = state.at[state.plane] - 1;
  const names = cohort().modalities.filter((name) => state.modalities.has(name) && current.images[name]);
  const loaded = await Promise.all(
    names.map(async (name) => {
      const own = masksOf(state.source || name);
      const masks = state.on.map(async (method) => {
        const text = method === "truth" ? current.truth : own[method];
        return text ? [method, sliceOf(await volume(text), state.plane, at)] : null;
      });
      return { name, image: sliceOf(await volume(current.images[name]), state.plane, at), masks: (await Promise.all(masks)).filter(Boolean) };
    }),
  );
  const areas = await truthAreas(state.plane);
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
  // what is seen of the slice, in its pixels
  const half = 0.5 / state.zoom;
  state.centre = state.centre.map((middle) => Math.min(1 - half, Math.max(half, middle)));
  const [left, top] = [(state.centre[0] - half) * width, (state.centre[1] - half) * height];
  let drawn = 0;
  loaded.forEach(({ name, image, masks }, place) => {
    const [canvas, caption] = panels.children[place].children;
    const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.style.aspectRatio = `${width * wide} / ${height * tall}`;
    canvas.width = side;
    canvas.height = Math.round((side * height * tall) / (width * wide));
    const [across, down] = [(state.zoom * canvas.width) / width, (state.zoom * canvas.height) / height];
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(greyCanvas(image, width, height), left, top, width / state.zoom, height / state.zoom, 0, 0, canvas.width, canvas.height);
    context.translate(-left * across, -top * down);
    let edges = 0;
    for (const [method, mask] of masks)
      for (const { region, path, filled, count } of outlines(mask, width, height, across, down)) {
        const { colour, dash } = stroke(method, region);
        if (method === "truth" && colouring() === "regions") {
          context.globalAlpha = 0.3;
          context.fillStyle = colour;
          context.fill(filled);
          context.globalAlpha = 1;
        }
        context.setLineDash(dash.map((length) => length * devicePixelRatio));
        context.lineJoin = "round";
        context.lineCap = dash.length ? "butt" : "round";
        context.strokeStyle = "rgb(0 0 0 / 70%)"; // a halo, so that a bright outline is seen on bright tissue
        context.lineWidth = 3.5 * devicePixelRatio;
        context.stroke(path);
        context.strokeStyle = colour;
        context.lineWidth = 2 * devicePixelRatio;
        context.stroke(path);
        edges += count;
      }
    context.resetTransform();
    drawLetters(context, letters, canvas.width, canvas.height);
    drawn += edges;
    caption.textContent = name;
    canvas.dataset.edges = edges;
    canvas.setAttribute("aria-label", `${name}, ${state.plane} slice ${at + 1} of ${depth()}; outlines: ${masks.map(([method]) => label(method)).join(", ") || "none"}`);
  });
  const slider = byId("slice");
  slider.max = depth();
  slider.value = at + 1;
  byId("slice-words").textContent = `${at + 1} of ${depth()}`;
  byId("zoom-words").textContent = `${+state.zoom.toFixed(2)} ×`;
  byId("level").value = state.level;
  byId("window").value = state.window;
  drawExtent(areas, at);
  remember(drawn);
}

/* Grey levels between level - window / 2 and level + window / 2; what is outside the patient stays black. */
function greyCanvas(pixels, width, height) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  pixels.forEach((value, i) => {
    const shown = value ? (255 * (value - state.level + state.window / 2)) / state.window + (state.window === LOOK.window && state.level === LOOK.level ? 0.5 : 0) : 0;
    image.data.set([shown, shown, shown, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawLetters(context, letters, width, height) {
  const margin = 4 * devicePixelRatio;
  context.font = `${12 * devicePixelRatio}px sans-serif`;
  context.fillStyle = "#fff";
  context.shadowColor = "#000";
  context.shadowBlur = 3 * devicePixelRatio;
  [[margin, height / 2, "left", "middle"], [width - margin, height / 2, "right", "middle"], [width / 2, margin, "center", "top"], [width / 2, height - margin, "center", "bottom"]].forEach(
    ([x, y, align, baseline], place) => {
      Object.assign(context, { textAlign: align, textBaseline: baseline });
      context.fillText(letters[place], x, y);
    },
  );
}

/* Of each region (a bit of the mask) that is asked for: the pixel edges between inside and outside, and its pixels. */
function outlines(mask, width, height, across, down) {
  return cohort().regions.flatMap((region, bit) => {
    if (state.region && region !== state.region) return [];
    const [path, filled] = [new Path2D(), new Path2D()];
    let count = 0;
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && (mask[y * width + x] >> bit) & 1;
    for (let y = 0; y <= height; y += 1)
      for (let x = 0; x <= width; x += 1) {
        if (inside(x, y)) filled.rect(x * across, y * down, across, down);
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
    return [{ region, path, filled, count }];
  });
}

/* Bars above the slider: how large the label is in each slice. */
function drawExtent(areas, at) {
  const canvas = byId("extent");
  const style = getComputedStyle(document.documentElement);
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  const most = Math.max(1, ...areas);
  const step = canvas.width / areas.length;
  areas.forEach((area, slice) => {
    context.fillStyle = style.getPropertyValue(slice === at ? "--ink" : "--bar");
    const tall = area ? Math.max(2, (area / most) * canvas.height) : 1;
    context.fillRect(slice * step + 1, canvas.height - tall, Math.max(1, step - 2), tall);
  });
}

/* What is seen, in the address and as attributes. */
function remember(drawn) {
  const at = state.at[state.plane];
  Object.assign(main.dataset, {
    patient: state.patient, plane: state.plane, slice: at, outlines: state.on.join(","), modalities: [...state.modalities].join(","),
    ratio: state.ratio, seed: state.seed, zoom: state.zoom, edges: drawn,
  });
  if (main.dataset.view !== "patients" || location.hash !== shownAddress) return;
  const parts = [`patient=${encodeURIComponent(state.patient).replace("%2F", "/")}`];
  if (current.shape) {
    if (state.plane !== "axial") parts.push(`plane=${state.plane}`);
    parts.push(`slice=${at}`, `outlines=${state.on.join(",")}`, `modalities=${[...state.modalities].join(",")}`);
  }
  if (state.ratio !== known.ratio) parts.push(`ratio=${state.ratio}`);
  if (state.seed !== known.seeds[0]) parts.push(`seed=${state.seed}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
  shownAddress = location.hash;
}

function moveTo(slice) {
  if (!current?.shape) return;
  state.at[state.plane] = Math.min(depth(), Math.max(1, slice));
  drawPanels();
}

function zoomTo(zoom) {
  state.zoom = Math.min(8, Math.max(1, zoom));
  drawPanels();
}

const choose = (patient) => showPatient(new URLSearchParams({ patient }));
const neighbour = (step) => {
  const ids = ordered();
  choose(ids[(ids.indexOf(state.patient) + step + ids.length) % ids.length]);
};

/* Another ratio or seed has other methods: those that are still there stay switched on. */
function chooseRun(key, value) {
  state[key] = value;
  state.on = state.on.filter((method) => method === "truth" || shownMethods().includes(method));
  drawPatient();
}

const on = (id, event, action) => byId(id).addEventListener(event, (happened) => action(happened.target.value));
on("slice", "input", (value) => moveTo(Number(value)));
on("patient", "change", choose);
on("order", "change", (value) => { state.order = value; listPatients(); });
on("ratio", "change", (value) => chooseRun("ratio", Number(value)));
on("seed", "change", (value) => chooseRun("seed", Number(value)));
on("plane", "change", (value) => { state.plane = value; drawPanels(); });
on("colours", "change", (value) => { state.colours = value; colourBoxes(); drawPanels(); });
on("metric", "change", (value) => { state.metric = value; drawScores(); });
on("region", "change", (value) => { state.scored = value; drawScores(); });
on("outlined", "change", (value) => { state.region = value; drawPanels(); });
on("source", "change", (value) => { state.source = value; drawPanels(); });
on("level", "input", (value) => { state.level = Number(value); drawPanels(); });
on("window", "input", (value) => { state.window = Number(value); drawPanels(); });
on("previous", "click", () => neighbour(-1));
on("next", "click", () => neighbour(1));
on("zoom-in", "click", () => zoomTo(state.zoom * 1.5));
on("zoom-out", "click", () => zoomTo(state.zoom / 1.5));
on("reset", "click", () => { Object.assign(state, LOOK); drawPanels(); });

let turned = 0; // of the wheel, until it makes a slice: a touchpad turns it in small steps
byId("panels").addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.ctrlKey) return zoomTo(state.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
  turned += event.deltaMode ? 40 * event.deltaY : event.deltaY;
  const steps = Math.trunc(turned / 40);
  if (!steps) return;
  turned -= 40 * steps;
  moveTo(state.at[state.plane] - Math.sign(steps));
}, { passive: false });

byId("panels").addEventListener("pointerdown", (event) => {
  byId("panels").focus({ preventScroll: true });
  const panel = event.target.closest("figure");
  if (!panel || state.zoom === 1 || event.button) return;
  const [x, y, centre] = [event.clientX, event.clientY, [...state.centre]];
  const { width, height } = panel.getBoundingClientRect();
  const move = (moved) => {
    state.centre = [centre[0] - (moved.clientX - x) / width / state.zoom, centre[1] - (moved.clientY - y) / height / state.zoom];
    drawPanels();
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
});

document.addEventListener("keydown", (event) => {
  if (main.dataset.view !== "patients" || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("select, input:not([type=checkbox]), .scroll[tabindex], nav")) return; // these have arrow keys of their own
  const zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 };
  if (event.key in zooms) return zoomTo(state.zoom * zooms[event.key]);
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  if (event.target.closest("#panels")) Object.assign(steps, { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5, Home: -1e6, End: 1e6 });
  if (!(event.key in steps)) return;
  event.preventDefault();
  moveTo(state.at[state.plane] + steps[event.key]);
});
new ResizeObserver(() => { if (main.dataset.view === "patients" && current) drawPanels(); }).observe(byId("viewer"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (current) drawPanels(); });

listPatients();
options(byId("metric"), known.metrics.map((metric) => [metric.key, metric.label]), state.metric);
for (const table of document.querySelectorAll(".view table")) if (!table.matches("#scores, .claims")) sortable(table);
if (byId("claim-words")) filterClaims();
addEventListener("hashchange", route);
route();
