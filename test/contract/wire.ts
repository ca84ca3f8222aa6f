import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A wire to a server, of several the first, that a test can cut, silence, or not have at all. */
export class Wire {
  private target: { host: string; port: number };
  private readonly pairs = new Set<[Socket, Socket]>();
  private server: Server | undefined;
  private port = 0;
  private readonly url: URL;

  constructor(url: string) {
    this.url = new URL(url.split(",")[0]!);
    this.target = targetOf(this.url);
  }

  /** Leads to another server from here on, as an address that moves; ends every connection. */
  lead(url: string): void {
    this.target = targetOf(new URL(url));
    this.cut();
  }

  /** Opens the wire; on the same port as before where it was open. */
  async open(): Promise<this> {
    this.server = createServer((near) => {
      const far = connect(this.target);
      const pair: [Socket, Socket] = [near, far];
      this.pairs.add(pair);
      near.pipe(far).pipe(near);
      for (const socket of pair) {
        socket.on("error", () => {});
        socket.on("close", () => {
          this.pairs.delete(pair);
          for (const one of pair) one.destroy();
        });
      }
    });
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** The URL to the server by this wire. */
  get href(): string {
    const url = new URL(this.url);
    url.hostname = "127.0.0.1";
    url.port = String(this.port);
    return url.href;
  }

  /** Ends every connection there is; new ones can be made. */
  cut(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
  }

  /** Nothing passes any more on the connections there are, and nobody is told. */
  silence(): void {
    for (const [near, far] of this.pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  async close(): Promise<void> {
    this.server?.close();
    this.cut();
    if (this.server !== undefined) await once(this.server, "close");
    this.server = undefined;
  }
}

function targetOf(url: URL): { host: string; port: number } {
  return { host: url.hostname, port: Number(url.port) };
}
