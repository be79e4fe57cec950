// What people do with a picture: point, drag, switch lines and scales, by mouse, finger and keys.

class Reader extends Chart {
  constructor(root, figure) {
    super(root, figure);
    this.tip = add(this.plot, "div", { class: "tip", hidden: "" });
    this.heard = add(this.plot, "div", { class: "heard", role: "status", "aria-live": "polite" });
    this.makeTools();
    this.makeLegend();
    this.draw();
    this.listen();
  }

  draw() {
    super.draw();
    this.showCursor();
  }

  makeTools() {
    const tools = this.root.querySelector(".tools");
    const button = (words, act) => {
      const made = add(tools, "button", { type: "button" }, words);
      made.addEventListener("click", act);
      return made;
    };
    for (const name of ["y", "x"]) {
      if (this.figure[name].ticks || this.figure.grid || !this.values(name).some((value) => value > 0)) continue;
      const made = button(`log ${name}`, () => {
        this.log[name] = !this.log[name];
        this.zoom = null;
        this.reset.hidden = true;
        made.setAttribute("aria-pressed", String(this.log[name]));
        this.draw();
      });
      made.setAttribute("aria-pressed", String(this.log[name]));
    }
    this.reset = button("reset zoom", () => this.setZoom(null));
    this.reset.hidden = true;
  }

  makeLegend() {
    const legend = this.root.querySelector(".legend"), { series, colours, graded: order } = this.figure;
    if (colours) { this.bar(legend, text(colours.limits[0], 3), text(colours.limits[1], 3), blend, colours.label); return; }
    const named = series.filter((one) => one.label);
    if (!named.length || (named.length === 1 && series.length === 1)) return;
    if (named.length > 24 && order) {
      this.bar(legend, named[0].label, named[named.length - 1].label, graded, "");
      return;
    }
    series.forEach((one, at) => {
      if (!one.label) return;
      const button = add(legend, "button", {
        type: "button", "aria-pressed": String(!this.hidden.has(at)), title: "show or hide; Alt: alone" });
      this.swatch(button, one);
      add(button, "span", {}, one.label);
      button.addEventListener("click", (event) => this.toggle(at, button, event.altKey));
    });
  }

  swatch(parent, series) {
    const svg = add(parent, "svg", { width: 22, height: 10, viewBox: "0 0 22 10", "aria-hidden": "true" });
    const colour = this.colour(series.slot);
    if (series.style === "points") add(svg, "circle", { cx: 11, cy: 5, r: 3.5, fill: colour });
    else {
      const faint = series.weight === "faint";
      add(svg, "line", { x1: 0, x2: 22, y1: 5, y2: 5, stroke: colour, "stroke-width": faint ? 1 : 2.2,
        "stroke-opacity": faint ? 0.55 : 1, "stroke-dasharray": faint ? "" : this.dash(series.slot) });
    }
  }

  bar(legend, first, last, colour, label) {
    const bar = add(legend, "div", { class: "bar" });
    if (label) add(bar, "span", {}, label);
    add(bar, "span", {}, first);
    const svg = add(bar, "svg", { width: 160, height: 10, viewBox: "0 0 160 10", role: "img", "aria-label": "colours" });
    for (let at = 0; at < 40; at += 1) add(svg, "rect", { x: at * 4, y: 0, width: 4.5, height: 10, fill: colour(at / 39) });
    add(bar, "span", {}, last);
  }

  toggle(at, button, alone) {
    if (alone) {
      this.figure.series.forEach((_, other) => this.hidden.add(other));
      this.hidden.delete(at);
    } else if (!this.hidden.delete(at)) this.hidden.add(at);
    const buttons = [...this.root.querySelectorAll(".legend button")];
    const named = this.figure.series.map((one, k) => [one, k]).filter(([one]) => one.label);
    buttons.forEach((one, k) => one.setAttribute("aria-pressed", String(!this.hidden.has(named[k][1]))));
    this.draw();
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.reset.hidden = zoom === null;
    this.draw();
  }

  zoomBy(factor) {
    const [a, b] = [this.box.left, this.box.right];
    const middle = this.cursor === null ? (a + b) / 2 : Math.min(Math.max(this.place("x", this.cursor), a), b);
    const from = this.back("x", middle - (middle - a) * factor), to = this.back("x", middle + (b - middle) * factor);
    this.setZoom({ x: [from, to], y: this.zoom && this.zoom.y });
  }

  position(event) {
    const frame = this.svg.getBoundingClientRect(), scale = this.width / frame.width;
    return [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
  }

  listen() {
    let start = null, box = null;
    this.plot.addEventListener("pointermove", (event) => {
      const [x, y] = this.position(event);
      if (start) {
        if (box) box.remove();
        const whole = Math.abs(y - start[1]) < 14;
        box = add(this.over, "rect", { class: "box", x: Math.min(x, start[0]), width: Math.abs(x - start[0]),
          y: whole ? this.box.top : Math.min(y, start[1]),
          height: whole ? this.box.bottom - this.box.top : Math.abs(y - start[1]) });
        return;
      }
      this.hover(x, y);
    });
    this.plot.addEventListener("pointerdown", (event) => {
      const [x, y] = this.position(event);
      if (event.pointerType === "touch") this.hover(x, y);
      if (event.button !== 0 || event.pointerType === "touch" || this.figure.grid) return;
      if (x < this.box.left || x > this.box.right || y < this.box.top || y > this.box.bottom) return;
      start = [x, y];
      this.plot.setPointerCapture(event.pointerId);
    });
    const finish = (event) => {
      if (!start) return;
      const [x, y] = this.position(event), [x0, y0] = start;
      start = null;
      if (box) box.remove();
      box = null;
      if (Math.abs(x - x0) < 6) return;
      const across = [x0, x].map((at) => this.back("x", Math.min(Math.max(at, this.box.left), this.box.right)));
      const up = [y0, y].map((at) => this.back("y", Math.min(Math.max(at, this.box.top), this.box.bottom)));
      const ordered = (pair) => pair.sort((a, b) => a - b);
      this.setZoom({ x: ordered(across), y: Math.abs(y - y0) < 14 ? this.zoom && this.zoom.y : ordered(up) });
    };
    this.plot.addEventListener("pointerup", finish);
    this.plot.addEventListener("pointercancel", () => { start = null; if (box) box.remove(); box = null; });
    this.plot.addEventListener("pointerleave", () => { if (!start) this.leave(); });
    this.plot.addEventListener("dblclick", () => this.setZoom(null));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => {
      // Not at once: drawing changes the height, which the observer would be told of while it still tells.
      requestAnimationFrame(() => {
        if (!printing && Math.abs(this.plot.clientWidth - this.width) > 1 && this.plot.clientWidth) this.draw();
      });
    }).observe(this.plot);
  }

  key(event) {
    const x = this.figure.series.length ? (this.visible()[0] || { series: { x: [] } }).series.x : [];
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (step && x.length) {
      let at = this.cursor === null ? (step > 0 ? -1 : x.length) : nearest(x, this.cursor);
      at = Math.min(Math.max(at + step, 0), x.length - 1);
      const kept = this.svg;
      this.hover(this.place("x", x[at]), null);
      this.heard.textContent = this.tip.innerText.replace(/\n/g, " ");
      kept.focus();
    } else if (event.key === "+" || event.key === "=") this.zoomBy(0.5);
    else if (event.key === "-") this.zoomBy(2);
    else if (event.key === "Escape") { this.leave(); if (this.zoom) this.setZoom(null); }
    else return;
    if (document.activeElement !== this.svg) this.svg.focus();
    event.preventDefault();
  }

  leave() {
    this.cursor = null;
    this.tip.hidden = true;
    this.over.replaceChildren();
  }

  hover(px, py) {
    if (this.figure.grid) { this.hoverCell(px, py); return; }
    const { left, right } = this.box;
    if (px === null || px < left - 4 || px > right + 4) { this.leave(); return; }
    const rows = [];
    for (const { series } of this.visible()) {
      const at = series.values || py === null || !isOrdered(series) ? this.nearestPoint(series, px, py) : nearest(series.x, this.back("x", px));
      if (at === null || at < 0) continue;
      const x = this.place("x", series.x[at]), y = this.place("y", series.y[at]);
      if (x === null || Math.abs(x - px) > 60 + (right - left) / Math.max(series.x.length, 1)) continue;
      rows.push({ series, at, x, y, far: py === null || y === null ? 0 : Math.abs(y - py) });
    }
    if (!rows.length) { this.leave(); return; }
    const scattered = rows.some((row) => row.series.values);
    const most = rows.length > 8 || scattered ? [...rows].sort((a, b) => a.far - b.far).slice(0, scattered ? 1 : 8) : rows;
    most.sort((a, b) => (a.y ?? 0) - (b.y ?? 0));
    const lead = most.reduce((a, b) => (Math.abs(b.x - px) < Math.abs(a.x - px) ? b : a));
    this.cursor = lead.series.x[lead.at];
    this.shown = most;
    this.showCursor();
    this.tip.replaceChildren();
    const named = this.figure.x.ticks && this.figure.x.ticks.find(([at]) => at === this.cursor);
    add(add(this.tip, "div"), "b", {}, `${this.figure.x.label || "x"} ${named ? named[1] : text(this.cursor)}`);
    for (const { series, at } of most) {
      const row = add(this.tip, "div");
      this.swatch(row, series);
      const value = series.values ? series.values[at] : series.y[at];
      const label = series.label || (series.values && this.figure.colours.label) || this.figure.y.label;
      add(row, "span", { class: "words" }, label);
      add(row, "span", {}, value === null ? "not finite" : text(value, 7));
    }
    this.putTip(lead.x, py === null ? this.box.top + 20 : py);
  }

  nearestPoint(series, px, py) {
    let best = null, least = Infinity;
    series.x.forEach((value, at) => {
      const x = this.place("x", value), y = this.place("y", series.y[at]);
      if (x === null || y === null) return;
      const far = (x - px) ** 2 + (py === null ? 0 : (y - py) ** 2);
      if (far < least) { least = far; best = at; }
    });
    return best;
  }

  hoverCell(px, py) {
    const { grid, x, y } = this.figure;
    if (py === null) return;
    const c = grid.x.indexOf(Math.round(this.back("x", px))), r = grid.y.indexOf(Math.round(this.back("y", py)));
    if (c < 0 || r < 0) { this.leave(); return; }
    const name = (axis, at) => (axis.ticks.find(([k]) => k === at) || [0, text(at)])[1];
    this.tip.replaceChildren();
    add(add(this.tip, "div"), "span", {}, `${x.label} ${name(x, grid.x[c])}`);
    add(add(this.tip, "div"), "span", {}, `${y.label} ${name(y, grid.y[r])}`);
    const value = grid.values[r][c];
    const words = value === null ? (grid.blocked[r][c] ? "diverged" : "no trial") : `${grid.label} ${text(value, 7)}`;
    add(add(this.tip, "div"), "b", {}, words);
    this.putTip(px, py);
  }

  putTip(px, py) {
    this.tip.hidden = false;
    const scale = this.svg.getBoundingClientRect().width / this.width;
    const room = this.plot.clientWidth, wide = this.tip.offsetWidth;
    const left = px * scale + 16 + wide > room ? px * scale - wide - 16 : px * scale + 16;
    this.tip.style.left = `${Math.max(left, 0)}px`;
    this.tip.style.top = `${Math.max(py * scale - 20, 0)}px`;
  }

  showCursor() {
    this.over.replaceChildren();
    if (this.cursor === null || !this.shown) return;
    const x = this.place("x", this.cursor), { left, right, top, bottom } = this.box;
    if (x === null || x < left || x > right) { this.tip.hidden = true; return; }
    add(this.over, "line", { class: "cross", x1: x, x2: x, y1: top, y2: bottom });
    for (const { series, at } of this.shown) {
      const y = this.place("y", series.y[at]), cx = this.place("x", series.x[at]);
      if (y === null || y < top || y > bottom) continue;
      add(this.over, "circle", { cx, cy: y, r: 3.6, fill: "var(--back)", stroke: this.colour(series.slot), "stroke-width": 2 });
    }
  }
}
