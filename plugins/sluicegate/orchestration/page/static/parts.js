// What every view is made of. The host gives React, Chakra and the router as globals.
const { createElement: h, useEffect, useState } = globalThis.React;
const { Badge, Box, Button, Code, Heading, HStack, Link, Spinner, Stack, Table, Text } = globalThis.ChakraUI;
const { Link: RouterLink } = globalThis.ReactRouterDOM;

export { h };

export const ROUTE = "/plugin/sluicegate";

// A state or result: its colour, and a sign for whoever sees no colours.
const LOOKS = {
  trusted: ["green", "✓"],
  warned: ["orange", "!"],
  "let through": ["orange", "!"],
  blocked: ["red", "✕"],
  quarantined: ["purple", "✕"],
  stale: ["gray", "…"],
  "not judged": ["blue", "?"],
  "not sealed": ["gray", "–"],
  "not verified": ["red", "?"],
  PASSED: ["green", "✓"],
  WARNED: ["orange", "!"],
  FAILED: ["red", "✕"],
  NOT_EVALUATED: ["purple", "–"],
};

export const look = (name) => LOOKS[name] ?? ["red", "?"];

export const short = (digest) => (digest ? digest.slice(digest.indexOf(":") + 1).slice(0, 12) : "");

export const when = (text) => (text ? new Date(text).toLocaleString([], { timeZoneName: "short" }) : "");

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

export function ago(text) {
  const seconds = (Date.now() - new Date(text)) / 1000;
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["minute", 60];
  return new Intl.RelativeTimeFormat([], { numeric: "always" }).format(-Math.max(0, Math.floor(seconds / length)), unit);
}

// A name as one word of a shell, whatever it holds.
export const quoted = (name) => `'${name.replaceAll("'", "'\\''")}'`;

// The code at its beginning is for programs; the state says it in words.
export const said = (error) => error.text.replace(/^\[[A-Z_]+\] /, "");

export const number = (value) => (value === null ? "" : Number(value.toPrecision(3)).toString());

// What went wrong, and what it says about training: only an answer of Sluicegate's own says anything.
function refused(status, { error, detail }) {
  if (error) return { head: "Sluicegate could not check. Protected tasks do not start.", text: said(error) };
  if (status === 401) return { head: "You are not logged in any more", text: "Load the page again and log in." };
  if (status === 403) return { head: "You may not see this", text: "Log in again, or ask who administers Airflow for the right to read this asset." };
  const text = Array.isArray(detail) ? detail.map((part) => `${part.loc.at(-1)}: ${part.msg}`).join("; ") : detail;
  if (status === 404 || status === 422) return { head: "There is nothing to show", text: said({ text: text ?? "" }) };
  return { head: "No answer", text: `The server answered ${status}. Look at the log of Airflow's API server.` };
}

// How often a view that somebody looks at asks again. An answer with a tag costs little when nothing changed.
const RENEWED_MS = 20_000;
const RENEWED_WITHOUT_TAG_MS = 60_000;

// Runs once after a time, but never while nobody sees the tab.
function whenSeen(run, after) {
  let waiting;
  const stop = () => [clearTimeout(waiting), document.removeEventListener("visibilitychange", seen)];
  const seen = () => document.visibilityState === "visible" && [stop(), run()];
  waiting = setTimeout(() => (document.addEventListener("visibilitychange", seen), seen()), after);
  return stop;
}

export function useAnswer(path, parameters) {
  const query = new URLSearchParams(parameters).toString();
  const [answer, setAnswer] = useState({ loading: true });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let next = () => {};
    const again = (after) => (next = whenSeen(() => setTries((last) => last + 1), after));
    // A view that was there stays, and says that it is old.
    const failed = (failure) => (setAnswer((last) => (last.body && last.query === query ? { ...last, old: failure } : { failure })), again(RENEWED_WITHOUT_TAG_MS));
    setAnswer((last) => ({ ...last, loading: true }));
    fetch(new URL(`sluicegate/api/${path}?${query}`, document.baseURI), { signal: stop.signal })
      .then(async (response) => {
        const body = await response.json().catch(() => ({}));
        if (stop.signal.aborted) return;
        if (!response.ok || !body.ledger) return failed(refused(response.status, body));
        setAnswer({ body, query });
        // The server answers in parts when it has much to ask; each part comes with the next question.
        again(body.whole === false ? 100 : response.headers.has("ETag") ? RENEWED_MS : RENEWED_WITHOUT_TAG_MS);
      })
      .catch((error) => stop.signal.aborted || failed({ head: "No answer", text: `${error}` }));
    return () => (stop.abort(), next());
  }, [path, query, tries]);
  return { ...answer, again: () => setTries((last) => last + 1) };
}

export function Answer({ answer, children }) {
  if (answer.failure) {
    return h(
      Stack,
      { role: "alert", borderWidth: "1px", borderColor: "red.solid", rounded: "md", p: 4, gap: 2 },
      h(Text, { fontWeight: "bold" }, answer.failure.head),
      h(Text, { overflowWrap: "anywhere" }, answer.failure.text),
      h(Box, null, h(Button, { size: "sm", variant: "outline", onClick: answer.again }, "Try again")),
    );
  }
  if (!answer.body) return h(HStack, { role: "status" }, h(Spinner, { size: "sm" }), "Loading");
  if (!answer.old) return children(answer.body);
  return h(
    Stack,
    { gap: 4 },
    h(
      Stack,
      { role: "status", borderWidth: "1px", borderColor: "orange.solid", rounded: "md", p: 3, gap: 2 },
      h(Text, { fontWeight: "bold" }, `As of ${when(answer.body.ledger.asked)}. This view could not be renewed: ${answer.old.head}`),
      h(Text, { overflowWrap: "anywhere" }, answer.old.text),
      h(Box, null, h(Button, { size: "sm", variant: "outline", onClick: answer.again }, "Try again")),
    ),
    children(answer.body),
  );
}

export function Look({ name, children }) {
  const [palette, sign] = look(name);
  return h(Badge, { colorPalette: palette, size: "md", whiteSpace: "nowrap" }, `${sign} ${children ?? name}`);
}

// Chakra resets how each element wraps, so a long name wraps only where its link says so.
const LINK = { colorPalette: "blue", variant: "underline", overflowWrap: "anywhere" };

export function To({ view, parameters, path, children, ...rest }) {
  const to = path ?? (view ? `${ROUTE}/${view}${parameters ? `?${new URLSearchParams(parameters)}` : ""}` : ROUTE);
  return h(Link, { asChild: true, ...LINK, ...rest }, h(RouterLink, { to }, children));
}

// Airflow's own page of each DAG.
export function Dags({ dags }) {
  return dags.flatMap((dag, i) => [i > 0 && ", ", h(Link, { key: dag, asChild: true, ...LINK }, h(RouterLink, { to: `/dags/${encodeURIComponent(dag)}` }, dag))]);
}

const VIEWS = [["", "Training data"], ["guard", "Guard"], ["ledger", "Ledger"], ["lineage", "Lineage"]];

function Views({ title }) {
  return h(HStack, { as: "nav", "aria-label": "Sluicegate", flexWrap: "wrap", columnGap: 4, mb: 1 }, VIEWS.map(([view, name]) => h(To, { key: view, view, fontSize: "sm", "aria-current": name === title ? "page" : undefined, fontWeight: name === title ? "bold" : undefined }, name)));
}

export function Page({ title, above, children }) {
  return h(
    Stack,
    { as: "main", gap: 5, p: { base: 3, md: 5 }, maxW: "1400px", overflowY: "auto", h: "full" },
    h(Views, { title }),
    h(Box, null, above && h(Text, { fontSize: "sm" }, above), h(Heading, { as: "h1", size: "xl", overflowWrap: "anywhere" }, title)),
    children,
  );
}

export function Part({ title, children }) {
  return h(Stack, { as: "section", gap: 2 }, h(Heading, { as: "h2", size: "md" }, title), children);
}

// A table; where it is wider than the window, the keyboard scrolls it.
export function Grid({ label, heads, children, ...rest }) {
  return h(
    Table.ScrollArea,
    { borderWidth: "1px", rounded: "md", role: "region", "aria-label": label, tabIndex: 0 },
    h(
      Table.Root,
      { size: "sm", ...rest },
      h(Table.Header, null, h(Table.Row, null, heads.map((head, i) => h(Table.ColumnHeader, { key: i, scope: "col" }, head)))),
      h(Table.Body, null, children),
    ),
  );
}

export function RowHead({ children, ...rest }) {
  return h(Table.Cell, { as: "th", scope: "row", textAlign: "start", fontWeight: "normal", ...rest }, children);
}

// The newest verdict is on the right, as time runs.
export function Strip({ past }) {
  if (!past) return h(Text, { color: "fg.muted" }, "…");
  return h(
    HStack,
    { as: "ol", gap: "2px", listStyle: "none", "aria-label": "Verdicts, oldest first" },
    [...past].reverse().map((verdict) => {
      const result = verdict.result ?? "not verified";
      const [palette, sign] = look(result);
      const label = `${result}, ${when(verdict.issued)}, ledger entry ${verdict.index}`;
      return h(
        Box,
        { as: "li", key: verdict.index },
        h(
          To,
          { view: "verdict", parameters: { index: verdict.index }, "aria-label": label, title: label, variant: "plain" },
          h(
            Box,
            { colorPalette: palette, bg: "colorPalette.subtle", color: "colorPalette.fg", borderWidth: "1px", borderColor: "colorPalette.muted", w: "16px", h: "22px", fontSize: "xs", textAlign: "center" },
            sign,
          ),
        ),
      );
    }),
  );
}

export function Command({ text }) {
  const [copied, setCopied] = useState(false);
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true));
  return h(
    HStack,
    { align: "start", flexWrap: "wrap" },
    h(Code, { whiteSpace: "pre-wrap", overflowWrap: "anywhere", p: 2 }, text),
    // Browsers give no clipboard to a page without TLS.
    navigator.clipboard && h(Button, { size: "xs", variant: "outline", onClick: copy }, copied ? "Copied" : "Copy"),
  );
}

export function Facts({ pairs }) {
  return h(
    Box,
    { as: "dl", display: "grid", gridTemplateColumns: { base: "minmax(0, 1fr)", sm: "max-content minmax(0, 1fr)" }, columnGap: 4, rowGap: 1, fontSize: "sm" },
    pairs.flatMap(([name, value]) => [h(Box, { as: "dt", key: name, color: "fg.muted" }, name), h(Box, { as: "dd", key: `${name} value`, minW: 0 }, h(Code, { overflowWrap: "anywhere", whiteSpace: "normal" }, value))]),
  );
}

export function Ledger({ ledger }) {
  const upTo = ledger.size ? `Verified up to ledger entry ${ledger.size - 1}, root ${ledger.root.slice(0, 12)}` : "The ledger is empty";
  return h(Text, { fontSize: "sm", color: "fg.muted" }, `${upTo}, asked ${when(ledger.asked)}.`);
}
