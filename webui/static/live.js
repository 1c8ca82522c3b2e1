// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps home up to date: asks for its parts, and puts in anew those that are different.

const live = document.getElementById("live");
const lost = document.getElementById("lost");
let tag = "";

const parts = (root) => [...root.querySelectorAll("[data-part]")];

// Parts lie in parts; only the innermost are compared, so that what is announced is what changed.
const innermost = (part) => !part.querySelector("[data-part]");

function update(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const shown = new Map(parts(live).map((part) => [part.dataset.part, part]));
  for (const part of parts(fresh)) {
    const old = shown.get(part.dataset.part);
    if (!old) continue;
    if (part.dataset.pause) old.dataset.pause = part.dataset.pause;
    if (innermost(part)) replace(old, part);
  }
  const [lamp, freshLamp] = [live, fresh].map((root) => root.querySelector(".light"));
  if (lamp.getAttribute("class") !== freshLamp.getAttribute("class")) {
    lamp.setAttribute("class", freshLamp.getAttribute("class"));
  }
}

// A button that has the focus keeps it.
function replace(old, part) {
  if (old.innerHTML.trim() === part.innerHTML.trim()) return;
  const buttons = [...old.querySelectorAll("button")];
  const focused = buttons.indexOf(document.activeElement);
  old.replaceChildren(...part.childNodes);
  if (focused >= 0) old.querySelectorAll("button")[focused]?.focus();
}

// Milliseconds after which no answer is one that does not come.
const patience = 10_000;

async function look() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const signal = AbortSignal.timeout?.(patience);
  const answer = await fetch(live.dataset.source, { headers, cache: "no-store", signal });
  if (answer.status === 403) location.reload();
  else if (answer.status === 200) {
    tag = answer.headers.get("ETag") ?? "";
    update(await answer.text());
  } else if (answer.status !== 304) throw new Error(answer.statusText);
}

async function follow() {
  let pause = Number(live.querySelector("[data-pause]").dataset.pause);
  if (!document.hidden) {
    try {
      await look();
      lost.hidden = true;
      pause = Number(live.querySelector("[data-pause]").dataset.pause);
    } catch {
      if (lost.hidden) lost.textContent = live.dataset.lost;
      lost.hidden = false;
      pause = 5;
    }
  }
  setTimeout(follow, 1000 * pause);
}

setTimeout(follow, 1000);
document.addEventListener("visibilitychange", () => document.hidden || look().catch(() => {}));
