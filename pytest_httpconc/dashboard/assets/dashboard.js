"use strict";

// The live page: its servers, and the news of them.

const known = JSON.parse(byId("data").textContent);

/** A server with its findings and controls. */
class Watched {
  constructor(server, place) {
    this.place = place;
    this.panel = new LivePanel(new LiveServer(server.name, known), place);
    this.controls = new Controls((method, path, body) => this.ask(method, path, body), server);
    this.findings = make("div", { role: "log", "aria-label": "Findings" });
    this.ended = make("p", { className: "message", hidden: true });
    this.panel.element.querySelector("h3").after(this.ended, this.controls.element);
    this.element = make("div", {}, this.findings, this.panel.element);
  }

  /** Change something of the server; what was wrong with that, or nothing. */
  async ask(method, path, body) {
    const headers = { "X-Httpconc-Token": known.token };
    try {
      const answer = await fetch(`servers/${this.place}/${path}`, { method, headers, body: body && JSON.stringify(body) });
      return answer.ok ? (await answer.json()).problem : await answer.text();
    } catch (error) {
      return String(error.message);
    }
  }

  take(news) {
    if (news.ended) this.ended.textContent = news.ended;
    this.ended.hidden = !news.ended;
    if (news.injections) this.controls.show(news.injections);
    if (news.lanes) this.panel.take(news);
    if (news.findings) this.findings.replaceChildren(...news.findings.map((found) => findingOf(found, [this.panel])));
  }

  forget() {
    this.panel.server.beginAnew();
  }
}

class Dashboard {
  constructor() {
    this.watched = known.servers.map((server, place) => new Watched(server, place));
    byId("servers").append(...this.watched.map((watched) => watched.element));
    byId("faults").append(...known.faults.map((value) => make("option", { value })));
    byId("help").onclick = () => byId("keys").showModal();
    new Theme(byId("theme"), () => this.watched.forEach(({ panel }) => panel.dress()));
    document.addEventListener("keydown", (event) => this.press(event));
    this.listen();
  }

  /** Each time the connection is made, the whole comes anew. */
  listen() {
    const events = new EventSource("events");
    this.tell("connecting", false);
    events.onopen = () => {
      this.watched.forEach((watched) => watched.forget());
      this.tell("live", false);
    };
    events.onmessage = ({ data }) => {
      const news = JSON.parse(data);
      this.watched[news.place]?.take(news); // another run may have fewer
    };
    events.onerror = () => this.tell("the server does not answer; what is shown is what came last", true);
  }

  tell(words, isLost) {
    byId("summary").textContent = words;
    byId("summary").toggleAttribute("data-lost", isLost);
  }

  press(event) {
    if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
    const actions = { "/": () => document.querySelector(".find-exchange")?.focus(), "?": () => byId("keys").showModal() };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }
}

new Dashboard();
