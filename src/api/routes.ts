import type { z } from "zod";
import { ApplicationServiceService } from "../../gen/parley/v1/application.ts";
import { ChatServiceService } from "../../gen/parley/v1/chat.ts";
import { MessageServiceService } from "../../gen/parley/v1/message.ts";
import {
  createApplication,
  getApplication,
  listApplications,
  updateApplication,
} from "../core/applications.ts";
import { createChat, getChat, listChats } from "../core/chats.ts";
import type { Call, Core } from "../core/core.ts";
import { createMessage, getMessage, listMessages } from "../core/messages.ts";
import { searchMessages } from "../core/search.ts";
import { rules } from "./rules.ts";

/** One RPC with its rules and the function of the core that it leads to. */
export interface Route<Request, Response> {
  rule: z.ZodType;
  run(core: Core, request: Request, call: Call): Promise<Response>;
}

/** A route for every RPC of a generated service: a missing one does not compile. */
type Routes<Service> = {
  [Rpc in keyof Service]: Service[Rpc] extends {
    requestDeserialize(bytes: Buffer): infer Request;
    responseSerialize(value: infer Response): Buffer;
  }
    ? Route<Request, Response>
    : never;
};

const applications: Routes<typeof ApplicationServiceService> = {
  createApplication: { rule: rules.createApplication, run: createApplication },
  getApplication: { rule: rules.getApplication, run: getApplication },
  listApplications: { rule: rules.listApplications, run: listApplications },
  updateApplication: { rule: rules.updateApplication, run: updateApplication },
};

const chats: Routes<typeof ChatServiceService> = {
  createChat: { rule: rules.createChat, run: createChat },
  getChat: { rule: rules.getChat, run: getChat },
  listChats: { rule: rules.listChats, run: listChats },
};

const messages: Routes<typeof MessageServiceService> = {
  createMessage: { rule: rules.createMessage, run: createMessage },
  getMessage: { rule: rules.getMessage, run: getMessage },
  listMessages: { rule: rules.listMessages, run: listMessages },
  searchMessages: { rule: rules.searchMessages, run: searchMessages },
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
