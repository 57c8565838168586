// Pictures in pixels of the window. Their parts are kept by key, so that what moves can move smoothly.

import { described, millis, percent, riskOf, shortened, write } from "./words.js";

const SVG = "http://www.w3.org/2000/svg", MINUTE = 60;
const sheets = new Map();

function draw(id, height, paint) {
  const svg = document.getElementById(id), width = svg.clientWidth;
  if (!width) return;
  const known = sheets.get(id) || new Map(), seen = new Set();
  sheets.set(id, known);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  paint((key, tag, attributes, text) => {
    let node = known.get(key);
    if (!node) known.set(key, node = svg.appendChild(document.createElementNS(SVG, tag)));
    for (const [name, value] of Object.entries(attributes))
      if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
    if (text != null) write(node, text);
    seen.add(key);
    return node;
  }, width);
  for (const [key, node] of known) if (!seen.has(key)) { node.remove(); known.delete(key); }
}

// The network as a band; a slice of it turns off at each exit. It runs along x in a wide window and along y in a narrow one.
export function flow(now) {
  const width = document.getElementById("flow").clientWidth;
  const exits = now.exits.filter(exit => exit.used || exit.share), inner = exits.slice(0, -1), many = Math.max(inner.length, 1);
  const quiet = exits.every(exit => !exit.share), upright = (width - 240) / many < 62, turn = 10;
  const thick = upright ? Math.min(96, width / 4) : 108, top = upright ? 52 : 28, tail = upright ? 76 : 122;
  const wide = inner.map(exit => thick * (exit.share || 0)), turns = wide.reduce((sum, one) => sum + one + turn, 0);
  const gap = upright ? 34 : (width - tail - turns - 8) / many, end = top + thick + (upright ? 26 : 34);
  const spot = (along, across) => upright ? `${across.toFixed(1)} ${along.toFixed(1)}` : `${along.toFixed(1)} ${across.toFixed(1)}`;
  const place = exit => exit.name.split("/")[0], title = exit => inner.filter(one => place(one) === place(exit)).length > 1 ? exit.name : place(exit);
  draw("flow", upright ? 4 + gap * inner.length + turns + tail : end + 58, (put, all) => {
    let at = 4, going = 1;
    const edge = [], slices = [], under = (key, middle) => put(`under ${key}`, "text", upright
      ? {x: top - 8, y: middle + 4, "text-anchor": "end", class: "quiet"}
      : {x: middle, y: top - 9, "text-anchor": "middle", class: "quiet"}, quiet ? "" : percent(going, 0));
    inner.forEach((exit, index) => {
      const from = at + gap, over = from + turn + wide[index], low = top + thick * going, high = low - wide[index];
      edge.unshift(`L${spot(from, high)} L${spot(from, low)}`);
      slices.push([exit, index, from, over, low, high]);
      under(index, at + gap / 2);
      [at, going] = [over, Math.max(0, going - (exit.share || 0))];
    });
    const tip = at + tail - (upright ? 58 : 102), half = top + thick * going / 2, reach = Math.max(6, thick * going / 2);
    put("trunk", "path", {class: quiet ? "idle" : "trunk", d: `M${spot(4, top)} L${spot(tip, top)} L${spot(tip, half - reach)} ` +
      `L${spot(tip + Math.min(14, reach), half)} L${spot(tip, half + reach)} L${spot(tip, top + thick * going)} ${edge.join(" ")} L${spot(4, top + thick)} Z`});
    under("last", (at + tip) / 2);
    for (const [exit, index, from, over, low, high] of slices) {
      if (wide[index] < 0.5) put(`stub ${index}`, "path", {class: "stub", d: `M${spot(from + turn, low)} L${spot(from + turn, end)}`});
      else put(`slice ${index}`, "path", {fill: `url(#${upright ? "peel-up" : "peel"})`, class: "slice", d: `M${spot(from - 0.5, high)} ` +
        `Q${spot(over, high)} ${spot(over, Math.min(high + over - from, end))} L${spot(over, end)} L${spot(from + turn, end)} ` +
        `L${spot(from + turn, low + turn)} Q${spot(from + turn, low)} ${spot(from - 0.5, low)} Z`});
      const off = !exit.on && !exit.share, share = off ? "off" : percent(exit.share), middle = (from + turn + over) / 2;
      label(put, index, exit, title(exit), share, off, upright ? [end + 8, middle, all - end - 8] : [middle, end + 17, gap + over - from], upright);
    }
    label(put, "last", exits.at(-1), "whole model", percent(exits.at(-1).share), false, upright ? [top, tip + 36, all - top] : [tip + 20, half - 8, 90], upright, true);
  });
}

function label(put, key, exit, name, share, off, [x, y, room], upright, last = false) {
  const cost = exit.cost == null ? "" : `cost ${percent(exit.cost, 0)}`, most = Math.max(6, Math.floor(room / (upright ? 8.4 : 7.4)));
  const style = off ? "quiet" : "strong", place = {x, "text-anchor": upright || last ? "start" : "middle"};
  if (upright) {
    put(`label ${key} 0`, "text", {...place, y: y - 3, class: style}, `${share} · ${shortened(name, Math.max(6, most - share.length - 3))}`);
    put(`label ${key} 1`, "text", {...place, y: y + 13, class: "quiet"}, cost);
    return;
  }
  [[share, style], [shortened(name, most), off ? "quiet" : ""], [cost, "quiet"]].forEach(([text, how], line) =>
    put(`label ${key} ${line}`, "text", {...place, y: y + 17 * line, class: how}, text));
}

function ceiling(value) {  // the next round number
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find(step => step * power >= value);
}

// Moments are {at, p50, p95}, the quantiles null where nothing was heard; there the lines are broken.
export function latency(moments, now) {
  const known = moments.filter(one => one.p95 != null), most = ceiling(Math.max(0.001, ...known.map(one => one.p95)) * 1.05);
  draw("latency", 190, (put, width) => {
    const left = 8, right = width - 78, bottom = 164;
    const x = at => right - (right - left) * Math.min(1, (now - at) / MINUTE), y = value => bottom - 146 * value / most;
    for (const share of [0, 0.5, 1]) {
      put(`line ${share}`, "line", {x1: left, x2: right, y1: y(share * most), y2: y(share * most), class: "axis"});
      if (share) put(`value ${share}`, "text", {x: left, y: y(share * most) - 4, class: "quiet"}, millis(share * most));
    }
    for (const ago of [60, 40, 20, 0])
      put(`ago ${ago}`, "text", {x: x(now - ago), y: bottom + 18, class: "quiet", "text-anchor": ["end", "middle", "middle", "start"][ago / 20]},
        ago ? `${ago} s ago` : "now");
    for (const [key, style] of [["p50", "median"], ["p95", "late"]]) {
      let pen = "M";
      put(key, "path", {class: style, d: moments.map(one => {
        const step = one[key] == null ? "" : `${pen}${x(one.at).toFixed(1)} ${y(one[key]).toFixed(1)}`;
        pen = step ? "L" : "M";
        return step;
      }).join("")});
    }
    const final = known.at(-1);
    if (!final) return void put("none", "text", {x: (left + right) / 2, y: 90, "text-anchor": "middle", class: "quiet"}, "no answers in the last minute");
    const low = Math.max(42, Math.min(y(final.p50), bottom - 14)), high = Math.max(8, Math.min(y(final.p95), low - 34));
    for (const [key, style, name, at] of [["p95", "late", "95 %", high], ["p50", "median", "median", low]]) {
      put(`end ${key}`, "text", {x: right + 8, y: at, class: style}, name);
      put(`now ${key}`, "text", {x: right + 8, y: at + 15, class: style}, millis(final[key]));
    }
  });
}

// The measured disagreement as a bar, with a mark at the certified one.
export function kept(bound, measured, alarm) {
  const most = ceiling(Math.max(0.001, 2 * (bound || 0), 1.1 * (measured || 0)));
  draw("kept", 62, (put, width) => {
    const x = value => 2 + (width - 4) * Math.min(1, value / most), over = alarm ? "over" : bound != null && measured > bound ? "above" : "";
    put("rail", "rect", {x: 2, y: 22, width: width - 4, height: 14, rx: 3, class: "rail"});
    put("bar", "rect", {x: 2, y: 22, width: measured ? Math.max(3, x(measured) - 2) : 0, height: 14, rx: 3, class: `bar ${over}`});
    put("what", "text", {x: 2, y: 14, class: "quiet"}, "disagreement, measured");
    put("zero", "text", {x: 2, y: 54, class: "quiet"}, "0");
    put("most", "text", {x: width - 2, y: 54, "text-anchor": "end", class: "quiet"}, percent(most));
    if (!bound) return;
    put("limit", "line", {x1: x(bound), x2: x(bound), y1: 17, y2: 41, class: "limit"});
    put("promised", "text", {x: x(bound), y: 54, "text-anchor": "middle"}, `certified ≤ ${percent(bound)}`);
  });
}

export const landmark = (point, points) => points.length <= 8 || !/^cost\d/.test(point.name);

// Upwards the disagreement on a square-root scale, since what matters is near zero.
export function front(now, chosen) {
  const value = point => point.loss == null ? point.bound : point.loss;
  const known = now.points.filter(point => point.cost != null && value(point) != null), height = known.length ? 300 : 0;
  draw("front", height, (put, width) => {
    if (!known.length) return;
    const left = 52, right = width - 16, bottom = height - 46, costs = known.map(point => point.cost);
    const start = Math.floor(Math.min(...costs) * 10) / 10, end = Math.max(1, ...costs);
    const most = Math.max(0.01, ...known.flatMap(point => [value(point), point.bound, point.measured]).filter(one => one != null));
    const x = cost => left + 12 + (right - left - 24) * (cost - start) / (end - start || 1), y = share => bottom - (bottom - 26) * Math.sqrt(share / most);
    for (const share of [0, 0.01, 0.05, 0.1, 0.2, 0.5, 1].filter(one => one <= most * 1.001)) {
      put(`across ${share}`, "line", {x1: left, x2: right, y1: y(share), y2: y(share), class: "axis"});
      put(`share ${share}`, "text", {x: left - 7, y: y(share) + 4, "text-anchor": "end", class: "quiet"}, percent(share));
    }
    for (let tenth = Math.round(start * 10); tenth <= end * 10 + 0.01; tenth += width < 560 ? 2 : 1) {
      put(`up ${tenth}`, "line", {x1: x(tenth / 10), x2: x(tenth / 10), y1: 26, y2: bottom, class: "axis"});
      put(`cost ${tenth}`, "text", {x: x(tenth / 10), y: bottom + 17, "text-anchor": "middle", class: "quiet"}, `${10 * tenth}\u00a0%`);
    }
    put("below", "text", {x: (left + right) / 2, y: bottom + 38, "text-anchor": "middle", class: "quiet"}, "mean cost, whole model = 100 %");
    put("beside", "text", {x: 2, y: 10, class: "quiet"}, riskOf(known.find(one => one.risk) || {}));
    put("promise", "path", {class: "promise", d: known.filter(one => one.bound != null).map((one, at) =>
      (at ? `H${x(one.cost).toFixed(1)}V` : `M${x(one.cost).toFixed(1)} `) + y(one.bound).toFixed(1)).join("")});
    for (const point of known) if (point.early && point.measured != null) {
      put(`link ${point.name}`, "line", {x1: x(point.cost), x2: x(point.cost), y1: y(value(point)), y2: y(point.measured), class: "link"});
      put(`seen ${point.name}`, "path", {class: "seen", d: `M${x(point.cost)} ${y(point.measured) - 6}l6 6l-6 6l-6 -6z`});
    }
    for (const point of known) dot(put, point, x(point.cost), y(value(point)), now, chosen);
    const target = known.find(point => point.name === chosen);
    if (target) put("ring", "circle", {cx: x(target.cost), cy: y(value(target)), r: 12, class: "ring"});
    for (const point of known) {
      const active = point.name === now.active, loud = active || point === target;
      if (!loud && !landmark(point, now.points)) continue;
      const before = x(point.cost) > right - 90;
      put(`name ${point.name}`, "text", {x: x(point.cost) + (before ? -9 : 9), y: y(value(point)) - 11, "text-anchor": before ? "end" : "start",
        class: loud ? "strong" : ""}, point.name + (active ? " (active)" : loud ? " (chosen)" : ""));
    }
  });
  return known.length > 0;
}

function dot(put, point, cx, cy, now, chosen) {
  const active = point.name === now.active, text = described(point) + (active ? ", active" : "");
  const node = put(`dot ${point.name}`, "circle", {cx, cy, r: active ? 8 : 4.5, class: active ? "dot active" : "dot", role: "button",
    "data-point": point.name, "aria-label": text, tabindex: point.name === (chosen || now.active) ? 0 : -1});
  if (!node.firstChild) node.appendChild(document.createElementNS(SVG, "title"));
  write(node.firstChild, text);
}
