"use strict";

// A finding, which leads to what it is about in the timeline of its server.

function findingOf(found, panels) {
  const panel = panels.find((one) => one.server.name === found.server);
  const article = make("article", { className: "finding" },
    make("h4", {}, make("span", { className: "code" }, found.code), ` ${found.statement}`),
    make("p", {}, found.summary), make("pre", {}, found.evidence.join("\n")),
    make("p", { className: "hint" }, make("b", {}, "Hint: "), found.hint));
  if (panel && (found.connections.length || found.exchanges.length)) {
    const show = () => {
      panel.lanes.mark(found.connections);
      panel.lanes.select(panel.server.bars.find((bar) => bar.number === found.exchanges[0]) ?? null);
      panel.timeline.scrollIntoView({ block: "center" });
      panel.lanes.canvas.focus({ preventScroll: true });
    };
    article.append(make("button", { type: "button", onclick: show }, "Show in the timeline"));
  }
  return article;
}
