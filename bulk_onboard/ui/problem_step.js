/* Step 3: the problems, and the cells of the file. */
"use strict";

/* --- 3: the problems ----------------------------------------------------------------------------------- */

const grid = new Grid("Rows of the file", {
  id: "cells",
  columns: [],
  fetch: (start, number) => post("rows", { start, count: number, code: filter, search }),
  look: (line, column) => {
    const mark = line.marks.find((each) => each.column === column),
      isChanged = line.changed.includes(column);
    return {
      text: line.cells[column] ?? "",
      masked: line.cells[column] === null,
      kind: mark ? GRAVITY[mark.gravity] : isChanged ? "changed" : "",
      note: mark ? mark.note : line.skipped ? `not a row: ${line.skipped}` : "",
    };
  },
  select: (line, column) => {
    picked = { line, column };
    drawDetail();
  },
  edit: async (line, column, text) => {
    await post("edit", { cells: [{ row: line.row, column, text }] });
  },
  reveal: async (line, column) => (await post("cell", { row: line.row, column })).text,
});
let gridVersion = -1;

function problemStep() {
  const { check, columns } = state;
  grid.setColumns(columns.header.map((name, i) => ({ name, field: fieldOf(i), width: columns.widths[i] })));
  if (gridVersion !== state.version) {
    gridVersion = state.version;
    grid.refresh().then(again);
  }
  const bad = check.invalid
    ? `${count(check.invalid, "row")} cannot be sent as ${check.invalid === 1 ? "it is" : "they are"}.`
    : "Every row can be sent.";
  return [
    ...heading(
      bad,
      "Correct cells here: double-click or press Enter. Your own file is never changed; download a repaired copy to keep the changes.",
    ),
    h(
      "div",
      { className: "tiles" },
      tile(check.valid, "can be sent", "ok"),
      tile(check.invalid, "invalid", check.invalid ? "bad" : ""),
      tile(check.duplicate, "repeats", check.duplicate ? "warn" : ""),
      check.corrected ? tile(check.corrected, "cells corrected", "ok") : null,
      check.leftOut ? tile(check.leftOut, "left out", "") : null,
    ),
    h(
      "div",
      { className: "problems" },
      groupList(check),
      h(
        "div",
        {},
        toolbar(check),
        explanation(check),
        slot(grid),
        h(
          "section",
          { className: "card detail", id: "detail", ariaLive: "polite", ariaLabel: "The chosen cell" },
          detail(),
        ),
      ),
    ),
  ];
}

function again() {
  const line = picked && grid.line(grid.active.at);
  if (line) {
    picked = { line, column: grid.active.column };
    drawDetail();
  }
}

function fieldOf(column) {
  return state.columns.fields.find(
    (field) => field.column === column && field.name !== state.columns.header[column],
  )?.name;
}
function tile(number, text, tone) {
  return h("div", { className: `tile ${tone}` }, h("b", {}, number.toLocaleString("en")), text);
}

function groupList(check) {
  const entry = (code, text, number, tone = "") =>
    button(
      "",
      () => {
        filter = code;
        picked = null;
        grid.refresh(true);
        draw(true);
      },
      tone,
      { ariaPressed: String(filter === code), id: `group-${code || "all"}` },
    );
  const make = (code, text, number, tone) => {
    const made = entry(code, text, number, tone);
    made.append(h("span", {}, text), h("b", {}, number.toLocaleString("en")));
    return made;
  };
  const titles = { invalid: "To correct", duplicate: "Sent once", warning: "Warnings" };
  const parts = [
    make("", "All rows", check.rows),
    check.invalid ? make("!", "All problems", check.invalid + check.duplicate, "bad") : null,
  ];
  for (const status of Object.keys(titles)) {
    const groups = check.groups.filter((group) => group.status === status);
    if (groups.length)
      parts.push(
        h("h2", {}, titles[status]),
        groups.map((group) =>
          make(group.code, words(group.code.replaceAll("-", " ")), group.count, TONES[status]),
        ),
      );
  }
  if (check.corrected || check.leftOut)
    parts.push(
      h("h2", {}, "Your changes"),
      make("changed", "changed rows", check.corrected + check.leftOut, "note"),
    );
  if (state.columns.skipped.length)
    parts.push(make("skipped", "lines that are not rows", state.columns.skipped.length, "note"));
  return h("div", { className: "groups", role: "group", ariaLabel: "Show only" }, parts.filter(Boolean));
}

function toolbar(check) {
  const box = h("input", {
    type: "search",
    id: "search",
    placeholder: "Search the visible text or a row number",
    value: search,
    ariaLabel: "Search",
    oninput: ({ target }) => {
      search = target.value;
      clearTimeout(toolbar.timer);
      toolbar.timer = setTimeout(() => grid.refresh(true), 200);
    },
  });
  return h(
    "div",
    { className: "toolbar" },
    box,
    check.repairable
      ? button(`Repair ${count(check.repairable, "cell")}`, () => post("repair"), "primary", {
          id: "repair",
          title: "Only certain corrections: spaces, invisible characters, quotes, other spellings of an id",
        })
      : null,
    download("marked", "Marked workbook"),
    download("repaired", "Repaired CSV"),
  );
}

function download(kind, text) {
  return h(
    "a",
    { className: "button", href: `download/${kind}`, download: "", id: `download-${kind}` },
    text,
  );
}

function explanation(check) {
  const group = check.groups.find((each) => each.code === filter);
  if (!group) return null;
  return h(
    "div",
    { className: `notice ${TONES[group.status] === "note" ? "" : TONES[group.status]}` },
    h("strong", {}, group.meaning),
    " ",
    group.hint,
    group.code === "shared-token" && !state.choices.allowSharedTokens
      ? h(
          "div",
          {},
          button("They really share one: allow it", () => choose({ allow_shared_tokens: true }), "small"),
        )
      : null,
  );
}

function drawDetail() {
  if ($("detail")) morph($("detail"), detail());
}

function detail() {
  if (!picked)
    return [h("p", { className: "soft" }, "Choose a cell to see what is wrong with it and what to do.")];
  const { line, column } = picked,
    mark = line.marks.find((each) => each.column === column);
  const isSecret = line.cells[column] === null,
    isChanged = line.changed.includes(column);
  const act = (text, run, id) => button(text, run, "small", { id });
  return [
    h(
      "div",
      { className: "row spread" },
      h("h2", {}, `Row ${line.row}, ${state.columns.header[column]}`),
      h(
        "div",
        { className: "row" },
        isSecret
          ? act(
              grid.shown ? "Hide" : "Show",
              async () => {
                if (grid.shown) grid.hide();
                else await grid.show();
                drawDetail();
              },
              "show",
            )
          : null,
        act("Edit", () => grid.begin(), "edit"),
        isChanged
          ? act("Undo", () => post("edit", { cells: [{ row: line.row, column, text: null }] }), "undo")
          : null,
        act(
          line.leftOut ? "Include this row again" : "Leave this row out",
          () => post("leaveOut", { row: line.row, out: !line.leftOut }),
          "leave",
        ),
      ),
    ),
    h(
      "p",
      {},
      mark
        ? mark.note
        : line.leftOut
          ? "This row is left out: it is not sent."
          : line.skipped
            ? `This line is not a row (${line.skipped}). Fill in its cells to make it one.`
            : isChanged
              ? "Corrected by you."
              : "Nothing is wrong with this cell.",
    ),
  ];
}
