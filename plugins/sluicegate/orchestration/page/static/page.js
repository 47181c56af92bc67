// Sluicegate's page in Airflow. Airflow imports this module and renders the function below.
import { Guard } from "./guard.js";
import { LedgerView } from "./ledger.js";
import { Lineage } from "./lineage.js";
import { h, ROUTE } from "./parts.js";
import { Source } from "./source.js";
import { Sources } from "./sources.js";
import { Tab } from "./tabs.js";
import { Verdict } from "./verdict.js";

const { useLocation } = globalThis.ReactRouterDOM;

globalThis.Sluicegate = function Sluicegate({ dagId, runId, taskId, mapIndex }) {
  const { pathname, search } = useLocation();
  if (dagId) return h(Tab, { key: pathname, dagId, runId, taskId, mapIndex });
  const asked = new URLSearchParams(search);
  const view = pathname.slice(pathname.indexOf(ROUTE) + ROUTE.length + 1);
  // The key: no view shows for a moment what was said of another source.
  if (view === "source" && asked.has("name")) return h(Source, { key: search, name: asked.get("name") });
  if (view === "verdict" && asked.has("index")) return h(Verdict, { key: search, index: asked.get("index") });
  if (view === "guard") return h(Guard);
  if (view === "ledger") return h(LedgerView);
  if (view === "lineage") return h(Lineage, { name: asked.get("name") });
  return h(Sources);
};
