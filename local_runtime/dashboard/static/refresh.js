// Brings the page up to date every two seconds without losing the scroll position, what is folded
// open, or what is being typed; stops once nothing can change any more.
"use strict";

const PAUSE_MS = 2000;
const stale = document.getElementById("stale");

function openKeys() {
  const open = document.querySelectorAll("details[open][data-key]");
  return new Set(Array.from(open, (element) => element.dataset.key));
}

function replaceContent(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const next = fresh.getElementById("content");
  const current = document.getElementById("content");
  const part = next.querySelector("[data-refresh]");
  const place = current.querySelector("[data-refresh]");
  // A page of another kind (an error, or no longer one): it changes as a whole.
  const [from, to] = part && place ? [part, place] : [next, current];
  if (from.innerHTML === to.dataset.shown) {
    current.dataset.live = next.dataset.live;
    return;
  }
  const open = openKeys();
  const shown = from.innerHTML;
  for (const element of from.querySelectorAll("details[data-key]")) {
    element.open = open.has(element.dataset.key);
  }
  to.replaceChildren(...from.childNodes);
  to.dataset.shown = shown;
  current.dataset.live = next.dataset.live;
  document.title = fresh.title;
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    replaceContent(await response.text());
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

async function loop() {
  if (document.getElementById("content").dataset.live !== "yes") return;
  const selecting = !document.getSelection().isCollapsed;
  // A hidden page, or one whose text somebody is about to copy, is left as it is.
  if (!document.hidden && !selecting) await refresh();
  setTimeout(loop, PAUSE_MS);
}

setTimeout(loop, PAUSE_MS);
