import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { SharedBuffer } from "./shared-buffer.ts";

/**
 * True for a socket that has encrypted, or copied, what it is given when `write` returns, if nothing is with it then; TCP may
 * hold on to it.
 */
export function copiesWrites(socket: Socket): boolean {
  return socket instanceof TLSSocket;
}

/**
 * Writes Latin-1 text. Where `copies` (`copiesWrites`) allows it, it goes through one buffer for all: given a text, Node
 * allocates memory for each write. False: the socket asks to wait for `drain`.
 */
export function writeText(socket: Socket, copies: boolean, text: string): boolean {
  if (!copies || text.length > SCRATCH.bytes.length || socket.writableLength > 0)
    return socket.write(text, "latin1");
  return socket.write(SCRATCH.view(SCRATCH.bytes.write(text, 0, "latin1")));
}

/** Up to this many bytes a body goes out in one write with its head; more is passed on uncopied. */
export const SMALL_BODY = 16_384;

const SCRATCH = new SharedBuffer();
