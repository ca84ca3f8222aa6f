import { isUtf8 } from "node:buffer";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, configureTextEncoding, WireType } from "@bufbuild/protobuf/wire";
import { fieldInvalid, ParleyError } from "../errors.ts";
import { registry } from "./contract.ts";

// Left to itself, the decoder turns invalid UTF-8 into U+FFFD and answers a number above 2^53 with
// INTERNAL. Both must come back as INVALID_ARGUMENT with the name of the field. And a map's key
// `__proto__`, which an object cannot have, would vanish.

/** From here on, every string that is decoded in this process must be valid UTF-8. */
export function refuseInvalidUtf8(): void {
  configureTextEncoding({
    encodeUtf8: (text) => Buffer.from(text),
    decodeUtf8: (bytes) => {
      if (!isUtf8(bytes)) throw new Error("invalid UTF-8");
      // What gRPC read is a Buffer already, and so is each part of it.
      const { buffer, byteOffset, byteLength } = bytes;
      return (
        Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength)
      ).toString();
    },
    checkUtf8: (text) => text.isWellFormed(),
  });
}

/** Stands in for a request that could not be decoded, so that its handler can answer with why. */
export class Undecodable {
  readonly error: ParleyError;
  /** The application that it names all the same, where that can be told. */
  readonly applicationToken: string | undefined;
  constructor(error: ParleyError, applicationToken?: string) {
    this.error = error;
    this.applicationToken = applicationToken;
  }
}

/** A generated decoder that never throws. */
export function decoderOf<T>(
  typeName: string,
  decode: (bytes: Buffer) => T,
): (bytes: Buffer) => T | Undecodable {
  return (bytes) => {
    try {
      if (bytes.includes(NO_KEY)) refuseKey(typeName, bytes);
      return decode(bytes);
    } catch (error) {
      return new Undecodable(explain(typeName, bytes, error));
    }
  };
}

const NO_KEY = "__proto__";

/** It is in the request somewhere; as the key of a map it cannot be read. */
function refuseKey(typeName: string, bytes: Uint8Array): void {
  const type = registry.getMessage(typeName);
  const fault = type && findFault(type, bytes, "", 0);
  if (fault !== undefined) throw fault;
}

/** Names the field that cannot be read; `*`, as a field mask says it, where it is the whole. */
function explain(typeName: string, bytes: Uint8Array, cause: unknown): ParleyError {
  const type = registry.getMessage(typeName);
  try {
    const fault = type && findFault(type, bytes, "", 0);
    if (fault !== undefined) return fault;
  } catch {
    // Not even the tags can be read.
  }
  const description = `must be a protobuf message of type ${typeName}`;
  const violations = [{ field: "*", description }];
  return new ParleyError("FIELD_INVALID", `the request ${description}`, { cause, violations });
}

/** Walks the fields by their descriptors until one is found that the decoder refuses. */
function findFault(
  type: DescMessage,
  bytes: Uint8Array,
  path: string,
  depth: number,
): ParleyError | undefined {
  const reader = new BinaryReader(bytes);
  const counts = new Map<DescField, number>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = type.fields.find((one) => one.number === number);
    let name = field && (path === "" ? field.name : `${path}.${field.name}`);
    if (field?.fieldKind === "list") {
      const at = counts.get(field) ?? 0;
      counts.set(field, at + 1);
      name += `[${at}]`;
    }
    if (field === undefined || name === undefined) reader.skip(wireType);
    else if (wireType === WireType.Varint && field.scalar === ScalarType.INT64) {
      const value = BigInt(reader.int64());
      if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
        return fieldInvalid(name, "must be between -9007199254740991 and 9007199254740991");
      }
    } else if (wireType === WireType.LengthDelimited) {
      const fault = faultOfBytes(field, reader.bytes(), name, depth);
      if (fault !== undefined) return fault;
    } else reader.skip(wireType);
  }
  return undefined;
}

function faultOfBytes(
  field: DescField,
  bytes: Uint8Array,
  name: string,
  depth: number,
): ParleyError | undefined {
  if (field.fieldKind === "map") return faultOfEntry(bytes, name);
  if (field.scalar === ScalarType.STRING && !isUtf8(bytes)) {
    return fieldInvalid(name, "must be valid UTF-8");
  }
  if (field.message === undefined || depth > 10) return undefined;
  try {
    return findFault(field.message, bytes, name, depth + 1);
  } catch {
    return fieldInvalid(name, `must be a protobuf message of type ${field.message.typeName}`);
  }
}

/** An entry of a map of strings: the key is field 1, the value field 2. */
function faultOfEntry(bytes: Uint8Array, name: string): ParleyError | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType);
      continue;
    }
    const text = reader.bytes();
    if (!isUtf8(text)) return fieldInvalid(name, "must have keys and values of valid UTF-8");
    if (number === 1 && Buffer.from(text).toString() === NO_KEY) {
      return fieldInvalid(name, `must not have the key ${NO_KEY}`);
    }
  }
  return undefined;
}
