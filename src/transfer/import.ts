import { stat } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import {
  CreateApplicationRequest,
  GetApplicationRequest,
} from "../../gen/parley/v1/application.ts";
import { Calls, type Target, uuidFrom } from "./calls.ts";
import { Sender } from "./sender.ts";
import { ImportState, type Place } from "./state.ts";
import { readWindows, type Window } from "./window.ts";

/** Chats whose messages are sent at the same time. */
const CHATS_IN_WORK_MAX = 16;

export interface ImportOptions extends Target {
  file: string;
  /** Where an unfinished import keeps what it has done. */
  statePath?: string | undefined;
  /** The application to fill; without one, a new application is created. */
  applicationToken?: string | undefined;
  applicationName: string;
  /** Hears of each line that is skipped. */
  badLine(line: number, why: string): void;
  progress?(now: { done: number; total: number; count: number }): void;
}

export interface ImportResult {
  applicationToken: string;
  chats: number;
  messages: number;
  badLines: number;
}

/** Where the state of an import is kept unless told otherwise. */
export function statePathOf(file: string): string {
  return `${file}.parley-import`;
}

/**
 * Loads JSON lines through the API. Chats are numbered in the order in which they first appear, the
 * messages of one chat in the order of their lines; different chats go side by side. A line that
 * cannot be read or is refused is reported and skipped. An import that was killed goes on where it
 * was when it is started again; one that `signal` ended throws its reason.
 */
export async function importFile(options: ImportOptions): Promise<ImportResult> {
  const found = await stat(options.file);
  if (found.isDirectory()) throw new Error(`${options.file}: is a directory`);
  const { size } = found;
  const state = await ImportState.open(
    options.statePath ?? statePathOf(options.file),
    options.file,
  );
  const calls = new Calls(options);
  try {
    const applicationToken = await applicationOf(options, state, calls);
    const result = await new Run(options, { state, calls, applicationToken, size }).all();
    await state.remove();
    return result;
  } catch (error) {
    // Nothing is begun before the application is known, and a refused one is none to go on with.
    if (state.applicationToken === undefined && isRefusal(error)) await state.remove();
    else state.close();
    throw error;
  } finally {
    calls.close();
  }
}

/** What the server says no to, and will again: not that it was away, or ended by a signal. */
function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === status.INVALID_ARGUMENT || code === status.NOT_FOUND;
}

/** The application that this import fills, which an interrupted run may have made already. */
async function applicationOf(
  { applicationToken: asked, applicationName: name }: ImportOptions,
  state: ImportState,
  calls: Calls,
): Promise<string> {
  const begun = state.applicationToken;
  if (begun !== undefined && asked !== undefined && begun !== asked) {
    throw new Error(`the unfinished import of this file fills application ${begun}`);
  }
  if (begun !== undefined) return begun;
  const { applications } = calls;
  if (asked !== undefined) {
    // Looked for first, so that a slip in the token is not what an unfinished import goes on with.
    const about = GetApplicationRequest.fromPartial({ applicationToken: asked });
    await calls.call(applications, applications.getApplication, about);
    state.setApplication(asked, { own: false });
    return asked;
  }
  const requestId = uuidFrom(state.importId, "application");
  const request = CreateApplicationRequest.fromPartial({ application: { name }, requestId });
  const answer = await calls.call(applications, applications.createApplication, request);
  state.setApplication(answer.application!.token, { own: true });
  return answer.application!.token;
}

interface Parts {
  state: ImportState;
  calls: Calls;
  applicationToken: string;
  size: number;
}

/** One run over a file: window after window, each done before the next one begins. */
class Run {
  private readonly options: ImportOptions;
  private readonly parts: Parts;
  private readonly sender: Sender;
  /** What is done: the ended windows, and what the one in work has come to. */
  private readonly now: Place;

  constructor(options: ImportOptions, parts: Parts) {
    this.options = options;
    this.parts = parts;
    this.now = parts.state.place;
    this.sender = new Sender(parts, {
      bad: (line, why) => this.bad(line, why),
      done: (bytes, messages) => this.done(bytes, messages),
    });
  }

  async all(): Promise<ImportResult> {
    const { state, applicationToken } = this.parts;
    const bad = (line: number, why: string) => this.bad(line, why);
    const from = state.place;
    this.done(0, 0);
    for await (const window of readWindows(this.options.file, from, state, bad)) {
      this.done(window.idleBytes, 0);
      const ends = await this.send(window);
      const { messages, badLines } = this.now;
      const { offset, line } = window;
      Object.assign(this.now, { offset, line });
      state.advance({ offset, line, messages, badLines }, ends);
      this.sender.resumes = false;
    }
    const { messages, badLines } = this.now;
    return { applicationToken, chats: state.chats.count, messages, badLines };
  }

  /**
   * Sends a window and returns where its chats end. Chats are created one after the other, which
   * gives them their order; their messages go side by side.
   */
  private async send({ chats }: Window): Promise<Map<string, number>> {
    const ends = new Map<string, number>();
    const inWork = new Set<Promise<void>>();
    try {
      for (const plan of chats) {
        const chat = await this.sender.openChat(plan);
        if (chat === undefined) continue;
        const work = this.sender.sendMessages(chat, plan).then((last) => {
          ends.set(plan.name, last);
          inWork.delete(work);
        });
        inWork.add(work);
        work.catch(() => {});
        if (inWork.size >= CHATS_IN_WORK_MAX) await Promise.race(inWork);
      }
      await Promise.all(inWork);
    } finally {
      // Also after a failure nothing is left in work when the state is closed.
      await Promise.allSettled(inWork);
    }
    return ends;
  }

  private done(bytes: number, messages: number): void {
    this.now.offset += bytes;
    this.now.messages += messages;
    const { offset: done, messages: count } = this.now;
    this.options.progress?.({ done, total: this.parts.size, count });
  }

  private bad(line: number, why: string): void {
    this.now.badLines++;
    this.options.badLine(line, why);
  }
}
