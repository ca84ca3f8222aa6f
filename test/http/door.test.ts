import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, type RequestOptions, request } from "node:https";
import { connect } from "node:net";
import { expect } from "chai";
import { freshFolder, keepLog, makeAuthority, makeKey, until, writeKeys } from "../support/door.ts";
import { HTTP, httpOf } from "../support/http.ts";
import {
  freshPlace,
  openClients,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describe("the door of HTTP", () => {
  const folder = freshFolder();
  const { path } = folder;
  let place: Place;
  let parley: Running | undefined;

  before(async () => {
    place = await freshPlace("embedded");
  });
  afterEach(async () => {
    await parley?.stop();
    parley = undefined;
  });
  after(async () => {
    await place?.drop();
    folder.drop();
  });

  const open = async (env: Record<string, string>, which: ("api" | "worker")[] = ["api"]) => {
    parley = await start(place, which, { ...HTTP, ...env });
    return parley;
  };

  it("is shut unless an address is set", async () => {
    parley = await start(place, ["api"]);
    expect(parley.system.http).to.equal(undefined);
  });

  it("asks for the keys that gRPC asks for, and says the same of them", async () => {
    const keysFile = path("keys.json");
    const whole = makeKey();
    writeKeys(keysFile, [whole.entry]);
    const running = await open({ PARLEY_KEYS_FILE: keysFile });
    const bare = httpOf(running);
    const bearer = (key: string) => httpOf(running, { authorization: `Bearer ${key}` });
    const body = { application: { name: "shop" } };
    const made = await bearer(whole.key)("POST", "/applications", { body });
    expect(made.status).to.equal(201);
    const { token } = made.json.application;

    const bound = makeKey({ applications: [token], readOnly: true });
    writeKeys(keysFile, [whole.entry, bound.entry]);
    const show = () => bearer(bound.key)("GET", `/applications/${token}`);
    await until("the new key is known", async () => (await show()).status === 200);

    for (const call of [bare, bearer("parley_aaaa_x"), bearer(makeKey().key)]) {
      for (const path of ["/applications", "/applications/7?x=1", `/messages/${token}/1`]) {
        const { status, headers, json } = await call("GET", path);
        expect(status).to.equal(401);
        expect(headers.get("www-authenticate")).to.equal('Bearer realm="parley"');
        expect(json.error).to.include({ code: "UNAUTHENTICATED", reason: "KEY_INVALID" });
      }
    }
    const other = "00000000-0000-4000-8000-000000000000";
    const refused = [
      bearer(bound.key)("GET", "/applications"),
      bearer(bound.key)("GET", `/applications/${other}`),
      bearer(bound.key)("POST", `/applications/${token}/chats`),
      bearer(bound.key)("PATCH", `/applications/${token}`, { body: "{" }),
    ];
    for (const answer of await Promise.all(refused)) {
      expect(answer.status).to.equal(403);
      expect(answer.json.error).to.deep.include({ reason: "SCOPE_MISSING", violations: [] });
    }
    for (const free of ["/healthz", "/openapi.json"]) {
      expect((await bare("GET", free)).status).to.equal(200);
    }
  });

  it("shares its bound of calls with gRPC, and says when to come back", async () => {
    const running = await open({ PARLEY_RATE_LIMIT: "1", PARLEY_RATE_BURST: "2" });
    const call = httpOf(running);
    const made = await call("POST", "/applications", { body: { application: { name: "busy" } } });
    const applicationToken: string = made.json.application.token;
    expect((await call("GET", `/applications/${applicationToken}`)).status).to.equal(200);
    await running.clients.getApplication({ applicationToken });
    const { status, headers, json } = await call("GET", `/applications/${applicationToken}/chats`);
    expect(status).to.equal(429);
    expect(headers.get("retry-after")).to.equal("1");
    expect(json.error).to.include({ code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
    expect(json.error.retry_after_ms).to.be.within(1, 1_000);
    const clients = openClients(running.target);
    const refusal = await refusalOf(clients.getApplication({ applicationToken }));
    clients.close();
    expect(refusal.reason).to.equal("RATE_LIMITED");
  });

  it("logs a call as gRPC does, without what it says", async () => {
    const kept = keepLog();
    parley = await start(place, ["api"], HTTP, { log: kept.log });
    const body = { application: { name: "a name that is nobody's" } };
    const { headers } = await httpOf(parley)("POST", "/applications", { body });
    const line = kept
      .text()
      .split("\n")
      .find((one) => one.includes(headers.get("parley-call-id")!));
    expect(JSON.parse(line!)).to.include({
      call: "parley.v1.ApplicationService/CreateApplication",
      code: "OK",
    });
    expect(kept.text()).not.to.contain("nobody's");
  });

  it("lets calls in work end within the grace time, and cuts what is left", async () => {
    const running = await open({ PARLEY_STOP_GRACE_MS: "300" });
    const call = httpOf(running);
    const made = await call("POST", "/applications", { body: { application: { name: "slow" } } });
    const chats = `/applications/${made.json.application.token}/chats`;
    // No worker runs, so this waits until shortly before its deadline.
    const waiting = call("POST", `${chats}?wait_for=STATE_PERSISTED`).catch(() => "cut");
    const applicationToken: string = made.json.application.token;
    await until("the chat is accepted", async () => {
      const { chats: found } = await running.clients.listChats({ applicationToken });
      return found.length === 1;
    });
    const { port } = running.system.http!;
    await running.stop();
    parley = undefined;
    expect(await waiting).to.equal("cut");
    const refused = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => "refused");
    expect(refused).to.equal("refused");
  });

  it("does not wait for a connection that has asked for nothing when it stops", async () => {
    const running = await open({});
    const { port } = running.system.http!;
    const silent = connect(port, "127.0.0.1");
    await once(silent, "connect");
    // Answered on a connection that came after it, so it is known by now.
    await fetch(`http://127.0.0.1:${port}/healthz`);
    const ended = once(silent, "close");
    const beganMs = performance.now();
    await running.stop();
    parley = undefined;
    await ended;
    // Its grace time is 10 s.
    expect(performance.now() - beganMs).to.be.below(5_000);
  });

  describe("with TLS", () => {
    let ca: Awaited<ReturnType<typeof makeAuthority>>;
    let tls: Record<string, string>;

    before(async () => {
      ca = await makeAuthority(path, "ours");
      const server = await ca.issue("server");
      tls = { PARLEY_TLS_CERT_FILE: server.certFile, PARLEY_TLS_KEY_FILE: server.keyFile };
    });

    /** The status of /healthz and the name on the server's certificate; the error's code else. */
    async function ask(running: Running, options: RequestOptions = {}): Promise<string> {
      const { port } = running.system.http!;
      const agent = new Agent();
      const place = { host: "localhost", family: 4, port, path: "/healthz", agent };
      const call = request({ ...place, ca: readFileSync(ca.certFile), ...options }).end();
      try {
        const [answer] = await once(call, "response");
        const { subject } = answer.socket.getPeerCertificate();
        answer.resume();
        return `${answer.statusCode} ${subject.CN}`;
      } catch {
        return "refused";
      } finally {
        agent.destroy();
      }
    }

    it("speaks HTTPS alone, with the certificate that the files have now", async () => {
      const running = await open(tls);
      expect(await ask(running)).to.equal("200 server");
      expect(await ask(running, { ca: [] })).to.equal("refused");
      const clear = await httpOf(running)("GET", "/healthz").catch(() => "refused");
      expect(clear).to.equal("refused");

      const next = await ca.issue("renewed");
      writeFileSync(tls.PARLEY_TLS_KEY_FILE!, readFileSync(next.keyFile));
      writeFileSync(tls.PARLEY_TLS_CERT_FILE!, readFileSync(next.certFile));
      await until("it is shown", async () => (await ask(running)) === "200 renewed");
    });

    it("asks callers for a certificate where their authority is set", async () => {
      const authority = await makeAuthority(path, "callers");
      const ours = await authority.issue("caller");
      const theirs = await ca.issue("stranger");
      const running = await open({ ...tls, PARLEY_TLS_CLIENT_CA_FILE: authority.certFile });
      const as = (one: { certFile: string; keyFile: string }) =>
        ask(running, { cert: readFileSync(one.certFile), key: readFileSync(one.keyFile) });
      expect(await as(ours)).to.match(/^200 /);
      expect(await as(theirs)).to.equal("refused");
      expect(await ask(running)).to.equal("refused");
    });
  });
});
