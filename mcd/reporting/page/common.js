"use strict";

/* What the page of a run and that of the preprocessed patients share. */

const byId = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/* --- tables: a click on a head sorts within each block; the third click brings the printed order back --- */

/* The heads at the bottom of a table's head, each with its column, whatever spans what above. */
function bottomHeads(table) {
  const rows = [...(table.tHead?.rows ?? [])];
  const taken = rows.map(() => []);
  const found = [];
  rows.forEach((row, top) => {
    for (const cell of row.cells) {
      let left = 0;
      while (taken[top][left]) left += 1;
      for (let r = top; r < top + cell.rowSpan; r += 1)
        for (let c = left; c < left + cell.colSpan; c += 1) taken[r][c] = true;
      if (top + cell.rowSpan === rows.length && cell.colSpan === 1) found.push([cell, left]);
    }
  });
  return found;
}

function sortable(table) {
  const heads = bottomHeads(table);
  const printed = [...table.tBodies].map((body) => [...body.rows]);
  for (const [head, column] of heads) {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const lowFirst = head.classList.contains("text") || head.classList.contains("method") || head.textContent.includes("↓");
      const order = lowFirst ? ["ascending", "descending"] : ["descending", "ascending"];
      const next = order[order.indexOf(head.getAttribute("aria-sort")) + 1];
      for (const [other] of heads) other.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      [...table.tBodies].forEach((body, place) => {
        const runs = printed[place].filter((row) => row.cells.length > column && row.cells[0].colSpan === 1);
        if (next) runs.sort((a, b) => compare(valueOf(a.cells[column]), valueOf(b.cells[column]), next === "ascending" ? 1 : -1));
        const sorted = new Set(runs);
        const others = printed[place].filter((row) => !sorted.has(row));
        for (const row of others) if (row.classList.contains("group")) row.hidden = Boolean(next);
        body.append(...(next ? [...others, ...runs] : printed[place]));
      });
    });
  }
}

function valueOf(cell) {
  const text = cell.dataset.value ?? cell.firstChild?.textContent.trim() ?? "";
  const number = Number(text);
  return text === "" || text === "–" ? null : Number.isNaN(number) ? text : number;
}

function compare(a, b, way) {
  if (a === null || b === null) return (a === null) - (b === null); // what was not computed stays below
  return way * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
}

/* --- a table's head sticks to the window: by itself where the table fits, else moved by hand, since its box scrolls sideways --- */

const bar = document.querySelector(".top");

function stick() {
  const top = bar && getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
  document.documentElement.style.setProperty("--top", `${top}px`);
  for (const box of document.querySelectorAll(".view:not([hidden]) .scroll")) {
    const table = box.querySelector("table");
    if (!table?.tHead) continue;
    const fits = table.offsetWidth <= box.parentElement.clientWidth;
    box.classList.toggle("fits", fits);
    if (fits) box.removeAttribute("tabindex");
    else box.tabIndex = 0; // so that the arrow keys scroll it
    const place = table.getBoundingClientRect();
    const hidden = Math.min(Math.max(0, top - place.top), Math.max(0, place.height - table.tHead.offsetHeight));
    table.tHead.style.transform = !fits && hidden ? `translateY(${hidden}px)` : "";
  }
}

addEventListener("scroll", stick, { passive: true });
addEventListener("resize", stick);
for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", stick);
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(".view:not([hidden]) details")) fold.open = true;
});

/* --- pictures that enlarge: arrow keys and buttons lead to the next one, in the order of the table --- */

const enlarged = byId("enlarged");

function enlarge(address) {
  const picture = document.querySelector(`#${CSS.escape(address)} img`);
  Object.assign(byId("enlarged-picture"), { src: picture.src, alt: picture.alt });
  byId("enlarged-words").textContent = picture.closest("figure").querySelector("figcaption").innerText;
  enlarged.dataset.address = address;
  if (!enlarged.open) enlarged.showModal();
}

function enlargeNext(step) {
  const addresses = [...document.querySelectorAll(".checked [data-enlarge]")].map((button) => button.dataset.enlarge);
  enlarge(addresses[(addresses.indexOf(enlarged.dataset.address) + step + addresses.length) % addresses.length]);
}

if (enlarged) {
  for (const button of document.querySelectorAll("[data-enlarge]")) button.addEventListener("click", () => enlarge(button.dataset.enlarge));
  byId("enlarged-previous").addEventListener("click", () => enlargeNext(-1));
  byId("enlarged-next").addEventListener("click", () => enlargeNext(1));
  byId("enlarged-close").addEventListener("click", () => enlarged.close());
  enlarged.addEventListener("click", (event) => { if (event.target === enlarged) enlarged.close(); });
  enlarged.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    enlargeNext(step);
  });
}
