"use strict";

// What may be changed of a server: a fault or a delay injected and taken back, everything begun anew.

const FIELDS = [
  { name: "fault", label: "Fault", placeholder: "Disconnect(at=EXECUTED)", list: "faults" },
  { name: "delay", label: "Delay", placeholder: "seconds" },
  { name: "on", label: "On", placeholder: "POST /execute" },
  { name: "times", label: "Times", placeholder: "without end" },
  { name: "after", label: "After", placeholder: "0" },
  { name: "probability", label: "Probability", placeholder: "1" },
];

class Controls {
  /** @param {(method: string, path: string, body?: object) => Promise<string>} ask resolves to what was wrong, or "". */
  constructor(ask, { may_inject: mayInject }) {
    this.ask = ask;
    this.problem = make("output", { className: "problem", role: "alert" });
    this.list = make("ul", { className: "injections" });
    const reset = make("button", { type: "button", title: "Forget the ledger and what is injected" }, "Reset");
    reset.onclick = () => this.change("POST", "reset");
    this.summary = make("summary", {}, "What goes wrong");
    this.element = make("details", { className: "controls" }, this.summary, this.list,
      mayInject ? this.form() : make("p", { className: "empty" }, "What goes wrong was recorded, and is replayed."),
      make("p", {}, reset), this.problem);
  }

  form() {
    const inputs = FIELDS.map(({ name, label, placeholder, list }) => {
      const input = make("input", { name, placeholder, autocomplete: "off" });
      if (list) input.setAttribute("list", list);
      return make("label", {}, label, input);
    });
    const form = make("form", { className: "bar" }, ...inputs, make("button", {}, "Inject"));
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (await this.change("POST", "injections", Object.fromEntries(new FormData(form)))) form.reset();
    };
    return form;
  }

  async change(method, path, body) {
    this.problem.textContent = await this.ask(method, path, body);
    return !this.problem.textContent;
  }

  show(injections) {
    this.summary.textContent = `What goes wrong (${grouped(injections.length)})`;
    this.list.replaceChildren(...injections.map(({ number, text }) => {
      const button = make("button", { type: "button", "aria-label": `Take back ${text}` }, "Take back");
      button.onclick = () => this.change("DELETE", `injections/${number}`);
      return make("li", {}, button, text);
    }));
  }
}
