import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findAccount, giveTo } from "../../scripts/services/account.ts";
import { end, record } from "../../scripts/services/daemon.ts";
import { mariadb } from "../../scripts/services/mariadb.ts";
import { MYSQL_PASSWORD, type Place } from "../../scripts/services/place.ts";
import { freePort } from "./deployment.ts";

const START_MAX_MS = 60_000;
const POLL_MS = 50;

/** A MariaDB that belongs to one test, set up as `services:up` does, for tests that kill it. */
export class OwnMariadb {
  readonly url: string;
  private readonly place: Place;
  private readonly folder: string;
  private readonly pidFile: string;

  private constructor(port: number) {
    this.folder = mkdtempSync(join(tmpdir(), "parley-mariadb-"));
    this.pidFile = join(this.folder, "pid");
    const account = findAccount();
    chmodSync(this.folder, 0o755);
    giveTo(account, this.folder);
    const ports = { mysql: port } as Place["ports"];
    this.place = { folder: this.folder, account, layout: "single", ports };
    this.url = `mysql://parley:${MYSQL_PASSWORD}@127.0.0.1:${port}/parley`;
  }

  static async start(): Promise<OwnMariadb> {
    const own = new OwnMariadb(await freePort());
    await own.start();
    return own;
  }

  /** Starts it on its files, and returns when it serves. */
  async start(): Promise<void> {
    record(this.pidFile, await mariadb.launch(this.place, this.folder));
    const endMs = performance.now() + START_MAX_MS;
    while (!(await this.serves())) {
      if (performance.now() > endMs) throw new Error("mariadbd did not start");
      await sleep(POLL_MS);
    }
  }

  /** As a crash ends it. */
  async kill(): Promise<void> {
    await end(this.pidFile, "SIGKILL");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private serves(): Promise<boolean> {
    return mariadb.check(this.place).then(
      () => true,
      () => false,
    );
  }
}
