/* Explore: which table, rows or summary, by what, of which rows. And the cards made of it. */
(() => {
  "use strict";
  const { make, choose, act, about, $, $$, drawn, model, _ } = window.carrel;
  const LAYERS = { gold: _("Gold: worked out"), silver: _("Silver: as recorded"), stream: _("Streams: as they arrive") };
  const FACES = [["rows", _("Rows")], ["summary", _("Summarise")]];
  const ASKED = { eq: _("is"), ge: _("from"), le: _("up to"), last: _("newest days"), null: _("has a value") };
  const COLOURS = ["#2a9676", "#bf8f2e", "#4d8f9e", "#5a86c4", "#a273b5"];
  let shape = "";

  const option = (value, text, chosen) => make("option", { value, selected: chosen }, text);
  const labelled = (label, control) => make("label", { class: "labelled" }, label, control);
  /** The columns that may be asked for: [name, figures, group, operators, input]. */
  const offered = () => model().options.tables.find((t) => t[0] === model().query.table)[3].map(([name, type]) => [name, ...model().options.kinds[type]]);

  /* --- What is asked ---------------------------------------------------------------------------- */

  function chosenTable() {
    const { tables } = model().options;
    const groups = [...new Set(tables.map((t) => t[2]))].map((layer) => make("optgroup", { label: LAYERS[layer] || layer },
      ...tables.filter((t) => t[2] === layer).map(([name, title]) => option(name, `${title} (${name})`, name === model().query.table))));
    const fresh = { page: 0, sort: "", down: false, measure: null, by: null, filter: [], top: null };
    return labelled(_("Table"), make("select", { "data-choose": "table", "data-focus": "table", onchange: (e) => choose({ ...fresh, table: e.target.value }) }, ...groups));
  }

  function faces() {
    const now = model().query.face;
    return make("div", { class: "segments", role: "group", "aria-label": _("Rows or summary") }, ...FACES.map(([face, text]) =>
      make("button", { type: "button", "data-focus": face, "aria-pressed": String(face === now), onclick: () => choose({ face, sort: "", down: false, page: 0 }) }, text)));
  }

  /** What is chosen of a list, each with a button that takes it out, and a select that adds one. */
  function list(key, label, words, adds) {
    const chosen = model().query[key] || [];
    const chips = chosen.map((text) => make("button", { type: "button", class: "chip", "data-chip": text, "aria-label": _("Take out {what}", { what: words(text) }),
      onclick: () => choose({ [key]: chosen.filter((t) => t !== text), sort: "", page: 0 }) }, words(text), make("span", { "aria-hidden": "true" }, " \u00d7")));
    return make("div", { class: "asked", role: "group", "aria-label": label }, make("span", { class: "soft" }, label), ...chips, ...(adds ? [adds] : []));
  }

  const add = (key, label, groups, most) => {
    const chosen = model().query[key] || [];
    if (chosen.length >= most) return null;
    const pick = (e) => e.target.value && choose({ [key]: [...chosen, e.target.value], sort: "", page: 0 });
    return make("select", { class: "add", "aria-label": label, "data-focus": key, onchange: pick }, option("", `${label}\u2026`), ...groups);
  };

  const measured = (text) => {
    const [kind, ...column] = text.split(":");
    return model().options.measures[kind].replace("\u2026", column.join(":"));
  };

  function measures() {
    const chosen = model().query.measure || [];
    const kinds = Object.entries(model().options.measures).map(([kind, words]) => {
      const of = offered().filter(([, known]) => known.includes(kind)).map(([name]) => [`${kind}:${name}`, name]);
      const left = of.filter(([text]) => !chosen.includes(text));
      if (kind === "count") return chosen.includes("count") ? null : option("count", words);
      return left.length ? make("optgroup", { label: words }, ...left.map(([text]) => option(text, measured(text)))) : null;
    });
    return list("measure", _("Figures"), measured, add("measure", _("Add a figure"), kinds.filter(Boolean), model().options.most[0]));
  }

  const GRAINS = { day: _("day"), week: _("week"), month: _("month"), quarter: _("quarter"), year: _("year") };
  const grouped = (text) => {
    const [, column, grain] = /^(.*):(\w+)$/.exec(text) ?? [];
    return grain in GRAINS ? _("{column} by {grain}", { column, grain: GRAINS[grain] }) : text;
  };

  function dimensions() {
    const chosen = model().query.by || [];
    const { grains } = model().options;
    const groups = offered().filter(([, , group]) => group).map(([name, , group]) => {
      if (group !== "day") return chosen.includes(name) ? null : option(name, name);
      return make("optgroup", { label: name }, ...grains.map((g) => `${name}:${g}`).filter((t) => !chosen.includes(t)).map((t) => option(t, grouped(t))));
    });
    return list("by", _("By"), grouped, add("by", _("Add a column"), groups.filter(Boolean), model().options.most[1]));
  }

  function filtered(text) {
    const [column, operator, ...rest] = text.split(":");
    const value = rest.join(":");
    if (operator === "null") return value === "true" ? _("{column} has no value", { column }) : _("{column} has a value", { column });
    if (operator === "last") return _("{column}: the newest {value} days", { column, value });
    return `${column} ${ASKED[operator] || operator} ${value}`;
  }

  function filters() {
    const chosen = model().query.filter || [];
    const columns = offered();
    const column = make("select", { name: "column", onchange: () => shown() }, ...columns.map(([name]) => option(name, name)));
    const operator = make("select", { name: "operator", onchange: () => shown() });
    const value = make("span", { class: "value" });
    const shown = () => {
      const [name, , , operators, look] = columns.find(([one]) => one === column.value);
      const was = operators.includes(operator.value) ? operator.value : operators[0];
      operator.replaceChildren(...operators.map((o) => option(o, ASKED[o], o === was)));
      const type = was === "last" ? "number" : look;
      if (was === "null") return value.replaceChildren(make("select", { name: "value", "aria-label": _("Value") }, option("false", _("yes")), option("true", _("no"))));
      value.replaceChildren(make("input", { name: "value", type, step: "any", min: was === "last" ? 1 : false, required: true, maxlength: 200, "aria-label": _("Value of {column}", { column: name }), list: "values", autocomplete: "off" }),
        make("datalist", { id: "values" }, ...known(name).map((v) => option(v, v))));
    };
    const submit = (event) => {
      event.preventDefault();
      const stated = Object.fromEntries($$("[name]", event.target.closest(".adder")).map((f) => [f.name, f.value]));
      if (!stated.value) return;
      const text = `${stated.column}:${stated.operator}:${stated.value}`;
      choose({ filter: [...chosen.filter((t) => t !== text), text], page: 0 });
    };
    const adder = make("div", { class: "pop-body adder" }, labelled(_("Column"), column), labelled(_("Is asked by"), operator), value, make("button", { type: "button", class: "button primary", onclick: submit }, _("Add filter")));
    adder.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target.matches("input")) submit(e); });
    if (columns.length) shown();
    return list("filter", _("Only rows where"), filtered, columns.length ? make("details", { class: "pop choose" }, make("summary", { class: "field", "data-focus": "filter" }, _("Add a filter")), adder) : null);
  }

  /** The values of a column that stand on the page. */
  function known(name) {
    const { tables, query } = model();
    const at = (query.by || []).indexOf(name);
    const found = at >= 0 ? tables.groups?.data[`d${at}`] : tables.rows?.data[name];
    return [...new Set(found || [])].filter((v) => typeof v === "string" && v && v !== _("(none)") && v !== _("Others")).slice(0, 100);
  }

  function order() {
    const { sort, down, top } = model().query;
    const columns = (model().tables.groups || model().tables.over_time)?.columns || [];
    const ways = columns.flatMap(({ key, title }) => [[`${key}:1`, _("{figure}, greatest first", { figure: title })], [`${key}:`, _("{figure}, least first", { figure: title })]]);
    const pick = (e) => { const [key, way] = e.target.value.split(":"); choose({ sort: key, down: Boolean(way) }); };
    return [
      labelled(_("Sorted by"), make("select", { "data-focus": "sort", onchange: pick }, option(":", _("as usual"), !sort), ...ways.map(([value, text]) => option(value, text, value === `${sort}:${down ? 1 : ""}`)))),
      labelled(_("Show"), make("select", { "data-focus": "top", onchange: (e) => choose({ top: Number(e.target.value) }) }, ...model().options.tops.map((n) => option(n, _("the first {count}", { count: n }), n === top))))];
  }

  function chooser(box) {
    const { query, tables } = model();
    const now = JSON.stringify([query, (tables.groups || tables.over_time)?.columns]);
    if (shape === now) return;
    shape = now;
    box.classList.add("asks");
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.focus || "table" : null;
    const summary = query.face === "summary";
    const can = offered().length > 0;
    const by = (query.by || []).length > 0;
    box.replaceChildren(make("div", { class: "asked" }, chosenTable(), faces()), ...(summary && can ? [measures(), dimensions()] : []), ...(can ? [filters()] : []),
      ...(summary && can && by ? [make("div", { class: "asked" }, ...order())] : []));
    if (!$(".about")) about(box);
    if (focused) ($(`[data-focus="${focused}"]`, box) || $("select", box)).focus();
  }

  window.carrel.chooser = chooser;

  /* --- Cards ------------------------------------------------------------------------------------ */

  const SVG = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  function bars(rows) {
    const top = Math.max(...rows.map(([, value]) => value || 0), 1e-9);
    return make("table", { class: "card-bars" }, make("tbody", {}, ...rows.map(([name, value, text]) => make("tr", {},
      make("th", { scope: "row" }, name), make("td", { "aria-hidden": "true" }, make("span", { class: "bar", style: `width:${((Math.max(value || 0, 0) / top) * 100).toFixed(1)}%` })), make("td", { class: "n" }, text)))));
  }

  function lines(series, said) {
    const points = series.flatMap(([, all]) => all).filter(([, , v]) => v != null);
    if (points.length < 2) return bars(points.map(([, when, v]) => [when, v, String(v)]));
    const days = points.map(([day]) => Date.parse(day)), values = points.map(([, , v]) => v);
    const [first, last, low, high] = [Math.min(...days), Math.max(...days), Math.min(0, ...values), Math.max(...values)];
    const x = (day) => (6 + ((Date.parse(day) - first) / (last - first || 1)) * 588).toFixed(1);
    const y = (v) => (150 - ((v - low) / (high - low || 1)) * 140).toFixed(1);
    const drawn = series.map(([, all], n) => SVG("polyline", { points: all.filter(([, , v]) => v != null).map(([d, , v]) => `${x(d)},${y(v)}`).join(" "), stroke: COLOURS[n], "vector-effect": "non-scaling-stroke" }));
    const svg = SVG("svg", { viewBox: "0 0 600 156", class: "card-lines", role: "img", "aria-label": said, preserveAspectRatio: "none" }, ...drawn);
    const at = (day) => points.find(([d]) => Date.parse(d) === day)[1];
    const names = series.length > 1 ? [make("p", { class: "keys" }, ...series.map(([name], n) => make("span", { style: `--key:${COLOURS[n]}` }, name)))] : [];
    return make("div", {}, ...names, svg, make("p", { class: "ends soft" }, make("span", {}, at(first)), make("span", {}, at(last))));
  }

  drawn.card = (what, cell) => {
    const { id, name, title, figures, fault, notes, said, fresh, aged, href, more } = what;
    cell.classList.toggle("aged", aged);
    $(".note", cell).textContent = title || "";
    const body = fault ? [make("p", { class: "said warn" }, fault)] : [make("div", { class: "figures" }, ...figures.map(([of, value]) => make("p", {}, make("span", { class: "soft" }, of), make("b", {}, value))))];
    if (what.bars) body.push(bars(what.bars));
    if (what.lines) body.push(lines(what.lines, said));
    if (more) body.push(make("p", { class: "soft" }, _("and {count} more, in Explore", { count: more })));
    if (notes) body.push(make("p", { class: "hint" }, notes.join("; ")));
    body.push(make("p", { class: "buttons" }, make("a", { class: "button small", href, "aria-label": _("Open {card} in Explore", { card: name }) }, _("Open in Explore")),
      make("button", { type: "button", class: "button small", "aria-label": _("Remove {card}", { card: name }), onclick: () => act({ act: "delete_view", subject: id }) }, _("Remove"))));
    if (fresh) body.push(make("footer", { class: "card-foot" }, fresh));
    return body;
  };
  drawn.none = () => [make("p", {}, make("a", { href: "/explore?face=summary" }, _("Explore")), ": ", _("ask something there, open Saved views and press Save as card. It stands here from then on, worked out anew each time."))];
})();
