"use strict";
// Sorting and filtering of a table that is already in the page; without this script it is only not sortable.
(() => {
  const data = JSON.parse(document.getElementById("board-data").textContent);
  const table = document.getElementById("board");
  const form = document.getElementById("filters");
  const count = document.getElementById("count");
  const best = document.getElementById("filter-best");
  const selects = [...form.querySelectorAll("select")];
  const heads = [...table.tHead.rows[0].cells];
  const sets = [...table.tBodies].map((body) => ({
    body,
    rows: [...body.querySelectorAll("tr[data-row]")].map((element) => ({
      element,
      row: data.rows[Number(element.dataset.row)],
    })),
  }));
  const plots = [...document.querySelectorAll("figure[data-set]")];

  // By code points, not by the reader's locale: everyone gets the same order.
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  const compare = (column, down) => (one, other) => {
    const a = one.row.keys[column];
    const b = other.row.keys[column];
    if (a === null || b === null) {
      return (a === null) - (b === null) || one.row.place - other.row.place;
    }
    for (let i = 0; i < a.length; i += 1) {
      const found = order(a[i], b[i]);
      if (found !== 0) {
        return down ? -found : found;
      }
    }
    return one.row.place - other.row.place;
  };

  const sort = (column) => {
    const head = heads[column];
    const now = head.getAttribute("aria-sort");
    const first = data.columns[column].descending ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const next = now === first ? second : first;
    heads.forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    sets.forEach(({ body, rows }) => {
      rows.sort(compare(column, next === "descending"));
      rows.forEach(({ element }) => body.append(element));
    });
  };

  const filter = () => {
    const wanted = selects.filter((s) => s.value !== "").map((s) => [s.dataset.field, Number(s.value)]);
    let shown = 0;
    sets.forEach(({ body, rows }, place) => {
      let inSet = 0;
      rows.forEach(({ element, row }) => {
        const fits = wanted.every(([field, value]) => row[field] === value) && (!best.checked || row.best);
        element.hidden = !fits;
        inSet += fits ? 1 : 0;
      });
      body.hidden = inSet === 0;
      plots.filter((plot) => Number(plot.dataset.set) === place).forEach((plot) => { plot.hidden = inSet === 0; });
      shown += inSet;
    });
    table.hidden = shown === 0;
    const nothing = shown === 0 ? ": none fits all of these choices" : "";
    count.textContent = `${shown} of ${data.rows.length} rows${nothing}`;
  };

  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sort(column)));
  form.addEventListener("change", filter);
  // A reset event comes before the fields change.
  form.addEventListener("reset", () => setTimeout(filter, 0));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  table.classList.add("sortable");
  // A reader's browser may bring back what was chosen before the page was left.
  filter();
})();
