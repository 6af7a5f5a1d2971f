(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // ---- tables: sort by a column, show the columns of a cutoff

  const compare = (column, numeric, sign) => (one, other) => {
    const [a, b] = [one, other].map((row) => row.cells[column].dataset.key);
    if (a === "" || b === "") return (a === "") - (b === ""); // what is missing stays last
    return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b));
  };

  const sort = (header) => {
    const table = header.closest("table");
    const numeric = header.classList.contains("number");
    const before = header.getAttribute("aria-sort");
    const order = before ? (before === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
    all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", order);
    const rows = [...table.tBodies[0].rows];
    rows.sort(compare(header.cellIndex, numeric, order === "ascending" ? 1 : -1));
    table.tBodies[0].append(...rows);
  };

  all("table.sortable thead th button").forEach((button) => {
    button.addEventListener("click", () => sort(button.closest("th")));
  });

  const show = (table, k) => {
    all("[data-k]", table).forEach((cell) => { cell.hidden = k !== "all" && cell.dataset.k !== k; });
  };

  all("fieldset.switch").forEach((field) => {
    const table = document.getElementById(field.dataset.for);
    const update = () => show(table, field.querySelector("input:checked").value);
    field.addEventListener("change", update);
    update();
  });

  // ---- charts: drawn when they come into view, in the colours of the style sheet

  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const COLOURED = new Set(["color", "colorscale", "bgcolor"]);

  const paint = (value, key) => {
    if (typeof value === "string") return COLOURED.has(key) && value[0] === "@" ? colour(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map((each) => paint(each, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, paint(each, name)]));
  };

  const merge = (base, more) => {
    if (base === null || typeof base !== "object" || Array.isArray(base)) return more;
    if (more === null || typeof more !== "object" || Array.isArray(more)) return more;
    const merged = { ...base };
    for (const [key, value] of Object.entries(more)) merged[key] = key in base ? merge(base[key], value) : value;
    return merged;
  };

  const template = () => {
    const axis = {
      automargin: true, gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"),
      tickfont: { color: colour("quiet"), size: 12 }, title: { standoff: 12, font: { size: 12.5 } },
    };
    return { layout: {
      autosize: true, xaxis: axis, yaxis: axis, colorway: [0, 1, 2, 3, 4, 5, 6].map((place) => colour(`c${place}`)),
      font: { family: styles.fontFamily, size: 12.5, color: colour("ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 24, t: 24, b: 48 },
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("accent") },
      legend: { orientation: "h", x: 0, y: 1.03, yanchor: "bottom" },
    } };
  };

  const figures = new Map(); // plot -> its figure, of those that are drawn
  const CONFIG = (name) => ({
    displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg", filename: name },
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });

  const draw = (plot) => {
    const chart = plot.parentElement;
    const figure = figures.get(plot) ?? JSON.parse(chart.querySelector("script").textContent);
    figures.set(plot, figure);
    const chosen = all("select", chart).map((select) => select.selectedIndex).join(",");
    const variant = figure.variants[chosen] ?? {};
    const data = figure.data.map((trace, place) => merge(trace, variant.data?.[place] ?? {}));
    const layout = merge(figure.layout, variant.layout ?? {});
    Plotly.react(plot, paint(data), { ...paint(layout), template: template() }, CONFIG(figure.name));
  };

  const redraw = () => [...figures.keys()].forEach(draw);

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      if (!figures.has(target)) draw(target);
    }
  }, { rootMargin: "400px" });
  all(".plot").forEach((plot) => seen.observe(plot));

  all(".chart").forEach((chart) => chart.addEventListener("change", () => draw(chart.querySelector(".plot"))));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // ---- paper: everything open and drawn, in light colours and to the width of a page

  let closed = [];
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    closed = all("details:not([open])");
    closed.forEach((each) => { each.open = true; });
    all(".plot").forEach(draw);
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    closed.forEach((each) => { each.open = false; });
    redraw();
  });

  // ---- contents: where the reader is

  const links = new Map(all("nav a").map((link) => [document.getElementById(link.hash.slice(1)), link]));
  const spy = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) links.get(target).classList.toggle("here", isIntersecting);
  }, { rootMargin: "-20% 0px -70% 0px" });
  links.forEach((_, section) => spy.observe(section));
})();
