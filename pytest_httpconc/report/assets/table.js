"use strict";

// The exchanges as a table, of which only the rows in sight are in the page.

const ROW = 28;
const AROUND = 6; // rows beyond what is in sight
const COLUMNS = [
  { name: "exchange", of: (bar) => bar.number, text: (bar) => grouped(bar.number), isNumber: true },
  { name: "connection", of: (bar) => bar.connection, text: (bar) => grouped(bar.connection), isNumber: true },
  { name: "request", of: (bar) => `${bar.method} ${bar.target}` },
  { name: "status", of: (bar) => bar.status ?? 0, text: (bar) => String(bar.status ?? "–"), isNumber: true },
  { name: "outcome", of: (bar) => bar.outcome },
  { name: "fault", of: (bar) => bar.fault },
  { name: "begun", of: (bar) => bar.begun_at, text: (bar) => inWords(bar.begun_at, 1e-4), isNumber: true },
  { name: "took", of: (bar) => bar.took ?? Infinity, text: (bar) => (bar.took === null ? "–" : inWords(bar.took)), isNumber: true },
];

function cellsOf(bar) {
  return COLUMNS.map(({ name, of, text = of, isNumber }) => {
    const cell = make("td", { className: isNumber ? "number" : "", title: isNumber ? "" : text(bar) }, text(bar));
    if (name === "outcome") cell.prepend(swatch(bar.outcome));
    return cell;
  });
}

class Table {
  /** @param {(bar) => void} onSelect is called with the bar whose row was chosen. */
  constructor(place, { onSelect }) {
    this.onSelect = onSelect;
    this.head = make("tr", { "aria-rowindex": 1 });
    this.body = make("tbody");
    this.table = make("table", { className: "exchanges" }, make("thead", {}, this.head), this.body);
    this.scroller = make("div", { className: "rows", tabIndex: 0, role: "region", "aria-label": "Exchanges" }, this.table);
    this.scroller.addEventListener("scroll", () => this.draw());
    this.scroller.addEventListener("keydown", (event) => this.press(event));
    place.replaceChildren(this.scroller);
    this.bars = [];
    this.sort(COLUMNS[0], false);
  }

  show(bars) {
    this.bars = bars;
    this.arrange();
  }

  sort(column, down) {
    this.sorted = { column, down };
    this.head.replaceChildren(...COLUMNS.map((each) => this.header(each)));
    this.arrange();
  }

  arrange() {
    const { column, down } = this.sorted;
    const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
    this.shown = [...this.bars].sort((one, other) => compare(column.of(one), column.of(other)) * (down ? -1 : 1));
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    this.scroller.style.height = `${Math.min(320, (this.shown.length + 1) * ROW + 4)}px`;
    this.draw();
  }

  header(column) {
    const isSorted = column === this.sorted.column;
    const down = isSorted && !this.sorted.down;
    const sign = isSorted ? (this.sorted.down ? " ▾" : " ▴") : "";
    const button = make("button", { type: "button", onclick: () => this.sortBy(column, down) }, column.name + sign);
    const order = isSorted ? (this.sorted.down ? "descending" : "ascending") : "none";
    return make("th", { scope: "col", "aria-sort": order, className: column.isNumber ? "number" : "" }, button);
  }

  sortBy(column, down) {
    this.sort(column, down);
    this.head.children[COLUMNS.indexOf(column)].firstChild.focus();
  }

  select(bar) {
    this.selected = bar;
    const row = this.shown.indexOf(bar);
    const { scrollTop, clientHeight } = this.scroller;
    const top = row * ROW;
    if (row >= 0 && (top < scrollTop || top > scrollTop + clientHeight - 2 * ROW - 4)) {
      this.scroller.scrollTop = Math.max(0, top - clientHeight / 2 + ROW);
    }
    this.draw();
  }

  press(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || event.target !== this.scroller) return;
    event.preventDefault();
    const bar = this.shown[this.shown.indexOf(this.selected) + by];
    if (bar) this.onSelect(bar);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - AROUND);
    const last = Math.min(this.shown.length, first + Math.ceil(this.scroller.clientHeight / ROW) + 2 * AROUND);
    const space = () => make("tr", { className: "space", "aria-hidden": "true" }, make("td", { colSpan: COLUMNS.length }));
    const [above, below] = [space(), space()];
    above.firstChild.style.height = `${first * ROW}px`;
    below.firstChild.style.height = `${(this.shown.length - last) * ROW}px`;
    const rows = this.shown.slice(first, last).map((bar, index) => this.row(bar, first + index));
    this.body.replaceChildren(above, ...rows, below);
  }

  row(bar, index) {
    const isSelected = bar === this.selected;
    const row = make("tr", { "aria-rowindex": index + 2, "aria-selected": isSelected }, ...cellsOf(bar));
    row.onclick = () => this.onSelect(bar);
    return row;
  }
}
