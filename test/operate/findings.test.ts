import { expect } from "chai";
import { addOldestJob, type Findings, findingsOf, isAtLeast } from "../../src/stacks/findings.ts";
import { addServer } from "../../src/stacks/redis/examine.ts";
import { addDurability, addSession, addVersion } from "../../src/stacks/sql/examine.ts";

// Findings that cannot be caused on the servers of the tests: they need rights, clocks or replicas.

/** The ranks and texts of what is found. */
function found(add: (findings: Findings) => void): string[] {
  const findings = findingsOf("it");
  add(findings);
  return findings.found.map((one) => `${one.rank}: ${one.what}`);
}

describe("findings", () => {
  it("tell clocks that are apart by more than the question took", () => {
    const asked = { beforeMs: 100_000, afterMs: 102_000 };
    const at = (serverMs: number) => found((one) => one.clock(serverMs, asked));
    for (const serverMs of [99_001, 100_000, 101_000, 102_999]) {
      expect(at(serverMs)).to.deep.equal([]);
    }
    expect(at(97_500)).to.deep.equal(["warning: its clock and ours are 2.5 s apart"]);
    expect(at(105_500)).to.deep.equal(["warning: its clock and ours are 3.5 s apart"]);
    expect(at(142_000)).to.deep.equal(["error: its clock and ours are 40.0 s apart"]);
  });

  it("tell versions that are too old", () => {
    for (const [version, least, fine] of [
      ["7.0.15", "6.2", true],
      ["6.2", "6.2", true],
      ["6.0.16", "6.2", false],
      ["10.11.6-MariaDB", "10.6", true],
      ["10.5.9-MariaDB", "10.6", false],
      ["8.4.3", "8.0", true],
      ["5.7.44", "8.0", false],
    ] as const) {
      expect(isAtLeast(version, least), version).to.equal(fine);
    }
    expect(found((one) => addVersion(one, "10.5.9-MariaDB"))).to.have.length(1);
    expect(found((one) => addVersion(one, "8.0.1"))).to.deep.equal([]);
  });

  it("tell jobs that wait for long", () => {
    expect(found((one) => addOldestJob(one, undefined, 0))).to.deep.equal([]);
    expect(found((one) => addOldestJob(one, 1_000, 5_000))).to.deep.equal([]);
    expect(found((one) => addOldestJob(one, 1_000, 61_000))[0]).to.match(/^warning: .* 60 s old/);
    expect(found((one) => addOldestJob(one, 0, 700_000))[0]).to.match(/^error: .* 700 s old/);
  });

  it("tell a MySQL that may lose rows, or a session that is not as it was set", () => {
    const good = {
      innodb_flush_log_at_trx_commit: "1",
      log_bin: "ON",
      sync_binlog: "1",
      read_only: "OFF",
      wsrep_on: "OFF",
      wsrep_sync_wait: "0",
      tx_isolation: "READ-COMMITTED",
      sql_mode: "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
      max_allowed_packet: "16777216",
    };
    const both = (change: Partial<typeof good>) =>
      found((one) => {
        const variables = new Map(Object.entries({ ...good, ...change }));
        addDurability(one, variables);
        addSession(one, variables);
      });
    expect(both({})).to.deep.equal([]);
    expect(both({ log_bin: "OFF", sync_binlog: "0" })).to.deep.equal([]);
    for (const [change, rank] of [
      [{ innodb_flush_log_at_trx_commit: "2" }, "error"],
      [{ sync_binlog: "0" }, "warning"],
      [{ read_only: "ON" }, "error"],
      [{ wsrep_on: "ON", wsrep_sync_wait: "1" }, "note"],
      [{ tx_isolation: "REPEATABLE-READ" }, "error"],
      [{ sql_mode: "NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES" }, "error"],
      [{ max_allowed_packet: "524288" }, "error"],
    ] as const) {
      expect(both(change), JSON.stringify(change)).to.have.length(1);
      expect(both(change)[0]).to.match(new RegExp(`^${rank}: `));
    }
    expect(both({ wsrep_on: "ON" })[1]).to.match(/^error: wsrep_sync_wait is 0/);
  });

  it("tell a Redis that is no primary, has replicas, loads, or cannot write", () => {
    const good = { redis_version: "7.2.4", role: "master", connected_slaves: "0", loading: "0" };
    const server = (change: Record<string, string>) =>
      found((one) => addServer(one, new Map(Object.entries({ ...good, ...change }))));
    expect(server({})).to.deep.equal([]);
    for (const [change, rank] of [
      [{ role: "slave" }, "error"],
      [{ connected_slaves: "2" }, "note"],
      [{ loading: "1" }, "error"],
      [{ aof_last_write_status: "err" }, "error"],
      [{ redis_version: "5.0.7" }, "error"],
    ] as [Record<string, string>, string][]) {
      expect(server(change)[0], JSON.stringify(change)).to.match(new RegExp(`^${rank}: `));
    }
  });
});
