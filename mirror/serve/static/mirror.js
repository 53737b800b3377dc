// Small comforts; every page works without them. Filters the rows of a table while one types.
"use strict";
for (const box of document.querySelectorAll("input.filter")) {
  const rows = document.querySelectorAll(`#${box.dataset.table} > tbody > tr`);
  const told = document.getElementById(`${box.dataset.table}-shown`);
  box.hidden = false;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    if (told) told.textContent = words.length ? `${shown} of ${rows.length} shown` : "";
  });
}
