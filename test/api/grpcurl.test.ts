import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { describeStacks, freshPlace, type Place, type Running, start } from "../support/system.ts";
import { findGrpcurl, normalised, readTour, runTour } from "../support/tour.ts";

const run = promisify(execFile);
const image = fileURLToPath(new URL("../../gen/image.binpb", import.meta.url));
const SERVICES = [
  "grpc.health.v1.Health",
  "parley.v1.ApplicationService",
  "parley.v1.ChatService",
  "parley.v1.MessageService",
];

describeStacks("grpcurl", (stack) => {
  let place: Place;
  let parley: Running;
  let grpcurl: string;

  before(async function () {
    this.timeout(300_000);
    const found = await findGrpcurl();
    // `npm run grpcurl` builds it; where everything is required it is built here.
    if (found === undefined) return this.skip();
    grpcurl = found;
    place = await freshPlace(stack);
    parley = await start(place);
  });
  after(async () => {
    await parley?.stop();
    await place?.drop();
  });

  const call = async (...args: string[]) =>
    (await run(grpcurl, ["-plaintext", ...args])).stdout.trimEnd();
  const failing = async (...args: string[]) =>
    call(...args).then(
      () => expect.fail("the call succeeded"),
      (error: { stderr: string }) => error.stderr,
    );

  it("lists and describes every service by reflection, with the comments' types", async () => {
    const listed = (await call(parley.target, "list")).split("\n");
    expect(listed.filter((name) => !name.startsWith("grpc.reflection"))).to.deep.equal(SERVICES);
    for (const service of SERVICES) {
      expect(await call(parley.target, "describe", service)).to.contain(
        `service ${service.split(".").pop()}`,
      );
    }
    const described = await call(parley.target, "describe", "parley.v1.Message");
    expect(described).to.contain(".google.protobuf.Timestamp create_time = 6");
  });

  it("asks for health, of the server and of each service", async () => {
    for (const service of ["", ...SERVICES.slice(1)]) {
      const answer = await call(
        "-d",
        JSON.stringify({ service }),
        parley.target,
        `${SERVICES[0]}/Check`,
      );
      expect(JSON.parse(answer)).to.deep.equal({ status: "SERVING" });
    }
  });

  it("shows the fields of a BadRequest in the clear", async () => {
    const said = await failing(
      ...["-d", '{"application":{"name":""}}', parley.target],
      "parley.v1.ApplicationService/CreateApplication",
    );
    expect(said).to.contain("InvalidArgument");
    expect(said).to.contain('"field": "application.name"');
    expect(said).to.contain('"description": "must be 1 to 255 characters without NUL"');
    expect(said).to.contain('"reason": "FIELD_INVALID"');
  });

  it("works from the image alone, without reflection", async () => {
    const token = randomUUID();
    const said = await failing(
      ...["-protoset", image, "-d", JSON.stringify({ application_token: token }), parley.target],
      "parley.v1.ApplicationService/GetApplication",
    );
    expect(said).to.contain("NotFound");
    expect(said).to.contain('"reason": "APPLICATION_NOT_FOUND"');
  });

  it("takes the README's tour and sees what the README shows", async () => {
    const stops = readTour().filter(
      (stop) => stack === "production" || !stop.command.startsWith("redis-cli"),
    );
    const { target: address, place } = parley;
    const redisUrl = place.env.PARLEY_REDIS_URL;
    const results = await runTour(stops, { grpcurl, address, redisUrl });
    stops.forEach((stop, at) => {
      expect(normalised(results[at]!.output), stop.command).to.equal(normalised(stop.shown));
    });
  });
});
