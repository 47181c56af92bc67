// Where a batch came from, and what was made of its source: lists in lists, read and walked by keyboard.
import { taskPath } from "./guard.js";
import { Answer, Command, h, Ledger, Look, Page, Part, quoted, said, short, To, useAnswer, when } from "./parts.js";

const { useState } = globalThis.React;
const { Badge, Box, HStack, Input, NativeSelect, Stack, Text } = globalThis.ChakraUI;

function By({ run }) {
  if (!run.dag_id) return h(Text, { as: "span", color: "fg.muted" }, run.orchestrator ?? "");
  return h(To, { path: run.task_id ? taskPath({ dag: run.dag_id, task: run.task_id }) : `/dags/${encodeURIComponent(run.dag_id)}` }, [run.dag_id, run.task_id].filter(Boolean).join("."));
}

function List({ children, ...rest }) {
  return h(Stack, { as: "ul", gap: 2, ps: { base: 3, md: 5 }, borderStartWidth: "1px", listStyle: "none", ...rest }, children);
}

const digestText = (digest) => h(Text, { as: "span", fontFamily: "mono", title: digest }, short(digest));

function Step({ step }) {
  if (!step.source) return h("li", null, h(Text, { color: "fg.muted" }, "A source that you may not read"));
  return h(
    Box,
    { as: "li" },
    h(
      HStack,
      { flexWrap: "wrap", columnGap: 3, rowGap: 0 },
      h(To, { view: "source", parameters: { name: step.source }, fontWeight: "medium" }, step.source),
      step.digest && digestText(step.digest),
      step.refusal ? h(Look, { name: "not verified" }) : h(Look, { name: "trusted" }, "proven"),
      step.sealed && h(Text, { as: "span", fontSize: "sm" }, `version ${step.version}, sealed ${when(step.sealed)} by`),
      step.sealed && h(By, { run: step.run }),
    ),
    step.refusal && h(Text, { overflowWrap: "anywhere" }, said(step.refusal)),
    step.inputs.length > 0 && h(Box, { mt: 1 }, h(Text, { fontSize: "sm", color: "fg.muted" }, "was made of"), h(List, null, step.inputs.map((one, i) => h(Step, { key: i, step: one })))),
  );
}

function Use({ use, all, above }) {
  const below = all.filter((one) => one.of.some(({ source, digest }) => source === use.source && digest === use.digest) && !above.includes(one.index));
  return h(
    Box,
    { as: "li" },
    h(
      HStack,
      { flexWrap: "wrap", columnGap: 3, rowGap: 0 },
      h(Badge, { colorPalette: use.model ? "purple" : "gray" }, use.model ? "model" : "batch"),
      use.model ? h(To, { view: "verdict", parameters: { index: use.index }, fontWeight: "medium" }, use.name) : h(To, { view: "lineage", parameters: { name: use.source }, fontWeight: "medium" }, use.name),
      digestText(use.digest),
      h(Text, { as: "span", fontSize: "sm" }, `of ${use.of.map(({ source, digest }) => `${source}@${short(digest)}`).join(", ")}, ledger entry ${use.index}, by`),
      h(By, { run: use.run }),
    ),
    below.length > 0 && h(List, { mt: 1 }, below.map((one) => h(Use, { key: one.index, use: one, all, above: [...above, use.index] }))),
  );
}

const QUESTIONS = { "--contributor": "rows of a contributor", "--row": "a row by its id", "--file": "a file, by path or SHA-256" };

// Which rows a batch holds only the batch tells: a command reads it again, and no request does.
function Rows({ name }) {
  const [option, setOption] = useState("--contributor");
  const [value, setValue] = useState("");
  return h(
    Stack,
    { gap: 2 },
    h(Text, null, "Evidence holds no rows, so this reads each batch again and walks the whole ledger. Whoever may read the batches runs:"),
    h(
      HStack,
      { flexWrap: "wrap" },
      h(NativeSelect.Root, { size: "sm", w: "220px" }, h(NativeSelect.Field, { "aria-label": "What is looked for", value: option, onChange: (event) => setOption(event.target.value) }, Object.entries(QUESTIONS).map(([key, label]) => h("option", { key, value: key }, label))), h(NativeSelect.Indicator)),
      h(Input, { size: "sm", "aria-label": "Name, id, path or digest", placeholder: "Name, id, path or digest", value, maxLength: 255, maxW: "320px", onChange: (event) => setValue(event.target.value) }),
    ),
    h(Command, { text: `sluicegate uses ${quoted(name)} ${option} ${value ? quoted(value) : "…"} --home DIR` }),
  );
}

function Chain({ body }) {
  const rest = body.made.filter((use) => use.of.some(({ source }) => source === body.source));
  return h(
    Stack,
    { gap: 6 },
    body.batch && h(Part, { title: "Where its newest batch came from" }, h(List, { "aria-label": "Where it came from" }, h(Step, { step: body.batch }))),
    h(
      Part,
      { title: "What was made of it" },
      h(Text, { fontSize: "sm", color: "fg.muted" }, "From the three newest signed statements about each source and model; sluicegate uses walks all of them. Training that left no statement is found by the audit."),
      body.waiting > 0 && h(Text, { role: "status" }, `Reading ${body.waiting} more sources`),
      rest.length ? h(List, { "aria-label": "What was made of it" }, rest.map((use) => h(Use, { key: use.index, use, all: body.made, above: [] }))) : body.waiting === 0 && h(Text, null, "No signed statement says that anything was. A sealed_task and `sluicegate model check --trained-on` leave one."),
      body.hidden > 0 && h(Text, null, `${body.hidden} more that you may not read.`),
      body.unverified > 0 && h(HStack, null, h(Look, { name: "not verified" }), h(Text, null, `${body.unverified} statements that were looked at do not verify, so what they say is unknown. Run: sluicegate audit.`)),
    ),
    h(Part, { title: "Which models saw these rows" }, h(Rows, { name: body.source })),
    h(Ledger, { ledger: body.ledger }),
  );
}

function Choose() {
  const [search, setSearch] = useState("");
  const answer = useAnswer("sources", { search, limit: 200 });
  return h(
    Page,
    { title: "Lineage" },
    h(Text, null, "Of which source?"),
    h(Input, { type: "search", "aria-label": "Search sources", placeholder: "Search sources", maxLength: 255, value: search, maxW: "360px", flexShrink: 0, onChange: (event) => setSearch(event.target.value) }),
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 4 },
        body.sources.length ? h(Stack, { as: "ul", gap: 1, listStyle: "none" }, [...body.sources].sort((a, b) => (a.source < b.source ? -1 : 1)).map(({ source, state }) => h("li", { key: source }, h(HStack, { flexWrap: "wrap" }, h(To, { view: "lineage", parameters: { name: source } }, source), h(Look, { name: state }))))) : h(Text, null, search ? "No source has this name." : "No source has been sealed yet. Run: sluicegate gate SOURCE --seal PATH"),
        body.sources.length < body.total && h(Text, null, `${body.total - body.sources.length} more: search by name.`),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}

export function Lineage({ name }) {
  return name ? h(Of, { key: name, name }) : h(Choose);
}

function Of({ name }) {
  const answer = useAnswer("lineage", { name });
  return h(Page, { title: `Lineage of ${name}` }, h(Answer, { answer }, (body) => h(Chain, { body })));
}
