import type { Socket } from "node:net";

/** Dials a Unix socket. Throws RefusedDial where it may not, else as the system does. */
export type SocketDial = (path: string) => Socket;

/** A socket that may not be dialled: one sentence. */
export class RefusedDial extends Error {}
