// SPDX-License-Identifier: GPL-3.0-or-later
// Waits until the appliance is there again, or an update has come to its end, and goes on then.

const wait = document.getElementById("wait");

async function isOver() {
  const answer = await fetch(wait.dataset.source, { cache: "no-store" });
  if (answer.status === 403) return true; // logged out: the next page says so
  if (!answer.ok) return false;
  const isJson = answer.headers.get("Content-Type").startsWith("application/json");
  return isJson ? (await answer.json()).settled : true;
}

async function look() {
  const over = await isOver().catch(() => false);
  if (over) location.assign(wait.dataset.next);
  else setTimeout(look, 2000);
}

setTimeout(look, 5000); // before that it may not have gone yet
