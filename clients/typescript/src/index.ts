export type { Tls } from "./addresses.ts";
export type { Applications, CreatedApplication } from "./applications.ts";
export type { CallOptions, ClientOptions } from "./calls.ts";
export type { Chats, CreatedChat, NewChat } from "./chats.ts";
export { ParleyClient } from "./client.ts";
export type { ConsumeOptions, Position } from "./consume.ts";
export * from "./contract.ts";
export { type Code, ParleyError, type Reason, type Violation } from "./errors.ts";
export type {
  CreatedMessage,
  CreatedMessages,
  InChat,
  Messages,
  MessageText,
} from "./messages.ts";
export type { Pages } from "./pages.ts";
