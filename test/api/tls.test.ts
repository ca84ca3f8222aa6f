import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { toConfig } from "../../src/config.ts";
import { type Connection, connectionOf } from "../../src/connect.ts";
import {
  freshFolder,
  inTheClear,
  keepLog,
  makeAuthority,
  makeKey,
  runCommand,
  until,
  writeKeys,
} from "../support/door.ts";
import { freshPlace, openClients, type Place, type Running, start } from "../support/system.ts";

type Authority = Awaited<ReturnType<typeof makeAuthority>>;

describe("TLS", () => {
  const folder = freshFolder();
  const { path } = folder;
  const server = { PARLEY_TLS_CERT_FILE: path("now.crt"), PARLEY_TLS_KEY_FILE: path("now.key") };
  const clientCa = path("now-ca.crt");
  let ours: Authority;
  let theirs: Authority;
  let place: Place;

  before(async () => {
    [ours, theirs] = await Promise.all([
      makeAuthority(path, "ours"),
      makeAuthority(path, "theirs"),
    ]);
    await Promise.all([
      ...["first", "second", "caller"].map((name) => ours.issue(name)),
      ...["renewed", "stranger"].map((name) => theirs.issue(name)),
    ]);
    for (const name of ["caller", "stranger"]) {
      const parts = [readFileSync(path(`${name}.crt`)), readFileSync(path(`${name}.key`))];
      writeFileSync(path(`${name}.pem`), Buffer.concat(parts));
    }
    place = await freshPlace("embedded");
  });
  beforeEach(() => use("first", ours));
  after(async () => {
    await place?.drop();
    folder.drop();
  });

  /** Puts a certificate where the server reads it, and an authority of callers. */
  function use(name: string, callers: Authority): void {
    copyFileSync(path(`${name}.crt`), server.PARLEY_TLS_CERT_FILE);
    copyFileSync(path(`${name}.key`), server.PARLEY_TLS_KEY_FILE);
    copyFileSync(callers.certFile, clientCa);
  }

  const trusting = (authority: Authority, caller?: string): Connection =>
    connectionOf(
      toConfig({
        PARLEY_CLIENT_CA_FILE: authority.certFile,
        ...(caller !== undefined && { PARLEY_CLIENT_CERT_FILE: path(`${caller}.pem`) }),
      }),
    );

  /** By its name: Node warns where a certificate is asked for an address. */
  const named = ({ target }: Running) => target.replace("127.0.0.1", "localhost");

  /** Whether a new connection comes to an answer. */
  async function answers(parley: Running, connection: Connection): Promise<boolean> {
    const clients = openClients(named(parley), connection);
    const answer = clients.listApplications({}, { timeoutMs: 5_000 });
    return answer
      .then(
        () => true,
        (error: { code: number }) => {
          expect(error.code).to.equal(status.UNAVAILABLE);
          return false;
        },
      )
      .finally(() => clients.close());
  }

  async function during(env: Record<string, string>, use: (parley: Running) => Promise<void>) {
    const kept = keepLog();
    const parley = await start(place, ["api", "worker"], env, { log: kept.log });
    try {
      await use(parley);
    } finally {
      await parley.stop();
    }
    return kept.text();
  }

  it("shows the server's certificate, and takes no call in the clear", async () => {
    await during(server, async (parley) => {
      expect(await answers(parley, trusting(ours))).to.equal(true);
      expect(await answers(parley, trusting(theirs))).to.equal(false);
      expect(await answers(parley, inTheClear)).to.equal(false);
    });
  });

  it("asks callers for a certificate where their authority is set", async () => {
    await during({ ...server, PARLEY_TLS_CLIENT_CA_FILE: clientCa }, async (parley) => {
      expect(await answers(parley, trusting(ours, "caller"))).to.equal(true);
      expect(await answers(parley, trusting(ours, "stranger"))).to.equal(false);
      expect(await answers(parley, trusting(ours))).to.equal(false);
    });
  });

  it("takes renewed files without a restart, and no call on an open connection fails", async () => {
    const env = { ...server, PARLEY_TLS_CLIENT_CA_FILE: clientCa };
    const log = await during(env, async (parley) => {
      const open = openClients(named(parley), trusting(ours, "caller"));
      await open.listApplications({});
      let running = true;
      const calls = (async () => {
        while (running) await open.listApplications({});
      })();
      // The certificate alone does not fit the old key, so the old pair stays until both are there.
      copyFileSync(path("renewed.crt"), server.PARLEY_TLS_CERT_FILE);
      expect(await answers(parley, trusting(ours, "caller"))).to.equal(true);
      use("renewed", theirs);
      await until("the renewed one is shown", () => answers(parley, trusting(theirs, "stranger")));
      expect(await answers(parley, trusting(ours, "stranger"))).to.equal(false);
      expect(await answers(parley, trusting(theirs, "caller"))).to.equal(false);
      running = false;
      await calls;
      open.close();
    });
    expect(log).to.contain('"a changed file is in use"');
  });

  it("keeps the last pair where a changed one does not fit, and the log says so", async () => {
    const kept = keepLog();
    const parley = await start(place, ["api"], server, { log: kept.log });
    try {
      copyFileSync(path("second.key"), server.PARLEY_TLS_KEY_FILE);
      await until("the log has it", () => /KEY_FILE does not fit the cert/.test(kept.text()));
      expect(await answers(parley, trusting(ours))).to.equal(true);
    } finally {
      await parley.stop();
    }
  });

  const faults: [Record<string, string>, (at: typeof server) => void, string][] = [
    [{}, ({ PARLEY_TLS_KEY_FILE: at }) => copyFileSync(path("second.key"), at), "does not fit"],
    [{}, ({ PARLEY_TLS_KEY_FILE: at }) => writeFileSync(at, "?"), "holds no private key"],
    [{}, ({ PARLEY_TLS_CERT_FILE: at }) => writeFileSync(at, "?"), "holds no certificate"],
    [{}, () => writeFileSync(clientCa, ""), "PARLEY_TLS_CLIENT_CA_FILE holds no certificate"],
    [
      {},
      () => writeFileSync(clientCa, readFileSync(clientCa, "utf8").replace(/\n.{9}/, "\n")),
      "PARLEY_TLS_CLIENT_CA_FILE holds a certificate that cannot be read, number 1",
    ],
    [{ PARLEY_TLS_CERT_FILE: "/no/file" }, () => {}, "PARLEY_TLS_CERT_FILE cannot be read: ENOENT"],
    [
      { PARLEY_TLS_KEY_FILE: "/tmp" },
      () => {},
      "PARLEY_TLS_KEY_FILE cannot be read: it is no file",
    ],
    [{ PARLEY_TLS_KEY_FILE: "" }, () => {}, "PARLEY_TLS_KEY_FILE must be set, too"],
    [{ PARLEY_TLS_CERT_FILE: "" }, () => {}, "PARLEY_TLS_CERT_FILE must be set, too"],
  ];
  for (const [env, damage, fault] of faults) {
    it(`is named at the start where it ${fault}`, async () => {
      damage(server);
      const whole = { ...server, PARLEY_TLS_CLIENT_CA_FILE: clientCa, ...env };
      const { message } = await during(whole, async () => {}).then(
        () => expect.fail("it started"),
        (error: Error) => error,
      );
      expect(message).to.contain(fault);
      expect(message.split("\n")).to.have.length(1);
    });
  }

  it("and keys are no hindrance for the commands that call the server", async function () {
    this.timeout(120_000);
    const key = makeKey();
    writeKeys(path("keys.json"), [key.entry]);
    const env = { PARLEY_TLS_CLIENT_CA_FILE: clientCa, PARLEY_KEYS_FILE: path("keys.json") };
    writeFileSync(path("lines.jsonl"), '{"chat":1,"body":"hello"}\n');
    await during({ ...server, ...env }, async (parley) => {
      const { target } = parley;
      const caller = {
        PARLEY_GRPC_ADDRESS: named(parley),
        PARLEY_CLIENT_CA_FILE: ours.certFile,
        PARLEY_CLIENT_CERT_FILE: path("caller.pem"),
      };
      const own = { PARLEY_GRPC_ADDRESS: target, ...server };
      const keyed = { ...caller, PARLEY_CLIENT_KEY: key.key };
      const load = ["import", "--file", path("lines.jsonl"), "--json"];
      const ownCaller = { ...own, PARLEY_CLIENT_CERT_FILE: path("caller.pem") };
      const health = await runCommand(["health"], caller);
      const ownHealth = await runCommand(["health"], ownCaller);
      const loaded = await runCommand(load, keyed);
      const refused = await runCommand([...load, "--state", path("another")], caller);
      expect(health).to.include({ code: 0, stderr: "" });
      expect(ownHealth).to.include({ code: 0, stderr: "" });
      expect(JSON.parse(loaded.stdout).summary).to.include({ messages: 1, bad_lines: 0 });
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.contain("authorization: must be there once");
    });
  });
});
