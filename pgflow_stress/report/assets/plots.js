// The figures, drawn one after the other once the text is there; their colours are the style sheet's.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  let colours = null;
  const colour = (name) => colours.getPropertyValue("--" + name).trim();
  const scale = () => [0, 1, 2, 3].map((n) => [n / 3, colour("heat" + n)]);
  const paint = (value, key) => {
    if (key === "colorscale" && value === "@heat") { return scale(); }
    if (typeof value === "string") { return key === "color" && value[0] === "@" ? colour(value.slice(1)) : value; }
    if (Array.isArray(value)) { return typeof value[0] === "object" ? value.map((item) => paint(item, "")) : value; }
    if (value === null || typeof value !== "object") { return value; }
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, paint(item, name)]));
  };
  const framed = (layout) => {
    const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
    const axes = {};
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(name)) { axes[name] = { ...axis, ...layout[name] }; }
    }
    return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, dragmode: "zoom",
      font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 }, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      ...layout, ...axes, margin: { l: 64, r: 16, t: 20, b: 44, ...(layout.margin || {}) } };
  };
  const draw = (id) => {
    colours = getComputedStyle(root);
    const { data, layout } = paint(figures[id], "");
    return Plotly.react(id, data, framed(layout), { displayModeBar: false, responsive: true, displaylogo: false });
  };
  const all = async () => { for (const id of Object.keys(figures)) { await draw(id); } };
  performance.mark("script");
  const unpack = async () => {
    const text = atob(document.getElementById("plotly").textContent), packed = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) { packed[at] = text.charCodeAt(at); }
    performance.mark("decoded");
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    performance.mark("inflated");
    document.head.append(script);
  };
  const begin = async () => {
    await unpack();
    performance.mark("unpacked");
    for (const id of Object.keys(figures)) {
      await draw(id);
      performance.mark("drawn " + id);
      await new Promise((go) => setTimeout(go, 0));
    }
    performance.mark("drawn");
    root.dataset.plots = "drawn";
    document.addEventListener("theme", all);
    addEventListener("beforeprint", all);
    addEventListener("afterprint", all);
  };
  requestAnimationFrame(() => setTimeout(begin, 0));
})();
