// Up to four rows of a board side by side: paired differences, samples from the same noise, what attacks bring back.
"use strict";

const MOST_BESIDE = 4;
const SVG = (() => { const box = document.createElement("div"); box.innerHTML = "<svg></svg>"; return box.firstChild.namespaceURI; })();
let boardsLoading = null;

// The data stand beside the page, under its name. A page on a disk may not fetch them, but may load a script.
function loadBoards() {
  boardsLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = location.pathname.split("/").pop().replace(/\.html$/, "") + ".js";
    script.onload = () => resolve(window.taskBoards);
    script.onerror = () => reject(new Error(`${script.src} is missing`));
    document.head.append(script);
  });
  return boardsLoading;
}

function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function tableOf(label, head, rows) {
  const table = made("table");
  const line = made("tr");
  line.append(...head.map((text) => made("th", text, { scope: "col" })));
  table.createTHead().append(line);
  const body = table.createTBody();
  for (const cells of rows) {
    const row = made("tr");
    row.append(...cells.map((text, index) => (index ? made("td", text) : made("th", text, { scope: "row" }))));
    body.append(row);
  }
  const scroll = made("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": label });
  scroll.append(table);
  return scroll;
}

const shown = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const rankOf = (row) => (row.ranks ? (row.ranks[0] === row.ranks[1] ? `${row.ranks[0]}` : `${row.ranks[0]} (${row.ranks.join("–")})`) : "–");

function difference(board, first, second) {
  const pairs = board.cases.map((_, index) => [first.scores[index], second.scores[index]]).filter(([a, b]) => a !== null && b !== null);
  const apart = pairs.map(([a, b]) => a - b);
  const n = apart.length;
  if (!n) return ["–", "–", "0", "no shared run"];
  const mean = apart.reduce((sum, one) => sum + one, 0) / n;
  const deviation = Math.sqrt(apart.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, n - 1));
  const half = n > 1 ? (board.quantiles[n - 2] * deviation) / Math.sqrt(n) : null;
  const index = board.rows.indexOf.bind(board.rows);
  const verdict = first.better_than.includes(index(second)) ? `${first.name} is better beyond doubt`
    : second.better_than.includes(index(first)) ? `${second.name} is better beyond doubt` : "open";
  return [mean.toFixed(3), half === null ? "–" : `${(mean - half).toFixed(3)} to ${(mean + half).toFixed(3)}`, String(n), verdict];
}

function galleries(board, rows) {
  const cases = board.cases.map((name, index) => [name, index]).filter(([, index]) => rows.some((row) => row.galleries[index]));
  const box = made("div");
  if (!cases.length) return box;
  const choice = made("select", undefined, { "aria-label": "Request and seed of the samples" });
  choice.append(...cases.map(([name, index]) => made("option", name, { value: index })));
  const sheets = made("div", undefined, { class: "sheets" });
  const draw = () => sheets.replaceChildren(...rows.filter((row) => row.galleries[choice.value]).map((row) => {
    const figure = made("figure", undefined, { class: "sheet" });
    const image = made("img", undefined, { src: `../${row.galleries[choice.value]}`, alt: `Samples by ${row.name}` });
    figure.append(made("figcaption", row.name), image);
    return figure;
  }));
  choice.addEventListener("change", draw);
  draw();
  box.append(made("h4", "Samples from the same noise"), choice, sheets);
  return box;
}

function curveFigure(name, request, lines) {
  const [width, height, left, top, bottom] = [340, 180, 54, 10, 26];
  const points = lines.flatMap(([, steps]) => steps);
  const last = Math.max(...points.map(([step]) => step)) || 1;
  const [low, high] = [Math.min(...points.map(([, value]) => value)), Math.max(...points.map(([, value]) => value))];
  const across = (step) => left + (step / last) * (width - left - 10);
  const up = (value) => top + ((high - value) / (high - low || 1)) * (height - top - bottom);
  const drawn = (tag, attributes, text) => {
    const element = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  const svg = drawn("svg", { class: "chart curves", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name} by steps of the attack` });
  for (const value of [low, high]) svg.append(drawn("text", { class: "tick", x: left - 6, y: up(value) + 4, "text-anchor": "end" }, value.toPrecision(3)));
  for (const step of [0, last]) svg.append(drawn("text", { class: "tick", x: across(step), y: height - 8, "text-anchor": step ? "end" : "middle" }, String(step)));
  lines.forEach(([index, steps]) => svg.append(drawn("path", { class: `line chosen-${index}`, d: "M" + steps.map(([step, value]) => `${across(step).toFixed(1)} ${up(value).toFixed(1)}`).join("L") })));
  const figure = made("figure", undefined, { class: "small" });
  figure.append(made("figcaption", request ? `${name}, ${request}` : name), svg);
  return figure;
}

function curves(rows) {
  const box = made("div");
  const found = new Map();
  rows.forEach((row, index) => {
    for (const [request, byName] of Object.entries(row.curves)) {
      for (const [name, steps] of Object.entries(byName)) {
        const key = JSON.stringify([name, request]);
        found.set(key, [...(found.get(key) ?? []), [index, steps]]);
      }
    }
  });
  if (!found.size) return box;
  const key = made("p", undefined, { class: "meta" });
  rows.forEach((row, index) => key.append(made("span", row.name, { class: `key chosen-${index}` }), " "));
  const line = made("div", undefined, { class: "curves-row" });
  line.append(...[...found].map(([name, lines]) => curveFigure(...JSON.parse(name), lines)));
  box.append(made("h4", "What attacks bring back"), key, line);
  return box;
}

function panelOf(board, rows) {
  const keys = Object.keys(rows[0].components);
  const facts = [
    ["Rank", ...rows.map(rankOf)],
    ["Score", ...rows.map((row) => shown(row.score, 3))],
    ...keys.map((key) => [key, ...rows.map((row) => shown(row.components[key]))]),
    ["Harm", ...rows.map((row) => shown(row.harm))],
    ["Cost", ...rows.map((row) => (row.cost === null ? "–" : `${Number((100 * row.cost).toPrecision(2))} %`))],
  ];
  const pairs = rows.flatMap((first, index) => rows.slice(index + 1).map((second) => [`${first.name} − ${second.name}`, ...difference(board, first, second)]));
  return [
    tableOf("Chosen rows", ["", ...rows.map((row) => row.name)], facts),
    ...(pairs.length ? [made("h4", "Paired differences of the score"), made("p", "Over the runs that both share. The board's verdict corrects for all pairs of its rows, the interval does not.", { class: "meta" }), tableOf("Paired differences", ["Pair", "Mean", "95 %", "Shared runs", "Verdict of the board"], pairs)] : []),
    curves(rows), galleries(board, rows),
  ];
}

function addBeside(section) {
  const table = section.querySelector("table.ranking");
  const panel = made("div", undefined, { class: "beside", role: "status" });
  section.querySelector(".scroll").after(panel);
  const boxes = [...table.tBodies[0].rows].map((row) => {
    const name = row.querySelector("th a").textContent;
    const box = made("input", undefined, { type: "checkbox", "aria-label": `Set ${name} beside others`, value: name });
    box.index = Number(row.dataset.index);
    row.querySelector("th").prepend(box);
    return box;
  });
  const draw = () => {
    const chosen = boxes.filter((box) => box.checked);
    for (const box of boxes) box.disabled = !box.checked && chosen.length >= MOST_BESIDE;
    panel.replaceChildren();
    if (!chosen.length) return;
    panel.append(made("h3", chosen.length > 1 ? "Side by side" : "Choose another row to set beside it"));
    loadBoards().then(
      (boards) => {
        const board = boards[section.id];
        panel.append(...panelOf(board, chosen.map((box) => board.rows[box.index])));
      },
      (error) => panel.append(made("p", `Nothing to show: ${error.message}.`, { class: "note" })),
    );
  };
  table.addEventListener("change", () => {
    settings.set(section.id, "rows", boxes.filter((box) => box.checked).map((box) => box.value).join("|"));
    draw();
  });
  return () => {
    const wanted = settings.get(section.id, "rows").split("|");
    for (const box of boxes) box.checked = wanted.includes(box.value);
    draw();
  };
}

const besides = [...document.querySelectorAll("section.board")].map(addBeside);
const restoreBesides = () => besides.forEach((one) => one());
restoreBesides();
addEventListener("hashchange", () => { if (location.hash.includes("=")) restoreBesides(); });
