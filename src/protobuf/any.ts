import {
  create,
  createRegistry,
  type DescMessage,
  type MessageShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";

/** `type.googleapis.com/` and the full name: how xDS names a type. */
export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`;
}

/**
 * The message as an Any. Fields are written in the order of their numbers, map entries in the order they were put in (so
 * whoever fills a map sorts it): equal messages give equal bytes.
 */
export function pack<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): Any {
  PACKED.set(schema.typeName, schema);
  return create(AnySchema, { typeUrl: typeUrlOf(schema), value: toBinary(schema, message) });
}

/** The types of whatever was packed so far: enough to read every Any of ours again, and nothing has to be listed. */
export function packedTypes(): Registry {
  return createRegistry(...PACKED.values());
}

const PACKED = new Map<string, DescMessage>();
