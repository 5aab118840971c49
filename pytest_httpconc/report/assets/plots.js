"use strict";

// Plots in SVG: how long exchanges took, and figures beside their baselines.

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The value below which a part (0 to 1) of sorted values lie, interpolated. */
function quantile(sorted, part) {
  const at = part * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.ceil(at)] - sorted[low]);
}

/** Bins of equal width; of equal ratio where the longest is far from the shortest. */
function binsOf(sorted, count) {
  const least = Math.max(sorted[0], 1e-7);
  const most = Math.max(sorted.at(-1), least * 1.001);
  const isLog = most / least > 40;
  const place = isLog ? (value) => Math.log(Math.max(value, least) / least) / Math.log(most / least)
    : (value) => value / most;
  const bins = new Array(count).fill(0);
  for (const value of sorted) bins[Math.min(count - 1, Math.floor(place(value) * count))] += 1;
  return { bins, place, isLog, least, most };
}

/** How long exchanges took; null where none has ended. */
function histogram(bars) {
  const sorted = bars.filter((bar) => bar.took !== null).map((bar) => bar.took).sort((one, other) => one - other);
  if (!sorted.length) return null;
  const [width, height, left, top, bottom] = [640, 190, 44, 34, 26];
  const { bins, place, isLog, least, most } = binsOf(sorted, Math.min(48, Math.max(8, Math.ceil(Math.sqrt(sorted.length)))));
  const highest = Math.max(...bins);
  const [inner, floor] = [width - left - 16, height - bottom];
  const xOf = (value) => left + place(value) * inner;
  const yOf = (count) => floor - (count / highest) * (floor - top);
  const marks = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["max", 1]].map(([name, part]) => [name, quantile(sorted, part)]);
  const words = marks.map(([name, value]) => `${name} ${inWords(value)}`).join(", ");
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "plot",
    "aria-label": `Histogram of how long ${counted(sorted.length, "exchange")} took: ${words}` });
  for (const count of [0, highest]) {
    svg.append(draw("line", { x1: left, x2: left + inner, y1: yOf(count), y2: yOf(count), class: "grid" }),
      draw("text", { x: left - 8, y: yOf(count) + 4, "text-anchor": "end" }, grouped(count)));
  }
  const step = inner / bins.length;
  bins.forEach((count, index) => count && svg.append(draw("rect", { x: left + index * step + 0.5, width: Math.max(1, step - 1),
    y: Math.min(yOf(count), floor - 1.5), height: Math.max(1.5, floor - yOf(count)), class: "bin" },
  draw("title", {}, counted(count, "exchange")))));
  for (const tick of isLog ? powersOf(least, most) : ticksOf(0, most, 6).ticks) {
    svg.append(draw("line", { x1: xOf(tick), x2: xOf(tick), y1: floor, y2: floor + 4, class: "grid" }),
      draw("text", { x: xOf(tick), y: floor + 18, "text-anchor": "middle" }, inUnitOf(tick, isLog ? tick : most, isLog ? tick : most / 10)));
  }
  markQuantiles(svg, marks.slice(0, 3), { xOf, top, floor });
  return make("figure", {}, svg, make("figcaption", {}, `${counted(sorted.length, "exchange")}: ${words}${isLog ? "; logarithmic" : ""}`));
}

function powersOf(least, most) {
  const first = Math.ceil(Math.log10(least));
  return Array.from({ length: Math.max(0, Math.floor(Math.log10(most)) - first + 1) }, (_, index) => 10 ** (first + index));
}

function markQuantiles(svg, marks, { xOf, top, floor }) {
  let free = -Infinity;
  for (const [name, value] of marks) {
    const x = xOf(value);
    svg.append(draw("line", { x1: x, x2: x, y1: top - 12, y2: floor, class: "quantile" }));
    if (x < free) continue;
    svg.append(draw("text", { x, y: top - 18, "text-anchor": "middle", class: "strong" }, name));
    free = x + 30;
  }
}

/** Figures beside their baselines, each on a scale of its own: the range as a band, what was measured as a dot. */
function comparison(figures) {
  return make("table", { className: "figures" },
    make("thead", {}, make("tr", {}, ...["figure", "measured (interval)", "", "baseline", "verdict"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...figures.map(figureRow)));
}

function figureRow(figure) {
  const number = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 9 });
  const unit = figure.unit && ` ${figure.unit}`;
  const range = (low, high) => (low === high ? number(low) : `${low === null ? "at most" : number(low)}${low === null || high === null ? " " : " to "}${high === null ? "or more" : number(high)}`);
  const interval = figure.low === null || figure.high === null ? "" : ` (${range(figure.low, figure.high)})`;
  const hasBaseline = figure.baseline_low !== null || figure.baseline_high !== null;
  const verdict = figure.verdict ?? "–";
  return make("tr", {}, make("th", { scope: "row" }, figure.name), make("td", {}, `${number(figure.value)}${unit}${interval}`),
    make("td", {}, figurePlot(figure)),
    make("td", {}, hasBaseline ? range(figure.baseline_low, figure.baseline_high) + unit : "none"),
    make("td", {}, make("span", { className: `badge ${verdict}` }, verdict)));
}

function figurePlot({ name, value, low, high, baseline_low: least, baseline_high: most }) {
  const [width, height] = [260, 30];
  const known = [value, low, high, least, most].filter((one) => one !== null);
  const [from, to] = [Math.min(...known), Math.max(...known)];
  const margin = (to - from) * 0.12 || Math.abs(from) * 0.1 || 1;
  const xOf = (one) => 6 + ((one - from + margin) / (to - from + 2 * margin)) * (width - 12);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "figure", role: "img", "aria-label": `${name}, drawn beside its baseline` },
    draw("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2, class: "grid" }));
  if (least !== null || most !== null) {
    const [begin, end] = [least === null ? 0 : xOf(least), most === null ? width : xOf(most)];
    svg.append(draw("rect", { x: begin - 1, width: Math.max(2, end - begin + 2), y: 3, height: height - 6, class: "band" }));
  }
  if (low !== null && high !== null) {
    svg.append(draw("path", { d: `M${xOf(low)} 10V20M${xOf(low)} 15H${xOf(high)}M${xOf(high)} 10V20`, class: "whisker" }));
  }
  svg.append(draw("circle", { cx: xOf(value), cy: height / 2, r: 4.5, class: "dot" }));
  return svg;
}
