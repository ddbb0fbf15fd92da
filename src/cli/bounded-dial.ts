import { closeSync, openSync, readlinkSync, realpathSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { RefusedDial, type SocketDial } from "../protobuf/socket-dial.ts";
import { isWithin } from "../sources/files/allowed-folders.ts";
import type { GroupBounds } from "./group-bounds.ts";

/**
 * Dials Unix sockets in a group's folders alone, wherever symbolic links lead at that moment: one that was judged when its resource was read
 * may have been replaced since. Undefined: the group may dial any.
 */
export function boundedDial({ folders }: GroupBounds): SocketDial | undefined {
  return folders === undefined ? undefined : (path) => dialWithin(path, folders);
}

function dialWithin(path: string, folders: readonly string[]): Socket {
  const { place, real, close } = process.platform === "linux" ? held(path) : named(path);
  if (!isWithin(real, folders)) {
    close();
    throw new RefusedDial(`${path} leads outside of the folders that this group may use`);
  }
  return connect(place).once("connect", close).once("close", close);
}

interface Place {
  /** What is dialled. */
  readonly place: string;
  readonly real: string;
  close(): void;
}

/** Opened without being asked anything, a file is what was looked at, whatever its path leads to a moment later. */
function held(path: string): Place {
  let file: number | null = openSync(path, O_PATH);
  const place = `/proc/self/fd/${file}`;
  return {
    place,
    real: readlinkSync(place),
    close() {
      if (file !== null) closeSync(file);
      file = null;
    },
  };
}

function named(path: string): Place {
  const real = realpathSync(path);
  return { place: real, real, close() {} };
}

/** Node has no name for it. */
const O_PATH = 0o10000000;
