// Sorting, filtering and choosing rows of the ranked tables; what is shown stands in the address. The page is complete without this file.
"use strict";

const settings = {
  read() { return new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : ""); },
  get(board, key) { return this.read().get(`${board}.${key}`) ?? ""; },
  set(board, key, value) {
    const all = this.read();
    if (value) all.set(`${board}.${key}`, value);
    else all.delete(`${board}.${key}`);
    const text = all.toString();
    if (text || location.hash.includes("=")) history.replaceState(null, "", `#${text}`);
  },
};

function sortTable(table, index, ascending) {
  const value = (row) => {
    const cell = row.cells[index];
    const raw = cell.dataset.value ?? (cell.querySelector("a") ?? cell).textContent.trim();
    return raw === "" ? null : Number.isNaN(Number(raw)) ? raw.toLowerCase() : Number(raw);
  };
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (x < y ? -1 : x > y ? 1 : 0) * (ascending ? 1 : -1);
  });
  table.tBodies[0].append(...rows);
}

function makeSortable(section) {
  const table = section.querySelector("table.ranking");
  const headers = [...table.tHead.rows[0].cells];
  const sortBy = (header, ascending) => {
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    sortTable(table, headers.indexOf(header), ascending);
  };
  for (const header of headers) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      sortBy(header, ascending);
      settings.set(section.id, "sort", header.dataset.key + (ascending ? "" : "-"));
    });
  }
  return () => {
    const wanted = settings.get(section.id, "sort");
    const header = headers.find((one) => one.dataset.key === wanted.replace(/-$/, ""));
    if (header) sortBy(header, !wanted.endsWith("-"));
  };
}

function addFilters(section) {
  const table = section.querySelector("table.ranking");
  const tools = document.createElement("div");
  tools.className = "tools";
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Find a method";
  search.setAttribute("aria-label", "Find a method");
  tools.append(search);
  const boxes = ["method", "reference", "cheat"].map((role) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = role;
    label.append(box, role + "s");
    tools.append(label);
    return box;
  });
  const more = section.querySelector("input.more");
  tools.append(more, section.querySelector("label[for$='-more']"));
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const roles = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    for (const row of table.tBodies[0].rows) {
      const name = row.querySelector("th a").textContent.toLowerCase();
      row.hidden = !roles.has(row.dataset.role) || !name.includes(wanted);
    }
    section.classList.toggle("wide", more.checked);
  };
  tools.addEventListener("input", () => {
    filter();
    settings.set(section.id, "find", search.value.trim());
    settings.set(section.id, "hide", boxes.filter((box) => !box.checked).map((box) => box.value).join(" "));
    settings.set(section.id, "all", more.checked ? "1" : "");
  });
  section.querySelector(".scroll").before(tools);
  return () => {
    search.value = settings.get(section.id, "find");
    const hidden = settings.get(section.id, "hide").split(" ");
    for (const box of boxes) box.checked = !hidden.includes(box.value);
    more.checked = settings.get(section.id, "all") === "1";
    filter();
  };
}

const restorers = [...document.querySelectorAll("section.board")].flatMap((section) => [makeSortable(section), addFilters(section)]);
const restore = () => restorers.forEach((one) => one());
restore();
// A link to a place on the page changes nothing of what is shown.
addEventListener("hashchange", () => { if (location.hash.includes("=")) restore(); });
