// SPDX-License-Identifier: GPL-3.0-or-later
// Says that a file is too large when it is chosen, not after it was sent for nothing.

for (const field of document.querySelectorAll("input[type=file][data-most]")) {
  field.addEventListener("change", () => {
    const isTooLarge = [...field.files].some(({ size }) => size > Number(field.dataset.most));
    field.setCustomValidity(isTooLarge ? field.dataset.tooLarge : "");
    field.reportValidity();
  });
}
