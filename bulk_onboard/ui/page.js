/* The frame of the page: what the steps share, and the way from one to the next. */
"use strict";

const STEPS = ["File", "Columns", "Problems", "Settings", "Dry run", "Run"];
const GRAVITY = { 1: "cleaned", 2: "repeat", 3: "bad" };
const TONES = { invalid: "bad", duplicate: "warn", warning: "note" };
const GOOD = new Set(["created", "existing", "duplicate", "healthy", "would_create", "valid"]);
let state = null,
  step = 0,
  drawn = "",
  filter = "",
  search = "",
  picked = null,
  resultFilter = "";
const $ = (id) => document.getElementById(id);
const count = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const words = (name) => name.replaceAll("_", " ");

async function post(action, body = {}) {
  if (!["rows", "results", "cell"].includes(action)) say("");
  return send(`api/${action}`, JSON.stringify(body), { "Content-Type": "application/json" });
}

async function send(where, body, headers) {
  const response = await fetch(where, { method: "POST", headers, body }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (response?.ok) return answer;
  say(
    answer?.error ||
      (response
        ? "The request failed."
        : "Nothing arrived at bulk-onboard. If the file was changed, moved or deleted, choose it again."),
  );
  throw new Error("refused");
}
const choose = (changes) => post("choose", changes);

function say(text) {
  $("error").replaceChildren(...(text ? [h("p", { className: "notice bad" }, text)] : []));
}

function button(text, act, className = "", extra = {}) {
  return h("button", { type: "button", className, onclick: act, ...extra }, text);
}

function pick(id, label, options, value, change) {
  return h(
    "label",
    { className: "row" },
    h("span", {}, label),
    h(
      "select",
      { id, onchange: (event) => change(event.target.value) },
      options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
    ),
  );
}

/* --- the frame ----------------------------------------------------------------------------------------- */

// Why a step cannot be taken yet, "" if it can.
function blocked(number) {
  const { file, columns, check, choices, settings, run } = state;
  if (number === 0 || (run && !run.ended) || (number === 5 && run?.outcome)) return "";
  if (!file) return "Choose a file first";
  if (!columns)
    return state.sheets.length ? "Choose a sheet and the row with the column names" : "Choose another file";
  if (number === 1) return "";
  if (!check)
    return columns.unmapped.length
      ? `Choose a column for ${columns.unmapped.join(" and ")}`
      : "The file cannot be used yet";
  if (number <= 3) return "";
  if (!check.valid) return "No row can be sent yet";
  if (columns.hidden && !choices.hidden) return "Decide about the hidden rows";
  return settings.error || settings.missing.length ? "Settings are missing" : "";
}
const reachable = (number) => !blocked(number);

// The step is a part of the address, so that the browser's Back and Reload stay on the page.
function go(number) {
  if (location.hash === `#${number + 1}`) arrive(number);
  else location.hash = number + 1;
}
const stepOfAddress = () => Math.min(Math.max(0, Number(location.hash.slice(1)) - 1 || 0), 5);
window.addEventListener("hashchange", () => arrive(stepOfAddress()));

function arrive(number) {
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
  // What `send` said stays until the person does something else: this state may be older.
  if (state.error || draw.error) say(state.error);
  draw.error = state.error;
  morph(
    $("steps"),
    STEPS.map((name, i) => {
      const isDone = i < step || (i === 5 && state.run?.ended),
        mark = isDone && i !== step ? "✓" : String(i + 1);
      return h(
        "li",
        { className: isDone ? "done" : "" },
        h(
          "button",
          {
            type: "button",
            className: isDone ? "done" : "",
            onclick: () => go(i),
            disabled: !reachable(i),
            ariaCurrent: i === step ? "step" : null,
          },
          h("span", { className: "dot", ariaHidden: "true" }, mark),
          name,
        ),
      );
    }),
  );
  morph(
    $("content"),
    [fileStep, columnStep, problemStep, settingStep, dryStep, runStep][step]().flat(9).filter(Boolean),
  );
  grid.place();
  results.place();
  drawCommand();
  const next = step + 1;
  morph(
    $("moves"),
    [
      h(
        "span",
        { className: "soft fine" },
        next < STEPS.length && state.file && !state.busy ? blocked(next) : "",
      ),
      step > 0 && button("Back", () => go(step - 1), "", { id: "back" }),
      next < STEPS.length &&
        button(`Next: ${STEPS[next]}`, () => go(next), "primary", { id: "next", disabled: !reachable(next) }),
    ].filter(Boolean),
  );
}

function drawCommand() {
  const command = state.commands[["check", "check", "check", "run", "dry", "run"][step]];
  morph(
    $("command"),
    command
      ? [
          state.commands.repaired && state.check
            ? h("a", { href: "download/repaired", download: "", id: "copied" }, "With the repaired CSV:")
            : h("span", { className: "fine" }, "On the command line:"),
          h("code", { title: command, tabIndex: 0 }, command),
          button(
            "Copy",
            async (event) => {
              await navigator.clipboard.writeText(command);
              event.target.textContent = "Copied";
            },
            "small",
            { id: "copy" },
          ),
        ]
      : [],
  );
}

function heading(title, lead) {
  return [h("h1", { tabIndex: -1 }, title), h("p", { className: "lead" }, lead)];
}

/* --- the beginning ------------------------------------------------------------------------------------- */

document.addEventListener("paste", (event) => {
  if (step !== 0 || event.target.closest?.("input, textarea")) return;
  const file = event.clipboardData.files[0],
    text = event.clipboardData.getData("text/plain");
  if (file) open(file.name, file);
  else if (text.trim()) open("", text);
});
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

function listen() {
  const events = new EventSource("events");
  events.onmessage = (event) => {
    $("lost").hidden = true;
    const isFirst = !state;
    state = JSON.parse(event.data);
    if (isFirst) step = state.run ? 5 : stepOfAddress();
    draw();
  };
  events.onerror = () => {
    $("lost").hidden = false;
    $("lost").textContent =
      "The connection to bulk-onboard was lost: it has ended, or this machine was asleep. Start it again with: bulk-onboard ui";
  };
}
document.addEventListener("DOMContentLoaded", listen); // when all steps are defined
