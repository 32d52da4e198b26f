"use strict";
(() => {
  const $ = (what, root = document) => root.querySelector(what);
  const $$ = (what, root = document) => [...root.querySelectorAll(what)];
  const known = JSON.parse($("#data").textContent);
  const tip = $("#tip");

  // Words: the same as in Python's `words`.
  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const two = (n) => String(n).padStart(2, "0");
  const moment = (s) => {
    const at = new Date(known.start + s * 1000);
    return `${DAYS[at.getUTCDay()]} ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  };
  const fixed = (v, digits) => v.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const UNITS = {
    "$/h": (v) => `$${fixed(v, v < 10 ? 3 : 2)}/h`,
    $: (v) => `$${fixed(v, 2)}`,
    "": (v) => fixed(v, Number.isInteger(v) || v >= 1000 ? 0 : 1),
  };
  const span = (seconds) => {
    let left = Math.round(seconds);
    const parts = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]].map(([unit, length]) => {
      const n = Math.floor(left / length);
      left -= n * length;
      return [n, unit];
    });
    const first = parts.findIndex(([n]) => n > 0);
    return first < 0 ? "0s" : parts.slice(first, first + 2).filter(([n]) => n).map(([n, unit]) => n + unit).join(" ");
  };

  const make = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // The tooltip: a title and lines of (colour, label, value).
  const show = (title, lines, x, y) => {
    tip.replaceChildren(make("b", title));
    for (const [colour, label, value, className] of lines) {
      const line = make("div", undefined, className);
      const left = make("span", label);
      if (colour) {
        const square = make("i", undefined, "swatch");
        square.style.background = colour;
        left.prepend(square);
      }
      line.append(left, make("span", value));
      tip.append(line);
    }
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - box.width - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - box.height - 4))}px`;
  };
  const hide = () => {
    tip.hidden = true;
    $$(".cross").forEach((line) => line.remove());
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true });

  // Charts: one line through all of them, the values of the one that is pointed at.
  const plots = $$(".plot");
  const place = (plot) => $("svg", plot).getBoundingClientRect();
  const point = (plot, index, x, y) => {
    const { unit, total, layers } = known.plots[plot.dataset.plot];
    const at = index * known.step;
    const lines = layers
      .map(([name, colour, values]) => [colour, name, values[index]])
      .filter(([, , value]) => layers.length === 1 || value)
      .reverse();
    const sum = lines.reduce((all, [, , value]) => all + value, 0);
    const told = lines.map(([colour, name, value]) => [colour, name, UNITS[unit](value)]);
    if (total && lines.length > 1) told.push(["", total, UNITS[unit](sum), "sum"]);
    if (!told.length) told.push(["", total || "nothing", UNITS[unit](0)]);
    $$(".cross").forEach((line) => line.remove());
    for (const other of plots) {
      if (!other.offsetParent) continue;
      const line = make("i", undefined, "cross");
      const box = place(other);
      line.style.left = `${box.left - other.getBoundingClientRect().left + (box.width * at) / known.seconds}px`;
      other.append(line);
    }
    show(moment(at), told, x, y);
  };
  const last = Math.max(0, Math.ceil(known.seconds / known.step) - 1);
  for (const plot of plots) {
    let index = 0;
    const follow = (event) => {
      const box = place(plot);
      const share = (event.clientX - box.left) / box.width;
      index = Math.max(0, Math.min(last, Math.floor((share * known.seconds) / known.step)));
      point(plot, index, event.clientX, event.clientY);
    };
    plot.addEventListener("pointermove", follow);
    plot.addEventListener("pointerdown", follow);
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const stride = event.shiftKey ? Math.max(1, Math.round(last / 20)) : 1;
      const moved = { ArrowLeft: index - stride, ArrowRight: index + stride, Home: 0, End: last }[event.key];
      if (moved === undefined) return;
      event.preventDefault();
      index = Math.max(0, Math.min(last, moved));
      const box = place(plot);
      point(plot, index, box.left + (box.width * index * known.step) / known.seconds, box.top + 10);
    });
  }

  // Switches: the pressed button of each row makes the key of the chart that is shown.
  for (const switched of $$(".switched")) {
    const rows = $$(".buttons", switched);
    for (const row of rows) {
      row.addEventListener("click", (event) => {
        const pressed = event.target.closest("button");
        if (!pressed) return;
        $$("button", row).forEach((button) => button.setAttribute("aria-pressed", button === pressed));
        const key = rows.map((each) => $('[aria-pressed="true"]', each).dataset.part).join(".");
        $$("[data-variant]", switched).forEach((variant) => { variant.hidden = variant.dataset.variant !== key; });
      });
    }
  }

  // Tables: sorted by a click on a title; long ones folded until asked for.
  const order = (cell) => {
    const raw = cell.dataset.v ?? cell.textContent;
    const number = Number(raw);
    return raw.trim() === "" || Number.isNaN(number) ? raw : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of $$("table.sortable")) {
    const body = table.tBodies[0];
    const most = Number(table.dataset.most || 0);
    let open = !most;
    const fold = () => [...body.rows].forEach((row, i) => row.classList.toggle("folded", !open && i >= most));
    if (most && body.rows.length > most) {
      const more = make("button", `Show all ${body.rows.length}`, "more");
      more.type = "button";
      more.addEventListener("click", () => {
        open = !open;
        more.textContent = open ? `Show the first ${most}` : `Show all ${body.rows.length}`;
        fold();
      });
      table.closest(".scroll").after(more);
    }
    fold();
    const titles = [...table.tHead.rows[0].cells];
    titles.forEach((title, column) => {
      title.addEventListener("click", () => {
        const up = title.getAttribute("aria-sort") === "descending" || (!title.hasAttribute("aria-sort") && !title.classList.contains("n"));
        titles.forEach((other) => other.removeAttribute("aria-sort"));
        title.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].map((row, i) => [order(row.cells[column]), i, row]);
        rows.sort((a, b) => (up ? compare(a[0], b[0]) : compare(b[0], a[0])) || a[1] - b[1]);
        body.append(...rows.map(([, , row]) => row));
        fold();
      });
    });
  }

  // Nodes: facts come from the table behind them, pods from the data.
  const rows = new Map($$("#nodes-table tbody tr").map((row) => [Number(row.dataset.i), row]));
  const titles = $$("#nodes-table thead th").map((title) => title.textContent);
  const factsOf = (i) => [...rows.get(i).cells].map((cell, c) => [titles[c], cell.textContent]).filter(([, value]) => value !== "–");
  const lane = (node) => $("svg", node).getBoundingClientRect();
  const tell = (node, x, y) => {
    const i = Number(node.dataset.i);
    const [[, name], ...facts] = factsOf(i);
    const box = lane(node);
    const at = ((x - box.left) / box.width) * known.seconds;
    const here = at < 0 ? [] : known.pods[i].filter(([, from, to]) => from <= at && (to === null || at < to));
    const wanted = ["type", "zone", "capacity", "price", "cost", "ordered", "running", "ready", "ended", "why it came", "why it went"];
    const lines = facts.filter(([title]) => wanted.includes(title)).map(([title, value]) => ["", title, value]);
    if (here.length) lines.push(["", `at ${moment(at)}`, here.slice(0, 4).map(([pod]) => pod).join(", ") + (here.length > 4 ? ` and ${here.length - 4} more` : ""), "sum"]);
    show(name, lines, x, y);
  };
  const life = (i) => {
    const panel = make("div", undefined, "life");
    const list = make("dl");
    for (const [title, value] of factsOf(i).slice(1)) {
      const pair = make("div");
      pair.append(make("dt", title), make("dd", value));
      list.append(pair);
    }
    panel.append(list);
    const pods = known.pods[i];
    if (!pods.length) {
      panel.append(make("p", "No pod ran on it.", "none"));
      return panel;
    }
    const scroll = make("div", undefined, "scroll");
    const table = make("table");
    const head = table.createTHead().insertRow();
    for (const title of ["pod", "from", "to", "for"]) head.append(make("th", title));
    const body = table.createTBody();
    for (const [pod, from, to] of pods) {
      const row = body.insertRow();
      for (const text of [pod, moment(from), to === null ? "the end" : moment(to), span((to ?? known.seconds) - from)]) row.append(make("td", text));
    }
    scroll.append(table);
    panel.append(scroll);
    return panel;
  };
  const nodes = $$(".node");
  for (const node of nodes) {
    node.addEventListener("pointermove", (event) => tell(node, event.clientX, event.clientY));
    node.addEventListener("pointerleave", hide);
    node.addEventListener("blur", hide);
    node.addEventListener("focus", () => {
      if (!node.matches(":focus-visible")) return;
      const box = lane(node);
      tell(node, box.left - 1, box.bottom);
    });
    node.addEventListener("click", () => {
      hide();
      const open = node.getAttribute("aria-expanded") === "true";
      node.setAttribute("aria-expanded", !open);
      if (open) node.nextElementSibling.remove();
      else node.after(life(Number(node.dataset.i)));
    });
  }

  const pools = $$(".pool");
  let wasOpen = [];
  let filtered = false;
  const filter = $("#filter");
  const texts = filter && nodes.map((node) => {
    const i = Number(node.dataset.i);
    return [rows.get(i).textContent, ...known.pods[i].map(([pod]) => pod)].join(" ").toLowerCase();
  });
  const sift = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    if (words.length && !filtered) wasOpen = pools.map((pool) => pool.open);
    nodes.forEach((node, i) => {
      const fits = words.every((word) => texts[i].includes(word));
      found += fits;
      node.hidden = !fits;
      if (!fits && node.getAttribute("aria-expanded") === "true") node.click();
    });
    pools.forEach((pool, i) => {
      const some = $$(".node:not([hidden])", pool).length > 0;
      pool.hidden = !some;
      if (words.length) pool.open = some;
      else if (filtered) pool.open = wasOpen[i];
    });
    filtered = words.length > 0;
    $("#found").textContent = words.length ? `${found} of ${nodes.length} nodes` : `${nodes.length} node${nodes.length === 1 ? "" : "s"}`;
  };
  for (const event of ["input", "change"]) filter?.addEventListener(event, sift);
  const all = $("#open-all");
  all?.addEventListener("click", () => {
    const open = all.dataset.open !== "true";
    all.dataset.open = open;
    all.textContent = open ? "Close all" : "Open all";
    pools.forEach((pool) => { pool.open = open; });
  });

  // Theme: as the system, light, dark; kept where the browser allows it.
  const THEMES = ["auto", "light", "dark"];
  const button = $("#theme");
  const store = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("fretsaw-theme", value);
      return localStorage.getItem("fretsaw-theme");
    } catch {
      return null;
    }
  };
  const dress = (theme) => {
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    button.dataset.now = theme;
  };
  dress(THEMES.includes(store()) ? store() : "auto");
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(button.dataset.now) + 1) % THEMES.length];
    dress(next);
    store(next);
  });

  // On paper everything is open that fits.
  addEventListener("beforeprint", () => { if (nodes.length <= 120) pools.forEach((pool) => { pool.open = true; }); });
})();
