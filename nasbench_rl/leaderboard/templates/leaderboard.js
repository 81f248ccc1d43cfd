"use strict";
// Sorting: a button in every head, so that a keyboard reaches it. What is missing stays at the bottom either way.
const missing = (key) => key === "" || key === "nan";
const compare = (a, b) => {
  if (missing(a) || missing(b)) return null;
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b) : difference;
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.key ?? "";
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(key(a), key(b)) === null
      ? missing(key(a)) - missing(key(b))
      : (descending ? -1 : 1) * compare(key(a), key(b)));
    table.tBodies[0].append(...rows);
  }));
}
