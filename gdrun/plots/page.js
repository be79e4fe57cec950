// Figures drawn by plotly, tables that sort and filter, the choice of runs to compare.

const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const store = JSON.parse(byId("figures").textContent);

function add(parent, name, attributes = {}, text = "") {
  const made = parent.appendChild(document.createElement(name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// Colours are the page's CSS variables: plotly knows none of them, and they change with the scheme.
function themed(value) {
  const style = getComputedStyle(document.documentElement);
  const colour = (_, name) => style.getPropertyValue(name).trim();
  return JSON.parse(JSON.stringify(value).replace(/var\((--\w+)\)/g, colour));
}

const axis = { gridcolor: "var(--grid)", linecolor: "var(--rule)", zeroline: false, exponentformat: "power", automargin: true,
  minor: { ticks: "" }, tickfont: { color: "var(--quiet)" }, title: { standoff: 8, font: { color: "var(--quiet)" } } };
const base = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, xaxis: axis, yaxis: axis,
  margin: { l: 48, r: 12, t: 20, b: 40 }, dragmode: "zoom", font: { color: "var(--text)", size: 12, family: "system-ui, sans-serif" },
  hoverlabel: { bgcolor: "var(--panel)", bordercolor: "var(--rule)", font: { color: "var(--text)" } },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--quiet)", activecolor: "var(--text)" } };
const config = { displaylogo: false, responsive: true, doubleClick: "reset+autosize",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"] };

class Chart {
  constructor(root) {
    this.root = root;
    this.plot = root.querySelector(".plot");
    this.figure = store[root.dataset.figure];
    this.log = { xaxis: this.figure.layout.xaxis.type === "log", yaxis: this.figure.layout.yaxis.type === "log" };
    this.ranges = { xaxis: this.figure.layout.xaxis.range, yaxis: this.figure.layout.yaxis.range };
    this.hidden = new Set();
    this.frame = (this.figure.frames || []).length - 1;
    this.tools();
    this.legend();
    if (this.figure.frames) this.player();
    this.draw();
  }

  draw() {
    const { data, layout } = themed({ data: this.figure.data, layout: { ...base, ...this.figure.layout } });
    for (const name of ["xaxis", "yaxis"]) {
      layout[name] = { ...themed(axis), ...layout[name], type: this.log[name] ? "log" : "linear",
        title: { ...themed(axis.title), ...layout[name].title } };
      if (this.ranges[name]) layout[name].range = [...this.ranges[name]];
      if (layout[name].type !== this.figure.layout[name].type || !this.log[name]) delete layout[name].dtick;
    }
    // The label of a vertical line stands above the plot, and below plotly's buttons.
    if (layout.shapes?.some((shape) => shape.type === "line" && shape.x0 === shape.x1 && shape.label.text)) layout.margin.t = 44;
    data.forEach((trace) => { trace.visible = !this.hidden.has(trace.legendgroup) });
    if (this.figure.frames) {
      const { traces, data: parts } = this.figure.frames[this.frame];
      traces.forEach((index, k) => {
        const trace = data[index], { points, ...others } = parts[k];
        Object.assign(trace, others);
        if (points !== undefined) for (const name of ["x", "y"]) trace[name] = trace[name].slice(0, points);
      });
    }
    Plotly.react(this.plot, data, layout, config);
  }

  button(words, act) {
    const made = add(this.root.querySelector(".tools"), "button", { type: "button" }, words);
    made.addEventListener("click", () => act(made));
    return made;
  }

  tools() {
    for (const name of ["yaxis", "xaxis"]) {
      const values = this.figure.data.flatMap((trace) => trace[name[0]] || []);
      if (this.figure.layout[name].tickvals || this.figure.data.some((trace) => trace.z) || !values.some((value) => value > 0)) continue;
      this.button(`log ${name[0]}`, (made) => {
        this.log[name] = !this.log[name];
        this.ranges[name] = undefined;
        made.setAttribute("aria-pressed", this.log[name]);
        this.draw();
      }).setAttribute("aria-pressed", this.log[name]);
    }
    this.button("reset", () => {
      const ranges = Object.entries(this.ranges).map(([name, range]) =>
        range ? { [`${name}.range`]: [...range] } : { [`${name}.autorange`]: true });
      Plotly.relayout(this.plot, Object.assign({}, ...ranges));
    });
  }

  legend() {
    const named = this.figure.data.filter((trace) => trace.name && trace.slot !== undefined);
    if (named.length < 2) return;
    const legend = this.root.querySelector(".legend");
    if (named.length > 24) {
      add(legend, "span", { class: "quiet" }, `${named.length} lines, from ${decoded(named[0].name)} to ${decoded(named[named.length - 1].name)}`);
      return;
    }
    for (const trace of named) {
      const button = add(legend, "button", { type: "button", "aria-pressed": "true", title: "show or hide" });
      const swatch = add(button, "span", { class: trace.mode === "markers" ? "swatch point" : "swatch" });
      swatch.style.setProperty("--colour", trace.line.color);
      swatch.style.opacity = trace.opacity;
      add(button, "span", {}, decoded(trace.name));
      button.addEventListener("click", () => {
        const shown = this.hidden.delete(trace.legendgroup);
        if (!shown) this.hidden.add(trace.legendgroup);
        button.setAttribute("aria-pressed", shown);
        this.draw();
      });
    }
  }

  player() {
    const frames = this.figure.frames, player = this.root.querySelector(".player");
    const play = add(player, "button", { type: "button" }, "play");
    const slider = add(player, "input", { type: "range", min: 0, max: frames.length - 1, value: this.frame, "aria-label": "step" });
    const words = add(player, "output", {}, "");
    const show = (frame) => {
      this.frame = frame;
      slider.value = frame;
      words.textContent = `step ${Number(frames[frame].name).toLocaleString("en")}`;
    };
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
    const start = () => {
      play.textContent = "pause";
      if (this.frame === frames.length - 1) show(0);
      timer = setInterval(() => {
        if (this.frame === frames.length - 1) { stop(); return; }
        show(this.frame + 1);
        this.draw();
      }, 1000 * this.figure.seconds / frames.length);
    };
    play.addEventListener("click", () => (timer ? stop() : start()));
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); this.draw(); });
    show(this.frame);
  }
}

// The names of lines are written for plotly, which reads entities.
const decoded = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&").replace(/&#123;/g, "{");

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const words = head.textContent;
    head.replaceChildren();
    add(head, "button", { type: "button" }, words).addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [row.cells[column].dataset.sort, row.cells[column].textContent, row]);
      keyed.sort(([p, text], [q, other]) => {
        if (p !== undefined && q !== undefined) return (down ? -1 : 1) * (Number(p) - Number(q));
        if (p !== undefined || q !== undefined) return p === undefined ? 1 : -1;
        return (down ? -1 : 1) * text.localeCompare(other);
      });
      body.append(...keyed.map(([, , row]) => row));
    });
  });
}

function filtered(input) {
  const rows = [...byId(input.dataset.table).tBodies[0].rows], count = byId(input.dataset.count);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, k) => { row.hidden = !words.every((word) => texts[k].includes(word)); });
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  };
  input.addEventListener("input", apply);
  apply();
}

const charts = all(".chart").map((root) => new Chart(root));
const redraw = () => charts.forEach((chart) => chart.draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
all("table.sortable").forEach(sortable);
all("input.filter").forEach(filtered);
addEventListener("beforeprint", () => all("details").forEach((each) => { each.open = true; }));
