// Sorting and filtering of the ranked tables. The page is complete without this file.
"use strict";

function sortTable(table, index, ascending) {
  const value = (row) => {
    const cell = row.cells[index];
    const raw = cell.dataset.value ?? cell.textContent.trim();
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

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortTable(table, index, ascending);
    });
  });
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
    box.checked = true;
    box.value = role;
    label.append(box, role + "s");
    tools.append(label);
    return box;
  });
  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    const roles = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    for (const row of table.tBodies[0].rows) {
      const name = row.querySelector("th").textContent.toLowerCase();
      row.hidden = !roles.has(row.dataset.role) || !name.includes(wanted);
    }
  };
  tools.addEventListener("input", apply);
  section.querySelector(".scroll").before(tools);
}

for (const section of document.querySelectorAll("section.board")) {
  makeSortable(section.querySelector("table.ranking"));
  addFilters(section);
}
