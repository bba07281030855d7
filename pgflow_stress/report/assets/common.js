"use strict";
// The theme: as the system has it, or as chosen here; kept for the next page where the browser lets a file keep anything.
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const names = { "": "as the system", light: "light", dark: "dark" };
  const show = (theme) => {
    if (theme) { root.dataset.theme = theme; } else { delete root.dataset.theme; }
    button.textContent = "Theme: " + names[theme];
    document.dispatchEvent(new Event("theme"));
  };
  let kept = "";
  try { kept = localStorage.getItem("pgflow-stress-theme") || ""; } catch (error) { kept = ""; }
  button.hidden = false;
  show(kept in names ? kept : "");
  button.addEventListener("click", () => {
    const order = Object.keys(names);
    const next = order[(order.indexOf(root.dataset.theme || "") + 1) % order.length];
    show(next);
    try { localStorage.setItem("pgflow-stress-theme", next); } catch (error) { return; }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
  // What a link leads to, and what is printed, is not to be folded.
  const unfold = () => {
    for (let at = location.hash.length > 1 && document.getElementById(location.hash.slice(1)); at; at = at.parentElement) {
      if (at.tagName === "DETAILS") { at.open = true; }
    }
  };
  addEventListener("hashchange", unfold);
  unfold();
})();
