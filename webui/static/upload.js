// SPDX-License-Identifier: GPL-3.0-or-later
// Shows how far a file has been sent, and that something is being done.

const form = document.getElementById("upload");
const bar = document.querySelector("#sending progress");

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.upload.addEventListener("progress", ({ loaded, total }) => (bar.value = (100 * loaded) / total));
  request.addEventListener("load", () => location.assign(request.responseURL));
  request.addEventListener("error", () => location.reload());
  document.getElementById("sending").hidden = false;
  form.querySelector("button").disabled = true;
  request.send(new FormData(form));
});

document.querySelector("[data-busy]")?.addEventListener("submit", ({ target }) => {
  target.querySelector(".busy").hidden = false;
  target.querySelector("button").disabled = true;
});
