// Where the guard stands and what it decided. What Airflow recorded is called so: nobody signed it.
import { Audits } from "./ledger.js";
import { Answer, Command, Grid, h, Ledger, Look, Page, Part, RowHead, said, To, useAnswer, when } from "./parts.js";

const { useState } = globalThis.React;
const { Badge, Button, HStack, Input, Spinner, Stack, Table, Text } = globalThis.ChakraUI;

const ROWS = 50;
const LONG = { minW: "110px", maxW: "260px", whiteSpace: "normal", overflowWrap: "anywhere" };

export const taskPath = ({ dag, run, task, map_index: mapped }) => `/dags/${encodeURIComponent(dag)}${run ? `/runs/${encodeURIComponent(run)}` : ""}/tasks/${encodeURIComponent(task)}${run && mapped >= 0 ? `/mapped/${mapped}` : ""}`;

// Whose word it is, beside every part that no signature stands behind.
export function Recorded({ children }) {
  return h(Text, { fontSize: "sm" }, h(Badge, { colorPalette: "gray", me: 2 }, "Airflow's record, not signed"), children);
}

function Sources({ task }) {
  if (task.refusal) return h(Text, { overflowWrap: "anywhere" }, said(task.refusal));
  return h(
    Stack,
    { gap: 1 },
    task.sources.map(({ source, state }) => h(HStack, { key: source, flexWrap: "wrap", gap: 2 }, h(To, { view: "source", parameters: { name: source } }, source), state ? h(Look, { name: state }) : "…")),
    task.hidden > 0 && h(Text, { color: "fg.muted" }, `${task.hidden} that you may not read`),
    !task.certain && h(Text, null, "what its run refers to"),
    task.certain && !task.sources.length && !task.hidden && h(Text, null, "none: the guard refuses it"),
  );
}

export function Tasks({ tasks }) {
  return h(
    Grid,
    { label: "Protected tasks", heads: ["DAG", "Task", "Needs verdicts on", "Queue"] },
    tasks.map((task) =>
      h(
        Table.Row,
        { key: `${task.dag} ${task.task}` },
        h(RowHead, LONG, h(To, { path: `/dags/${encodeURIComponent(task.dag)}` }, task.dag)),
        h(Table.Cell, LONG, task.task && h(To, { path: taskPath(task) }, task.task)),
        h(Table.Cell, null, h(Sources, { task })),
        h(Table.Cell, null, task.queue),
      ),
    ),
  );
}

function Hosts({ hosts, label, counted }) {
  return h(
    Grid,
    { label, heads: ["Host", "Queue", "Since", "Last", counted] },
    hosts.map((one) => h(Table.Row, { key: `${one.host} ${one.queue}` }, h(RowHead, LONG, one.host), h(Table.Cell, null, one.queue), h(Table.Cell, { whiteSpace: "nowrap" }, when(one.first)), h(Table.Cell, { whiteSpace: "nowrap" }, when(one.last)), h(Table.Cell, null, one.count))),
  );
}

function Live({ airflow, queues }) {
  return h(
    Stack,
    { gap: 3 },
    h(Recorded, null, `In the last ${airflow.days} days, in DAGs that you may read. Airflow takes a guard's note only with the task's token, and records the host itself.`),
    airflow.unarmed.length > 0 &&
      h(
        Stack,
        { role: "alert", borderWidth: "1px", borderColor: "red.solid", rounded: "md", p: 3, gap: 2 },
        h(Text, { fontWeight: "bold" }, "These hosts ran protected tasks, and no guard spoke there"),
        h(Hosts, { hosts: airflow.unarmed, label: "Hosts on which no guard spoke", counted: "Protected tasks" }),
        h(Text, null, "Install Sluicegate on these workers, or keep protected tasks on guarded_queues; then judge by hand what was trained there."),
      ),
    airflow.armed.length > 0 ? h(Hosts, { hosts: airflow.armed, label: "Hosts on which a guard spoke", counted: "Decisions" }) : h(Text, null, "No guard has spoken: nothing protected ran, or nothing guards it."),
    h(Text, null, queues.length ? `Protected tasks are kept to the queues ${queues.join(", ")}.` : "guarded_queues is not set, so a protected task runs on the queue that its DAG names."),
    h(Text, null, "Workers that ran nothing protected are unknown here. Ask them by canaries:"),
    h(Command, { text: "sluicegate doctor --canary --times 4 --airflow-url URL --airflow-user NAME" }),
  );
}

function Refused({ refused }) {
  if (!refused.length) return h(Recorded, null, "None in this time.");
  return h(
    Stack,
    { gap: 2 },
    h(Recorded, null, "The newest. A refusal says by its code why; the task's log has the whole sentence."),
    h(
      Grid,
      { label: "Refusals, newest first", heads: ["Task", "Run", "Code", "When", "Host"] },
      refused.map((one, i) => h(Table.Row, { key: i }, h(RowHead, LONG, h(To, { path: taskPath(one) }, `${one.dag}.${one.task}`)), h(Table.Cell, LONG, one.run), h(Table.Cell, null, one.refused), h(Table.Cell, { whiteSpace: "nowrap" }, when(one.when)), h(Table.Cell, LONG, one.host))),
    ),
  );
}

function Protected({ body, search, setSearch, more }) {
  const none = search ? "No protected task has this name or source." : "No task in a DAG that you may read is protected. Tag the DAG training, or give the task inlets=[verified_asset(\"SOURCE\")].";
  return h(
    Part,
    { title: `Protected tasks: ${body.total}` },
    h(Recorded, null, "From the DAG files as Airflow last read them. The state of a source is the ledger's word."),
    h(Input, { type: "search", "aria-label": "Search protected tasks", placeholder: "Search DAG, task or source", maxLength: 255, value: search, maxW: "360px", flexShrink: 0, onChange: (event) => setSearch(event.target.value) }),
    body.waiting > 0 && h(HStack, { role: "status" }, h(Spinner, { size: "sm" }), `Reading ${body.waiting} more DAGs`),
    body.airflow.tasks.length ? h(Tasks, { tasks: body.airflow.tasks }) : body.waiting === 0 && h(Text, null, none),
    more && h(Button, { alignSelf: "start", size: "sm", variant: "outline", onClick: more }, "Show more"),
  );
}

export function Guard() {
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(ROWS);
  const answer = useAnswer("guard", { search, limit: Math.min(limit, 200) });
  return h(
    Page,
    { title: "Guard" },
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 6 },
        h(Part, { title: "Where the guard is live" }, h(Live, { airflow: body.airflow, queues: body.guarded_queues })),
        h(Part, { title: "Bypasses" }, h(Text, null, "Training that went around the guard is found by the audit, which compares Airflow's records with the ledger: a code like TRAINED_UNGUARDED or HOST_NOT_ARMED."), h(Audits, { audits: body.airflow.audits })),
        h(Part, { title: "Refusals" }, h(Refused, { refused: body.airflow.refused })),
        h(Protected, { body, search, setSearch, more: body.airflow.tasks.length < body.total && limit < 200 && (() => setLimit(limit + ROWS)) }),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
