import { credentials, Metadata, status } from "@grpc/grpc-js";
import { expect } from "chai";
import {
  ApplicationServiceClient,
  CreateApplicationRequest,
} from "../../clients/typescript/src/contract.ts";
import { freshPlace, type Place, type Running, start } from "../support/system.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe("every call", () => {
  let place: Place;
  let parley: Running;
  let client: ApplicationServiceClient;

  before(async () => {
    place = await freshPlace("embedded");
    parley = await start(place);
    client = new ApplicationServiceClient(parley.target, credentials.createInsecure());
  });
  after(async () => {
    client?.close();
    await parley?.stop();
    await place?.drop();
  });

  /** The call id of the trailer, whether the call succeeds or not. */
  function callIdOf(name: string): Promise<string> {
    const request = CreateApplicationRequest.fromPartial({ application: { name } });
    return new Promise((resolve) => {
      const call = client.createApplication(request, new Metadata(), () => {});
      call.on("status", (end) => resolve(String(end.metadata.get("parley-call-id")[0])));
    });
  }

  it("has a call id of its own in its trailer", async () => {
    const ids = [await callIdOf("good"), await callIdOf(""), await callIdOf("good")];
    for (const id of ids) expect(id).to.match(UUID);
    expect(new Set(ids).size).to.equal(3);
  });

  it("may have next to no time, and leaves the server as it was", async () => {
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    const applicationToken = application!.token;
    await parley.clients.createChat({ applicationToken });
    const hurried = Array.from({ length: 200 }, (_, at) =>
      parley.clients
        .createMessage(
          { applicationToken, chatNumber: 1, message: { body: `${at}` } },
          { timeoutMs: at % 4 },
        )
        .catch((error: { code: number }) => error.code),
    );
    for (const answer of await Promise.all(hurried)) {
      if (typeof answer === "number") expect(answer).to.equal(status.DEADLINE_EXCEEDED);
    }
    // Whatever was begun is whole: the numbers are dense, and the next call is served.
    const { message } = await parley.clients.createMessage({
      applicationToken,
      chatNumber: 1,
      message: { body: "calm" },
    });
    const key = { applicationToken, chatNumber: 1, pageSize: 1_000 };
    const { messages } = await parley.clients.listMessages(key);
    expect(messages.map((one) => one.number)).to.deep.equal(
      Array.from({ length: message!.number }, (_, at) => at + 1),
    );
  });
});
