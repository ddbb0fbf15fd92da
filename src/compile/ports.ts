import type { ModuleConfig } from "../resources/module.ts";
import type { CompileOptions } from "./compilation.ts";

/** In `redirect_cleartext_from` and `additionalPort` 8080 means the http listener, whatever its port (design §9). */
export const HTTP_LISTENER_PORT = 8080;

/** Ports of the two listeners: a flag beats `service_port`, it the default. `service_port` is https's once there is TLS. */
export interface ListenerPorts {
  readonly http: number;
  readonly https: number;
}

/** `hasTls`: some name is served over TLS. */
export function listenerPorts(hasTls: boolean, config: ModuleConfig, options: CompileOptions): ListenerPorts {
  return {
    http: options.httpPort ?? (hasTls ? undefined : config.service_port) ?? HTTP_LISTENER_PORT,
    https: options.httpsPort ?? config.service_port ?? 8443,
  };
}

/** Whether a port that somebody writes is the http listener's. */
export function isHttpPort(port: number, ports: ListenerPorts): boolean {
  return port === HTTP_LISTENER_PORT || port === ports.http;
}

/** Name of the cleartext listener for a Host's `additionalPort`. */
export function additionalListener(port: number): string {
  return `additional-${port}`;
}
