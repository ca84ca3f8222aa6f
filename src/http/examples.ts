// Answers as the OpenAPI document shows them; a test holds them against its schemas.

const TOKEN = "31429462-3a09-4d49-9478-a9bb932ccd86";
const TIME = "2026-11-24T17:01:20.487Z";
const CALL_ID = "0f3c1a52-6e0f-4c7e-9f51-5d3f2b8a1c11";

const application = {
  token: TOKEN,
  name: "test name",
  chats_count: 0,
  create_time: TIME,
  update_time: TIME,
};
const chat = {
  application_token: TOKEN,
  number: 1,
  messages_count: 0,
  create_time: TIME,
  state: "STATE_ACCEPTED",
  deleted_count: 0,
  external_id: "",
  attributes: {},
};
const message = {
  application_token: TOKEN,
  chat_number: 1,
  number: 1,
  body: "hello",
  author: "ann",
  create_time: TIME,
  state: "STATE_PERSISTED",
  attributes: {},
  version: 1,
};
const segments = [
  { text: "hell", match: true },
  { text: "o", match: false },
];

/** An answer of each RPC. */
export const examples: Record<string, Record<string, unknown>> = {
  ListApplications: { applications: [application], next_page_token: "" },
  CreateApplication: { application, replayed: false },
  GetApplication: { application },
  UpdateApplication: { application },
  CreateChat: { chat, replayed: false, existed: false },
  ListChats: { chats: [chat], next_page_token: "" },
  CreateMessage: { message, replayed: false },
  ListMessages: { messages: [message], next_page_token: "", voids: [] },
  SearchMessages: {
    results: [{ message: { ...message, state: "STATE_SEARCHABLE" }, segments }],
    next_page_token: "",
    indexed_through_number: 1,
  },
};

/** The answer to a message without text. */
export const exampleFailure = {
  error: {
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "message.message: must be 1 to 16384 bytes of UTF-8 without NUL",
    violations: [
      { field: "message.message", description: "must be 1 to 16384 bytes of UTF-8 without NUL" },
    ],
    call_id: CALL_ID,
  },
};
