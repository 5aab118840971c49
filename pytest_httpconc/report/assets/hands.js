"use strict";

// What keyboard and mouse do to a timeline.

class Hands {
  constructor(lanes) {
    this.lanes = lanes;
    this.grabbed = null;
    const { canvas } = lanes;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("pointermove", (event) => (this.grabbed ? this.drag(event) : this.explain(event)));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => { this.grabbed = null; });
    canvas.addEventListener("pointerleave", () => { lanes.tip.hidden = true; });
    canvas.addEventListener("dblclick", (event) => { const bar = this.hit(event); if (bar) lanes.zoomTo(bar); });
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { lanes } = this;
    const shifted = event.shiftKey;
    const actions = {
      "+": () => lanes.zoom(1.5), "=": () => lanes.zoom(1.5), "-": () => lanes.zoom(1 / 1.5), "0": () => lanes.fit(),
      ArrowLeft: () => (shifted ? lanes.move(-0.2) : lanes.step(-1, 0)),
      ArrowRight: () => (shifted ? lanes.move(0.2) : lanes.step(1, 0)),
      ArrowUp: () => lanes.step(0, -1), ArrowDown: () => lanes.step(0, 1),
      Home: () => lanes.selectEdge(false), End: () => lanes.selectEdge(true),
      Enter: () => lanes.selected && lanes.zoomTo(lanes.selected), Escape: () => lanes.select(null),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  wheel(event) {
    const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (event.ctrlKey || event.metaKey) {
      this.lanes.zoom(Math.exp(-event.deltaY / 240), this.lanes.drawing.instantAt(event.offsetX));
    } else if (isSideways) {
      this.lanes.move((event.deltaX || event.deltaY) / this.lanes.drawing.width);
    } else return;
    event.preventDefault();
  }

  grab(event) {
    if (event.button !== 0) return;
    this.grabbed = { x: event.offsetX, moved: false };
    this.lanes.canvas.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const { grabbed, lanes } = this;
    if (!grabbed.moved && Math.abs(grabbed.x - event.offsetX) <= 3) return;
    grabbed.moved = true;
    lanes.move((grabbed.x - event.offsetX) / (lanes.drawing.right - lanes.drawing.left));
    grabbed.x = event.offsetX;
  }

  release(event) {
    if (this.grabbed && !this.grabbed.moved) this.lanes.select(this.hit(event));
    this.grabbed = null;
  }

  laneAt(event) {
    const { rows, scroller } = this.lanes;
    return event.offsetY < AXIS ? undefined : rows[Math.floor((event.offsetY - AXIS + scroller.scrollTop) / LANE)];
  }

  hit(event) {
    const { drawing } = this.lanes;
    const [from, at, to] = [-3, 0, 3].map((slack) => drawing.instantAt(event.offsetX + slack));
    const bars = this.laneAt(event)?.bars ?? [];
    return nearest(bars.filter((bar) => bar.begun_at <= to && from <= bar.end), at) ?? null;
  }

  /** Tell in a box beside the pointer what it points at. */
  explain(event) {
    const { tip, canvas } = this.lanes;
    const bar = this.hit(event);
    const lane = this.laneAt(event);
    tip.hidden = !lane;
    canvas.style.cursor = bar ? "pointer" : "grab";
    if (!lane) return;
    tip.replaceChildren(listOf(bar ? describeBar(bar) : describeConnection(lane)));
    const place = tip.offsetParent.getBoundingClientRect();
    const left = Math.min(event.clientX - place.left + 14, place.width - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${event.clientY - place.top + 18}px`;
  }
}
