// One source: how it stands, what was said of its batches, and by which signals.
import { Answer, Command, Dags, Grid, h, Ledger, Look, look, number, Page, Part, quoted, RowHead, said, short, To, useAnswer, when } from "./parts.js";
import { Acting } from "./acting.js";
import { Contributors } from "./plots.js";

const { Box, HStack, Stack, Table, Text } = globalThis.ChakraUI;

function Now({ body }) {
  const why = body.refusal ? said(body.refusal) : `Training starts on batch ${short(body.batch)} until ${when(body.expires)}.`;
  return h(
    Stack,
    { gap: 2 },
    h(HStack, null, h(Look, { name: body.state })),
    h(Text, { overflowWrap: "anywhere" }, why),
    body.past.length > 0 && h(Newest, { past: body.past }),
    h(Text, { color: "fg.muted" }, body.dags.length ? "DAGs that wait for it: " : "No DAG is scheduled on it.", h(Dags, { dags: body.dags })),
  );
}

// The result of the newest verdict, and since when there was no other.
function Newest({ past }) {
  const [{ index, result }] = past;
  const other = past.findIndex((one) => one.result !== result);
  const first = past[other < 0 ? past.length - 1 : other - 1];
  const since = first.issued ? `since ${when(first.issued)}` : `since ledger entry ${first.index}`;
  const label = result === "PASSED" ? "What was checked" : "How much, by whom, and what would pass";
  return h(Text, null, `Newest verdict: ${result ?? "not verified"}, ${since}${other < 0 ? " or longer" : ""}. `, h(To, { view: "verdict", parameters: { index } }, label));
}

function Timeline({ past }) {
  const heads = ["Judged", "Verdict", "Batch", "What was said"];
  return h(
    Grid,
    { label: "Verdicts, newest first", heads },
    past.map((one) =>
      h(
        Table.Row,
        { key: one.index },
        h(RowHead, { whiteSpace: "nowrap" }, h(To, { view: "verdict", parameters: { index: one.index } }, one.issued ? when(one.issued) : `entry ${one.index}`)),
        h(Table.Cell, null, h(Look, { name: one.result ?? "not verified" })),
        h(Table.Cell, { fontFamily: "mono" }, short(one.batch)),
        h(Table.Cell, { minW: "260px" }, h(Text, { lineClamp: 2 }, one.summary ?? said(one.refusal))),
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
  const heads = ["Signal", ...verdicts.map(({ index }) => h(To, { view: "verdict", parameters: { index }, "aria-label": `ledger entry ${index}` }, index))];
  return h(
    Grid,
    { label: "Signals by verdict", heads, w: "auto" },
    findings.map(({ code, cells }) => h(Table.Row, { key: code }, h(RowHead, null, code), [...cells].reverse().map((cell, i) => h(Cell, { key: verdicts[i].index, cell, verdict: verdicts[i], code })))),
  );
}

// Which baselines judged, since when, and what was promoted.
function Baselines({ body }) {
  const row = (key, ...cells) => h(Table.Row, { key }, cells.map((cell, i) => (i === 0 ? h(RowHead, { key: i }, cell) : h(Table.Cell, { key: i }, cell))));
  const first = ({ index, issued }) => h(To, { view: "verdict", parameters: { index } }, `${issued ? when(issued) : `entry ${index}`}${index === body.past.at(-1).index && body.past.length >= 20 ? " or longer" : ""}`);
  return h(
    Stack,
    { gap: 3 },
    h(Grid, { label: "Baselines that judged", heads: ["Lane", "Baseline", "Judged since", "Verdicts"] }, body.baselines.map((one, i) => row(i, one.lane, h(Box, { as: "span", fontFamily: "mono" }, short(one.baseline)), first(one.first), one.n_verdicts))),
    body.promotions.length === 0
      ? h(Text, { fontSize: "sm", color: "fg.muted" }, "No baseline of this source was promoted: the signed one in its directory judges.")
      : h(
          Grid,
          { label: "Promotions, newest first", heads: ["Promoted", "Lane", "Baseline", "Made of", "Expires"] },
          body.promotions.map((one) =>
            one.lane
              ? row(one.index, when(one.created), one.lane, h(Box, { as: "span", fontFamily: "mono" }, short(one.baseline)), `${one.rows} rows, ${one.n_batches} ${one.n_batches === 1 ? "batch" : "batches"}`, when(one.expires))
              : row(one.index, `entry ${one.index}`, h(Look, { name: "not verified" }), "", said(one.refusal), ""),
          ),
        ),
  );
}

function Models({ models }) {
  if (!models.length) return h(Text, null, "No verdict on a model names this source. A model that was trained without `sluicegate model check --trained-on` leaves no statement; the audit finds its run.");
  return h(
    Grid,
    { label: "Models made of it", heads: ["Model", "Verdict", "Judged", "Made of batch"] },
    models.map(({ name, batch, judged }) => h(Table.Row, { key: judged.index }, h(RowHead, null, h(To, { view: "verdict", parameters: { index: judged.index } }, name)), h(Table.Cell, null, h(Look, { name: judged.result })), h(Table.Cell, null, when(judged.issued)), h(Table.Cell, { fontFamily: "mono" }, short(batch)))),
  );
}

export function Source({ name }) {
  const answer = useAnswer("source", { name });
  return h(
    Page,
    { title: name },
    h(Answer, { answer }, (body) =>
      h(
        Stack,
        { gap: 6 },
        h(Now, { body }),
        h(Acting, { name, changed: answer.again }),
        h(Part, { title: "Verdicts" }, body.past.length ? h(Timeline, { past: body.past }) : h(Stack, null, h(Text, null, "No batch has been judged. Judge the newest one:"), h(Command, { text: `sluicegate gate ${quoted(name)}` }))),
        body.past.length > 0 && h(Part, { title: "Signals by verdict" }, h(Text, { fontSize: "sm", color: "fg.muted" }, "Columns are ledger entries, the newest on the right. ✓ passed. 2× means that the effect is at least twice what is tolerated."), h(Heat, { findings: body.findings, past: body.past })),
        body.contributors && h(Part, { title: "Contributors by verdict" }, h(Contributors, { contributors: body.contributors, past: body.past })),
        body.baselines.length > 0 && h(Part, { title: "Baselines" }, h(Baselines, { body })),
        h(Part, { title: "Models made of it" }, h(Models, { models: body.models }), h(To, { view: "lineage", parameters: { name }, fontSize: "sm" }, "Lineage: where it came from, and all that was made of it")),
        h(Ledger, { ledger: body.ledger }),
      ),
    ),
  );
}
