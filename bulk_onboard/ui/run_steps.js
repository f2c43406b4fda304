/* Steps 4 to 6: settings, dry run and run. */
"use strict";

/* --- 4: the settings ----------------------------------------------------------------------------------- */

function settingStep() {
  const { settings, choices, columns } = state;
  const place = (isSandbox, title, text) =>
    h(
      "label",
      { className: "choice" },
      h("input", {
        type: "radio",
        name: "place",
        id: isSandbox ? "sandbox" : "real",
        checked: choices.sandbox === isSandbox,
        onchange: () => choose({ sandbox: isSandbox }),
      }),
      h("span", {}, h("strong", {}, title), h("div", { className: "soft fine" }, text)),
    );
  return [
    ...heading(
      "Where should it go?",
      "Practise first if you like: the sandbox imitates Leaf on this machine and sends nothing elsewhere.",
    ),
    settings.error ? h("p", { className: "notice bad" }, settings.error) : null,
    h(
      "section",
      { className: "card" },
      h(
        "fieldset",
        {},
        h("legend", {}, "Leaf"),
        place(true, "Practise in the sandbox", "Sends nothing to Leaf, and needs no settings."),
        place(
          false,
          "The real Leaf",
          choices.sandbox
            ? "Asks once more before anything is stored."
            : `${settings.host}${settings.login ? `, as ${settings.login}` : ""}`,
        ),
      ),
      settings.enter.length ? missing(settings) : null,
    ),
    h(
      "section",
      { className: "card" },
      h(
        "div",
        { className: "fields" },
        providerChoice(),
        pick(
          "if-exists",
          "Growers that already have credentials",
          [
            ["skip", "leave them as they are"],
            ["replace", "replace unhealthy credentials"],
            ["overwrite", "send without asking"],
            ["fail", "report them"],
          ],
          choices.ifExists,
          (value) => choose({ if_exists: value }),
        ),
        h(
          "label",
          { className: "row" },
          "Requests per second",
          h("input", {
            id: "rate",
            value: choices.rate,
            placeholder: String(settings.rate || ""),
            size: 8,
            onchange: (event) => choose({ rate: event.target.value.trim() }),
          }),
        ),
      ),
    ),
    hiddenChoice(columns),
  ];
}

function missing(settings) {
  const inputs = settings.enter.map((name) => [
    name,
    h("input", {
      id: `enter-${name}`,
      className: /SECRET|PASSWORD|TOKEN|KEY/.test(name) ? "secret" : "",
      autocomplete: "off",
      spellcheck: false,
      placeholder: settings.entered.includes(name) ? "entered" : "",
      ariaLabel: name,
    }),
  ]);
  const keep = () => {
    const entered = Object.fromEntries(
      settings.enter.map((name) => [name, $(`enter-${name}`).value]).filter(([, text]) => text),
    );
    for (const name of settings.enter) $(`enter-${name}`).value = "";
    choose({ entered });
  };
  // Not passwords to the browser, which would offer to keep them.
  return h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        keep();
      },
    },
    settings.missing.length
      ? h("p", { className: "notice warn" }, `Still missing: ${settings.missing.join(", ")}.`)
      : null,
    h(
      "p",
      { className: "soft fine" },
      "These values stay in memory until this page ends. To keep them, put them into .env or the system's keyring.",
    ),
    h(
      "dl",
      { className: "facts" },
      inputs.flatMap(([name, input]) => [h("dt", {}, name), h("dd", {}, input)]),
    ),
    h("button", { className: "primary", id: "use" }, "Use these"),
  );
}

/* --- 5 and 6: dry run and run -------------------------------------------------------------------------- */

const results = new Grid("Outcome of each row", {
  id: "results",
  columns: [
    ["leafUserId", 320],
    ["status", 130],
    ["health", 100],
    ["code", 170],
    ["message", 380],
    ["hint", 420],
  ].map(([name, width]) => ({ name, width })),
  fetch: (start, number) => post("results", { start, count: number, status: resultFilter, dry: step === 4 }),
  look: (line, column) => ({
    text: column === 1 ? words(line.status) : String(line[results.columns[column].name] ?? ""),
    kind: column === 1 && !GOOD.has(line.status) && line.status !== "not_attempted" ? "bad" : "",
  }),
});
let resultsOf = "";

function outcome(live) {
  const { counts, health, causes, stopReason, meaning } = live.outcome;
  const shown = `${live.id} ${resultFilter}`;
  if (resultsOf !== shown) {
    resultsOf = shown;
    results.refresh(true);
  }
  const choice = ([name, number]) =>
    h(
      "button",
      {
        type: "button",
        id: `status-${name}`,
        className: `tile ${GOOD.has(name) ? "ok" : name === "not_attempted" || name === "pending" ? "" : "bad"}`,
        ariaPressed: String(resultFilter === name),
        onclick: () => {
          resultFilter = resultFilter === name ? "" : name;
          draw(true);
        },
      },
      h("b", {}, number.toLocaleString("en")),
      words(name),
    );
  return [
    stopReason
      ? h("p", { className: "notice warn" }, `Stopped: ${stopReason}.`)
      : h("p", { className: "notice" }, `${meaning[0].toUpperCase()}${meaning.slice(1)}.`),
    h("div", { className: "tiles" }, Object.entries({ ...counts, ...health }).map(choice)),
    causes.length
      ? h(
          "section",
          { className: "card" },
          h("h2", {}, "What needs attention"),
          h(
            "ul",
            { className: "log" },
            causes.map((cause) =>
              h(
                "li",
                {},
                h(
                  "strong",
                  {},
                  `${count(cause.count, "row")} ${words(cause.status)}${cause.code ? ` (${cause.code})` : ""}: `,
                ),
                `${cause.message || ""} `,
                h("span", { className: "soft" }, cause.rows?.length ? `row${cause.rows.length > 1 ? "s" : ""} ${cause.rows.join(", ")}` : ""),
              ),
            ),
          ),
        )
      : null,
    slot(results),
  ];
}

function progress(live) {
  return h(
    "section",
    { className: "card" },
    h(
      "h2",
      {},
      live.phase
        ? `${live.phase[0].toUpperCase()}${live.phase.slice(1)}`
        : live.read
          ? `Reading: ${count(live.read, "row")} so far`
          : "Beginning",
    ),
    h("progress", {
      className: "bar",
      max: Math.max(live.total, 1),
      ...(live.total ? { value: live.done } : {}),
      ariaLabel: "Progress",
    }),
    h("p", { id: "line" }, live.line || " "),
    h(
      "p",
      { className: "soft fine" },
      [
        live.rate,
        live.held ? `Leaf asks to wait: ${live.held} s` : "",
        live.paused ? "Paused: no new row starts." : "",
        live.stopping ? "Stopping: rows in flight finish." : "",
      ]
        .filter(Boolean)
        .join(" · ") || " ",
    ),
    live.failed.length
      ? h(
          "div",
          {},
          h("h2", {}, `${count(live.failures, "row needs", "rows need")} attention so far`),
          h(
            "ul",
            { className: "log", tabIndex: 0, ariaLabel: "Rows that need attention" },
            [...live.failed].reverse().map((row) => h("li", {}, h("strong", {}, row.text), ` ${row.hint}`)),
          ),
        )
      : null,
    h(
      "details",
      {},
      h("summary", {}, "What happened"),
      h(
        "ul",
        { className: "log" },
        [...live.lines].reverse().map((text) => h("li", {}, text)),
      ),
    ),
  );
}

function control(what, dry) {
  return post("control", { what, dry });
}
function stopButton(live) {
  return button(live.stopping ? "Stop at once" : "Stop", () => control("stop", live.dry), "danger", {
    id: "stop",
  });
}
function failure(live) {
  return live.error ? h("p", { className: "notice bad", role: "alert" }, live.error) : null;
}

function dryStep() {
  const live = state.dry;
  const begin = button(
    live?.ended ? "Do it again" : "Start the dry run",
    () => {
      resultFilter = "";
      post("start", { dry: true });
    },
    live?.ended ? "" : "primary",
    { id: "dry" },
  );
  const parts = heading(
    "What would happen?",
    "The dry run asks Leaf about each grower and changes nothing. It is the same as the run, without the last step.",
  );
  if (!live || live.ended)
    parts.push(h("div", { className: "toolbar" }, begin, live?.outcome ? download("plan", "Plan") : null));
  else parts.push(progress(live), h("div", { className: "row" }, stopButton(live)));
  return [...parts, live && failure(live), ...(live?.outcome ? outcome(live) : [])];
}

function runStep() {
  const live = state.run;
  if (!live || (live.ended && !live.outcome)) {
    return [
      ...heading(
        "Ready to run",
        `${count(state.check.valid, "row")} can be sent. Rows that are already done are left alone, so running again is always safe.`,
      ),
      live && failure(live),
      button(
        "Prepare the run",
        () => {
          resultFilter = "";
          post("start", { dry: false });
        },
        "primary",
        { id: "prepare", disabled: Boolean(state.dry && !state.dry.ended) },
      ),
    ];
  }
  if (live.asking) return confirmation(live);
  if (!live.ended) {
    return [
      ...heading(
        live.paused ? "Paused" : live.stopping ? "Stopping" : "Running",
        "You can close this page: the run continues, and the page shows it again when you come back.",
      ),
      progress(live),
      h(
        "div",
        { className: "row" },
        live.stopping
          ? null
          : live.paused
            ? button("Continue", () => control("resume"), "primary", { id: "resume" })
            : button("Pause", () => control("pause"), "", { id: "pause" }),
        stopButton(live),
      ),
    ];
  }
  return [
    ...heading("The report", "The files of the run are in the folder of reports."),
    h(
      "div",
      { className: "toolbar" },
      h(
        "a",
        { className: "button", href: "report", target: "_blank", rel: "noopener", id: "report" },
        "Open the report",
      ),
      download("results", "Results"),
      download("marked", "Marked workbook"),
      button(
        live.outcome.stopReason ? "Continue with the rest" : "Run again",
        () => post("start", { dry: false }),
        live.outcome.stopReason ? "primary" : "",
        { id: "prepare" },
      ),
    ),
    failure(live),
    ...outcome(live),
  ];
}

function confirmation(live) {
  const { host, login, provider, environments, growers } = live.about;
  const facts = [
    ["Where", host],
    ["As", login],
    ["Provider", provider],
    ["Environment", environments],
    ["Growers", growers.toLocaleString("en")],
  ].filter(([, text]) => text);
  return [
    ...heading("Is this right?", "Nothing has been stored yet."),
    h(
      "section",
      { className: "card" },
      h(
        "dl",
        { className: "facts" },
        facts.flatMap(([label, text]) => [h("dt", {}, label), h("dd", {}, h("strong", {}, text))]),
      ),
      h(
        "div",
        { className: "row" },
        button(`Store credentials of ${count(growers, "grower")}`, () => control("confirm"), "primary", {
          id: "confirm",
        }),
        button("Cancel", () => control("stop"), "", { id: "cancel" }),
      ),
    ),
  ];
}
