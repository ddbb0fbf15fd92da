import { InvalidArgumentError } from "commander";

/** An address or name with a port. */
export interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** `127.0.0.1:18000`, `[::1]:18000`, `control.example:18000`. */
export function hostPort(text: string): HostPort {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text);
  const address = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (address === undefined || port > 65_535)
    throw new InvalidArgumentError("It must be HOST:PORT, e.g. 127.0.0.1:18000.");
  return { address, port };
}
