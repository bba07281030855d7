// List, filter, pick two, follow a metric: over the rows that the page has, all text as text.
(() => {
  const { rows, metrics, first } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const made = (name, text, attributes) => {
    const element = document.createElement(name);
    if (text !== undefined) { element.textContent = text; }
    for (const [key, value] of Object.entries(attributes || {})) { element.setAttribute(key, value); }
    return element;
  };
  const lines = [...document.querySelectorAll("#results tbody tr")];
  const picked = () => lines.filter((line) => line.querySelector("input").checked).map((line) => rows[line.dataset.row]);
  const number = (value, unit) => {
    if (value === undefined) { return "-"; }
    if (unit === "ns" && Math.abs(value) >= 1e3) {
      const [size, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "us"]].find(([least]) => Math.abs(value) >= least);
      return number(value / size, name);
    }
    return value.toLocaleString("en", { maximumSignificantDigits: 4 }) + (unit ? " " + unit : "");
  };
  const wanted = (row) => {
    const text = at("text").value.toLowerCase(), scenario = at("scenario").value, headline = at("headline").value;
    return (!scenario || row.scenario === scenario) && (!headline || row.headline === headline)
      && (!text || [row.path, row.scenario, row.setting, row.pgflow, row.postgres, row.headline].join(" ").toLowerCase().includes(text));
  };

  const SVG = "http://www.w3.org/2000/svg", WIDTH = 900, HEIGHT = 260, LEFT = 90, BOTTOM = 34;
  const drawn = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) { element.setAttribute(key, value); }
    if (text !== undefined) { element.textContent = text; }
    return element;
  };
  const trend = (shown) => {
    const metric = at("metric").value, unit = metrics[metric].unit;
    const points = shown.filter((row) => row.metrics[metric]).map((row) => ({ row, value: row.metrics[metric] }));
    const highest = Math.max(0, ...points.map((point) => point.value[0])) || 1, power = 10 ** Math.floor(Math.log10(highest));
    const top = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].find((factor) => factor * power >= highest) * power;
    const x = (n) => LEFT + (WIDTH - LEFT - 20) * (points.length < 2 ? 0.5 : n / (points.length - 1));
    const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 14) * Math.min(Math.max(value, 0), top) / top;
    const told = metric + " of " + points.length + " results in order of time"
      + (points.length ? ": from " + number(points[0].value[0], unit) + " to " + number(points[points.length - 1].value[0], unit) : "");
    const picture = drawn("svg", { class: "still", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told, style: "max-width: none" });
    for (let step = 0; step <= 4; step += 1) {
      const value = top * step / 4;
      picture.append(drawn("line", { x1: LEFT, x2: WIDTH - 10, y1: y(value), y2: y(value), stroke: "var(--line)" }));
      picture.append(drawn("text", { x: LEFT - 8, y: y(value) + 4, class: "end" }, number(value, unit)));
    }
    const names = [...new Set(points.map((point) => point.row.scenario))];
    names.forEach((name, which) => {
      const colour = `var(--c${which % 8 + 1})`;
      const own = points.map((point, n) => ({ ...point, n })).filter((point) => point.row.scenario === name);
      picture.append(drawn("polyline", { points: own.map((p) => `${x(p.n)},${y(p.value[0])}`).join(" "), fill: "none", stroke: colour, "stroke-width": 1.5 }));
      for (const point of own) {
        const [mean, low, high] = point.value;
        picture.append(drawn("line", { x1: x(point.n), x2: x(point.n), y1: y(low), y2: y(high), stroke: colour }));
        const dot = drawn("circle", { cx: x(point.n), cy: y(mean), r: 4, fill: point.row.headline === "valid" ? colour : "var(--paper)", stroke: colour });
        dot.append(drawn("title", {}, `${point.row.path}, ${point.row.when}: ${number(mean, unit)}`));
        picture.append(dot);
      }
      picture.append(drawn("text", { x: LEFT + 190 * which, y: HEIGHT - 8, style: `fill: ${colour}` }, name.slice(0, 24)));
    });
    at("trend").replaceChildren(picture);
    at("trend-told").textContent = told + "; whiskers are 95 % intervals, hollow dots are not valid measurements.";
  };

  const pair = () => {
    const two = picked(), place = at("pair");
    if (two.length !== 2) { place.replaceChildren(made("p", "Tick two results above.")); return; }
    const [base, candidate] = two;
    const table = made("table"), body = made("tbody"), head = made("tr");
    table.append(made("caption", "Means and their ratio; whether they differ is for compare to say, by its tests."));
    for (const [text, css] of [["metric", ""], [base.path, "n"], [candidate.path, "n"], ["change", "n"], ["intervals", ""]]) {
      head.append(made("th", text, { scope: "col", class: css }));
    }
    const header = made("thead");
    header.append(head);
    table.append(header, body);
    for (const name of Object.keys(metrics).filter((one) => base.metrics[one] && candidate.metrics[one])) {
      const a = base.metrics[name], b = candidate.metrics[name], line = made("tr"), unit = metrics[name].unit;
      line.append(made("th", name, { scope: "row" }), made("td", number(a[0], unit), { class: "n" }), made("td", number(b[0], unit), { class: "n" }));
      line.append(made("td", a[0] ? ((b[0] / a[0] - 1) * 100).toFixed(1) + " %" : "-", { class: "n" }));
      line.append(made("td", a[3] < 2 || b[3] < 2 ? "too few repetitions" : a[2] < b[1] || b[2] < a[1] ? "apart" : "overlap"));
      body.append(line);
    }
    const region = made("div", undefined, { class: "scroll", tabindex: "0", role: "group", "aria-label": "Two results side by side" });
    region.append(table);
    const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
    place.replaceChildren(made("p", "For a verdict, from this directory:"),
      made("pre", `pgflow-stress compare ${quoted(base.path)} ${quoted(candidate.path)} --output comparison.html`, { tabindex: "0" }), region);
  };

  const update = () => {
    const shown = rows.filter(wanted);
    lines.forEach((line) => { line.hidden = !wanted(rows[line.dataset.row]); });
    at("count").textContent = `${shown.length} of ${rows.length} results`;
    trend(shown);
  };
  if (metrics[first]) { at("metric").value = first; }
  at("filter").addEventListener("input", update);
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("results").addEventListener("change", pair);
  update();
  pair();
})();
