/** One stream's protocol: takes requests as they come, and says what to answer when asked. */
export interface Exchange<Request, Response> {
  take(request: Request): void;
  /** Null: nothing now. */
  next(): Response | null;
  close(): void;
}

/**
 * Runs a bidirectional stream: reads on whatever the client sends, and writes only as fast as it reads; what is to be written
 * is decided at the moment of writing. `open` is given the first request, which says who the client is, and the
 * function that wakes the writing side.
 */
export async function* pump<Request, Response>(
  requests: AsyncIterable<Request>,
  open: (first: Request, wake: () => void) => Exchange<Request, Response>,
): AsyncGenerator<Response> {
  const bell = new Bell();
  let ended = false;
  let failure: unknown = null;
  let exchange: Exchange<Request, Response> | null = null;
  const reading = (async () => {
    for await (const request of requests) {
      exchange ??= open(request, () => bell.ring());
      exchange.take(request);
      bell.ring();
    }
  })()
    .catch((error: unknown) => {
      failure = error;
    })
    .finally(() => {
      ended = true;
      bell.ring();
    });
  try {
    while (!ended) {
      const response = (exchange as Exchange<Request, Response> | null)?.next() ?? null;
      if (response !== null) yield response;
      else await bell.heard();
    }
    await reading;
    if (failure !== null) throw failure;
  } finally {
    (exchange as Exchange<Request, Response> | null)?.close();
  }
}

/** Rung any number of times, heard once. */
class Bell {
  #isRung = false;
  #listener: (() => void) | null = null;

  ring(): void {
    this.#isRung = true;
    this.#listener?.();
    this.#listener = null;
  }

  async heard(): Promise<void> {
    if (!this.#isRung) await new Promise<void>((resolve) => (this.#listener = resolve));
    this.#isRung = false;
  }
}
