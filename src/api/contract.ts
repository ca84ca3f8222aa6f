import { readFileSync } from "node:fs";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The contract as data, built from `proto/` beside the generated code. */
const image = readFileSync(new URL("../../gen/image.binpb", import.meta.url));

export const contract: FileDescriptorSet = fromBinary(FileDescriptorSetSchema, image);
export const registry: FileRegistry = createFileRegistry(contract);
