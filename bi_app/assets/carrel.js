/* The browser's side of a Carrel page: filters, cards, tables and menus.
   One Bokeh model (Controls) carries the choice to the server and its texts back; charts and
   tables follow the ColumnDataSources of the document. */
(() => {
  "use strict";
  const SERIES = { checkouts: "#2a9676", renewals: "#bf8f2e", total: "#4d8f9e", returns: "#5a86c4", in_house_uses: "#a273b5" };
  const PAGE_ROWS = 10, EDGE = 12;
  /* The language of the page: its locale, and its words where they are not English. */
  const said = window.carrelWords || { messages: {} };
  const locale = document.documentElement.dataset.locale || "en-GB";
  const plural = new Function("n", `return Number(${said.plural || "n !== 1"})`);
  const fill = (text, given) => text.replace(/\{(\w+)\}/g, (match, name) => (name in given ? given[name] : match));

  /** The message in the page's language, with {name} replaced by what is given. */
  function _(message, given = {}) {
    return fill(said.messages[message] ?? message, given);
  }

  /** The message for a count; {count} is the count. */
  function ngettext(one, many, count, given = {}) {
    const form = (said.messages[one] ?? [one, many])[plural(count)];
    return fill(form, { count: whole.format(count), ...given });
  }

  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const decimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const dates = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const exact = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 6 });
  const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
  const zone = document.documentElement.dataset.zone || "UTC";
  const moments = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: zone });
  const oldMoments = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", timeZone: zone });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const place = (name) => $(`[data-place="${name}"]`);
  let model = null;

  /** An element: make("p", {class: "x", onclick: f}, "text", child, …). */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value == null) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  function icon(path) {
    const span = make("span", {});
    span.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`;
    return span.firstChild;
  }

  /* --- The choice ------------------------------------------------------------------------- */

  function choose(change) {
    const query = { ...model.query, ...change };
    if (JSON.stringify(query) === JSON.stringify(model.query)) return;
    document.body.classList.add("busy");
    model.query = query;
  }

  /** The choice as a URL's query, for downloads and for the address. */
  function address() {
    const { period, start, end, branches, measure } = model.query;
    const asked = new URLSearchParams();
    if (model.query.table || model.options.flat) {
      for (const [key, value] of Object.entries(model.query)) {
        if (Array.isArray(value)) for (const one of value) asked.append(key, one);
        else if (value) asked.set(key, value === true ? "1" : value);
      }
      if (model.query.by && !model.query.by.length) asked.set("by", "-"); // by nothing
      return asked.toString();
    }
    if (model.options.periods && period && period !== "custom") asked.set("period", period);
    else if (model.options.periods && start) { asked.set("start", start); asked.set("end", end); }
    for (const code of branches || []) asked.append("branch", code);
    if (measure && measure !== "checkouts") asked.set("measure", measure);
    for (const { key, default: usual } of model.options.selects || []) if (model.query[key] !== usual) asked.set(key, model.query[key]);
    return asked.toString();
  }

  function follow() {
    drawFilters();
    const asked = address();
    history.replaceState(null, "", asked ? `?${asked}` : location.pathname);
    for (const link of $$("a[data-download]")) link.search = asked;
    document.documentElement.style.setProperty("--series-now", SERIES[model.query.measure] || "");
  }

  function drawFilters() {
    const box = place("filters");
    if (!box) return;
    if (model.options.tables) return window.carrel.chooser(box);
    if (model.options.flat) return drawSelects(box);
    const { periods, branches, selects = [] } = model.options;
    const query = model.query;
    const usual = { ...(periods && { period: "12m" }), branches: [], ...Object.fromEntries(selects.map((s) => [s.key, s.default])) };
    const shape = JSON.stringify([selects, branches]);
    if (box.dataset.drawn !== shape) {
      box.dataset.drawn = shape;
      box.replaceChildren(...(periods ? periodChooser() : []));
      if (branches.length) box.append(branchChooser(branches));
      box.append(...selects.map((s) => (s.as === "segments" ? segments(s) : select(s))));
      box.append(make("button", { type: "button", class: "link", "data-reset": true, onclick: () => choose(usual) }, _("Reset")));
    }
    for (const button of $$("[data-period]", box)) button.setAttribute("aria-pressed", String(button.dataset.period === query.period));
    for (const day of $$("[data-day]", box)) {
      const { first: min, last: max } = model.options;
      Object.assign(day, { min, max, value: query[day.dataset.day] });
    }
    const chosen = new Set(query.branches);
    for (const check of $$("[data-branch]", box)) check.checked = chosen.has(check.dataset.branch);
    const label = $("[data-branch-label]", box);
    if (label) label.textContent = branchText(branches, query.branches);
    markSelects(box);
    $("[data-reset]", box).hidden = Object.entries(usual).every(([key, value]) => String(query[key]) === String(value));
  }

  function periodChooser() {
    const { periods } = model.options;
    const segments = make("div", { class: "segments", role: "group", "aria-label": _("Period") },
        ...Object.entries(periods).map(([key, text]) =>
        make("button", { type: "button", "data-period": key, onclick: () => choose({ period: key }) }, text)));
    const day = (name, label) => make("input", { type: "date", "data-day": name, "aria-label": label, onchange: pickDays });
    return [segments, make("div", { class: "field" }, day("start", _("First day")), make("span", {}, "–"), day("end", _("Last day")))];
  }

  /** Selects and segments that a page names: {key, label, values: [[value, text]], as}. */
  function drawSelects(box) {
    const { selects } = model.options;
    const shape = JSON.stringify(selects);
    if (box.dataset.drawn !== shape) {
      box.dataset.drawn = shape;
      box.replaceChildren(...selects.map((s) => (s.as === "segments" ? segments(s) : select(s))));
      if ("about" in model.notes && !$(".about")) about(box);
    }
    markSelects(box);
  }

  function markSelects(box) {
    for (const one of $$("[data-choose]", box)) one.value = model.query[one.dataset.choose];
    for (const one of $$("[data-segment]", box)) one.setAttribute("aria-pressed", String(String(model.query[one.dataset.segment]) === one.value));
  }

  const about = (box) => box.after(make("p", { class: "about", "data-note": "about" }));

  function select({ key, label, values, resets }) {
    const pick = (e) => choose({ [key]: e.target.value, ...resets });
    return make("label", { class: "labelled" }, label, make("select", { "data-choose": key, onchange: pick }, ...values.map(([value, text]) => make("option", { value }, text))));
  }

  function segments({ key, label, values }) {
    return make("div", { class: "segments", role: "group", "aria-label": label },
      ...values.map(([value, text]) => make("button", { type: "button", "data-segment": key, value, onclick: () => choose({ [key]: value }) }, text)));
  }

  function branchText(branches, chosen) {
    if (!chosen.length) return _("All {count} branches", { count: whole.format(branches.length) });
    return chosen.length === 1 ? branches.find(([code]) => code === chosen[0])[1] : _("{count} branches", { count: whole.format(chosen.length) });
  }

  function branchChooser(branches) {
    const pick = () => choose({ branches: $$("[data-branch]:checked").map((c) => c.dataset.branch) });
    const rows = branches.map(([code, name]) =>
      make("label", {}, make("input", { type: "checkbox", "data-branch": code, onchange: pick }), name));
    return make("details", { class: "pop choose" },
      make("summary", { class: "field" }, make("span", { "data-branch-label": true, style: "color:inherit" })),
      make("div", { class: "pop-body" }, ...rows,
        make("button", { type: "button", class: "link", onclick: () => choose({ branches: [] }) }, _("All branches"))));
  }

  function pickDays() {
    const [start, end] = ["start", "end"].map((n) => $(`[data-day="${n}"]`).value);
    if (start && end && start <= end) choose({ period: "custom", start, end });
  }

  /* --- Cards, notes, messages --------------------------------------------------------------- */

  function drawCards() {
    const box = place("cards");
    if (!box) return;
    const open = $("details[open]", box)?.dataset.name;
    const focused = document.activeElement?.dataset?.pick;
    box.style.setProperty("--count", model.cards.length);
    box.replaceChildren(...model.cards.map(card));
    if (open) $(`details[data-name="${open}"]`, box)?.setAttribute("open", "");
    if (focused) $(`[data-pick="${focused}"]`, box)?.focus();
  }

  function card(figure) {
    const chosen = figure.name === model.query.measure;
    const picks = figure.name in SERIES;
    const title = picks
      ? make("button", { type: "button", class: "pick", "data-pick": figure.name, "aria-pressed": String(chosen), onclick: () => choose({ measure: figure.name }) }, figure.title)
      : make("span", { class: "fixed-name" }, figure.title);
    const value = figure.moment ? moment(figure.moment) : figure.value;
    const note = figure.moment ? { ...figure, note: whenOf(figure.moment) } : figure;
    const look = `${chosen ? " chosen" : ""}${figure.look ? ` look-${figure.look}` : ""}${figure.text ? " words" : ""}`;
    const box = make("div", { class: `kpi${look}`, "data-card": figure.name, style: `--series:${SERIES[figure.name] || "var(--soft)"}` },
      title, make("span", { class: "value" }, value), changeOf(note), definition(figure));
    if (figure.spark?.length) box.append(spark(figure.spark));
    return box;
  }

  function changeOf(figure) {
    if (figure.note != null) return make("span", { class: "change" }, figure.note);
    const change = figure.change;
    if (change == null) return make("span", { class: "change" }, _("no comparison"));
    const way = change > 0 ? "up" : change < 0 ? "down" : "";
    const sign = change > 0 ? "\u25B2" : change < 0 ? "\u25BC" : "";
    return make("span", { class: "change", title: model.options.compared }, make("b", { class: way }, `${sign} ${decimal.format(Math.abs(change))} %`));
  }

  function definition(figure) {
    const compared = figure.change == null ? [] : [make("p", { class: "soft" }, model.options.compared)];
    return make("details", { class: "pop", "data-name": figure.name },
      make("summary", { class: "icon-button", "aria-label": _("Definition of {title}", { title: figure.title }) }, icon('<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.5M12 7.6v.1"/>')),
      make("div", { class: "pop-body" }, ...(figure.score ? scoreParts(figure.score) : [make("p", {}, figure.definition)]), ...compared));
  }

  /** What a score is made of: its formula, and each part with weight and score. */
  function scoreParts({ formula, parts, more }) {
    const rows = parts.map(([name, weight, score, lost]) => make("tr", {},
      make("td", {}, name, ...(lost ? [make("small", { class: "soft" }, ` ${lost}`)] : [])), make("td", { class: "n" }, weight == null ? "" : plain.format(weight)), make("td", { class: "n" }, score == null ? "" : plain.format(score))));
    const head = make("tr", {}, make("th", { scope: "col" }, _("Part")), make("th", { scope: "col", class: "n" }, _("Weight")), make("th", { scope: "col", class: "n" }, _("Score")));
    const rest = more ? [make("p", { class: "soft" }, _("and {count} more with higher scores", { count: whole.format(more) }))] : [];
    return [make("p", {}, make("b", {}, _("How it is worked out"))), make("p", {}, formula), make("table", { class: "parts" }, make("thead", {}, head), make("tbody", {}, ...rows)), ...rest];
  }

  function spark(points) {
    const step = 100 / (points.length - 1);
    const line = points.map((y, i) => `${(i * step).toFixed(1)},${(30 - y * 0.28).toFixed(1)}`).join(" ");
    const svg = icon(`<polyline points="${line}" vector-effect="non-scaling-stroke"/>`);
    svg.setAttribute("viewBox", "0 0 100 31");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("class", "spark");
    return svg;
  }

  function drawNotes() {
    for (const note of $$("[data-note]")) if (note.dataset.note in model.notes) note.textContent = model.notes[note.dataset.note];
  }

  function drawMessage() {
    const box = place("message");
    const { kind, text } = model.message || {};
    box.hidden = !text;
    document.body.classList.toggle("hollow", kind === "empty");
    box.className = `banner ${kind || ""}`;
    box.textContent = text || "";
  }

  /* --- Tables -------------------------------------------------------------------------------- */

  function source(name) {
    for (const doc of Bokeh.documents) {
      const found = doc.get_model_by_name(name);
      if (found) return found;
    }
    return null;
  }

  function text(value, kind) {
    if (value == null || value === "" || Number.isNaN(value)) return "";
    if (kind === "date") return dates.format(new Date(value));
    if (kind === "datetime") return String(value).replace("T", " ").slice(0, 16);
    if (typeof value !== "number") return String(value);
    if (kind === "money" || kind === "ratio") return money.format(value);
    if (kind === "exact") return Number.isInteger(value) ? whole.format(value) : exact.format(value);
    return kind === "number" ? decimal.format(value) : kind === "integer" ? whole.format(value) : String(value);
  }

  const isNumber = (column) => ["integer", "number", "exact", "percent", "money", "ratio", "seconds"].includes(column.kind);

  /** A moment as people say it: with the time within half a year, with the year before that. */
  function moment(value) {
    const at = new Date(value);
    return (Math.abs(Date.now() - at) > 183 * 864e5 ? oldMoments : moments).format(at);
  }

  /** How long ago, or how far ahead. */
  function whenOf(value) {
    const seconds = (new Date(value) - Date.now()) / 1000;
    for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]])
      if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
    return seconds < 0 ? _("just now") : _("in a moment");
  }

  function span(value) {
    if (value < 60) return _("{value} s", { value: plain.format(Math.round(value * 10) / 10) });
    if (value < 5400) return _("{value} min", { value: Math.round(value / 60) });
    return value < 172800 ? _("{value} h", { value: Math.round(value / 3600) }) : ngettext("{count} day", "{count} days", Math.round(value / 86400));
  }

  /** A line without axes, over the band of what is usual where there is one; its label says it. */
  function line(values, usual = {}) {
    const known = values.filter((v) => v != null);
    if (known.length < 2) return make("span", { class: "soft" }, "");
    const banded = usual.low != null && usual.high != null;
    const seen = banded ? [...known, usual.low, usual.high] : known;
    const low = Math.min(...seen), high = Math.max(...seen), range = high - low || 1;
    const [least, most] = [Math.min(...known), Math.max(...known)];
    const step = 96 / (values.length - 1);
    const points = values.flatMap((v, i) => (v == null ? [] : [`${(2 + i * step).toFixed(1)},${(high === low ? 13 : 24 - ((v - low) / range) * 22).toFixed(1)}`]));
    const at = (v) => 24 - ((v - low) / range) * 22;
    const band = banded ? `<rect class="band" x="0" width="100" y="${at(usual.high).toFixed(1)}" height="${Math.max(1, at(usual.low) - at(usual.high)).toFixed(1)}"/>` : "";
    const svg = icon(`${band}<polyline points="${points.join(" ")}" vector-effect="non-scaling-stroke"/><circle cx="${points.at(-1).split(",")[0]}" cy="${points.at(-1).split(",")[1]}" r="2.2"/>`);
    svg.setAttribute("viewBox", "0 0 100 26");
    svg.setAttribute("class", "line");
    svg.setAttribute("role", "img");
    svg.removeAttribute("aria-hidden");
    const range_ = banded ? _("; usual {low} to {high}", { low: plain.format(usual.low), high: plain.format(usual.high) }) : "";
    svg.setAttribute("aria-label", _("{count} values from {least} to {most}, now {now}", { count: known.length, least: plain.format(least), most: plain.format(most), now: plain.format(known.at(-1)) }) + range_);
    svg.append(Object.assign(document.createElementNS("http://www.w3.org/2000/svg", "title"), { textContent: svg.getAttribute("aria-label") }));
    return svg;
  }

  /** Cells that are more than a text. */
  const DRAWN = {
    link(value) {
      const [address, ...words] = String(value).split("|");
      return make("a", { href: address }, words.join("|"));
    },
    moment: (value) => make("time", { datetime: value, title: whenOf(value) }, moment(value)),
    seconds: (value) => span(value),
    spark: (value) => (Array.isArray(value) ? line(value) : line(value.values, value)),
    score(value) {
      const look = value.score < 80 ? "bad" : value.score < 95 ? "warn" : "good";
      return make("details", { class: "pop score" },
        make("summary", { class: `badge ${look}`, "aria-label": _("Score {score}: how it is worked out", { score: decimal.format(value.score) }) }, decimal.format(value.score)),
        make("div", { class: "pop-body" }, ...scoreParts({ ...value, parts: value.parts.slice(0, 12) })));
    },
    action(value) {
      if (value.act === "open") return make("button", { type: "button", class: "link", "data-focus": `open${value.subject}`, "aria-pressed": String(value.on), onclick: () => choose({ [value.key || "alert"]: value.on ? "" : value.subject }) }, value.label);
      const waits = value.waits;
      return make("button", { type: "button", class: "button small", "data-focus": `act${value.subject}`, "aria-label": `${value.label}: ${value.about}`, disabled: waits, onclick: (e) => { e.target.disabled = true; act({ act: value.act, subject: value.subject }); } }, waits ? _("Asked for") : value.label);
    },
  };

  /** Do something: the server does it as the person, and answers with a message and new tables. */
  function act(what) {
    document.body.classList.add("busy");
    model.act = { ...what, at: Date.now() };
  }

  /** A table that follows a source: sorted by its headings, searched, ten rows a page or all. */
  class Table {
    constructor(cell, target, paged) {
      this.own = JSON.parse(cell.dataset.columns);
      this.target = target;
      this.paged = paged;
      this.page = 0;
      this.sort = null;
      this.term = "";
      this.size = Math.min(Number(cell.dataset.rows) || PAGE_ROWS, innerWidth > 640 ? 100 : PAGE_ROWS);
      if (innerWidth <= 640 && this.sent?.columns.length > 8) this.size = 5;
      this.ranked = paged && cell.dataset.cell === "titles";
      this.name = cell.dataset.cell;
      target.dataset.name = this.name;
      if (paged && !this.ranked) target.classList.add("stacks");
      const search = $(".search", cell);
      if (search) search.addEventListener("input", () => { this.term = search.value.toLowerCase(); this.page = 0; this.draw(); });
      this.source = source(cell.dataset.source);
      this.source?.properties.data.change.connect(() => { this.page = 0; if (!target.hidden) this.draw(); });
    }

    /** What was sent as a table, or the columns of the source. */
    get sent() { return model.tables?.[this.name]; }
    get columns() { return this.sent?.columns ?? this.own; }
    get data() { return this.sent?.data ?? this.source.data; }

    rows() {
      const data = this.data;
      const count = this.columns.length ? data[this.columns[0].key].length : 0;
      let rows = Array.from({ length: count }, (_, i) => ({ i, cells: this.columns.map((c) => data[c.key][i]) }));
      if (this.name === "daily") rows = rows.filter((r) => within(r.cells[0]));
      if (this.term) rows = rows.filter((r) => r.cells.some((v) => String(v).toLowerCase().includes(this.term)));
      if (this.sort) rows.sort((a, b) => this.sort.way * compare(a.cells[this.sort.at], b.cells[this.sort.at], this.columns[this.sort.at].kind));
      return rows;
    }

    draw() {
      const rows = this.rows();
      if (this.sent?.server) return this.drawServed(rows);
      const pages = this.paged ? Math.max(1, Math.ceil(rows.length / this.size)) : 1;
      const seen = this.paged ? rows.slice(this.page * this.size, (this.page + 1) * this.size) : rows;
      const focused = this.target.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
      if (!rows.length) return this.target.replaceChildren(make("p", { class: "none" }, this.term ? _("No row matches the search.") : this.sent ? this.sent.none || _("Nothing here.") : _("No rows in this period.")));
      this.target.replaceChildren(make("table", {}, this.head(), make("tbody", {}, ...seen.map((r) => this.row(r)))));
      if (this.paged && pages > 1) this.target.append(this.pager(pages, rows.length));
      if (focused) $(`[data-focus="${focused}"]`, this.target)?.focus();
    }

    /** A page that the server cut out and sorted. */
    drawServed(rows) {
      const { page, pages } = this.sent;
      this.target.classList.remove("stacks");
      const focused = this.target.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
      this.target.replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": _("Rows") }, make("table", {}, this.head(), make("tbody", {}, ...rows.map((r) => this.row(r))))));
      if (pages > 1) this.target.append(this.buttons(page, pages, _("Page {page} of {pages}", { page: whole.format(page + 1), pages: whole.format(pages) }), (to) => choose({ page: to })));
      if (focused) $(`[data-focus="${focused}"]`, this.target)?.focus();
    }

    head() {
      const heading = (column, at) => {
        const { sort, down } = model.query;
        const served = this.sent?.server && sort === column.key ? (down ? "descending" : "ascending") : null;
        const way = this.sent?.server ? served : this.sort?.at === at ? (this.sort.way > 0 ? "ascending" : "descending") : null;
        return make("th", { scope: "col", "aria-sort": way, class: this.classOf(column, at) },
          column.title ? make("button", { type: "button", "data-focus": `h${at}`, onclick: () => this.by(at) }, column.title) : make("span", { class: "unseen" }, _("What can be done")));
      };
      const rank = this.ranked ? [make("th", { scope: "col", class: "rank n" }, make("button", { type: "button", "data-focus": "rank", onclick: () => this.by(null) }, "#"))] : [];
      return make("thead", {}, make("tr", {}, ...rank, ...this.columns.map(heading)));
    }

    classOf(column, at) {
      const wide = this.ranked && ["collection", "renewals", "copies"].includes(column.key);
      return [isNumber(column) ? "n" : "", wide ? "wide-only" : ""].join(" ").trim() || null;
    }

    by(at) {
      if (this.sent?.server) {
        const { key } = this.columns[at];
        const { sort, down } = model.query;
        return choose({ sort: key, down: sort === key ? !down : false, page: 0 });
      }
      const first = at != null && isNumber(this.columns[at]) ? -1 : 1;
      this.sort = at == null ? null : { at, way: this.sort?.at === at ? -this.sort.way : first };
      this.page = 0;
      this.draw();
    }

    row({ i, cells }) {
      const rank = this.ranked ? [make("td", { class: "rank n" }, String(i + 1))] : [];
      return make("tr", {}, ...rank, ...cells.map((value, at) => this.cell(value, this.columns[at], at)));
    }

    cell(value, column, at) {
      const cell = make("td", { class: this.classOf(column, at), "data-label": column.title });
      if (column.kind === "badge") {
        const [kind, words] = String(value).split("|");
        if (words) cell.append(make("span", { class: `badge ${kind}` }, words));
        return cell;
      }
      if (column.kind in DRAWN) {
        if (value != null && value !== "") cell.append(DRAWN[column.kind](value));
        cell.classList.add(`is-${column.kind}`);
        return cell;
      }
      if (this.ranked && column.key === "checkouts") {
        const top = Math.max(...this.data.checkouts, 1);
        cell.classList.add("bar-cell");
        cell.append(make("span", { class: "bar", style: `width:${(value / top) * 110}px`, "aria-hidden": "true" }));
      }
      cell.append(text(value, column.kind));
      return cell;
    }

    pager(pages, count) {
      const words = _("{first}–{last} of {count}", { first: whole.format(this.page * this.size + 1), last: whole.format(Math.min((this.page + 1) * this.size, count)), count: whole.format(count) });
      return this.buttons(this.page, pages, words, (page) => { this.page = page; this.draw(); });
    }

    buttons(page, pages, words, go) {
      const button = (label, says, to, off) => make("button", { type: "button", class: "button", "aria-label": says, "data-focus": says, disabled: off, onclick: () => go(to) }, label);
      return make("div", { class: "pager" }, make("span", { role: "status" }, words),
        button("\u2190", _("Previous rows"), page - 1, page === 0), button("\u2192", _("Next rows"), page + 1, page === pages - 1));
    }
  }

  const words = (value) => String(value ?? "").split("|").slice(1).join("|");

  function within(day) {
    const range = source("daily_range");
    return !range || (day >= range.start - 1 && day < range.end - 1);
  }

  function compare(a, b, kind) {
    if (kind === "score") return (a?.score ?? -1) - (b?.score ?? -1);
    if (kind === "spark") return ((a?.values ?? a)?.at(-1) ?? -1) - ((b?.values ?? b)?.at(-1) ?? -1);
    if (kind === "action") return String(a?.label).localeCompare(String(b?.label));
    if (kind === "link" || kind === "badge") return words(a).localeCompare(words(b));
    if (["date", "datetime", "moment"].includes(kind) && typeof (a ?? b) === "string") return String(a ?? "").localeCompare(String(b ?? ""));
    const [x, y] = [a, b].map((v) => (typeof v === "string" && /^[-+\d]/.test(v) ? parseFloat(v.replaceAll(",", "")) : v));
    return typeof x === "number" && typeof y === "number" ? x - y : String(a).localeCompare(String(b));
  }

  function startTables() {
    for (const cell of $$("[data-cell]")) {
      const target = $(".data", cell);
      if (cell.dataset.kind === "table") {
        $(".chart", cell).replaceChildren(target);
        target.hidden = false;
        target.style.maxHeight = "none";
        cell.table = new Table(cell, target, true);
        if (cell.table.sent || cell.dataset.source) cell.table.draw();
      } else if (cell.dataset.source || model.tables?.[cell.dataset.cell]) {
        cell.table = new Table(cell, target, false);
      }
    }
  }

  function toggleTable(button) {
    const cell = button.closest("[data-cell]");
    const target = $(".data", cell), chart = $(".chart", cell);
    const room = Math.max(chart.offsetHeight, 260);
    target.hidden = !target.hidden;
    chart.hidden = !target.hidden;
    button.setAttribute("aria-pressed", String(!target.hidden));
    if (target.hidden) return;
    cell.table.draw();
    target.style.maxHeight = `${wholeRows(target, room)}px`;
  }

  /** The height of as many whole rows as there is room for: no row is cut. */
  function wholeRows(target, room) {
    const top = target.getBoundingClientRect().top + target.scrollTop;
    const ends = $$("tbody tr", target).map((row) => row.getBoundingClientRect().bottom - top);
    return Math.ceil(ends.findLast((end) => end <= room) ?? room);
  }

  /* --- Brush --------------------------------------------------------------------------------- */

  const iso = (ms) => new Date(ms).toISOString().slice(0, 10);
  const DAY = 86400000;

  function startBrush() {
    const range = source("daily_range") ?? source("brush_range");
    if (!range) return;
    let timer = 0;
    range.change.connect(() => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const { first, last } = model.options;
        const start = iso(Math.round(range.start / DAY) * DAY), end = iso(Math.round(range.end / DAY) * DAY - DAY);
        const bounded = { start: start < first ? first : start, end: end > last ? last : end };
        const query = model.query;
        if ((bounded.start !== query.start || bounded.end !== query.end) && bounded.start <= bounded.end) choose({ period: "custom", ...bounded });
      }, 220);
    });
  }

  /* --- Details ------------------------------------------------------------------------------- */

  const FORMS = { acts: drawActs, invite: drawActs, told: drawTold, repair: drawRepair, override: drawOverride };

  function drawDetail(cell) {
    const box = $(".chart", cell), what = model.detail[cell.dataset.cell];
    cell.hidden = what == null;
    const shape = JSON.stringify(what);
    if (what?.state === "waits") lookAgain();
    const form = FORMS[cell.dataset.cell];
    if (cell.dataset.drawn === shape && form) { // what a person has typed stays
      for (const pressed of $$("[data-pressed]", box)) { pressed.disabled = false; delete pressed.dataset.pressed; }
      for (const sent of model.message?.text ? $$("[data-sent]", box) : []) {
        if (model.message.kind === "done") sent.reset();
        delete sent.dataset.sent;
      }
      return;
    }
    cell.dataset.drawn = shape;
    const drawn = form || window.carrel.drawn[cell.dataset.cell.split("_")[0]] || drawLineage;
    if (what != null) box.replaceChildren(...drawn(what, cell));
  }

  /* --- Repair ---------------------------------------------------------------------------------- */

  const LOOK_AGAIN = 1200;
  let looking = 0;

  /** Ask how far it is, until it is over; a page that nobody looks at asks nothing. */
  function lookAgain() {
    clearTimeout(looking);
    looking = setTimeout(() => (document.hidden ? lookAgain() : (model.act = { act: "look", at: Date.now() })), LOOK_AGAIN);
  }

  const button = (label, onclick, primary) => make("button", { type: "button", class: `button${primary ? " primary" : ""}`, onclick }, label);
  const press = (pressed) => { pressed.disabled = true; pressed.dataset.pressed = "yes"; };
  const perform = (what) => (e) => { const asked = what(); press(e.target); act(asked); };

  /** Held-back records: open them, edit their cells, send them again, see how far they are. */
  function drawRepair(what) {
    const parts = what.text ? [make("p", { class: `said ${what.look}`, role: "status" }, ...(what.state === "waits" ? [make("span", { class: "spin", "aria-hidden": "true" })] : []), what.text)] : [];
    if (what.steps.length) parts.push(make("ol", { class: "progress" }, ...what.steps.map(([words, state]) => make("li", { class: state, "aria-label": state ? _("{step}: done", { step: words }) : words }, words))));
    if (what.state === "edit") return [...parts, ...drawRecords(what)];
    const { rule } = model.query;
    if (what.held && what.state !== "waits") parts.push(make("p", { class: "soft" }, ngettext("{count} finding in the newest loads.", "{count} findings in the newest loads.", what.held)),
      make("p", { class: "buttons" }, button(rule ? _("Open the records of rule {rule}", { rule }) : _("Open the records"), perform(() => ({ act: "open", rule })), true)));
    return parts;
  }

  function drawRecords({ of, columns, rows }) {
    const changed = () => rows.flatMap(({ load, line }, i) => {
      const cells = Object.fromEntries($$(`[data-record="${i}"]`, body).filter((f) => f.value !== f.dataset.was).map((f) => [f.dataset.column, f.value]));
      return Object.keys(cells).length ? [{ load, line, cells }] : [];
    });
    const count = () => {
      const { length } = changed();
      send.disabled = !length;
      send.textContent = length ? ngettext("Send {count} edited record again", "Send {count} edited records again", length) : _("Send again");
    };
    const field = (i, column, [was, fault, edited], place) => make("input", { "data-record": i, "data-column": column, "data-was": was, value: edited ?? was, class: fault ? "fault" : false, title: fault ? _("breaks: {fault}", { fault }) : false, "aria-invalid": fault ? "true" : false, "aria-label": _("{column} of {place}", { column, place }), autocomplete: "off", spellcheck: "false", oninput: (e) => { e.target.classList.toggle("edited", e.target.value !== was); count(); } });
    const body = make("tbody", {}, ...rows.map(({ place, faults, cells }, i) => make("tr", {},
      make("th", { scope: "row" }, place, make("small", {}, faults)),
      ...columns.map((c) => make("td", { "data-label": c }, ...(cells[c] ? [field(i, c, cells[c], place)] : []))))));
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, _("Record")), ...columns.map((c) => make("th", { scope: "col" }, c))));
    const send = button(_("Send again"), perform(() => ({ act: "send", of, edits: changed() })), true);
    count();
    return [make("div", { class: "records scroll", tabindex: "0", role: "region", "aria-label": _("Records to edit") }, make("table", {}, head, body)),
      make("p", { class: "buttons" }, send, button(_("Put away"), perform(() => ({ act: "close" }))))];
  }

  /** Who published in spite of the contract, or the form to do so. */
  function drawOverride({ verdict, who, why, at }) {
    if (who) return [make("p", { class: "said warn" }, make("b", {}, who), _(" published these figures though the contract does not hold, "), make("time", { datetime: at, title: whenOf(at) }, moment(at)), `: \u201c${why}\u201d`)];
    const submit = (event) => { event.preventDefault(); press($("button", event.target)); act({ act: "publish", verdict, reason: new FormData(event.target).get("reason") }); };
    return [make("form", { class: "act", "data-form": "publish", onsubmit: submit },
      make("label", {}, _("Reason, which everybody on the staff can read"), make("input", { name: "reason", required: true, maxlength: 1000, autocomplete: "off" })),
      make("button", { class: "button", type: "submit" }, _("Publish anyway")))];
  }

  /** Stages from left to right. */
  function drawLineage(stages) {
    const node = ({ name, note, also, dataset }) => make("li", {},
      dataset ? make("a", { href: `/dataset?name=${encodeURIComponent(dataset)}` }, name) : make("b", {}, name),
      make("small", { class: "soft" }, note, ...(also?.length ? [_("; also reads {names}", { names: also.join(", ") })] : [])));
    return [make("ol", { class: "stages" }, ...stages.map(({ title, nodes }) => make("li", {},
      make("h3", {}, title), nodes.length ? make("ul", {}, ...nodes.map(node)) : make("p", { class: "soft" }, _("nothing")))))];
  }

  /** A field that an act names: {name, label, type, value, required, placeholder}, or with values: [[value, text]]. */
  function control({ name, values, value, type, required, placeholder }) {
    if (!values) return make("input", { name, type: type || "text", value, required, placeholder, maxlength: 200, autocomplete: "off" });
    return make("select", { name }, ...values.map(([one, text]) => make("option", { value: one, selected: one === value }, text)));
  }

  /** What may be done about an alert or an account: one form an act. */
  function drawActs({ alert, acts, people }) {
    const field = (label, control) => make("label", {}, label, control);
    const forms = acts.map((one) => {
      const parts = [];
      if (one.reasons) parts.push(field(_("Reason"), make("select", { name: "reason" }, ...one.reasons.map(([value, text]) => make("option", { value }, text)))));
      if (one.person) parts.push(field(_("To whom"), make("input", { name: "person", type: "email", required: true, list: "people", placeholder: _("e-mail of an admin or librarian") })));
      if (one.spans) parts.push(field(_("For"), make("select", { name: "span" }, ...one.spans.map(([value, text]) => make("option", { value }, text)))));
      for (const f of one.fields || []) parts.push(field(f.label, control(f)));
      if (one.note) parts.push(field(_("Note"), make("input", { name: "note", maxlength: 2000, autocomplete: "off" })));
      const submit = (event) => { event.preventDefault(); event.target.dataset.sent = "yes"; act({ ...Object.fromEntries(new FormData(event.target)), act: one.act, subject: alert }); };
      return make("form", { class: "act", "data-form": one.act, onsubmit: submit }, ...parts, make("button", { class: "button", type: "submit" }, one.label));
    });
    return [...forms, make("datalist", { id: "people" }, ...(people || []).map((p) => make("option", { value: p })))];
  }

  /** What a person should know before deciding, and the forms to do so. */
  function drawTold({ says, links, ...what }) {
    const link = ([href, words, download]) => make("a", { href, class: download ? "button primary" : "button", download: download ? "" : false }, words);
    const ways = links ? [make("p", { class: "buttons" }, ...links.map(link))] : [];
    return [make("div", { class: "told" }, ...says.map((text) => make("p", {}, text))), ...ways, ...drawActs(what)];
  }

  /* --- A surface: months by weekdays by hours, one month at a time, seen from a side ---------- */

  const SVG = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  function drawSurface(cell, what) {
    const { months, title } = what, box = $(".chart", cell);
    const seen = (cell.seen ||= { turn: -32 });
    if (seen.title !== title || seen.months !== months.length) Object.assign(seen, { title, months: months.length, month: months.length - 1 });
    const name = make("output", {}), picture = make("div", { class: "surface", role: "img", "aria-label": title, "aria-describedby": `s-${cell.dataset.cell}` });
    const show = () => { name.textContent = months[seen.month]; picture.replaceChildren(surface(what, seen)); };
    const slider = (label, key, low, high) => make("label", { class: "slide" }, make("span", {}, label),
      make("input", { type: "range", min: low, max: high, value: seen[key], oninput: (e) => { seen[key] = Number(e.target.value); show(); } }));
    box.replaceChildren(picture, make("div", { class: "slides" }, name, slider(_("Month"), "month", 0, months.length - 1), slider(_("Turn"), "turn", -80, 80)));
    show();
  }

  function surface({ weekdays, hours, values }, { month, turn }) {
    const wide = hours.length, deep = weekdays.length, size = wide * deep;
    const top = Math.max(...values, 1e-9), angle = (turn * Math.PI) / 180;
    const height = (row, column) => (values[month * size + row * wide + column] || 0) / top;
    const point = (column, row, z) => {
      const x = (column / (wide - 1) - 0.5) * 330, y = (row / (deep - 1) - 0.5) * 230;
      return [260 + x * Math.cos(angle) - y * Math.sin(angle), 205 + (x * Math.sin(angle) + y * Math.cos(angle)) * 0.5 - z * 120];
    };
    const path = (points) => points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ");
    const tiles = [];
    for (let row = 0; row < deep - 1; row++)
      for (let column = 0; column < wide - 1; column++) {
        const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
        const mean = corners.reduce((sum, [c, r]) => sum + height(r, c), 0) / 4;
        const far = point(column + 0.5, row + 0.5, 0)[1];
        tiles.push({ far, mean, points: path(corners.map(([c, r]) => point(c, r, height(r, c)))) });
      }
    tiles.sort((a, b) => a.far - b.far);
    const floor = SVG("polygon", { class: "floor", points: path([[0, 0], [wide - 1, 0], [wide - 1, deep - 1], [0, deep - 1]].map(([c, r]) => point(c, r, 0))) });
    const drawn = tiles.flatMap(({ points, mean }) => [SVG("polygon", { class: "under", points }), SVG("polygon", { class: "tile", points, "fill-opacity": (0.1 + 0.85 * mean).toFixed(2) })]);
    const label = (text, column, row, anchor) => {
      const [x, y] = point(column, row, 0);
      return SVG("text", { x: x.toFixed(1), y: (y + 4).toFixed(1), "text-anchor": anchor }, text);
    };
    const front = Math.cos(angle) > 0 ? deep - 0.45 : -0.55, side = Math.sin(angle) > 0 ? [-0.7, "end"] : [wide - 0.3, "start"];
    const words = [...hours.flatMap((h, c) => (c % 3 ? [] : [label(h, c, front + 0.25, "middle")])), ...weekdays.map((w, r) => label(w, side[0], r, side[1]))];
    const svg = SVG("svg", { viewBox: "0 0 520 340", "aria-hidden": "true" }, floor, ...drawn, ...words);
    return svg;
  }

  /* --- Start ----------------------------------------------------------------------------------- */

  function draw() {
    document.body.classList.remove("busy");
    if (Object.keys(model.query).length) follow();
    for (const cell of $$("[data-cell]")) {
      if (cell.table?.sent && !$(".data", cell).hidden) cell.table.draw();
      if (cell.dataset.kind === "chart" && model.detail?.[cell.dataset.cell]) drawSurface(cell, model.detail[cell.dataset.cell]);
      if (model.detail?.hidden && cell.dataset.source) cell.hidden = false;
      if (cell.dataset.kind === "table" && !cell.dataset.source) cell.hidden = !model.tables?.[cell.dataset.cell];
    }
    for (const name of model.detail?.hidden || []) $(`[data-cell="${name}"]`).hidden = true;
    for (const cell of $$('[data-kind="drawn"]')) drawDetail(cell);
    for (const part of window.carrel.parts) part();
    drawCards();
    drawNotes();
    drawMessage();
  }

  function start(controls) {
    model = controls;
    draw();
    controls.on("query", () => { follow(); drawCards(); });
    controls.on("answered", () => setTimeout(draw));
    controls.on("views", () => setTimeout(draw));
    controls.on("detail", () => setTimeout(draw));
    startTables();
    startBrush();
    startSmall();
    watchConnection();
    for (const wait of [0, 400, 1500]) setTimeout(skipCanvases, wait);
    document.documentElement.dataset.ready = "yes";
  }

  /** Fewer ticks where there is little room. */
  function startSmall() {
    if (innerWidth > 640) return;
    for (const name of ["daily_chart", "daily_strip", "score_chart", "runs_chart", "trend_chart", "attempts_chart", "active_chart", "over_time_chart", "over_time_strip"]) {
      const chart = source(name);
      if (chart) chart.below[0].ticker.setv({ desired_num_ticks: 3 }, { sync: false });
    }
    for (const name of ["waits_chart", "months_chart"]) source(name)?.below[0].setv({ major_label_orientation: 0.9 }, { sync: false });
  }

  /** A canvas says nothing to the keyboard: leave it out; the table behind it is one press away. */
  function skipCanvases() {
    for (const figure of $$(".plot .bk-Figure")) {
      const canvas = figure.shadowRoot?.querySelector(".bk-Canvas");
      const events = canvas?.shadowRoot?.querySelector(".bk-events");
      if (events) events.tabIndex = -1;
    }
  }

  /** The address holds the choice, so that opening the page again loses nothing. */
  function watchConnection() {
    for (const doc of Bokeh.documents) doc.on_event("connection_lost", () => { place("veil").hidden = false; });
  }

  document.addEventListener("click", (event) => {
    const path = event.composedPath();
    for (const pop of $$("details.pop[open]")) if (!path.includes(pop)) pop.open = false;
    const saved = event.target.closest?.("a[data-download]");
    if (saved) saved.closest("details").open = false;
    const button = event.target.closest?.("[data-act]");
    if (!button) return;
    if (button.dataset.act === "table") toggleTable(button);
    if (button.dataset.act === "menu") {
      const open = $("#menu").classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
    }
    if (button.dataset.act === "theme") {
      const root = document.documentElement;
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
      localStorage.setItem("carrel.theme", root.dataset.theme);
      repaint();
    }
  });

  /** A pop-up that would reach over the window's edge moves inside. */
  document.addEventListener("toggle", ({ target }) => {
    const body = target.open && target.matches("details.pop") && $(".pop-body", target);
    if (!body) return;
    body.style.translate = "";
    if (target.matches(".score")) fix(target, body);
    const { left, right } = body.getBoundingClientRect();
    const over = left < EDGE ? EDGE - left : Math.min(0, document.documentElement.clientWidth - EDGE - right);
    if (over) body.style.translate = `${over}px`;
  }, true);

  /** A pop-up within a table, which would cut it, stands fixed on the page, where there is room. */
  function fix(target, body) {
    const { left, bottom, top } = target.getBoundingClientRect();
    const below = innerHeight - bottom > body.offsetHeight + EDGE;
    Object.assign(body.style, { position: "fixed", right: "auto", left: `${left}px`, top: `${below ? bottom + 6 : Math.max(EDGE, top - body.offsetHeight - 6)}px` });
  }

  document.addEventListener("scroll", () => { for (const pop of $$("details.score[open]")) pop.open = false; }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const pop of $$("details.pop[open]")) { pop.open = false; $("summary", pop).focus(); }
  });

  /** Charts read their colours from the style sheet when they paint: paint again. */
  function repaint() {
    for (const view of window.Bokeh?.index.roots ?? []) view.request_repaint?.();
  }

  /* --- What Bokeh writes: axes and hover boxes ----------------------------------------------- */

  const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 2, useGrouping: "always" });
  const AXIS = ["hour", "day", "month", "year"].map((step) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...{
    hour: { hour: "2-digit", minute: "2-digit" }, day: { day: "numeric", month: "short" }, month: { month: "short", year: "numeric" }, year: { year: "numeric" } }[step] }));

  /** A count on an axis: 500, 1.5K. */
  const axisCount = (tick) => compact.format(tick);

  /** A day on an axis, as exact as its ticks are apart; a time of day where `hours` are asked for. */
  function axisDay(tick, ticks, hours) {
    const apart = ticks.length > 1 ? ticks[1] - ticks[0] : DAY;
    if (apart < DAY && tick % DAY) return hours ? AXIS[0].format(tick) : "";
    return AXIS[apart < 28 * DAY ? 1 : apart < 360 * DAY ? 2 : 3].format(tick);
  }

  /** A number in a hover box, by a format such as 0,0.[00] (in brackets: decimals where there are any) or day. */
  function hovered(value, format) {
    if (value == null || Number.isNaN(value)) return "\u2013";
    if (format === "day") return dates.format(value);
    const [must = "", may = ""] = /\.(0*)(?:\[(0+)\])?/.exec(format)?.slice(1) ?? [];
    const places = { minimumFractionDigits: must.length, maximumFractionDigits: must.length + (may || "").length };
    return new Intl.NumberFormat(locale, { ...places, signDisplay: format.startsWith("+") ? "exceptZero" : "auto" }).format(value);
  }

  /** For the scripts of single pages: `parts` are drawn with each answer, `drawn` draw a cell by its name. */
  window.carrel = { start, source, make, choose, act, address, about, $, $$, parts: [], drawn: {}, model: () => model, _, ngettext, whole, axisCount, axisDay, hovered };
})();
