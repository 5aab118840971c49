"use strict";

// The picture of a timeline on a canvas: an axis, and of lanes and bars those that are in sight.

const LANE = 24;
const AXIS = 28;
const LEFT = 56;
const RIGHT = 164;
const BEYOND = 8; // pixels out of sight up to which a bar goes on, so that an end which is not there shows none

class Drawing {
  /** @param {number} lane is the height of a lane in pixels; bars, texts and marks shrink or go with it. */
  constructor(canvas, { lane = LANE } = {}) {
    this.canvas = canvas;
    this.lane = lane;
    this.bar = Math.max(1, Math.min(lane * 0.68, lane - 1));
    this.context = canvas.getContext("2d");
  }

  resize(width, height) {
    const ratio = Math.max(1, window.devicePixelRatio);
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.hasNotes = width > 560;
    this.left = LEFT;
    this.right = Math.max(LEFT + 60, width - (this.hasNotes ? RIGHT : 12));
    this.dress();
  }

  /** Take the colours anew, as after a change of theme. */
  dress() {
    this.palette = new Palette(this.context, Math.max(1, window.devicePixelRatio));
  }

  xOf(instant) {
    return this.left + ((instant - this.view.from) / (this.view.to - this.view.from)) * (this.right - this.left);
  }

  instantAt(x) {
    return this.view.from + ((x - this.left) / (this.right - this.left)) * (this.view.to - this.view.from);
  }

  /**
   * @param {object[]} rows are lanes, of which those from `scrolled` pixels on are in sight.
   * @param {object} scene
   * @param {{from: number, to: number}} scene.view is the window in seconds.
   * @param {(bar) => boolean} scene.matches says what is not dimmed.
   * @returns {number} how many bars were drawn.
   */
  draw(rows, { view, scrolled = 0, matches = () => true, selected = null, marked = new Set() }) {
    const { context, lane } = this;
    Object.assign(this, { view, matches, selected, drawn: 0 });
    context.clearRect(0, 0, this.width, this.height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.drawAxis();
    context.save();
    this.clip(0, AXIS, this.width, this.height - AXIS);
    const last = Math.min(rows.length, Math.ceil((scrolled + this.height - AXIS) / lane));
    const every = Math.ceil(14 / lane);
    for (let row = Math.max(0, Math.floor(scrolled / lane)); row < last; row += 1) {
      const top = AXIS + row * lane - scrolled;
      if (marked.has(rows[row].number)) this.drawMarked(top);
      if (row % every === 0) this.drawNotes(rows[row], top + lane / 2);
      this.drawLane(rows[row], top + lane / 2);
    }
    context.restore();
    return this.drawn;
  }

  clip(x, y, width, height) {
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
  }

  drawAxis() {
    const { context, palette, left, right, view } = this;
    const { step, ticks } = ticksOf(view.from, view.to, (right - left) / 110);
    const largest = Math.max(Math.abs(view.from), Math.abs(view.to));
    context.fillStyle = palette.color("muted");
    context.strokeStyle = palette.color("line");
    context.lineWidth = 1;
    context.textAlign = "center";
    context.beginPath();
    for (const tick of ticks) {
      const x = Math.round(this.xOf(tick)) + 0.5;
      context.moveTo(x, AXIS - 6);
      context.lineTo(x, this.height);
      context.fillText(inUnitOf(tick, largest, step), x, AXIS / 2 - 2);
    }
    context.moveTo(left - 7, AXIS - 0.5);
    context.lineTo(right + 7, AXIS - 0.5);
    context.stroke();
  }

  drawMarked(top) {
    this.context.fillStyle = this.palette.color("marked");
    this.context.fillRect(0, top, this.width, this.lane);
  }

  /** The connection's number before its lane, and what became of it behind. */
  drawNotes(lane, middle) {
    const { context } = this;
    context.fillStyle = this.palette.color("muted");
    context.textAlign = "right";
    context.fillText(grouped(lane.number), this.left - 12, middle);
    context.textAlign = "left";
    if (this.hasNotes) context.fillText(describeLane(lane), this.right + 12, middle);
  }

  drawLane(lane, middle) {
    this.context.save();
    this.clip(this.left - 7, middle - this.lane / 2, this.right - this.left + 14, this.lane);
    const isClosed = lane.closed_at !== null;
    const right = isClosed ? this.xOf(lane.closed_at) : this.right + BEYOND;
    paintLane(this.context, this.palette, lane, { left: this.xOf(lane.opened_at), right, middle, isClosed, reach: this.bar / 4 });
    this.drawBars(lane, middle);
    this.context.restore();
  }

  /** What was answered first, and where pixels are scarce only some of it; all else on top. */
  drawBars(lane, middle) {
    const { from, to } = this.view;
    const seen = lane.bars.filter((bar) => bar.end >= from && bar.begun_at <= to);
    const isPlain = (bar) => bar.outcome === "answered" && !bar.fault && this.matches(bar) && bar !== this.selected;
    let free = -Infinity;
    for (const bar of seen.filter(isPlain)) {
      const right = this.xOf(bar.end);
      if (right < free + 0.5) continue;
      this.drawBar(bar, middle);
      free = Math.max(right, this.xOf(bar.begun_at) + 1);
    }
    for (const bar of seen) if (!isPlain(bar)) this.drawBar(bar, middle);
    for (const bar of seen) {
      if (bar.fault && this.matches(bar)) paintFault(this.context, this.palette, this.xOf(bar.end), middle, this.lane * 0.23);
    }
  }

  drawBar(bar, middle) {
    const { context, palette } = this;
    const left = Math.max(this.left - BEYOND, this.xOf(bar.begun_at));
    const right = Math.min(this.right + BEYOND, Math.max(this.xOf(bar.end), left + 1));
    const box = { left, right, top: middle - this.bar / 2, height: this.bar };
    const dimmed = !this.matches(bar);
    paintBar(context, palette, bar, { ...box, xOf: (instant) => this.xOf(instant), dimmed });
    if (!dimmed && this.bar > 12) this.write(bar, box);
    if (bar === this.selected) {
      context.strokeStyle = palette.color("ink");
      context.lineWidth = 2;
      context.strokeRect(left - 2, box.top - 2, right - left + 4, box.height + 4);
    }
    if (!dimmed) this.drawn += 1;
  }

  /** What a bar is, on the part of it that is neither pale nor hollow. */
  write(bar, box) {
    const solid = bar.received_at === null ? bar.begun_at : bar.received_at + bar.waited;
    paintText(this.context, this.palette, bar, { ...box, left: Math.max(box.left, this.left, this.xOf(solid)) });
  }
}

/** The window in which all of a server is in sight: from its `begin`, or 0, to its `span`. */
function wholeOf({ begin = 0, span }) {
  const width = span - begin || 1e-3;
  return { from: begin - width * 0.02, to: begin + width * 1.02 };
}
