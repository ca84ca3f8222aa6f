import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { registry } from "../api/contract.ts";

// The answers of the contract as JSON: fields by their names in the proto files, numbers as
// numbers, times as RFC 3339, states by name. What the contract gets, HTTP answers with, too.

type Json = Record<string, unknown>;

/** The message that an RPC answers with. */
export function answerOf(rpc: string): DescMessage {
  const [service, method] = rpc.split("/") as [string, string];
  return registry.getService(service)!.methods.find((one) => one.name === method)!.output;
}

/** A generated value as JSON; what is not there is left out. */
export function toJson(type: DescMessage, value: Json): Json {
  const json: Json = {};
  for (const field of type.fields) {
    const one = value[field.localName];
    if (one !== undefined) json[field.name] = jsonOf(field, one);
  }
  return json;
}

function jsonOf(field: DescField, value: unknown): unknown {
  if (field.message === undefined || field.fieldKind === "map") {
    return field.fieldKind === "enum" ? field.enum.value[value as number]!.name : value;
  }
  const { message } = field;
  if (value instanceof Date) return value.toISOString();
  if (field.fieldKind === "list") return (value as Json[]).map((one) => toJson(message, one));
  return toJson(message, value as Json);
}

/** The JSON Schema of an answer; a message in it stands once, among `components`. */
export function schemaOf(type: DescMessage, components: Record<string, Json>): Json {
  const { name } = type;
  if (components[name] === undefined) {
    const properties: Record<string, Json> = {};
    components[name] = { type: "object", properties, required: [] };
    for (const field of type.fields) {
      const description = commentOf(type, field);
      properties[field.name] = { ...fieldSchema(field, components), description };
    }
    components[name].required = type.fields
      .filter((one) => one.fieldKind !== "message")
      .map((one) => one.name);
  }
  return { $ref: `#/components/schemas/${name}` };
}

const INTEGER = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

function fieldSchema(field: DescField, components: Record<string, Json>): Json {
  if (field.fieldKind === "map") {
    return { type: "object", additionalProperties: { type: "string" } };
  }
  if (field.message !== undefined) {
    if (field.message.typeName === "google.protobuf.Timestamp") {
      return { type: "string", format: "date-time" };
    }
    const items = schemaOf(field.message, components);
    return field.fieldKind === "list" ? { type: "array", items } : items;
  }
  if (field.fieldKind === "enum") {
    const names = field.enum.values.filter((one) => one.number > 0).map((one) => one.name);
    return { type: "string", enum: names };
  }
  if (field.scalar === ScalarType.STRING) return { type: "string" };
  return field.scalar === ScalarType.BOOL ? { type: "boolean" } : INTEGER;
}

/** What the proto file says above a field. */
function commentOf(type: DescMessage, field: DescField): string | undefined {
  const path = [2, type.fields.indexOf(field)];
  for (let at: DescMessage | undefined = type; at !== undefined; at = at.parent) {
    const siblings: DescMessage[] = at.parent?.nestedMessages ?? type.file.messages;
    path.unshift(at.parent === undefined ? 4 : 3, siblings.indexOf(at));
  }
  const wanted = path.join(".");
  const place = type.file.proto.sourceCodeInfo?.location.find(
    (one) => one.path.join(".") === wanted,
  );
  return place?.leadingComments?.trim().replace(/\n */g, " ") || undefined;
}
