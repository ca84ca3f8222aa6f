import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server, ServerDuplexStream } from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as ServerReflectionAlphaService } from "../../gen/grpc/reflection/v1alpha/reflection.ts";
import { contract, registry } from "./contract.ts";

// The published reflection package drops the imports of a file, so that grpcurl cannot use it as
// soon as a message has a Timestamp. This one serves the descriptors of the contract as they are.

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

const bytesByFile = new Map(
  contract.file.map((file) => [file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file))]),
);
const fileBySymbol = new Map<string, string>();
for (const file of registry.files) {
  for (const symbol of symbolsOf(file)) fileBySymbol.set(symbol, `${file.name}.proto`);
}

function* symbolsOf(file: DescFile): Generator<string> {
  for (const service of file.services) {
    yield service.typeName;
    for (const method of service.methods) yield `${service.typeName}.${method.name}`;
  }
  const messages = [...file.messages];
  for (const message of messages) {
    messages.push(...message.nestedMessages);
    yield message.typeName;
    for (const field of message.fields) yield `${message.typeName}.${field.name}`;
    for (const nested of message.nestedEnums) yield nested.typeName;
  }
  for (const one of file.enums) yield one.typeName;
}

type Answer = ServerReflectionResponse["messageResponse"];

function answer(request: ServerReflectionRequest, serviceNames: string[]): Answer {
  const asked = request.messageRequest;
  switch (asked?.$case) {
    case "listServices": {
      const service = serviceNames.map((name) => ({ name }));
      return { $case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return fileAnswer(asked.value, asked.value);
    case "fileContainingSymbol":
      return fileAnswer(fileBySymbol.get(asked.value), asked.value);
    default:
      return errorAnswer(UNIMPLEMENTED, "the contract has no extensions");
  }
}

function fileAnswer(name: string | undefined, asked: string): Answer {
  const bytes = name === undefined ? undefined : bytesByFile.get(name);
  if (bytes === undefined) return errorAnswer(NOT_FOUND, `the contract has no ${asked}`);
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: [bytes] } };
}

function errorAnswer(errorCode: number, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode, errorMessage } };
}

/** Serves reflection as grpcurl and others ask for it, in both versions that are in use. */
export function addReflection(server: Server, serviceNames: string[]): void {
  const serverReflectionInfo = (
    stream: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>,
  ): void => {
    stream.on("data", (originalRequest: ServerReflectionRequest) => {
      const messageResponse = answer(originalRequest, serviceNames);
      const { host: validHost } = originalRequest;
      // A question is a few bytes and its answer a whole file, so who does not read is not read.
      if (stream.write({ validHost, originalRequest, messageResponse })) return;
      stream.pause();
      stream.once("drain", () => stream.resume());
    });
    stream.on("end", () => stream.end());
    // A caller that goes away in the middle is nothing to answer.
    stream.on("error", () => {});
  };
  server.addService(ServerReflectionService, { serverReflectionInfo });
  server.addService(ServerReflectionAlphaService, { serverReflectionInfo });
}
