import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  type CreateMessageRequest,
  CreateMessageResponse,
  MessageServiceService,
} from "../../gen/parley/v1/message.ts";
import { State } from "../../gen/parley/v1/state.ts";

// The floor of every call: a plain grpc-js server with the same messages, whose handler does
// nothing but answer.

type Handler = (
  call: { request: CreateMessageRequest },
  done: (error: null, response: CreateMessageResponse) => void,
) => void;

const createMessage: Handler = ({ request }, done) => {
  const { applicationToken, chatNumber, message } = request;
  const { body, author } = message!;
  const key = { applicationToken, chatNumber, number: 1 };
  const more = { createTime: new Date(), state: State.STATE_ACCEPTED, version: 1, attributes: {} };
  done(null, CreateMessageResponse.fromPartial({ message: { ...key, body, author, ...more } }));
};

const server = new Server();
server.addService(MessageServiceService, { createMessage } as UntypedServiceImplementation);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send!({ port });
});
process.on("disconnect", () => process.exit());
