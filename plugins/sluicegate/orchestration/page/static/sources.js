// All sources: what needs somebody first.
import { Answer, Dags, Grid, h, Ledger, Look, Page, RowHead, said, short, Strip, To, useAnswer, when } from "./parts.js";

const { useState } = globalThis.React;
const { Button, HStack, Input, Spinner, Stack, Table, Text } = globalThis.ChakraUI;

const STATES = ["not verified", "blocked", "quarantined", "not judged", "stale", "let through", "warned", "not sealed", "trusted"];
const ROWS = 50;

// A cell of names: a long one wraps, and pushes no other column out of sight.
const LONG = { minW: "110px", maxW: "240px", whiteSpace: "normal" };

function Counts({ counts, state, choose }) {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const shown = [["", all, "all"], ...STATES.map((name) => [name, counts[name] ?? 0, name])];
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

function Why({ row }) {
  if (row.refusal) return h(Text, { lineClamp: 3, title: said(row.refusal) }, said(row.refusal));
  return h(Text, null, `Batch ${short(row.batch)} may be trained on until ${when(row.expires)}.`);
}

function Row({ row }) {
  return h(
    Table.Row,
    null,
    h(RowHead, LONG, h(To, { view: "source", parameters: { name: row.source } }, row.source)),
    h(Table.Cell, null, h(Look, { name: row.state })),
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
        h(Counts, { counts: body.counts, state, choose: setState }),
        body.waiting > 0 && h(HStack, { role: "status" }, h(Spinner, { size: "sm" }), `Asking for ${body.waiting} more`),
        body.sources.length || body.waiting > 0 ? h(Rows, { sources: body.sources }) : h(Empty, { search, state }),
        body.sources.length < body.total && limit < 200 && h(Button, { alignSelf: "start", size: "sm", variant: "outline", onClick: () => setLimit(limit + ROWS) }, "Show more"),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
