"use strict";

// The page: the list of tests, the test that is shown, and what is printed.

const report = JSON.parse(byId("data").textContent);

/** What a test's page has over its servers. */
function headOf(test) {
  const parts = [make("h2", {}, make("span", { className: `badge ${test.outcome}` }, test.outcome), test.name)];
  parts.push(make("p", { className: "place" }, [test.place, inWords(test.duration)].filter(Boolean).join(" · ")));
  if (test.message) parts.push(make("pre", { className: "message" }, test.message));
  return parts;
}

function figuresOf(test) {
  return test.figures.length ? [make("section", {}, make("h3", {}, "Beside the baseline"), comparison(test.figures))] : [];
}

function bodyOf(test) {
  const panels = test.servers.map((server, index) => new ServerPanel(readServer(server), index));
  return { panels, parts: [...headOf(test), ...test.findings.map((found) => findingOf(found, panels)), ...figuresOf(test),
    ...panels.map((panel) => panel.element)] };
}

class Page {
  constructor() {
    this.outcomes = new Set();
    this.tests = report.tests.map((test) => Object.assign(test, {
      words: `${test.name} ${test.message} ${test.findings.map((found) => `${found.code} ${found.statement}`).join(" ")}`.toLowerCase(),
      button: null,
    }));
    this.panels = [];
    byId("summary").textContent = summaryOf(report);
    for (const test of this.tests) test.button = this.entry(test);
    byId("tests").append(...this.tests.map((test) => make("li", {}, test.button)));
    byId("test-outcomes").append(...this.outcomeButtons());
    this.listen();
    this.theme = new Theme(byId("theme"), () => this.panels.forEach((panel) => panel.dress()));
    this.filter();
    this.show(this.tests.find((test) => test.outcome !== "passed" || test.findings.length) ?? this.tests[0]);
  }

  entry(test) {
    const codes = [...new Set(test.findings.map((found) => found.code))].map((code) => make("span", { className: "code" }, code));
    const count = test.servers.reduce((sum, server) => sum + server.counts.exchanges, 0);
    return make("button", { type: "button", onclick: () => this.show(test) }, make("span", { className: `badge ${test.outcome}` }, test.outcome),
      make("span", { className: "name" }, test.name), make("small", {}, counted(count, "exchange")), ...codes);
  }

  outcomeButtons() {
    return [...new Set(this.tests.map((test) => test.outcome))].sort().map((outcome) => {
      const count = this.tests.filter((test) => test.outcome === outcome).length;
      const button = make("button", { type: "button", className: "toggle", "aria-pressed": "false" }, `${outcome} `, make("b", {}, grouped(count)));
      button.onclick = () => {
        if (!this.outcomes.delete(outcome)) this.outcomes.add(outcome);
        button.setAttribute("aria-pressed", String(this.outcomes.has(outcome)));
        this.filter();
      };
      return button;
    });
  }

  filter() {
    const words = byId("find-test").value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (test) => (!this.outcomes.size || this.outcomes.has(test.outcome)) && words.every((word) => test.words.includes(word));
    this.shown = this.tests.filter(matches);
    for (const test of this.tests) test.button.parentElement.hidden = !this.shown.includes(test);
    byId("no-tests").hidden = this.shown.length > 0;
    byId("no-tests").textContent = this.tests.length ? "No test matches." : "";
  }

  show(test) {
    for (const one of this.tests) one.button.toggleAttribute("aria-current", one === test);
    this.current = test;
    if (!test) {
      byId("test").replaceChildren(make("p", { className: "empty" }, "No test of this run used a fake server, or measured anything."));
      return;
    }
    const { panels, parts } = bodyOf(test);
    this.panels = panels;
    byId("test").replaceChildren(...parts);
    byId("test").scrollTop = 0;
    test.button.scrollIntoView({ block: "nearest" });
  }

  /** Show the test that comes `by` after this one among those that match. */
  step(by) {
    const next = this.shown[this.shown.indexOf(this.current) + by];
    if (next) {
      this.show(next);
      next.button.focus();
    }
  }

  listen() {
    byId("find-test").addEventListener("input", () => this.filter());
    byId("help").onclick = () => byId("keys").showModal();
    byId("tests").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by) { event.preventDefault(); this.step(by); }
    });
    document.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("beforeprint", () => this.expand());
    window.addEventListener("afterprint", () => this.collapse());
  }

  press(event) {
    if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    const actions = {
      t: () => byId("find-test").focus(), "/": () => document.querySelector(".find-exchange")?.focus(),
      j: () => this.step(1), k: () => this.step(-1), "?": () => byId("keys").showModal(),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** For paper: every test that is listed, one after the other, with its whole timeline. */
  expand() {
    document.documentElement.dataset.theme = "light";
    const paper = byId("print");
    paper.replaceChildren(...this.shown.map((test) => make("section", { className: "sheet" }, ...headOf(test),
      ...test.findings.map((found) => findingOf(found, [])), ...figuresOf(test), ...test.servers.map((server) => printed(readServer(server))))));
  }

  collapse() {
    byId("print").replaceChildren();
    this.theme.choose(this.theme.name);
  }
}

function summaryOf({ tests, created_at: created, version }) {
  const failed = tests.filter((test) => test.outcome !== "passed" && test.outcome !== "skipped").length;
  const found = tests.reduce((sum, test) => sum + test.findings.length, 0);
  const exchanges = tests.flatMap((test) => test.servers).reduce((sum, server) => sum + server.counts.exchanges, 0);
  return [counted(tests.length, "test"), `${grouped(failed)} failed`, counted(found, "finding"), counted(exchanges, "exchange"),
    created, version && `pytest-httpconc ${version}`].filter(Boolean).join(" · ");
}

new Page();
