import { Socket } from "node:net";
import { SharedBuffer } from "./shared-buffer.ts";

/**
 * Has all that an accepted socket reads handed to `receive`. With `kept` true `bytes` are the receiver's to keep; else the
 * next read overwrites them.
 *
 * A socket that we connect reads into a buffer of ours (`onread` of `net.connect`), which spares an allocation for every
 * read; Node has the same means for an accepted one, but no option to ask for it. So the fields that `onread` sets are set
 * here. Where this Node has no such fields, or something has been read before, bytes come as `data` events.
 */
export function readClient(
  socket: Socket,
  receive: (bytes: Buffer, kept: boolean) => void,
  fields: OnreadFields | null = FIELDS,
): void {
  const accepted = socket as unknown as Accepted;
  const handle = accepted._handle;
  if (fields === null || socket.readableLength > 0 || typeof handle?.useUserBuffer !== "function") {
    socket.on("data", (chunk: Buffer) => receive(chunk, true));
    return;
  }
  accepted[fields.buffer] = READ_BUFFER.bytes;
  accepted[fields.callback] = (count: number): boolean => {
    receive(READ_BUFFER.view(count), false);
    return true;
  };
  handle.useUserBuffer(READ_BUFFER.bytes);
  socket.resume();
}

interface OnreadFields {
  readonly buffer: symbol;
  readonly callback: symbol;
  /** Of a function that says where the next bytes are to be read to; asked after each read. */
  readonly generator: symbol;
}

interface Accepted {
  readonly _handle?: { useUserBuffer?: (buffer: Uint8Array) => void } | null;
  [field: symbol]: unknown;
}

const READ_BUFFER = new SharedBuffer();
const FIELDS = fieldsOfOnread();

/** What `onread` sets in a socket, null where it is not set: every socket has the fields, under symbols. */
export function fieldsOfOnread(): OnreadFields | null {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const find = (name: string): symbol | undefined => symbols.find(({ description }) => description === name);
  const buffer = find("kBuffer");
  const callback = find("kBufferCb");
  const generator = find("kBufferGen");
  if (buffer === undefined || callback === undefined || generator === undefined) return null;
  return { buffer, callback, generator };
}
