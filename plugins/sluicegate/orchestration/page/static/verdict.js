// One verdict: why, how much, by whom, and how to verify it without this page.
import { Answer, Command, Facts, Grid, h, Ledger, Look, number, Page, Part, quoted, RowHead, said, To, useAnswer, when } from "./parts.js";
import { taskPath } from "./guard.js";
import { Shapes, Tied, Windows } from "./plots.js";

const { useState } = globalThis.React;
const { Box, Button, Stack, Table, Text } = globalThis.ChakraUI;

function Bar({ label, share, palette, mark, text }) {
  return h(
    Stack,
    { direction: { base: "column", sm: "row" }, gap: 1, align: { sm: "center" } },
    h(Text, { w: "190px", fontSize: "sm", overflowWrap: "anywhere", flexShrink: 0 }, label),
    h(
      Box,
      { position: "relative", h: "14px", flex: { sm: 1 }, minW: "80px", maxW: "420px", bg: "bg.muted" },
      h(Box, { colorPalette: palette, bg: "colorPalette.solid", h: "full", w: `${100 * Math.min(share, 1)}%` }),
      mark !== undefined && h(Box, { position: "absolute", top: "-2px", bottom: "-2px", w: "2px", bg: "fg", left: `${100 * Math.min(mark, 1)}%` }),
    ),
    h(Text, { fontSize: "sm", color: "fg.muted" }, text),
  );
}

function Size({ record }) {
  const { effect, effect_bound: bound, tolerance } = record;
  if (effect === null || bound === null || tolerance === null || effect <= 0) return null;
  const most = Math.max(effect, tolerance);
  return h(
    Stack,
    { gap: 1 },
    h(Bar, { label: record.effect_unit || "effect", share: effect / most, mark: Math.max(bound, 0) / most, palette: "red", text: `${number(effect)}, at least ${number(bound)}` }),
    h(Bar, { label: "tolerated", share: tolerance / most, palette: "gray", text: number(tolerance) }),
  );
}

function Contributors({ listed }) {
  const items = (Array.isArray(listed) ? listed : []).filter((item) => item.effect > 0).slice(0, 10);
  if (!items.length) return null;
  const most = Math.max(...items.map((item) => item.effect));
  return h(Stack, { gap: 1 }, h(Text, { fontSize: "sm", fontWeight: "medium" }, "Share of the batch, by subject"), items.map((item) => h(Bar, { key: item.subject, label: `${item.subject}`, share: item.effect / most, palette: "orange", text: `${number(100 * item.effect)} %` })));
}

function Finding({ record }) {
  return h(
    Stack,
    { borderWidth: "1px", rounded: "md", p: 3, gap: 3 },
    h(Box, null, h(Look, { name: record.status }, `${record.code}${record.column ? `: ${record.column}` : ""}`)),
    h(Text, { overflowWrap: "anywhere" }, record.message),
    h(Size, { record }),
    h(Contributors, { listed: record.evidence.contributors }),
    h(Tied, { record }),
    h(Windows, { record }),
    record.would_pass && h(Text, { fontSize: "sm" }, record.would_pass),
  );
}

function Passed({ records }) {
  return h(
    "details",
    null,
    h("summary", { style: { cursor: "pointer" } }, `${records.length} findings passed`),
    h(
      Box,
      { mt: 2 },
      h(
        Grid,
        { label: "Findings that passed", heads: ["Signal", "Column", "Effect", "Tolerated", "p"] },
        records.map((r, i) => h(Table.Row, { key: i }, h(RowHead, null, r.code), h(Table.Cell, null, r.column), ["effect", "tolerance", "p_value"].map((key) => h(Table.Cell, { key }, number(r[key]))))),
      ),
    ),
  );
}

function Offline({ body }) {
  const command = `sluicegate ledger export --source ${quoted(body.source)} --digest ${body.digests.batch} --out evidence\nsluicegate verify evidence --trust trust.json`;
  return h(
    Stack,
    { gap: 2 },
    h(Text, null, "Verify it without Airflow and without this page. The first command needs SLUICEGATE_HOME; the second needs only its folder and your own copy of the trust policy."),
    h(Command, { text: command }),
    body.result === "FAILED" && h(Text, null, "If the evidence is sound, the answer is GATE_BLOCKED with the reasons above, until people waive them."),
  );
}

// Airflow's page of the run and task that a verdict names; it may be gone, or of another Airflow.
function Run({ run }) {
  if (run.orchestrator !== "airflow" || !run.dag_id || !run.run_id || !run.task_id) return null;
  return h(Text, null, "Judged by ", h(To, { path: taskPath({ dag: run.dag_id, run: run.run_id, task: run.task_id, map_index: Number(run.map_index ?? -1) }) }, `${run.dag_id}.${run.task_id}`), `, run ${run.run_id}.`);
}

const ROWS = 20;

function WorstRows({ rows }) {
  const [limit, setLimit] = useState(ROWS);
  const roles = [...new Set(rows.worst.flatMap((row) => Object.keys(row.values)))];
  const cells = ({ score, codes, values }) => [...roles.map((role) => values[role] ?? ""), number(score), codes.join(", ")];
  return h(
    Stack,
    { gap: 2 },
    h(Text, null, `Findings name ${rows.named} rows. ${rows.worst.length} were kept, the worst first, each by its place in the batch, from 0.`),
    h(Grid, { label: "Worst rows", heads: ["Row", ...roles, "Probability", "Signals"] }, rows.worst.slice(0, limit).map((row) => h(Table.Row, { key: row.row }, h(RowHead, null, row.row), cells(row).map((cell, i) => h(Table.Cell, { key: i, overflowWrap: "anywhere" }, cell))))),
    rows.worst.length > limit && h(Button, { alignSelf: "start", size: "sm", variant: "outline", onClick: () => setLimit(limit + ROWS) }, "Show more rows"),
  );
}

// A gate keeps rows only where its policy asks; check reads the batch again and names them.
function RowsOf({ body }) {
  if (body.rows?.worst.length) return h(WorstRows, { rows: body.rows });
  const why = !body.rows ? "The policy asks the gate to keep no rows (worst_rows)." : body.rows.lack ? `No rows were kept: ${body.rows.lack}.` : "The findings name no single row.";
  return h(
    Stack,
    { gap: 2 },
    h(Text, null, `${why} Who may read the batch finds the worst of them, with their reasons, with this command:`),
    h(Command, { text: `sluicegate check BATCH --baseline BASELINE --policy POLICY.yaml --source ${quoted(body.source)} --rows rows.parquet --report report.html` }),
  );
}

function Whole({ body }) {
  const spoke = body.records.filter((record) => record.status !== "PASSED");
  const shown = new Set(spoke.map((record) => record.message));
  const others = body.reasons.filter((reason) => !shown.has(reason.message));
  const why = body.reasons.length ? body.reasons[0].message : "No signal fired.";
  return h(
    Stack,
    { gap: 6 },
    h(Stack, { gap: 2 }, h(Box, null, h(Look, { name: body.result })), h(Text, { fontWeight: "medium", overflowWrap: "anywhere" }, why), h(Text, null, `Judged ${when(body.issued)}, in force until ${when(body.expires)}.`), h(Run, { run: body.run }), body.mode === "shadow" && h(Text, null, "Shadow mode: this verdict stops nothing.")),
    h(Part, { title: "Baseline and batch" }, h(Shapes, { shapes: body.shapes, accused: [...body.reasons, ...spoke].map((one) => one.column) })),
    spoke.length > 0 && h(Part, { title: "Rows to look at" }, h(RowsOf, { body })),
    (others.length > 0 || spoke.length > 0) &&
      h(
        Part,
        { title: "Findings" },
        others.map((reason, i) => h(Box, { key: `other ${i}`, overflowWrap: "anywhere" }, h(Look, { name: reason.result }), ` ${reason.message}`)),
        spoke.map((record, i) => h(Finding, { key: i, record })),
      ),
    h(Part, { title: "What passed" }, h(Passed, { records: body.records.filter((record) => record.status === "PASSED") })),
    h(Part, { title: "Evidence" }, h(Facts, { pairs: [...Object.entries(body.digests), ["ledger entry", `${body.index}`], ["Sluicegate", body.code_version], ...Object.entries(body.run)] }), h(Offline, { body })),
    h(Ledger, { ledger: body.ledger }),
  );
}

export function Verdict({ index }) {
  const answer = useAnswer("verdict", { index });
  const above = answer.body && h(To, { view: "source", parameters: { name: answer.body.source } }, answer.body.source);
  return h(
    Page,
    { title: `Verdict in ledger entry ${index}`, above },
    h(Answer, { answer }, (body) =>
      body.result ? h(Whole, { body }) : h(Stack, null, h(Look, { name: "not verified" }), h(Text, { overflowWrap: "anywhere" }, said(body.refusal))),
    ),
  );
}
