import { readFileSync } from "node:fs";
import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import { expect } from "chai";
import { METRICS } from "../../src/metric-names.ts";

// metrics.test.ts holds the table of metrics against a real scrape; promtool reads the rules in
// scripts/alerts-check.ts.

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const known: Record<string, string> = Object.fromEntries([
  ...Object.entries(METRICS).map(([name, { type }]) => [name, type]),
  ...registry.getMetricsAsArray().map(({ name, type }) => [name, String(type)]),
]);

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const rules = read("deploy/prometheus/alerts.yml");
const alertTests = read("deploy/prometheus/alerts.test.yml");
const dashboard = read("deploy/grafana/parley.json");
const page = read("docs/observability.md");

/** The metrics that expressions name: a histogram by its own name. */
function metricsIn(text: string): string[] {
  const found = [...text.matchAll(/\b(?:parley|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => {
    const base = name.replace(/_(bucket|sum|count)$/, "");
    return known[base] === "histogram" ? base : name;
  });
  return [...new Set(found)];
}

const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map((match) => match[1]!);

describe("alerts and dashboard", () => {
  it("name only metrics that there are, and the dashboard all of ours", () => {
    const panels = JSON.parse(dashboard).panels as { targets?: { expr: string }[] }[];
    const shown = metricsIn(
      panels
        .flatMap((one) => one.targets ?? [])
        .map((one) => one.expr)
        .join("\n"),
    );
    const expressions = [rules, alertTests].flatMap(metricsIn);
    expect([...shown, ...expressions].filter((name) => known[name] === undefined)).to.deep.equal(
      [],
    );
    expect(Object.keys(METRICS).filter((name) => !shown.includes(name))).to.deep.equal([]);
  });

  it("are tested, and told of, one by one", () => {
    expect(alerts).to.have.length.above(8);
    for (const alert of alerts) {
      expect(alertTests).to.contain(`{alertname="${alert}"}`);
      expect(page).to.contain(`| \`${alert}\` |`);
    }
  });
});

describe("the page on observability", () => {
  it("has every metric with its type, its labels and its meaning", () => {
    const rows = Object.entries(METRICS).map(([name, { type, labels = [], help }]) => {
      return `| \`${name}\` | ${type} | ${labels.join(", ")} | ${help} |`;
    });
    const table = ["| metric | type | labels | meaning |", "|---|---|---|---|", ...rows].join("\n");
    expect(page).to.contain(`<!-- metrics:begin -->\n${table}\n<!-- metrics:end -->`);
  });
});
