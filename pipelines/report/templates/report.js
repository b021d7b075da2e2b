/* Views by the address, charts when they come into sight, tables that sort and filter. Text goes into the page as
   text only. */
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const { specs, charts } = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new WeakMap();

  const axis = {
    labelColor: "var(--muted)", titleColor: "var(--muted)", domainColor: "var(--line)", tickColor: "var(--line)",
    gridColor: "var(--line)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelPadding: 6, domain: false, ticks: false,
  };
  const config = {
    background: null, view: { stroke: null }, axis, font: "system-ui, sans-serif",
    legend: { labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 12, symbolType: "circle" },
  };

  function wrap(text, columns) {
    const lines = [];
    let line = "";
    for (let word of text.split(" ")) {
      while (word.length > columns) {
        if (line) { lines.push(line); line = ""; }
        lines.push(word.slice(0, columns));
        word = word.slice(columns);
      }
      if (line && line.length + 1 + word.length > columns) { lines.push(line); line = word; }
      else line = line ? line + " " + word : word;
    }
    return line ? [...lines, line] : lines;
  }

  const LINE = 17;

  /* Sentences above the bars, wrapped to the width at hand; all rows are as high as the highest. */
  function layOutWhy(spec, values, width) {
    const columns = Math.max(18, Math.floor((width - 52) / 7));
    const texts = values.map((v) => [wrap(v.says, columns), wrap(v.seen + (v.peers ? " · " + v.peers : ""), columns)]);
    const most = Math.max(...texts.map(([says, figures]) => says.length + figures.length));
    const below = LINE * most + 8;
    const step = below + 26;
    spec.width = width;
    spec.height = step * values.length;
    spec.params = [{ name: "half", value: step / 2 }, { name: "below", value: below }];
    return values.map((v, i) => {
      const [says, figures] = texts[i];
      /* An empty line takes no room in SVG, and Vega trims spaces: a zero-width space does. */
      const before = (lines, n) => [...Array(n - lines.length).fill("\u200b"), ...lines];
      return { ...v, says_lines: before(says, most - figures.length), figure_lines: before(figures, most) };
    });
  }

  async function draw(element) {
    const width = element.clientWidth;
    if (!width || drawn.get(element) === width) return;
    drawn.set(element, width);
    const chart = charts[element.dataset.chart];
    const spec = structuredClone(specs[chart.spec]);
    const values = chart.spec === "why" ? layOutWhy(spec, chart.values, width) : chart.values;
    spec.data = { values };
    try {
      await vegaEmbed(element, spec, { actions: false, renderer: "svg", ast: true, config, tooltip: { theme: "custom" } });
      element.dataset.drawn = "yes";
    } catch (error) {
      element.textContent = "This chart could not be drawn.";
      console.error("chart " + element.dataset.chart, error);
    }
  }

  const inSight = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "400px" });
  for (const element of document.querySelectorAll(".chart")) inSight.observe(element);
  /* Vega follows the width of its container by itself; wrapped sentences are laid out anew. */
  addEventListener("resize", () => {
    for (const element of document.querySelectorAll(".view.shown .chart[data-drawn]")) {
      if (charts[element.dataset.chart].spec === "why") draw(element);
    }
  });

  function show() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)) || "overview");
    const view = (target && target.closest(".view")) || document.getElementById("overview");
    const changed = !view.classList.contains("shown");
    for (const other of document.querySelectorAll(".view.shown")) other.classList.remove("shown");
    view.classList.add("shown");
    if (target && target !== view) target.scrollIntoView();
    else if (changed) scrollTo(0, 0);
    if (changed && location.hash) (target || view).focus({ preventScroll: true });
    for (const element of view.querySelectorAll(".chart")) {
      if (element.getBoundingClientRect().top < innerHeight + 400) draw(element);
    }
  }
  addEventListener("hashchange", show);
  show();

  function key(cell) {
    const given = cell.dataset.v;
    const text = given === undefined ? cell.textContent.trim() : given;
    return text !== "" && !isNaN(text) ? Number(text) : text.toLowerCase();
  }
  function compare(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  }
  for (const button of document.querySelectorAll(".sortable th button")) {
    button.addEventListener("click", () => {
      const header = button.closest("th");
      const table = header.closest("table");
      const index = header.cellIndex;
      const up = header.getAttribute("aria-sort") === "ascending" ? false : header.getAttribute("aria-sort") === "descending" ? true : !header.classList.contains("number") || index === 0;
      for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row.cells[index]), row]);
      rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
      body.append(...rows.map(([, row]) => row));
    });
  }

  for (const input of document.querySelectorAll("[data-filter]")) {
    const body = document.getElementById(input.dataset.filter).tBodies[0];
    const said = input.closest(".filter").querySelector("output");
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const row of body.rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        if (!row.hidden) shown += 1;
      }
      said.textContent = wanted ? shown + " of " + body.rows.length : "";
    });
  }
})();
