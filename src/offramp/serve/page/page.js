// What the server tells once a second at `live`, shown as text, pictures and tables; and switching. Nothing is asked elsewhere.

import { flow, front, kept, landmark, latency } from "./pictures.js";
import { count, described, list, millis, percent, riskOf, rows, write } from "./words.js";

const $ = id => document.getElementById(id), MINUTE = 60;
const PATIENCE = 5000, AGAIN = 1000;  // milliseconds without news before the connection counts as lost; between two tries
const moments = [];  // of the last minute
let last = null, chosen = null;  // what was told last; the point that the slider is put to, null while it is the active one
let source = null, alive = false, since = 0;  // the stream, null between two tries; whether it says something; since when

// ---- agreement

function verdict(now, point) {
  if (!point.early) return ["The whole model answers, so nothing can disagree with it.", "good"];
  if (point.alarm) return ["▲ Alarm: more disagreement than was certified.", "bad"];
  if (point.bound == null) return ["Nothing is certified for this point, so no alarm can be raised.", ""];
  if (riskOf(point) !== "disagreement")
    return [`Certified is ${riskOf(point)} ≤ ${percent(point.bound)}, which cannot be seen without labels: no alarm can be raised.`, ""];
  if (!now.audit_share) return ["Audits are off (--audit-share 0), so the promise is not watched.", ""];
  if (!point.compared) return ["No early answer has been compared yet.", ""];
  if (point.measured > point.bound) return ["✓ No alarm. More was measured than certified, but too little was compared to be sure.", ""];
  return ["✓ No alarm: what was measured is within what was certified.", "good"];
}

function agreement(now) {
  const point = now.points.find(one => one.name === now.active), [text, style] = verdict(now, point);
  write($("verdict"), text);
  $("verdict").className = style;
  const bound = riskOf(point) === "disagreement" ? point.bound : null, measured = point.early ? point.measured : 0;
  const alarms = now.points.filter(one => one.alarm && one !== point).map(one => one.name);
  list($("facts"), [
    ["Measured", measured == null ? "nothing yet" : `${percent(1 - measured, 2)} of all answers agree`],
    ["Certified", bound == null ? "nothing about agreement" : `at least ${percent(1 - bound, 2)} agree`],
    ["Compared", `${count(point.compared)} early answers, ${count(point.differed)} differed`],
    ["Drawn", `${percent(now.audit_share)} of the early answers, at random`],
    ["Answered", `${count(point.samples)} inputs at this point since the start`],
    ...(alarms.length ? [["Alarm also at", alarms.join(", "), "bad"]] : []),
  ]);
  kept(bound, measured, point.alarm);
}

// ---- choosing and switching; the slider goes from the cheapest point to the most accurate, which is told first

const pointAt = () => last.points[last.points.length - 1 - Number($("point").value)];

function choose(name) {
  chosen = name === last.active ? null : name;
  choices();
  front(last, chosen);
}

function choices() {
  const now = last, size = now.points.length;
  if (chosen === now.active || !now.points.some(one => one.name === chosen)) chosen = null;
  const name = chosen || now.active;
  $("point").max = size - 1;
  $("point").value = size - 1 - now.points.findIndex(one => one.name === name);
  const point = pointAt(), told = described(point) + (chosen ? "" : ", active");
  write($("chosen"), told + (point.early && point.measured != null ? `; ${percent(point.measured, 2)} measured here` : ""));
  $("point").setAttribute("aria-valuetext", told);  // without what changes all the time, which would be read out
  write($("switch"), chosen ? `Switch to ${chosen}` : "Switch");
  $("switch").disabled = !chosen || !now.switchable || !alive;
  $("token").disabled = !now.switchable;
  $("back").hidden = !chosen;
  write($("hint"), now.switchable ? "For all requests that ask for no point of their own; those under way keep theirs."
    : "Switching over the network is off; start the server with --admin-token to allow it.");
  const marks = now.points.filter(point => landmark(point, now.points)).reverse(), box = $("named");
  while (box.children.length > marks.length) box.lastChild.remove();
  marks.forEach((point, at) => {
    const button = box.children[at] || box.appendChild(Object.assign(document.createElement("button"), {type: "button"}));
    write(button, point.name);
    button.setAttribute("aria-pressed", String(point.name === name));
  });
}

function say(text, style = "") {
  write($("said"), text);
  $("said").className = style;
}

async function change() {
  if (!last.switchable) return say("Not switched: switching over the network is off.", "bad");
  if (!chosen) return say(`${last.active} is active already.`);
  const token = $("token").value;
  if (!token) { $("token").focus(); return say("Not switched: enter the admin token of the server first.", "bad"); }
  if (/[^\x21-\x7e]/.test(token)) { $("token").focus(); return say("Not switched: the admin token has letters that no token has.", "bad"); }
  try {
    const reply = await fetch(`v2/models/${encodeURIComponent(last.model)}/active`, {method: "PUT",
      headers: {"Content-Type": "application/json", Authorization: `Bearer ${token}`}, body: JSON.stringify({operating_point: chosen})});
    const told = await reply.json();
    if (reply.ok) { last.active = told.active; say(`Switched to ${told.active}.`, "good"); }
    else say(reply.status === 401 ? "Not switched: the admin token is wrong." : `Not switched: ${told.error}`, "bad");
  } catch {
    say("Not switched: the server does not answer.", "bad");
  }
  chosen = null;
  if (alive) show(last); else paint();
}

$("point").addEventListener("input", () => { if (last) { say(""); choose(pointAt().name); } });
$("point").addEventListener("keydown", event => {
  if (last && event.key === "Escape") choose(last.active);  // Enter submits the form
});
$("named").addEventListener("click", event => { if (event.target.closest("button")) { say(""); choose(event.target.textContent); } });
$("back").addEventListener("click", () => { choose(last.active); $("point").focus(); });
$("form").addEventListener("submit", event => { event.preventDefault(); if (last) change(); });
$("front").addEventListener("click", event => { if (event.target.dataset.point) { say(""); choose(event.target.dataset.point); } });
$("front").addEventListener("keydown", event => {
  const dots = [...$("front").querySelectorAll(".dot")], at = dots.indexOf(event.target);  // the most accurate first
  if (at < 0) return;
  const steps = {ArrowRight: at - 1, ArrowDown: at - 1, ArrowLeft: at + 1, ArrowUp: at + 1, Home: dots.length - 1, End: 0};
  if (event.key === "Enter" || event.key === " ") choose(event.target.dataset.point);
  else if (event.key in steps) { if (dots[steps[event.key]]) dots[steps[event.key]].focus(); }
  else return;
  event.preventDefault();
});

// ---- what is heard

function state(text, bad) {
  write($("state"), text);
  $("state").className = bad ? "bad" : "";
  document.body.classList.toggle("stale", !alive);
}

function show(now) {
  last = now;
  const alarms = now.points.filter(point => point.alarm).map(point => point.name);
  write($("model"), now.model);
  document.title = `${alarms.length ? "▲ " : ""}${now.model} · offramp`;
  state(`live at ${now.active}` + (now.version === "1" ? "" : `, version ${now.version}`) + (alarms.length ? `; alarm at ${alarms.join(", ")}` : "")
    + (now.slow ? "; inputs go on for far longer than they did" : ""), alarms.length > 0 || now.slow);
  write($("window"), String(now.window));
  list($("tiles"), [
    ["inputs per second", now.rate.toFixed(now.rate < 10 ? 1 : 0)],
    ["latency, median", millis(now.p50)], ["latency, 95 % quantile", millis(now.p95)],
    ["mean cost, whole model = 100 %", percent(now.cost)],
    ["inputs waiting now", count(now.waiting)],
    [`answered since the start, ${count(now.failed)} failed`, count(now.answered)],
  ]);
  paint();
}

function paint() {
  if (!last) return;
  const now = last, at = Date.now() / 1000;
  flow(now);
  latency(moments, at);
  agreement(now);
  choices();
  write($("legend"), front(now, chosen)
    ? "Dots: measured when the point was chosen. Dotted line: certified. Diamonds: measured here by audits. Square-root scale upwards."
    : "What points cost is not stored with exported stages, so there is no picture; the table has what is known.");
  rows($("exit-rows"), now.exits.map(one => [one.name, one.on ? "on" : "off", percent(one.share), percent(one.cost), count(one.left)]));
  rows($("latency-rows"), [0, 10, 20, 30, 40, 50].map(ago => {
    const one = moments.findLast(some => at - some.at >= ago && at - some.at < ago + 10) || {};
    return [String(ago), millis(one.p50), millis(one.p95)];
  }));
  rows($("point-rows"), now.points.map(one => [one.name, percent(one.cost), percent(one.loss, 2), one.bound == null ? "–" : `≤ ${percent(one.bound, 2)}`,
    percent(one.measured, 2), count(one.compared)]), now.points.findIndex(one => one.name === now.active));
}

function remember(p50, p95) {
  const at = Date.now() / 1000;
  moments.push({at, p50, p95});
  while (moments[0].at < at - MINUTE) moments.shift();
}

function lost() {
  source.close();
  [source, alive] = [null, false];
  remember(null, null);
  state("no connection; trying again…", true);
  paint();
  setTimeout(listen, AGAIN);
}

function listen() {
  const own = source = new EventSource("live");
  since = Date.now();
  own.onmessage = event => {
    const now = JSON.parse(event.data);
    [alive, since] = [true, Date.now()];
    remember(now.p50, now.p95);
    show(now);
  };
  own.onerror = () => { if (own === source) lost(); };
}

setInterval(() => { if (source && Date.now() - since > PATIENCE) lost(); }, 1000);  // a server may hang, or its machine be gone
new ResizeObserver(paint).observe($("form"));
listen();
