// One picture: axes, lines, marks, cells.

class Chart {
  constructor(root, figure) {
    this.root = root;
    this.figure = figure;
    this.plot = root.querySelector(".plot");
    this.log = { x: figure.x.scale === "log", y: figure.y.scale === "log" };
    this.hidden = new Set();
    this.zoom = null;
    this.cursor = null;
  }

  visible() {
    return this.figure.series.map((series, at) => ({ series, at })).filter(({ at }) => !this.hidden.has(at));
  }

  colour(slot) {
    if (slot === null || slot === undefined) return "var(--text)";
    if (this.figure.graded) return graded(slot / Math.max(this.figure.series.length - 1, 1));
    return `var(--s${slot % store.slots})`;
  }

  dash(slot) { return this.figure.dashed ? DASHES[slot % DASHES.length] : ""; }

  // Everything that takes a place along an axis.
  values(name) {
    const { series, marks, rules, regions, grid } = this.figure;
    if (grid) return [grid[name][0] - 0.5, grid[name][grid[name].length - 1] + 0.5];
    const found = [];
    const shown = this.visible();
    for (const { series: one } of shown.length ? shown : series.map((s) => ({ series: s }))) {
      for (const value of one[name]) found.push(value);
      if (name === "y") for (const band of [one.lower, one.upper]) if (band) for (const value of band) found.push(value);
    }
    for (const mark of marks) if (!this.hidden.has(mark.slot)) found.push(mark[name]);
    for (const rule of rules) found.push(rule[name]);
    if (name === "x") for (const region of regions) found.push(region.start, region.stop);
    return found;
  }

  limits(name) {
    if (this.zoom && this.zoom[name]) return this.zoom[name];
    const axis = this.figure[name], log = this.log[name];
    if (this.figure.grid) return extent(this.values(name), false);
    if (axis.limits && axis.limits[0] !== null && (!log || axis.limits[0] > 0) && log === (axis.scale === "log")) {
      return axis.limits;
    }
    return padded(extent(this.values(name), log), log, name === "x" ? 0.02 : 0.05);
  }

  draw() {
    const figure = this.figure;
    const width = printing ? 860 : Math.max(this.plot.clientWidth, 240);
    const rows = figure.grid ? figure.grid.y.length : 0;
    const height = figure.grid ? Math.min(Math.max(rows * 26 + 60, 220), 460)
      : Math.round(Math.min(Math.max(width * 0.42, 220), 380));
    this.width = width;
    this.x = this.limits("x");
    this.y = this.limits("y");
    const up = this.axisTicks("y", Math.max(Math.floor(height / 52), 3));
    const longest = Math.min(Math.max(...up.map(([, t]) => t.length), 1), 18);
    const box = { left: 14 + longest * 7, right: width - 14, top: 24, bottom: height - 42 };
    this.box = box;
    if (this.svg) this.svg.remove();
    const label = `${figure.title}. ${figure.subtitle}. Arrow keys read the values.`;
    this.svg = add(this.plot, "svg", {
      viewBox: `0 0 ${width} ${height}`, tabindex: "0", role: "img", "aria-label": label });
    const clip = `clip-${serial += 1}`;
    add(add(add(this.svg, "defs"), "clipPath", { id: clip }), "rect", {
      x: box.left, y: box.top - 1, width: Math.max(box.right - box.left, 1), height: box.bottom - box.top + 2 });
    this.frame(up);
    this.inner = add(this.svg, "g", { "clip-path": `url(#${clip})` });
    if (figure.grid) this.cells();
    this.areas();
    this.lines();
    this.marks();
    this.over = add(this.svg, "g");
  }

  axisTicks(name, most) {
    const axis = this.figure[name], [low, high] = name === "x" ? this.x : this.y;
    if (!axis.ticks) return ticks(low, high, this.log[name], most, axis.whole).filter(([at]) => at >= low && at <= high);
    const inside = axis.ticks.filter(([at]) => at >= low && at <= high);
    return inside.filter((_, at) => at % Math.max(Math.ceil(inside.length / Math.max(most, 2)), 1) === 0);
  }

  place(name, value) {
    const [low, high] = name === "x" ? this.x : this.y;
    if (value === null || (this.log[name] && value <= 0)) return null;
    const of = this.log[name] ? Math.log10 : (v) => v;
    const share = (of(value) / 2 - of(low) / 2) / (of(high) / 2 - of(low) / 2);
    const { left, right, top, bottom } = this.box;
    // Beyond some millions of pixels browsers draw nonsense.
    const bounded = Math.min(Math.max(share, -1e3), 1e3);
    return name === "x" ? left + bounded * (right - left) : bottom - bounded * (bottom - top);
  }

  back(name, pixel) {
    const [low, high] = name === "x" ? this.x : this.y;
    const { left, right, top, bottom } = this.box;
    const share = name === "x" ? (pixel - left) / (right - left) : (bottom - pixel) / (bottom - top);
    return this.log[name] ? low * (high / low) ** share : low + share * (high - low);
  }

  frame(up) {
    const { left, right, top, bottom } = this.box, svg = this.svg, figure = this.figure;
    for (const [at, words] of up) {
      const y = this.place("y", at);
      if (!figure.grid) add(svg, "line", { class: "gridline", x1: left, x2: right, y1: y, y2: y });
      add(svg, "text", { x: left - 8, y: y + 4, "text-anchor": "end" }, words.slice(0, 18));
    }
    let across = this.axisTicks("x", Math.max(Math.floor((right - left) / 90), 2));
    const widest = Math.max(...across.map(([, t]) => t.length), 1) * 7 + 12;
    if (widest * across.length > right - left) {
      across = this.axisTicks("x", Math.max(Math.floor((right - left) / widest), 2));
    }
    for (const [at, words] of across) {
      const x = this.place("x", at);
      if (!figure.grid) add(svg, "line", { class: "gridline", x1: x, x2: x, y1: top, y2: bottom });
      const end = x > right - 12 ? "end" : "middle";
      add(svg, "text", { x: end === "end" ? right : x, y: bottom + 17, "text-anchor": end }, words);
    }
    add(svg, "line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
    add(svg, "text", { class: "name", x: right, y: bottom + 35, "text-anchor": "end" }, figure.x.label);
    add(svg, "text", { class: "name", x: 0, y: 13 }, figure.y.label);
  }

  cells() {
    const { grid, colours } = this.figure;
    const log = colours.scale === "log", [low, high] = colours.limits;
    const of = log ? Math.log10 : (v) => v;
    const wide = this.place("x", 1) - this.place("x", 0), tall = this.place("y", 0) - this.place("y", 1);
    grid.values.forEach((row, r) => row.forEach((value, c) => {
      const x = this.place("x", grid.x[c]), y = this.place("y", grid.y[r]);
      const gap = Math.min(wide, tall) > 8 ? 1 : 0;
      const cell = {
        "shape-rendering": "crispEdges", x: x - wide / 2, y: y - tall / 2, width: Math.max(wide - gap, 0.5), height: Math.max(tall - gap, 0.5),
      };
      if (value === null) {
        const blocked = grid.blocked[r][c];
        add(this.inner, "rect", { ...cell, fill: blocked ? "var(--shade)" : "var(--panel)" });
        if (blocked && Math.min(wide, tall) >= 9) this.cross(x, y, Math.min(wide, tall, 12) / 3, "var(--quiet)");
        return;
      }
      const share = high > low ? (of(value) - of(low)) / (of(high) - of(low)) : 0.5;
      add(this.inner, "rect", { ...cell, fill: log && value <= 0 ? blend(0) : blend(share) });
    }));
  }

  cross(x, y, size, colour, parent = this.inner) {
    add(parent, "path", { d: `M${x - size} ${y - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`,
      stroke: colour, "stroke-width": 1.8, fill: "none" });
  }

  areas() {
    const { left, right, top, bottom } = this.box;
    for (const region of this.figure.regions) {
      const from = region.start === null ? left : Math.max(this.place("x", region.start) ?? left, left);
      const to = region.stop === null ? right : Math.min(this.place("x", region.stop) ?? right, right);
      if (!(to > from)) continue;
      add(this.inner, "rect", { class: "shade", x: from, y: top, width: to - from, height: bottom - top });
      const fits = region.label.length * 6.6 < to - from - 8;
      if (fits) add(this.inner, "text", { class: "region", x: from + 6, y: bottom - 8 }, region.label);
    }
    for (const rule of this.figure.rules) {
      const x = this.place("x", rule.x), y = this.place("y", rule.y);
      if (x !== null) {
        add(this.inner, "line", { class: "rule", x1: x, x2: x, y1: top, y2: bottom });
        const end = x + rule.label.length * 6.6 + 8 > right;
        const busy = this.figure.marks.some((mark) => mark.y === null && mark.kind !== "zero");
        add(this.inner, "text", { x: end ? x - 6 : x + 6, y: top + (busy ? 30 : 14), "text-anchor": end ? "end" : "start" }, rule.label);
      } else if (y !== null) {
        add(this.inner, "line", { class: "rule", x1: left, x2: right, y1: y, y2: y });
        const below = y - 18 < top;
        add(this.inner, "text", { x: left + 6, y: below ? y + 14 : y - 5 }, rule.label);
      }
    }
  }

  lines() {
    for (const { series } of this.visible()) {
      const colour = this.colour(series.slot), many = series.x.length > 60;
      const points = series.x.map((value, at) => {
        const x = this.place("x", value), y = this.place("y", series.y[at]);
        return x === null || y === null ? null : [x, y, at];
      });
      if (series.lower && series.upper) this.band(series, colour);
      if (series.style !== "points") {
        let path = "", pen = "M";
        for (const point of points) {
          if (point === null) { pen = "M"; continue; }
          path += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
          pen = "L";
        }
        const faint = series.weight === "faint";
        add(this.inner, "path", { d: path || "M0 0", fill: "none", stroke: colour, "stroke-linejoin": "round",
          "stroke-width": faint ? 0.8 : 1.8, "stroke-opacity": faint ? 0.4 : this.figure.series.length > 30 ? 0.75 : 1,
          "stroke-dasharray": faint ? "" : this.dash(series.slot) });
      }
      if (series.style === "line") continue;
      const { colours } = this.figure;
      for (const point of points) {
        if (point === null) continue;
        let fill = colour;
        if (series.values && colours) {
          const of = colours.scale === "log" ? Math.log10 : (v) => v, [low, high] = colours.limits;
          const value = series.values[point[2]];
          fill = value === null ? "var(--quiet)" : blend((of(value) - of(low)) / (of(high) - of(low) || 1));
        }
        add(this.inner, "circle", { cx: point[0], cy: point[1], r: series.values ? 4.5 : many ? 1.8 : 3, fill });
      }
    }
  }

  band(series, colour) {
    const top = this.box.top, upper = [], lower = [];
    series.x.forEach((value, at) => {
      const x = this.place("x", value), low = this.place("y", series.lower[at]);
      if (x === null || low === null) return;
      upper.push(`${x.toFixed(1)} ${(this.place("y", series.upper[at]) ?? top).toFixed(1)}`);
      lower.unshift(`${x.toFixed(1)} ${low.toFixed(1)}`);
    });
    if (upper.length) {
      add(this.inner, "path", { d: `M${[...upper, ...lower].join("L")}Z`, fill: colour, "fill-opacity": 0.17 });
    }
  }

  marks() {
    const { top, bottom, left, right } = this.box;
    for (const mark of this.figure.marks) {
      if (this.hidden.has(mark.slot)) continue;
      const x = this.place("x", mark.x);
      if (x === null || x < left - 1 || x > right + 1) continue;
      const edge = mark.kind === "zero" ? bottom - 6 : top + 8;
      const y = mark.y === null ? edge : this.place("y", mark.y) ?? bottom - 6;
      const colour = mark.slot === null && mark.kind === "diverged" ? "var(--bad)" : this.colour(mark.slot);
      if (mark.kind === "diverged") this.cross(x, y, 4.5, colour, this.svg);
      else if (mark.kind === "zero") {
        add(this.svg, "path", { d: `M${x - 4} ${y - 3}h8l-4 7z`, fill: "var(--back)", stroke: colour });
      } else {
        add(this.svg, "circle", { cx: x, cy: y, r: 4.5, fill: "var(--back)", stroke: colour, "stroke-width": 1.8 });
      }
      if (!mark.label) continue;
      const end = x + mark.label.length * 7 + 14 > right;
      const down = mark.y !== null && y - 14 < top;
      add(this.svg, "text", { class: "name", x: end ? x - 9 : x + 9, y: mark.y === null ? y + 4 : down ? y + 16 : y - 7,
        "text-anchor": end ? "end" : "start" }, mark.label);
    }
  }
}
