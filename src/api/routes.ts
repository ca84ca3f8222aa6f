import type { z } from "zod";
import { ApplicationServiceService } from "../../gen/parley/v1/application.ts";
import { ChatServiceService } from "../../gen/parley/v1/chat.ts";
import { MessageServiceService } from "../../gen/parley/v1/message.ts";
import {
  createApplication,
  deleteApplication,
  getApplication,
  listApplications,
  updateApplication,
} from "../core/applications.ts";
import { batchCreateMessages } from "../core/batches.ts";
import { createChat, deleteChat, getChat, listChats } from "../core/chats.ts";
import type { Call, Core } from "../core/core.ts";
import { deleteMessage, updateMessage } from "../core/edits.ts";
import { createMessage, getMessage, listMessages } from "../core/messages.ts";
import { searchMessages } from "../core/search.ts";
import { watchMessages } from "../core/watch.ts";
import { type Access, read, write } from "./access.ts";
import { rules } from "./rules.ts";

/** One RPC: who may call it, its rules, and the function of the core that it leads to. */
export interface Route<Request, Response> {
  access: Access<Request>;
  rule: z.ZodType;
  run(core: Core, request: Request, call: Call): Promise<Response>;
}

/** One RPC that answers with a stream, until its caller's signal is aborted. */
export interface StreamRoute<Request, Response> extends Omit<Route<Request, Response>, "run"> {
  run(core: Core, request: Request, call: Call): AsyncIterable<Response>;
}

/** A route for every RPC of a generated service: a missing one does not compile. */
type Routes<Service> = {
  [Rpc in keyof Service]: Service[Rpc] extends {
    requestDeserialize(bytes: Buffer): infer Request;
    responseSerialize(value: infer Response): Buffer;
    responseStream: infer Stream;
  }
    ? Stream extends true
      ? StreamRoute<Request, Response>
      : Route<Request, Response>
    : never;
};

export const applications: Routes<typeof ApplicationServiceService> = {
  createApplication: { access: write.all, rule: rules.createApplication, run: createApplication },
  getApplication: { access: read.one, rule: rules.getApplication, run: getApplication },
  listApplications: { access: read.all, rule: rules.listApplications, run: listApplications },
  updateApplication: {
    access: write.at(({ application }) => application?.token),
    rule: rules.updateApplication,
    run: updateApplication,
  },
  deleteApplication: { access: write.one, rule: rules.deleteApplication, run: deleteApplication },
};

export const chats: Routes<typeof ChatServiceService> = {
  createChat: { access: write.one, rule: rules.createChat, run: createChat },
  getChat: { access: read.one, rule: rules.getChat, run: getChat },
  listChats: { access: read.one, rule: rules.listChats, run: listChats },
  deleteChat: { access: write.one, rule: rules.deleteChat, run: deleteChat },
};

export const messages: Routes<typeof MessageServiceService> = {
  createMessage: { access: write.one, rule: rules.createMessage, run: createMessage },
  getMessage: { access: read.one, rule: rules.getMessage, run: getMessage },
  listMessages: { access: read.one, rule: rules.listMessages, run: listMessages },
  searchMessages: { access: read.one, rule: rules.searchMessages, run: searchMessages },
  batchCreateMessages: {
    access: write.one,
    rule: rules.batchCreateMessages,
    run: batchCreateMessages,
  },
  updateMessage: { access: write.one, rule: rules.updateMessage, run: updateMessage },
  deleteMessage: { access: write.one, rule: rules.deleteMessage, run: deleteMessage },
  watchMessages: { access: read.one, rule: rules.watchMessages, run: watchMessages },
};

/** Every service that is served, with the routes of its RPCs. */
export const services = [
  {
    name: "parley.v1.ApplicationService",
    service: ApplicationServiceService,
    routes: applications,
  },
  { name: "parley.v1.ChatService", service: ChatServiceService, routes: chats },
  { name: "parley.v1.MessageService", service: MessageServiceService, routes: messages },
];
