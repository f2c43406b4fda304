"use strict";
// Only a convenience: without it the page says the same. It reads the table and writes texts, never markup.
(() => {
  const table = document.getElementById("attention");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const headers = [...table.tHead.rows[0].cells];
  const names = headers.map((header) => header.textContent.trim());
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const area = document.getElementById("csv");
  const many = (count) => `${count.toLocaleString("en")} row${count === 1 ? "" : "s"}`;
  const visible = () => [...body.rows].filter((row) => !row.hidden);

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
    area.hidden = true;
    found.textContent = words.length ? `${visible().length.toLocaleString("en")} of ${many(rows.length)}` : many(rows.length);
  };

  const sort = (at) => {
    const falling = headers[at].getAttribute("aria-sort") === "ascending";
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    headers[at].setAttribute("aria-sort", falling ? "descending" : "ascending");
    const order = new Intl.Collator("en", { numeric: at === 0 }).compare;
    const cells = new Map(rows.map((row) => [row, row.cells[at].textContent.trim()]));
    const sorted = [...rows].sort((a, b) => order(cells.get(a), cells.get(b)));
    body.append(...(falling ? sorted.reverse() : sorted));
  };

  // What a spreadsheet would run as a formula gets an apostrophe, by the pattern that results.csv is escaped with.
  const formula = new RegExp(table.dataset.formula, "u");
  const cell = (text) => {
    const harmless = formula.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  const csv = () => {
    const lines = visible().map((row) => [...row.cells].map((each) => each.textContent.replace(/\n+$/, "")));
    return [names, ...lines].map((line) => line.map(cell).join(",") + "\r\n").join("");
  };

  const copy = async () => {
    const count = visible().length;
    try {
      await navigator.clipboard.writeText(csv());
      found.textContent = `${many(count)} copied`;
    } catch {
      area.value = csv();
      area.hidden = false;
      area.focus();
      area.select();
      found.textContent = "This browser does not let a page copy: press Ctrl-C or ⌘C now.";
    }
  };

  headers.forEach((header, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = names[at];
    button.addEventListener("click", () => sort(at));
    header.replaceChildren(button);
  });
  for (const code of document.querySelectorAll(".causes h3 code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Show";
    button.setAttribute("aria-label", `Show the rows with ${code.textContent}`);
    button.addEventListener("click", () => {
      search.value = code.textContent;
      filter();
      search.focus();
    });
    code.closest("li").prepend(button);
  }
  search.addEventListener("input", filter);
  document.getElementById("copy").addEventListener("click", copy);
  document.getElementById("tools").hidden = false;
  filter();
})();
