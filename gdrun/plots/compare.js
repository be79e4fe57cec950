// The runs that are ticked in the index, beside each other. Each brings its data in a script of its own.

const boxes = all("input.pick"), loaded = {}, section = byId("compared");

function differences(runs) {
  const parent = byId("differences");
  parent.replaceChildren();
  const rows = [];
  for (const part of ["values", "settings"]) {
    const names = [...new Set(runs.flatMap((run) => Object.keys(run[part])))];
    for (const name of names) {
      const values = runs.map((run) => run[part][name] ?? "");
      if (part === "values" || new Set(values).size > 1) rows.push([name, ...values]);
    }
  }
  const scroll = add(parent, "div", { class: "scroll", tabindex: "0" }), table = add(scroll, "table");
  const head = add(add(table, "thead"), "tr");
  ["", ...runs.map((run) => run.id)].forEach((text) => add(head, "th", { scope: "col" }, text));
  const body = add(table, "tbody");
  for (const [name, ...values] of rows) {
    const row = add(body, "tr");
    add(row, "th", { scope: "row" }, name);
    values.forEach((value) => add(row, "td", {}, value));
  }
}

function compare() {
  const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
  section.hidden = !chosen.length;
  const runs = chosen.map((id) => loaded[id]).filter(Boolean);
  if (!runs.length) return;
  const data = runs.map((run, k) => ({ type: "scatter", mode: "lines", ...run.trace, name: run.id, slot: k, opacity: 1,
    legendgroup: String(k), line: { color: `var(--s${k % 7})`, width: 2 } }));
  const positive = data.every((trace) => trace.y.every((value) => value === null || value > 0));
  store[0] = { data, layout: { xaxis: { title: { text: "step" }, type: "linear" },
    yaxis: { title: { text: "loss" }, type: positive ? "log" : "linear" }, hovermode: "closest" } };
  const root = section.querySelector("figure");
  root.dataset.figure = 0;
  all(".tools, .legend", root).forEach((part) => part.replaceChildren());
  charts[0] = new Chart(root);
  differences(runs);
}

window.gdrunRun = (run) => { loaded[run.id] = run; compare(); };
boxes.forEach((box) => {
  box.checked = false;
  box.addEventListener("change", () => {
    if (box.checked && !loaded[box.value]) add(document.body, "script", { src: `runs/${encodeURIComponent(box.value)}.js` });
    else compare();
  });
});
