// The contrast (WCAG 2.2, 1.4.3) of every piece of text that is shown against what is painted behind it.
() => {
  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return element.parentElement && numbers(colour)[3] === 0 ? behind(element.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")]
    .filter(one => [...one.childNodes].some(child => child.nodeType === 3 && child.data.trim()) && one.checkVisibility())
    .filter(one => !one.disabled && one.tagName !== "title" && one.tagName !== "NOSCRIPT")
    .map(one => {
      const style = getComputedStyle(one), pair = [light(one.closest("svg") ? style.fill : style.color), light(behind(one))];
      return {text: one.textContent.slice(0, 40), ratio: (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)};
    });
}
