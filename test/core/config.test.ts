import { readFileSync } from "node:fs";
import { expect } from "chai";
import { ConfigError, settings, toConfig } from "../../src/config.ts";

describe("settings", () => {
  it("have defaults for everything", () => {
    expect(toConfig({})).to.include({
      PARLEY_STACK: "embedded",
      PARLEY_GRPC_ADDRESS: "127.0.0.1:50051",
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
    [{ PARLEY_GRPC_ADDRESS: "0.0.0.0:50051" }, /beyond loopback/],
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

  it("let the server listen beyond loopback where that is said", () => {
    const env = { PARLEY_GRPC_ADDRESS: "0.0.0.0:50051", PARLEY_INSECURE: "true" };
    expect(toConfig(env).PARLEY_GRPC_ADDRESS).to.equal("0.0.0.0:50051");
  });
});

describe("the README's table of settings", () => {
  it("has every setting with its default and its meaning", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const rows = Object.entries(settings).map(
      ([name, setting]) => `| \`${name}\` | \`${setting.default}\` | ${setting.means} |`,
    );
    const table = ["| setting | default | meaning |", "|---|---|---|", ...rows].join("\n");
    expect(readme).to.contain(`<!-- settings:begin -->\n${table}\n<!-- settings:end -->`);
  });
});
