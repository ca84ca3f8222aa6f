import { Applications } from "./applications.ts";
import { Calls, type ClientOptions } from "./calls.ts";
import { Chats } from "./chats.ts";
import { Messages } from "./messages.ts";

/** All of Parley's calls. One client is enough for a process; it keeps its connections. */
export class ParleyClient {
  readonly applications: Applications;
  readonly chats: Chats;
  readonly messages: Messages;
  private readonly calls: Calls;

  constructor(options: ClientOptions) {
    this.calls = new Calls(options);
    this.applications = new Applications(this.calls);
    this.chats = new Chats(this.calls);
    this.messages = new Messages(this.calls);
  }

  /** Ends the connections; calls and streams in work reject. */
  close(): void {
    this.calls.close();
  }
}
