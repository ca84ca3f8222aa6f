import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { expect } from "chai";
import { HealthCheckRequest, HealthClient } from "../../gen/grpc/health/v1/health.ts";
import { services } from "../../src/api/routes.ts";
import { freshFolder, makeAuthority, makeKey, withKey, writeKeys } from "../support/door.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";
import { findGrpcurl } from "../support/tour.ts";

const run = promisify(execFile);
const LIST = "parley.v1.ApplicationService/ListApplications";

describe("the door, with grpcurl", () => {
  const folder = freshFolder();
  const { path } = folder;
  const key = makeKey();
  let grpcurl: string;
  let place: Place;
  let parley: Running | undefined;

  before(async function () {
    this.timeout(300_000);
    const found = await findGrpcurl();
    if (found === undefined) return this.skip();
    grpcurl = found;
    place = await freshPlace("embedded");
    writeKeys(path("keys.json"), [key.entry]);
  });
  afterEach(async () => {
    await parley?.stop();
    parley = undefined;
  });
  after(async () => {
    await place?.drop();
    folder.drop();
  });

  const call = async (...args: string[]): Promise<string> =>
    run(grpcurl, args).then(
      ({ stdout }) => stdout.trimEnd(),
      (error: { stderr: string }) => error.stderr,
    );
  const bearer = ["-H", `authorization: Bearer ${key.key}`];

  it("asks for a key, but not for health and reflection", async () => {
    const env = { PARLEY_KEYS_FILE: path("keys.json") };
    parley = await start(place, ["api"], env, { connection: withKey(key.key) });
    const { target } = parley;
    expect(await call("-plaintext", target, "list")).to.contain("parley.v1.ChatService");
    const health = await call("-plaintext", target, "grpc.health.v1.Health/Check");
    expect(JSON.parse(health)).to.deep.equal({ status: "SERVING" });
    const refused = await call("-plaintext", target, LIST);
    expect(refused).to.contain("Code: Unauthenticated");
    expect(refused).to.contain('"reason": "KEY_INVALID"');
    expect(JSON.parse(await call("-plaintext", ...bearer, target, LIST))).to.deep.equal({});
  });

  it("takes certificates both ways, and a key on top of them", async () => {
    const authority = await makeAuthority(path, "ca");
    const server = await authority.issue("server");
    const caller = await authority.issue("caller");
    const env = {
      PARLEY_KEYS_FILE: path("keys.json"),
      PARLEY_TLS_CERT_FILE: server.certFile,
      PARLEY_TLS_KEY_FILE: server.keyFile,
      PARLEY_TLS_CLIENT_CA_FILE: authority.certFile,
    };
    parley = await start(place, ["api"], env);
    const { target } = parley;
    const tls = ["-cacert", authority.certFile];
    const mutual = [...tls, "-cert", caller.certFile, "-key", caller.keyFile];
    expect(JSON.parse(await call(...mutual, ...bearer, target, LIST))).to.deep.equal({});
    expect(await call(...mutual, target, LIST)).to.contain("KEY_INVALID");
    const briefly = ["-connect-timeout", "1"];
    for (const outside of [
      [...tls, ...bearer],
      ["-plaintext", ...bearer],
    ]) {
      expect(await call(...briefly, ...outside, target, LIST)).to.contain("Failed to dial");
    }
  });

  it("has no health and no reflection where they are switched off", async () => {
    parley = await start(place, ["api"], { PARLEY_HEALTH: "false", PARLEY_REFLECTION: "false" });
    const { target } = parley;
    const listed = await call("-plaintext", target, "list");
    expect(listed).to.contain("server does not support the reflection API");
    await parley.clients.listApplications({});
    const client = new HealthClient(target, credentials.createInsecure());
    const code = await new Promise((resolve) => {
      client.check(HealthCheckRequest.fromPartial({}), new Metadata(), (error) =>
        resolve(error?.code),
      );
    });
    client.close();
    expect(code).to.equal(status.UNIMPLEMENTED);
  });

  it("has reflection without health, which it then does not list", async () => {
    parley = await start(place, ["api"], { PARLEY_HEALTH: "false" });
    const listed = await call("-plaintext", parley.target, "list");
    expect(
      listed.split("\n").filter((name) => !name.startsWith("grpc.reflection")),
    ).to.have.members(services.map((one) => one.name));
  });
});
