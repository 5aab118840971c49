"use strict";

// What the parts of a page share: outcomes, words, elements, and the tables of the JSON form read back.

const OUTCOMES = {
  "answered": { color: "answered", pattern: "plain" },
  "in progress": { color: "in-progress", pattern: "dots" },
  "aborted by client": { color: "aborted", pattern: "diagonal" },
  "ended by fault": { color: "fault", pattern: "cross" },
  "ended by upstream": { color: "upstream", pattern: "cross" },
  "handler failed": { color: "failed", pattern: "vertical" },
  "server stopped": { color: "stopped", pattern: "horizontal" },
};

/** Seconds in words, with the digits that it takes to see a difference of `step`. */
function inWords(seconds, step = Math.abs(seconds) / 100) {
  return inUnitOf(seconds, seconds, step);
}

/** As `inWords`, in the unit that suits the `largest` number of a scale. */
function inUnitOf(seconds, largest, step) {
  const size = Math.abs(largest);
  const [factor, unit] = size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  const digits = step > 0 ? Math.ceil(-Math.log10(step * factor) - 1e-9) : 0;
  return `${grouped(seconds * factor, Math.min(6, Math.max(0, digits)))} ${unit}`;
}

function grouped(number, digits = 0) {
  return number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** An element; `properties` whose names have a dash, or are `role` or `for`, are attributes. Text stays text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A step of 1, 2 or 5 times a power of ten, so that about `count` of them make up `span`. */
function niceStep(span, count) {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

/** The instants of a scale that get a label. */
function ticksOf(from, to, count) {
  const step = niceStep(to - from, count);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return { step, ticks: Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step) };
}

const byId = (id) => document.getElementById(id);

function readTable({ columns, rows }) {
  return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
}

/** A server of the JSON form with records for rows; each lane has its `bars`, each bar its `lane`. */
function readServer(json) {
  const server = { ...json, lanes: readTable(json.lanes), bars: readTable(json.bars) };
  const lanes = new Map(server.lanes.map((lane) => [lane.number, Object.assign(lane, { bars: [] })]));
  for (const bar of server.bars) {
    complete(bar, server.span);
    bar.lane = lanes.get(bar.connection);
    bar.lane?.bars.push(bar);
  }
  return server;
}

/** Give a bar what follows from its record; one that is not over goes on up to `span`. */
function complete(bar, span) {
  bar.end = bar.ended_at ?? span;
  bar.took = bar.ended_at === null ? null : bar.ended_at - bar.begun_at;
  bar.words = `${bar.method} ${bar.target} ${bar.status ?? ""} ${bar.outcome} ${bar.fault}`.toLowerCase();
}

function describeLane(lane) {
  if (lane.closed_at === null) return lane.input_ended ? "open, input ended" : "open";
  return lane.is_abandoned ? "abandoned (CLOSE_WAIT)" : `closed by ${lane.closed_by}`;
}

/** A bar as pairs of a name and a text. */
function describeBar(bar) {
  const at = (instant) => (instant === null ? "never" : inWords(instant, 1e-6));
  const pairs = [
    ["exchange", `${bar.number}, the ${ordinal(bar.sequence)} on connection ${bar.connection}`],
    ["request", `${bar.method} ${bar.target}`],
    ["outcome", bar.outcome + (bar.status === null ? "" : `, status ${bar.status}`)],
    ["came as far as", bar.progress],
    ["took", bar.took === null ? "not over" : inWords(bar.took)],
  ];
  if (bar.fault) pairs.splice(3, 0, ["fault", bar.fault]);
  if (bar.waited) pairs.push(["waited for a slot", inWords(bar.waited)]);
  pairs.push(["begun", at(bar.begun_at)], ["received", at(bar.received_at)], ["executed", at(bar.executed_at)]);
  pairs.push(["first byte", at(bar.first_byte_at)], ["ended", at(bar.ended_at)], ["fingerprint", bar.fingerprint]);
  return pairs;
}

function describeConnection(lane) {
  const pairs = [
    ["connection", `${lane.number}, ${describeLane(lane)}`],
    ["exchanges", grouped(lane.exchanges)],
    ["bytes", `${grouped(lane.bytes_in)} in, ${grouped(lane.bytes_out)} out`],
    ["open", `${inWords(lane.opened_at, 1e-6)} to ${lane.closed_at === null ? "the end" : inWords(lane.closed_at, 1e-6)}`],
  ];
  if (lane.opened) pairs.push(["source", lane.opened]);
  return pairs;
}

function ordinal(number) {
  const ending = number % 100 > 10 && number % 100 < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] ?? "th";
  return `${number}${ending}`;
}

function listOf(pairs) {
  return make("dl", {}, ...pairs.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
}
