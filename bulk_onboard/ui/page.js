"use strict";

const STEPS = ["File", "Columns", "Problems", "Settings", "Dry run", "Run"];
const GRAVITY = { 1: "cleaned", 2: "repeat", 3: "bad" };
const TONES = { invalid: "bad", duplicate: "warn", warning: "note" };
const GOOD = new Set(["created", "existing", "duplicate", "healthy", "would_create", "valid"]);
let state = null, step = 0, drawn = "", filter = "", search = "", picked = null, resultFilter = "";
const $ = (id) => document.getElementById(id);
const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const words = (name) => name.replaceAll("_", " ");

async function post(action, body = {}, where = `api/${action}`) {
  const response = await fetch(where, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) { say(answer.error || "The request failed."); throw new Error("refused"); }
  return answer;
}
const choose = (changes) => post("choose", changes);

function say(text) { $("error").replaceChildren(...(text ? [h("p", { className: "notice bad" }, text)] : [])); }

function button(text, act, className = "", extra = {}) {
  return h("button", { type: "button", className, onclick: act, ...extra }, text);
}

/* --- the frame ----------------------------------------------------------------------------------------- */

// Why a step cannot be taken yet, "" if it can.
function blocked(number) {
  if (number === 0 || state.run) return "";
  const { file, columns, check, choices, settings } = state;
  if (!file) return "Choose a file first";
  if (!columns) return "Choose a sheet and the row with the column names";
  if (number === 1) return "";
  if (!check) return columns.unmapped.length ? `Choose a column for ${columns.unmapped.join(" and ")}` : "The file cannot be used yet";
  if (number <= 3) return "";
  if (!check.valid) return "No row can be sent yet";
  if (columns.hidden && !choices.hidden) return "Decide about the hidden rows";
  return settings.error || settings.missing.length ? "Settings are missing" : "";
}
const reachable = (number) => !blocked(number);

function go(number) {
  step = number;
  say("");
  draw(true);
  $("main").querySelector("h1")?.focus();
}

function draw(force = false) {
  if (!state) return;
  const busy = state.busy || (state.run && !state.run.ended && step !== 5 ? "A run is in progress" : "");
  if ($("busy").textContent !== busy) $("busy").textContent = busy;
  $("file-name").textContent = state.file ? state.file.name : "";
  $("place").textContent = !state.file ? "" : state.choices.sandbox ? "Practice: the sandbox" : "Real Leaf";
  $("place").className = `badge ${state.choices.sandbox ? "practice" : "real"}`;
  while (step && !state.busy && !reachable(step)) step -= 1;
  const { version, busy: _, ...rest } = state;
  const seen = JSON.stringify([step, step === 5 || step === 4 ? rest : version, filter, resultFilter]);
  if (!force && seen === drawn) return;
  drawn = seen;
  if (state.error) say(state.error); else if (state.version !== draw.version) say("");
  draw.version = state.version;
  morph($("steps"), STEPS.map((name, i) => {
    const isDone = i < step || (i === 5 && state.run?.ended), mark = isDone && i !== step ? "✓" : String(i + 1);
    return h("li", { className: isDone ? "done" : "" }, h("button", {
      type: "button", className: isDone ? "done" : "", onclick: () => go(i), disabled: !reachable(i), ariaCurrent: i === step ? "step" : null,
    }, h("span", { className: "dot", ariaHidden: "true" }, mark), name));
  }));
  morph($("content"), [fileStep, columnStep, problemStep, settingStep, dryStep, runStep][step]().flat(9).filter(Boolean));
  grid.place();
  results.place();
  drawCommand();
  const next = step + 1;
  morph($("moves"), [
    h("span", { className: "soft fine" }, next < STEPS.length && state.file && !state.busy ? blocked(next) : ""),
    step > 0 && button("Back", () => go(step - 1), "", { id: "back" }),
    next < STEPS.length && button(`Next: ${STEPS[next]}`, () => go(next), "primary", { id: "next", disabled: !reachable(next) }),
  ].filter(Boolean));
}

function drawCommand() {
  const command = state.commands[["check", "check", "check", "run", "dry", "run"][step]];
  morph($("command"), command ? [
    h("span", { className: "fine" }, state.commands.repaired ? "With the repaired CSV:" : "On the command line:"), h("code", { title: command, tabIndex: 0 }, command),
    button("Copy", async (event) => {
      await navigator.clipboard.writeText(command);
      event.target.textContent = "Copied";
    }, "small", { id: "copy" })] : []);
}

function heading(title, lead) {
  return [h("h1", { tabIndex: -1 }, title), h("p", { className: "lead" }, lead)];
}

/* --- 1: the file --------------------------------------------------------------------------------------- */

async function open(name, content) {
  say("");
  const response = await fetch("file", { method: "POST", headers: { "X-File-Name": encodeURIComponent(name) }, body: content });
  if (!response.ok) say((await response.json().catch(() => ({}))).error || "The file could not be opened.");
  filter = search = resultFilter = "";
}

function dropZone() {
  const input = h("input", { type: "file", className: "unseen", id: "file", tabIndex: -1, ariaLabel: "File",
    onchange: ({ target }) => target.files[0] && open(target.files[0].name, target.files[0]) });
  return h("div", { className: `drop${state.file ? " small" : ""}`,
    ondragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); },
    ondragleave: (event) => event.currentTarget.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      event.currentTarget.classList.remove("over");
      const file = event.dataTransfer.files[0];
      if (file) open(file.name, file);
    } },
  h("strong", {}, state.file ? "Another file?" : "Drop a file here"),
  h("div", { className: "row" }, button("Choose a file", () => $("file").click(), state.file ? "" : "primary", { id: "choose" }), input,
    state.file?.isOnDisk ? button("Read it again", () => choose({ sheets: state.choices.sheets, header_row: state.choices.headerRow }), "", { id: "again" }) : null),
  h("span", { className: "soft fine" }, "or copy rows in your spreadsheet and paste them here with Ctrl+V"));
}

function fileStep() {
  const parts = [...heading("Which file?", "Excel, OpenDocument, CSV or Parquet. The file stays on this machine, and is never changed."), dropZone()];
  if (!state.file) return parts;
  const { sheets, columns } = state;
  const asking = sheets.filter((sheet) => sheet.growers && sheet.visible).length > 1 && !state.file.read;
  const shown = sheets.find((sheet) => sheet.read) || sheets.find((sheet) => sheet.growers) || sheets[0];
  if (sheets.length > 1) {
    parts.push(h("h2", { id: "sheets" }, asking ? "Which sheet? Several have growers." : "Sheet"),
      h("div", { className: "tabs", role: "group", "aria-labelledby": "sheets" }, sheets.map((sheet, i) => button(
        `${sheet.name}${sheet.visible ? "" : " (hidden)"}${sheet.growers ? "" : " – no growers seen"}`,
        () => choose({ sheets: [sheet.name], header_row: null }), "", { ariaPressed: String(sheet.read), id: `sheet-${i}` })),
      sheets.filter((sheet) => sheet.growers && sheet.visible).length > 1 ? button("All with growers", () => choose({ sheets: ["*"], header_row: null }), "", { id: "all-sheets" }) : null));
  }
  if (shown && (!asking || sheets.length === 1)) parts.push(headerChoice(shown));
  if (columns) parts.push(inputFacts(columns));
  return parts;
}

function headerChoice(sheet) {
  const width = Math.min(60, Math.max(...sheet.lines.map((line) => line.cells.length), 1));
  const pick = (line) => choose({ sheets: state.choices.sheets.length ? state.choices.sheets : sheet.name ? [sheet.name] : [], header_row: line.row });
  const rows = sheet.lines.map((line) => h("tr", {
    className: line.row === sheet.headerRow ? "header" : line.row < (sheet.headerRow || 0) ? "above" : "", onclick: () => pick(line),
  }, h("th", { scope: "row" }, button(String(line.row), (event) => { event.stopPropagation(); pick(line); }, "small", {
    ariaPressed: String(line.row === sheet.headerRow), ariaLabel: `Row ${line.row} has the column names`, id: `header-${line.row}`,
  })), Array.from({ length: width }, (_, i) => h("td", {}, line.cells[i] === null ? MASK : line.cells[i] ?? ""))));
  return h("section", { className: "card" }, h("h2", {}, "Which row has the column names?"),
    h("p", { className: "soft" }, sheet.headerRow === 0 ? "None: the columns are called as in a spreadsheet. Click a row if it has the names." : `Row ${sheet.headerRow ?? "?"} was recognised. Click another row if that is wrong. Secrets are hidden.`,
      " ", sheet.headerRow === 0 ? null : button("There is no such row", () => pick({ row: 0 }), "small", { id: "header-0" })),
    h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "The first rows" }, h("table", { className: "first" }, h("tbody", {}, rows))));
}

function inputFacts(columns) {
  const facts = columns.input.flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, text)]);
  return h("section", { className: "card" }, h("h2", {}, "How it is read"), h("dl", { className: "facts" }, facts), columns.isText ? encodingChoice() : null, hiddenChoice(columns),
    columns.skipped.length ? h("label", { className: "choice" }, h("input", { type: "checkbox", id: "skipped", checked: filter === "skipped",
      onchange: (event) => { filter = event.target.checked ? "skipped" : ""; if (filter && reachable(2)) go(2); } }),
    `Show the ${count(columns.skipped.length, "line")} that are not rows, such as totals. Fill in a missing cell to make one a row.`) : null);
}

function encodingChoice() {
  const names = [["", "detected"], ["utf-8", "UTF-8"], ["cp1252", "Windows-1252 (Western Europe)"], ["cp1250", "Windows-1250 (Central Europe)"],
    ["cp1251", "Windows-1251 (Cyrillic)"], ["cp850", "DOS 850"], ["mac_roman", "Macintosh"], ["utf-16", "UTF-16"]];
  return h("label", { className: "row" }, "Letters look wrong? Encoding:", h("select", { id: "encoding", onchange: ({ target }) => choose({ encoding: target.value || null }) },
    names.map(([name, text]) => h("option", { value: name, selected: name === state.choices.encoding }, text))));
}

function hiddenChoice(columns) {
  if (!columns.hidden) return null;
  const option = (value, text) => h("label", { className: "choice" }, h("input", { type: "radio", name: "hidden", id: `hidden-${value}`,
    checked: state.choices.hidden === value, onchange: () => choose({ hidden: value }) }), text);
  return h("fieldset", { className: state.choices.hidden ? "" : "notice warn" },
    h("legend", {}, `${count(columns.hidden, "row")} hidden by a filter or a collapsed group. Are they to be sent?`),
    option("include", "Yes, use hidden rows too"), option("skip", "No, leave hidden rows out"));
}

/* --- 2: the columns ------------------------------------------------------------------------------------ */

function columnStep() {
  const { columns } = state;
  const fields = columns.fields.filter((field) => field.required || field.column !== null || field.scope === "grower");
  const others = columns.fields.filter((field) => !fields.includes(field));
  const parts = heading("Which column is which?", "Guesses are made by the names and the values of the columns. Check them: a wrong column sends wrong data.");
  if (columns.partner) parts.push(h("p", { className: "notice" }, `The columns of ${columns.partner} are saved.`));
  parts.push(h("section", { className: "card fields" }, fields.map(fieldRow)));
  if (others.length) parts.push(h("details", { className: "card" }, h("summary", {}, "Application fields that differ from row to row (rare)"), others.map(fieldRow)));
  const name = h("input", { id: "partner", placeholder: "Partner's name", value: columns.partner, ariaLabel: "Partner's name" });
  parts.push(h("div", { className: "row" }, name, button("Remember for this partner", () => post("save", { partner: $("partner").value }), "", { id: "save" }),
    h("span", { className: "soft fine" }, "Saved in bulk-onboard.toml; the next file with these columns is read the same way.")));
  return parts;
}

function fieldRow(field) {
  const { columns } = state, id = `field-${field.name}`;
  const select = h("select", { id, className: field.required && field.column === null ? "missing" : "", "aria-describedby": `${id}-why`,
    onchange: ({ target }) => choose({ column: { field: field.name, column: target.value === "" ? null : Number(target.value) } }) },
  h("option", { value: "" }, field.required ? "Choose a column…" : "Not in this file"),
  columns.header.map((name, i) => h("option", { value: String(i), selected: field.column === i }, name)));
  const why = field.column === null ? (field.required ? "Needed: nothing can be sent without it." : "")
    : field.why ? `Guess: ${field.why}.`.replace("Guess: chosen by you.", "Chosen by you.") : "Has the field's own name.";
  const sample = field.column === null ? "" : columns.samples[field.column].map((text) => text ?? MASK).join(", ");
  return h("div", { className: "field" },
    h("label", { htmlFor: id }, h("strong", {}, field.name), field.required ? "" : h("span", { className: "soft" }, " (optional)"),
      h("div", { className: "soft fine" }, field.help || "")), select,
    h("div", { className: "fine" }, h("div", { id: `${id}-why`, className: "soft" }, why), h("code", { className: "soft" }, sample)));
}

/* --- 3: the problems ----------------------------------------------------------------------------------- */

const grid = new Grid("Rows of the file", {
  id: "cells", columns: [],
  fetch: (start, number) => post("rows", { start, count: number, code: filter, search }),
  look: (line, column) => {
    const mark = line.marks.find((each) => each.column === column), isChanged = line.changed.includes(column);
    return { text: line.cells[column] ?? "", masked: line.cells[column] === null, kind: mark ? GRAVITY[mark.gravity] : isChanged ? "changed" : "",
      note: mark ? mark.note : line.skipped ? `not a row: ${line.skipped}` : "" };
  },
  select: (line, column) => { picked = { line, column }; drawDetail(); },
  edit: async (line, column, text) => { await post("edit", { cells: [{ row: line.row, column, text }] }); },
  reveal: async (line, column) => (await post("cell", { row: line.row, column })).text,
});
let gridVersion = -1;

function problemStep() {
  const { check, columns } = state;
  grid.setColumns(columns.header.map((name, i) => ({ name, field: fieldOf(i), width: columns.widths[i] })));
  if (gridVersion !== state.version) { gridVersion = state.version; grid.refresh().then(again); }
  const bad = check.invalid ? `${count(check.invalid, "row")} cannot be sent as ${check.invalid === 1 ? "it is" : "they are"}.` : "Every row can be sent.";
  return [...heading(bad, "Mend cells here: double-click or press Enter. Your own file is never changed; download a repaired copy to keep the changes."),
    h("div", { className: "tiles" }, tile(check.valid, "can be sent", "ok"), tile(check.invalid, "invalid", check.invalid ? "bad" : ""),
      tile(check.duplicate, "repeats", check.duplicate ? "warn" : ""), check.corrected ? tile(check.corrected, "cells mended", "ok") : null,
      check.leftOut ? tile(check.leftOut, "left out", "") : null),
    h("div", { className: "problems" }, groupList(check), h("div", {}, toolbar(check), explanation(check), slot(grid),
      h("section", { className: "card detail", id: "detail", ariaLive: "polite", ariaLabel: "The chosen cell" }, detail())))];
}

function again() {
  const line = picked && grid.line(grid.active.at);
  if (line) { picked = { line, column: grid.active.column }; drawDetail(); }
}

function fieldOf(column) { return state.columns.fields.find((field) => field.column === column && field.name !== state.columns.header[column])?.name; }
function tile(number, text, tone) { return h("div", { className: `tile ${tone}` }, h("b", {}, number.toLocaleString("en")), text); }

function groupList(check) {
  const entry = (code, text, number, tone = "") => button("", () => { filter = code; picked = null; grid.refresh(true); draw(true); }, tone, {
    ariaPressed: String(filter === code), id: `group-${code || "all"}` });
  const make = (code, text, number, tone) => { const made = entry(code, text, number, tone); made.append(h("span", {}, text), h("b", {}, number.toLocaleString("en"))); return made; };
  const titles = { invalid: "To be mended", duplicate: "Sent once", warning: "Warnings" };
  const parts = [make("", "All rows", check.rows), check.invalid ? make("!", "All problems", check.invalid + check.duplicate, "bad") : null];
  for (const status of Object.keys(titles)) {
    const groups = check.groups.filter((group) => group.status === status);
    if (groups.length) parts.push(h("h2", {}, titles[status]), groups.map((group) => make(group.code, words(group.code.replaceAll("-", " ")), group.count, TONES[status])));
  }
  if (check.corrected || check.leftOut) parts.push(h("h2", {}, "By you"), make("changed", "changed rows", check.corrected + check.leftOut, "note"));
  if (state.columns.skipped.length) parts.push(make("skipped", "lines that are not rows", state.columns.skipped.length, "note"));
  return h("div", { className: "groups", role: "group", ariaLabel: "Show only" }, parts.filter(Boolean));
}

function toolbar(check) {
  const box = h("input", { type: "search", id: "search", placeholder: "Search the visible text or a row number", value: search, ariaLabel: "Search",
    oninput: ({ target }) => { search = target.value; clearTimeout(toolbar.timer); toolbar.timer = setTimeout(() => grid.refresh(true), 200); } });
  return h("div", { className: "toolbar" }, box,
    check.repairable ? button(`Repair ${count(check.repairable, "cell")}`, () => post("repair"), "primary", { id: "repair", title: "Only what needs no guess: spaces, invisible characters, quotes, other spellings of an id" }) : null,
    download("marked", "Marked workbook"), download("repaired", "Repaired CSV"));
}

function download(kind, text) { return h("a", { className: "button", href: `download/${kind}`, download: "", id: `download-${kind}` }, text); }

function explanation(check) {
  const group = check.groups.find((each) => each.code === filter);
  if (!group) return null;
  return h("div", { className: `notice ${TONES[group.status] === "note" ? "" : TONES[group.status]}` }, h("strong", {}, group.meaning), " ", group.hint,
    group.code === "shared-token" && !state.choices.allowSharedTokens ? h("div", {}, button("They really share one: allow it", () => choose({ allow_shared_tokens: true }), "small")) : null);
}

function drawDetail() { if ($("detail")) morph($("detail"), detail()); }

function detail() {
  if (!picked) return [h("p", { className: "soft" }, "Choose a cell to see what is wrong with it and what to do.")];
  const { line, column } = picked, mark = line.marks.find((each) => each.column === column);
  const isSecret = line.cells[column] === null, isChanged = line.changed.includes(column);
  const act = (text, run, id) => button(text, run, "small", { id });
  return [h("div", { className: "row spread" }, h("h2", {}, `Row ${line.row}, ${state.columns.header[column]}`), h("div", { className: "row" },
    isSecret ? act(grid.shown ? "Hide" : "Show", async () => { if (grid.shown) grid.hide(); else await grid.show(); drawDetail(); }, "show") : null,
    act("Edit", () => grid.begin(), "edit"),
    isChanged ? act("Undo", () => post("edit", { cells: [{ row: line.row, column, text: null }] }), "undo") : null,
    act(line.leftOut ? "Take the row in again" : "Leave this row out", () => post("leaveOut", { row: line.row, out: !line.leftOut }), "leave"))),
  h("p", {}, mark ? mark.note : line.leftOut ? "This row is left out: it is not sent." : line.skipped ? `This line is not a row (${line.skipped}). Fill in its cells to make it one.`
    : isChanged ? "Mended by you." : "Nothing is wrong with this cell.")];
}

/* --- 4: the settings ----------------------------------------------------------------------------------- */

function settingStep() {
  const { settings, choices, columns } = state;
  const place = (isSandbox, title, text) => h("label", { className: "choice" }, h("input", { type: "radio", name: "place", id: isSandbox ? "sandbox" : "real",
    checked: choices.sandbox === isSandbox, onchange: () => choose({ sandbox: isSandbox }) }), h("span", {}, h("strong", {}, title), h("div", { className: "soft fine" }, text)));
  const pick = (id, label, options, value, change) => h("label", { className: "row" }, h("span", {}, label),
    h("select", { id, onchange: (event) => change(event.target.value) }, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  return [...heading("Where does it go?", "Practise first if you like: the sandbox imitates Leaf on this machine, and nothing leaves it."),
    settings.error ? h("p", { className: "notice bad" }, settings.error) : null,
    h("section", { className: "card" }, h("fieldset", {}, h("legend", {}, "Leaf"),
      place(true, "Practise in the sandbox", "Sends nothing to Leaf, and needs no settings."),
      place(false, "The real Leaf", choices.sandbox ? "Asks once more before anything is stored." : `${settings.host}${settings.login ? `, as ${settings.login}` : ""}`)),
    settings.enter.length ? missing(settings) : null),
    h("section", { className: "card" }, h("div", { className: "fields" },
      pick("provider", "Provider", settings.providers, settings.provider, (value) => choose({ provider: value })),
      pick("if-exists", "Growers that Leaf has already", [["skip", "leave them as they are"], ["replace", "replace unhealthy credentials"], ["overwrite", "send without asking"], ["fail", "report them"]], choices.ifExists, (value) => choose({ if_exists: value })),
      h("label", { className: "row" }, "Requests per second", h("input", { id: "rate", value: choices.rate, placeholder: String(settings.rate || ""), size: 8, onchange: (event) => choose({ rate: event.target.value.trim() }) })),
      h("label", { className: "choice" }, h("input", { type: "checkbox", id: "create-users", checked: choices.createUsers, onchange: (event) => choose({ create_users: event.target.checked }) }),
        "Rows without leafUserId: find growers by externalId or email, and create missing Leaf users"))), hiddenChoice(columns)];
}

function missing(settings) {
  const inputs = settings.enter.map((name) => [name, h("input", { id: `enter-${name}`, className: /SECRET|PASSWORD|TOKEN|KEY/.test(name) ? "secret" : "", autocomplete: "off", spellcheck: false,
    placeholder: settings.entered.includes(name) ? "entered" : "", ariaLabel: name })]);
  const keep = () => {
    const entered = Object.fromEntries(settings.enter.map((name) => [name, $(`enter-${name}`).value]).filter(([, text]) => text));
    for (const name of settings.enter) $(`enter-${name}`).value = "";
    choose({ entered });
  };
  // Not passwords to the browser, which would offer to keep them.
  return h("form", { onsubmit: (event) => { event.preventDefault(); keep(); } }, settings.missing.length ? h("p", { className: "notice warn" }, `Still missing: ${settings.missing.join(", ")}.`) : null,
    h("p", { className: "soft fine" }, "Kept in memory until this page ends. To keep them, put them into .env or the system's keyring."),
    h("dl", { className: "facts" }, inputs.flatMap(([name, input]) => [h("dt", {}, name), h("dd", {}, input)])), h("button", { className: "primary", id: "use" }, "Use these"));
}

/* --- 5 and 6: dry run and run -------------------------------------------------------------------------- */

const results = new Grid("Outcome of each row", {
  id: "results", columns: [["leafUserId", 320], ["status", 130], ["health", 100], ["code", 170], ["message", 380], ["hint", 420]].map(([name, width]) => ({ name, width })),
  fetch: (start, number) => post("results", { start, count: number, status: resultFilter, dry: step === 4 }),
  look: (line, column) => ({ text: column === 1 ? words(line.status) : String(line[results.columns[column].name] ?? ""), kind: column === 1 && !GOOD.has(line.status) && line.status !== "not_attempted" ? "bad" : "" }),
});
let resultsOf = "";

function outcome(live) {
  const { counts, health, causes, stopReason, meaning } = live.outcome;
  const shown = `${live.id} ${resultFilter}`;
  if (resultsOf !== shown) { resultsOf = shown; results.refresh(true); }
  const choice = ([name, number]) => h("button", { type: "button", id: `status-${name}`, className: `tile ${GOOD.has(name) ? "ok" : name === "not_attempted" || name === "pending" ? "" : "bad"}`, ariaPressed: String(resultFilter === name),
    onclick: () => { resultFilter = resultFilter === name ? "" : name; draw(true); } }, h("b", {}, number.toLocaleString("en")), words(name));
  return [stopReason ? h("p", { className: "notice warn" }, `Stopped: ${stopReason}.`) : h("p", { className: "notice" }, `${meaning[0].toUpperCase()}${meaning.slice(1)}.`),
    h("div", { className: "tiles" }, Object.entries({ ...counts, ...health }).map(choice)),
    causes.length ? h("section", { className: "card" }, h("h2", {}, "What needs attention"), h("ul", { className: "log" }, causes.map((cause) =>
      h("li", {}, h("strong", {}, `${count(cause.count, "row")} ${words(cause.status)}${cause.code ? ` (${cause.code})` : ""}: `), `${cause.message || ""} `, h("span", { className: "soft" }, cause.rows?.length ? `rows ${cause.rows.join(", ")}` : ""))))) : null,
    slot(results)];
}

function progress(live) {
  return h("section", { className: "card" }, h("h2", {}, live.phase ? `${live.phase[0].toUpperCase()}${live.phase.slice(1)}` : live.read ? `Reading: ${count(live.read, "row")} so far` : "Beginning"),
    h("progress", { className: "bar", max: Math.max(live.total, 1), ...(live.total ? { value: live.done } : {}), ariaLabel: "Progress" }),
    h("p", { id: "line" }, live.line || " "), h("p", { className: "soft fine" }, [live.rate, live.held ? `Leaf asks to wait: ${live.held} s` : "", live.paused ? "Paused: no new row starts." : "", live.stopping ? "Stopping: rows in flight finish." : ""].filter(Boolean).join(" · ") || " "),
    live.failed.length ? h("div", {}, h("h2", {}, `${count(live.failures, "row needs", "rows need")} attention so far`), h("ul", { className: "log", tabIndex: 0, ariaLabel: "Rows that need attention" }, [...live.failed].reverse().map((row) => h("li", {}, h("strong", {}, row.text), ` ${row.hint}`)))) : null,
    h("details", {}, h("summary", {}, "What happened"), h("ul", { className: "log" }, [...live.lines].reverse().map((text) => h("li", {}, text)))));
}

function control(what, dry) { return post("control", { what, dry }); }
function stopButton(live) { return button(live.stopping ? "Stop at once" : "Stop", () => control("stop", live.dry), "danger", { id: "stop" }); }
function failure(live) { return live.error ? h("p", { className: "notice bad", role: "alert" }, live.error) : null; }

function dryStep() {
  const live = state.dry;
  const begin = button(live?.ended ? "Do it again" : "Start the dry run", () => { resultFilter = ""; post("start", { dry: true }); }, live?.ended ? "" : "primary", { id: "dry" });
  const parts = heading("What would happen?", "The dry run asks Leaf about each grower and changes nothing. It is the same as the run, without the last step.");
  if (!live || live.ended) parts.push(h("div", { className: "toolbar" }, begin, live?.outcome ? download("plan", "Plan") : null));
  else parts.push(progress(live), h("div", { className: "row" }, stopButton(live)));
  return [...parts, live && failure(live), ...(live?.outcome ? outcome(live) : [])];
}

function runStep() {
  const live = state.run;
  if (!live || (live.ended && !live.outcome)) {
    return [...heading("Ready to run", `${count(state.check.valid, "row")} can be sent. Rows that are done already are left alone, so running again is always safe.`),
      live && failure(live), button("Prepare the run", () => { resultFilter = ""; post("start", { dry: false }); }, "primary", { id: "prepare", disabled: Boolean(state.dry && !state.dry.ended) })];
  }
  if (live.asking) return confirmation(live);
  if (!live.ended) {
    return [...heading(live.paused ? "Paused" : live.stopping ? "Stopping" : "Running", "You can close this page: the run goes on, and the page shows it again when you come back."),
      progress(live), h("div", { className: "row" }, live.stopping ? null : live.paused ? button("Go on", () => control("resume"), "primary", { id: "resume" }) : button("Pause", () => control("pause"), "", { id: "pause" }), stopButton(live))];
  }
  return [...heading("The report", "Files of the run are kept in the folder of reports."),
    h("div", { className: "toolbar" }, h("a", { className: "button", href: "report", target: "_blank", rel: "noopener", id: "report" }, "Open the report"), download("results", "Results"), download("marked", "Marked workbook"),
      button(live.outcome.stopReason ? "Go on with the rest" : "Run again", () => post("start", { dry: false }), live.outcome.stopReason ? "primary" : "", { id: "prepare" })), failure(live), ...outcome(live)];
}

function confirmation(live) {
  const { host, login, provider, environments, growers } = live.about;
  const facts = [["Where", host], ["As", login], ["Provider", provider], ["Environment", environments], ["Growers", growers.toLocaleString("en")]].filter(([, text]) => text);
  return [...heading("Is this right?", "Nothing has been stored yet."), h("section", { className: "card" },
    h("dl", { className: "facts" }, facts.flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, h("strong", {}, text))])),
    h("div", { className: "row" }, button(`Store credentials of ${count(growers, "grower")}`, () => control("confirm"), "primary", { id: "confirm" }), button("Cancel", () => control("stop"), "", { id: "cancel" })))];
}

/* --- the beginning ------------------------------------------------------------------------------------- */

document.addEventListener("paste", (event) => {
  if (step !== 0 || event.target.closest?.("input, textarea")) return;
  const file = event.clipboardData.files[0], text = event.clipboardData.getData("text/plain");
  if (file) open(file.name, file); else if (text.trim()) open("pasted.tsv", text);
});
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

function listen() {
  const events = new EventSource("events");
  events.onmessage = (event) => {
    $("lost").hidden = true;
    const isFirst = !state;
    state = JSON.parse(event.data);
    if (isFirst && state.run) step = 5;
    draw();
  };
  events.onerror = () => {
    $("lost").hidden = false;
    $("lost").textContent = "The connection to bulk-onboard is lost: it has ended, or this machine was asleep. Start it again with: bulk-onboard ui";
  };
}
listen();
