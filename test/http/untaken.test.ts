import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { expect } from "chai";
import { Untaken } from "../../src/http/untaken.ts";
import { until } from "../support/door.ts";

const BODY = "x".repeat(16 * 1024 * 1024);

describe("answers that nobody takes", () => {
  /** Callers that read nothing, one after the other; says which of them were cut. */
  async function during(
    bounds: { answerMs: number; heldBytesMax: number },
    use: (ask: () => Promise<{ closed: Promise<unknown> }>) => Promise<void>,
  ): Promise<void> {
    const untaken = new Untaken(bounds);
    const sockets: Socket[] = [];
    const server = createServer((_, response) => {
      untaken.add(response, BODY);
      response.end(BODY);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const ask = async () => {
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
      socket.on("error", () => {});
      sockets.push(socket);
      socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
      const [, response] = await once(server, "request");
      return { closed: once(response, "close") };
    };
    try {
      await use(ask);
    } finally {
      for (const one of sockets) one.destroy();
      server.close();
      await once(server, "close");
    }
  }

  it("are given up in bounded time", async () => {
    await during({ answerMs: 100, heldBytesMax: Number.POSITIVE_INFINITY }, async (ask) => {
      const { closed } = await ask();
      await closed;
    });
  });

  it("do not hold more than their bound: the oldest is given up", async () => {
    await during({ answerMs: 60_000, heldBytesMax: 2.5 * BODY.length }, async (ask) => {
      const ends: string[] = [];
      for (const name of ["first", "second", "third"]) {
        const { closed } = await ask();
        void closed.then(() => ends.push(name));
        if (name === "third") await until("one is given up", () => ends.length > 0);
      }
      expect(ends).to.deep.equal(["first"]);
    });
  });
});
