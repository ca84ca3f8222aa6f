import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { AWKWARD_TEXTS, anyText } from "./texts.ts";

// Requests as bytes, drawn from the contract's descriptors: a new RPC or field is drawn as well
// without a change here. What is drawn is often legal, so that it gets past the first rule.

/** What a legal request can name: an application of the test's own, and what it must not be. */
export interface Names {
  token: string;
  otherTokens: string[];
  requestIds: string[];
}

const INT64_MAX = 2n ** 63n - 1n;
const EDGES_64 = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, INT64_MAX, -INT64_MAX - 1n];
const EDGES_32 = [0, 1, -1, 999, 1_001, 2 ** 31 - 1, -(2 ** 31)];

/** Strings as bytes: what is no UTF-8 cannot be a string. */
const hostileBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constantFrom(
    ...["", "\0", "a\0b", "x".repeat(300), "😀".repeat(300), ...AWKWARD_TEXTS].map(bytesOf),
    bytesOf("x".repeat(16_385)),
    bytesOf("\ufdfa".repeat(5_461)),
    Uint8Array.of(0xff, 0xfe),
    Uint8Array.of(0xed, 0xa0, 0x80),
    Uint8Array.of(0xf4, 0x90, 0x80, 0x80),
    Uint8Array.of(0xc0, 0x80),
    Uint8Array.of(0x61, 0xe2, 0x82),
  ),
  fc.uint8Array({ maxLength: 40 }),
  anyText.map(bytesOf),
);

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

/** What a field of this name takes in a legal request. */
function legalText(name: string, names: Names): fc.Arbitrary<string> {
  if (name.endsWith("token") && name !== "page_token") {
    return fc.oneof(
      { arbitrary: fc.constant(names.token), weight: 8 },
      { arbitrary: fc.constantFrom(...names.otherTokens), weight: 1 },
    );
  }
  if (name === "external_id") return fc.constantFrom("", "", "a", "a ", "A");
  if (name === "page_token") return fc.constantFrom("", "", "MS4x", "bm90IG91cnM");
  if (name === "request_id") return fc.constantFrom("", ...names.requestIds);
  if (name === "order_by") return fc.constantFrom("", "number", "number desc", " number  asc ");
  if (name === "paths") return fc.constantFrom("name", "*", "token", "name.name", "");
  return anyText.filter((text) => text.length <= 255);
}

function writeText(tag: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(tag, WireType.LengthDelimited).bytes(bytes).finish();
}

/** One occurrence of a field, tag and all. */
function fieldBytes(field: DescField, names: Names, depth: number): fc.Arbitrary<Uint8Array> {
  const tag = field.number;
  if (field.fieldKind === "map") {
    const text = fc.oneof(
      { arbitrary: fc.constantFrom("a", "b", "", "__proto__", "x".repeat(65)), weight: 1 },
      { arbitrary: anyText.filter((one) => one.length <= 64), weight: 1 },
    );
    const raw = fc.oneof({ arbitrary: text.map(bytesOf), weight: 9 }, hostileBytes);
    return fc
      .tuple(raw, raw)
      .map(([key, value]) =>
        writeText(tag, Buffer.concat([writeText(1, key), writeText(2, value)])),
      );
  }
  if (field.message !== undefined) {
    const inner =
      depth > 3 ? fc.uint8Array({ maxLength: 8 }) : messageOf(field.message, names, depth + 1);
    return inner.map((bytes) => writeText(tag, bytes));
  }
  const type = field.enum === undefined ? field.scalar : ScalarType.INT32;
  if (type === ScalarType.STRING || type === ScalarType.BYTES) {
    const legal = legalText(field.name, names).map(bytesOf);
    return fc
      .oneof({ arbitrary: legal, weight: 6 }, { arbitrary: hostileBytes, weight: 1 })
      .map((bytes) => writeText(tag, bytes));
  }
  const wide = type === ScalarType.INT64 || type === ScalarType.UINT64;
  const edges: bigint[] = wide ? EDGES_64 : EDGES_32.map(BigInt);
  const legal = fc.bigInt({ min: 1n, max: 3n });
  return fc
    .oneof({ arbitrary: legal, weight: 6 }, { arbitrary: fc.constantFrom(...edges), weight: 1 })
    .map((value) => new BinaryWriter().tag(tag, WireType.Varint).int64(value).finish());
}

/** Fields as the descriptor has them, each now and then left out, or there twice. */
function plainMessage(type: DescMessage, names: Names, depth: number): fc.Arbitrary<Uint8Array> {
  const fields = type.fields.map((field) =>
    fc.oneof(
      { arbitrary: fieldBytes(field, names, depth), weight: 12 },
      { arbitrary: fc.constant(new Uint8Array()), weight: 2 },
      {
        arbitrary: fc
          .array(fieldBytes(field, names, depth), { minLength: 2, maxLength: 4 })
          .map((all) => Buffer.concat(all)),
        weight: 1,
      },
    ),
  );
  if (fields.length === 0) return fc.constant(new Uint8Array());
  return fc.tuple(...fields).map((parts) => Buffer.concat(parts));
}

/** Messages of one field, one in the other. */
function nested(levels: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array();
  for (let at = 0; at < levels; at++) bytes = writeText(3, bytes);
  return bytes;
}

/** Groups of an unknown field, one in the other. */
export function groups(levels: number): Uint8Array {
  const open = new BinaryWriter().tag(100, WireType.StartGroup).finish();
  const close = new BinaryWriter().tag(100, WireType.EndGroup).finish();
  return Buffer.concat([
    ...Array<Uint8Array>(levels).fill(open),
    ...Array<Uint8Array>(levels).fill(close),
  ]);
}

/** What may stand behind a message: fields that it does not have, of every wire type, or waste. */
const waste: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((value) => new BinaryWriter().tag(1_000, WireType.Varint).uint64(value).finish()),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => writeText(536_870_911, bytes)),
  fc.constant(new BinaryWriter().tag(77, WireType.Bit32).fixed32(7).finish()),
  fc.constant(new BinaryWriter().tag(78, WireType.Bit64).fixed64(7n).finish()),
  fc.constantFrom(groups(3), groups(200), nested(60)),
  fc.constant(new BinaryWriter().tag(100, WireType.EndGroup).finish()),
  fc.constant(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)),
  fc.constant(Uint8Array.of(0x00)),
  fc.constant(Uint8Array.of(0x07)),
  fc.uint8Array({ minLength: 1, maxLength: 30 }),
);

/** A message of a type: mostly as it may be, sometimes with more, with less, or without sense. */
export function messageOf(type: DescMessage, names: Names, depth = 0): fc.Arbitrary<Uint8Array> {
  const plain = plainMessage(type, names, depth);
  return fc.oneof(
    { arbitrary: plain, weight: 8 },
    { arbitrary: fc.tuple(plain, waste).map((both) => Buffer.concat(both)), weight: 2 },
    { arbitrary: fc.tuple(waste, plain).map((both) => Buffer.concat(both)), weight: 1 },
    {
      arbitrary: fc
        .tuple(plain, fc.double({ min: 0, max: 1, noNaN: true }))
        .map(([bytes, part]) => bytes.subarray(0, Math.floor(bytes.length * part))),
      weight: 1,
    },
    { arbitrary: fc.uint8Array({ maxLength: 60 }), weight: 1 },
  );
}
