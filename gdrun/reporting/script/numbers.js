// Elements, numbers as texts, ticks, colours. All files of this folder are one script, in the order of page.py.

const SVG = "http://www.w3.org/2000/svg";
const store = JSON.parse(document.getElementById("figures").textContent);
const DASHES = ["", "8 3", "2 3", "10 3 2 3", "5 3"];
const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
let serial = 0;

function add(parent, name, attributes, text) {
  const made = parent.namespaceURI === SVG || name === "svg"
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function text(value, digits = 6) {
  if (value === null || value === undefined) return "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e9) {
    const rounded = Number(value.toPrecision(digits));
    return Math.abs(rounded) >= 1e4 ? rounded.toLocaleString("en-US", { maximumFractionDigits: 3 }) : String(rounded);
  }
  return Number(value.toPrecision(digits)).toExponential().replace("e+", "e");
}

function power(exponent) {
  if (exponent >= -3 && exponent <= 4) return text(10 ** exponent);
  return "10" + String(exponent).replace(/[-\d]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
}

function ticks(low, high, log, most, whole) {
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first >= 2) {
      const least = (last - first + 1) / most;
      const step = [1, 2, 3, 5, 10, 20, 25, 50, 100, 200].find((nice) => nice >= least) || 400;
      const found = [];
      for (let e = Math.ceil(first / step) * step; e <= last; e += step) found.push([10 ** e, power(e)]);
      return found;
    }
    for (const digits of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let e = first - 1; e <= last; e += 1)
        for (const d of digits) {
          const at = d * 10 ** e;
          if (at >= low * (1 - 1e-9) && at <= high * (1 + 1e-9)) found.push([at, text(at)]);
        }
      if (found.length >= 2 && found.length <= most) return found;
    }
  }
  const rough = (high - low) / most;
  if (!(rough > 0) || !isFinite(rough)) return [[low, text(low)]];
  const size = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((f) => f * size).find((s) => s >= rough * (1 - 1e-9)) || 10 * size;
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) {
    found.push([k * step, text(Number((k * step).toPrecision(12)))]);
  }
  return found;
}

function graded(share) {
  // The darkest colours cannot be seen on black, the lightest ones not on white.
  const shifted = dark.matches && !printing ? 0.3 + 0.7 * share : 0.03 + 0.87 * share;
  return blend(shifted);
}

function blend(share) {
  const at = Math.min(Math.max(share, 0), 1) * (store.graded.length - 1);
  const low = Math.min(Math.floor(at), store.graded.length - 2);
  const channel = (hex, k) => parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
  const mixed = [0, 1, 2].map((k) => Math.round(
    channel(store.graded[low], k) * (low + 1 - at) + channel(store.graded[low + 1], k) * (at - low)));
  return `rgb(${mixed.join(",")})`;
}

function extent(values, log) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return log ? [0.1, 10] : [0, 1];
  return [low, high];
}

function padded([low, high], log, share) {
  if (log) {
    const a = Math.log10(low), b = Math.log10(high), room = b > a ? share * (b - a) : 0.5;
    return [Math.max(10 ** (a - room), 5e-324), Math.min(10 ** (b + room), 1.7e308)];
  }
  const room = high > low ? share * (high - low) : Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

function isOrdered(series) {
  if (series.ordered === undefined) {
    series.ordered = series.x.every((value, at) => value !== null && (at === 0 || value >= series.x[at - 1]));
  }
  return series.ordered;
}

function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle; else high = middle;
  }
  return high >= 0 && Math.abs(sorted[high] - value) < Math.abs(sorted[low] - value) ? high : low;
}
