import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  ApplicationServiceClient,
  BatchCreateMessagesRequest,
  ChatServiceClient,
  CreateApplicationRequest,
  CreateChatRequest,
  CreateMessageRequest,
  DeleteApplicationRequest,
  DeleteChatRequest,
  DeleteMessageRequest,
  GetApplicationRequest,
  GetChatRequest,
  GetMessageRequest,
  ListApplicationsRequest,
  ListChatsRequest,
  ListMessagesRequest,
  MessageServiceClient,
  SearchMessagesRequest,
  UpdateApplicationRequest,
  UpdateMessageRequest,
  WatchMessagesRequest,
} from "../../clients/typescript/src/contract.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details.ts";
import { Status } from "../../gen/google/rpc/status.ts";
import { type Config, toConfig } from "../../src/config.ts";
import type { Connection } from "../../src/connect.ts";
import { type Logger, openLog } from "../../src/log.ts";
import { migrateStack } from "../../src/stacks/open.ts";
import { openSystem, type Part, type System, type WatchOptions } from "../../src/system.ts";
import { freshDataDir, freshServers, type OwnServers, productionMissing } from "./servers.ts";
import { watching } from "./watching.ts";

export type StackName = "embedded" | "production";

/** Settings for a place of its own on a stack, and the way to take it away again. */
export interface Place {
  stack: StackName;
  env: Record<string, string>;
  drop(): Promise<void>;
}

const QUIET = { PARLEY_LOG_LEVEL: process.env.PARLEY_TEST_LOG_LEVEL ?? "silent" };

export async function freshPlace(stack: StackName, own?: OwnServers): Promise<Place> {
  const common = { ...QUIET, PARLEY_STACK: stack, PARLEY_GRPC_ADDRESS: "127.0.0.1:0" };
  if (stack === "embedded") {
    const { dataDir, drop } = freshDataDir();
    return { stack, env: { ...common, PARLEY_DATA_DIR: dataDir }, drop };
  }
  const servers = await freshServers(own);
  const env = {
    ...common,
    PARLEY_MYSQL_URL: servers.mysqlUrl,
    PARLEY_REDIS_URL: servers.redisUrl,
    PARLEY_ELASTICSEARCH_URL: servers.elasticsearchUrls,
    PARLEY_ELASTICSEARCH_INDEX: servers.elasticsearchIndex,
  };
  await migrateStack(toConfig(env));
  return { stack, env, drop: servers.drop };
}

/** A running system and clients to it. */
export interface Running {
  place: Place;
  config: Config;
  system: System;
  target: string;
  clients: Clients;
  /** Stops the system and leaves its data where it is. */
  stop(): Promise<void>;
}

export const testLog: Logger = openLog({ level: QUIET.PARLEY_LOG_LEVEL, process: "test" }).log;

/** Starts parts of Parley in this process, as main.ts does, on a free port. */
export async function start(
  place: Place,
  which: Part[] = ["api", "worker"],
  env: Record<string, string> = {},
  {
    log = testLog,
    connection,
    watch,
  }: { log?: Logger; connection?: Connection; watch?: WatchOptions } = {},
): Promise<Running> {
  const config = toConfig({ ...place.env, ...env });
  const system = await openSystem(config, which, log, watch === undefined ? {} : { watch });
  const started: typeof system.processes = [];
  const stopAll = async () => {
    for (const one of started.reverse()) await one.stop();
    await system.stack.stop();
  };
  for (const one of system.processes) {
    started.push(one);
    await one.start().catch(async (error) => {
      await stopAll();
      throw error;
    });
  }
  const target = `127.0.0.1:${system.api?.port ?? 0}`;
  const clients = openClients(target, connection);
  const stop = async () => {
    clients.close();
    await stopAll();
  };
  return { place, config, system, target, clients, stop };
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** The generated clients with promises. */
export type Clients = ReturnType<typeof openClients>;

/** They look for a server that went away more often than clients do by themselves. */
const PROMPT = { "grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 200 };

/** In the clear and without a key, unless told otherwise. */
export function openClients(target: string, connection?: Connection) {
  const channel = connection?.credentials ?? credentials.createInsecure();
  const options = { ...PROMPT, ...connection?.options };
  const applications = new ApplicationServiceClient(target, channel, options);
  const chats = new ChatServiceClient(target, channel, options);
  const messages = new MessageServiceClient(target, channel, options);
  return {
    createApplication: promised(
      applications,
      applications.createApplication,
      CreateApplicationRequest,
    ),
    getApplication: promised(applications, applications.getApplication, GetApplicationRequest),
    listApplications: promised(
      applications,
      applications.listApplications,
      ListApplicationsRequest,
    ),
    updateApplication: promised(
      applications,
      applications.updateApplication,
      UpdateApplicationRequest,
    ),
    deleteApplication: promised(
      applications,
      applications.deleteApplication,
      DeleteApplicationRequest,
    ),
    createChat: promised(chats, chats.createChat, CreateChatRequest),
    getChat: promised(chats, chats.getChat, GetChatRequest),
    listChats: promised(chats, chats.listChats, ListChatsRequest),
    deleteChat: promised(chats, chats.deleteChat, DeleteChatRequest),
    batchCreateMessages: promised(
      messages,
      messages.batchCreateMessages,
      BatchCreateMessagesRequest,
    ),
    createMessage: promised(messages, messages.createMessage, CreateMessageRequest),
    getMessage: promised(messages, messages.getMessage, GetMessageRequest),
    listMessages: promised(messages, messages.listMessages, ListMessagesRequest),
    searchMessages: promised(messages, messages.searchMessages, SearchMessagesRequest),
    updateMessage: promised(messages, messages.updateMessage, UpdateMessageRequest),
    deleteMessage: promised(messages, messages.deleteMessage, DeleteMessageRequest),
    watchMessages: (request: Partial<WatchMessagesRequest>, options: { deadline?: number } = {}) =>
      watching(messages.watchMessages(WatchMessagesRequest.fromPartial(request), options), request),
    close: () => {
      for (const client of [applications, chats, messages]) client.close();
    },
  };
}

/** A generated type, which fills in the fields that are left out. */
interface RequestType<Request, Partial> {
  fromPartial(partial: Partial): Request;
}

function promised<Request, Response, Partial>(
  client: unknown,
  method: Unary<Request, Response>,
  type: RequestType<Request, Partial>,
): (request: Partial, options?: { timeoutMs?: number }) => Promise<Response> {
  return (request, { timeoutMs = 10_000 } = {}) =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      const full = type.fromPartial(request);
      method.call(client, full, new Metadata(), options, (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
}

/** What an error says in its details, decoded. */
export interface Refusal {
  code: number;
  message: string;
  reason: string | undefined;
  violations: Record<string, string>;
  retryMs: number | undefined;
}

/** The refusal of a call that must fail; fails itself where the call succeeds. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => {
      throw new Error("the call succeeded, though it must not");
    },
    (reason: unknown) => reason,
  );
  return refusalIn(error);
}

/** What an error of a generated client says, its details decoded; throws any other error. */
export function refusalIn(reason: unknown): Refusal {
  const error = reason as ServiceError;
  if (typeof error.code !== "number") throw reason;
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const refusal: Refusal = {
    code: error.code,
    message: error.details,
    reason: undefined,
    violations: {},
    retryMs: undefined,
  };
  if (bytes === undefined) return refusal;
  for (const { typeUrl, value } of Status.decode(bytes as Buffer).details) {
    if (typeUrl.endsWith(".ErrorInfo")) refusal.reason = ErrorInfo.decode(value).reason;
    if (typeUrl.endsWith(".BadRequest")) {
      for (const one of BadRequest.decode(value).fieldViolations) {
        refusal.violations[one.field] = one.description;
      }
    }
    if (typeUrl.endsWith(".RetryInfo")) {
      const delay = RetryInfo.decode(value).retryDelay;
      refusal.retryMs = (delay?.seconds ?? 0) * 1_000 + (delay?.nanos ?? 0) / 1_000_000;
    }
  }
  return refusal;
}

/**
 * A system of its own for the tests of the suite that calls this, started before and taken away
 * after them. What it returns is filled in by then.
 */
export function useSystem(
  stack: StackName,
  which?: Part[],
  options?: { watch: WatchOptions },
): Running {
  const parley = {} as Running;
  let place: Place | undefined;
  before(async () => {
    place = await freshPlace(stack);
    Object.assign(parley, await start(place, which, {}, options));
  });
  after(async () => {
    await parley.stop?.();
    await place?.drop();
  });
  return parley;
}

/**
 * Describes the same behaviours for each stack. Where the production stack's servers are not up,
 * its behaviours are shown as pending, and test/support/skipped.ts says so loudly at the end.
 */
export function describeStacks(title: string, behaviours: (stack: StackName) => void): void {
  describe(`${title} (embedded)`, () => behaviours("embedded"));
  const production = productionMissing === undefined ? describe : describe.skip;
  production(`${title} (production)`, () => behaviours("production"));
}
