/** What the admin port of a running gateway answers at a path, or why it cannot be had. */
export async function askAdmin<T extends object>(admin: string, path: string): Promise<T | string> {
  const base = /^https?:\/\//.test(admin) ? admin : `http://${admin}`;
  const url = URL.canParse(base) ? new URL(path, base) : null;
  if (url === null) return `${admin} is no URL; it is that of the admin port, e.g. http://127.0.0.1:8877`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok)
      return `${url} answers ${response.status}: it is not the admin port of a gateway that knows this`;
    return (await response.json()) as T;
  } catch (error) {
    const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
    return `${url} cannot be read: ${cause?.code ?? cause?.message ?? message}`;
  }
}

const TIMEOUT_MS = 10_000;
