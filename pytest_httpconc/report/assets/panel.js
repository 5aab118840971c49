"use strict";

// A server: counts, filter, timeline, histogram and table, which act together.

class ServerPanel {
  constructor(server, number) {
    this.server = server;
    this.hidden = new Set();
    this.toggles = new Map();
    const id = `server-${number}`;
    this.search = make("input", { type: "search", placeholder: "path, method, status, fault", className: "find-exchange",
      "aria-label": "Filter exchanges", "aria-keyshortcuts": "/" });
    this.search.addEventListener("input", () => this.filter());
    this.shown = make("output", { className: "shown" });
    this.window = make("output", { className: "window" });
    this.counts = make("div", {});
    this.timeline = make("div", { className: "timeline" });
    this.details = make("div", { className: "details" });
    this.plot = make("div", {});
    this.rows = make("div", {});
    this.below = make("div", {}, make("h4", {}, "How long exchanges took"), this.plot, make("h4", {}, "Exchanges"), this.rows);
    this.filters = make("div", { className: "bar", role: "group", "aria-label": "Filter of exchanges" }, this.search, this.shown);
    this.element = make("section", { className: "server", "aria-labelledby": id },
      make("h3", { id }, server.name), this.counts, this.filters, this.tools(), this.timeline,
      make("p", { className: "unseen", id: `${id}-keys` }, "Arrow keys go from exchange to exchange, plus and minus zoom, 0 fits."),
      make("p", { className: "reading" }, ...readingAid()),
      this.details, this.below);
    this.lanes = new Lanes(this.timeline, { onSelect: (bar) => this.select(bar), onView: (view) => this.tell(view), describedBy: `${id}-keys` });
    this.table = new Table(this.rows, { onSelect: (bar) => this.lanes.select(bar) });
    this.renew();
    this.select(null);
  }

  /** Show the server as it is now; window, filter and selection stay. */
  renew() {
    this.counts.replaceChildren(countsOf(this.server));
    for (const outcome of Object.keys(OUTCOMES)) this.count(outcome);
    this.lanes.show(this.server, { stay: true });
    this.filter();
    this.describe(this.lanes.selected);
  }

  /** How many exchanges have an outcome, on the button that hides them; there is none before the first. */
  count(outcome) {
    const count = this.server.bars.filter((bar) => bar.outcome === outcome).length;
    if (!this.toggles.has(outcome)) {
      if (!count) return;
      const number = make("b", {});
      const button = make("button", { type: "button", className: "toggle", "aria-pressed": "true" }, swatch(outcome), `${outcome} `, number);
      button.dataset.outcome = outcome;
      button.onclick = () => this.toggle(outcome, button);
      this.toggles.set(outcome, number);
      this.filters.insertBefore(button, this.shown);
    }
    this.toggles.get(outcome).textContent = grouped(count);
  }

  toggle(outcome, button) {
    if (!this.hidden.delete(outcome)) this.hidden.add(outcome);
    button.setAttribute("aria-pressed", String(!this.hidden.has(outcome)));
    this.filter();
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const isFiltered = words.length > 0 || this.hidden.size > 0;
    const matches = (bar) => !this.hidden.has(bar.outcome) && words.every((word) => bar.words.includes(word));
    const bars = isFiltered ? this.server.bars.filter(matches) : this.server.bars;
    this.lanes.filter(isFiltered ? matches : null);
    this.below.hidden = bars.length === 0;
    this.table.show(bars);
    this.plot.replaceChildren(histogram(bars) ?? make("p", { className: "empty" }, "No exchange has ended."));
    this.shown.textContent = isFiltered ? `${grouped(bars.length)} of ${counted(this.server.bars.length, "exchange")}` : "";
  }

  tools() {
    const tool = (sign, name, action) => make("button", { type: "button", "aria-label": name, title: name, onclick: action }, sign);
    return make("div", { className: "bar tools", role: "toolbar", "aria-label": "Timeline" },
      tool("+", "Zoom in", () => this.lanes.zoom(2)), tool("−", "Zoom out", () => this.lanes.zoom(0.5)),
      tool("Fit", "Fit all", () => this.lanes.fit()), tool("◂", "Earlier", () => this.lanes.move(-0.3)),
      tool("▸", "Later", () => this.lanes.move(0.3)), this.window);
  }

  tell({ from, to }) {
    const step = niceStep(to - from, 200);
    const [begin, end] = [Math.max(this.server.begin ?? 0, from), Math.min(this.server.span, to)];
    this.window.textContent = `${inUnitOf(begin, end, step)} to ${inUnitOf(end, end, step)} of ${inUnitOf(this.server.span, end, step)}`;
  }

  select(bar) {
    this.describe(bar);
    this.table.select(bar);
  }

  /** What is there stays if it says the same, and with it what the user has marked of it. */
  describe(bar) {
    const parts = [bar ? listOf(describeBar(bar))
      : make("p", { className: "empty" }, this.server.bars.length ? "Point at a bar, or select one, for its details." : "No request came.")];
    if (bar?.lane?.opened) parts.push(make("p", { className: "source" }, `connection ${bar.connection} ${bar.lane.opened}`));
    if (parts.map((part) => part.textContent).join("") !== this.details.textContent) this.details.replaceChildren(...parts);
  }

  /** Take the colours anew, as after a change of theme. */
  dress() {
    this.lanes.dress();
    this.table.draw();
    for (const old of this.element.querySelectorAll("button .swatch")) old.replaceWith(swatch(old.parentElement.dataset.outcome));
  }
}

function readingAid() {
  return ["pale: request being received", "hollow: waiting for a slot", "upright: first byte of the answer", "◆ a fault was planned"]
    .map((text) => make("span", {}, text));
}

function countsOf(server) {
  const pairs = Object.entries(server.counts).map(([name, value]) => [name, name === "makespan" ? inWords(value) : grouped(value, Number.isInteger(value) ? 0 : 2)]);
  const list = listOf(pairs);
  list.className = "counts";
  const kept = server.bars.length;
  const all = server.counts.exchanges;
  return kept < all ? make("div", {}, list, make("p", { className: "empty" }, `Details of the last ${counted(kept, "exchange")} were kept.`)) : list;
}
