"use strict";

// A server that goes on: its records as they come, and a panel that keeps up with them.

/** What a page has of a server: the latest connections and exchanges, merged from the news. */
class LiveServer {
  constructor(name, { columns, most }) {
    Object.assign(this, { name, columns, most });
    this.beginAnew();
  }

  beginAnew() {
    Object.assign(this, { begin: 0, span: 0, counts: {}, lanes: [], bars: [], laneOf: new Map(), barOf: new Map(), unfinished: new Set() });
  }

  take({ span, counts, lanes, bars, begun_anew: begunAnew }) {
    if (begunAnew) this.beginAnew();
    this.span = span;
    this.counts = counts ?? this.counts;
    for (const lane of readTable({ columns: this.columns.lanes, rows: lanes })) this.takeLane(lane);
    for (const bar of readTable({ columns: this.columns.bars, rows: bars })) this.takeBar(bar);
    for (const bar of this.unfinished) complete(bar, span);
    this.forgetOldest();
  }

  takeLane(lane) {
    const known = this.laneOf.get(lane.number);
    if (known) Object.assign(known, lane);
    else {
      this.laneOf.set(lane.number, Object.assign(lane, { bars: [] }));
      this.lanes.push(lane);
    }
  }

  takeBar(news) {
    const bar = Object.assign(this.barOf.get(news.number) ?? {}, news);
    if (!this.barOf.has(bar.number)) {
      this.barOf.set(bar.number, bar);
      this.bars.push(bar);
      bar.lane = this.laneOf.get(bar.connection);
      bar.lane?.bars.push(bar);
    }
    complete(bar, this.span);
    if (bar.ended_at === null) this.unfinished.add(bar);
    else this.unfinished.delete(bar);
  }

  /** Keep the latest: a page that is open for days must not grow. */
  forgetOldest() {
    for (const bar of this.bars.splice(0, Math.max(0, this.bars.length - this.most))) {
      this.barOf.delete(bar.number);
      this.unfinished.delete(bar);
      if (bar.lane) bar.lane.bars = bar.lane.bars.filter((other) => other !== bar);
    }
    const excess = Math.max(0, this.lanes.length - this.most);
    const since = this.bars.length === this.most ? this.bars[0].begun_at : -Infinity;
    const isOld = (lane, place) => lane.closed_at !== null && !lane.bars.length && (place < excess || lane.closed_at < since);
    for (const lane of this.lanes.filter(isOld)) this.laneOf.delete(lane.number);
    this.lanes = this.lanes.filter((lane) => this.laneOf.has(lane.number));
    this.begin = Math.max(this.begin, since);
  }
}

/** A panel whose server goes on. While the end is in sight, the window goes with it. */
class LivePanel extends ServerPanel {
  constructor(server, number) {
    super(server, number);
    this.follow = make("button", { type: "button", title: "Go with what comes" }, "Follow");
    this.follow.onclick = () => this.goToEnd();
    this.window.before(this.follow);
    this.tell(this.lanes.view);
  }

  take(news) {
    const [whole, view] = [wholeOf(this.server), this.lanes.view];
    const isWhole = view.to - view.from >= (whole.to - whole.from) * 0.999;
    const isAtEnd = this.isAtEnd(view);
    const { scroller } = this.lanes;
    const isAtBottom = scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - LANE;
    this.server.take(news);
    this.renew();
    if (isWhole) this.lanes.fit();
    else if (isAtEnd) this.goToEnd();
    else this.lanes.look(view);
    if (isAtEnd && isAtBottom) scroller.scrollTop = scroller.scrollHeight;
  }

  goToEnd() {
    const { from, to } = this.lanes.view;
    const end = wholeOf(this.server).to;
    this.lanes.look({ from: end - (to - from), to: end });
  }

  isAtEnd(view) {
    return view.to >= wholeOf(this.server).to - (view.to - view.from) * 1e-6;
  }

  tell(view) {
    super.tell(view);
    this.follow?.setAttribute("aria-pressed", String(this.isAtEnd(view)));
  }
}
