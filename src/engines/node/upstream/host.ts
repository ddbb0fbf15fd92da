import type { Endpoint } from "../../../endpoints/endpoint.ts";
import { addressText } from "../../../model/address.ts";

/** One address of a cluster and what is known of it, across credentials and priorities. */
export class UpstreamHost {
  /** Moves with each resolution for `logical_dns`; fixed otherwise. */
  endpoint: Endpoint;
  /** `address:port`. */
  address: string;
  /** In flight on its connections. */
  requests = 0;
  /** It is among the cluster's addresses no more: its connections are not kept. */
  gone = false;
  /** Left out for a while (`outliers.ts`). */
  ejected = false;
  /** Milliseconds since the epoch. */
  ejectedUntil = 0;
  /** How often it was ejected lately; the next ejection is longer by so much. */
  ejections = 0;
  serverErrorsInRow = 0;
  gatewayFailuresInRow = 0;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.address = addressText(endpoint.address, endpoint.port);
  }

  /** Beside those of the others of its cluster. */
  get weight(): number {
    return this.endpoint.weight ?? 1;
  }

  moveTo(endpoint: Endpoint): void {
    this.endpoint = endpoint;
    this.address = addressText(endpoint.address, endpoint.port);
  }
}
