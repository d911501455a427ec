// SPDX-License-Identifier: Apache-2.0
// The plot of one trace: it takes the place of the static picture, which stays for paper and for who runs no scripts.

(() => {
  "use strict";

  const { Trace, seconds, span, milliwatts } = tinyjoule;
  const SHORTEST = 8; // samples: a view is no shorter
  const STEP = 0.2; // of a view, to the left and right

  class Plot {
    constructor(root) {
      this.root = root;
      this.box = root.querySelector(".plot");
      this.trace = new Trace(JSON.parse(root.querySelector("script[type='application/json']").textContent));
      this.unit = `${root.dataset.emulated}mW`;
      this.before = [];
      this.shown = [0, this.trace.duration_s];
      this.turn = 0;
      this.named = this.trace.marks.some((mark) => mark.kind === "operator"); // they have a line of their own
      for (const part of root.querySelectorAll(".tools, .readout, .plot, .key")) part.hidden = false;
      for (const kind of ["operator", "gap"]) {
        root.querySelector(`.key [data-kind="${kind}"]`).hidden = !this.trace.marks.some((mark) => mark.kind === kind);
      }
      const operators = root.querySelector("[data-do='operators']");
      if (operators) operators.hidden = !this.named;
      root.classList.add("live");
    }

    async start() {
      this.paint = colours(this.root);
      this.data = await this.trace.view(...this.shown, this.pixels());
      this.chart = new uPlot(this.options(), this.columns(), this.box);
      this.frame();
      this.listen();
      this.say(false);
      performance.mark("tinyjoule-plot");
      return this;
    }

    pixels() {
      return Math.max(this.box.clientWidth - 64, 100);
    }

    columns() {
      return [this.data.time, this.data.low, this.data.high];
    }

    options() {
      const steps = uPlot.paths.stepped({ align: 1 });
      const line = () => this.paint.power;
      const series = { stroke: line, width: 1, paths: steps, points: { show: false } };
      const axis = { stroke: () => this.paint.soft, font: this.paint.font, ticks: { stroke: () => this.paint.line, width: 1, size: 5 } };
      return {
        width: this.box.clientWidth,
        height: this.box.clientHeight,
        padding: [this.named ? 40 : 22, 18, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false, dist: 4 },
          bind: { dblclick: () => null },
        },
        scales: {
          x: { time: false, range: () => this.shown },
          y: { range: (chart, low, high) => levels(low, high) },
        },
        axes: [
          { ...axis, grid: { show: false }, values: (chart, ticks) => this.ticks(ticks), space: 72, size: 30,
            label: "seconds of the file", labelSize: 20, labelGap: 0, labelFont: this.paint.font },
          { ...axis, grid: { stroke: () => this.paint.line, width: 1 }, size: 50,
            values: (chart, ticks) => ticks.map((value) => value.toFixed(decimals(ticks[1] - ticks[0]))),
            label: `power, ${this.unit}`, labelSize: 22, labelGap: 0, labelFont: this.paint.font },
        ],
        series: [{}, { ...series }, { ...series }],
        bands: [{ series: [2, 1], fill: () => this.paint.area }],
        hooks: {
          drawClear: [() => this.drawMarks()],
          draw: [() => this.drawNames()],
          setCursor: [() => this.read()],
          setSelect: [(chart) => this.select(chart)],
        },
      };
    }

    // Seconds where they are short enough to be read, else thousandths and millionths of them behind a moment.
    ticks(values) {
      const width_s = this.shown[1] - this.shown[0];
      const [unit, name] = width_s < 4e-4 ? [1e-6, "\u00b5s"] : width_s < 0.2 ? [1e-3, "ms"] : [1, "s"];
      const step_s = values.length > 1 ? values[1] - values[0] : width_s;
      let zero_s = 0;
      if (unit < 1) zero_s = Math.floor(this.shown[0] / (unit * 1e3) + 1e-9) * unit * 1e3;
      const digits = decimals(step_s / unit);
      const after = zero_s ? `${name} after ${seconds(zero_s, unit * 1e3)}` : { s: "seconds" }[name] ?? name;
      this.chart && (this.chart.axes[0].label = `${after} of the file`);
      return values.map((value) => ((value - zero_s) / unit).toFixed(digits));
    }

    // ---- Views

    async go(from_s, to_s, keep = true) {
      const { duration_s, rate_hz } = this.trace;
      const width_s = Math.min(Math.max(to_s - from_s, SHORTEST / rate_hz), duration_s);
      const middle_s = (from_s + to_s) / 2;
      const begin_s = Math.min(Math.max(middle_s - width_s / 2, 0), duration_s - width_s);
      const wanted = [begin_s, begin_s + width_s];
      this.turn += 1;
      const turn = this.turn;
      const data = await this.trace.view(...wanted, this.pixels());
      if (turn !== this.turn) return; // another view was wanted meanwhile
      if (keep && (wanted[0] !== this.shown[0] || wanted[1] !== this.shown[1])) this.before.push(this.shown);
      this.shown = wanted;
      this.data = data;
      this.chart.batch(() => {
        this.chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        this.chart.setData(this.columns(), true);
      });
      this.frame();
      this.say(keep);
    }

    zoom(factor, around_s = (this.shown[0] + this.shown[1]) / 2) {
      const [from_s, to_s] = this.shown;
      return this.go(around_s - (around_s - from_s) * factor, around_s + (to_s - around_s) * factor);
    }

    move(part) {
      const [from_s, to_s] = this.shown;
      const by_s = Math.min(Math.max((to_s - from_s) * part, -from_s), this.trace.duration_s - to_s);
      return this.go(from_s + by_s, to_s + by_s);
    }

    back() {
      const last = this.before.pop();
      return last ? this.go(...last, false) : undefined;
    }

    all() {
      return this.go(0, this.trace.duration_s);
    }

    select(chart) {
      const { left, width } = chart.select;
      if (width > 3) this.go(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
    }

    // The window in view: where the middle is, else the first that can be seen.
    window() {
      const [from_s, to_s] = this.shown;
      const middle_s = (from_s + to_s) / 2;
      const windows = this.trace.marks.filter((mark) => mark.kind === "window");
      const seen = windows.filter((mark) => mark.from_s <= to_s && mark.to_s >= from_s);
      return seen.find((mark) => mark.from_s <= middle_s && mark.to_s >= middle_s) ?? seen[0] ?? windows[0];
    }

    // Every sample around an edge of the window in view, as far as they are kept.
    edge(side) {
      const window = this.window();
      if (!window) return undefined;
      const at_s = side === "start" ? window.from_s : window.to_s;
      const { details, rate_hz } = this.trace;
      const kept = details.find((each) => each.t0_s <= at_s && each.t0_s + each.n * each.dt_s >= at_s);
      const most_s = 200 / rate_hz;
      if (!kept) return this.go(at_s - most_s, at_s + most_s);
      const half_s = Math.min(at_s - kept.t0_s, kept.t0_s + kept.n * kept.dt_s - at_s, most_s);
      return this.go(at_s - half_s, at_s + half_s);
    }

    operators() {
      const marks = this.trace.marks.filter((mark) => mark.kind === "operator");
      const from_s = Math.min(...marks.map((mark) => mark.from_s));
      const to_s = Math.max(...marks.map((mark) => mark.to_s));
      return marks.length ? this.go(from_s - (to_s - from_s) * 0.02, to_s + (to_s - from_s) * 0.02) : undefined;
    }

    // ---- What the person does

    listen() {
      const deeds = {
        in: () => this.zoom(0.5), out: () => this.zoom(2), left: () => this.move(-STEP), right: () => this.move(STEP),
        back: () => this.back(), all: () => this.all(), operators: () => this.operators(),
        start: () => this.edge("start"), end: () => this.edge("end"),
        to: (from_s, to_s) => this.go(from_s - (to_s - from_s) * 0.03, to_s + (to_s - from_s) * 0.03),
      };
      this.root.querySelector(".tools").addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (!button || button.getAttribute("aria-disabled") === "true") return;
        deeds[button.dataset.do](Number(button.dataset.from), Number(button.dataset.to));
      });
      const keys = {
        "+": "in", "=": "in", "-": "out", _: "out", ArrowLeft: "left", ArrowRight: "right", Escape: "back", 0: "all", Home: "all",
      };
      this.box.addEventListener("keydown", (event) => {
        const deed = keys[event.key];
        if (!deed || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        deeds[deed]();
      });
      this.chart.over.addEventListener("dblclick", () => this.all());
      this.chart.over.addEventListener("mouseleave", () => this.read());
      this.box.addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return; // the page's own scrolling is left alone
        event.preventDefault();
        const left = event.clientX - this.chart.over.getBoundingClientRect().left;
        this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.chart.posToVal(left, "x"));
      }, { passive: false });
      this.touch();
      new ResizeObserver(() => {
        if (!this.box.clientWidth || this.box.clientWidth === this.chart.width) return;
        this.chart.setSize({ width: this.box.clientWidth, height: this.box.clientHeight });
        this.go(...this.shown, false);
      }).observe(this.box);
    }

    // Two fingers zoom; one moves a view that is not all of it.
    touch() {
      const { over } = this.chart;
      let grip = null;
      const places = (event) => [...event.touches].map((each) => each.clientX - over.getBoundingClientRect().left);
      over.addEventListener("touchstart", (event) => {
        const [a, b = a] = places(event);
        const at_s = (place) => this.chart.posToVal(place, "x");
        grip = { a_s: at_s(a), b_s: at_s(b), width_s: this.shown[1] - this.shown[0], two: event.touches.length > 1 };
      }, { passive: true });
      over.addEventListener("touchmove", (event) => {
        if (!grip || (grip.two && event.touches.length < 2)) return;
        const [a, b = a] = places(event);
        if (grip.two) event.preventDefault();
        const wide = over.clientWidth;
        const width_s = grip.two ? (Math.abs(grip.b_s - grip.a_s) / Math.max(Math.abs(b - a), 8)) * wide : grip.width_s;
        const from_s = (grip.a_s + grip.b_s) / 2 - ((a + b) / 2 / wide) * width_s;
        this.go(from_s, from_s + width_s, false);
      }, { passive: false });
      over.addEventListener("touchend", () => { grip = null; });
    }

    // ---- What is told

    marksAt(time_s) {
      const there = this.trace.marks.filter((mark) => mark.from_s <= time_s && time_s < mark.to_s);
      return there.map((mark) => (mark.valid ? mark.name : `${mark.name} (not valid)`)).join(", ");
    }

    read() {
      const [time, value, where] = this.root.querySelectorAll(".readout > span");
      const { left } = this.chart.cursor;
      if (left === undefined || left < 0) {
        const [from_s, to_s] = this.shown;
        const resolution_s = (to_s - from_s) / 1e4;
        time.textContent = `${seconds(from_s, resolution_s).slice(0, -2)} to ${seconds(to_s, resolution_s)}`;
        value.textContent = "";
        where.textContent = this.resolution();
        return;
      }
      const time_s = this.chart.posToVal(left, "x");
      const { data } = this;
      let at = data.time.length - 1;
      while (at > 0 && data.time[at] > time_s) at -= 1;
      const dt_s = (data.time[at + 1] ?? data.time[at]) - data.time[at];
      time.textContent = seconds(time_s, Math.max((this.shown[1] - this.shown[0]) / 1e3, 1e-9));
      const some = at < data.time.length - 1 && data.high[at] !== null && data.time[at] <= time_s;
      value.textContent = some ? `${milliwatts(data.low[at], data.high[at])} ${this.unit}` : "not recorded";
      where.textContent = [this.marksAt(time_s), some && dt_s * this.trace.rate_hz > 1.5 ? `within ${span(dt_s)}` : ""]
        .filter(Boolean).join(" \u00b7 ");
    }

    resolution() {
      const samples = Math.round(this.data.dt_s * this.trace.rate_hz);
      if (samples <= 1) return `full resolution: every sample, ${span(1 / this.trace.rate_hz)} each`;
      return `smallest and largest of ${samples.toLocaleString("en")} samples (${span(this.data.dt_s)}) at most`;
    }

    say(aloud) {
      const [from_s, to_s] = this.shown;
      const resolution_s = (to_s - from_s) / 1e4;
      const powers = this.data.high.filter((value) => value !== null);
      const least = this.data.low.reduce((a, b) => (b !== null && b < a ? b : a), Infinity);
      const most = powers.reduce((a, b) => (b > a ? b : a), -Infinity);
      const range = powers.length ? `${milliwatts(least, most)} ${this.unit}` : "nothing recorded";
      const view = `${seconds(from_s, resolution_s)} to ${seconds(to_s, resolution_s)}: ${range}, ${this.resolution()}`;
      this.box.setAttribute("aria-label", `power over time, zoomable. ${view}`);
      if (aloud) this.root.querySelector(".said").textContent = view;
      this.read();
      for (const button of this.root.querySelectorAll("[data-do='to']")) {
        const near = Math.abs(this.middle(button) - (from_s + to_s) / 2) < (to_s - from_s) * 0.1;
        const same = (button.dataset.to - button.dataset.from) / (to_s - from_s) > 0.8;
        button.setAttribute("aria-pressed", String(near && same));
      }
      const whole = to_s - from_s >= this.trace.duration_s;
      const off = { back: !this.before.length, all: whole, out: whole, left: from_s <= 0, right: to_s >= this.trace.duration_s };
      for (const [deed, is] of Object.entries(off)) {
        this.root.querySelector(`[data-do='${deed}']`).setAttribute("aria-disabled", String(is));
      }
    }

    middle(button) {
      return (Number(button.dataset.from) + Number(button.dataset.to)) / 2;
    }

    // What a person or a test can see from outside: the view.
    frame() {
      this.box.dataset.from = this.shown[0];
      this.box.dataset.to = this.shown[1];
    }

    // ---- Marks behind and above the line

    drawMarks() {
      const { ctx, bbox } = this.chart;
      const tone = { window: this.paint.window, idle: this.paint.idle, gap: this.paint.gap };
      ctx.save();
      for (const mark of this.trace.marks) {
        if (mark.kind === "operator") continue;
        const place = this.place(mark);
        if (!place) continue;
        ctx.fillStyle = tone[mark.kind];
        ctx.fillRect(place.left, bbox.top, place.width, bbox.height);
        if (mark.kind === "gap" || !mark.valid) this.hatch(place);
        if (mark.kind === "window") { // an edge is a moment: it is drawn as a line
          ctx.strokeStyle = this.paint.windowInk;
          ctx.globalAlpha = 0.5;
          ctx.strokeRect(place.left, bbox.top - 1, place.width, bbox.height + 2);
          ctx.globalAlpha = 1;
        }
      }
      ctx.restore();
    }

    place(mark) {
      const { bbox } = this.chart;
      if (mark.to_s <= this.shown[0] || mark.from_s >= this.shown[1]) return null;
      const at = (time_s) => this.chart.valToPos(time_s, "x", true);
      const left = Math.max(at(mark.from_s), bbox.left);
      return { left, width: Math.max(Math.min(at(mark.to_s), bbox.left + bbox.width) - left, 1) };
    }

    hatch({ left, width }) {
      const { ctx, bbox } = this.chart;
      const gap = 8 * devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, width, bbox.height);
      ctx.clip();
      ctx.beginPath();
      ctx.strokeStyle = this.paint.bad;
      ctx.lineWidth = devicePixelRatio;
      for (let x = left - bbox.height; x < left + width; x += gap) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }

    drawNames() {
      const { ctx, bbox } = this.chart;
      const high = 15 * devicePixelRatio;
      const tone = { window: this.paint.windowInk, idle: this.paint.soft, gap: this.paint.bad };
      let odd = false;
      ctx.save();
      ctx.font = this.paint.smallFont;
      ctx.textBaseline = "middle";
      ctx.textAlign = "center";
      for (const mark of this.trace.marks) {
        const place = this.place(mark);
        odd = mark.kind === "operator" ? !odd : odd;
        if (!place) continue;
        const middle = place.left + place.width / 2;
        const operator = mark.kind === "operator";
        const line = this.named && !operator ? 2 : 1; // above the plot: operators nearest to it
        const top = bbox.top - line * (high + 2 * devicePixelRatio);
        if (operator) {
          ctx.fillStyle = odd ? this.paint.operator : this.paint.operatorOdd;
          ctx.fillRect(place.left, top, place.width, high);
        }
        const name = mark.valid ? mark.name : `${mark.name}, not valid`;
        const text = [name, name.replace("window ", "").replace(/^(\d+) .*/, "$1")]
          .find((each) => ctx.measureText(each).width + 6 * devicePixelRatio < place.width);
        if (text === undefined) continue;
        ctx.fillStyle = tone[mark.kind] ?? this.paint.ink;
        ctx.fillText(text, middle, top + high / 2);
      }
      ctx.restore();
    }

    recolour() {
      this.paint = colours(this.root);
      this.chart.redraw(false, true);
    }
  }

  // How many digits behind the point tell ticks of a step apart.
  function decimals(step) {
    let digits = 0;
    while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-3) digits += 1;
    return digits;
  }

  // From zero unless the view is far from it.
  function levels(low, high) {
    if (low === null || high === null) return [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.02 || 1;
    return [low >= 0 && low < high / 2 ? 0 : low - room, high + room];
  }

  // Colours as the style sheet has them now: a canvas knows no light and dark.
  function colours(root) {
    const probe = root.appendChild(document.createElement("i"));
    const of = (name) => {
      probe.className = `ink-${name}`;
      return getComputedStyle(probe).color;
    };
    const family = getComputedStyle(root).fontFamily;
    const names = ["ink", "soft", "line", "bad", "power", "area", "window", "windowInk", "idle", "gap", "operator", "operatorOdd"];
    const found = Object.fromEntries(names.map((name) => [name, of(name)]));
    probe.remove();
    const small = 11 * devicePixelRatio;
    return { ...found, font: `12px ${family}`, smallFont: `${small}px ${family}` };
  }

  tinyjoule.Plot = Plot;
})();
