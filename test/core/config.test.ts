import { readFileSync } from "node:fs";
import { expect } from "chai";
import { settingsPage } from "../../scripts/settings.ts";
import { ConfigError, settings, toConfig } from "../../src/config.ts";

describe("settings", () => {
  it("have defaults for everything", () => {
    expect(toConfig({})).to.include({
      PARLEY_STACK: "embedded",
      PARLEY_GRPC_ADDRESS: "127.0.0.1:50051",
      PARLEY_HTTP_ADDRESS: "",
      PARLEY_REQUEST_ID_TTL: 3_600,
      PARLEY_INSECURE: false,
    });
  });

  const wrong: [Record<string, string>, RegExp][] = [
    [{ PARLEY_STACK: "cloud" }, /PARLEY_STACK/],
    [{ PARLEY_GRPC_ADDRESS: "50051" }, /PARLEY_GRPC_ADDRESS must be host:port/],
    [{ PARLEY_GRPC_ADDRESS: "127.0.0.1:70000" }, /65535/],
    [
      { PARLEY_MYSQL_URL: "postgres://x/y" },
      /PARLEY_MYSQL_URL must be a URL that begins with mysql:\/\//,
    ],
    [{ PARLEY_BACKLOG_MAX: "0" }, /PARLEY_BACKLOG_MAX/],
    [{ PARLEY_BACKLOG_MAX: "many" }, /must be a whole number from 1 to 100000000/],
    [{ PARLEY_SYNC_CRON: "banana" }, /PARLEY_SYNC_CRON must be a cron line/],
    [{ PARLEY_STACKS: "embedded" }, /PARLEY_STACKS is no setting/],
    [{ PARLEY_GRPC_ADDRESS: "0.0.0.0:50051" }, /beyond loopback: set PARLEY_KEYS_FILE/],
    [{ PARLEY_HTTP_ADDRESS: "8080" }, /PARLEY_HTTP_ADDRESS must be host:port/],
    [{ PARLEY_HTTP_ADDRESS: "0.0.0.0:8080" }, /PARLEY_HTTP_ADDRESS is beyond loopback/],
    [{ PARLEY_GRPC_ADDRESS: "[::]:50051" }, /beyond loopback/],
    [{ PARLEY_GRPC_ADDRESS: "localhost.example.com:50051" }, /beyond loopback/],
    [
      {
        PARLEY_GRPC_ADDRESS: "0.0.0.0:50051",
        PARLEY_TLS_CERT_FILE: "a",
        PARLEY_TLS_KEY_FILE: "b",
        PARLEY_TLS_CLIENT_CA_FILE: "c",
      },
      /beyond loopback/,
    ],
    [{ PARLEY_METRICS_ADDRESS: "9464" }, /PARLEY_METRICS_ADDRESS must be host:port/],
    [{ PARLEY_METRICS_ADDRESS: "0.0.0.0:9464" }, /set PARLEY_METRICS_EXPOSED=true/],
    [
      { PARLEY_ELASTICSEARCH_URL: "http://one:9200,two:9200" },
      /PARLEY_ELASTICSEARCH_URL must be URLs that begin with http:\/\/ or https:\/\//,
    ],
    [{ PARLEY_OTLP_ENDPOINT: "collector:4318" }, /PARLEY_OTLP_ENDPOINT must be a URL/],
    [{ PARLEY_TRACE_RATIO: "1.5" }, /PARLEY_TRACE_RATIO must be a number from 0 to 1/],
    [{ PARLEY_TLS_CERT_FILE: "a" }, /so PARLEY_TLS_KEY_FILE must be set, too/],
    [{ PARLEY_TLS_KEY_FILE: "a" }, /so PARLEY_TLS_CERT_FILE must be set, too/],
    [{ PARLEY_TLS_CLIENT_CA_FILE: "a" }, /so PARLEY_TLS_CERT_FILE must be set, too/],
    [{ PARLEY_HEALTH: "yes" }, /PARLEY_HEALTH/],
    [{ PARLEY_RATE_LIMIT: "-1" }, /PARLEY_RATE_LIMIT must be a whole number from 0 to 1000000/],
  ];
  for (const [env, message] of wrong) {
    it(`refuse ${JSON.stringify(env)}`, () => {
      expect(() => toConfig(env)).to.throw(ConfigError, message);
    });
  }

  it("name every fault at once, and never show a secret", () => {
    const env = { PARLEY_STACK: "x", PARLEY_MYSQL_URL: "ftp://me:secret@host/db" };
    expect(() => toConfig(env))
      .to.throw(/PARLEY_STACK[\s\S]*PARLEY_MYSQL_URL/)
      .with.property("message")
      .that.does.not.contain("secret");
  });

  it("take several nodes of Elasticsearch", () => {
    const env = { PARLEY_ELASTICSEARCH_URL: "http://one:9200, https://two:9200" };
    expect(toConfig(env).PARLEY_ELASTICSEARCH_URL).to.deep.equal([
      "http://one:9200",
      "https://two:9200",
    ]);
  });

  it("let the server listen beyond loopback where that is said, or keys are asked for", () => {
    const PARLEY_GRPC_ADDRESS = "0.0.0.0:50051";
    for (const env of [{ PARLEY_INSECURE: "true" }, { PARLEY_KEYS_FILE: "keys.json" }]) {
      expect(toConfig({ PARLEY_GRPC_ADDRESS, ...env })).to.include({ PARLEY_GRPC_ADDRESS });
    }
  });

  it("let the server listen on loopback, whatever its name", () => {
    for (const host of ["127.0.0.1", "127.8.9.10", "localhost", "[::1]"]) {
      const PARLEY_GRPC_ADDRESS = `${host}:50051`;
      expect(toConfig({ PARLEY_GRPC_ADDRESS })).to.include({ PARLEY_GRPC_ADDRESS });
    }
  });
});

describe("the README's table of settings", () => {
  it("says of the settings that it has what they are, and points to the others", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const [, table] = /<!-- settings:begin -->\n([\s\S]*)\n<!-- settings:end -->/.exec(readme)!;
    const shown = table!.split("\n").slice(2);
    const rows = Object.entries(settings).map(
      ([name, setting]) => `| \`${name}\` | \`${setting.default}\` | ${setting.means} |`,
    );
    expect(rows).to.include.members(shown);
    expect(shown).to.have.length.above(8);
    expect(readme).to.include("(docs/settings.md)");
  });
});

describe("docs/settings.md", () => {
  it("has every setting with its type, bound, default and meaning", () => {
    const page = readFileSync(new URL("../../docs/settings.md", import.meta.url), "utf8");
    for (const name of Object.keys(settings)) expect(page).to.include(`\n| \`${name}\` | `);
    expect(page).to.equal(settingsPage());
  });
});
