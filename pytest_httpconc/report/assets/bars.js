"use strict";

// How lanes and bars look. An outcome has a colour and a pattern, so that nothing depends on colours alone.

const PATTERN_SIZE = 8;
const STROKES = {
  plain: [],
  dots: [[2, 2, 3, 2], [6, 6, 7, 6]],
  diagonal: [[-2, 2, 2, -2], [-1, 9, 9, -1], [6, 10, 10, 6]],
  cross: [[-1, 9, 9, -1], [-1, -1, 9, 9], [-2, 2, 2, -2], [6, 10, 10, 6]],
  vertical: [[2, 0, 2, 8], [6, 0, 6, 8]],
  horizontal: [[0, 2, 8, 2], [0, 6, 8, 6]],
};

/** The colours of the theme that holds now, and what is painted with them. */
class Palette {
  constructor(context, ratio = 1) {
    this.context = context;
    this.ratio = ratio;
    this.style = getComputedStyle(document.documentElement);
    this.fills = new Map(Object.keys(OUTCOMES).map((outcome) => [outcome, this.pattern(outcome)]));
  }

  color(name) {
    return this.style.getPropertyValue(`--${name}`).trim();
  }

  flat(outcome) {
    return this.color(OUTCOMES[outcome].color);
  }

  onTop(outcome) {
    return this.color(`on-${OUTCOMES[outcome].color}`);
  }

  pattern(outcome) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = PATTERN_SIZE * this.ratio;
    const context = tile.getContext("2d");
    context.scale(this.ratio, this.ratio);
    context.fillStyle = this.flat(outcome);
    context.fillRect(0, 0, PATTERN_SIZE, PATTERN_SIZE);
    context.strokeStyle = this.onTop(outcome);
    context.globalAlpha = 0.55;
    context.lineWidth = 1.4;
    context.beginPath();
    for (const [x0, y0, x1, y1] of STROKES[OUTCOMES[outcome].pattern]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
    const pattern = this.context.createPattern(tile, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / this.ratio));
    return pattern;
  }
}

/** A small square in the colour and pattern of an outcome. */
function swatch(outcome) {
  const ratio = Math.max(1, window.devicePixelRatio);
  const canvas = make("canvas", { className: "swatch", width: 16 * ratio, height: 16 * ratio, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = new Palette(context, ratio).fills.get(outcome);
  context.fillRect(0, 0, 16, 16);
  return canvas;
}

/** A bar from `left` to `right`: hollow while it waited for a slot, pale while its request was being received. */
function paintBar(context, palette, bar, { left, right, top, height, xOf, dimmed }) {
  const width = Math.max(1, right - left);
  context.save();
  context.globalAlpha = dimmed ? 0.15 : 1;
  context.fillStyle = width < 4 ? palette.flat(bar.outcome) : palette.fills.get(bar.outcome);
  if (width < 6) {
    context.fillRect(left, top, width, height);
  } else {
    context.beginPath();
    context.roundRect(left, top, width, height, 2.5);
    context.clip();
    const received = bar.received_at === null ? right : xOf(bar.received_at);
    paintPhases(context, palette, bar, { left, right: left + width, received, top, height, xOf });
  }
  context.restore();
}

function paintPhases(context, palette, bar, { left, right, received, top, height, xOf }) {
  const opaque = context.globalAlpha;
  context.fillRect(received, top, right - received, height);
  context.globalAlpha = opaque * 0.45;
  context.fillRect(left, top, received - left, height);
  context.globalAlpha = opaque;
  if (bar.waited) {
    context.fillStyle = palette.color("panel");
    context.fillRect(received, top + 2, xOf(bar.received_at + bar.waited) - received, height - 4);
  }
  if (bar.first_byte_at !== null && right - left > 24) {
    context.fillStyle = palette.onTop(bar.outcome);
    context.fillRect(xOf(bar.first_byte_at) - 0.75, top + height * 0.6, 1.5, height);
  }
}

/** What a bar is, written on it where there is room. */
function paintText(context, palette, bar, { left, right, top, height }) {
  if (right - left < 34) return;
  const text = `${bar.number}  ${bar.method} ${bar.target}${bar.status === null ? "" : `  ${bar.status}`}`;
  context.save();
  context.beginPath();
  context.rect(left, top, right - left - 10, height);
  context.clip();
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = palette.flat(bar.outcome);
  context.fillStyle = palette.onTop(bar.outcome);
  if (OUTCOMES[bar.outcome].pattern !== "plain") context.strokeText(text, left + 6, top + height / 2);
  context.fillText(text, left + 6, top + height / 2);
  context.restore();
}

/** A diamond where a fault was planned: at the end of what it ended, or of what it shaped. */
function paintFault(context, palette, x, middle, reach) {
  context.fillStyle = palette.color("mark");
  context.strokeStyle = palette.color("panel");
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, middle - reach);
  context.lineTo(x + reach * 0.85, middle);
  context.lineTo(x, middle + reach);
  context.lineTo(x - reach * 0.85, middle);
  context.closePath();
  context.fill();
  context.stroke();
}

/** The line of a connection, from its opening to its close, which is a short upright. */
function paintLane(context, palette, lane, { left, right, middle, isClosed, reach }) {
  context.strokeStyle = palette.color("wire");
  context.lineWidth = 1.5;
  context.setLineDash(lane.is_abandoned ? [4, 3] : []);
  context.beginPath();
  context.moveTo(left, middle);
  context.lineTo(right, middle);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(left, middle - reach);
  context.lineTo(left, middle + reach);
  if (isClosed) {
    context.moveTo(right, middle - reach);
    context.lineTo(right, middle + reach);
  }
  context.stroke();
}
