"use strict";

// Create an element. Texts are always texts: nothing on this page is ever parsed as HTML.
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  element.handlers = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) {
      element.handlers[name] = value;
      element.addEventListener(name.slice(2), (event) => element.handlers[name]?.(event));
    } else if (name in element && name !== "list") element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(
    ...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
  );
  element.given = element.value;
  return element;
}

/* Make the children of an element like these. What is the same stays where it is, so that nothing is lost
   under the mouse, the cursor or a screen reader while the state of a run arrives. */
function morph(parent, fresh) {
  fresh
    .map((node) => (typeof node === "string" ? new Text(node) : node))
    .forEach((node, i) => {
      const old = parent.childNodes[i];
      if (!old) parent.append(node);
      else if (old.nodeName !== node.nodeName || (old.id || "") !== (node.id || "")) old.replaceWith(node);
      else if (node.nodeType === Node.TEXT_NODE) {
        if (old.data !== node.data) old.data = node.data;
      } else patch(old, node);
    });
  while (parent.childNodes.length > fresh.length) parent.lastChild.remove();
}

function patch(old, node) {
  for (const { name } of [...old.attributes])
    if (!node.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of node.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  old.handlers = node.handlers;
  if (!node.hasAttribute("data-slot")) morph(old, [...node.childNodes]);
  if (old.checked !== node.checked) old.checked = node.checked;
  if (node.given !== old.given || old.nodeName === "SELECT") {
    old.value = node.value;
    old.given = node.given;
  }
}

// The place of a table that stays the same one.
const slot = (table) => h("div", { "data-slot": table.id });

const ROW_HEIGHT = 34,
  BLOCK = 100,
  MOST_BLOCKS = 12,
  MOST_ROWS = 880000;
const MASK = "••••••••";

/* A table of any number of rows, of which only those in sight exist. It holds no more blocks of rows than it
   needs, and of a masked cell only the fact that it is masked.

   columns: [{name, width}]; fetch(start, count) -> {total, lines: [{row, ...}]};
   look(line, column) -> {text, masked, kind, note}; select(line, column); edit(line, column, text) or null;
   reveal(line, column) -> the text of a masked cell. */
class Grid {
  constructor(label, options) {
    Object.assign(this, options);
    this.total = 0;
    this.blocks = new Map();
    this.active = { at: 0, column: 0 };
    this.shown = null;
    this.turn = this.top = 0;
    this.head = h("div", { className: "grid-row grid-head", role: "row", ariaRowIndex: "1" });
    this.body = h("div", { className: "grid-body", role: "rowgroup" });
    this.element = h(
      "div",
      {
        id: this.id,
        className: "grid",
        role: "grid",
        tabIndex: 0,
        ariaLabel: label,
        onscroll: () => {
          this.top = this.element.scrollTop;
          this.draw();
        },
        onkeydown: (event) => this.key(event),
        onfocus: () => this.draw(),
      },
      h("div", { role: "rowgroup", className: "grid-top" }, this.head),
      this.body,
    );
    this.setColumns(this.columns);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // Put the table into its place, if there is one on the page, at the row where it was.
  place() {
    const place = document.querySelector(`[data-slot=${this.id}]`);
    if (!place || place.firstChild === this.element) return;
    const { top } = this;
    place.replaceChildren(this.element);
    this.element.scrollTop = top;
    this.draw();
  }

  setColumns(columns) {
    this.columns = columns;
    this.head.replaceChildren(
      h("span", { className: "grid-cell grid-number", role: "columnheader", ariaColIndex: "1" }, "Row"),
      ...columns.map((column, i) =>
        h(
          "span",
          { className: "grid-cell", role: "columnheader", title: column.name, ariaColIndex: String(i + 2) },
          column.name,
          column.field ? h("em", {}, ` ${column.field}`) : null,
        ),
      ),
    );
    this.element.ariaColCount = String(columns.length + 1);
    const widths = columns.map((column) => `minmax(${column.width || 150}px, 1fr)`).join(" ");
    this.element.style.setProperty("--grid-columns", `76px ${widths}`);
    this.element.style.setProperty(
      "--grid-width",
      `${76 + columns.reduce((sum, column) => sum + (column.width || 150), 0)}px`,
    );
  }

  // Read everything again. `first`: from the top, as after another filter.
  async refresh(first = false) {
    this.turn += 1;
    this.blocks.clear();
    if (first) {
      this.active = { at: 0, column: this.active.column };
      this.element.scrollTop = 0;
      this.shown = null;
    }
    await this.load(Math.floor(this.element.scrollTop / ROW_HEIGHT / BLOCK));
    this.draw();
  }

  async load(number) {
    if (this.blocks.has(number)) return;
    const turn = this.turn;
    this.blocks.set(number, null);
    const found = await this.fetch(number * BLOCK, BLOCK);
    if (turn !== this.turn) return;
    this.total = Math.min(found.total, MOST_ROWS);
    this.element.ariaRowCount = String(found.total + 1);
    this.blocks.set(number, found.lines);
    for (const old of this.blocks.keys()) {
      if (this.blocks.size > MOST_BLOCKS && Math.abs(old - number) > 2) this.blocks.delete(old);
    }
    this.draw();
  }

  line(at) {
    const block = this.blocks.get(Math.floor(at / BLOCK));
    return block ? block[at % BLOCK] : undefined;
  }

  draw() {
    if (this.editing) return;
    this.body.style.height = `${this.total * ROW_HEIGHT}px`;
    this.element.style.setProperty("--grid-rows", Math.max(2, Math.min(this.total, 999)));
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_HEIGHT) - 5);
    const last = Math.min(this.total, first + Math.ceil(this.element.clientHeight / ROW_HEIGHT) + 10);
    const rows = [];
    for (let at = first; at < last; at += 1) {
      const line = this.line(at);
      if (line) rows.push(this.row(at, line));
      else this.load(Math.floor(at / BLOCK));
    }
    this.body.replaceChildren(...rows);
    this.mark();
    if (!this.total)
      this.body.replaceChildren(
        h(
          "div",
          { className: "grid-empty", role: "row" },
          h("span", { role: "gridcell" }, "No rows to show"),
        ),
      );
  }

  // Show which cell is the active one.
  mark() {
    for (const old of this.body.querySelectorAll(".is-active")) {
      old.classList.remove("is-active");
      old.ariaSelected = "false";
    }
    const cell = document.getElementById(`${this.id}-${this.active.at}-${this.active.column}`);
    if (!cell) {
      this.element.removeAttribute("aria-activedescendant");
      return;
    }
    cell.classList.add("is-active");
    cell.ariaSelected = "true";
    this.element.setAttribute("aria-activedescendant", cell.id);
  }

  row(at, line) {
    const element = h(
      "div",
      {
        className: `grid-row${line.leftOut || line.skipped ? " grid-out" : ""}`,
        role: "row",
        ariaRowIndex: String(at + 2),
      },
      h(
        "span",
        { className: "grid-cell grid-number", role: "rowheader", ariaColIndex: "1" },
        String(line.row),
      ),
    );
    element.style.transform = `translateY(${at * ROW_HEIGHT}px)`;
    this.columns.forEach((_, column) => element.append(this.cell(at, line, column)));
    return element;
  }

  cell(at, line, column) {
    const look = this.look(line, column);
    const revealed = this.shown && this.shown.row === line.row && this.shown.column === column;
    const text = revealed ? this.shown.text : look.masked ? MASK : look.text;
    return h(
      "span",
      {
        id: `${this.id}-${at}-${column}`,
        role: "gridcell",
        ariaColIndex: String(column + 2),
        className: `grid-cell${look.kind ? ` is-${look.kind}` : ""}${look.masked && !revealed ? " is-masked" : ""}`,
        ariaSelected: "false",
        title: look.note || "",
        onmousedown: () => {
          this.go(at, column);
        },
        ondblclick: () => this.begin(),
      },
      look.masked && !revealed ? h("span", { ariaHidden: "true" }, text) : text,
      look.masked && !revealed ? h("span", { className: "unseen" }, "hidden secret") : null,
      look.note ? h("span", { className: "unseen" }, ` ${look.note}`) : null,
    );
  }

  go(at, column) {
    if (this.editing) return;
    this.active = {
      at: Math.max(0, Math.min(this.total - 1, at)),
      column: Math.max(0, Math.min(this.columns.length - 1, column)),
    };
    const wasShown = this.shown;
    this.shown = null;
    const top = this.active.at * ROW_HEIGHT,
      height = this.element.clientHeight - 2 * ROW_HEIGHT;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + height) this.element.scrollTop = top - height;
    const id = `${this.id}-${this.active.at}-${this.active.column}`;
    if (wasShown || !document.getElementById(id)) this.draw();
    this.mark();
    const cell = document.getElementById(id);
    if (cell) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    const line = this.line(this.active.at);
    if (line && this.select) this.select(line, this.active.column);
  }

  key(event) {
    if (this.editing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { at, column } = this.active,
      page = Math.floor(this.element.clientHeight / ROW_HEIGHT) - 2;
    const moves = {
      ArrowDown: [at + 1, column],
      ArrowUp: [at - 1, column],
      ArrowLeft: [at, column - 1],
      ArrowRight: [at, column + 1],
      PageDown: [at + page, column],
      PageUp: [at - page, column],
      Home: [0, column],
      End: [this.total - 1, column],
    };
    if (moves[event.key]) {
      event.preventDefault();
      this.go(...moves[event.key]);
    } else if (event.key === "Enter" || event.key === "F2") {
      event.preventDefault();
      this.begin();
    } else if (this.edit && event.key.length === 1 && event.key !== " ") {
      event.preventDefault();
      this.begin(event.key);
    }
  }

  async show() {
    const line = this.line(this.active.at),
      { column } = this.active;
    if (!line) return;
    this.shown = { row: line.row, column, text: await this.reveal(line, column) };
    this.draw();
  }

  hide() {
    this.shown = null;
    this.draw();
  }

  // Edit the active cell in place. `typed`: what was typed over it. A secret is not filled in unless shown.
  begin(typed) {
    const { at, column } = this.active,
      line = this.line(at);
    const cell = document.getElementById(`${this.id}-${at}-${column}`);
    if (!this.edit || !line || !cell) return;
    const look = this.look(line, column);
    const value = typed ?? (this.shown ? this.shown.text : look.masked ? "" : look.text);
    const input = h("input", {
      className: "grid-input",
      value,
      ariaLabel: `${this.columns[column].name}, row ${line.row}`,
      autocomplete: "off",
      spellcheck: false,
      placeholder: look.masked ? "new value" : "",
    });
    const end = (save, move) => {
      if (this.editing !== input) return;
      this.editing = null;
      this.shown = null;
      this.element.focus({ preventScroll: true });
      const isNew = input.value !== value || typed !== undefined;
      if (save && isNew && !(look.masked && !input.value)) this.edit(line, column, input.value);
      this.draw();
      if (move) this.go(at + move[0], column + move[1]);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") end(true, [1, 0]);
      else if (event.key === "Tab") {
        event.preventDefault();
        end(true, [0, event.shiftKey ? -1 : 1]);
      } else if (event.key === "Escape") end(false);
    });
    input.addEventListener("blur", () => end(true));
    this.editing = input;
    cell.replaceChildren(input);
    input.focus();
    if (typed === undefined) input.select();
  }
}
