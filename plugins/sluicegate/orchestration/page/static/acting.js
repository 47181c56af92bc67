// What a person may do about a source. Airflow's own API does it, as whoever is logged in.
import { Answer, Command, h, Part, quoted, useAnswer, when } from "./parts.js";

const { useEffect, useId, useState } = globalThis.React;
const { Box, Button, HStack, Input, Link, Stack, Text, Textarea } = globalThis.ChakraUI;
const { Link: RouterLink } = globalThis.ReactRouterDOM;

// An open question or a run that has not ended is looked at again.
const AGAIN_MS = 3000;
const ENDED = ["success", "failed"];

// Returns what went wrong, in words; nothing if Airflow took it.
async function ask(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(new URL(`api/v2/${path}`, document.baseURI), options);
  } catch (error) {
    return `No answer: ${error}`;
  }
  // The run exists: whoever asks twice has asked once.
  if (response.ok || (method === "POST" && response.status === 409)) return "";
  const { detail } = await response.json().catch(() => ({}));
  const why = typeof detail === "string" ? detail : detail?.reason;
  return `Airflow refused (${response.status})${why ? `: ${why}` : ""}.`;
}

function Field({ label, children }) {
  const id = useId();
  return h(Box, null, h(Text, { as: "label", htmlFor: id, fontSize: "sm" }, label), children(id));
}

function Failure({ text }) {
  return text ? h(Text, { role: "alert", color: "fg.error", overflowWrap: "anywhere" }, text) : null;
}

function Form({ act, dag, runs, size, close, again }) {
  const [reason, setReason] = useState("");
  const [failure, setFailure] = useState("");
  const [sending, setSending] = useState(false);
  const wanted = act.action === "quarantine" || act.action === "release";
  const send = async (event) => {
    event.preventDefault();
    setSending(true);
    // One name for one look at the ledger: a second click, or a second person, starts no second run.
    const first = `${act.action}__${act.batch.slice(-12) || "newest"}__${size}`;
    const failed = runs.filter((run) => run.run.startsWith(first) && run.state === "failed").length;
    const name = failed ? `${first}__${failed}` : first;
    const conf = { action: act.action, batch: act.batch, reason: reason.trim() };
    const wrong = await ask("POST", `dags/${encodeURIComponent(dag)}/dagRuns`, { dag_run_id: name, logical_date: null, conf });
    setSending(false);
    setFailure(wrong);
    if (!wrong) {
      again();
      close();
    }
  };
  return h(
    Stack,
    { as: "form", onSubmit: send, "aria-label": act.label, borderWidth: "1px", rounded: "md", p: 3, gap: 3, maxW: "720px" },
    h(Text, { overflowWrap: "anywhere" }, act.does),
    wanted && h(Field, { label: "Reason. It is signed and kept." }, (id) => h(Textarea, { id, value: reason, required: true, maxLength: 2000, rows: 2, onChange: (event) => setReason(event.target.value) })),
    h(Failure, { text: failure }),
    h(HStack, null, h(Button, { type: "submit", size: "sm", loading: sending }, act.label), h(Button, { type: "button", size: "sm", variant: "outline", onClick: close }, "Cancel")),
  );
}

// Nobody reads and decides at once, and the task takes no such answer.
function useRead(seconds) {
  const [read, setRead] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setRead(true), 1000 * (seconds + 1));
    return () => clearTimeout(timer);
  }, [seconds]);
  return read;
}

function Asked({ question, seconds, again }) {
  const [values, setValues] = useState(Object.fromEntries(question.fields.map(({ name, value }) => [name, value])));
  const [failure, setFailure] = useState("");
  const read = useRead(seconds);
  const answered = async (chosen) => {
    const place = [question.dag, "dagRuns", question.run, "taskInstances", question.task, `${question.map_index}`, "hitlDetails"];
    const answer = { chosen_options: [chosen], params_input: { about: question.about, ...values } };
    const wrong = await ask("PATCH", `dags/${place.map(encodeURIComponent).join("/")}`, answer);
    setFailure(wrong);
    if (!wrong) again();
  };
  const entered = (name, value) => setValues({ ...values, [name]: value });
  const lacking = Object.values(values).some((value) => value === "" || Number.isNaN(value));
  const field = ({ name, value, label }) =>
    h(Field, { key: name, label }, (id) =>
      typeof value === "number"
        ? h(Input, { id, type: "number", step: "any", min: 0, defaultValue: value, onChange: (event) => entered(name, event.target.valueAsNumber) })
        : h(Textarea, { id, rows: 2, value: values[name], onChange: (event) => entered(name, event.target.value) }),
    );
  return h(
    Stack,
    { role: "group", "aria-label": question.subject, borderWidth: "1px", rounded: "md", p: 3, gap: 3, maxW: "720px" },
    h(Text, { fontWeight: "bold", overflowWrap: "anywhere" }, question.subject),
    // Airflow's own form reads Markdown; here its marks say nothing.
    h(Text, { whiteSpace: "pre-wrap", overflowWrap: "anywhere" }, question.body.replaceAll(/^ {4}/gm, "").replaceAll("`", "")),
    h(Text, { fontSize: "sm", color: "fg.muted" }, `Asked ${when(question.asked)}. May answer: ${question.people.join(", ")}.`),
    question.mine && question.fields.map(field),
    h(Failure, { text: failure }),
    question.mine && h(HStack, null, h(Button, { size: "sm", disabled: !read || lacking, onClick: () => answered("Approve") }, "Approve"), h(Button, { size: "sm", variant: "outline", disabled: !read, onClick: () => answered("Reject") }, "Reject")),
    question.mine && !read && h(Text, { fontSize: "sm", color: "fg.muted" }, "Read it first."),
  );
}

function Run({ dag, run }) {
  const to = `/dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run.run)}`;
  const text = `${run.action || "run"} by ${run.by ?? "nobody"}, ${run.at ? when(run.at) : ""}: ${run.state}`;
  return h(Box, { as: "li" }, h(Link, { asChild: true, colorPalette: "blue", variant: "underline", overflowWrap: "anywhere" }, h(RouterLink, { to }, text)));
}

function Whole({ name, body, again }) {
  const [chosen, setChosen] = useState(null);
  const open = body.questions.length > 0 || body.runs.some((run) => !ENDED.includes(run.state));
  useEffect(() => {
    if (!open) return undefined;
    const timer = setTimeout(again, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [open, body]);
  const act = body.acts.find((one) => one.action === chosen);
  const size = body.ledger.size;
  return h(
    Stack,
    { gap: 3 },
    body.questions.map((question) => h(Asked, { key: `${question.run} ${question.task} ${question.asked}`, question, seconds: body.reading_s, again })),
    body.why_not && h(Stack, null, h(Text, { color: "fg.muted" }, `${body.why_not} From a terminal:`), h(Command, { text: `sluicegate quarantine ${quoted(name)} --reason REASON` })),
    body.acts.length > 0 &&
      h(HStack, { flexWrap: "wrap", role: "group", "aria-label": "Act on this source" }, body.acts.map((one) => h(Button, { key: one.action, size: "sm", variant: "outline", "aria-expanded": chosen === one.action, onClick: () => setChosen(chosen === one.action ? null : one.action) }, one.label))),
    act && h(Form, { key: act.action, act, dag: body.dag, runs: body.runs, size, close: () => setChosen(null), again }),
    body.runs.length > 0 && h(Stack, { as: "ul", gap: 1, listStyle: "none", "aria-label": "Runs that acted", "aria-live": "polite" }, body.runs.map((run) => h(Run, { key: run.run, dag: body.dag, run }))),
  );
}

export function Acting({ name, changed }) {
  const answer = useAnswer("acts", { name });
  const ended = answer.body?.runs.filter((run) => ENDED.includes(run.state)).length;
  const [before, setBefore] = useState(undefined);
  // A run that ended may have changed how the source stands.
  useEffect(() => {
    if (before !== undefined && ended !== undefined && ended !== before) changed();
    if (ended !== undefined) setBefore(ended);
  }, [ended]);
  return h(Part, { title: "Act" }, h(Answer, { answer }, (body) => h(Whole, { name, body, again: answer.again })));
}
