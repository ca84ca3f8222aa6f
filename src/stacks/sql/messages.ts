import { raw } from "@mikro-orm/sql";
import type { Message } from "../../../gen/parley/v1/message.ts";
import { State } from "../../../gen/parley/v1/state.ts";
import { parseAttributes } from "../../core/attributes.ts";
import { DELETED_ALL } from "../../core/deletion.ts";
import type { ChatKey } from "../../core/ports.ts";
import type { Session } from "./database.ts";
import { MessageRow } from "./entities.ts";

/** The rows of a deleted chat are taken away later than it is gone. */
const NOT_DELETED = `NOT EXISTS (SELECT 1 FROM ceilings c WHERE c.application_id = a.id
  AND c.chat_number = ? AND c.deleted_through = ?)`;

const COLUMNS = [
  "m.number",
  "m.body",
  "m.author",
  "m.createTime",
  "m.version",
  "m.editTime",
  "m.deleteTime",
  "m.changeNumber",
  "m.attributes",
  "m.originalTime",
] as const;

/** The messages of a chat, by the primary key: the join finds one row by the token. */
export function messagesOf(em: Session, { applicationToken, chatNumber }: ChatKey) {
  return em
    .createQueryBuilder(MessageRow, "m")
    .select([...COLUMNS])
    .innerJoin("m.application", "a")
    .where({ "a.token": applicationToken, "a.deleteTime": null, chatNumber })
    .andWhere(raw(NOT_DELETED, [chatNumber, DELETED_ALL]));
}

export function messageOf(row: MessageRow, { applicationToken, chatNumber }: ChatKey): Message {
  const { number, body, author, createTime, version } = row;
  return {
    applicationToken,
    chatNumber,
    number,
    body,
    author,
    createTime,
    state: State.STATE_PERSISTED,
    editTime: row.editTime ?? undefined,
    deleteTime: row.deleteTime ?? undefined,
    attributes: parseAttributes(row.attributes),
    originalTime: row.originalTime ?? undefined,
    version,
  };
}
