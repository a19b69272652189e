// The search page. The index is loaded when something is looked for, and from the site's own folder.
"use strict";

const MOST = 60;
const box = document.querySelector("#query");
const list = document.querySelector("#found");
const count = document.querySelector("#count");
let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "search-index.js";
    script.onload = () => resolve(window.searchEntries);
    script.onerror = () => reject(new Error("search-index.js is missing"));
    document.head.append(script);
  });
  return loading;
}

// Every word has to be found; a word in the title counts most, and one at the beginning of a word more than inside of one.
function weight(entry, words) {
  const fields = [[entry[0], 12], [entry[1], 4], [entry[3], 1]];
  let total = 0;
  for (const word of words) {
    let best = 0;
    for (const [text, factor] of fields) {
      const lower = text.toLowerCase();
      const at = lower.indexOf(word);
      if (at < 0) continue;
      const begins = (" " + lower).search(new RegExp("[^\\p{L}\\p{N}]" + escaped(word), "u")) >= 0;
      const often = Math.min(lower.split(word).length - 1, 8) / 8;
      best = Math.max(best, factor * ((lower === word ? 4 : begins ? 2 : 1) + often));
    }
    if (!best) return 0;
    total += best;
  }
  return total;
}

const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\\/-]/g, (sign) => (sign === "-" ? "\\x2d" : "\\" + sign));

function marked(text, words) {
  const parts = document.createDocumentFragment();
  const pattern = new RegExp("(" + words.map(escaped).join("|") + ")", "giu");
  text.split(pattern).forEach((piece, index) => {
    const node = index % 2 ? document.createElement("mark") : document.createTextNode("");
    node.textContent = piece;
    parts.append(node);
  });
  return parts;
}

function snippet(text, words) {
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const start = Math.max(0, Math.min(...places, lower.length) - 60);
  const from = places.length && start ? text.indexOf(" ", start) + 1 : 0;
  return (from ? "… " : "") + text.slice(from, from + 190) + (from + 190 < text.length ? " …" : "");
}

function show(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const weighed = words.length ? entries.map((entry) => [weight(entry, words), entry]) : [];
  const found = weighed.filter(([value]) => value).sort((a, b) => b[0] - a[0]);
  list.replaceChildren(...found.slice(0, MOST).map(([, entry]) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = entry[2];
    link.append(marked(entry[0], words));
    const where = document.createElement("span");
    where.className = "where";
    where.append(marked(entry[1], words));
    const text = document.createElement("p");
    text.append(marked(snippet(entry[3], words), words));
    item.append(link, " ", where, text);
    return item;
  }));
  const more = found.length > MOST ? `, the first ${MOST} of them shown` : "";
  count.textContent = !words.length ? "" : found.length ? `${found.length} found${more}` : `Nothing holds “${query.trim()}”.`;
  document.title = `${words.length ? query.trim() + " – " : ""}Search – unlearnbench`;
}

function search() {
  load().then((entries) => show(entries, box.value), (error) => { count.textContent = `The search does not work: ${error.message}.`; });
}

box.value = new URLSearchParams(location.search).get("q") ?? "";
box.addEventListener("input", search);
if (box.value) search();
else box.focus();
