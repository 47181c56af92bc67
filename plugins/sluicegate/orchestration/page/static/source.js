// One source: how it stands, what was said of its batches, and by which signals.
import { Answer, h, Ledger, Look, look, number, Page, Part, said, short, To, useAnswer, when } from "./parts.js";

const { Box, HStack, Stack, Table, Text } = globalThis.ChakraUI;

function Now({ body }) {
  const why = body.refusal ? said(body.refusal) : `Training starts on batch ${short(body.batch)} until ${when(body.expires)}.`;
  const dags = body.dags.length ? `DAGs that wait for it: ${body.dags.join(", ")}` : "No DAG is scheduled on it.";
  return h(Stack, { gap: 2 }, h(HStack, null, h(Look, { name: body.state })), h(Text, { overflowWrap: "anywhere" }, why), h(Text, { color: "fg.muted" }, dags));
}

function Timeline({ past }) {
  const heads = ["Judged", "Verdict", "Batch", "What was said"];
  return h(
    Table.ScrollArea,
    { borderWidth: "1px", rounded: "md" },
    h(
      Table.Root,
      { size: "sm" },
      h(Table.Header, null, h(Table.Row, null, heads.map((head) => h(Table.ColumnHeader, { key: head, scope: "col" }, head)))),
      h(
        Table.Body,
        null,
        past.map((one) =>
          h(
            Table.Row,
            { key: one.index },
            h(Table.Cell, { whiteSpace: "nowrap" }, h(To, { view: "verdict", parameters: { index: one.index } }, one.issued ? when(one.issued) : `entry ${one.index}`)),
            h(Table.Cell, null, h(Look, { name: one.result ?? "not verified" })),
            h(Table.Cell, { fontFamily: "mono" }, short(one.batch)),
            h(Table.Cell, { minW: "260px" }, h(Text, { lineClamp: 2 }, one.summary ?? said(one.refusal))),
          ),
        ),
      ),
    ),
  );
}

function Cell({ cell, verdict, code }) {
  if (!cell) return h(Table.Cell, { p: "1px" });
  const [palette, sign] = look(cell.status);
  const label = `${code}, ledger entry ${verdict.index}: ${cell.status}${cell.times === null ? "" : `, ${number(cell.times)} times what is tolerated`}`;
  return h(
    Table.Cell,
    { p: "1px" },
    h(
      Box,
      { title: label, "aria-label": label, role: "img", colorPalette: palette, bg: cell.status === "PASSED" ? "transparent" : "colorPalette.muted", color: "colorPalette.fg", fontSize: "xs", textAlign: "center", minW: "28px", py: 1 },
      cell.status !== "PASSED" && cell.times !== null ? `${number(cell.times)}×` : sign,
    ),
  );
}

function Heat({ findings, past }) {
  if (!findings.length) return h(Text, null, "No signal spoke in these verdicts.");
  const verdicts = [...past].reverse();
  return h(
    Table.ScrollArea,
    { borderWidth: "1px", rounded: "md" },
    h(
      Table.Root,
      { size: "sm", w: "auto" },
      h(Table.Header, null, h(Table.Row, null, h(Table.ColumnHeader, { scope: "col" }, "Signal"), verdicts.map((one) => h(Table.ColumnHeader, { key: one.index, scope: "col", p: 1, textAlign: "center" }, h(To, { view: "verdict", parameters: { index: one.index } }, one.index))))),
      h(
        Table.Body,
        null,
        findings.map(({ code, cells }) =>
          h(Table.Row, { key: code }, h(Table.Cell, { as: "th", scope: "row", textAlign: "start" }, code), [...cells].reverse().map((cell, i) => h(Cell, { key: verdicts[i].index, cell, verdict: verdicts[i], code }))),
        ),
      ),
    ),
  );
}

export function Source({ name }) {
  const answer = useAnswer("source", { name });
  return h(
    Page,
    { title: name, above: h(To, null, "Training data") },
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 6 },
        h(Now, { body }),
        h(Part, { title: "Verdicts" }, body.past.length ? h(Timeline, { past: body.past }) : h(Text, null, `No batch has been judged. Run: sluicegate gate ${name}`)),
        body.past.length > 0 && h(Part, { title: "Signals by verdict" }, h(Text, { fontSize: "sm", color: "fg.muted" }, "Columns are ledger entries, the newest on the right. A number says how many times what is tolerated the effect is, at least."), h(Heat, { findings: body.findings, past: body.past })),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
