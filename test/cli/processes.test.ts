import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { expect } from "chai";
import { runCommand, spawnCommand } from "../support/command.ts";
import { freePort } from "../support/deployment.ts";
import { productionMissing } from "../support/servers.ts";
import { freshPlace, openClients, type Place } from "../support/system.ts";

const suite = productionMissing === undefined ? describe : describe.skip;

suite("several API processes on one port", () => {
  let place: Place;
  let env: Record<string, string>;
  let target: string;

  beforeEach(async () => {
    place = await freshPlace("production");
    target = `127.0.0.1:${await freePort()}`;
    const own = { PARLEY_GRPC_ADDRESS: target, PARLEY_API_PROCESSES: "2" };
    env = { ...place.env, ...own, PARLEY_LOG_LEVEL: "info" };
  });
  afterEach(() => place?.drop());

  it("serve in turn, replace one that is killed, and stop together", async () => {
    const first = spawnCommand(env, "api");
    const exited = once(first, "exit");
    try {
      const log: Record<string, unknown>[] = [];
      let heard = () => {};
      createInterface({ input: first.stdout! }).on("line", (line) => {
        if (line.startsWith("{")) log.push(JSON.parse(line));
        heard();
      });
      const until = async (isSo: () => boolean) => {
        while (!isSo()) await new Promise<void>((resolve) => (heard = resolve));
      };
      const pidsOf = (msg: string) =>
        new Set(log.flatMap((one) => (one.msg === msg ? one.pid : [])));
      await until(() => pidsOf("started").size === 2);

      // Each client has a connection of its own, and these go to the processes in turn.
      const tokens = new Set<string>();
      const create = async () => {
        const clients = openClients(target);
        const { application } = await clients.createApplication({ application: { name: "n" } });
        tokens.add(application!.token);
        clients.close();
      };
      for (let at = 0; at < 4; at++) await create();
      await until(() => pidsOf("call").size === 2);

      const [victim] = pidsOf("started");
      process.kill(victim as number, "SIGKILL");
      await until(() => pidsOf("started").size === 3);
      for (let at = 0; at < 4; at++) await create();
      expect(tokens.size).to.equal(8);
      const told = log.filter((one) => String(one.msg).includes("another takes its place"));
      expect(told.map(({ pid, signal }) => [pid, signal])).to.deep.equal([[victim, "SIGKILL"]]);

      first.kill("SIGTERM");
      expect((await exited)[0]).to.equal(0);
      const refused = openClients(target).getApplication({ applicationToken: [...tokens][0]! });
      expect(await refused.catch((error: Error) => error.message)).to.include("UNAVAILABLE");
    } finally {
      first.kill("SIGTERM");
    }
  });

  it("end where one of their two ports is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const first = spawnCommand({ ...env, PARLEY_HTTP_ADDRESS: `127.0.0.1:${port}` }, "api");
    try {
      const [code] = await once(first, "exit", { signal: AbortSignal.timeout(20_000) });
      expect(code).to.equal(1);
    } finally {
      first.kill("SIGKILL");
      other.close();
    }
  });

  it("let calls end where a signal is told twice, as by a terminal and a parent", async () => {
    const first = spawnCommand(env, "api");
    const exited = once(first, "exit");
    try {
      for await (const line of createInterface({ input: first.stdout! })) {
        if (line.includes('"msg":"started"')) break;
      }
      first.kill("SIGINT");
      first.kill("SIGTERM");
      await new Promise((resolve) => setTimeout(resolve, 20));
      first.kill("SIGINT");
      expect(await exited).to.deep.equal([0, null]);
    } finally {
      first.kill("SIGKILL");
    }
  });

  it("end at once where they cannot listen, or have what only one can have", async () => {
    const { port } = new URL(`http://${target}`);
    const other = spawnCommand({ ...env, PARLEY_API_PROCESSES: "1" }, "api");
    for await (const line of createInterface({ input: other.stdout! })) {
      if (line.includes('"msg":"started"')) break;
    }
    const taken = await runCommand(env, "api");
    other.kill("SIGTERM");
    await once(other, "exit");
    expect(taken.code).to.equal(1);
    expect(taken.stderr).to.include(port).and.to.include("EADDRINUSE");
    const metrics = { PARLEY_METRICS_ADDRESS: "127.0.0.1:0" };
    const refused = await runCommand({ ...env, ...metrics }, "api");
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.include("PARLEY_METRICS_ADDRESS must be empty");
  });
});
