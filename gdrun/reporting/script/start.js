// The table of trials, and the start of everything.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const words = head.textContent;
    head.replaceChildren();
    const button = add(head, "button", { type: "button" }, words);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [row, row.cells[column]]);
      const key = ([, cell]) => cell.dataset.sort;
      rows.sort((a, b) => {
        const [p, q] = [key(a), key(b)];
        if (p !== undefined && q !== undefined) return (down ? -1 : 1) * (Number(p) - Number(q));
        if (p !== undefined || q !== undefined) return p === undefined ? 1 : -1;
        return (down ? -1 : 1) * a[1].textContent.localeCompare(b[1].textContent);
      });
      body.append(...rows.map(([row]) => row));
    });
  });
}

const charts = [...document.querySelectorAll(".chart")].map((root) => new Reader(root, store.figures[root.dataset.figure]));
const redraw = () => charts.forEach((chart) => {
  chart.root.querySelector(".legend").replaceChildren();
  chart.makeLegend();
  chart.draw();
});
dark.addEventListener("change", redraw);
addEventListener("beforeprint", () => {
  printing = true;
  redraw();
  document.querySelectorAll("details").forEach((one) => { one.dataset.was = one.open ? "1" : ""; one.open = true; });
});
addEventListener("afterprint", () => {
  printing = false;
  redraw();
  document.querySelectorAll("details").forEach((one) => { one.open = one.dataset.was === "1"; });
});
document.querySelectorAll("table.sortable").forEach(sortable);
