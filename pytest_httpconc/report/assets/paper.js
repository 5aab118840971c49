"use strict";

// A server on paper. Nothing scrolls there, so lanes become as thin as they must be, and of the exchanges come the first.

const PRINTED_ROWS = 200;
const PRINTED_WIDTH = 1000;
const PRINTED_HEIGHT = 1000;

function printed(server) {
  const rows = server.bars.slice(0, PRINTED_ROWS);
  const rest = server.bars.length - rows.length;
  const table = make("table", { className: "exchanges" }, make("thead", {}, make("tr", {}, ...COLUMNS.map((column) => make("th", {}, column.name)))),
    make("tbody", {}, ...rows.map((bar) => make("tr", {}, ...cellsOf(bar)))));
  return make("section", { className: "server" }, make("h3", {}, server.name), countsOf(server), legendOf(server), paintWhole(server),
    make("p", { className: "reading" }, ...readingAid()), histogram(server.bars) ?? "", table, rest ? make("p", { className: "empty" }, `... and ${counted(rest, "more exchange")}`) : "");
}

function legendOf(server) {
  const present = Object.keys(OUTCOMES).filter((outcome) => server.bars.some((bar) => bar.outcome === outcome));
  return make("p", { className: "legend" }, ...present.map((outcome) => make("span", {}, swatch(outcome), outcome)));
}

function paintWhole(server) {
  const lane = Math.min(LANE, PRINTED_HEIGHT / Math.max(1, server.lanes.length));
  const canvas = make("canvas", { className: "whole" });
  const drawing = new Drawing(canvas, { lane });
  drawing.resize(PRINTED_WIDTH, AXIS + lane * server.lanes.length + 6);
  drawing.draw(server.lanes, { view: wholeOf(server) });
  return canvas;
}
