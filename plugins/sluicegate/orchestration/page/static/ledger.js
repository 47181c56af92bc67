// The ledger itself: how far it reaches, who saw it, and what was logged last.
import { Answer, Command, Facts, Grid, h, Ledger, Page, Part, RowHead, short, To, useAnswer, when } from "./parts.js";

const { useState } = globalThis.React;
const { Box, Button, HStack, Stack, Table, Text } = globalThis.ChakraUI;

const KINDS = { seal: "sealed", provenance: "origin", verdict: "verdict", "test-result": "findings", waiver: "waiver", quarantine: "set aside", release: "released", promotion: "baseline promoted", baseline: "baseline", profile: "profile", table: "rows of a table" };

// A checkpoint carries no time of its own, only statements do.
function Checkpoint({ ledger, stated }) {
  if (!ledger.size) return h(Text, null, "The ledger is empty: nothing has been sealed or judged. Add SealSourceOperator and TrainingGateOperator to a DAG, or run: sluicegate gate SOURCE --seal PATH");
  return h(Facts, { pairs: [["entries", ledger.size], ["root", ledger.root], ["name", ledger.origin], ["newest stated time", stated ? when(stated) : "none"], ["verified", when(ledger.asked)]] });
}

function Witnesses({ witnesses, size }) {
  if (!witnesses.needed) return h(Text, null, "The trust policy names no witness, so only this installation's own memory would notice a ledger that was rewritten with its key. Add one: sluicegate trust, role witness.");
  const last = witnesses.times.at(-1);
  return h(
    Stack,
    { gap: 2 },
    witnesses.finding && h(Box, { role: "alert", borderWidth: "1px", borderColor: "orange.solid", rounded: "md", p: 3, overflowWrap: "anywhere" }, `An audit would report: ${witnesses.finding}`),
    last
      ? h(Text, null, `${witnesses.times.length} of ${witnesses.needed} needed witnesses cosigned the first ${witnesses.size} entries, the last of them ${when(last)}. ${size - witnesses.size} entries came later.`)
      : h(Stack, { gap: 2 }, h(Text, null, `${witnesses.needed} witnesses must cosign, and no cosigned checkpoint of this ledger is here. Ask them:`), h(Command, { text: "sluicegate ledger cosign --witness https://witness.example.com" })),
  );
}

export function Audits({ audits }) {
  return h(
    Stack,
    { gap: 2 },
    h(Text, null, "An audit reads the whole ledger and Airflow's records, so no page runs one. It leaves no signed trace: what it found is in the log of its task, or where its command printed it."),
    audits.length > 0 &&
      h(
        Grid,
        { label: "Audits as Airflow recorded them", heads: ["DAG and task", "Ended", "State", "Findings by code"] },
        audits.map((one) => h(Table.Row, { key: `${one.dag} ${one.task}` }, h(RowHead, null, h(To, { path: `/dags/${encodeURIComponent(one.dag)}` }, `${one.dag}.${one.task}`)), h(Table.Cell, null, one.ended ? when(one.ended) : "never ran"), h(Table.Cell, null, one.state ?? ""), h(Table.Cell, null, Object.entries(one.findings).map(([code, count]) => `${code} ${count}`).join(", ")))),
      ),
    audits.length === 0 && h(Text, null, "No task of a DAG that you may read is a LedgerAuditOperator. Run an audit by hand, or put the operator into a nightly DAG:"),
    audits.length === 0 && h(Command, { text: "sluicegate audit --home DIR --airflow-url URL --airflow-user NAME" }),
  );
}

function Leaves({ body, older, newest }) {
  return h(
    Stack,
    { gap: 2 },
    h(Text, { fontSize: "sm", color: "fg.muted" }, "Each is proven to be in the log. The time is the one that its statement gives itself."),
    h(
      Grid,
      { label: "Ledger entries, newest first", heads: ["Entry", "What", "Source", "Stated time", "Batch or baseline", "Envelope"] },
      body.leaves.map((leaf) =>
        h(
          Table.Row,
          { key: leaf.index },
          h(RowHead, null, leaf.kind === "verdict" ? h(To, { view: "verdict", parameters: { index: leaf.index } }, leaf.index) : leaf.index),
          h(Table.Cell, { whiteSpace: "nowrap" }, KINDS[leaf.kind] ?? leaf.kind),
          h(Table.Cell, { minW: "110px", maxW: "240px", whiteSpace: "normal" }, h(To, { view: "source", parameters: { name: leaf.source } }, leaf.source)),
          h(Table.Cell, { whiteSpace: "nowrap" }, when(leaf.claimed)),
          h(Table.Cell, { fontFamily: "mono", title: leaf.subject }, short(leaf.subject)),
          h(Table.Cell, { fontFamily: "mono", title: leaf.envelope }, short(leaf.envelope)),
        ),
      ),
    ),
    body.hidden > 0 && h(Text, { fontSize: "sm" }, `${body.hidden} more here are about sources that you may not read.`),
    h(HStack, null, newest && h(Button, { size: "sm", variant: "outline", onClick: newest }, "Newest"), older && h(Button, { size: "sm", variant: "outline", onClick: older }, "Older")),
  );
}

export function LedgerView() {
  const [before, setBefore] = useState(null);
  const answer = useAnswer("ledger", before === null ? {} : { before });
  return h(
    Page,
    { title: "Ledger" },
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 6 },
        h(Part, { title: "Checkpoint" }, h(Checkpoint, { ledger: body.ledger, stated: body.newest_stated })),
        h(Part, { title: "Witnesses" }, h(Witnesses, { witnesses: body.witnesses, size: body.ledger.size })),
        h(Part, { title: "Audit" }, h(Audits, { audits: body.audits ?? [] })),
        body.ledger.size > 0 && h(Part, { title: "Entries" }, h(Leaves, { body, older: body.older !== null && (() => setBefore(body.older)), newest: before !== null && (() => setBefore(null)) })),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
