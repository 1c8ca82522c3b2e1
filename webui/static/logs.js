// SPDX-License-Identifier: GPL-3.0-or-later
// Appends the lines that come to the log, and stays at its end unless somebody reads further up.

const log = document.getElementById("log");
const follow = document.getElementById("follow");
const MOST = 2000;

function line(each) {
  const item = document.createElement("p");
  const when = document.createElement("span");
  when.className = "when";
  when.textContent = each.when;
  if (each.grave) item.className = "grave";
  item.append(when, ` ${each.source}: ${each.text}`);
  return item;
}

const toEnd = () => follow.checked && (log.scrollTop = log.scrollHeight);

async function look() {
  const source = new URL(log.dataset.source, location.href);
  source.searchParams.set("after", log.dataset.cursor);
  const answer = await fetch(source, { cache: "no-store" });
  if (answer.status === 403) location.reload();
  if (!answer.ok) return;
  const { lines, cursor } = await answer.json();
  log.dataset.cursor = cursor;
  if (!lines.length) return;
  document.getElementById("none")?.remove();
  log.append(...lines.map(line));
  while (log.children.length > MOST) log.firstElementChild.remove();
  toEnd();
}

async function go() {
  if (!document.hidden) await look().catch(() => {});
  setTimeout(go, 2000);
}

document.querySelector(".following").hidden = false;
follow.addEventListener("change", toEnd);
toEnd();
setTimeout(go, 2000);
