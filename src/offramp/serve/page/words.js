// Numbers as text, and text, lists and tables in the page, where only changes are written: they may be read out.

export const percent = (value, digits = 1) => {
  if (value == null) return "–";
  const text = (100 * value).toFixed(digits), least = 10 ** -digits;
  return (value > 0 && 100 * value < least / 2 ? "<\u2009" + least.toFixed(digits) : text.replace(/\.0+$/, "")) + "\u00a0%";
};
export const millis = value => value == null ? "–" : (1000 * value).toFixed(value < 0.01 ? 1 : 0) + "\u00a0ms";
export const count = value => value.toLocaleString("en").replaceAll(",", "\u2009");
export const riskOf = point => point.risk || "disagreement";
export const shortened = (text, most) => text.length <= most ? text : "…" + text.slice(1 - most);

export function described(point) {  // an operating point in a line
  const parts = [point.name, point.cost == null ? "cost not known" : `cost ${percent(point.cost)} of the whole model`];
  parts.push(point.bound == null ? "nothing certified" : `certified ${riskOf(point)} ≤ ${percent(point.bound)}`);
  if (point.loss != null) parts.push(`${percent(point.loss)} when chosen`);
  return parts.join(", ");
}

export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function rows(body, lines, active = -1) {
  while (body.rows.length > lines.length) body.deleteRow(-1);
  lines.forEach((line, at) => {
    const row = body.rows[at] || body.insertRow();
    row.className = at === active ? "active" : "";
    line.forEach((text, column) => {
      let cell = row.cells[column];
      if (!cell) {
        cell = row.appendChild(document.createElement(column ? "td" : "th"));
        if (!column) cell.scope = "row";
      }
      write(cell, text);
    });
  });
}

export function list(parent, entries) {
  while (parent.children.length > entries.length) parent.lastChild.remove();
  entries.forEach(([term, value, style], at) => {
    let pair = parent.children[at];
    if (!pair) {
      pair = parent.appendChild(document.createElement("div"));
      pair.append(document.createElement("dt"), document.createElement("dd"));
    }
    write(pair.firstChild, term);
    write(pair.lastChild, value);
    pair.lastChild.className = style || "";
  });
}
