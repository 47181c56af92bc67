// The tab on Airflow's pages of a DAG, a run, a task: what was admitted, refused and judged there.
import { Recorded, Tasks, taskPath } from "./guard.js";
import { Answer, Grid, h, Ledger, Look, Part, RowHead, said, To, useAnswer, when } from "./parts.js";

const { Box, HStack, Stack, Table, Text } = globalThis.ChakraUI;

function Pointed({ verdicts }) {
  return h(
    Stack,
    { gap: 1 },
    verdicts.map((one) =>
      h(
        HStack,
        { key: one.source, flexWrap: "wrap", gap: 2 },
        h(To, { view: "source", parameters: { name: one.source } }, one.source),
        one.verdict ? [h(Look, { key: "look", name: one.verdict.result }), h(To, { key: "to", view: "verdict", parameters: { index: one.verdict.index } }, `verdict in entry ${one.verdict.index}`)] : [h(Look, { key: "look", name: "not verified" }), h(Text, { key: "why", overflowWrap: "anywhere" }, said(one.refusal))],
      ),
    ),
  );
}

function Decision({ one }) {
  if (one.refused) return h(Look, { name: "blocked" }, `refused: ${one.refused}`);
  if (one.verdicts.some(({ verdict }) => !verdict)) return h(Look, { name: "not verified" }, "claims to be admitted");
  return one.n_verdicts ? h(Look, { name: "trusted" }, "admitted") : h(Text, null, "needed no verdict");
}

function Noted({ noted }) {
  return h(
    Stack,
    { gap: 2 },
    h(Recorded, null, "Whoever holds a task's token can write such a note. The verdict that it names was looked up in the ledger."),
    h(
      Grid,
      { label: "Decisions of the guard, newest first", heads: ["Task", "Decision", "Verdicts", "When", "Host, queue"] },
      noted.map((one, i) =>
        h(
          Table.Row,
          { key: i },
          h(RowHead, null, h(To, { path: taskPath(one) }, one.map_index >= 0 ? `${one.task} [${one.map_index}]` : one.task)),
          h(Table.Cell, null, h(Decision, { one })),
          h(Table.Cell, null, h(Pointed, { verdicts: one.verdicts }), one.n_verdicts > one.verdicts.length && h(Text, { color: "fg.muted" }, `${one.n_verdicts - one.verdicts.length} that you may not read`)),
          h(Table.Cell, { whiteSpace: "nowrap" }, when(one.when)),
          h(Table.Cell, null, `${one.host}, ${one.queue}`),
        ),
      ),
    ),
  );
}

function Judged({ judged }) {
  return h(
    Grid,
    { label: "Verdicts that were issued here", heads: ["Verdict", "Source", "Result", "Issued", "Why"] },
    judged.map((one) =>
      h(
        Table.Row,
        { key: one.index },
        h(RowHead, null, h(To, { view: "verdict", parameters: { index: one.index } }, `entry ${one.index}`)),
        h(Table.Cell, null, h(To, { view: "source", parameters: { name: one.source } }, one.source)),
        h(Table.Cell, null, h(Look, { name: one.result })),
        h(Table.Cell, { whiteSpace: "nowrap" }, when(one.issued)),
        h(Table.Cell, { minW: "240px" }, one.summary),
      ),
    ),
  );
}

function Sources({ sources }) {
  return h(Stack, { gap: 1 }, sources.map(({ source, state }) => h(HStack, { key: source, flexWrap: "wrap", gap: 2 }, h(To, { view: "source", parameters: { name: source } }, source), h(Look, { name: state }))));
}

export function Tab({ dagId, runId, taskId, mapIndex }) {
  const asked = { dag: dagId, ...(runId && { run: runId }), ...(taskId && { task: taskId }), ...(mapIndex && mapIndex !== "-1" && { map_index: mapIndex }) };
  const answer = useAnswer("decisions", asked);
  return h(
    Box,
    { p: { base: 3, md: 4 }, overflowY: "auto", h: "full" },
    h(Answer, { answer }, ({ airflow, judged, sources, ledger }) =>
      !airflow.noted.length && !judged.length && !airflow.tasks.length && !sources.length
        ? h(Stack, null, h(Text, null, "Nothing here is protected, sealed or judged. Tag the DAG training, or give a task inlets=[verified_asset(\"SOURCE\")], and the guard stands before it."), h(Ledger, { ledger }))
        : h(
            Stack,
            { gap: 6 },
            h(Part, { title: "What the guard decided" }, airflow.noted.length ? h(Noted, { noted: airflow.noted }) : h(Text, null, airflow.tasks.length ? "No guard has noted a decision here: no protected task has started, or a worker without a guard ran it." : "No task here is protected.")),
            h(Part, { title: "Verdicts that were issued here" }, judged.length ? h(Judged, { judged }) : h(Text, null, "None of the last twenty verdicts of these sources names this place.")),
            sources.length > 0 && h(Part, { title: "Sources now" }, h(Sources, { sources })),
            airflow.tasks.length > 0 && h(Part, { title: "Protected tasks" }, h(Tasks, { tasks: airflow.tasks })),
            h(Ledger, { ledger }),
          ),
    ),
  );
}
