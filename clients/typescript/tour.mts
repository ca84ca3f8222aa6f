// The tour of docs/clients.md: node tour.mjs 127.0.0.1:50051
import { ParleyClient, ParleyError, State } from "@parley/client";

const client = new ParleyClient({ address: process.argv[2]!, timeoutMs: 30_000 });

const { token: applicationToken, name } = await client.applications.create({ name: "shop" });
console.log("application", name);

// Without waitFor the answer comes when the number is given, before the row is written.
const waitFor = State.STATE_PERSISTED;
const { number: chatNumber, state } = await client.chats.create({ applicationToken, waitFor });
console.log("chat", chatNumber, Object.entries(State).find(([, value]) => value === state)?.[0]);
const place = { applicationToken, chatNumber };

// The client makes a request id for each call; who gives one can make the same call again.
for (let tries = 0; tries < 2; tries++) {
  const { number, replayed } = await client.messages.create({
    ...place,
    body: "Hello, Straße!",
    author: "ann",
    requestId: "8f8ba1a0-6e10-4a7c-9d4b-1f0a4b6f6b0e",
    waitFor: State.STATE_SEARCHABLE,
  });
  console.log("message", number, replayed);
}

for await (const { number, author, body } of client.messages.list(place)) {
  console.log("listed", number, author, body);
}

for await (const { segments } of client.messages.search({ ...place, query: "strasse" })) {
  for (const { match, text } of segments) if (match) console.log("found", text);
}

try {
  await client.messages.create({ ...place, body: "" });
} catch (error) {
  if (!(error instanceof ParleyError)) throw error;
  console.log("refused with code", error.code === "INVALID_ARGUMENT" ? 3 : error.code);
  console.log("reason", error.reason);
  for (const { field, description } of error.violations) console.log(field, description);
}
client.close();
