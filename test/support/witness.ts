import {
  GetApplicationResponse,
  GetChatResponse,
  GetMessageResponse,
  ListChatsResponse,
  ListMessagesResponse,
  SearchMessagesResponse,
  State,
} from "../../clients/typescript/src/contract.ts";
import type { Clients } from "./system.ts";
import { AWKWARD_TEXTS } from "./texts.ts";

const CHATS = 3;

/** An application full of chats and messages, searchable, which nobody may change after this. */
export async function seedWitness({ clients }: { clients: Clients }): Promise<string> {
  const { application } = await clients.createApplication({ application: { name: "witness" } });
  const applicationToken = application!.token;
  for (let chatNumber = 1; chatNumber <= CHATS; chatNumber++) {
    await clients.createChat({ applicationToken, waitFor: State.STATE_PERSISTED });
    for (const body of AWKWARD_TEXTS) {
      const message = { body: `${body} seen by chat ${chatNumber}`, author: body };
      await clients.createMessage({ applicationToken, chatNumber, message });
    }
  }
  for (let chatNumber = 1; chatNumber <= CHATS; ) {
    const key = { applicationToken, chatNumber };
    const { indexedThroughNumber } = await clients.searchMessages({ ...key, query: "seen" });
    if (indexedThroughNumber === AWKWARD_TEXTS.length) chatNumber++;
    else await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return applicationToken;
}

/** Everything that can be read of it, as the bytes of the answers. */
export async function photograph(
  { clients }: { clients: Clients },
  applicationToken: string,
): Promise<string[]> {
  const seen: Uint8Array[] = [
    GetApplicationResponse.encode(await clients.getApplication({ applicationToken })).finish(),
    ListChatsResponse.encode(await clients.listChats({ applicationToken })).finish(),
  ];
  for (let chatNumber = 1; chatNumber <= CHATS; chatNumber++) {
    const key = { applicationToken, chatNumber };
    const orderBy = "number desc";
    seen.push(
      GetChatResponse.encode(
        await clients.getChat({ applicationToken, number: chatNumber }),
      ).finish(),
      ListMessagesResponse.encode(await clients.listMessages({ ...key, orderBy })).finish(),
      GetMessageResponse.encode(await clients.getMessage({ ...key, number: 1 })).finish(),
      SearchMessagesResponse.encode(
        await clients.searchMessages({ ...key, query: "seen by" }),
      ).finish(),
    );
  }
  return seen.map((bytes) => Buffer.from(bytes).toString("base64"));
}
