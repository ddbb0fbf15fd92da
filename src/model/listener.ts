import type { ServerTls } from "./tls.ts";

export interface Listener {
  /** `http`, `https`, for a port named by `redirect_cleartext_from` `redirect-PORT`, for a Host's own `additional-PORT`. */
  readonly name: string;
  /** Address to bind, e.g. `0.0.0.0`. */
  readonly address: string;
  /** 0: the engine picks a free one. */
  readonly port: number;
  readonly transport: "cleartext" | "tls";
  /** `redirect` answers every request with a redirect to https, whatever the virtual host's `cleartext` says. */
  readonly action: "serve" | "redirect";
}

/** Which names are served, and how each is reached. Routes are not repeated here: they match the host themselves. */
export interface VirtualHost {
  /** `a.example`, `*.example` or `*`, in lower case. */
  readonly domain: string;
  /** The resource that named the domain, e.g. `host/default/shop`; `gateway` for the implied `*`. */
  readonly origin: string;
  readonly tls: ServerTls;
  /** What a cleartext request for the domain gets: `reject` is 400, `redirect` is 301 to https. */
  readonly cleartext: "route" | "redirect" | "reject";
  /** Names of the cleartext listeners where that holds, sorted; on others it is `reject`. Absent: `http` alone. */
  readonly cleartextListeners?: readonly string[];
}
