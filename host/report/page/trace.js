// SPDX-License-Identifier: Apache-2.0
// A power trace as host/report/page/pyramid.py packs it: levels of bins with the smallest and the largest power, coarse
// to fine, and every sample around the edges of the windows. A view takes the coarsest level that still has a bin for
// every pixel; where a view is finer than every level, the samples themselves stand in wherever they are.

const tinyjoule = {};

(() => {
  "use strict";

  const NOTHING = 65535;
  const CODES = 65534;

  async function unpack(text, count, scale) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const codes = new Uint16Array(await new Response(stream).arrayBuffer());
    if (codes.length !== count) throw new Error(`${count} values announced, ${codes.length} packed`);
    const [low, high] = scale;
    const step = (high - low) / CODES;
    return Float64Array.from(codes, (code) => (code === NOTHING ? NaN : low + code * step));
  }

  class Trace {
    constructor(payload) {
      if (payload.version !== 1) throw new Error(`a trace of version ${payload.version}`);
      Object.assign(this, payload);
      this.unpacked = 0; // how many pieces were: nothing is unpacked that no view needs
      this.pieces = new Map();
    }

    piece(kind, index) {
      const key = `${kind}${index}`;
      if (!this.pieces.has(key)) {
        this.unpacked += 1;
        const raw = this[kind][index];
        const of = (text) => unpack(text, raw.n, this.scale_mw);
        const made = kind === "levels"
          ? Promise.all([of(raw.low), of(raw.high)]).then(([low, high]) => ({ t0_s: raw.t0_s, dt_s: raw.bin_s, low, high }))
          : of(raw.mw).then((mw) => ({ t0_s: raw.t0_s, dt_s: raw.dt_s, low: mw, high: mw }));
        this.pieces.set(key, made);
      }
      return this.pieces.get(key);
    }

    // What to draw from from_s to to_s, for so many pixels: steps, each from time[i] to time[i + 1], null where nothing
    // is. dt_s: the widest step of it.
    async view(from_s, to_s, pixels) {
      const pixel_s = (to_s - from_s) / pixels;
      let level = this.levels.findIndex((each) => each.bin_s <= pixel_s);
      const coarse = level < 0;
      if (coarse) level = this.levels.length - 1;
      const parts = [];
      let at_s = from_s;
      const bins = async (until_s) => {
        if (until_s > at_s) parts.push([await this.piece("levels", level), at_s, until_s]);
      };
      if (coarse) {
        for (const [index, each] of this.details.entries()) {
          const begin_s = Math.max(each.t0_s, at_s);
          const end_s = Math.min(each.t0_s + each.n * each.dt_s, to_s);
          if (end_s <= begin_s) continue;
          await bins(begin_s);
          parts.push([await this.piece("details", index), begin_s, end_s]);
          at_s = end_s;
        }
      }
      await bins(to_s);
      const out = { from_s, to_s, time: [], low: [], high: [], dt_s: 0 };
      for (const [piece, begin_s, end_s] of parts) this.#append(out, piece, begin_s, end_s, pixel_s);
      return out;
    }

    // Groups of steps lie where they lie in every view, so that a line that is moved does not flicker.
    #append(out, piece, begin_s, end_s, pixel_s) {
      const { t0_s, dt_s, low, high } = piece;
      const group = Math.max(Math.floor(pixel_s / dt_s / 2), 1); // steps of which one is drawn
      const first = Math.max(Math.floor((begin_s - t0_s) / dt_s + 1e-6), 0);
      const last = Math.min(Math.ceil((end_s - t0_s) / dt_s - 1e-6), low.length);
      for (let at = first - (first % group); at < last; at += group) {
        let least = Infinity;
        let most = -Infinity;
        for (let i = at; i < Math.min(at + group, low.length); i += 1) {
          if (low[i] < least) least = low[i];
          if (high[i] > most) most = high[i];
        }
        out.time.push(Math.max(t0_s + at * dt_s, begin_s));
        out.low.push(most < least ? null : least);
        out.high.push(most < least ? null : most);
      }
      if (last <= first) return;
      out.dt_s = Math.max(out.dt_s, group * dt_s);
      out.time.push(Math.min(t0_s + last * dt_s, end_s));
      out.low.push(out.low.at(-1));
      out.high.push(out.high.at(-1));
    }
  }

  // ---- Words

  function seconds(value_s, resolution_s) {
    return `${value_s.toFixed(Math.min(Math.max(Math.ceil(-Math.log10(resolution_s)), 0), 9))} s`;
  }

  function span(value_s) {
    for (const [factor, unit] of [[1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"]]) {
      if (value_s >= factor * 0.9995) return `${Number((value_s / factor).toPrecision(4))} ${unit}`;
    }
    return `${Number((value_s * 1e9).toPrecision(4))} ns`;
  }

  function milliwatts(low, high) {
    const digits = (value) => (Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3);
    const text = (value) => value.toFixed(digits(value));
    return text(low) === text(high) ? text(high) : `${text(low)} to ${text(high)}`;
  }

  Object.assign(tinyjoule, { Trace, seconds, span, milliwatts });
})();
