"use strict";

// The timeline: a lane for each connection, a bar for each exchange. It draws on a canvas what is in sight and no more,
// so that ten thousand exchanges are as quick as ten. A page makes one `Lanes` for a place, and shows a server in it, as
// often as there is news.

const MOST_HEIGHT = 456;
const CLOSEST = 1e-7; // seconds: no window is narrower

class Lanes {
  /**
   * @param {HTMLElement} place is filled with the timeline.
   * @param {object} options
   * @param {(bar) => void} options.onSelect is called with the bar that is selected, or null.
   * @param {(view) => void} options.onView is called with the window that is in sight, in seconds.
   */
  constructor(place, { onSelect = () => {}, onView = () => {}, describedBy = "" } = {}) {
    this.onSelect = onSelect;
    this.onView = onView;
    this.canvas = make("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "timeline" });
    if (describedBy) this.canvas.setAttribute("aria-describedby", describedBy);
    this.rest = make("div");
    this.scroller = make("div", { className: "lanes" }, this.canvas, this.rest);
    this.tip = make("div", { className: "tip", hidden: true, "aria-hidden": "true" });
    this.voice = make("p", { className: "unseen", "aria-live": "polite" });
    place.replaceChildren(this.scroller, this.tip, this.voice);
    this.drawing = new Drawing(this.canvas);
    this.selected = null;
    this.marked = new Set();
    new ResizeObserver(() => this.resize()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => this.redraw());
    new Hands(this);
  }

  /** Show a server, as `readServer` makes it; the window in sight stays if `stay` is true. */
  show(server, { stay = false } = {}) {
    this.server = server;
    this.matches = () => true;
    this.canvas.setAttribute("aria-label",
      `Timeline: ${counted(server.lanes.length, "connection")}, ${counted(server.bars.length, "exchange")}`);
    if (!stay || !this.view) this.fit();
    this.arrange(server.lanes);
  }

  /** Dim what does not match; lanes on which nothing does are left out. */
  filter(matches) {
    this.matches = matches ?? (() => true);
    this.arrange(matches ? this.server.lanes.filter((lane) => lane.bars.some(matches)) : this.server.lanes);
  }

  arrange(lanes) {
    this.rows = lanes;
    this.rowOf = new Map(lanes.map((lane, row) => [lane, row]));
    const height = Math.min(MOST_HEIGHT, AXIS + Math.max(1, lanes.length) * LANE + 6);
    this.scroller.style.height = `${height}px`;
    this.rest.style.height = `${Math.max(0, AXIS + lanes.length * LANE + 6 - height)}px`;
    this.resize();
  }

  // -- the window in sight -----------------------------------------------------------------------------------------

  fit() {
    this.look(wholeOf(this.server));
  }

  /** Bring a window in sight; it is moved and widened to make sense. */
  look({ from, to }) {
    const whole = wholeOf(this.server);
    const width = Math.min(whole.to - whole.from, Math.max(CLOSEST, to - from));
    const begin = Math.min(whole.to - width, Math.max(whole.from, (from + to - width) / 2));
    this.view = { from: begin, to: begin + width };
    this.onView(this.view);
    this.redraw();
  }

  zoom(factor, at = (this.view.from + this.view.to) / 2) {
    const { from, to } = this.view;
    this.look({ from: at - (at - from) / factor, to: at + (to - at) / factor });
  }

  /** Move the window by a part of its width. */
  move(part) {
    const by = (this.view.to - this.view.from) * part;
    this.look({ from: this.view.from + by, to: this.view.to + by });
  }

  zoomTo(bar) {
    const margin = Math.max((bar.end - bar.begun_at) * 0.5, this.server.span * 1e-4, CLOSEST);
    this.look({ from: bar.begun_at - margin, to: bar.end + margin });
  }

  // -- what is selected --------------------------------------------------------------------------------------------

  /** Select a bar and bring it in sight, or none. */
  select(bar, { quietly = false } = {}) {
    this.selected = bar;
    if (bar) {
      this.reveal(bar);
      this.voice.textContent = describeBar(bar).slice(0, 5).map((pair) => pair.join(" ")).join("; ");
    }
    if (!quietly) this.onSelect(bar);
    this.redraw();
  }

  /** Mark connections, by their numbers, as what a finding is about. */
  mark(numbers) {
    this.marked = new Set(numbers);
    const row = this.rows.findIndex((lane) => this.marked.has(lane.number));
    if (row >= 0) this.scrollTo(row);
    this.redraw();
  }

  reveal(bar) {
    if (this.rowOf.has(bar.lane)) this.scrollTo(this.rowOf.get(bar.lane));
    const { from, to } = this.view;
    if (bar.end < from || bar.begun_at > to) {
      const middle = (bar.begun_at + bar.end) / 2;
      this.look({ from: middle - (to - from) / 2, to: middle + (to - from) / 2 });
    }
  }

  scrollTo(row) {
    const top = row * LANE;
    const room = this.scroller.clientHeight - AXIS - LANE;
    const scrolled = this.scroller.scrollTop;
    if (top < scrolled) this.scroller.scrollTop = top;
    else if (top > scrolled + room) this.scroller.scrollTop = top - room;
  }

  /** Select the bar that lies `along` steps further on its lane, or on the lane `down` steps below. */
  step(along, down) {
    const bars = (lane) => lane.bars.filter(this.matches);
    const first = this.rows.find((lane) => bars(lane).length);
    if (!this.selected || !this.rowOf.has(this.selected.lane)) return first && this.select(bars(first)[0]);
    if (along) {
      const lane = bars(this.selected.lane);
      const next = lane[lane.indexOf(this.selected) + along];
      return next && this.select(next);
    }
    let row = this.rowOf.get(this.selected.lane) + down;
    while (this.rows[row] && !bars(this.rows[row]).length) row += down;
    return this.rows[row] && this.select(nearest(bars(this.rows[row]), this.selected.begun_at));
  }

  selectEdge(last) {
    const bars = this.server.bars.filter((bar) => this.matches(bar) && this.rowOf.has(bar.lane));
    if (bars.length) this.select(bars.at(last ? -1 : 0));
  }

  // -- on the screen -----------------------------------------------------------------------------------------------

  resize() {
    const { clientWidth: width, clientHeight: height } = this.scroller;
    if (!width || !this.server) return;
    this.drawing.resize(width, height);
    this.redraw();
  }

  /** Take the colours anew, as after a change of theme. */
  dress() {
    this.drawing.dress();
    this.redraw();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.drawing.width) this.draw();
    });
  }

  draw() {
    const { view, matches, selected, marked } = this;
    const drawn = this.drawing.draw(this.rows, { view, matches, selected, marked, scrolled: this.scroller.scrollTop });
    Object.assign(this.canvas.dataset, { from: view.from, to: view.to, drawn, lanes: this.rows.length });
  }
}

function nearest(bars, instant) {
  const away = (bar) => Math.max(bar.begun_at - instant, instant - bar.end, 0);
  return bars.reduce((best, bar) => (best === undefined || away(bar) < away(best) ? bar : best), undefined);
}

