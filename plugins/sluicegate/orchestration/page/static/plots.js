// How columns are spread in baseline and batch. Each drawing is one sentence to a screen reader, and a table to whoever asks.
import { Grid, h, number, RowHead } from "./parts.js";

const { Box, HStack, Stack, Table, Text } = globalThis.ChakraUI;

const BASELINE = "fg.subtle";
const BATCH = "orange.solid";
const CLASSES = ["blue", "orange", "teal", "purple", "pink", "yellow", "cyan", "red"].map((palette) => `${palette}.solid`);
const OTHERS = "fg.subtle";
const PLOTS = 3; // more columns are folded

export const percent = (share) => `${number(100 * share)} %`;

const sum = (rows) => rows.reduce((all, count) => all + count, 0);
const sharesOf = (rows) => rows.map((count) => (sum(rows) ? count / sum(rows) : 0));

// A drawing is as wide as its place; only what stands in it as text keeps its size.
function Drawing({ width, height, pixels, children }) {
  return h("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": true, style: { display: "block", width: "100%", height: pixels } }, children);
}

function Bars({ colour, bars }) {
  return h(Box, { as: "g", color: colour, fill: "currentColor" }, bars.map(({ title, ...place }, i) => h("rect", { key: i, ...place }, h("title", null, title))));
}

function Swatch({ colour }) {
  return h(Box, { as: "span", display: "inline-block", w: "10px", h: "10px", me: 1, bg: colour });
}

function Legend({ named }) {
  return h(HStack, { flexWrap: "wrap", columnGap: 4, rowGap: 0, fontSize: "sm", color: "fg.muted" }, named.map(([name, colour]) => h(Text, { key: name, as: "span", overflowWrap: "anywhere" }, h(Swatch, { colour }), name)));
}

// Cells in order, left to right: the baseline is the wide bar, the batch the narrow one before it.
function Columns({ cells }) {
  const most = Math.max(...cells.flatMap(({ before, now }) => [before, now]), Number.MIN_VALUE);
  const bars = (key, inset) => cells.map((cell, i) => ({ x: 12 * i + inset, width: 12 - 2 * inset, y: 100 - (100 * cell[key]) / most, height: (100 * cell[key]) / most, title: told(cell) }));
  const ends = [cells[0], cells[Math.floor(cells.length / 2)], cells.at(-1)];
  return h(
    Stack,
    { gap: 1 },
    h(Text, { fontSize: "xs", color: "fg.muted" }, `${percent(most)} of rows`),
    h(Box, { borderBottomWidth: "1px", borderColor: "fg.muted" }, h(Drawing, { width: 12 * cells.length, height: 100, pixels: "150px" }, h(Bars, { colour: BASELINE, bars: bars("before", 1) }), h(Bars, { colour: BATCH, bars: bars("now", 3.5) }))),
    h(HStack, { justify: "space-between", align: "start", fontSize: "xs", color: "fg.muted" }, ends.map(({ name }, i) => h(Text, { key: i, maxW: "32%", textAlign: ["start", "center", "end"][i] }, name))),
  );
}

function Named({ name, children, text }) {
  return h(
    Stack,
    { direction: { base: "column", sm: "row" }, gap: { base: 0, sm: 2 }, align: { sm: "center" } },
    h(Text, { w: { sm: "190px" }, fontSize: "sm", overflowWrap: "anywhere", flexShrink: 0 }, name),
    h(Box, { flex: { sm: 1 }, minW: "80px", maxW: { sm: "420px" } }, children),
    h(Text, { fontSize: "sm", color: "fg.muted" }, text),
  );
}

// Cells without an order, one below the other.
function Rows({ cells }) {
  const most = Math.max(...cells.flatMap(({ before, now }) => [before, now]), Number.MIN_VALUE);
  return h(
    Stack,
    { gap: 2 },
    cells.map((cell, i) =>
      h(
        Named,
        { key: i, name: cell.name, text: `${percent(cell.before)}, now ${percent(cell.now)}` },
        h(Drawing, { width: 100, height: 20, pixels: "20px" }, h(Bars, { colour: BASELINE, bars: [{ x: 0, y: 0, height: 9, width: (100 * cell.before) / most, title: told(cell) }] }), h(Bars, { colour: BATCH, bars: [{ x: 0, y: 11, height: 9, width: (100 * cell.now) / most, title: told(cell) }] })),
      ),
    ),
  );
}

const told = ({ name, before, now }) => `${name}: baseline ${percent(before)}, batch ${percent(now)}`;

function Stacked({ shares, names, pixels }) {
  const starts = shares.map((_, i) => sum(shares.slice(0, i)));
  return h(Drawing, { width: 100, height: 10, pixels }, shares.map((share, i) => h(Bars, { key: i, colour: CLASSES[i] ?? OTHERS, bars: [{ x: 100 * starts[i], y: 0, height: 10, width: 100 * share, title: `${names[i]}: ${percent(share)}` }] })));
}

// What the rows of each contributor are labelled, before and now; classes beyond the colours are one.
function Parts({ shape }) {
  const drawn = shape.cells.map((_, i) => i).filter((i) => shape.baseline[i] + shape.batch[i] > 0);
  const kept = drawn.length > CLASSES.length ? drawn.slice(0, CLASSES.length) : drawn;
  const names = [...kept.map((i) => shape.cells[i]), ...(kept.length < drawn.length ? ["all others"] : [])];
  const merged = (rows) => sharesOf([...kept.map((i) => rows[i]), ...(kept.length < drawn.length ? [sum(drawn.slice(kept.length).map((i) => rows[i]))] : [])]);
  const parts = shape.parts.map((part) => ({ subject: part.subject, rows: [sum(part.baseline), sum(part.batch)], before: merged(part.baseline), now: merged(part.batch) }));
  const shift = (part) => (part.rows[0] ? Math.max(...part.before.map((share, i) => Math.abs(share - part.now[i]))) : 0);
  const worst = [...parts].sort((a, b) => shift(b) - shift(a))[0];
  const sentence = `Labels by contributor: those of ${worst.subject} differ most from its own in the baseline, by ${percent(shift(worst))} of its rows.`;
  const list = (shares) => names.map((name, i) => `${name} ${percent(shares[i])}`).join(", ");
  return h(
    Stack,
    { gap: 2 },
    h(Text, { fontSize: "sm", fontWeight: "medium" }, "Labels by contributor: baseline above, batch below"),
    h(Legend, { named: names.map((name, i) => [name, CLASSES[i] ?? OTHERS]) }),
    h(
      Stack,
      { gap: 2, role: "img", "aria-label": sentence },
      parts.map((part) =>
        h(
          Named,
          { key: part.subject, name: part.subject, text: part.rows[0] ? `${part.rows[0]} rows, now ${part.rows[1]}` : `new, ${part.rows[1]} rows` },
          h(Stack, { gap: "2px" }, h(Stacked, { shares: part.before, names, pixels: "9px" }), h(Stacked, { shares: part.now, names, pixels: "9px" })),
        ),
      ),
    ),
    h(AsTable, { label: "Labels by contributor", heads: ["Contributor", "Baseline", "Batch"], rows: parts.map((part) => [part.subject, part.rows[0] ? list(part.before) : "none", list(part.now)]) }),
  );
}

function AsTable({ label, heads, rows }) {
  return h(
    "details",
    null,
    h("summary", { style: { cursor: "pointer", fontSize: "0.8rem" } }, "As a table"),
    h(Box, { mt: 1 }, h(Grid, { label, heads }, rows.map(([head, ...cells], i) => h(Table.Row, { key: i }, h(RowHead, null, head), cells.map((cell, j) => h(Table.Cell, { key: j }, cell)))))),
  );
}

const RANKS = "Values have numbers here, value 1 is the most frequent of the baseline; `sluicegate check --report` has their names.";
const NOTES = {
  numbers: "Cells hold about as many rows of the baseline each, or one value each where it has few.",
  lengths: "Length of the texts in characters. Cells hold about as many texts of the baseline each, or one length each.",
  time: "When rows came, UTC.",
};
// How many cells at the end have no place in the order.
const ASIDE = { numbers: 2, lengths: 2, time: 1 };

export function Shape({ shape, rolling }) {
  const [before, now] = [sharesOf(shape.baseline), sharesOf(shape.batch)];
  const cells = shape.cells.map((name, i) => ({ name, before: before[i], now: now[i] }));
  const ordered = shape.kind in ASIDE ? cells.slice(0, cells.length - ASIDE[shape.kind]) : [];
  // Cells at either end are drawn only if somebody is in them.
  const [first, last] = [ordered.findIndex(filled), ordered.findLastIndex(filled)];
  const within = first < 0 ? [] : ordered.slice(first, last + 1);
  const rest = (ordered.length ? cells.slice(ordered.length) : cells).filter(filled);
  const farthest = [...cells].sort((a, b) => Math.abs(b.now - b.before) - Math.abs(a.now - a.before))[0];
  const title = `${shape.role === "other" ? "Column" : shape.role === "label" ? "Label" : "Contributors, column"} ${shape.column}${rolling ? ", beside the rolling baseline" : ""}`;
  const sentence = `${title}: the share of "${farthest.name}" was ${percent(farthest.before)} of ${sum(shape.baseline)} baseline rows and is ${percent(farthest.now)} of ${sum(shape.batch)} batch rows.`;
  const note = shape.kind === "values" && shape.role === "other" ? RANKS : NOTES[shape.kind];
  const baseline = `baseline, ${sum(shape.baseline)} rows${shape.note && ` ${shape.note}`}`;
  return h(
    Stack,
    { as: "figure", gap: 2, borderWidth: "1px", rounded: "md", p: 3, m: 0 },
    h(Text, { as: "figcaption", fontWeight: "medium", overflowWrap: "anywhere" }, title),
    h(Legend, { named: [[baseline, BASELINE], [`batch, ${sum(shape.batch)} rows`, BATCH]] }),
    h(Stack, { gap: 2, role: "img", "aria-label": sentence }, within.length > 0 && h(Columns, { cells: within }), rest.length > 0 && h(Rows, { cells: rest })),
    note && h(Text, { fontSize: "xs", color: "fg.muted" }, note),
    h(AsTable, { label: title, heads: ["Cell", "Baseline", "Batch"], rows: cells.map(({ name }, i) => [name, `${shape.baseline[i]} (${percent(before[i])})`, `${shape.batch[i]} (${percent(now[i])})`]) }),
    shape.parts.length > 0 && h(Parts, { shape }),
  );
}

const filled = ({ before, now }) => before + now > 0;

function Folded({ title, children }) {
  return h("details", null, h("summary", { style: { cursor: "pointer" } }, title), h(Stack, { mt: 2, gap: 3 }, children));
}

// The shapes of one verdict: what its findings accuse, the worst first; what is always kept is folded.
export function Shapes({ shapes, accused }) {
  if (shapes === null) return h(Text, null, "The gate that judged this batch kept no shapes, only numbers. What is judged again keeps them.");
  const all = Object.entries(shapes).flatMap(([lane, kept]) => kept.map((shape) => ({ shape, rolling: lane === "rolling" })));
  const rank = ({ shape }) => accused.indexOf(shape.column);
  const drawn = all.filter((one) => rank(one) >= 0).sort((a, b) => rank(a) - rank(b));
  const others = all.filter((one) => rank(one) < 0);
  const each = (some) => some.map((one) => h(Shape, { key: `${one.rolling} ${one.shape.column}`, ...one }));
  return h(
    Stack,
    { gap: 3 },
    each(drawn.slice(0, PLOTS)),
    drawn.length > PLOTS && h(Folded, { title: drawn.length === PLOTS + 1 ? "1 more column that findings name" : `${drawn.length - PLOTS} more columns that findings name` }, each(drawn.slice(PLOTS))),
    others.length > 0 && h(Folded, { title: drawn.length ? "Label and contributors, which no finding names" : "Label and contributors" }, each(others)),
    all.length === 0 && h(Text, null, "Nothing to draw: the source has neither label nor contributor, and no finding names a column."),
  );
}

// Words or values that a finding ties to a label. Their text stays in the signed evidence.
export function Tied({ record }) {
  const tied = (record.evidence.associations ?? []).filter((one) => one.rows > 0);
  if (!tied.length) return null;
  const cells = tied.map((one, i) => ({ name: `number ${i + 1}: ${percent(one.rows_of_class / one.rows)} of its rows have one label`, before: record.n_baseline ? one.rows_before / record.n_baseline : 0, now: one.rows / record.n_batch }));
  const sentence = `${tied.length} found, most suspicious first: ${told(cells[0])}.`;
  return h(Stack, { gap: 1 }, h(Text, { fontSize: "sm", fontWeight: "medium" }, "Share of rows that hold what the finding is about"), h(Legend, { named: [["baseline", BASELINE], ["batch", BATCH]] }), h(Box, { role: "img", "aria-label": sentence }, h(Rows, { cells })));
}

// The densest windows of time: rows in each, and how many the baseline explains.
export function Windows({ record }) {
  const windows = (record.evidence.windows ?? []).filter((one) => one.rows > 0);
  if (!windows.length) return null;
  const at = (ms) => new Date(ms).toISOString().slice(0, 19);
  const name = (one) => `${one.subject}, ${Math.abs(one.from_ms) < 8e15 && Math.abs(one.to_ms) < 8e15 ? `${at(one.from_ms)} to ${at(one.to_ms)}` : "far out"}`;
  const cells = windows.map((one) => ({ name: name(one), before: Math.min(one.explained, record.n_batch) / record.n_batch, now: one.rows / record.n_batch }));
  return h(Stack, { gap: 1 }, h(Text, { fontSize: "sm", fontWeight: "medium" }, "Share of the batch's rows in a window of time, UTC"), h(Legend, { named: [["what the baseline explains", BASELINE], ["batch", BATCH]] }), h(Box, { role: "img", "aria-label": told(cells[0]) }, h(Rows, { cells })));
}

// Who delivered the rows of each batch, as far as evidence says it; the newest is on the right.
export function Contributors({ contributors, past }) {
  const rest = contributors.shares.some((shares) => shares && shares.at(-1) > 1e-9);
  const names = rest ? [...contributors.names, "all others"] : contributors.names;
  const batches = contributors.shares.map((shares, i) => ({ shares, index: past[i].index })).reverse();
  const first = batches.find(({ shares }) => shares);
  const last = batches.findLast(({ shares }) => shares);
  const sentence = `Contributors of ${batches.length} batches: ${contributors.names[0]} delivered ${percent(first.shares[0])} of the first and ${percent(last.shares[0])} of the last.`;
  return h(
    Stack,
    { gap: 2 },
    h(Legend, { named: names.map((name, i) => [name, i < contributors.names.length ? CLASSES[i] : OTHERS]) }),
    h(
      Box,
      { role: "img", "aria-label": sentence, borderBottomWidth: "1px", borderColor: "fg.muted", maxW: "900px" },
      h(
        Drawing,
        { width: 10 * batches.length, height: 100, pixels: "150px" },
        names.map((name, j) =>
          h(Bars, {
            key: j,
            colour: j < contributors.names.length ? CLASSES[j] : OTHERS,
            bars: batches.flatMap(({ shares, index }, i) => (shares ? [{ x: 10 * i + 0.5, width: 9, y: 100 * sum(shares.slice(0, j)), height: 100 * shares[j], title: `${name}, ledger entry ${index}: ${percent(shares[j])}` }] : [])),
          }),
        ),
      ),
    ),
    h(HStack, { justify: "space-between", fontSize: "xs", color: "fg.muted", maxW: "900px" }, h(Text, null, `ledger entry ${batches[0].index}`), h(Text, null, `ledger entry ${batches.at(-1).index}`)),
    h(AsTable, { label: "Contributors by verdict", heads: ["Ledger entry", ...names], rows: [...batches].reverse().map(({ shares, index }) => [`${index}`, ...names.map((_, j) => (shares ? percent(shares[j]) : "not kept"))]) }),
  );
}
