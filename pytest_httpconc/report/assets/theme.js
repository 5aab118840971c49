"use strict";

// Light or dark: as the system has it, or as the button says.

const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

class Theme {
  /** @param {() => void} onChange is called when colours have changed, and once at the beginning. */
  constructor(button, onChange) {
    this.button = button;
    this.onChange = onChange;
    button.onclick = () => {
      const names = Object.keys(THEMES);
      this.choose(names[(names.indexOf(this.name) + 1) % names.length]);
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.choose(this.name));
    this.choose("auto");
  }

  choose(name) {
    this.name = name;
    const isDark = name === "dark" || (name === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    this.button.textContent = THEMES[name];
    this.onChange();
  }
}
