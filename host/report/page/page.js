// SPDX-License-Identifier: Apache-2.0
// What a report can do beyond being read. Without scripts everything is there but zooming.

(() => {
  "use strict";

  const plots = new Map();
  const failed = [];

  function plot(root) {
    if (!plots.has(root.id)) {
      plots.set(root.id, (async () => new tinyjoule.Plot(root).start())().catch((error) => {
        // The static picture is as good as before; why it stays is told where somebody looks for it.
        root.classList.remove("live");
        for (const part of root.querySelectorAll(".tools, .readout, .plot, .key")) part.hidden = true;
        failed.push(`${root.id}: ${error.message}`);
      }));
    }
    return plots.get(root.id);
  }

  const traces = [...document.querySelectorAll(".trace")];
  if (typeof DecompressionStream === "function" && typeof uPlot === "function") {
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        plot(target);
      }
    }, { rootMargin: "300px 0px" });
    for (const root of traces) near.observe(root);
    if (traces.length) requestAnimationFrame(() => setTimeout(() => plot(traces[0]), 0)); // the first one is wanted at once
  }

  const recolour = async () => {
    for (const each of plots.values()) (await each)?.recolour();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  for (const input of document.querySelectorAll(".look input")) input.addEventListener("change", recolour);

  // A table that is wider than its place can be scrolled with the keyboard, and says what it is.
  const wide = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const over = target.scrollWidth > target.clientWidth + 1;
      target.toggleAttribute("tabindex", over);
      if (over) target.tabIndex = 0;
      const name = target.querySelector("caption, title")?.textContent.trim();
      if (over && name) {
        target.setAttribute("role", "region");
        target.setAttribute("aria-label", name);
      } else {
        target.removeAttribute("role");
        target.removeAttribute("aria-label");
      }
    }
  });
  for (const place of document.querySelectorAll(".scroll, .figure")) wide.observe(place);

  // On paper every table is open, also where the style sheet alone cannot do it.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });

  Object.assign(tinyjoule, { plots, plot, failed });
})();
