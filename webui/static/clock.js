// SPDX-License-Identifier: GPL-3.0-or-later
// Sets the appliance's clock from the browser's: offers it where they differ by a minute.

const inUtc = () => new Date().toISOString().slice(0, 19);

for (const form of document.querySelectorAll("[data-clock]")) {
  const when = form.elements.when;
  when.value = inUtc();
  const touched = () => (when.dataset.touched = "yes");
  when.addEventListener("input", touched);
  form.addEventListener("submit", () => {
    if (!when.dataset.touched) when.value = inUtc();
  });
}

const offer = document.querySelector("[data-now]");
if (offer && Math.abs(Date.now() / 1000 - Number(offer.dataset.now)) > 60) offer.hidden = false;
