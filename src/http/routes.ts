import type { z } from "zod";
import {
  ApplicationServiceService,
  CreateApplicationRequest,
  GetApplicationRequest,
  ListApplicationsRequest,
  UpdateApplicationRequest,
} from "../../gen/parley/v1/application.ts";
import {
  ChatServiceService,
  CreateChatRequest,
  ListChatsRequest,
} from "../../gen/parley/v1/chat.ts";
import {
  CreateMessageRequest,
  ListMessagesRequest,
  MessageServiceService,
  SearchMessagesRequest,
} from "../../gen/parley/v1/message.ts";
import { stateFromJSON } from "../../gen/parley/v1/state.ts";
import { applications, chats, messages, type Route } from "../api/routes.ts";
import { bodies, type Parameter, queries } from "./shapes.ts";

/** What a request carries, its parts already known to have the shape that the route asks for. */
export interface Given<Body> {
  token: string;
  number: number;
  query: {
    page_size?: number;
    page_token?: string;
    order_by?: string;
    after_number?: number;
    before_number?: number;
    message?: string;
    wait_for?: string;
  };
  body: Body;
  requestId: string;
}

/** One method of one path, and the RPC that it is. */
export interface HttpRoute {
  method: "GET" | "POST" | "PATCH";
  path: string;
  /** As `parley.v1.ChatService/CreateChat`. */
  rpc: string;
  route: Route<unknown, unknown>;
  summary: string;
  query: Record<string, Parameter>;
  body: z.ZodType | undefined;
  bodyRequired: boolean;
  /** It creates something, so it takes an Idempotency-Key and answers 201. */
  creates: boolean;
  request(given: Given<unknown>): unknown;
}

interface Entry<Shape extends z.ZodType, Request, Response>
  extends Pick<HttpRoute, "summary">,
    Partial<Pick<HttpRoute, "query" | "bodyRequired">> {
  /** `POST /applications`. */
  at: `${HttpRoute["method"]} ${string}`;
  rpc: { path: string };
  route: Route<Request, Response>;
  body?: Shape;
  request(given: Given<z.output<Shape>>): Request;
}

function entry<Shape extends z.ZodType, Request, Response>(
  one: Entry<Shape, Request, Response>,
): HttpRoute {
  const [method, path] = one.at.split(" ") as [HttpRoute["method"], string];
  return {
    method,
    path,
    rpc: one.rpc.path.slice(1),
    route: one.route as Route<unknown, unknown>,
    summary: one.summary,
    query: one.query ?? queries.none,
    body: one.body,
    bodyRequired: one.bodyRequired ?? one.body !== undefined,
    creates: method === "POST",
    request: one.request as HttpRoute["request"],
  };
}

const pageOf = ({ query }: Given<unknown>) => ({
  pageSize: query.page_size,
  pageToken: query.page_token,
});
const chatOf = ({ token, number }: Given<unknown>) => ({
  applicationToken: token,
  chatNumber: number,
});
const waitOf = ({ query }: Given<unknown>) =>
  query.wait_for === undefined ? undefined : stateFromJSON(query.wait_for);

const ofApplications = [
  entry({
    at: "GET /applications",
    rpc: ApplicationServiceService.listApplications,
    route: applications.listApplications,
    summary: "Lists all applications in the order in which they were created",
    query: queries.page,
    request: (given) => ListApplicationsRequest.fromPartial(pageOf(given)),
  }),
  entry({
    at: "POST /applications",
    rpc: ApplicationServiceService.createApplication,
    route: applications.createApplication,
    summary: "Creates an application and gives it a token",
    body: bodies.application,
    request: ({ body, requestId }) =>
      CreateApplicationRequest.fromPartial({ application: body.application, requestId }),
  }),
  entry({
    at: "GET /applications/{token}",
    rpc: ApplicationServiceService.getApplication,
    route: applications.getApplication,
    summary: "Shows an application",
    request: ({ token }) => GetApplicationRequest.fromPartial({ applicationToken: token }),
  }),
  entry({
    at: "PATCH /applications/{token}",
    rpc: ApplicationServiceService.updateApplication,
    route: applications.updateApplication,
    summary: "Changes the name of an application; the last writer wins",
    body: bodies.application,
    request: ({ token, body }) =>
      UpdateApplicationRequest.fromPartial({ application: { ...body.application, token } }),
  }),
];

const ofChats = [
  entry({
    at: "POST /applications/{token}/chats",
    rpc: ChatServiceService.createChat,
    route: chats.createChat,
    summary: "Gives a chat its number and queues it for storing",
    query: queries.chatState,
    body: bodies.chat,
    bodyRequired: false,
    request: (given) => {
      const { external_id: externalId, attributes } = given.body?.chat ?? {};
      return CreateChatRequest.fromPartial({
        applicationToken: given.token,
        chat: given.body?.chat && { externalId, attributes },
        requestId: given.requestId,
        waitFor: waitOf(given),
      });
    },
  }),
  entry({
    at: "GET /applications/{token}/chats",
    rpc: ChatServiceService.listChats,
    route: chats.listChats,
    summary: "Lists the chats of an application by number, lowest first",
    query: queries.page,
    request: (given) =>
      ListChatsRequest.fromPartial({ applicationToken: given.token, ...pageOf(given) }),
  }),
];

const ofMessages = [
  entry({
    at: "POST /applications/{token}/chats/{number}/message",
    rpc: MessageServiceService.createMessage,
    route: messages.createMessage,
    summary: "Gives a message its number and queues it for storing and indexing",
    query: queries.messageState,
    body: bodies.message,
    request: (given) => {
      const { message, body, author, attributes, original_time: time } = given.body.message;
      const originalTime = time === undefined ? undefined : new Date(time);
      return CreateMessageRequest.fromPartial({
        ...chatOf(given),
        message: { body: message ?? body, author, attributes, originalTime },
        requestId: given.requestId,
        waitFor: waitOf(given),
      });
    },
  }),
  entry({
    at: "GET /messages/{token}/{number}",
    rpc: MessageServiceService.listMessages,
    route: messages.listMessages,
    summary: "Lists the messages of a chat by number",
    query: queries.messages,
    request: (given) =>
      ListMessagesRequest.fromPartial({
        ...chatOf(given),
        ...pageOf(given),
        orderBy: given.query.order_by,
        afterNumber: given.query.after_number,
        beforeNumber: given.query.before_number,
      }),
  }),
  entry({
    at: "GET /messages/{token}/{number}/search",
    rpc: MessageServiceService.searchMessages,
    route: messages.searchMessages,
    summary: "Finds the messages of a chat that contain every part of a query, newest first",
    query: queries.search,
    request: (given) =>
      SearchMessagesRequest.fromPartial({
        ...chatOf(given),
        ...pageOf(given),
        query: given.query.message,
      }),
  }),
];

/** Every route, as docs/http.md has them. */
export const httpRoutes: HttpRoute[] = [...ofApplications, ...ofChats, ...ofMessages];
