/* Steps 1 and 2: the file and its columns. */
"use strict";

/* --- 1: the file --------------------------------------------------------------------------------------- */

async function open(name, content) {
  say("");
  filter = search = resultFilter = "";
  picked = null;
  await send("file", content, { "X-File-Name": encodeURIComponent(name) }).catch(() => {});
}

function dropZone() {
  const input = h("input", {
    type: "file",
    className: "unseen",
    id: "file",
    tabIndex: -1,
    ariaLabel: "File",
    onchange: ({ target }) => {
      const file = target.files[0];
      target.value = ""; // or the same file, saved anew, would not be a change
      if (file) open(file.name, file);
    },
  });
  return h(
    "div",
    {
      className: `drop${state.file ? " small" : ""}`,
      ondragover: (event) => {
        event.preventDefault();
        event.currentTarget.classList.add("over");
      },
      ondragleave: (event) => event.currentTarget.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        event.currentTarget.classList.remove("over");
        const file = event.dataTransfer.files[0];
        if (file) open(file.name, file);
      },
    },
    h("strong", {}, state.file ? "Another file?" : "Drop a file here"),
    h(
      "div",
      { className: "row" },
      button("Choose a file", () => $("file").click(), state.file ? "" : "primary", { id: "choose" }),
      input,
      state.file?.isOnDisk
        ? button(
            "Read it again",
            () => choose({ sheets: state.choices.sheets, header_row: state.choices.headerRow }),
            "",
            { id: "again" },
          )
        : null,
    ),
    h("span", { className: "soft fine" }, "or copy rows in your spreadsheet and paste them here with Ctrl+V"),
  );
}

function fileStep() {
  const parts = [
    ...heading(
      "Which file?",
      "Excel, OpenDocument, CSV or Parquet. The file stays on this machine, and is never changed.",
    ),
    dropZone(),
  ];
  if (!state.file) return parts;
  const { sheets, columns } = state;
  const asking = sheets.filter((sheet) => sheet.growers && sheet.visible).length > 1 && !state.file.read;
  const shown = sheets.find((sheet) => sheet.read) || sheets.find((sheet) => sheet.growers) || sheets[0];
  if (sheets.length > 1) {
    parts.push(
      h("h2", { id: "sheets" }, asking ? "Which sheet? Several have growers." : "Sheet"),
      h(
        "div",
        { className: "tabs", role: "group", "aria-labelledby": "sheets" },
        sheets.map((sheet, i) =>
          button(
            `${sheet.name}${sheet.visible ? "" : " (hidden)"}${sheet.growers ? "" : " – no growers found"}`,
            () => choose({ sheets: [sheet.name], header_row: null }),
            "",
            { ariaPressed: String(sheet.read), id: `sheet-${i}` },
          ),
        ),
        sheets.filter((sheet) => sheet.growers && sheet.visible).length > 1
          ? button("All with growers", () => choose({ sheets: ["*"], header_row: null }), "", {
              id: "all-sheets",
            })
          : null,
      ),
    );
  }
  if (shown && (!asking || sheets.length === 1)) parts.push(headerChoice(shown));
  if (columns) parts.push(inputFacts(columns));
  return parts;
}

function headerChoice(sheet) {
  const width = Math.min(60, Math.max(...sheet.lines.map((line) => line.cells.length), 1));
  const pick = (line) =>
    choose({
      sheets: state.choices.sheets.length ? state.choices.sheets : sheet.name ? [sheet.name] : [],
      header_row: line.row,
    });
  const rows = sheet.lines.map((line) =>
    h(
      "tr",
      {
        className: line.row === sheet.headerRow ? "header" : line.row < (sheet.headerRow || 0) ? "above" : "",
        onclick: () => pick(line),
      },
      h(
        "th",
        { scope: "row" },
        button(
          String(line.row),
          (event) => {
            event.stopPropagation();
            pick(line);
          },
          "small",
          {
            ariaPressed: String(line.row === sheet.headerRow),
            ariaLabel: `Row ${line.row} has the column names`,
            id: `header-${line.row}`,
          },
        ),
      ),
      Array.from({ length: width }, (_, i) =>
        h("td", {}, line.cells[i] === null ? MASK : (line.cells[i] ?? "")),
      ),
    ),
  );
  return h(
    "section",
    { className: "card" },
    h("h2", {}, "Which row has the column names?"),
    h(
      "p",
      { className: "soft" },
      sheet.headerRow === 0
        ? "None: the columns are named A, B, … as in a spreadsheet. Click a row if it has the names."
        : `Row ${sheet.headerRow ?? "?"} was recognised. Click another row if that is wrong. Secrets are hidden.`,
      " ",
      sheet.headerRow === 0
        ? null
        : button("No row has them", () => pick({ row: 0 }), "small", { id: "header-0" }),
    ),
    h(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "The first rows" },
      h("table", { className: "first" }, h("tbody", {}, rows)),
    ),
  );
}

function inputFacts(columns) {
  const facts = columns.input.flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, text)]);
  return h(
    "section",
    { className: "card" },
    h("h2", {}, "How the file is read"),
    h("dl", { className: "facts" }, facts),
    columns.isText ? encodingChoice() : null,
    hiddenChoice(columns),
    columns.skipped.length
      ? h(
          "label",
          { className: "choice" },
          h("input", {
            type: "checkbox",
            id: "skipped",
            checked: filter === "skipped",
            onchange: (event) => {
              filter = event.target.checked ? "skipped" : "";
              if (filter && reachable(2)) go(2);
            },
          }),
          `Show ${count(columns.skipped.length, "line that is not a row", "lines that are not rows")}, such as totals. Fill in a missing cell to turn a line into a row.`,
        )
      : null,
  );
}

function encodingChoice() {
  const names = [
    ["", "detected"],
    ["utf-8", "UTF-8"],
    ["cp1252", "Windows-1252 (Western Europe)"],
    ["cp1250", "Windows-1250 (Central Europe)"],
    ["cp1251", "Windows-1251 (Cyrillic)"],
    ["cp850", "DOS 850"],
    ["mac_roman", "Macintosh"],
    ["utf-16", "UTF-16"],
  ];
  return h(
    "label",
    { className: "row" },
    "Letters look wrong? Encoding:",
    h(
      "select",
      { id: "encoding", onchange: ({ target }) => choose({ encoding: target.value || null }) },
      names.map(([name, text]) =>
        h("option", { value: name, selected: name === state.choices.encoding }, text),
      ),
    ),
  );
}

function hiddenChoice(columns) {
  if (!columns.hidden) return null;
  const option = (value, text) =>
    h(
      "label",
      { className: "choice" },
      h("input", {
        type: "radio",
        name: "hidden",
        id: `hidden-${value}`,
        checked: state.choices.hidden === value,
        onchange: () => choose({ hidden: value }),
      }),
      text,
    );
  return h(
    "fieldset",
    { className: state.choices.hidden ? "" : "notice warn" },
    h(
      "legend",
      {},
      `${count(columns.hidden, "row")} hidden by a filter or a collapsed group. Should they be sent?`,
    ),
    option("include", "Yes, use hidden rows too"),
    option("skip", "No, leave hidden rows out"),
  );
}

/* --- 2: the columns ------------------------------------------------------------------------------------ */

function columnStep() {
  const { columns } = state;
  const fields = columns.fields.filter(
    (field) => field.required || field.column !== null || field.scope === "grower",
  );
  const others = columns.fields.filter((field) => !fields.includes(field));
  const parts = heading(
    "Which column is which?",
    "The suggestions come from the names and values of the columns. Check them: a wrong column sends wrong data.",
  );
  if (columns.partner)
    parts.push(h("p", { className: "notice" }, `The columns of ${columns.partner} are saved.`));
  parts.push(
    h("section", { className: "card fields" }, providerChoice(), userChoice(), fields.map(fieldRow)),
  );
  if (others.length)
    parts.push(
      h(
        "details",
        { className: "card" },
        h("summary", {}, "Application fields that differ from row to row (rare)"),
        others.map(fieldRow),
      ),
    );
  const name = h("input", {
    id: "partner",
    placeholder: "Partner's name",
    value: columns.partner,
    ariaLabel: "Partner's name",
  });
  parts.push(
    h(
      "div",
      { className: "row" },
      name,
      button("Remember for this partner", () => post("save", { partner: $("partner").value }), "", {
        id: "save",
      }),
      h(
        "span",
        { className: "soft fine" },
        "Saved in bulk-onboard.toml; the next file with these columns is read the same way.",
      ),
    ),
  );
  return parts;
}

// What the fields depend on, so that a file for another provider, or without ids, does not end the way here.
function providerChoice() {
  const { providers, provider, providerColumn, error } = state.settings;
  if (error) return h("p", { className: "notice bad" }, error);
  const own = providerColumn ? [["", `as the column ${providerColumn} says`], ...providers] : providers;
  return pick("provider", "Provider", own, provider, (value) => choose({ provider: value || null }));
}

function userChoice() {
  return h(
    "label",
    { className: "choice" },
    h("input", {
      type: "checkbox",
      id: "create-users",
      checked: state.choices.createUsers,
      onchange: (event) => choose({ create_users: event.target.checked }),
    }),
    "Rows without leafUserId: find growers by externalId or email, and create missing Leaf users",
  );
}

function fieldRow(field) {
  const { columns } = state,
    id = `field-${field.name}`;
  const select = h(
    "select",
    {
      id,
      className: field.required && field.column === null ? "missing" : "",
      "aria-describedby": `${id}-why`,
      onchange: ({ target }) =>
        choose({ column: { field: field.name, column: target.value === "" ? null : Number(target.value) } }),
    },
    h("option", { value: "" }, field.required ? "Choose a column…" : "Not in this file"),
    columns.header.map((name, i) => h("option", { value: String(i), selected: field.column === i }, name)),
  );
  const why =
    field.column === null
      ? field.required
        ? "Required: nothing can be sent without it."
        : ""
      : field.why
        ? `Guess: ${field.why}.`.replace("Guess: chosen by you.", "Chosen by you.")
        : "Has the field's own name.";
  const sample =
    field.column === null ? "" : columns.samples[field.column].map((text) => text ?? MASK).join(", ");
  return h(
    "div",
    { className: "field" },
    h(
      "label",
      { htmlFor: id },
      h("strong", {}, field.name),
      field.required ? "" : h("span", { className: "soft" }, " (optional)"),
      h("div", { className: "soft fine" }, field.help || ""),
    ),
    select,
    h(
      "div",
      { className: "fine" },
      h("div", { id: `${id}-why`, className: "soft" }, why),
      h("code", { className: "soft" }, sample),
    ),
  );
}
