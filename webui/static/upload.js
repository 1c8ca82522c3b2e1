// SPDX-License-Identifier: GPL-3.0-or-later
// Sends an update: shows how far it is, what the appliance says to it, and that it is installed.

const form = document.getElementById("upload");
const bar = document.querySelector("#sending progress");
const broken = document.getElementById("broken-off");

function sends(yes) {
  document.getElementById("sending").hidden = !yes;
  form.querySelector("button").disabled = yes;
}

function breaksOff() {
  sends(false);
  broken.hidden = false;
}

// A page instead of the word where to go on says why not.
function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  if (!fresh.querySelector("main")) return breaksOff();
  document.title = fresh.title;
  document.body.replaceChildren(...fresh.body.childNodes);
}

function arrived({ target }) {
  const isWord = target.getResponseHeader("Content-Type")?.startsWith("application/json");
  if (isWord) location.assign(JSON.parse(target.responseText).next);
  else show(target.responseText);
}

function send() {
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", ({ loaded, total }) => (bar.value = (100 * loaded) / total));
  request.addEventListener("load", arrived);
  request.addEventListener("error", breaksOff);
  request.send(new FormData(form));
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  broken.hidden = true;
  sends(true);
  const state = await fetch(form.dataset.state, { cache: "no-store" }).catch(() => null);
  if (state?.status === 403) location.reload(); // logged out: it asks to log in, and has not sent it
  else send();
});

document.querySelector("[data-busy]")?.addEventListener("submit", ({ target }) => {
  target.querySelector(".busy").hidden = false;
  target.querySelector("button").disabled = true;
});
