/**
 * External authorization (AuthService): what routes without `bypassAuth` forward is first asked about. Redirects and
 * CORS preflights are not. Header names are in lower case, and lists of them sorted.
 */
export interface Authorization {
  /** At least one. Each question goes to one of them, by weight. */
  readonly services: readonly AuthDestination[];
  /**
   * `envoy.service.auth.v3.Authorization` is asked: it is shown every header and says itself what changes, so the lists of
   * headers are empty. Absent: the request is put to the service as an HTTP request.
   */
  readonly protocol?: "grpc";
  /** Stands before the request's path in the question; absent: nothing. */
  readonly pathPrefix?: string;
  /** Until the answer is complete, in milliseconds. */
  readonly timeoutMs: number;
  /** Headers of the request that the service is shown. */
  readonly shown: readonly string[];
  /** Headers for the service alone; they replace the client's. */
  readonly added?: readonly { readonly name: string; readonly value: string }[];
  /** Headers of the answer that go upstream with an allowed request, and to the client with a refused one. */
  readonly taken: readonly string[];
  /** Of these a client's own copies go no further: only the service may say them. */
  readonly owned?: readonly string[];
  /** Shows the service the body; absent: no body. */
  readonly body?: { readonly maxBytes: number; readonly allowPartial: boolean };
  /** Requests pass while the service cannot be asked. */
  readonly allowOnError?: true;
  /** What a client gets while the service cannot be asked. */
  readonly statusOnError: number;
}

export interface AuthDestination {
  /** The AuthService, `authservice/NAMESPACE/NAME`. */
  readonly name: string;
  readonly cluster: string;
  readonly weight: number;
  /** Value of l5d-dst-override, where Linkerd is asked to route. */
  readonly linkerd?: string;
}
