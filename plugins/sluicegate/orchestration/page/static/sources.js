// All sources: what needs somebody first.
import { ago, Answer, Dags, Grid, h, Ledger, Look, Page, RowHead, said, short, Strip, To, useAnswer, when } from "./parts.js";

const { useState } = globalThis.React;
const { Box, Button, HStack, Input, Spinner, Stack, Table, Text } = globalThis.ChakraUI;

const ROWS = 50;

// A cell of names: a long one wraps, and pushes no other column out of sight.
const LONG = { minW: "110px", maxW: "240px", whiteSpace: "normal" };

function Counts({ counts, state, choose }) {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  // The answer gives them in the order in which they need somebody.
  const shown = [["", all, "all"], ...Object.entries(state ? { [state]: 0, ...counts } : counts).map(([name, count]) => [name, count, name])];
  return h(
    HStack,
    { flexWrap: "wrap", role: "group", "aria-label": "Show sources by state" },
    shown
      .filter(([name, count]) => count > 0 || name === state)
      .map(([name, count, label]) =>
        h(
          Button,
          { key: label, size: "sm", variant: state === name ? "solid" : "outline", "aria-pressed": state === name, onClick: () => choose(name) },
          `${count} ${label}`,
        ),
      ),
  );
}

const STARTS = ["trusted", "warned", "let through"];
const FINE = [...STARTS, "not sealed"];

function Figure({ value, label }) {
  return h(Box, { borderWidth: "1px", rounded: "md", px: 3, py: 2, minW: "130px" }, h(Text, { fontSize: "xl", fontWeight: "bold" }, value), h(Text, { fontSize: "sm", color: "fg.muted" }, label));
}

function Figures({ body }) {
  const whole = (value) => (body.waiting ? "…" : value);
  const sum = (wanted) => Object.entries(body.counts).reduce((all, [name, count]) => all + (wanted(name) ? count : 0), 0);
  return h(
    HStack,
    { flexWrap: "wrap", align: "stretch", role: "group", "aria-label": "In figures" },
    h(Figure, { value: sum(() => true) + body.waiting, label: "sources" }),
    h(Figure, { value: whole(sum((name) => STARTS.includes(name))), label: "may be trained on" }),
    h(Figure, { value: whole(sum((name) => !FINE.includes(name))), label: "need somebody" }),
    h(Figure, { value: whole(body.newest_trusted ? ago(body.newest_trusted) : "none"), label: "newest trusted batch" }),
  );
}

// The last verdict that let training start; what was said of it since is the state.
function LastTrusted({ past }) {
  const last = (past ?? []).find(({ result }) => result === "PASSED" || result === "WARNED");
  if (!past?.length) return null;
  return h(Text, { fontSize: "xs", color: "fg.muted", mt: 1, title: last && when(last.issued) }, last ? `last trusted ${ago(last.issued)}` : "not trusted of late");
}

function Why({ row }) {
  if (row.refusal) return h(Text, { lineClamp: 3, title: said(row.refusal) }, said(row.refusal));
  return h(Text, null, `Batch ${short(row.batch)} may be trained on until ${when(row.expires)}.`);
}

function Row({ row }) {
  return h(
    Table.Row,
    null,
    h(RowHead, LONG, h(To, { view: "source", parameters: { name: row.source } }, row.source)),
    h(Table.Cell, null, h(Look, { name: row.state }), h(LastTrusted, { past: row.past })),
    h(Table.Cell, null, h(Strip, { past: row.past })),
    h(Table.Cell, { minW: "240px", maxW: "520px" }, h(Why, { row })),
    h(Table.Cell, LONG, h(Dags, { dags: row.dags })),
  );
}

function Rows({ sources }) {
  const heads = ["Source", "State", "Last verdicts", "Why", "DAGs that wait for it"];
  return h(Grid, { label: "Sources", heads }, sources.map((row) => h(Row, { key: row.source, row })));
}

function Empty({ search, state }) {
  if (search || state) return h(Text, null, "No source has this name or state.");
  return h(Text, null, "No source has been sealed yet. Add SealSourceOperator and TrainingGateOperator to a DAG, or run: sluicegate gate SOURCE --seal PATH");
}

export function Sources() {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const [limit, setLimit] = useState(ROWS);
  const answer = useAnswer("sources", { search, limit: Math.min(limit, 200), ...(state && { state }) });
  return h(
    Page,
    { title: "Training data" },
    h(Input, { type: "search", "aria-label": "Search sources", placeholder: "Search sources", maxLength: 255, value: search, maxW: "360px", flexShrink: 0, onChange: (event) => setSearch(event.target.value) }),
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 4 },
        h(Figures, { body }),
        h(Counts, { counts: body.counts, state, choose: setState }),
        body.waiting > 0 && h(HStack, { role: "status" }, h(Spinner, { size: "sm" }), `Asking for ${body.waiting} more`),
        body.sources.length || body.waiting > 0 ? h(Rows, { sources: body.sources }) : h(Empty, { search, state }),
        body.sources.length < body.total && limit < 200 && h(Button, { alignSelf: "start", size: "sm", variant: "outline", onClick: () => setLimit(limit + ROWS) }, "Show more"),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
