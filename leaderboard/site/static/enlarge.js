// A click on a gallery makes it large in place. Without this file the link leads to the picture alone.
"use strict";

const dialog = document.createElement("dialog");
dialog.className = "large";
dialog.setAttribute("aria-label", "Samples, enlarged");
const picture = document.createElement("img");
const caption = document.createElement("p");
const close = document.createElement("button");
close.type = "button";
close.textContent = "Close";
close.addEventListener("click", () => dialog.close());
dialog.append(caption, picture, close);
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
document.body.append(dialog);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.enlarge");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const shown = link.querySelector("img");
  picture.src = link.href;
  picture.alt = shown.alt;
  caption.textContent = link.closest("figure").querySelector("figcaption").textContent;
  dialog.showModal();
});
